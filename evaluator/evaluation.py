"""One evaluation from artifact to scorecard: the order of events, and nothing else."""

from __future__ import annotations

import dataclasses
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from auditor.sandbox import SandboxUnavailable
from evaluator.artifact import Decoded, decode
from evaluator.display import Display
from evaluator.fit import fit
from evaluator.job import Job, Progress, Ready, Underway
from evaluator.refusal import Refused
from evaluator.resolve import Options, Plan, missing_for_official, resolve
from evaluator.sanity import sanity_preset
from evaluator.scaling import scale
from evaluator.scorecard import Scorecard, Size, Status, make_score
from evaluator.size import count_code
from evaluator.stream import ValidationStream, open_stream, refusing_data
from evaluator.summary import Run
from evaluator.supervise import assist, supervise
from evaluator.verify import StreamFacts, verify_stream
from rules.contest.completeness import Coverage as DataCoverage
from rules.contest.shards import find_shards, read_shard


def evaluate(options: Options, display: Display) -> Scorecard:
    """Evaluate ``options.artifact``; a refusal is a scorecard too."""
    contest = options.contest or "unknown"
    try:
        gaps = missing_for_official(options) if options.official else []
        if gaps:
            raise Refused("not-official", "; ".join(gaps))
        plan = resolve(options)
        contest = plan.profile.name
        for line in plan.defaults:
            display.note(f"default: {line}")
        display.note(f"scoring settings: {plan.scoring_from}")
        with tempfile.TemporaryDirectory(prefix="evaluate-") as folder:
            return _evaluate(options, plan, Path(folder), display)
    except Refused as refused:
        return Scorecard(status="refused", contest=contest, reason=refused.reason, message=refused.message)


def lend_processes(options: Options, display: Display) -> Status:
    """Take part, as machine 1 or later, in a run that the same command on machine 0 supervises and scores."""
    try:
        plan = resolve(options)
        with tempfile.TemporaryDirectory(prefix="evaluate-") as folder:
            job = _prepare(options, plan, Path(folder), display).job
            display.stage(f"take part as machine {options.fleet.node_rank}")
            outcome = assist(job, options.fleet, lambda seconds: display.clock(seconds, plan.time_limit))
    except Refused as refused:
        display.note(f"evaluate: refused ({refused.reason}): {refused.message}")
        return "refused"
    display.note(f"evaluate: {outcome.message or 'this part is done; the score is on machine 0'}")
    return "scored" if outcome.status == "done" else "failed"


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A job, and what is known of what it will score."""

    job: Job
    run: Run


def _prepare(options: Options, plan: Plan, folder: Path, display: Display) -> _Prepared:
    """Decode the artifact, find its model, count the bytes."""
    clock = time.monotonic()
    decoded = None if options.artifact is None else _decode(options.artifact, options, folder, display)
    fitted = None if decoded is None else fit(decoded, plan.preset)
    if options.sanity and fitted is not None:
        plan = dataclasses.replace(plan, scoring=sanity_preset(fitted.config.context_len), scoring_from="--sanity")
        display.note(f"sanity: windows of {fitted.config.context_len:,} positions without overlap")
    scaled: tuple[str, ...] = ()
    if options.scaled:
        scoring, scaled = scale(plan.scoring, _positions(plan), fitted.config.context_len if fitted else None)
        plan = dataclasses.replace(plan, scoring=scoring)
        for line in scaled:
            display.note(f"scaled: {line}")
    files, code_digest = count_code(plan.code)
    size = Size(plan.profile.caps.total_bytes, decoded.artifact_bytes if decoded else 0, sum(files.values()), files)
    job = Job(
        folder=str(folder),
        tensors=str(decoded.tensors) if decoded else "",
        names=dict(fitted.names) if fitted else {},
        config=fitted.config.to_mapping() if fitted else None,
        settings=plan.scoring.scoring,
        data=str(plan.data.resolve()),
        tokenizer=str(plan.tokenizer.resolve()),
        contest=plan.profile.name,
        published=plan.scoring.published,
    )
    return _Prepared(job, Run(options, plan, decoded, fitted, size, code_digest, time.monotonic() - clock, scaled))


def _decode(artifact: Path, options: Options, folder: Path, display: Display) -> Decoded:
    display.stage("decode the artifact")
    try:
        return decode(artifact, folder, allow_unsandboxed=options.allow_unsandboxed)
    except SandboxUnavailable as error:
        raise Refused("no-sandbox", f"{error}; --allow-unsandboxed does without, for files you trust") from None


def _positions(plan: Plan) -> int:
    """Positions of the validation stream, from its shards alone."""
    with refusing_data():
        return sum(len(read_shard(shard)) for shard in find_shards(plan.data, "val")) - 1


def _evaluate(options: Options, plan: Plan, folder: Path, display: Display) -> Scorecard:
    prepared = _prepare(options, plan, folder, display)
    job = prepared.job
    display.stage("load the model")
    verified: list[tuple[ValidationStream, StreamFacts]] = []

    def verify() -> None:
        stream = open_stream(plan.data, plan.tokenizer, plan.profile)
        facts = verify_stream(stream)
        if options.official and facts.completeness.coverage is not DataCoverage.COMPLETE:
            raise Refused("not-official", f"the validation set is {facts.completeness}")
        verified.append((stream, facts))

    bpb: float | None = None

    def on_event(event: Ready | Underway | Progress, _seconds: float) -> None:
        nonlocal bpb
        match event:
            case Ready():
                if options.official:
                    _require_hardware(plan, event.devices)
                display.stage("read the data")
            case Underway():
                display.scoring(event.position, event.positions, bpb)
            case Progress():
                score = make_score(event.nll, event.scored, event.credited_bytes)
                bpb = score.bpb if score else None
                display.scoring(event.position, event.positions, bpb)

    outcome = supervise(
        job,
        options.fleet,
        plan.time_limit,
        check=lambda: _in_thread(verify),
        on_event=on_event,
        on_tick=lambda seconds: display.clock(seconds, plan.time_limit),
    )
    return prepared.run.scorecard(outcome, job, verified[0] if verified else None)


def _in_thread(work: Callable[[], None]) -> Future[None]:
    """Run ``work`` in a daemon thread: an overrun must not wait for it."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            future.set_exception(error)
        else:
            future.set_result(None)

    threading.Thread(target=run, daemon=True, name="verify").start()
    return future


def _require_hardware(plan: Plan, devices: tuple[str, ...]) -> None:
    needed = plan.profile.hardware
    if needed is None:
        return
    if len(devices) != needed.gpus or not all(needed.gpu_name in name for name in devices):
        raise Refused(
            "not-official",
            f"official runs of {plan.profile.name} need {needed.gpus} x {needed.gpu_name}; "
            f"this run has {len(devices)} x {', '.join(sorted(set(devices)))}",
        )

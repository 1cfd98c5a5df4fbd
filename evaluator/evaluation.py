"""One evaluation from artifact to scorecard: the order of events, and nothing else."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from evaluator.artifact import Decoded, decode, fits, match
from evaluator.display import Display
from evaluator.environment import environment
from evaluator.job import Job, Progress, Ready, Underway
from evaluator.ledger import QUANTUM
from evaluator.refusal import Refused, refusing
from evaluator.resolve import AUTO, Options, Plan, missing_for_official, resolve
from evaluator.scorecard import (
    Artifact,
    ChunkScore,
    Coverage,
    Digests,
    Model,
    Normalisation,
    Scorecard,
    Size,
    Status,
    Time,
    digest_of,
    histogram,
    make_score,
    score_digest,
)
from evaluator.size import count_code
from evaluator.stream import ValidationStream, open_stream
from evaluator.supervise import Outcome, supervise
from evaluator.verify import StreamFacts, verify_stream
from reference_model import GPTConfig, NameMap, load_names, load_preset, num_parameters, preset_names, state_layout
from rules.contest.completeness import Coverage as DataCoverage

UNSEEN_FIELDS = (
    "rope_dims", "rope_base", "rope_ntk_train_len", "mlp_slope", "logit_softcap", "ln_scale", "xsa_last_n",
    "smear_bos_mask", "value_embed_layers", "attn_gate_mult", "loop_start", "loop_end", "num_loops", "parallel_start",
    "parallel_skip", "parallel_mix_in_residual", "parallel_merge",
)  # fmt: skip
"""Settings of a model that no shape of a tensor reveals; a wrong one loads without error, so they are shown."""


@dataclass(frozen=True, slots=True)
class _Fitted:
    """The model that the artifact's tensors fit."""

    preset: str
    config: GPTConfig
    names: Mapping[str, str]


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
        display.note(f"scoring settings: {plan.settings_from}")
        with tempfile.TemporaryDirectory(prefix="evaluate-") as folder:
            return _evaluate(options, plan, Path(folder), display)
    except Refused as refused:
        return Scorecard(status="refused", contest=contest, reason=refused.reason, message=refused.message)


def _evaluate(options: Options, plan: Plan, folder: Path, display: Display) -> Scorecard:
    display.stage("decode the artifact")
    clock = time.monotonic()
    decoded = decode(options.artifact, folder)
    fitted = _fit(decoded, plan.preset)
    files, code_digest = count_code(plan.code)
    size = Size(plan.profile.caps.total_bytes, decoded.artifact_bytes, sum(files.values()), files)
    decode_seconds = time.monotonic() - clock

    job = Job(
        folder=str(folder),
        tensors=str(decoded.tensors),
        names=dict(fitted.names),
        config=fitted.config.to_mapping(),
        settings=plan.settings,
        data=str(plan.data.resolve()),
        tokenizer=str(plan.tokenizer.resolve()),
        contest=plan.profile.name,
    )
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
    known = _Known(options, plan, decoded, fitted, size, code_digest, decode_seconds)
    return known.scorecard(outcome, job, verified[0] if verified else None)


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


def _fit(decoded: Decoded, preset: str) -> _Fitted:
    """Find the model that the tensors belong to.

    Raises:
        Refused: no preset or more than one fits, or the tensors do not match.
    """
    if preset != AUTO:
        with refusing("unknown-preset"):
            config, names = load_preset(preset), load_names(preset)
    elif decoded.config is not None:
        preset = "from the artifact's header"
        with refusing("bad-config"):
            config, names = GPTConfig.from_mapping(decoded.config), NameMap({})
    else:
        candidates = [
            name
            for name in preset_names()
            if fits(decoded.shapes, state_layout(load_preset(name)), load_names(name).to_canonical)
        ]
        if len(candidates) != 1:
            found = f"{len(candidates)} presets fit ({', '.join(candidates)})" if candidates else "no preset fits"
            raise Refused("no-preset", f"{found}; name one of {', '.join(preset_names())} with --preset")
        preset = candidates[0]
        config, names = load_preset(preset), load_names(preset)
    return _Fitted(preset, config, match(decoded, state_layout(config), names.to_canonical))


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


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known before the run, to be joined with what came out of it."""

    options: Options
    plan: Plan
    decoded: Decoded
    fitted: _Fitted
    size: Size
    code_digest: str
    decode_seconds: float

    def scorecard(self, outcome: Outcome, job: Job, verified: tuple[ValidationStream, StreamFacts] | None) -> Scorecard:
        """The scorecard of a run that ended one way or the other."""
        done, plan = outcome.done, self.plan
        complete = outcome.status == "done" and done is not None and verified is not None
        devices = outcome.ready.devices if outcome.ready else ()
        card = Scorecard(
            status=self._status(outcome),
            label="official" if complete and self.options.official and done and done.exactly_once else "practice",
            unofficial=self._unofficial(outcome),
            contest=plan.profile.name,
            message=outcome.message or None,
            reason={"over-time": "over-time", "died": "process-died"}.get(outcome.status),
            size=self.size,
            time=Time(
                plan.time_limit,
                outcome.seconds,
                done.phases if done else {},
                {"decode": self.decode_seconds, "start": outcome.started_in},
            ),
            artifact=self._artifact(),
            model=self._model(done.adapted if done else 0),
            scoring=plan.settings,
            processes=len(devices),
            environment=environment(", ".join(sorted(set(devices)))),
            chunks=_chunks(outcome),
        )
        if not (complete and done and verified):
            return _partly(card, outcome)
        stream, facts = verified
        nll = np.load(job.scores, allow_pickle=False)
        digests = Digests(
            artifact=self.decoded.sha256,
            data=digest_of([facts.tokens_sha256, facts.bytes_sha256]),
            tokenizer=facts.tokenizer_sha256,
            model=digest_of(self.fitted.config.to_mapping()),
            code=self.code_digest,
            settings=digest_of(plan.settings),
        )
        score = make_score(done.total, done.scored, done.credited_bytes)
        return replace(
            card,
            bpb=score.bpb if score else None,
            digest=score_digest(digests, nll, done.total),
            score=score,
            coverage=Coverage(
                positions=stream.positions,
                scored=len(nll),
                exactly_once=done.exactly_once,
                data=facts.completeness.coverage.value,
                documents=facts.documents,
                notes=(facts.completeness.evidence,),
            ),
            digests=digests,
            normalisation=_normalisation(done.proofs),
            histogram=histogram(nll),
            message=_over_bytes(self.size),
            reason="over-bytes" if self.size.total > self.size.limit else None,
        )

    def _status(self, outcome: Outcome) -> Status:
        if outcome.status == "died":
            return "failed"
        if outcome.status == "over-time":
            return "over-time"
        return "over-bytes" if self.size.total > self.size.limit else "scored"

    def _unofficial(self, outcome: Outcome) -> tuple[str, ...]:
        if not self.options.official:
            return ("practice: --official was not given",)
        if outcome.done and not outcome.done.exactly_once:
            return ("not every position was scored exactly once",)
        return ()

    def _artifact(self) -> Artifact:
        d = self.decoded
        return Artifact(d.codec, d.container, d.family, d.raw_bytes, len(d.shapes), d.tier, d.notes)

    def _model(self, adapted: int) -> Model:
        config = self.fitted.config.to_mapping()
        unseen = tuple(f"{name} = {config[name]}" for name in UNSEEN_FIELDS if name in config)
        return Model(self.fitted.preset, num_parameters(self.fitted.config), adapted, config, unseen)


def _chunks(outcome: Outcome) -> tuple[ChunkScore, ...]:
    return tuple(
        ChunkScore(event.position, event.nll * QUANTUM, event.credited_bytes, seconds)
        for event, seconds in outcome.progress
    )


def _partly(card: Scorecard, outcome: Outcome) -> Scorecard:
    """A run without a score: what was done so far, in a place where nobody takes it for one."""
    if not outcome.progress:
        return card
    last = outcome.progress[-1][0]
    score = make_score(last.nll, last.scored, last.credited_bytes)
    so_far = f"; {score.bpb:.4f} bpb over those" if score and outcome.status == "over-time" else ""
    return replace(card, message=f"{card.message}: {last.position:,} of {last.positions:,} positions credited{so_far}")


def _over_bytes(size: Size) -> str | None:
    if size.total <= size.limit:
        return None
    return f"{size.total:,} bytes are {size.total - size.limit:,} over the cap of {size.limit:,}"


def _normalisation(proofs: list[tuple[int, float, float]]) -> Normalisation | None:
    if not proofs:
        return None
    return Normalisation(
        tuple(position for position, _, _ in proofs), max(p[1] for p in proofs), max(p[2] for p in proofs)
    )

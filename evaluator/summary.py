"""From a run that ended one way or the other to its scorecard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from evaluator.artifact import Decoded
from evaluator.environment import environment
from evaluator.fit import Fitted
from evaluator.job import Done, Job
from evaluator.ledger import QUANTUM
from evaluator.resolve import Options, Plan
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
from evaluator.stream import ValidationStream
from evaluator.supervise import Outcome
from evaluator.verify import StreamFacts
from reference_model import num_parameters

UNSEEN_FIELDS = (
    "rope_dims", "rope_base", "rope_ntk_train_len", "mlp_slope", "logit_softcap", "ln_scale", "xsa_last_n",
    "smear_bos_mask", "value_embed_layers", "attn_gate_mult", "loop_start", "loop_end", "num_loops", "parallel_start",
    "parallel_skip", "parallel_mix_in_residual", "parallel_merge",
)  # fmt: skip
"""Settings of a model that no shape of a tensor reveals; a wrong one loads without error, so they are shown."""


_NO_MODEL = "none"
"""In place of the digests of artifact and model where there are none."""


@dataclass(frozen=True, slots=True)
class Run:
    """What is known of a run before it ends; :meth:`scorecard` joins it with what came out."""

    options: Options
    plan: Plan
    decoded: Decoded | None
    fitted: Fitted | None
    size: Size
    code_digest: str
    decode_seconds: float
    scaled: tuple[str, ...]

    def scorecard(self, outcome: Outcome, job: Job, verified: tuple[ValidationStream, StreamFacts] | None) -> Scorecard:
        """The scorecard of a run that ended one way or the other."""
        done, plan = outcome.done, self.plan
        complete = outcome.status == "done" and done is not None and verified is not None
        devices = outcome.ready.devices if outcome.ready else ()
        card = Scorecard(
            status=self._status(outcome),
            label="official" if complete and self._may_be_official(done) else "practice",
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
            scoring=job.settings,
            published=job.published,
            scaled=self.scaled,
            processes=len(devices),
            environment=environment(", ".join(sorted(set(devices)))),
            chunks=_chunks(outcome),
        )
        if not (complete and done and verified):
            return _partly(card, outcome)
        stream, facts = verified
        nll = np.load(job.scores, allow_pickle=False)
        digests = Digests(
            artifact=self.decoded.sha256 if self.decoded else _NO_MODEL,
            data=digest_of([facts.tokens_sha256, facts.bytes_sha256]),
            tokenizer=facts.tokenizer_sha256,
            model=digest_of(job.config) if job.config else _NO_MODEL,
            code=self.code_digest,
            settings=digest_of([job.settings, job.published] if job.published else job.settings),
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
            normalisation=_normalisation(done.sums),
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
        if self.plan.scoring.published:
            return tuple(f"breaks {which}: {how}" for which, how in self.plan.scoring.published.breaks.items())
        if not self.options.official:
            return ("practice: --official was not given",)
        if outcome.done and not outcome.done.exactly_once:
            return ("not every position was scored exactly once",)
        return ()

    def _may_be_official(self, done: Done | None) -> bool:
        if self.plan.scoring.published or self.scaled or self.fitted is None:
            return False
        return self.options.official and done is not None and done.exactly_once

    def _artifact(self) -> Artifact | None:
        d = self.decoded
        if d is None:
            return None
        return Artifact(d.codec, d.container, d.family, d.raw_bytes, len(d.shapes), d.tier, d.notes)

    def _model(self, adapted: int) -> Model | None:
        if self.fitted is None:
            return None
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


def _normalisation(sums: list[tuple[int, float, float]]) -> Normalisation | None:
    if not sums:
        return None
    positions, masses, target_errors = zip(*sums, strict=True)
    return Normalisation(positions, masses, max(abs(mass - 1.0) for mass in masses), max(target_errors))

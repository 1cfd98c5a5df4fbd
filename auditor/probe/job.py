"""What the parent asks of the server, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from auditor.probe.plan import Rewrite, Setup, Stream, Variant


@dataclass(frozen=True)
class Job:
    """One server's work.

    Attributes:
        root: the submission's folder.
        files: names of its files, relative to ``root``.
        setup: how it is run.
        full: runs through the whole ``main``; the first is the base run, in which calls are forked.
        forked: a forked call's streams; the first is the base run's.
        budget: CPU seconds for everything.
        fork_at_load: fork where the validation stream is loaded for the k-th time instead of at calls, or
            :data:`~auditor.probe.plan.BEHIND_ARTIFACT`; None for calls.
        fork_in: which of the full runs forks. The base run forks every call; a later one only calls that return the
            base run's final score, and only while no full run has shown a leak: the job ends with it where one has.
        labels: of the claimed score in the submission's logs.
    """

    root: str
    files: Sequence[str]
    setup: Setup
    full: Sequence[Variant]
    forked: Sequence[Stream]
    budget: float
    fork_at_load: int | None
    fork_in: int = 0
    labels: Sequence[str] = ()


def encode(job: Job) -> dict[str, Any]:
    """``job`` as a JSON value."""
    setup = {field.name: getattr(job.setup, field.name) for field in fields(Setup)}
    setup |= {
        "environment": dict(job.setup.environment),
        "attributes": dict(job.setup.attributes),
        "documented": [],
        "altered": [],
        "rewrites": [[each.pattern, each.replacement, each.why] for each in job.setup.rewrites],
    }
    return {
        "root": job.root,
        "files": list(job.files),
        "setup": setup,
        "full": [_encode_variant(variant) for variant in job.full],
        "forked": [_encode_stream(stream) for stream in job.forked],
        "budget": job.budget,
        "fork_at_load": job.fork_at_load,
        "fork_in": job.fork_in,
        "labels": list(job.labels),
    }


def decode(value: Mapping[str, Any]) -> Job:
    """The job that ``encode`` made ``value`` of, without what only reports need."""
    setup: dict[str, Any] = {}
    for name, item in value["setup"].items():
        setup[name] = tuple(item) if isinstance(item, list) else item
    setup |= {"accumulators": tuple((function, variable) for function, variable in setup["accumulators"])}
    setup |= {"rewrites": tuple(Rewrite(*each) for each in setup["rewrites"]), "documented": frozenset()}
    return Job(
        root=value["root"],
        files=value["files"],
        setup=Setup(**setup),
        full=[_decode_variant(each) for each in value["full"]],
        forked=[_decode_stream(each) for each in value["forked"]],
        budget=value["budget"],
        fork_at_load=value["fork_at_load"],
        fork_in=value["fork_in"],
        labels=value["labels"],
    )


def _encode_stream(stream: Stream) -> dict[str, Any]:
    counts = None if stream.bytes is None else stream.bytes.tolist()
    return {"tokens": stream.tokens.tolist(), "bytes": counts}


def _decode_stream(value: Mapping[str, Any]) -> Stream:
    counts = None if value["bytes"] is None else np.array(value["bytes"], np.int64)
    return Stream(np.array(value["tokens"], np.uint16), counts)


def _encode_variant(variant: Variant) -> dict[str, Any]:
    return {
        "name": variant.name,
        "validation": _encode_stream(variant.validation),
        "position": variant.position,
        "train": None if variant.train is None else _encode_stream(variant.train),
        "train_after": variant.train_after,
        "environment": dict(variant.environment),
        "other": None if variant.other is None else _encode_stream(variant.other),
    }


def _decode_variant(value: Mapping[str, Any]) -> Variant:
    return Variant(
        name=value["name"],
        validation=_decode_stream(value["validation"]),
        position=value["position"],
        train=None if value["train"] is None else _decode_stream(value["train"]),
        train_after=value["train_after"],
        environment=value["environment"],
        other=None if value["other"] is None else _decode_stream(value["other"]),
    )

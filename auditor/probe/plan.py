"""What is to be run: streams, variants of a run, and the toy-size set-up of the submission."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

BEHIND_ARTIFACT = 0
"""In place of the number of a load of the stream: where the run first reads an artifact that it has written."""


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """A stream of tokens as a shard holds it.

    Attributes:
        tokens: integers [n] below the toy vocabulary's size.
        bytes: int64 [n], for the sidecar of byte counts; None lets the toy tokenizer count.
    """

    tokens: npt.NDArray[np.integer]
    bytes: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """One run through the whole ``main``.

    Attributes:
        name: for the report.
        validation: the validation stream.
        position: the first token that it rewrites for good; 0 where it says nothing about causality.
        train: another training stream; None keeps the usual one.
        train_after: start with the usual training stream and change to ``train`` once the last artifact is written:
            in the shard and in the memory of the run. ``train`` should be as long as the usual stream.
        environment: settings that differ from the set-up's.
        other: the validation stream of a second rank, as long as ``validation``, which is the first one's; None for a
            run with one rank.
    """

    name: str
    validation: Stream
    position: int = 0
    train: Stream | None = None
    train_after: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    other: Stream | None = None


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A change of a literal in the source.

    Attributes:
        pattern: regular expression, applied to every script of the submission, unpacked ones too.
        replacement: as ``re.sub`` takes it.
        why: what the change is for.
    """

    pattern: str
    replacement: str
    why: str


@dataclass(frozen=True, slots=True)
class Alteration:
    """A place where a rewrite changed the source: ``before`` became ``after`` in ``file`` at ``line``."""

    file: str
    line: int
    before: str
    after: str
    why: str


@dataclass(frozen=True)
class Setup:
    """How the submission is run at toy size.

    Attributes:
        entry: name of the script to run, relative to the submission's folder.
        environment: its environment variables, without the data's paths.
        documented: which of ``environment`` are as the submission documents them.
        rewrites: changes of literals.
        altered: where they apply.
        attributes: values to set on its class ``Hyperparameters``, where it has the attribute.
        arguments: words after the script.
        vocabulary: V, size of the toy vocabulary.
        sequence: tokens in a training sequence.
        timeout: CPU seconds that one run may take.
        sidecar: the script reads byte counts from a sidecar of the validation shard.
        distributed: set RANK and WORLD_SIZE as torchrun does.
        cuda: tensors tell the submission that they are on CUDA.
        preload: installed modules that the script imports, to be loaded once.
        accumulators: variables that a top-level function adds numbers up in, as (function, variable).
        datasets: names of data folders that the script knows.
        tokenizers: names of tokenizer files that the script knows.
    """

    entry: str
    environment: Mapping[str, str] = field(default_factory=dict)
    documented: frozenset[str] = frozenset()
    rewrites: tuple[Rewrite, ...] = ()
    altered: tuple[Alteration, ...] = ()
    attributes: Mapping[str, int | float | str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    vocabulary: int = 24
    sequence: int = 64
    timeout: float = 150.0
    sidecar: bool = False
    distributed: bool = True
    cuda: bool = True
    preload: tuple[str, ...] = ()
    accumulators: tuple[tuple[str, str], ...] = ()
    datasets: tuple[str, ...] = ()
    tokenizers: tuple[str, ...] = ()

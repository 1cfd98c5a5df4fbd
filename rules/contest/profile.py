"""A contest as data: its caps, dates, required files, validation set, hardware and official scoring.

Profiles are TOML files in the folder ``profiles``; another contest is another file.
"""

from __future__ import annotations

import datetime
import tomllib
from importlib import resources
from typing import Any

import msgspec


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the profile; unknown keys are refused."""


class Caps(_Table, frozen=True):
    """What a submission may use.

    Attributes:
        total_bytes: artifact plus counted code, decimal bytes.
        train_seconds: wall seconds of training on the contest's hardware.
        eval_seconds: wall seconds of evaluation.
    """

    total_bytes: int
    train_seconds: float
    eval_seconds: float


class Significance(_Table, frozen=True):
    """What a new record must show.

    Attributes:
        nats: improvement of the mean validation loss over the previous record, nats per token.
        p: level of the one-sided test of that improvement.
        seeds: runs that a record reports at least.
    """

    nats: float
    p: float
    seeds: int


class Dates(_Table, frozen=True):
    """First and last day of the contest."""

    start: datetime.date
    end: datetime.date


class RequiredFile(_Table, frozen=True):
    """A file that a submission's folder must hold.

    Attributes:
        what: its role, such as ``"train log"``.
        patterns: glob patterns of its name; one match is enough.
    """

    what: str
    patterns: tuple[str, ...]


class Tokenization(_Table, frozen=True):
    """What is known of the whole validation set under one tokenizer.

    Attributes:
        name: the suffix of the published data set, such as ``"sp1024"``.
        vocab_size: pieces of the tokenizer.
        tokens: tokens of the stream, BOS included.
        targets: ``tokens - 1``.
        credited_bytes: bytes credited to all targets, where known exactly.
    """

    name: str
    vocab_size: int
    tokens: int
    targets: int
    credited_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.targets != self.tokens - 1:
            raise ValueError(f"{self.name}: a stream of {self.tokens} tokens has {self.tokens - 1} targets")


class TextPrefix(_Table, frozen=True):
    """The first documents of the validation set, known by their text whatever the tokenizer.

    Attributes:
        documents: how many.
        sha256: digest of their normalised text, UTF-8, concatenated in order without separators.
    """

    documents: int
    sha256: str


class Validation(_Table, frozen=True):
    """The validation set.

    Attributes:
        bos_id: id that begins each document.
        documents: number of documents; None where a manifest beside the data says it.
        text_bytes: UTF-8 bytes of the whole normalised text; None where ``documents`` is.
        tokenizations: what is known per tokenizer.
        prefixes: digests of the first documents' text, fewest first.
        plain_floor: bits per byte that no model within the caps comes near without adapting to what it scores.
        logged_tokens: per tokenizer, token counts that logs of complete evaluations print; scripts drop a tail to fill
            whole sequences, and several models share a tokenizer's name.
    """

    bos_id: int
    documents: int | None = None
    text_bytes: int | None = None
    tokenizations: tuple[Tokenization, ...] = ()
    prefixes: tuple[TextPrefix, ...] = ()
    plain_floor: float = 0.0
    logged_tokens: dict[str, tuple[int, ...]] = {}

    def __post_init__(self) -> None:
        if (self.documents is None) != (self.text_bytes is None):
            raise ValueError("a validation set is known by its documents and its bytes, or by neither")


class Hardware(_Table, frozen=True):
    """What official runs need.

    Attributes:
        gpus: number of devices.
        gpu_name: part of the device's name as the driver gives it.
    """

    gpus: int
    gpu_name: str


class ContestProfile(_Table, frozen=True):
    """A contest.

    Attributes:
        name: key of the profile.
        title: name for a reader.
        caps, significance, dates, required_files, validation: see their classes.
        hardware: what official runs need; None where any machine will do.
        scoring: the official scoring settings, as the evaluator's settings type defines and validates them.
    """

    name: str
    title: str
    caps: Caps
    validation: Validation
    scoring: dict[str, Any]
    significance: Significance | None = None
    dates: Dates | None = None
    required_files: tuple[RequiredFile, ...] = ()
    hardware: Hardware | None = None


def profile_names() -> list[str]:
    """Names of the profiles that ship with this package."""
    folder = resources.files(__package__) / "profiles"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def parse_profile(text: str) -> ContestProfile:
    """A profile from the text of its TOML file.

    Raises:
        ValueError: the text is not TOML, a key is unknown or missing, or a value has the wrong type.
    """
    return msgspec.convert(tomllib.loads(text), ContestProfile)


def load_profile(name: str) -> ContestProfile:
    """The profile ``name``.

    Raises:
        ValueError: no such profile; the message names those there are.
    """
    if name not in profile_names():
        raise ValueError(f"no contest {name!r}; there are {', '.join(profile_names())}")
    return parse_profile((resources.files(__package__) / "profiles" / f"{name}.toml").read_text(encoding="utf-8"))

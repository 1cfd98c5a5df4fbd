"""How a stream is scored: windows, test-time training, mixer. Everything that moves the score, and nothing else.

The settings enter the digest of a scorecard. They come from an evaluation preset (``evaluator/presets/NAME.toml``) or,
for an official score, from the contest profile.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import msgspec

from evaluator.refusal import Refused


class WindowSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which context each position is scored in (names of the plans: :mod:`evaluator.scoring.windows`).

    Attributes:
        plan: ``"W-A"``, ``"W-B"`` or ``"W-C"``; ``"W-C"`` scores each position of any stream exactly once.
        length: window length ``S`` in positions.
        stride: positions scored by each window after the first; divides ``length``. ``stride == length`` is the plain
            non-overlapping evaluation.
    """

    plan: Literal["W-A", "W-B", "W-C"] = "W-C"
    length: int = 2048
    stride: int = 64

    def __post_init__(self) -> None:
        if self.length < 1 or self.stride < 1 or self.length % self.stride:
            raise ValueError(f"stride {self.stride} must divide the window length {self.length}")


class AdaptSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Test-time training on scored chunks (systems.md 4.3 is the reference loop).

    Attributes:
        optimizer: ``"sgd"`` (uses ``momentum``) or ``"adamw"`` (uses ``betas``).
        lr: base learning rate.
        schedule: ``"cosine"``: ``lr * (1 + cos(pi k / (K - 1))) / 2`` for chunk ``k`` of ``K``; ``"constant"``.
        momentum, betas, weight_decay: as in ``torch.optim``.
        epochs: passes over each chunk.
        step_sequences: sequences of ``length`` positions per optimiser step.
        clip: global gradient norm limit, or None.
        loss: ``"mean"`` cross-entropy, or ``"bytes"``: weighted by the credited bytes of each target (#779).
        adapt: glob patterns of parameter names that adapt.
        freeze: glob patterns taken out of those again.
    """

    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.005
    schedule: Literal["cosine", "constant"] = "cosine"
    momentum: float = 0.9
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    epochs: int = 3
    step_sequences: int = 16
    clip: float | None = 1.0
    loss: Literal["mean", "bytes"] = "mean"
    adapt: tuple[str, ...] = ("*",)
    freeze: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.lr <= 0 or self.epochs < 1 or self.step_sequences < 1:
            raise ValueError("lr, epochs and step_sequences must be positive")
        if self.clip is not None and self.clip <= 0:
            raise ValueError("clip must be positive")


class DocumentSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Test-time training of low-rank adapters, document by document (systems.md 5.3 and 5.4).

    Attributes:
        batch: documents per forward pass.
        rank: of the adapters.
        alpha: their output is scaled by ``alpha / rank``.
        lr, betas, weight_decay: of AdamW.
        chunks: (limit, length): chunks that begin before position ``limit`` of a document have ``length`` positions.
        last_chunk: length of the later ones.
        seed: of the initial adapters, the same for each document.
    """

    batch: int = 24
    rank: int = 80
    alpha: float = 144.0
    lr: float = 7.5e-5
    betas: tuple[float, float] = (0.0, 0.99)
    weight_decay: float = 0.5
    chunks: tuple[tuple[int, int], ...] = ((256, 16), (2000, 32))
    last_chunk: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.batch, self.rank, self.last_chunk, *(length for _, length in self.chunks)) < 1 or self.lr <= 0:
            raise ValueError("batch, rank, chunk lengths and lr must be positive")


class MixerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which mixer stands between the network and the score, with the mixer's own settings."""

    name: str = "none"
    settings: dict[str, Any] = {}


class ScoringSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything about scoring that moves the score.

    Attributes:
        windows: context of each position.
        chunk: positions per turn of the loop "score, credit, then adapt"; a multiple of the stride and at least one
            window.
        micro_batch: windows per forward pass. The one shape that every forward pass has: other shapes give other bits.
        gradient_rows: sequences per gradient term; the one shape of every backward pass.
        ttt: test-time training of the model, or None.
        documents: test-time training of adapters per document, or None; windows then give its longest context.
        mixer: the mixer.
    """

    windows: WindowSettings = WindowSettings()
    chunk: int = 32_768
    micro_batch: int = 32
    gradient_rows: int = 2
    ttt: AdaptSettings | None = None
    documents: DocumentSettings | None = None
    mixer: MixerSettings = MixerSettings()

    def __post_init__(self) -> None:
        if self.chunk % self.windows.stride or self.chunk < self.windows.length:
            raise ValueError(
                f"chunk {self.chunk} must be a multiple of the stride {self.windows.stride} "
                f"and at least one window of {self.windows.length}"
            )
        if self.documents and (self.ttt or self.windows.plan != "W-C"):
            raise ValueError("documents go with plan W-C and without ttt")
        if self.micro_batch < 1 or self.gradient_rows < 1:
            raise ValueError("micro_batch and gradient_rows must be positive")


Condition = Literal["C1", "C2", "C3", "C4"]


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A system run as it was published, violations included (:mod:`evaluator.violations`).

    Not a part of :class:`ScoringSettings`: a contest's settings cannot even express one.

    Attributes:
        system: name of a module of :mod:`evaluator.violations.systems`.
        breaks: what is broken, by condition; one line each.
        legal: name of the evaluation preset that is its honest counterpart.
        drop_tail: whether only whole windows' worth of the stream is scored, as most of the published code does.
        settings: values of fields of that module's ``Settings``.
    """

    system: str
    breaks: dict[Condition, str]
    legal: str
    drop_tail: bool = True
    settings: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if not self.breaks:
            raise ValueError("what breaks no condition needs no table [published]")


class EvalPreset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An evaluation preset: one file.

    Attributes:
        scoring: how to score.
        published: how the published system departs from the score-first loop; None for everything legal.
        positions: positions of the stream that the numbers of the preset were chosen for; scaling
            (:mod:`evaluator.scaling`) goes by the ratio to it.
    """

    scoring: ScoringSettings
    published: Published | None = None
    positions: int = 62_021_632


def settings_from(mapping: Mapping[str, Any], source: str) -> ScoringSettings:
    """``mapping`` as validated settings.

    Raises:
        Refused: a key is unknown or a value is out of range; ``source`` says where it came from.
    """
    try:
        return msgspec.convert(dict(mapping), ScoringSettings)
    except (msgspec.ValidationError, ValueError) as error:
        raise Refused("bad-settings", f"{source}: {error}") from None


def eval_preset_names() -> list[str]:
    """Names of the evaluation presets that ship with the evaluator."""
    folder = resources.files("evaluator") / "presets"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_eval_preset(name: str) -> EvalPreset:
    """The evaluation preset ``name``; a name that ends in ``.toml`` is a file of one's own.

    A file may name another preset as its ``base``; its tables are laid over that one's.

    Raises:
        ValueError: no such preset (the message names those there are), or the file is no TOML.
        Refused: a setting in it cannot be.
    """
    tables = _tables(name)
    if "scoring" not in tables:
        raise ValueError(f"{name} has no table [scoring]")
    try:
        return msgspec.convert(tables, EvalPreset)
    except (msgspec.ValidationError, ValueError) as error:
        raise Refused("bad-settings", f"evaluation preset {name}: {error}") from None


def _tables(name: str) -> dict[str, Any]:
    if name.endswith(".toml"):
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{name}: {error}") from None
    elif name in eval_preset_names():
        text = (resources.files("evaluator") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    else:
        raise ValueError(f"no evaluation preset {name!r}; there are {', '.join(eval_preset_names())}, or FILE.toml")
    tables = tomllib.loads(text)
    base = tables.pop("base", None)
    return tables if base is None else _laid_over(_tables(str(base)), tables)


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``above``, with what it leaves out from ``below``, table by table."""
    both = {key: _laid_over(below[key], above[key]) for key in above if isinstance(below.get(key), dict)}
    return {**below, **above, **both}

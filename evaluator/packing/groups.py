"""Where an artifact's bytes go, by kind of tensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from evaluator.artifact.entries import Corrected, Entry, GateRows
from evaluator.artifact.numerics import Array, Quantised
from evaluator.packing.recipes import is_embedding


@dataclass(frozen=True, slots=True)
class TensorGroup:
    """Tensors of one kind.

    Attributes:
        name: the kind.
        tensors: how many.
        weights: numbers that the model has in them.
        bits: widths of their codes, ascending; empty if they are kept as they are.
        stored: bytes before compression.
        entropy: bytes that the codes take at their order-0 entropy, tensor by tensor, with all else at its stored
            size: what to expect of a compressor.
    """

    name: str
    tensors: int
    weights: int
    bits: tuple[int, ...]
    stored: int
    entropy: int

    def __str__(self) -> str:
        widths = f"int{', '.join(map(str, self.bits))}" if self.bits else "kept"
        return (
            f"  {self.name:<12}{self.tensors:>4} tensors {self.weights:>11,} weights  {widths:<10}"
            f"{self.stored:>12,} bytes raw, {self.entropy:>12,} by entropy"
        )


def tensor_groups(entries: Mapping[str, Entry]) -> list[TensorGroup]:
    """The groups that ``entries`` (by canonical name) have, the largest first."""
    kinds: dict[str, list[Entry]] = {}
    for name, entry in entries.items():
        kinds.setdefault(_kind(name, entry), []).append(entry)
    return sorted((_group(name, members) for name, members in kinds.items()), key=lambda group: -group.entropy)


def _kind(name: str, entry: Entry) -> str:
    if isinstance(entry, GateRows):
        return "gates"
    if not isinstance(entry, Quantised | Corrected):
        return "kept"
    if name.startswith("blocks."):
        return "mlp" if ".mlp." in name else "attention"
    return "embeddings" if is_embedding(name) else "projections"


def _group(name: str, entries: list[Entry]) -> TensorGroup:
    codes = [array for entry in entries for array, is_code in _arrays(entry) if is_code]
    rest = sum(array.nbytes for entry in entries for array, is_code in _arrays(entry) if not is_code)
    bits = {base.bits for entry in entries if (base := _base(entry)) is not None}
    return TensorGroup(
        name=name,
        tensors=len(entries),
        weights=sum(_live(entry).size for entry in entries),
        bits=tuple(sorted(bits)),
        stored=rest + sum(array.nbytes for array in codes),
        entropy=rest + sum(map(_entropy_bytes, codes)),
    )


def _base(entry: Entry) -> Quantised | None:
    base = entry.base if isinstance(entry, Corrected) else entry
    return base if isinstance(base, Quantised) else None


def _live(entry: Entry) -> Array:
    match entry:
        case Corrected():
            return entry.base.codes
        case Quantised() | GateRows():
            return entry.codes
        case _:
            return entry


def _arrays(entry: Entry) -> Iterator[tuple[Array, bool]]:
    """Every array that is stored for ``entry``, and whether it holds codes of weights."""
    match entry:
        case Corrected():
            yield from _arrays(entry.base)
            for part in (entry.groups, entry.low_rank):
                if part is not None:
                    yield from ((array, False) for array in part.stored("").values())
        case Quantised() | GateRows():
            yield entry.codes, True
            yield entry.scale, False
        case _:
            yield entry, False


def _entropy_bytes(codes: Array) -> int:
    """Shannon's bound on an order-0 coder, rounded up."""
    counts = np.bincount(codes.reshape(-1).view(np.uint8), minlength=256)
    share = counts[counts > 0] / codes.size
    return int(np.ceil(-(share * np.log2(share)).sum() * codes.size / 8))

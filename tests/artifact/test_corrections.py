"""Gates, column groups and low-rank corrections: what is written decodes to what the formulas say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.artifact import DecodeLimits
from evaluator.artifact.column_groups import ColumnGroups
from evaluator.artifact.decode_bytes import decode_bytes
from evaluator.artifact.entries import Corrected, Entry, GateRows
from evaluator.artifact.families import pgrp, wm
from evaluator.artifact.low_rank import LowRank
from evaluator.artifact.numerics import Array, Float32, Quantised

LIMITS = DecodeLimits()


def exact_scales(rng: np.random.Generator, count: int) -> Array:
    """Powers of two, with which every product and sum below is exact in float32."""
    return (2.0 ** rng.integers(-6, 0, count)).astype(np.float16)


def base(rng: np.random.Generator, rows: int, columns: int) -> Quantised:
    return Quantised(rng.integers(-31, 32, (rows, columns), dtype=np.int8), exact_scales(rng, rows), 6)


def low_rank(rng: np.random.Generator, rows: int, columns: int, rank: int, *, asymmetric: bool) -> LowRank:
    left = rng.integers(-2, 2, (rows, rank), dtype=np.int8)
    right = rng.integers(-8, 8, (rank, columns), dtype=np.int8)
    if asymmetric:
        return LowRank(left, exact_scales(rng, 1).reshape(()), right, exact_scales(rng, 2 * rank))
    return LowRank(left, exact_scales(rng, rows), right, exact_scales(rng, rank), asymmetric=False)


def expected(entry: Entry) -> Float32:
    """The formulas of the format, written out."""
    match entry:
        case GateRows() | Quantised():
            scale = entry.scale
            return np.asarray(entry.codes * scale.astype(np.float32)[:, None], np.float32)
        case Corrected():
            weight = expected(entry.base)
            if entry.groups is not None:
                fine = entry.groups.scale.astype(np.float32)[:, None]
                for start in entry.groups.starts:
                    part = slice(start, start + entry.groups.size)
                    weight[:, part] = entry.base.codes[:, part] * fine
            if entry.low_rank is not None:
                factors = entry.low_rank
                a = factors.left * factors.left_scale.astype(np.float32).reshape(-1, 1)
                per_group = factors.right.reshape(factors.right_scale.size, -1)
                b = (per_group * factors.right_scale.astype(np.float32)[:, None]).reshape(factors.right.shape)
                weight = weight + np.einsum("ir,rj->ij", a, b)
            return np.asarray(weight, np.float32)
        case _:
            return np.asarray(entry, np.float32)


def model(seed: int = 0) -> dict[str, Entry]:
    """One tensor of every kind, among them a parameter whose name ends like a scale."""
    rng = np.random.default_rng(seed)
    return {
        "tok_emb.weight": Corrected(
            base(rng, 16, 8),
            ColumnGroups((2, 6), 2, exact_scales(rng, 16).astype(np.float16)),
            low_rank(rng, 16, 8, 2, asymmetric=True),
        ),
        "blocks.0.mlp.fc.weight": Corrected(base(rng, 12, 8), None, low_rank(rng, 12, 8, 3, asymmetric=True)),
        "blocks.1.mlp.fc.weight": Corrected(base(rng, 12, 8), None, low_rank(rng, 12, 8, 3, asymmetric=False)),
        "blocks.0.attn.c_q.weight": Corrected(base(rng, 8, 8), ColumnGroups((0,), 4, exact_scales(rng, 8))),
        "blocks.1.attn.c_q.weight": base(rng, 8, 8),
        "blocks.0.attn.attn_gate_w": GateRows(rng.integers(-127, 128, (2, 4), dtype=np.int8), exact_scales(rng, 2)),
        "bigram.scale": np.array(0.25, np.float16),
        "skip_weights": rng.standard_normal((2, 8)).astype(np.float16),
    }


def check(data: bytes, tensors: dict[str, Entry], family: str) -> None:
    facts, decoded = decode_bytes(data, LIMITS)
    assert facts["family"] == family
    assert decoded.keys() == tensors.keys()
    for name, entry in tensors.items():
        np.testing.assert_array_equal(decoded[name], expected(entry), err_msg=name)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_dictionary_with_every_correction(shuffle: bool) -> None:
    check(wm.write(model(), codec="brotli", shuffle=shuffle), model(), "wm")


def test_a_named_container_with_every_correction() -> None:
    check(pgrp.write(model(), 2, with_lrzip=False), model(), "pgrp")


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.booleans(), st.data())
def test_any_shape_and_rank(rows: int, columns: int, rank: int, asymmetric: bool, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 20)))
    size = data.draw(st.integers(1, columns))
    starts = tuple(data.draw(st.lists(st.integers(0, columns - size), max_size=min(3, columns))))
    groups = ColumnGroups(starts, size, exact_scales(rng, rows)) if starts else None
    factors = low_rank(rng, rows, 2 * columns, rank, asymmetric=asymmetric)
    tensors: dict[str, Entry] = {"a": Corrected(base(rng, rows, 2 * columns), groups, factors)}
    check(wm.write(tensors, codec="none", shuffle=False), tensors, "wm")


def test_a_correction_makes_a_difference() -> None:
    plain: dict[str, Entry] = {
        name: entry.base if isinstance(entry, Corrected) else entry for name, entry in model().items()
    }
    _, with_them = decode_bytes(wm.write(model()), LIMITS)
    _, without = decode_bytes(wm.write(plain), LIMITS)
    assert [name for name in plain if not np.array_equal(with_them[name], without[name])] == [
        name for name, entry in model().items() if isinstance(entry, Corrected)
    ]

"""Forged results: whatever bytes come over the channel, the parent refuses or gets exactly the arrays they hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from auditor.sandbox import Status, Tier
from auditor.sandbox.blob import DTYPES, HEADER_BYTES, BlobError, encode_header, read_blob


def blob(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def tensor(begin: int, end: int, *shape: int, dtype: str = "U8") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


FORGED = {
    "nothing but a byte": b"x",
    "no header": b"\0" * 8,
    "random": bytes(range(256)),
    "a pickle": b"\x80\x04\x8c\x02os\x8c\x06system\x93",
    "huge header length": blob({}, length=2**64 - 1),
    "header longer than what came": blob({}, length=100),
    "header over the cap": blob(b" " * (HEADER_BYTES + 8)),
    "header is a list": blob([]),
    "header is not UTF-8": blob(b'{"\xff": 1}'),
    "header nests without end": blob(b"[" * 100_000),
    "a number of a million digits": blob(b'{"a": ' + b"9" * 1_000_000 + b"}"),
    "two equal keys": blob(b'{"a": {}, "a": {}}'),
    "entry is a number": blob({"a": 1}),
    "entry has a key too many": blob({"a": {**tensor(0, 1, 1), "extra": 1}}, b"x"),
    "unknown dtype": blob({"a": tensor(0, 1, 1, dtype="object")}, b"x"),
    "dtype is a list": blob({"a": {**tensor(0, 1, 1), "dtype": ["U8"]}}, b"x"),
    "negative dimension": blob({"a": tensor(0, 1, -1)}, b"x"),
    "dimension is a bool": blob({"a": tensor(0, 1, True)}, b"x"),
    "dimension is a float": blob({"a": {**tensor(0, 1), "shape": [1.0]}}, b"x"),
    "dimensions that overflow": blob({"a": tensor(0, 0, 2**33, 2**33)}),
    "zero elements of a giant": blob({"a": tensor(0, 0, 0, 2**39, 2**39, 2**39)}),
    "too many dimensions": blob({"a": tensor(0, 1, *[1] * 100)}, b"x"),
    "shape larger than its span": blob({"a": tensor(0, 1, 2)}, b"x"),
    "span larger than the data": blob({"a": tensor(0, 1 << 30, 1 << 30)}, b"x"),
    "three offsets": blob({"a": {**tensor(0, 1, 1), "data_offsets": [0, 1, 2]}}, b"x"),
    "offsets backwards": blob({"a": {**tensor(0, 0, 0), "data_offsets": [1, 0]}}, b"x"),
    "overlap": blob({"a": tensor(0, 4, 4), "b": tensor(2, 6, 4)}, b"x" * 6),
    "the same bytes twice": blob({"a": tensor(0, 4, 4), "b": tensor(0, 4, 4)}, b"x" * 4),
    "gap": blob({"a": tensor(0, 1, 1), "b": tensor(2, 3, 1)}, b"x" * 3),
    "data left over": blob({"a": tensor(0, 1, 1)}, b"xx"),
    "truncated": blob({"a": tensor(0, 4, 4)}, b"x"),
    "a bool of 2": blob({"a": tensor(0, 1, 1, dtype="BOOL")}, b"\2"),
    "metadata is a list": blob({"__metadata__": []}),
    "JSON value is a number": blob({"__metadata__": {"json": 1}}),
    "JSON value is broken": blob({"__metadata__": {"json": "{"}}),
    "JSON value is NaN": blob({"__metadata__": {"json": "NaN"}}),
    "JSON value nests without end": blob({"__metadata__": {"json": "[" * 100_000}}),
    "a lone surrogate": blob(b'{"__metadata__": {"json": "\\ud800"}}'),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_blob_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "blob"
    path.write_bytes(FORGED[name])
    with pytest.raises(BlobError):
        read_blob(path)


@pytest.mark.parametrize("name", ["a pickle", "huge header length", "overlap"])
def test_forged_result_of_a_program_is_a_bad_result(tier: Tier, run_source: Any, name: str) -> None:
    result = run_source(f"os.write(3, {FORGED[name]!r})", tier=tier)
    assert (result.status, result.json, dict(result.arrays)) == (Status.BAD_RESULT, None, {})
    assert result.detail


def test_a_second_result_is_refused_in_the_child(tier: Tier, run_source: Any) -> None:
    result = run_source("send(1); send(2)", tier=tier)
    assert result.status is Status.FAILED
    assert "Bad file descriptor" in result.stderr


def test_what_is_written_after_the_result_spoils_it(tier: Tier, run_source: Any) -> None:
    result = run_source("spare = os.dup(3); send(1); os.write(spare, b'more')", tier=tier)
    assert result.status is Status.BAD_RESULT


arrays = st.dictionaries(
    st.text(max_size=8).filter(lambda name: name != "__metadata__"),
    st.sampled_from(list(DTYPES.values())).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0))
    ),
    max_size=4,
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(arrays=arrays, value=values)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, Any], value: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip"
    header = encode_header({name: (a.dtype, a.shape) for name, a in arrays.items()}, json.dumps(value))
    path.write_bytes(header + b"".join(np.ascontiguousarray(a).tobytes() for a in arrays.values()))
    got_value, got = read_blob(path)
    assert got_value == value
    assert got.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(got[name], array, strict=True)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(position=st.integers(0, 200), byte=st.integers(0, 255))
def test_a_changed_byte_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "changed"
    good = blob(
        {"__metadata__": {"json": "[1]"}, "a": tensor(0, 8, 2, dtype="F32"), "b": tensor(8, 12, 2, 2)}, b"x" * 12
    )
    changed = bytearray(good)
    changed[position % len(good)] = byte
    path.write_bytes(changed)
    try:
        _, got = read_blob(path)
    except BlobError:
        return
    assert sum(array.nbytes for array in got.values()) == 12

"""Containers that are in order and hold something that is not a model's weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from artifact_controls import CONFIG, TENSORS, canonical_raw
from hostile import Group

from evaluator.artifact import torch_zip
from evaluator.artifact.families import canonical, plain
from evaluator.artifact.numerics import Quantised

_CODES = np.ones((4, 3), np.int8)
_SCALE = np.full(4, 0.5, np.float16)
_INT6 = "gptq (int6)"


def _wm(w: Any, m: Any) -> Callable[[], bytes]:
    return lambda: torch_zip.write({"w": w, "m": m})


def _pair(codes: Any = _CODES, scale: Any = _SCALE, scheme: Any = _INT6) -> Callable[[], bytes]:
    return _wm({"a.q": codes, "a.scale": scale}, {"a": scheme})


def _kept(values: Any) -> Callable[[], bytes]:
    return _wm({"a": values}, {"a": "passthrough"})


_NAN = np.array([1, np.nan], np.float16)
_INFINITE = np.array([1, np.inf], np.float32)

pairs = Group("wm, plain")
pairs.add("not-finite", "NaN in a kept tensor", _kept(_NAN))
pairs.add("not-finite", "infinity in a kept tensor", _kept(_INFINITE))
pairs.add("not-finite", "float64 beyond float32", _kept(np.array([1e300])))
pairs.add("not-finite", "NaN in a scale", _pair(scale=np.array([1, 1, 1, np.nan], np.float16)))
pairs.add("not-finite", "infinity in a scale", _pair(scale=np.array([1, 1, 1, np.inf], np.float16)))
pairs.add("not-finite", "scale so large that a weight overflows", _pair(_CODES * 100, np.full(4, 3e38, np.float32)))
pairs.add("wrong-scale", "one scale too few", _pair(scale=_SCALE[:3]))
pairs.add("wrong-scale", "scales per column", _pair(scale=np.ones(3, np.float16)))
pairs.add("wrong-scale", "scales with two axes", _pair(scale=_SCALE[:, None]))
pairs.add("wrong-scale", "no scale in an empty tensor", _pair(scale=_SCALE[:0]))
pairs.add("wrong-scale", "a million scales for one code", _pair(_CODES[:1], np.ones(1_000_000, np.float16)))
pairs.add("wrong-dtype", "integer scales", _pair(scale=np.ones(4, np.int8)))
pairs.add("wrong-dtype", "int16 codes", _pair(_CODES.astype(np.int16)))
pairs.add("wrong-dtype", "uint8 codes", _pair(_CODES.astype(np.uint8)))
pairs.add("wrong-dtype", "floating codes", _pair(_CODES.astype(np.float32)))
pairs.add("missing-scale", "codes without a scale", _wm({"a.q": _CODES}, {"a": _INT6}))
pairs.add("missing-codes", "a scale without codes", _wm({"a.scale": _SCALE}, {"a": _INT6}))
pairs.add("missing-tensor", "m promises a tensor", _wm({}, {"a": "passthrough"}))
pairs.add("extra-tensor", "w holds more than m says", _wm({"a": _SCALE, "b": _SCALE}, {"a": "passthrough"}))
pairs.add("extra-tensor", "codes beside a kept tensor", _wm({"a": _SCALE, "a.q": _CODES}, {"a": "passthrough"}))
pairs.add("unsupported-scheme", "a correction nobody knows", _pair(scheme="gptq (int6)+magic"))
pairs.add("unsupported-scheme", "corrections in the wrong order", _pair(scheme="gptq (int6)+lqer+awqgrpint8"))
pairs.add("missing-key", "low-rank correction without factors", _pair(scheme="gptq (int6)+lqer_asym"))
pairs.add("missing-key", "column groups without starts", _pair(scheme="gptq (int6)+awqgrpint8"))
pairs.add("missing-codes", "gate rows without codes", _pair(scheme="gate_int8_row"))
pairs.add("missing-scale", "gate rows without scales", _wm({"a.gq": _CODES}, {"a": "gate_int8_row"}))


def _with(scheme: str, **more: Any) -> Callable[[], bytes]:
    entries = {f"a.{name}": np.asarray(value) for name, value in more.items()}
    return _wm({"a.q": _CODES, "a.scale": _SCALE, **entries}, {"a": f"{_INT6}{scheme}"})


def _groups(start: Any = (0,), size: Any = 2, scale: Any = _SCALE) -> Callable[[], bytes]:
    return _with("+awqgrpint8", awqg_start=start, awqg_size=size, awqg_s_hi=scale)


pairs.add("wrong-groups", "a group beyond the last column", _groups(start=(2,)))
pairs.add("wrong-groups", "a group before the first column", _groups(start=(-1,)))
pairs.add("wrong-groups", "a group of no columns", _groups(size=0))
pairs.add("wrong-groups", "more groups than columns", _groups(start=(0, 0, 0, 0)))
pairs.add("wrong-groups", "starts that are no integers", _groups(start=(0.5,)))
pairs.add("wrong-groups", "a size of three numbers", _groups(size=(1, 1, 1)))
pairs.add("wrong-scale", "scales of a group for other rows", _groups(scale=_SCALE[:3]))


def _factors(
    left: Any = _CODES[:, :2], right: Any = _CODES[:2], scales: tuple[Any, Any] = (_SCALE[0], _SCALE[:2])
) -> Callable[[], bytes]:
    return _with("+lqer_asym", lqA_a=left, lqAs_a=scales[0], lqB_a=right, lqBs_a=scales[1])


pairs.add("wrong-factors", "factors whose ranks differ", _factors(right=_CODES[:1]))
pairs.add("wrong-factors", "factors of rank zero", _factors(left=_CODES[:, :0], right=_CODES[:0]))
pairs.add("wrong-factors", "factors of another matrix", _factors(left=_CODES[:3, :2]))
pairs.add("wrong-factors", "a factor that is a vector", _factors(left=_CODES[:, 0]))
pairs.add("wrong-factors", "groups that do not divide the factor", _factors(scales=(_SCALE[0], _SCALE)))
pairs.add("wrong-factors", "no scale for the factor", _factors(scales=(_SCALE[0], _SCALE[:0])))
pairs.add("not-finite", "factors that overflow", _factors(scales=(np.float32(3e38), np.full(2, 3e38, np.float32))))
pairs.add("unsupported-scheme", "unknown type", _pair(scheme={"type": "int3"}))
pairs.add("unsupported-scheme", "type with more fields", _pair(scheme={"type": "int6", "zero": 3}))
pairs.add("unsupported-scheme", "scheme that is a list", _pair(scheme=["int6"]))
pairs.add("unsupported-scheme", "scheme that is a tensor", _pair(scheme=_SCALE))
pairs.add("unsupported-scheme", "scheme that is a number", _pair(scheme=6))
pairs.add("bad-tree", "number as a name of codes", _wm({"1.q": _CODES, "1.scale": _SCALE}, {1: _INT6}))
pairs.add("bad-tree", "m is a list", _wm({"a": _SCALE}, ["a"]))
pairs.add("bad-tree", "w is a tensor", _wm(_SCALE, {"a": "passthrough"}))
pairs.add("bad-tree", "w holds a string", _wm({"a": "zero"}, {"a": "passthrough"}))
pairs.add("bad-tree", "w holds a number as name", _wm({1: _SCALE}, {1: "passthrough"}))
for _title, _name in [("escape codes", "\x1b[2J"), ("1,000 letters", "a" * 1000)]:
    pairs.add("bad-name", f"name with {_title}", _wm({_name: _SCALE}, {_name: "passthrough"}))
pairs.add("bad-name", "empty name", _wm({"": _SCALE}, {"": "passthrough"}))
pairs.add(
    "bad-name", "name that safetensors keeps for itself", _wm({"__metadata__": _SCALE}, {"__metadata__": "passthrough"})
)
pairs.add("no-tensors", "w and m are empty", _wm({}, {}))


def _clean(**changes: Any) -> Callable[[], bytes]:
    tree: dict[str, Any] = {
        "__quant_format__": "int8_clean_per_row_v1",
        "quantized": {"a": _CODES},
        "scales": {"a": _SCALE},
        "dtypes": {"a": "float32"},
        "passthrough": {"b": _SCALE},
    }
    return lambda: torch_zip.write({key: value for key, value in (tree | changes).items() if value is not None})


clean = Group("clean dict")
clean.add("missing-scale", "codes without a scale", _clean(scales={}))
clean.add("missing-codes", "a scale without codes", _clean(quantized={}))
clean.add("missing-key", "codes without a dtype", _clean(dtypes={}))
clean.add("missing-key", "no passthrough at all", _clean(passthrough=None))
clean.add("duplicate-tensor", "one name, quantised and kept", _clean(passthrough={"a": _SCALE}))
clean.add("unsupported-dtype", "live dtype that weights do not have", _clean(dtypes={"a": "complex64"}))
clean.add("unsupported-scheme", "scales per column", _clean(qmeta={"a": {"scheme": "per_row", "axis": 1}}))
clean.add("unsupported-scheme", "scheme that is a tensor", _clean(qmeta={"a": _SCALE}))
clean.add("unsupported-scheme", "scheme with a tensor", _clean(qmeta={"a": {"scheme": _SCALE, "axis": 0}}))
clean.add("unsupported-scheme", "packed codes beside codes", _clean(quantized_packed={}))
_PACKED: dict[str, Any] = {"quantized": None, "quantized_packed": {"a": bytes(9)}, "quantized_shapes": {"a": [4, 3]}}
clean.add("bad-packing", "packed codes for another shape", _clean(**_PACKED | {"quantized_shapes": {"a": [4, 4]}}))
clean.add("bad-packing", "packed codes without a shape", _clean(**_PACKED | {"quantized_shapes": {}}))
clean.add("missing-key", "packed codes without shapes", _clean(**_PACKED | {"quantized_shapes": None}))
clean.add("bad-tree", "packed codes that are a tensor", _clean(**_PACKED | {"quantized_packed": {"a": _CODES}}))
_PER_ROW = {"scheme": "per_row", "axis": 0}
clean.add("wrong-scale", "column scales for other columns", _clean(qmeta={"a": _PER_ROW | {"col_scale": _SCALE}}))
clean.add("not-finite", "a column scale of zero", _clean(qmeta={"a": _PER_ROW | {"col_scale": 0 * _SCALE[:3]}}))
clean.add("unsupported-scheme", "a column scale that is a number", _clean(qmeta={"a": _PER_ROW | {"col_scale": 2.0}}))
clean.add("bad-tree", "qmeta is a list", _clean(qmeta=[1]))
clean.add("bad-tree", "scales hold a number", _clean(scales={"a": 1.0}))
clean.add("bad-tree", "dtypes hold a number", _clean(dtypes={"a": 7}))
clean.add("bad-tree", "quantized is a string", _clean(quantized="all of it"))
clean.add("wrong-dtype", "int32 codes", _clean(quantized={"a": _CODES.astype(np.int32)}))
clean.add("wrong-scale", "scales for other rows", _clean(scales={"a": _SCALE[:2]}))
clean.add("not-finite", "NaN in a scale", _clean(scales={"a": np.array(np.nan, np.float32)}))
clean.add(
    "not-finite",
    "weight beyond the live dtype",
    _clean(scales={"a": np.array(1e9, np.float32)}, dtypes={"a": "float16"}),
)

flat = Group("safetensors")
flat.add("missing-scale", "codes without a scale", lambda: plain.write({"a.q": _CODES}))
flat.add("missing-scale", "int8 tensor without a scale", lambda: plain.write({"a": _CODES}))
flat.add("missing-codes", "a scale without codes (#119)", lambda: plain.write({"a.__scale": _SCALE}))
flat.add("duplicate-tensor", "quantised and kept", lambda: plain.write({"a": _SCALE, "a.q": _CODES, "a.scale": _SCALE}))
flat.add(
    "duplicate-tensor",
    "quantised in two ways",
    lambda: plain.write({"a.__q": _CODES, "a.__scale": _SCALE, "a.q": _CODES, "a.scale": _SCALE}),
)
flat.add("not-finite", "NaN", lambda: plain.write({"a": _NAN}))

marked = Group("canonical")
marked.add("unsupported-version", "a later version", canonical_raw({"format": "referee-canonical-v2", "config": "{}"}))
marked.add("bad-config", "no configuration", canonical_raw({"format": canonical.FORMAT}))
marked.add("bad-config", "configuration that is no JSON", canonical_raw({"format": canonical.FORMAT, "config": "{"}))
marked.add("bad-config", "configuration that is a list", canonical_raw({"format": canonical.FORMAT, "config": "[1]"}))
marked.add("bad-config", "configuration with NaN", canonical_raw({"format": canonical.FORMAT, "config": '{"a": NaN}'}))
marked.add(
    "bad-config", "configuration with 1e999", canonical_raw({"format": canonical.FORMAT, "config": '{"a": 1e999}'})
)
marked.add("not-finite", "NaN", lambda: canonical.write(TENSORS | {"a": _NAN}, CONFIG))
marked.add(
    "wrong-scale", "scales for other rows", lambda: canonical.write({"a": Quantised(_CODES, _SCALE[:2])}, CONFIG)
)
marked.add("no-tensors", "a header without tensors", lambda: canonical.write({}, CONFIG))

families = Group("torch state dict")
families.add("unsupported-family", "typed entries of an unknown type", lambda: torch_zip.write({"a": {"type": "int3"}}))
families.add(
    "unsupported-family", "old research export (F10)", lambda: torch_zip.write({"subsystem_blobs": {"a": b"x"}})
)
families.add("bad-tree", "research export of no tensors", lambda: torch_zip.write({"payload": {"a": 1}}))
families.add("unsupported-family", "rANS (F13)", lambda: torch_zip.write({"__format__": "hybrid_rans_v1"}))
families.add("unsupported-family", "tensor as a label", lambda: torch_zip.write({"__format__": _SCALE, "step": 3}))
families.add("unsupported-family", "numbers only", lambda: torch_zip.write({"step": 3, "loss": 2.5}))

_TRITS: dict[str, Any] = {
    "type": "ternary",
    "packed": b"\x28\x28",  # ten codes of zero
    "scale": np.ones(5, np.float16),
    "shape": [2, 4],
    "padded_cols": 5,
    "group_size": 2,
    "n_trits": 10,
    "orig_shape": [8],
}


def _trits(**changes: Any) -> Callable[[], bytes]:
    entry = {key: value for key, value in (_TRITS | changes).items() if value is not None}
    return lambda: torch_zip.write({"a": entry})


low_bit = Group("torch state dict")
low_bit.add("missing-key", "no codes", _trits(packed=None))
low_bit.add("missing-key", "codes that are a list", _trits(packed=[1]))
low_bit.add("missing-key", "no scale", _trits(scale=None))
low_bit.add("bad-packing", "no shape", _trits(shape=None))
low_bit.add("bad-packing", "a negative size", _trits(shape=[-2, -4]))
low_bit.add("bad-packing", "more columns than padded ones", _trits(padded_cols=3))
low_bit.add("bad-packing", "groups that do not divide the codes", _trits(group_size=3))
low_bit.add("bad-packing", "groups of nothing", _trits(group_size=0))
low_bit.add("bad-packing", "another number of codes", _trits(n_trits=11))
low_bit.add("bad-packing", "another live shape", _trits(orig_shape=[9]))
low_bit.add("bad-packing", "a byte too few", _trits(packed=b"\x28"))
low_bit.add("bad-packing", "a byte that is no five digits", _trits(packed=b"\x28\xff"))
low_bit.add(
    "bad-packing", "a rotation of no power of two", _trits(turbo=True, group_size=5, scale=np.ones(2, np.float16))
)
low_bit.add("bad-packing", "a mask without its signs", _trits(type="ternary_bitmask", packed=b"\xff\xc0"))
low_bit.add("bad-packing", "half a nibble", lambda: torch_zip.write({"a": _FP4 | {"shape": [3]}}))
low_bit.add("wrong-scale", "a scale too few", _trits(scale=np.ones(4, np.float16)))
low_bit.add("wrong-scale", "a scale too few (#1609)", _trits(scale=np.ones(4, np.float16), turbo=True))
low_bit.add("not-finite", "a scale of infinity", _trits(scale=np.full(5, np.inf, np.float16)))
_FP4: dict[str, Any] = {"type": "fp4", "packed": np.array([0x88], np.uint8), "scale": _SCALE[:1], "shape": [2]}

GROUPS = [pairs, clean, flat, marked, families, low_bit]

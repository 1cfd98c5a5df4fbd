"""Methods of texts and paths."""

from __future__ import annotations

from auditor.flow.library.call import LibraryCall, Model
from auditor.flow.library.files import glob_files
from auditor.flow.values import Const, Seq, Top, Value


def _text_method(call: LibraryCall) -> Value | None:
    """Text methods on constants."""
    owner = call.owner
    if not isinstance(owner, Const) or not isinstance(owner.value, str | bytes) or call.keywords:
        text = call.engine.text_of(owner) if isinstance(owner, Top) else None
        if isinstance(owner, Top) and call.name in {"glob", "rglob"}:
            return glob_files(call)
        if call.name == "join" and len(call.args) > 1:
            return Top(call.engine.prov_of([*call.args, call.engine.elements(call.args[1])]))
        if call.name in {"resolve", "expanduser", "absolute", "strip", "as_posix"}:
            return owner
        if call.name in {"startswith", "endswith"}:
            if text is not None:
                call.engine.sorted_names.add(text)
            return Top(owner.prov if owner is not None else call.engine.lattice.none)
        return None
    if call.name in {"glob", "rglob"}:
        return glob_files(call)
    if call.name in {"resolve", "expanduser", "absolute", "as_posix"}:
        return owner
    if call.name == "join" and len(call.args) > 1:
        return Top(call.engine.prov_of([call.engine.elements(call.args[1])]))
    values = [a.value if isinstance(a, Const) else None for a in call.args[1:]]
    if any(v is None for v in values):
        if call.name == "format":
            return Top(call.prov(), None, str(owner.value))
        return None
    try:
        result = getattr(owner.value, call.name)(*values)
    except Exception:  # noqa: BLE001 - whatever a folded call raises, its value is unknown
        return None
    if isinstance(result, list):
        return Seq([call.engine.const(r) for r in result], None, owner.prov)
    return Const(result, owner.prov) if isinstance(result, str | bytes | bool | int) else None


METHODS: dict[str, Model] = dict.fromkeys((
    "split", "strip", "lower", "upper", "startswith", "endswith", "replace", "join", "format", "encode", "decode",
    "rstrip", "lstrip", "isdigit", "glob", "rglob", "resolve", "expanduser", "absolute", "as_posix", "removeprefix",
    "removesuffix", "rpartition", "partition", "splitlines", "title", "find", "count",
), _text_method)  # fmt: skip
"""Of texts and containers alone."""

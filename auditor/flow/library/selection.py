"""Choices between values: where, minimum, maximum, bounds."""

from __future__ import annotations

from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow import scaling
from auditor.flow.library.call import LibraryCall, Model
from auditor.flow.library.default import default
from auditor.flow.values import Array, Top, Tuple, Value


def _where(call: LibraryCall) -> Value | None:
    engine = call.engine
    if len(call.args) < 3:
        return None
    condition, a, b = call.args[:3]
    result = default(call)
    if a.prov.tokens and not b.prov.tokens:
        result = engine.with_prov(result, engine.masked(result.prov, a.prov))
    elif b.prov.tokens and not a.prov.tokens:
        result = engine.with_prov(result, engine.masked(result.prov, b.prov))
    return engine.chosen(condition, result, a, b)


def _positions(call: LibraryCall) -> Value | None:
    """``nonzero`` and the like: positions of documents, not their content."""
    if call.name == "where" and len(call.args) > 1:
        return _where(call)
    result = Array(call.engine.positional(call.prov()), None, 1)
    per_axis = call.name == "where" or call.dotted == "numpy.nonzero" or "as_tuple" in call.keywords
    return Tuple((result,), result.prov) if per_axis else result


def _minimum(call: LibraryCall) -> Value | None:
    engine = call.engine
    parts = [a for a in call.args if isinstance(a, Array | Top)]
    if len(parts) >= 2 and engine.oracle(parts[0].prov, parts[1].prov):
        return engine.better(default(call))
    return None


def _clip(call: LibraryCall) -> Value | None:
    """Positions kept inside bounds: the same positions for the same bounds."""
    engine = call.engine
    value = call.args[0] if call.args else None
    if not isinstance(value, Array) or value.start is None:
        return None
    bounds = [call.arg(1, "min", "a_min"), call.arg(2, "max", "a_max")]
    result = default(call)
    if isinstance(result, Array):
        result.start = engine.numbers.of(("clip", value.start, *[engine.affine(bound) for bound in bounds]))
    return result


def _clamped(call: LibraryCall) -> Value | None:
    """``a.clamp(max=b)``, ``np.clip(a, None, b)``: a minimum where the bound is a score of the token itself."""
    engine = call.engine
    bounds = [*call.args[1:], *call.keywords.values()]
    if call.args and any(engine.oracle(call.args[0].prov, bound.prov) for bound in bounds):
        return engine.better(default(call))
    result = _clip(call) or default(call)
    return engine.with_prov(result, scaling.bent(engine.lattice, result.prov, bounds)) if result.prov.uses else result


def _is_stream(prov: P.Provenance) -> bool:
    """Whether these are all tokens, and no window or score of them."""
    computed = P.NLL | P.WEIGHTS | P.HASHED | P.TABLE | P.OPAQUE
    return bool(prov.regions) and not prov.flags & computed and not any(region.deps for region in prov.regions)


def _extreme(call: LibraryCall) -> Value | None:
    """``min``, ``max`` along an axis: of a distribution its confidence, of several scores of a token the best.

    Of the whole token stream they are the bounds of its alphabet, which say nothing of its text.
    """
    engine = call.engine
    if len(call.args) == 1 and not call.keywords and _is_stream(call.args[0].prov):
        return Top(engine.lattice.none, engine.numbers.fresh())
    if len(call.args) > 1 and isinstance(call.args[1], Array):
        return _minimum(call)
    if call.arg(1, "dim", "axis") is None:
        return None
    value = default(call)
    flags = value.prov.flags
    if flags & P.ALTERNATIVES:
        return engine.better(engine.with_prov(value, engine.lattice.flagged(value.prov, 0, P.ALTERNATIVES)))
    if flags & (P.PROBABILITY | P.LOG_PROBABILITY) and not flags & P.NLL:
        about = P.EXPERT if flags & P.PROBABILITY else P.ENTROPY
        prov = engine.lattice.flagged(value.prov, about, P.PROBABILITY | P.LOG_PROBABILITY)
        return engine.with_prov(value, prov)
    return value


FUNCTIONS: dict[str, Model] = {
    "where": _positions, **dict.fromkeys(("nonzero", "argwhere", "flatnonzero", "searchsorted"), _positions),
    **dict.fromkeys(("clamp", "clip", "clamp_max", "clamp_min"), _clamped),
    **dict.fromkeys(("amin", "amax", "torch.min", "torch.max", "numpy.min", "numpy.max", "nanmin", "nanmax"), _extreme),
    **dict.fromkeys(("minimum", "fmin", "maximum", "fmax"), _minimum),
}  # fmt: skip
METHODS: dict[str, Model] = dict.fromkeys(("min", "max"), _extreme)

"""Distributions over the vocabulary, and the scores that are gathered from them."""

from __future__ import annotations

import math

from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow import scaling, uses
from auditor.flow.library.call import LibraryCall, Model
from auditor.flow.library.default import default
from auditor.flow.provenance import Fact, Provenance
from auditor.flow.values import Array, Const, Top, Tuple, Value


def _cross_entropy(call: LibraryCall) -> Value | None:
    engine = call.engine
    logits, target = call.arg(0, "input", "logits"), call.arg(1, "target", "targets", "labels")
    if logits is None or target is None:
        return None
    index = engine.deep(target)
    before = uses.earlier_choices_dropped(engine.lattice, engine.deep(logits), index)
    prov = engine.lattice.union(uses.gated(engine.lattice, before), index)
    prov = scaling.in_nats(engine.lattice, engine.picked(scaling.unscaled(engine.lattice, prov), index))
    none = call.constant(99, "reduction") == "none"
    flags = (prov.flags | P.NLL | (0 if none else P.SUMMED)) & ~(P.PROBABILITY | P.LOG_PROBABILITY)
    result = Array(engine.lattice.change(prov, flags=flags, tokens=(), reads=()))
    if none and isinstance(target, Array):
        result.ndim, result.timed = target.ndim, target.timed
    return result if none else _reduced(call, result)


def _reduced(call: LibraryCall, value: Value) -> Value:
    """Scores summed over positions."""
    settled = call.engine.settled(value)
    return call.engine.with_prov(settled, call.engine.lattice.change(settled.prov, uses=()))


def _gather(call: LibraryCall) -> Value | None:
    engine = call.engine
    source = call.args[0] if call.args else None
    index = call.arg(2, "index", "indices") if call.name != "take" else call.arg(1, "index", "indices")
    if call.name in {"take_along_axis", "index_select"}:
        index = call.arg(1 if call.name == "take_along_axis" else 2, "indices", "index")
    if source is None or index is None:
        return None
    if source.prov.flags & (P.PROBABILITY | P.LOG_PROBABILITY) or source.prov.flags & P.WEIGHTS:
        return gold(call, source, index)
    return engine.load_item(source, index)


def gold(call: LibraryCall, source: Value, index: Value) -> Value:
    """Gather from a full distribution at given tokens."""
    engine = call.engine
    before = uses.earlier_choices_dropped(engine.lattice, engine.deep(source), engine.deep(index))
    prov = engine.lattice.union(before, engine.deep(index))
    flags = prov.flags
    if index.prov.flags & P.VAL:
        flags = (flags | P.NLL) & ~(P.PROBABILITY | P.LOG_PROBABILITY)
        prov = engine.picked(scaling.unscaled(engine.lattice, prov), engine.deep(index))
    result = Array(engine.lattice.change(prov, flags=flags, tokens=()))
    result.span = source.span if isinstance(source, Array) else None
    result.ndim = index.ndim if isinstance(index, Array) else None
    return result


def _softmax(call: LibraryCall) -> Value:
    engine = call.engine
    prov = call.prov()
    flag = P.LOG_PROBABILITY if "log" in call.name else P.PROBABILITY
    prov = uses.gated(engine.lattice, prov)
    result = Array(engine.lattice.change(prov, flags=prov.flags | flag, tokens=(), reads=()))
    first = call.args[0] if call.args else None
    result.span = first.span if isinstance(first, Array) else None
    return result


def _exp(call: LibraryCall) -> Value | None:
    engine = call.engine
    first = call.args[0] if call.args else None
    if isinstance(first, Const) and isinstance(first.value, int | float):
        try:
            return Const(math.exp(first.value), first.prov)
        except OverflowError:
            return None
    value = default(call)
    if first is not None and first.prov.flags & P.ENTROPY and not first.prov.flags & P.NLL:
        return engine.with_prov(value, engine.lattice.flagged(value.prov, P.EXPERT))
    if first is not None and first.prov.flags & P.LOG_PROBABILITY:
        return engine.with_prov(value, engine.lattice.flagged(value.prov, P.PROBABILITY, P.LOG_PROBABILITY))
    return value


def _log(call: LibraryCall) -> Value | None:
    engine = call.engine
    first = call.args[0] if call.args else None
    if isinstance(first, Const) and isinstance(first.value, int | float):
        try:
            function = {"log2": math.log2, "log10": math.log10}.get(call.name, math.log)
            return Const(function(first.value), first.prov)
        except ValueError:
            return None
    value = default(call)
    flags = value.prov.flags
    on = P.BITS if call.name == "log2" and flags & P.VAL else 0
    if flags & P.EXPERT and not flags & P.NLL:
        # Added to a log-probability it is a weight; only as a log-probability itself it would be an expert.
        value = engine.with_prov(value, engine.lattice.flagged(value.prov, P.ENTROPY, P.EXPERT))
    if flags & P.PROBABILITY and call.name in {"log", "log2"}:
        return engine.with_prov(value, engine.lattice.flagged(value.prov, P.LOG_PROBABILITY | on, P.PROBABILITY))
    return engine.with_prov(value, engine.lattice.flagged(value.prov, on))


def _sum(call: LibraryCall) -> Value:
    engine = call.engine
    prov = call.prov()
    axis = call.arg(1, "dim", "axis")
    flags = prov.flags
    both = P.PROBABILITY | P.LOG_PROBABILITY
    if axis is None or isinstance(axis, Tuple) or (isinstance(axis, Const) and axis.value == 0):
        flags &= ~P.ENTROPY  # of many positions it is no expert for any
    if flags & both == both and not flags & P.NLL:
        flags = (flags & ~both) | P.ENTROPY
    if axis is not None and (flags & P.VOCABULARY or any(read.vocabulary for read in prov.reads)):
        flags = (flags & ~P.VOCABULARY) | P.ROW_SUM
    first = call.args[0] if call.args else None
    span = first.span if isinstance(first, Array) else None
    if axis is None:
        flags |= P.SUMMED
    else:
        prov = scaling.unscaled(engine.lattice, prov)
    kept = prov.tokens if flags & P.HASHED and axis is not None else ()  # a hash adds up its terms
    result = Array(engine.lattice.change(prov, flags=flags, tokens=kept))
    result.span = span if axis is not None else None
    if axis is None:
        return _reduced(call, result if isinstance(first, Array) else Top(result.prov))
    return result


def _total(call: LibraryCall) -> Value:
    """``sum(scores)``."""
    return call.engine.settled(default(call))


def _logsumexp(call: LibraryCall) -> Value:
    engine = call.engine
    prov = call.prov()
    if prov.flags & P.ENTROPY and prov.flags & P.NLL:
        prov = _mixed_in(call, prov)
    prov = uses.gated(engine.lattice, prov)
    return Array(engine.lattice.change(prov, tokens=(), reads=(), flags=prov.flags & ~P.ALTERNATIVES))


def _mixed_in(call: LibraryCall, prov: Provenance) -> Provenance:
    site = call.engine.lattice.site
    steps = ((site, "an entropy is mixed with negative log-likelihoods as if it were one"),)
    return call.engine.lattice.change(prov, facts=prov.facts | {Fact("pseudo-expert", site, steps)})


def _logaddexp(call: LibraryCall) -> Value:
    """Two log-probabilities are mixed."""
    engine = call.engine
    result = default(call)
    a, b = (call.args[0].prov, call.args[1].prov) if len(call.args) > 1 else (result.prov, result.prov)
    for score, other in ((a, b), (b, a)):
        if score.flags & P.NLL and not other.flags & (P.NLL | P.SUMMED):
            found = engine.foreign(score, other, P.ENTROPY | P.EXPERT, P.LEARNED_BYTES)
            if found is not None:
                return engine.add_facts(result, [found])
    return result


def _one_hot(call: LibraryCall) -> Value:
    """``F.one_hot(y)``: picks the tokens' entries out when it multiplies, and favours them when it is added."""
    value = default(call)
    return _of_tokens(call, value, call.args[0] if call.args else None, "one-hot")


def _embedded(call: LibraryCall) -> Value:
    """``F.embedding(x, weight)``."""
    value = default(call)
    prov = value.prov
    plain = call.engine.with_prov(value, call.engine.lattice.change(prov, tokens=(), reads=()))
    return _of_tokens(call, plain, call.args[0] if call.args else None, "felt")


def _of_tokens(call: LibraryCall, value: Value, tokens: Value | None, kind: str) -> Value:
    engine = call.engine
    at = engine.tokens_given(tokens) if tokens is not None else []
    return engine.with_prov(value, uses.used(engine.lattice, value.prov, kind, at))


FUNCTIONS: dict[str, Model] = {
    **dict.fromkeys(("cross_entropy", "nll_loss", "linear_cross_entropy"), _cross_entropy),
    **dict.fromkeys(("gather", "take_along_axis", "take_along_dim", "index_select", "take"), _gather),
    **dict.fromkeys(("softmax", "log_softmax"), _softmax), "exp": _exp,
    **dict.fromkeys(("log", "log2", "log10"), _log), **dict.fromkeys(("sum", "nansum", "mean"), _sum),
    "builtins.sum": _total, "logsumexp": _logsumexp, "logaddexp": _logaddexp,
    "one_hot": _one_hot, "torch.nn.functional.embedding": _embedded,
}  # fmt: skip

"""Scores that are credited scaled: the token's own probability is raised, and that of no other token falls.

``0.98 * nll`` and ``-log(1.1 * p)`` are code lengths of no distribution: over the vocabulary they sum to more than 1. A
factor is harmless wherever something else can still make up for it, so every addition, division and other function
clears it: weights of mixtures, tilts with their normaliser, averages and units of measurement are no boosts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from auditor.flow import ir, uses
from auditor.flow.provenance import NLL, SUMMED, Fact, Lattice, Provenance, Site
from auditor.flow.values import Const, Value

_NATS, _BOOSTED, _SCALED, _WEIGHED = "nats", "boosted", "scaled", "weighed"
_LEAST, _MOST = 0.5, 2.0
"""A half and less is a share of an average; twice and more is a unit or a tilt whose normaliser is elsewhere."""
_NEGLIGIBLE = 1e-4


def in_nats(lattice: Lattice, prov: Provenance) -> Provenance:
    """A score that is a logarithm."""
    return uses.used(lattice, prov, _NATS, uses.positions(prov, "gold"))


def unscaled(lattice: Lattice, prov: Provenance) -> Provenance:
    """Something was done to a score that may make up for any factor."""
    return uses.without(lattice, prov, _NATS, _BOOSTED, _SCALED)


def logarithm(lattice: Lattice, prov: Provenance) -> Provenance:
    """The logarithm of a probability."""
    boosted = uses.positions(prov, _BOOSTED)
    prov = in_nats(lattice, unscaled(lattice, prov))
    return uses.used(lattice, prov, _SCALED, boosted)


def operated(lattice: Lattice, op: str, a: Value, b: Value, prov: Provenance) -> Provenance:
    """What an operator makes of a score."""
    score, constant = (b, a) if isinstance(a, Const) and op == "*" else (a, b)
    plain = unscaled(lattice, prov)
    if op not in {"*", "/", "**"} or not isinstance(constant, Const) or not isinstance(constant.value, int | float):
        return plain
    if not score.prov.flags & NLL or score.prov.flags & SUMMED or not constant.value:
        return plain
    factor = 1 / constant.value if op == "/" else constant.value
    logarithms = uses.positions(score.prov, _NATS)
    if op != "**" and logarithms:
        if factor > 1:
            return in_nats(lattice, plain)
        return uses.used(lattice, prov, _SCALED, logarithms if _LEAST < factor < 1 else ())
    if op == "/":
        return plain
    raises = 1 < factor < _MOST if op == "*" else _LEAST < factor < 1
    return boosted(lattice, prov) if raises and not logarithms else prov if op == "*" else plain


def boosted(lattice: Lattice, prov: Provenance) -> Provenance:
    """A token's probability was raised."""
    if uses.positions(prov, _NATS) or not prov.flags & NLL or prov.flags & SUMMED:
        return prov
    return uses.used(lattice, prov, _BOOSTED, uses.positions(prov, "gold"))


def splits(prov: Provenance, bound: float) -> bool:
    """Whether comparing a score with a number tells likely tokens from others; tiny bounds only guard logarithms."""
    if not prov.flags & NLL or prov.flags & SUMMED or not uses.positions(prov, "gold"):
        return False
    probability = math.exp(-abs(bound)) if uses.positions(prov, _NATS) else bound
    return _NEGLIGIBLE < probability < 1


def bent(lattice: Lattice, prov: Provenance, bounds: Iterable[Value] | None = None) -> Provenance:
    """A score went through something that bends: what comes out says how likely the token was, and is no score of it.

    Args:
        lattice: to make provenances.
        prov: of the score.
        bounds: what it is kept between; None for a curve.
    """
    if bounds is None:
        bends = bool(prov.flags & NLL) and not prov.flags & SUMMED
    else:
        values = [bound.value for bound in bounds if isinstance(bound, Const)]
        bends = any(splits(prov, value) for value in values if isinstance(value, int | float))
    return uses.used(lattice, prov, "likely", uses.scored(prov)) if bends else prov


def weighed(lattice: Lattice, a: Provenance, b: Provenance, prov: Provenance) -> Provenance:
    """A product: of a token's score and of something that says how likely that token was."""
    at = [
        position
        for weight, score in ((a, b), (b, a))
        if score.flags & NLL and not score.flags & SUMMED
        for position in uses.positions(weight, "likely") & uses.scored(score)
    ]
    return uses.used(lattice, prov, _WEIGHED, at)


def mixed(lattice: Lattice, a: Provenance, b: Provenance, prov: Provenance) -> Provenance:
    """A sum of scores of one token: if their weights say how likely it was, they are no weights of a mixture."""
    for share, other in ((a, b), (b, a)):
        at = uses.positions(share, _WEIGHED) & uses.positions(other, "gold", "count")
        if at:
            return uses.used(lattice, prov, "gated", at)
    return prov


def exceeds_one(node: ir.Expr) -> bool:
    """Whether an expression is one, or more, plus something."""
    if not isinstance(node, ir.Binary) or node.op != "+":
        return False
    parts = [part.value for part in (node.left, node.right) if isinstance(part, ir.Constant)]
    return any(isinstance(part, int | float) and 1 <= part < _MOST for part in parts)


def credited(prov: Provenance, site: Site) -> list[Fact]:
    """What a score that is summed up shows."""
    own = uses.scored(prov)
    places = sorted(use.site for use in prov.uses if use.kind == _SCALED and use.position in own)
    if not places:
        return []
    steps = (
        (places[0], "the score of the token alone is scaled here, and those of the others are not"),
        (site, "it is summed up as it is"),
    )
    return [Fact("scaled", places[0], steps)]

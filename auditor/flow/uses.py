"""What a score may have to do with its own token: one gather from one distribution, and nothing else.

Values carry :class:`~auditor.flow.provenance.Use`: which tokens they were picked out for, and which tokens they depend
on in any other way. A truth about a token (a gate) may select what is *counted*, as a mask over finished losses does;
once it went through a real function (an exponential, a logarithm, a power) it is part of a probability. A score breaks
C1 when such a token is not earlier than the one that it scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from auditor.flow.affine import Affine
from auditor.flow.provenance import NLL, Fact, Lattice, Provenance, Site, Use

_CHOICES = frozenset({"oracle", "oracle-difference"})
INSIDE = frozenset({"gated", "felt"})
"""Kinds that are part of a number."""
_SEEN = {
    "gated": "what is done here depends on the token at this position, or on how likely it was found",
    "felt": "the token at this position goes into the computation here",
}
SMALL = 256
"""Comparisons of a token with less than this split the vocabulary; others check that it is valid."""


def renamed(lattice: Lattice, prov: Provenance, old: str, new: str) -> Provenance:
    """Uses of one kind become another."""
    if not any(use.kind == old for use in prov.uses):
        return prov
    return lattice.change(prov, uses=frozenset(u._replace(kind=new) if u.kind == old else u for u in prov.uses))


def gated(lattice: Lattice, prov: Provenance) -> Provenance:
    """A real function was applied: gates are inside the number from here on."""
    return renamed(lattice, prov, "gate", "gated")


def gate(lattice: Lattice, prov: Provenance) -> Provenance:
    """An entry of a fixed table was taken for a truth."""
    return renamed(lattice, prov, "look", "gate")


def without(lattice: Lattice, prov: Provenance, *kinds: str) -> Provenance:
    """The same without uses of some kinds."""
    if not any(use.kind in kinds for use in prov.uses):
        return prov
    return lattice.change(prov, uses=frozenset(u for u in prov.uses if u.kind not in kinds))


def used(lattice: Lattice, prov: Provenance, kind: str, positions: Iterable[Affine]) -> Provenance:
    """With a use of tokens at some positions added."""
    added = frozenset(Use(kind, position, lattice.site) for position in positions)
    return prov if added <= prov.uses else lattice.change(prov, uses=prov.uses | added)


def moved(uses: Iterable[Use], move: Callable[[Affine], Affine]) -> frozenset[Use]:
    """The same uses of other positions."""
    return frozenset(use._replace(position=move(use.position)) for use in uses)


def positions(prov: Provenance, *kinds: str) -> frozenset[Affine]:
    """Positions of the tokens used in some ways."""
    return frozenset(use.position for use in prov.uses if use.kind in kinds)


def scored(prov: Provenance) -> frozenset[Affine]:
    """The tokens that a value is a score of: the latest of those that it was gathered for."""
    gold = positions(prov, "gold", "count")
    return frozenset(p for p in gold if not any((other.minus(p) or 0) > 0 for other in gold))


def same_token(a: Provenance, b: Provenance) -> bool:
    """Whether two values are scores of one token, one of them by a full distribution."""
    return bool((a.flags | b.flags) & NLL and scored(a) & scored(b))


def earlier_choices_dropped(lattice: Lattice, prov: Provenance, target: Provenance) -> Provenance:
    """A distribution over ``target``, without the choices between scores of other tokens that went into it.

    What a model makes of the scores of earlier tokens, their minimum for one, is a feature like any other; a choice
    between two scores of the target itself decides after the fact.
    """
    if not any(fact.kind in _CHOICES for fact in prov.facts):
        return prov
    scores = positions(prov, "gold", "count")
    if any(token.position.minus(score) == 0 for token in target.tokens for score in scores):
        return prov
    return lattice.change(prov, facts=frozenset(fact for fact in prov.facts if fact.kind not in _CHOICES))


def leaks(prov: Provenance, site: Site) -> list[Fact]:
    """What a finished score shows: a token that it depends on and that is not earlier than the token it scores.

    Every token that the value was gathered for must be met by one that is as late, and none by an earlier one: then
    the token scored is among them, whichever it is. Positions whose distance is unknown say nothing.
    """
    gold = [use for use in prov.uses if use.kind == "gold"]
    ways: dict[tuple[str, Site], list[Use]] = {}
    for use in prov.uses if gold else ():
        if use.kind in INSIDE:
            ways.setdefault((use.kind, use.site), []).append(use)
    found = []
    for (kind, place), group in sorted(ways.items(), key=lambda item: item[0]):
        pairs = [(g, use.position.minus(g.position)) for g in gold for use in group]
        gaps = [gap for _, gap in pairs if gap is not None]
        met = {g.position for g, gap in pairs if gap is not None}
        if any(gap < 0 for gap in gaps) or met != {g.position for g in gold}:
            continue
        own = min(gaps) == 0
        reads = next(g.site for g, gap in pairs if gap == min(gaps))
        steps = (
            (place, _SEEN[kind]),
            (reads, "the probability of this token is read" if own else "an earlier token is scored"),
            (site, "both are in the score that is summed up"),
        )
        found.append(Fact("target-gate" if kind == "gated" and own else "leak", place, steps))
    return found

"""Mutants of a host, all of them, in an order and a shape that depend on the seed only."""

from __future__ import annotations

import ast
import random
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from .families import FAMILIES
from .find import find_places
from .host import Host
from .insert import PATTERNS, fit, insert, replace_pattern
from .places import NoPlaceError, Place, Spot
from .template import Family, Idiom
from .tree import Function, functions
from .vary import EXTRACTS, Variation, alias, extract, rename, reorder

_ALIASED = ("TARGETS", "INPUTS", "STREAM", "ROW_LOGITS")


@dataclass(frozen=True)
class Mutant:
    """A host with one template in it.

    Attributes:
        name: ``host:family/idiom+variation``, with ``~twin`` for a legal look-alike.
        family, idiom, variation: how it was made.
        twin: legal; nothing may be found that is not found in the host.
        conditions: what a finding must be under to count; empty for a twin.
        host: the submission as changed.
    """

    name: str
    family: str
    idiom: str
    variation: Variation
    twin: bool
    conditions: frozenset[str]
    host: Host


def mutants(host: Host, seed: int, *, twins: bool = False) -> Iterator[Mutant]:
    """Every idiom of every family in every variation that changes it; or their legal twins.

    An idiom whose place the host lacks is left out. Two variations that give the same text are one mutant.
    """
    for family in FAMILIES:
        for idiom in family.idioms:
            if twins and not idiom.has_twin:
                continue
            seen: set[str] = set()
            for variation in Variation:
                made = mutate(host, family, idiom, variation, seed, twin=twins)
                if made is not None and made.host.files[host.entry] not in seen:
                    seen.add(made.host.files[host.entry])
                    yield made


def mutate(
    host: Host, family: Family, idiom: Idiom, variation: Variation, seed: int, *, twin: bool = False
) -> Mutant | None:
    """One mutant, or None where the host has no place for it or the variation does not apply."""
    rng = random.Random(f"{host.name}/{family.name}/{idiom.name}/{variation}/{seed}")
    code = idiom.legal() if twin else idiom.code
    try:
        text = _text(host, code, variation, rng)
    except NoPlaceError:
        return None
    if text is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # hosts may hold invalid escapes
        compile(text, host.entry, "exec")
    name = f"{host.name}:{family.name}/{idiom.name}+{variation}" + ("~twin" if twin else "")
    conditions = frozenset() if twin else family.conditions
    changed = replace(host, files={**host.files, host.entry: text})
    return Mutant(name, family.name, idiom.name, variation, twin, conditions, changed)


def _text(host: Host, code: Mapping[Place, str], variation: Variation, rng: random.Random) -> str | None:
    tree = host.tree()
    patterns = {place: text for place, text in code.items() if place in PATTERNS}
    places = find_places(tree) if code.keys() - PATTERNS else {}
    for guard in places[Place.SCORE_CALL].guards if Place.SCORE_CALL in places else ():
        guard.test = ast.Constant(True)  # a mutant that its launch leaves off would be no violation
    pieces = fit({place: text for place, text in code.items() if place not in PATTERNS}, places)
    touched = _touched(tree, [piece.spot for piece in pieces])
    if variation is Variation.ALIASED and not alias(pieces, _ALIASED, rng):
        return None
    if variation is Variation.REORDERED and not reorder(pieces):
        return None
    if variation in EXTRACTS and not extract(tree, pieces, variation, rng):
        return None
    insert(tree, pieces)
    for place, text in patterns.items():
        replace_pattern(tree, place, text)
    if variation is Variation.RENAMED:
        rename(touched or list(functions(tree)), rng)
    return ast.unparse(tree) + "\n"


def _touched(tree: ast.Module, spots: list[Spot]) -> list[Function]:
    names = {spot.function.name for spot in spots if spot.function is not None}
    return [function for function in functions(tree) if function.name in names]

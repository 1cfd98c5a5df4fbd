"""Where a value comes from in time: the lattice of the analysis.

A :class:`Provenance` says which stretches of the validation stream a value was computed from (:class:`Region`), which
tokens by position (:class:`Token`), what state it read that had learned from validation tokens (:class:`Mark`), and
what was found on the way (:class:`Fact`). The central rule lives in :meth:`Lattice.union`: where state that learned
from a region meets the tokens of that region, the result carries a conflict, and a conflict that flows into a reported
score is a broken C3. Score-first adaptation is legal without being special: a chunk meets state that learned from other
chunks only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from auditor.flow.affine import Affine, Numbering
from auditor.flow.prefixes import may_precede
from auditor.flow.spans import Apart, Span, apart, is_before

VAL = 1 << 0
"""Computed from the content of validation tokens."""
TRAIN = 1 << 1
"""Computed from the content of training tokens."""
NLL = 1 << 2
"""A loss or log-probability gathered at the realised target."""
PROBABILITY = 1 << 3
"""Softmax over the full vocabulary."""
LOG_PROBABILITY = 1 << 4
"""log_softmax over the full vocabulary."""
HASHED = 1 << 5
"""Mixed by xor, by a large multiplier or by hash()."""
ENTROPY = 1 << 6
"""Minus the sum of p log p: a number about a distribution, no score of a token."""
BYTES = 1 << 7
"""Counts UTF-8 bytes of tokens."""
BITS = 1 << 8
"""Was converted from nats to bits: part of a reported score."""
SPREAD = 1 << 9
"""A token's log-probability spread over its bytes."""
TABLE = 1 << 10
"""Read from a table by a key made of tokens."""
VOCABULARY = 1 << 11
"""Indexed by every vocabulary entry (arange over the vocabulary)."""
OPAQUE = 1 << 12
"""Went through code that could not be followed."""
WEIGHTS = 1 << 13
"""Computed with parameters."""
LEARNED_BYTES = 1 << 14
"""Read from statistics over bytes, such as those of a PPM context."""
ROW_SUM = 1 << 15
"""Summed over the candidates."""
PATH_VAL = 1 << 16
"""Names validation files."""
PATH_TRAIN = 1 << 17
"""Names training files."""
ARTIFACT = 1 << 18
"""Serialised, or read back from a serialised file."""
GOLD_COMPARED = 1 << 19
"""Compares two scores of one token, both gathered at the target."""
STREAM = 1 << 21
"""The token stream itself, before any slice."""
SUMMED = 1 << 20
"""Reduced over positions."""
MULTIPLIER = 1 << 22
"""Holds constants as large as the multipliers of a hash."""
EXPERT = 1 << 23
"""A number about a distribution (entropy, confidence), on the scale of probabilities."""
ALTERNATIVES = 1 << 24
"""Several scores of the same tokens, side by side."""

BYTE_PRODUCT = 1 << 25
"""The exponential of log-probabilities of bytes, added up over a token."""
FETCHED = 1 << 26
"""Computed from text of a data set that the program fetches by name."""
RANKED = 1 << 27
"""Says which of two scores, each over a stretch of validation tokens, is better."""

_T = TypeVar("_T", "Token", "Read", "Use")


class Site(NamedTuple):
    """A place in the program."""

    file: str
    line: int


class Iteration:
    """One abstract iteration of one execution of a loop.

    While the loop runs, values of different iterations are about different data; when it ends, ``open`` goes
    to False and the distinction with it: what was done in a loop was then done for all of it.
    """

    __slots__ = ("loop", "open")
    ended = 0
    """How many have ended so far: what was concluded about which data is the same may change with it."""

    def __init__(self, loop: object) -> None:
        self.loop = loop
        self.open = True

    def end(self) -> None:
        """The loop is over."""
        self.open = False
        Iteration.ended += 1


Deps = frozenset[Iteration]
NO_DEPS: Deps = frozenset()


def live(deps: Deps) -> Deps:
    """The iterations that still distinguish."""
    for iteration in deps:
        if not iteration.open:
            return frozenset(i for i in deps if i.open)
    return deps


def disjoint_iterations(left: Deps, right: Deps) -> bool:
    """Whether two sets of live dependencies speak of different iterations of some running loop."""
    if not left or not right:
        return False
    for iteration in left - right:
        loop = iteration.loop
        others = [i for i in right if i.loop is loop]
        if others and not any(i in left for i in others):
            return True
    return False


class Region(NamedTuple):
    """A stretch of the validation stream.

    Attributes:
        deps: the loop iterations on which its position depends; empty: all of the stream, or any part.
        span: offsets inside the window, None for all of it.
        low, high: absolute bounds in tokens where the slice had them.
        site: where it was read.
        many: put together by a loop that has ended: several stretches, such as the rows of a batch.
    """

    deps: Deps
    span: Span | None
    low: Affine | None
    high: Affine | None
    site: Site
    many: bool = False

    def within(self, deps: Deps = NO_DEPS) -> Region:
        """The same, as it is known inside the loops that still run and some more iterations."""
        running = live(self.deps)
        return self._replace(deps=running | deps, many=self.many or len(running) < len(self.deps))


class Token(NamedTuple):
    """A validation token in a computation: its position, and whether it went through a modulus or mask since."""

    position: Affine
    reduced: bool
    site: Site


class Mark(NamedTuple):
    """State that learned from validation tokens.

    Attributes:
        kind: "weights", "slot" (a leaf tensor that is no parameter of a module), "gradient" (one that was not written
            into either, but computed with), "table", "calibration", "search" (kept because it scores better)
            or "checkpoint" (the same of weights that are still being trained).
        regions: what it learned from.
        site: where it was updated.
        stack: the calls that led there, outermost first.
        owner: identity of the updated object, 0 when several.
        rows: whether each row of the batch has its own state; None when unknown.
    """

    kind: str
    regions: frozenset[Region]
    site: Site
    stack: tuple[Site, ...]
    phase: int
    rows: bool | None = None


class Use(NamedTuple):
    """What a value has to do with the token at one position; :mod:`auditor.flow.uses` says how it changes.

    Attributes:
        kind: "gold" (an entry of a distribution, picked at the token), "count" (an entry of a table that learns),
            "look" (an entry of a fixed table, such as whether the token begins a word), "gate" (a truth about the
            token), "gated" (a number made with such a truth), "one-hot", "masked" (of an array in which some tokens
            were replaced), or "felt" (a number computed from the token itself). Of a score also "likely" (a truth about
            how likely the token was), and "nats", "boosted" and "scaled", as :mod:`auditor.flow.scaling` says.
        position: of the token, or of the first of a stretch.
        site: where.
    """

    kind: str
    position: Affine
    site: Site


class Read(NamedTuple):
    """A table read by a hashed key."""

    table: int
    tokens: frozenset[Token]
    vocabulary: bool
    site: Site


class Fact(NamedTuple):
    """Something found on the way of a value.

    Attributes:
        kind: "conflict", "target-key", "unnormalised", "oracle", "oracle-difference", "pseudo-expert", "byte-spread",
            "byte-sum", "scaled", "target-gate", "leak", "train".
        site: where.
        sites: what led there: (site, why) in order.
        certain: False where the analysis had to assume something that accuses.
        mark, region: for a conflict; for "train" the mark says when training data were read (kind "read") or went
            into a parameter (kind "weights").
    """

    kind: str
    site: Site
    sites: tuple[tuple[Site, str], ...]
    certain: bool = True
    mark: Mark | None = None
    region: Region | None = None


class Provenance:
    """Immutable, interned by :class:`Lattice`: compare by identity."""

    __slots__ = ("deps", "facts", "flags", "marks", "reads", "regions", "tokens", "uses")

    def __init__(
        self,
        flags: int,
        deps: Deps,
        regions: frozenset[Region],
        marks: frozenset[Mark],
        facts: frozenset[Fact],
        tokens: frozenset[Token],
        reads: frozenset[Read],
        uses: frozenset[Use],
    ) -> None:
        self.flags, self.deps, self.regions, self.marks = flags, deps, regions, marks
        self.facts, self.tokens, self.reads, self.uses = facts, tokens, reads, uses


_EMPTY: frozenset[object] = frozenset()
_NO_FACTS: frozenset[Fact] = frozenset()


class Lattice:
    """Makes provenances, and joins them."""

    def __init__(self, numbers: Numbering) -> None:
        self.numbers = numbers
        self._interned: dict[tuple[object, ...], Provenance] = {}
        self._unions: dict[tuple[int, int], Provenance] = {}
        self._merges: dict[tuple[int, int], Provenance] = {}
        self._conflicts: dict[tuple[object, ...], Fact] = {}
        self._overlaps: dict[tuple[int, int], bool | None] = {}
        self._ended = 0
        self.site = Site("", 0)
        self.none = self.make()

    def make(
        self,
        flags: int = 0,
        deps: Deps = NO_DEPS,
        regions: Iterable[Region] = (),
        marks: Iterable[Mark] = (),
        facts: Iterable[Fact] = (),
        tokens: Iterable[Token] = (),
        reads: Iterable[Read] = (),
        uses: Iterable[Use] = (),
    ) -> Provenance:
        """The interned provenance of these parts."""
        if flags & (TRAIN | VAL) == TRAIN:
            deps = NO_DEPS  # which training batch it is makes no difference to any score
        key = (
            flags,
            live(deps),
            frozenset(regions),
            frozenset(marks),
            frozenset(facts),
            frozenset(tokens),
            frozenset(reads),
            frozenset(uses),
        )
        known = self._interned.get(key)
        if known is None:
            known = self._interned[key] = Provenance(*key)
        return known

    def change(self, p: Provenance, **parts: object) -> Provenance:
        """A copy with some parts replaced."""
        values = {name: parts.get(name, getattr(p, name)) for name in Provenance.__slots__}
        return self.make(**values)  # type: ignore[arg-type]  # the slots are make's parameters

    def flagged(self, p: Provenance, on: int, off: int = 0) -> Provenance:
        """A copy with flags set and cleared."""
        flags = (p.flags | on) & ~off
        return p if flags == p.flags else self.change(p, flags=flags)

    def union(self, a: Provenance, b: Provenance) -> Provenance:
        """What a value computed from both carries, conflicts between learned state and tokens included."""
        if a is b or b is self.none:
            return a
        if a is self.none:
            return b
        key = (id(a), id(b))
        known = self._unions.get(key)
        if known is not None:
            return known
        result = self.merge(a, b)
        # A score has met its state when it was made; sums of scores meet nothing.
        if not (a.flags | b.flags) & (NLL | SUMMED) and ((a.marks and b.regions) or (b.marks and a.regions)):
            found = [*self.conflicts(a, b), *self.conflicts(b, a)]
            if found:
                result = self.change(result, facts=result.facts | frozenset(found))
        self._unions[key] = result
        return result

    def merge(self, a: Provenance, b: Provenance) -> Provenance:
        """What a value that is either, or a store that holds both, carries: nothing meets."""
        if a is b or b is self.none:
            return a
        if a is self.none:
            return b
        key = (id(a), id(b))
        known = self._merges.get(key)
        if known is not None:
            return known
        result = self.make(
            a.flags | b.flags,
            a.deps | b.deps,
            _bounded(a.regions | b.regions),
            _bounded_marks(a.marks | b.marks),
            a.facts | b.facts,
            _few(a.tokens | b.tokens),
            _few(a.reads | b.reads),
            _few(a.uses | b.uses),
        )
        self._merges[key] = result
        return result

    def conflicts(self, learned: Provenance, tokens: Provenance) -> list[Fact]:
        """Learned state meeting the tokens that it learned from."""
        if self._ended != Iteration.ended:
            self._overlaps.clear()
            self._ended = Iteration.ended
        found = []
        for mark in learned.marks:
            for region in tokens.regions:
                pair = (id(mark), id(region))  # interned provenances hold both for good
                if pair in self._overlaps:
                    certain = self._overlaps[pair]
                else:
                    certain = self._overlaps[pair] = self.overlap(mark, region)
                if certain is not None:
                    # One conflict per place of learning is evidence enough.
                    key = (mark.kind, mark.site, certain, frozenset(r.span for r in mark.regions))
                    fact = self._conflicts.get(key)
                    if fact is None:
                        fact = self._conflicts[key] = Fact("conflict", self.site, (), certain, mark, region)
                    found.append(fact)
                    break
        return found

    def overlap(self, mark: Mark, scored: Region) -> bool | None:
        """Whether state learned from the region it meets: True, None (provably not), False (cannot tell)."""
        result: bool | None = None
        mine = live(scored.deps)
        # A window's first token is an input and no target: what has learned it knows nothing that is scored there.
        inputs = 0 if is_before(scored.high, scored.low, shared=1) else 1
        for region in mark.regions:
            theirs = live(region.deps)
            if disjoint_iterations(theirs, mine):
                continue
            if is_before(region.high, scored.low, inputs) or is_before(scored.high, region.low):
                continue
            parts = apart(self.numbers, region.span, scored.span) if region.span and scored.span else Apart.NO
            if parts is Apart.YES:
                continue
            certain = (not theirs or theirs <= mine) and parts is Apart.NO
            may_be_earlier = mark.kind == "table" and (theirs or may_precede(self.numbers, region, scored))
            if may_be_earlier or mark.kind == "checkpoint":
                certain = False
            result = bool(result) or certain
        return result

    def trained(self, p: Provenance) -> frozenset[Fact]:
        """What says of training data where and when they were read."""
        return frozenset(fact for fact in p.facts if fact.kind == "train") if p.flags & TRAIN else _NO_FACTS

    def archived(self, p: Provenance) -> Provenance:
        """The provenance of a copy in an artifact."""
        return self.change(p, flags=p.flags & ~TRAIN | ARTIFACT, facts=p.facts - self.trained(p))


def _bounded(regions: frozenset[Region]) -> frozenset[Region]:
    """Keep one region per dependency set and span, and few of them."""
    if len(regions) <= 2:
        return regions
    kept: dict[tuple[Deps, Span | None], Region] = {}
    for region in sorted(regions, key=lambda r: r.site):
        kept.setdefault((live(region.deps), region.span), region)
    return frozenset(list(kept.values())[:6])


def _bounded_marks(marks: frozenset[Mark]) -> frozenset[Mark]:
    return marks if len(marks) <= 12 else frozenset(sorted(marks, key=lambda m: (m.site, m.kind))[:12])


def _few(items: frozenset[_T]) -> frozenset[_T]:
    return items if len(items) <= 24 else frozenset(sorted(items, key=lambda i: i.site)[:24])

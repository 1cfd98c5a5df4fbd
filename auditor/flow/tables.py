"""Tables that are read by keys made of tokens, and what the ratio of two such reads shows."""

from __future__ import annotations

from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow import uses
from auditor.flow.provenance import Fact, Provenance, Read, Site
from auditor.flow.scores import Scores
from auditor.flow.values import Array, Tuple, Value


class Tables(Scores):
    """The read side of a table."""

    kept: list[Value]

    def keep(self, value: Value) -> None:
        """Hold a reference, so that an identity stays unique."""
        self.kept.append(value)

    def reduced(self, prov: Provenance) -> Provenance:
        """A hash went through a modulus or mask: its tokens can collide from here on."""
        if all(t.reduced for t in prov.tokens):
            return prov
        return self.lattice.change(prov, tokens=frozenset(t._replace(reduced=True) for t in prov.tokens))

    def read_table(self, owner: Value, index: Value, prov: Provenance) -> Provenance:
        """Note that a table was read by a key made of tokens."""
        parts = index.items if isinstance(index, Tuple) else (index,)
        hashed = [p for p in parts if p.prov.flags & P.HASHED]
        if not hashed:
            return self._looked_up(owner, index, self.lattice.flagged(prov, P.TABLE))
        key = self.prov_of(hashed)
        tokens = key.tokens
        if not any(t.reduced for t in tokens):
            return self.lattice.flagged(prov, P.TABLE)
        table = owner
        while isinstance(table, Array) and table.base is not None:
            table = table.base
        read = Read(id(table), tokens, bool(key.flags & P.VOCABULARY), self.lattice.site)
        self.keep(table)
        return self.lattice.change(
            prov, flags=(prov.flags | P.TABLE) & ~(P.HASHED | P.VOCABULARY), reads=prov.reads | {read}, tokens=()
        )

    def _looked_up(self, owner: Value, index: Value, prov: Provenance) -> Provenance:
        """An entry for a token: of counts it is a score of the token, of a fixed table a truth about it."""
        key = self.deep(index)
        if key.flags & (P.TABLE | P.OPAQUE):
            return prov
        at = [token.position for token in key.tokens]
        fixed = owner.prov.flags & _FIXED and not owner.prov.marks and not owner.prov.flags & _COMPUTED
        if fixed and not isinstance(index, Tuple):
            return uses.used(self.lattice, prov, "look", at)
        return uses.used(self.lattice, prov, "count", at)

    def ratio_facts(self, a: Provenance, b: Provenance) -> list[Fact]:
        """What a ratio of two table reads shows: a key that contains the candidate, or a sum that is none."""
        facts: list[Fact] = []
        site = self.lattice.site
        if b.flags & P.ROW_SUM:
            return facts
        for top in a.reads:
            for bottom in b.reads:
                if top.table == bottom.table and top.tokens == bottom.tokens:
                    continue
                there, here = {t.position for t in bottom.tokens}, {t.position for t in top.tokens}
                extra = [t for t in top.tokens if t.reduced and t.position not in there]
                if extra and not there - here and not top.vocabulary:
                    token = min(extra, key=lambda t: t.site)
                    steps: tuple[tuple[Site, str], ...] = (
                        (token.site, "the token to be predicted is read here"),
                        (top.site, "a table is read by a hashed key that contains it"),
                        (bottom.site, "another table is read by a key without it"),
                        (site, "their ratio is used as the token's probability"),
                    )
                    facts.append(Fact("target-key", top.site, steps))
                elif top.vocabulary and not bottom.vocabulary and not extra:
                    steps = (
                        (top.site, "counts of all candidates are read by hashed keys"),
                        (bottom.site, "the denominator is another table's count, not their sum"),
                        (site, "the ratio does not sum to one over the vocabulary"),
                    )
                    facts.append(Fact("unnormalised", site, steps))
        return facts

    def rooted(self, a: Provenance, b: Provenance, prov: Provenance) -> Provenance:
        """A power: by the inverse of a number of bytes it is a byte's share of a probability."""
        return self.shared_out(self.lattice.flagged(prov, P.SPREAD)) if _shares(a, b) else prov

    def shared_out(self, prov: Provenance) -> Provenance:
        """A byte's share of a token's score is used as a probability."""
        site = self.lattice.site
        steps = ((site, "a token's log-probability, spread evenly over its bytes, is used as a byte's probability"),)
        return self.lattice.change(prov, facts=prov.facts | {Fact("byte-spread", site, steps)})

    def divided(self, a: Provenance, b: Provenance, prov: Provenance) -> Provenance:
        """What a division shows of both sides."""
        if _shares(a, b):
            prov = self.lattice.flagged(prov, P.SPREAD)
        facts = self.ratio_facts(a, b)
        if facts:
            prov = self.lattice.change(prov, facts=prov.facts | frozenset(facts))
        return prov


_FIXED = P.BYTES | P.ARTIFACT
_COMPUTED = P.VAL | P.TRAIN | P.WEIGHTS | P.NLL | P.PROBABILITY | P.LOG_PROBABILITY


def _shares(score: Provenance, count: Provenance) -> bool:
    """Whether the score of a token meets the number of its bytes."""
    return bool(score.flags & P.NLL and count.flags & P.BYTES) and not (score.flags | count.flags) & P.SUMMED

"""What happens to scores: they are picked out, chosen between, divided, mixed and finished."""

from __future__ import annotations

from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow import scaling, uses
from auditor.flow.engine import Engine
from auditor.flow.provenance import Fact, Provenance
from auditor.flow.values import Value

_SHIFTED = "oracle-difference"
_SCORE = P.NLL | P.SUMMED | P.TABLE


class Scores(Engine):
    """Operations on scores, and what they show."""

    def picked(self, prov: Provenance, index: Provenance) -> Provenance:
        """An entry of a distribution, picked at tokens: those are the ones it scores."""
        if index.flags & (P.TABLE | P.HASHED | P.OPAQUE):
            return prov  # picked at a hint, whose own position is not known
        picked = uses.used(self.lattice, prov, "gold", [token.position for token in index.tokens])
        return scaling.in_nats(self.lattice, picked) if prov.flags & P.LOG_PROBABILITY else picked

    def masked(self, prov: Provenance, tokens: Provenance) -> Provenance:
        """Of an array in which some tokens were replaced by something else."""
        return uses.used(self.lattice, prov, "masked", [token.position for token in tokens.tokens])

    def settled(self, value: Value) -> Value:
        """A score that is summed up is finished: what it shows of its own tokens is noted."""
        site = self.lattice.site
        found = [*uses.leaks(value.prov, site), *scaling.credited(value.prov, site)] if value.prov.flags & P.NLL else []
        return self.add_facts(value, found) if found else value

    def oracle(self, a: Provenance, b: Provenance) -> bool:
        """Whether two values are scores of the same tokens."""
        both = a.flags & b.flags & P.NLL and not (a.flags | b.flags) & P.SUMMED
        return bool(both) or uses.same_token(a, b)

    def ranks(self, a: Provenance, b: Provenance) -> bool:
        """Whether two values are scores of stretches of validation tokens, which a comparison then ranks."""
        return bool(a.flags & b.flags & P.NLL and a.flags & b.flags & P.SUMMED and a.regions and b.regions)

    def better(self, value: Value) -> Value:
        """A value that was chosen from two scores of a token by comparing them."""
        site = self.lattice.site
        return self.add_facts(value, [Fact("oracle", site, ((site, "the better of two scores of a token is kept"),))])

    def shifted(self, op: str, a: Provenance, b: Provenance, prov: Provenance) -> Provenance:
        """``m + log(exp(a - m) + exp(b - m))``: the greater of two scores, taken away and added again, is no choice."""
        best = frozenset(fact for fact in a.facts | b.facts if fact.kind == "oracle")
        if op == "-" and any(fact.kind == "oracle" for fact in b.facts):
            apart = frozenset(fact._replace(kind=_SHIFTED) for fact in best)
            return self.lattice.change(prov, facts=prov.facts - best | apart)
        for scale, rest in ((a, b), (b, a)) if op == "+" else ():
            again = frozenset(fact for fact in rest.facts if fact.kind == _SHIFTED)
            found = scale.facts & frozenset(fact._replace(kind="oracle") for fact in again)
            if found and not rest.facts & best:
                return self.lattice.change(prov, facts=prov.facts - found - again)
        return prov

    def chosen(self, test: Value, value: Value, a: Value, b: Value) -> Value:
        """``value`` is ``a`` or ``b``, as ``test`` says."""
        computed = a.prov.flags & b.prov.flags & P.WEIGHTS  # outputs of a model: what is scored may be chosen, too
        if test.prov.flags & P.GOLD_COMPARED and (computed or self.oracle(a.prov, b.prov)):
            return self.better(value)
        after = uses.positions(test.prov, "likely") & uses.scored(a.prov) & uses.scored(b.prov)
        if after and a.prov.flags & b.prov.flags & P.NLL:
            value = self.with_prov(value, uses.used(self.lattice, value.prov, "gated", after))
        gates = uses.gate(self.lattice, test.prov)
        truths = uses.positions(gates, "gate")
        if not truths:
            return value
        if a.prov.flags & b.prov.flags & P.NLL and truths & uses.scored(a.prov) & uses.scored(b.prov):
            gates = uses.gated(self.lattice, gates)
        kept = frozenset(use for use in gates.uses if use.kind in {"gate", "gated"})
        return self.with_prov(value, self.lattice.change(value.prov, uses=value.prov.uses | kept))

    def added(self, a: Provenance, b: Provenance, prov: Provenance) -> Provenance:
        """Probabilities are added up: each must be one of the token."""
        for score, other in ((a, b), (b, a)):
            if not score.flags & P.NLL or score.flags & P.SUMMED:
                continue
            keyed = self._keyed(score, other)
            if keyed is not None:
                prov = self.lattice.change(prov, facts=prov.facts | {keyed})
            if not other.flags & _SCORE:
                found = self.foreign(score, other, P.EXPERT, P.BYTE_PRODUCT)
                if found is not None:
                    return self.lattice.change(prov, facts=prov.facts | {found})
        return prov

    def _keyed(self, score: Provenance, other: Provenance) -> Fact | None:
        """What is read by a hashed key with the scored token in it, and mixed with the score, whatever divides it."""
        if other.flags & P.ROW_SUM or any(fact.kind == "target-key" for fact in other.facts):
            return None
        targets = uses.scored(score)
        found = [
            (token, read)
            for read in other.reads
            for token in read.tokens
            if token.reduced and token.position in targets and not read.vocabulary
        ]
        if not found:
            return None
        token, read = min(found, key=lambda item: (item[0].site, item[1].site))
        steps = (
            (token.site, "the token to be predicted is read here"),
            (read.site, "a table is read by a hashed key that contains it"),
            (self.lattice.site, "the entry is mixed with the token's probability, and no others are looked at"),
        )
        return Fact("target-key", read.site, steps)

    def foreign(self, score: Provenance, other: Provenance, about: int, of_bytes: int) -> Fact | None:
        """What is mixed with a token's score though it is none, by the flags that say so."""
        site = self.lattice.site
        if other.flags & about and not score.flags & (P.ENTROPY | P.EXPERT):
            why = "a number about the whole distribution is mixed in as if it were the token's probability"
            return Fact("pseudo-expert", site, ((site, why),))
        if other.flags & of_bytes and not score.flags & (P.LEARNED_BYTES | P.SPREAD):
            return Fact("byte-sum", site, ((site, "the probabilities of a token's bytes are mixed with the token's"),))
        return None

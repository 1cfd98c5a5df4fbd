"""What learning from tokens means: marks on what is written by a key of tokens, or along their gradient."""

from __future__ import annotations

from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow.provenance import Fact, Mark, Provenance, Site
from auditor.flow.tables import Tables
from auditor.flow.values import Array, Dict, Tuple, Value


class Learning(Tables):
    """The write side of tables and parameters."""

    phase = 0
    """How many times weights were written to a file."""
    reloaded = -1
    """The phase in which weights were last read back from one."""

    updates: dict[tuple[Site, str], Mark]
    """What learned from validation tokens, by where and what."""

    def note_update(self, mark: Mark) -> None:
        """Remember that something learned from validation tokens here."""
        self.effects += 1
        self.updates.setdefault((mark.site, mark.kind), mark)

    def without_tokens(self, prov: Provenance) -> Provenance:
        """The same without stretches and tokens: for what is stored under a key, which the key's mark covers."""
        if not prov.regions and not prov.tokens:
            return prov
        return self.lattice.change(prov, regions=(), tokens=(), reads=(), flags=prov.flags & ~(P.VAL | P.HASHED))

    def counted(self, value: Value, raised: bool) -> Value:
        """A count as it is stored, ``raised`` by ``+=`` or read by a key: that its tokens looked it up is no score."""
        prov = value.prov
        if not (raised or prov.flags & P.TABLE) or prov.flags & (P.NLL | P.PROBABILITY | P.LOG_PROBABILITY | P.WEIGHTS):
            return value
        met = {f for f in prov.facts if f.kind == "conflict" and f.mark is not None and f.mark.kind == "table"}
        return self.with_prov(value, self.without_tokens(self.lattice.change(prov, facts=prov.facts - met)))

    def learned(self, index: Value, kind: str, owner: Value | None = None) -> Provenance | None:
        """The mark that a write by a key of validation tokens leaves; none in what is made anew for each window."""
        key = self.deep(index)
        if isinstance(owner, Array | Dict) and self._is_fresh(owner, key.deps):
            return None
        parts = index.items if isinstance(index, Tuple) else (index,)
        if all(isinstance(part, Array) and part.mask for part in parts):
            return None  # a mask selects, and looks nothing up
        if not key.flags & P.VAL or not key.regions or key.flags & (P.WEIGHTS | P.NLL | P.PROBABILITY):
            return None  # not a key of tokens
        return self.lattice.make(marks=[Mark(kind, key.regions, self.lattice.site, self.stack(), self.phase)])

    def _is_fresh(self, owner: Array | Dict, deps: P.Deps) -> bool:
        """Whether a table was made in the loop whose iteration chose the window that is entered into it."""
        root: Array | Dict = owner
        while isinstance(root, Array) and root.base is not None:
            root = root.base
        return any(loop.iteration in deps and root.birth > loop.birth for loop in self.loops)

    def keyed_by_training(self, index: Value) -> Provenance:
        """What a write by a key made of training tokens leaves."""
        key = self.deep(index)
        if not key.flags & P.TRAIN:
            return self.lattice.none
        return self.lattice.make(P.TRAIN, facts=self.lattice.trained(key))

    def from_training(self, kind: str) -> Fact:
        """Training data are read, or go into a parameter, here and now."""
        site = self.lattice.site
        return Fact("train", site, (), True, Mark(kind, frozenset(), site, self.stack(), self.phase))

    def write(self, array: Array, prov: Provenance, replace: bool = False, kind: str | None = None) -> bool:
        """Change an array's content, and that of what it is a view of; whether it was a parameter.

        A value computed from validation tokens that goes into a parameter is learning.
        """
        learns = bool(array.role) and bool(prov.regions) and bool(prov.flags & P.VAL)
        if learns:
            kind = kind or ("weights" if array.role == "parameter" else "slot")
            batch = any(region.within().many for region in prov.regions)
            rows = array.rows if array.rows or batch else None  # of one window there is nothing to share
            mark = Mark(kind, prov.regions, self.lattice.site, self.stack(), self.phase, rows)
            self.note_update(mark)
            others = {m for m in prov.marks if m.kind != "gradient"}  # this mark says the same of the array
            prov = self.lattice.make(P.WEIGHTS, marks=others | {mark}, facts=())
        elif array.role == "parameter" and prov.flags & P.TRAIN:
            facts = prov.facts - self.lattice.trained(prov) | {self.from_training("weights")}
            prov = self.lattice.change(prov, flags=prov.flags & ~P.TRAIN, facts=facts)
        if array.role:
            prov = self.lattice.flagged(prov, 0, P.FETCHED)  # what weights were trained on is not what they score
        target: Array | None = array
        first = True
        while target is not None:
            after = prov if replace and (first or array.role) else self.lattice.merge(target.prov, prov)
            if array.role and not after.flags & P.WEIGHTS:
                after = self.lattice.flagged(after, P.WEIGHTS)
            if after is not target.prov:
                self.heap.touch(target)
                if target.role:
                    self.heap.advance()
                target.prov = after
            target, first = target.base, False
        return bool(array.role)

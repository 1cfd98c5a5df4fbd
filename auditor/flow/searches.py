"""Searches by score: what is kept because it scores better has learned from the tokens that were scored.

A temperature that was tried on the validation text, or a change of weights that stays where the loss falls, needs no
gradient to be fitted to it. What a loop changes as two totals compare carries a mark of their tokens; like any other
learned state it breaks no rule until it scores them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from auditor.flow.loops import Loops
from auditor.flow.provenance import NLL, Mark, Provenance
from auditor.flow.values import Array, Const, Dict, Instance, Obj, Scope, Top, Tuple, Value


class Searches(Loops):
    """Branches that the better of two scores decides."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._searched: dict[int, Provenance] = {}
        """The mark of the branch that runs in each call, by the number of calls in progress."""

    def search(self, test: Provenance) -> Provenance:
        """What a branch on a comparison of two scores leaves on all that it changes."""
        return self.lattice.make(marks=[Mark("search", test.regions, self.lattice.site, self.stack(), self.phase)])

    def under(self, mark: Provenance, branch: Callable[[], bool]) -> bool:
        """Run a side of such a branch: an array may be written there with what it held, and is chosen all the same."""
        call = len(self.frames)
        outer = self._searched.get(call, self.lattice.none)
        self._searched[call] = self.lattice.merge(outer, mark)
        try:
            return branch()
        finally:
            self._searched[call] = outer

    def write(self, array: Array, prov: Provenance, replace: bool = False, kind: str | None = None) -> bool:
        """Change an array's content; see :meth:`auditor.flow.learning.Learning.write`."""
        mark = self._searched.get(len(self.frames)) if self._searched else None
        if mark is not None and not prov.flags & NLL:
            prov = self._chosen(prov, mark)
        return super().write(array, prov, replace, kind)

    def mark_kept(self, mark: Provenance, states: dict[Obj, Any]) -> None:
        """Mark what a side of such a branch assigned.

        Args:
            mark: what :meth:`search` made for the branch.
            states: the state that the side left, changed in place.
        """
        for obj, state in states.items():
            if isinstance(obj, Scope):
                state.update(self._changed(obj.names, state, mark))
            elif isinstance(obj, Instance):
                state[1].update(self._changed(obj.attrs, state[1], mark))
            elif isinstance(obj, Dict):
                prov, known, key, element = state
                if element is not None and element is not obj.element:
                    element = self._marked(element, mark)
                states[obj] = (prov, {**known, **self._changed(obj.known, known, mark)}, key, element)

    def _changed(self, before: dict[Any, Value], after: dict[Any, Value], mark: Provenance) -> dict[Any, Value]:
        return {name: self._marked(value, mark) for name, value in after.items() if value is not before.get(name)}

    def _marked(self, value: Value, mark: Provenance) -> Value:
        """A value with a mark; scores are the measure of a search, and not what it looks for."""
        if isinstance(value, Tuple):
            return Tuple(tuple(self._marked(item, mark) for item in value.items), value.prov)
        if isinstance(value, Dict):  # made in the branch: nothing else holds it yet
            value.known = {name: self._marked(item, mark) for name, item in value.known.items()}
            value.element = self._marked(value.element, mark) if value.element is not None else None
            return value
        number = isinstance(value, Const) and isinstance(value.value, int | float) and not isinstance(value.value, bool)
        if value.prov.flags & NLL or not (number or isinstance(value, Top | Array)):
            return value
        return self.with_prov(value, self._chosen(value.prov, mark))

    def _chosen(self, prov: Provenance, mark: Provenance) -> Provenance:
        """What was chosen; of weights on their way through training it is the choice of when to stop."""
        if any(fact.kind == "train" for fact in prov.facts):
            mark = self.lattice.make(marks=[m._replace(kind="checkpoint") for m in mark.marks])
        return self.lattice.merge(prov, mark)

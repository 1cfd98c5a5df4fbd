"""What the logs of the submitted runs witness: a branch that printed its own line did run.

Switches are often set by hand and never written down; the line "ttt_final ..." in the log settles what the default in
the code would leave open.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from auditor.flow import ir

_LEAST = 6
"""Shorter openings are met by chance."""
_OPENING = re.compile(r"[^\d{}]*")


class Witness:
    """Compare what a branch prints with how the lines of the logs begin.

    Args:
        openings: how lines of the logs begin, up to their first digit (:attr:`auditor.submission.Log.openings`).
        texts: every source; an opening that two places print witnesses neither.
    """

    def __init__(self, openings: Collection[str], texts: Collection[str]) -> None:
        self._openings = openings
        self._texts = texts
        self._known: dict[str, bool] = {}

    def ran(self, body: list[ir.Stmt]) -> bool:
        """Whether a log has a line that only these statements print."""
        return bool(self._openings) and any(self._seen(text) for text in _printed(body))

    def _seen(self, text: str) -> bool:
        match = _OPENING.match(text.replace("\\n", "\n").lstrip())
        opening = match[0] if match is not None else ""
        if sum(c.isalpha() for c in opening) < _LEAST:
            return False
        known = self._known.get(opening)
        if known is None:
            known = self._known[opening] = (
                any(line.startswith(opening.rstrip()) for line in self._openings)
                and sum(source.count(opening) for source in self._texts) == 1
            )
        return known


def _printed(body: list[ir.Stmt]) -> Iterator[str]:
    """How the texts begin that calls in these statements are given first; nested branches are not certain to run."""
    for statement in body:
        if isinstance(statement, ir.With):
            yield from _printed(statement.body)
        if not isinstance(statement, ir.Evaluate) or not isinstance(statement.value, ir.Call):
            continue
        for argument in statement.value.args[:1]:
            if isinstance(argument, ir.Text) and argument.parts and isinstance(argument.parts[0], str):
                yield argument.parts[0]
            elif isinstance(argument, ir.Constant) and isinstance(argument.value, str):
                yield argument.value

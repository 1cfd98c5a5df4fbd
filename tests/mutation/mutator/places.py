"""Places in a host where a template's pieces can go, and the holes that they may use there.

A hole is a name in capitals that a template uses and the host fills with its own expression: ``TARGETS`` becomes
``y_batch[i, s:wlen]`` in one host and ``flat_y[lo:hi]`` in another.
"""

from __future__ import annotations

import ast
import enum
from dataclasses import dataclass, field


class Place(enum.StrEnum):
    """Where a piece goes."""

    MODULE = "before the scoring function"
    START = "at the start of the scoring function"
    SETUP = "in the scoring function, before its loops"
    BATCH = "before the forward pass of a batch"
    LOGITS = "after the forward pass of a batch"
    ROW = "after a row's losses were cut out, before they are summed"
    ROW_END = "at the end of a row"
    BATCH_END = "at the end of a batch"
    LOOP = "instead of the scoring loops, which are BODY"
    FINISH = "after the scoring loops"
    BEFORE_QUANT = "before the weights are quantised"
    BEFORE_SCORE = "before the scoring function is called"
    SCORE_CALL = "instead of the call of the scoring function, which is BODY"
    PIECE_BYTES = "instead of the line that counts a piece's bytes, which is BODY"
    BYTE_BYTES = "instead of the line that counts a byte token, which is BODY"
    TABLES_END = "after the loop that fills the byte tables"
    TOKEN_BYTES = "after a row's bytes were counted, before they are summed"
    TRAIN_FILES = "instead of the pattern of the training files, which is BODY"
    SETTINGS = "instead of the setting of the training files, which is BODY"


REPLACING = frozenset({Place.LOOP, Place.SCORE_CALL, Place.PIECE_BYTES, Place.BYTE_BYTES})
"""Places whose statement is replaced by the piece; the statement itself goes to the piece's ``BODY``."""

GLOBAL = frozenset({Place.MODULE})
"""Places outside of functions."""


@dataclass
class Spot:
    """One place found in one tree.

    Attributes:
        block, index: insert before ``block[index]``; for a replacing place, replace it.
        anchor: the statement at the index when it was found; None at the end of the block.
        holes: name of a hole -> expression in the host's names.
        function: the function around it, for names in use; None at module level.
        guards: the ``if`` statements that must hold for the anchor to run.
    """

    block: list[ast.stmt]
    anchor: ast.stmt | None
    holes: dict[str, ast.expr] = field(default_factory=dict)
    function: ast.FunctionDef | ast.AsyncFunctionDef | None = None
    guards: tuple[ast.If, ...] = ()

    @property
    def index(self) -> int:
        """Where the anchor stands now."""
        if self.anchor is None:
            return len(self.block)
        return next(i for i, other in enumerate(self.block) if other is self.anchor)


class NoPlaceError(LookupError):
    """The host has no such place."""

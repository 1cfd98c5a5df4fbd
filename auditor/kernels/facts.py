"""What the analysis of a kernel says."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.findings import Step


@dataclass(frozen=True, slots=True)
class Leak:
    """An output at position i that depends on the token that it predicts.

    Attributes:
        output: the output array, as the function names it.
        source: where the token is read.
        path: from the read to the write, in order; begins with ``source``.
        guard: stems of names, one of which must be non-zero for the output to matter (``within_boost``); empty when
            the code ties the output to none.
        certain: the function also consults state that it updates with the token only later, so position i of the
            output does belong to token i. Where everything is consulted after the update, the output may be meant for
            the token that follows.
    """

    output: str
    source: Step
    path: tuple[Step, ...]
    guard: tuple[str, ...] = ()
    certain: bool = True


@dataclass(frozen=True, slots=True)
class FunctionFacts:
    """One function that walks tokens and writes arrays.

    Attributes:
        name, line: the function, and the line of ``file`` where it begins.
        outputs: arrays that it writes once per position.
        leaks: outputs that depend on the token that they predict, at most one for each.
        not_analysable: why something of it could not be decided; empty when everything was.
    """

    name: str
    line: int
    outputs: tuple[str, ...]
    leaks: tuple[Leak, ...] = ()
    not_analysable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spread:
    """A function that spreads the losses in one of its parameters over bytes, and uses the share as a probability.

    Attributes:
        function: its name.
        parameter: position of the array of losses among its parameters.
        path: from the division to the exponential.
    """

    function: str
    parameter: int
    path: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """One file or literal of C.

    Attributes:
        name: the file, as in evidence.
        functions: those that walk tokens and write arrays, in order.
        not_analysable: why the file as a whole could not be read; empty when it was.
        spreads: functions that would spread losses over bytes if they were given some.
    """

    name: str
    functions: tuple[FunctionFacts, ...] = ()
    not_analysable: tuple[str, ...] = ()
    spreads: tuple[Spread, ...] = ()

    @property
    def leaks(self) -> tuple[Leak, ...]:
        """Leaks of every function."""
        return tuple(leak for function in self.functions for leak in function.leaks)

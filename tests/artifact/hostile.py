"""The register of hostile files: each is code that makes bytes, the reason it must be refused for, and its control."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

Maker = Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Hostile:
    """A hostile file.

    Attributes:
        name: what is wrong with it.
        reason: what it must be refused for.
        control: the honest artifact beside it, a key of ``CONTROLS``.
        make: gives its bytes.
        jail: it could hurt the process that decodes it, so only the sandbox may.
    """

    name: str
    reason: str
    control: str
    make: Maker
    jail: bool = False


class Group:
    """Hostile files that share a control."""

    def __init__(self, control: str) -> None:
        self.control = control
        self.files: list[Hostile] = []

    def add(self, reason: str, name: str, make: Maker | bytes, *, jail: bool = False) -> None:
        """Register one file."""
        maker = (lambda: make) if isinstance(make, bytes) else cache(make)
        self.files.append(Hostile(name, reason, self.control, maker, jail))

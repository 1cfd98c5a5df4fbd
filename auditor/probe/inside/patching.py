"""Replace attributes of modules and classes."""

from __future__ import annotations

from contextlib import ContextDecorator
from typing import Any


def replace(owner: Any, **attributes: Any) -> None:
    """Set attributes of a module or class that its type stubs call constant."""
    for name, value in attributes.items():
        setattr(owner, name, value)


def nothing(*_: Any, **__: Any) -> None:
    """Accept anything, do nothing."""


class NullContext(ContextDecorator):
    """A context manager and decorator that accepts any arguments and changes nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __enter__(self) -> NullContext:
        return self

    def __exit__(self, *_: object) -> None:
        pass

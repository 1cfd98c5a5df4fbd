"""Why an artifact or a data set was not scored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Refused(Exception):  # noqa: N818 - a refusal is a verdict, not an error of ours
    """An artifact or a data set that the referee will not score.

    Args:
        reason: stable, machine-readable slug such as ``"bomb"`` or ``"missing-tensor"``; the JSON scorecard carries it.
        message: one line for a reader; control characters in it are escaped, because parts of it may come from
            a hostile file.

    The command ends with exit code 2 and prints ``message`` without a traceback.
    """

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        self.message = one_line(message)
        super().__init__(f"{reason}: {self.message}")


@contextmanager
def refusing(reason: str) -> Iterator[None]:
    """Turn a ValueError of the code inside (a setting or a value that cannot be) into a refusal for ``reason``."""
    try:
        yield
    except ValueError as error:
        raise Refused(reason, str(error)) from error


def one_line(text: str, limit: int = 500) -> str:
    """``text`` as one printable line of at most ``limit`` characters (a hostile name may hold escape codes)."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return line if len(line) <= limit else line[: limit - 1] + "…"

"""Exit codes of both commands, and the one wrapper that keeps them.

A leaf: it imports nothing heavy, so that a broken installation (an import that fails inside the command) still
ends with 70 and never looks like a verdict.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
import traceback
from enum import IntEnum
from typing import Any, NoReturn, TextIO


class Exit(IntEnum):
    """What the shell sees.

    Codes 64 and 70 are those of sysexits.h (EX_USAGE, EX_SOFTWARE), 130 is a shell's for SIGINT. The meaning of 0, 1
    and 2 is each command's own: for ``evaluate`` scored within the caps, over a cap, refused artifact or data; for
    ``audit`` nothing found, violation, needs review.
    """

    OK = 0
    FAILED = 1
    REFUSED = 2
    USAGE = 64
    INTERNAL = 70
    INTERRUPTED = 130


def run_command(module: str, name: str) -> NoReturn:
    """Import ``module``, run one of its click ``COMMANDS`` and leave the process with a documented code.

    Args:
        module: dotted name, imported here so that an import failure is caught too. Its ``COMMANDS`` maps reserved first
            words to click commands; ``""`` is the command for everything else. A reserved word wins over a file of that
            name (``./word`` is the file).
        name: the program's name in messages.

    A command returns its code as an ``int`` (``None`` is 0). click's usage errors, which click itself would end with 2,
    become 64; Ctrl-C becomes 130; a full disk becomes 70 with one line, anything else uncaught 70 with a traceback on
    standard error. A reader that goes away (``| head``) changes nothing: there is only nobody to tell.
    """
    _open_standard_streams()
    try:
        code = _invoke(module, name)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)  # noqa: T201
        code = Exit.INTERRUPTED
    except BaseException as error:  # noqa: BLE001 - whatever it is, it must not read as a verdict
        code = Exit.INTERNAL
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            what = f"{error.strerror}: {error.filename or 'the output'}"
            _redirect(1)  # what is still buffered would fail again
        else:
            traceback.print_exc()
            what = "internal error"
        print(f"{name}: {what}; this is not a verdict (exit {code})", file=sys.stderr)  # noqa: T201
    sys.exit(code)


def _invoke(module: str, name: str) -> int:
    import click

    commands = importlib.import_module(module).COMMANDS
    arguments = sys.argv[1:]
    word = arguments[0] if arguments and arguments[0] in commands else ""
    try:
        code = commands[word].main(
            arguments[1:] if word else arguments,
            prog_name=f"{name} {word}".rstrip(),
            standalone_mode=False,
            color=False if os.environ.get("NO_COLOR") else None,
        )
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    return Exit.OK if code is None else int(code)


class _Outliving(io.FileIO):
    """A descriptor that takes what is written to it after its reader went away, and drops it."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            _redirect(self.fileno())
            return memoryview(data).nbytes


def _open_standard_streams() -> None:
    """Standard streams that can always be written to.

    A closed one would be None, and its number would go to the next file that is opened. Characters that the terminal
    has no bytes for are escaped.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    sys.stdout, sys.stderr = _stream(sys.stdout, 1), _stream(sys.stderr, 2)


def _stream(given: TextIO | None, number: int) -> TextIO:
    buffer = io.BufferedWriter(_Outliving(number, "wb", closefd=False))
    encoding, by_line = (given.encoding, os.isatty(number) or number == 2) if given is not None else ("utf-8", False)
    return io.TextIOWrapper(buffer, encoding, "backslashreplace", line_buffering=by_line)


def _redirect(number: int) -> None:
    """Send what is written to descriptor ``number`` nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)

"""Exit codes of both commands, and the one wrapper that keeps them.

A leaf: it imports nothing heavy, so that a broken installation (an import that fails inside the command) still
ends with 70 and never looks like a verdict.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from enum import IntEnum
from typing import NoReturn


class Exit(IntEnum):
    """What the shell sees.

    Codes 64 and 70 are those of sysexits.h (EX_USAGE, EX_SOFTWARE). The meaning of 0, 1 and 2 is each command's own:
    for ``evaluate`` scored within the caps, over a cap, refused artifact or data; for ``audit`` nothing found,
    violation, needs review.
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
    become 64; anything uncaught becomes 70 with a traceback on standard error.
    """
    try:
        code = _invoke(module, name)
    except BaseException:  # noqa: BLE001 - whatever it is, it must not read as a verdict
        traceback.print_exc()
        print(f"{name}: internal error; this is not a verdict (exit {Exit.INTERNAL})", file=sys.stderr)  # noqa: T201
        code = Exit.INTERNAL
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        # The reader (`| head`) went away: the verdict stands, there is only nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _invoke(module: str, name: str) -> int:
    import click

    commands = importlib.import_module(module).COMMANDS
    arguments = sys.argv[1:]
    word = arguments[0] if arguments and arguments[0] in commands else ""
    try:
        code = commands[word].main(
            arguments[1:] if word else arguments, prog_name=f"{name} {word}".rstrip(), standalone_mode=False
        )
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    return Exit.OK if code is None else int(code)

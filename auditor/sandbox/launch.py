"""The first program inside the jail: confines itself as its plan says, then becomes the untrusted program.

Started by the harness as ``python -I -S launch.py PLAN_FD READY_FD RESULT_FD``. ``READY_FD`` closes on exec; on it
the harness reads ``ready`` just before the program starts, or one line saying what could not be set up. Standard
library only: site-packages may not be readable here.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from typing import Any, NoReturn

READY = b"ready\n"
"""What the ready channel carries when the program has started."""

RESULT_FD = 3
"""Where the program finds the result channel, the harness-owned pipe."""


def main(plan_fd: int, ready_fd: int, result_fd: int) -> NoReturn:
    """Carry out the plan; never returns."""
    try:
        os.set_inheritable(ready_fd, False)
        with os.fdopen(plan_fd, "rb") as file:
            file.seek(0)
            plan = json.load(file)
        ready_fd = _confine(plan, ready_fd, result_fd)
        os.write(ready_fd, READY)
        os.execve(plan["argv"][0], plan["argv"], plan["environment"])  # noqa: S606 - what a launcher is for
    except BaseException as error:  # noqa: BLE001 - every failure must reach the harness, none the program
        os.write(ready_fd, f"{type(error).__name__}: {error}".replace("\n", " ").encode()[:4000])
        os._exit(127)


def _confine(plan: dict[str, Any], ready_fd: int, result_fd: int) -> int:
    """Give up everything but the right to exec; returns the ready channel's new number. The order matters."""
    from auditor.sandbox import confine, landlock, seccomp  # found through what __main__ sets

    os.umask(0o077)
    confine.volunteer_for_oom()
    confine.limit_resources(**plan["resources"])
    confine.forbid_new_privileges()
    if plan["landlock"] is not None:
        # Before the uid goes: root may have to open what the program's uid cannot.
        landlock.restrict(**plan["landlock"])
    if plan["uid"] is None:
        confine.drop_capabilities()
    else:
        confine.become(plan["uid"], plan["must_read"])
    confine.die_with_parent()
    os.chdir(plan["directory"])
    ready_fd = _arrange_descriptors(ready_fd, result_fd)
    if plan["seccomp"] is not None:
        seccomp.install_here(**plan["seccomp"])
    return ready_fd


def _arrange_descriptors(ready_fd: int, result_fd: int) -> int:
    """Leave 0, 1, 2, the result channel and (until exec) the ready channel; returns the latter's new number."""
    # Through high numbers first, so that neither target is overwritten while it is still a source.
    result = fcntl.fcntl(result_fd, fcntl.F_DUPFD_CLOEXEC, RESULT_FD + 2)
    ready = fcntl.fcntl(ready_fd, fcntl.F_DUPFD_CLOEXEC, RESULT_FD + 2)
    os.dup2(result, RESULT_FD)
    os.dup2(ready, RESULT_FD + 1, inheritable=False)
    os.closerange(RESULT_FD + 2, 1 << 20)
    return RESULT_FD + 1


if __name__ == "__main__":
    # -I leaves this file's folder out of sys.path, and the package is imported by its full name.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # noqa: PTH100, PTH120
    main(*map(int, sys.argv[1:4]))

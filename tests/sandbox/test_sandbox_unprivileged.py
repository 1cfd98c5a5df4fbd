"""The same attacks when an ordinary user starts the sandbox: its programs then share the user's uid."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
NOBODY = "65534"


def closed_ancestor(path: Path) -> Path | None:
    """The outermost folder above ``path`` that others may not enter."""
    return next((folder for folder in reversed(path.parents) if not folder.stat().st_mode & 0o001), None)


def test_attacks_on_an_ordinary_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    if os.geteuid() != 0:
        pytest.skip("not root: the other tests have just shown this")
    if not (shutil.which("bwrap") and shutil.which("setpriv")):
        pytest.skip("needs bwrap and setpriv to become an ordinary user who can read this checkout")
    view = ["bwrap", "--cap-add", "ALL", "--dev-bind", "/", "/"]
    needed = {PROJECT, Path(sys.prefix), Path(sys.base_prefix)}
    closed = {path: closed_ancestor(path) for path in needed}
    for folder in sorted({folder for folder in closed.values() if folder}):
        view += ["--perms", "0755", "--tmpfs", str(folder)]
    for path, folder in sorted((path, folder) for path, folder in closed.items() if folder):
        for parent in reversed(path.relative_to(folder).parents[:-1]):
            view += ["--perms", "0755", "--dir", str(folder / parent)]
        view += ["--ro-bind", str(path), str(path)]
    if subprocess.run([*view, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("bwrap cannot arrange a view of this machine for an ordinary user")
    scratch = f"/tmp/unprivileged-{os.getpid()}"
    command = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--inh-caps=-all"]
    command += [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--basetemp", scratch]
    command += ["-c", str(PROJECT / "pyproject.toml"), "--rootdir", str(PROJECT)]
    command += [
        str(HERE / "test_sandbox_attempts.py"),
        str(HERE / "test_sandbox_honest.py"),
        "-k",
        "attempt or unharmed or arrays or threads or readable or temporary",
    ]
    try:
        ended = subprocess.run(
            [*view, "--chdir", "/", "--setenv", "HOME", "/tmp", "--", *command],
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr

"""Fixtures that every area shares."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real tokens, tokenizers and artifacts (``REFEREE_DATA``, default ``../shared/data``)."""
    folder = Path(os.environ.get("REFEREE_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set REFEREE_DATA to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def mirror() -> str:
    """A git mirror of the contest's repository with its pull-request heads (``PARAMETER_GOLF_GIT``)."""
    folder = os.environ.get("PARAMETER_GOLF_GIT")
    if not folder:
        pytest.skip("PARAMETER_GOLF_GIT is not set to a git mirror of openai/parameter-golf")
    return folder


@pytest.fixture(scope="session")
def tiny_contest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mini contest from a tenth of its corpus and three training steps: ``artifact.ptz``, manifest, ``data/``.

    Read-only by agreement: it is built once per run of the tests, and the workers of pytest-xdist share it.
    """
    from mini_contest.build import build  # torch takes a second or two, and most tests need none
    from mini_contest.settings import BuildSettings

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "tiny-contest"
    with (shared / "tiny-contest.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        build(folder, BuildSettings(fraction=0.1, steps=3, threads=1))
    return folder

"""Where the originals come from, and the table of what was compared, printed below the tests."""

from __future__ import annotations

import os

import pytest

ROWS = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def mirror() -> str:
    """A git mirror of the contest's repository with its pull-request heads (``PARAMETER_GOLF_GIT``)."""
    folder = os.environ.get("PARAMETER_GOLF_GIT")
    if not folder:
        pytest.skip("PARAMETER_GOLF_GIT is not set to a git mirror of openai/parameter-golf")
    return folder


@pytest.fixture(scope="session")
def table(pytestconfig: pytest.Config) -> list[str]:
    """Lines that are printed when all is done."""
    return pytestconfig.stash.setdefault(ROWS, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table."""
    if rows := config.stash.get(ROWS, []):
        terminalreporter.section("artifacts of the published scripts, read by ours")
        for row in rows:
            terminalreporter.write_line(row)

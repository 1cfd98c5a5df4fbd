"""The table of what was compared, printed below the tests."""

from __future__ import annotations

import pytest

ROWS = pytest.StashKey[list[str]]()


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

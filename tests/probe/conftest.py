"""Experiments run code in the sandbox; all examples take minutes, so a plain run takes some of them."""

from __future__ import annotations

import os

import pytest

ALL = os.environ.get("REFEREE_EXAMPLES") == "all"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("examples") and not ALL:
            item.add_marker(pytest.mark.skip(reason="`make examples` runs every example"))

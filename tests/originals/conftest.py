"""Where the originals come from."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def mirror() -> str:
    """A git mirror of the contest's repository with its pull-request heads (``PARAMETER_GOLF_GIT``)."""
    folder = os.environ.get("PARAMETER_GOLF_GIT")
    if not folder:
        pytest.skip("PARAMETER_GOLF_GIT is not set to a git mirror of openai/parameter-golf")
    return folder

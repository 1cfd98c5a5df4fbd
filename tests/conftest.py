"""Fixtures that every area shares."""

from __future__ import annotations

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

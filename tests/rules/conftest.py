"""Examples written out as folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.rule import Example

Writer = Callable[[Example], Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Write an example's files below a fresh folder; the folder's name says nothing about a track."""

    def write(example: Example) -> Path:
        root = tmp_path / "example"
        for name, text in example.tree.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return root

    return write

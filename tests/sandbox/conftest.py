"""Tests that take ``tier`` run once for each tier that works here; the others skip and say why."""

from __future__ import annotations

import itertools
import textwrap
from pathlib import Path
from typing import Any

import pytest

from auditor.sandbox import Limits, SandboxResult, Tier, run
from auditor.sandbox.tiers import why_not


class Runner:
    """Runs Python source as a module of its own; ``send`` and ``os`` are imported for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers = itertools.count()

    def __call__(self, source: str, **options: Any) -> SandboxResult:
        text = "import os\nfrom auditor.sandbox.child import send\n" + textwrap.dedent(source)
        name = f"program_{next(self.numbers)}"
        (self.folder / f"{name}.py").write_text(text)
        options.setdefault("limits", Limits(wall_seconds=90.0, cpu_seconds=60.0, memory_bytes=1 << 30))
        return run(name, import_path=[self.folder], **options)


@pytest.fixture(scope="module", params=[Tier.NAMESPACES, Tier.LANDLOCK], ids=str)
def tier(request: pytest.FixtureRequest) -> Tier:
    """Each tier that isolates."""
    tier: Tier = request.param
    if reason := why_not(tier):
        pytest.skip(f"{tier} does not work here: {reason}")
    return tier


@pytest.fixture(scope="module")
def run_source(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """A runner with a folder of its own."""
    return Runner(tmp_path_factory.mktemp("programs"))

"""The documentation names options, files and pages that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auditor.cli import COMMANDS as AUDIT
from evaluator.cli import COMMANDS as EVALUATE

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
PLACE = re.compile(
    r"`((?:auditor|benchmarks|docs|evaluator|examples|mini_contest|reference_model|rules|tests)/[\w./*-]+)`"
)
LINK = re.compile(r"\]\(([^)#]+)(#[^)]*)?\)")
pages = pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])


@pages
def test_options_exist(page: Path) -> None:
    commands = [*AUDIT.values(), *EVALUATE.values()]
    known = {option for command in commands for parameter in command.params for option in parameter.opts}
    known |= {word for word in EVALUATE if word.startswith("--")} | {"--help"}
    for benchmark in (ROOT / "benchmarks").glob("*.py"):
        known |= set(OPTION.findall(benchmark.read_text(encoding="utf-8")))
    assert set(OPTION.findall(page.read_text(encoding="utf-8"))) <= known


@pages
def test_files_and_linked_pages_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = [name for name in PLACE.findall(text) if "NAME" not in name]
    missing = [name for name in named if not any(any(ROOT.glob(name + end)) for end in ("", ".py"))]
    targets = [target for target, _ in LINK.findall(text) if "://" not in target]
    missing += [target for target in targets if not (page.parent / target).exists()]
    assert not missing

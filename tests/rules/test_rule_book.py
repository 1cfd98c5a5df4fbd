"""The rule book as a whole: complete, equal to the catalogue's table, explained, and never empty."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from auditor import rule_packs
from auditor.audit import audit_folder
from auditor.findings import Severity, Status, Verdict
from auditor.flow_rule import FlowRule
from auditor.options import Options
from auditor.report import pages
from auditor.rule import Rule
from auditor.rule_packs import RulePackError, load_rules

RULES = load_rules()
TABLE = Path(__file__).parents[2].parent / "shared" / "spec" / "ids.toml"


def test_the_rules_equal_the_table() -> None:
    if not TABLE.is_file():
        pytest.skip("the catalogue's table of ids is not beside the project")
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))["rules"]
    ours = {rule.id: (rule.condition.value, rule.severity.value, rule.contested) for rule in RULES}
    theirs = {name: (row["condition"], row["severity"], row.get("contested", False)) for name, row in table.items()}
    assert ours == theirs


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_is_one_file_that_explains_itself(rule: Rule) -> None:
    assert type(rule).__module__ == "rules." + rule.id.replace("-", "_")
    assert rule.condition not in rule.also
    for text in (rule.title, rule.what, rule.why, rule.legal):
        assert text
        assert text.strip() == text
    assert list(rule.rulings) == sorted(rule.rulings, key=lambda ruling: ruling.date)
    assert all("http" not in str(ruling) for ruling in rule.rulings)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_examples_are_python_and_have_names_of_their_own(rule: Rule) -> None:
    names = [example.name for example in (*rule.bad, *rule.good)]
    assert len(set(names)) == len(names)
    broken = {"prose where the code should be", "formatted strings of Python 3.12"}
    for example in (*rule.bad, *rule.good):
        if example.name not in broken:
            ast.parse(example.code)


def test_pages_name_every_rule(tmp_path: Path) -> None:
    assert pages.write(RULES, tmp_path) == len(RULES) + 1
    index = (tmp_path / "index.md").read_text(encoding="utf-8")
    for rule in RULES:
        page = (tmp_path / f"{rule.id}.md").read_text(encoding="utf-8")
        assert rule.legal in page
        assert f"`{rule.id}`" in index
        assert rule.why[:40] in pages.explanation(rule)


def test_a_pack_without_rules_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "empty_pack").mkdir()
    (tmp_path / "empty_pack" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(rule_packs, "pack_names", lambda: ("rules", "empty_pack"))
    with pytest.raises(RulePackError, match="holds no rule"):
        load_rules()


def test_an_id_that_occurs_twice_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pack = tmp_path / "copied_pack"
    pack.mkdir()
    (pack / "__init__.py").write_text("")
    (pack / "again.py").write_text("from rules.runs import Runs\n\n\nclass Again(Runs):\n    '''The same id.'''\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(rule_packs, "pack_names", lambda: ("rules", "copied_pack"))
    with pytest.raises(RulePackError, match="runs is defined twice"):
        load_rules()


def test_a_pack_of_another_distribution_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    info = tmp_path / "other_pack-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-pack\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{rule_packs.GROUP}]\nother = other_pack\n")
    pack = tmp_path / "other_pack"
    pack.mkdir()
    (pack / "__init__.py").write_text("")
    (pack / "_helper.py").write_text("raise ImportError('helpers are not scanned')\n")
    (pack / "other.py").write_text("from rules.runs import Runs\n\n\nclass Other(Runs):\n    id = 'other'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "other" in {rule.id for rule in load_rules()}
    assert isinstance(sys.modules["other_pack"], ModuleType)


def test_code_that_cannot_be_read_is_never_clear(tmp_path: Path) -> None:
    (tmp_path / "train_gpt.py").write_text("This is prose — no code.\n")
    report = audit_folder(tmp_path, Options(), rules=RULES)
    statuses = {entry.rule: entry.status for entry in report.rules if entry.severity is Severity.VIOLATION}
    about_code = {rule.id for rule in RULES if isinstance(rule, FlowRule)} & statuses.keys()
    about_code |= {"bpb-denominator", "self-contained-eval", "val-in-training"}
    assert {statuses[name] for name in about_code} == {Status.NOT_ANALYSABLE}
    assert report.verdict is Verdict.NEEDS_REVIEW

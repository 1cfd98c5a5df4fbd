"""Evidence counts only against a score that is claimed."""

from __future__ import annotations

from pathlib import Path

import pytest
from submissions import BY_ID, audit, write

from auditor.audited import Audited
from auditor.claim import is_about_a_score
from auditor.findings import Status, Step, Verdict
from auditor.flow import Certainty, Evidence
from auditor.submission import read_submission
from rules._logs import log, metadata
from rules._scripts import script
from rules._training import ADAPT

EARLY = """first_loss, first_bpb = evaluate(model, val_tokens, base_bytes)
    print(f"DIAGNOSTIC before_adapting val_loss:{first_loss:.4f} val_bpb:{first_bpb:.4f}")
    adapt(model, val_tokens)"""
LINE = "DIAGNOSTIC before_adapting val_loss:2.0700 val_bpb:1.2260\n"


def submission(folder: Path, **fields: object) -> Path:
    code = script(helpers=ADAPT, before_scoring=EARLY)
    return write(
        folder,
        {"train_gpt.py": code, "train.log": log(extra=LINE), "submission.json": metadata(**fields)},
    )


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, Status.TRACED),
        ({"val_bpb": 1.2260, "val_loss": 2.07}, Status.CLEAR),
        ({"val_bpb": None, "val_bpb_retracted": 1.2204, "status": "retracted"}, Status.CLEAR),
        ({"val_bpb": 1.2204, "status": "retracted"}, Status.TRACED),
    ],
    ids=["the adapted score", "the score before", "none", "one that stands in spite of the word"],
)
def test_what_is_claimed_decides(tmp_path: Path, fields: dict[str, object], status: Status) -> None:
    report = audit(submission(tmp_path / "a", **fields), rules=[BY_ID["ttt-before-score"]])
    rule = report.rules[0]
    assert rule.status is status
    assert rule.findings
    assert all(finding.dormant is (status is Status.CLEAR) for finding in rule.findings)
    assert report.verdict is (Verdict.CLEAR if status is Status.CLEAR else Verdict.VIOLATION)


@pytest.mark.parametrize(
    ("printed", "about"),
    [
        ('log0(f"final val_bpb:{bpb:.4f}")', True),
        ('log0(f"epoch {e + 1} "\n     f"val_bpb:{bpb:.4f}")', True),
        ('log0(f"probe cos_sim:{c:.4f} mse:{m:.4f}")', False),
        ('log0(f"probe cos_sim:{c:.4f} "\n     f"mse:{m:.4f}")', False),
        ("log0(message)", True),
    ],
)
def test_other_printed_quantities_are_no_score(tmp_path: Path, printed: str, about: bool) -> None:
    folder = write(tmp_path / "a", {"train_gpt.py": f"print(message)\noptimizer.step()\n{printed}\n"})
    path = (
        Step("train_gpt.py", 2, "optimizer.step()", "the weights move"),
        Step("train_gpt.py", 3, printed.partition("\n")[0], "the score's function is called here"),
        Step("train_gpt.py", 1, "print(message)", "the score that used it is reported"),
    )
    evidence = Evidence("trained", "train_gpt.py", 2, path, Certainty.TRACED)
    assert is_about_a_score(Audited(read_submission(folder)), evidence) is about


DIAGNOSED = """import copy
    adapted = copy.deepcopy(model)
    adapt(adapted, val_tokens)
    seen_loss, seen_bpb = evaluate(adapted, val_tokens, base_bytes)
    print(f"{label} val_loss:{seen_loss:.4f} val_bpb:{seen_bpb:.4f}")"""


@pytest.mark.parametrize(
    ("label", "claimed", "status"),
    [
        ("after_seeing_it", 1.2204, Status.CLEAR),
        ("after_seeing_it", 1.1111, Status.TRACED),
        ("after_seeing_it", 1.2198, Status.CLEAR),
        ("after_seeing_it", 1.1117, Status.TRACED),
        ("DIAGNOSTIC after_seeing_it", 1.3333, Status.CLEAR),
        ("after_seeing_it", 1.3333, Status.TRACED),
    ],
    ids=[
        "another score is claimed",
        "it is claimed",
        "a mean near another one",
        "a mean near it",
        "a diagnostic, none is known",
        "a score, none is known",
    ],
)
def test_only_a_claimed_score_accuses(tmp_path: Path, label: str, claimed: float, status: Status) -> None:
    code = script(helpers=ADAPT, before_scoring=DIAGNOSED.replace("{label}", label))
    printed = f"{label} val_loss:1.8761 val_bpb:1.1111\n"
    folder = write(
        tmp_path / "a",
        {"train_gpt.py": code, "train.log": log(extra=printed), "submission.json": metadata(val_bpb=claimed)},
    )
    rule = audit(folder, rules=[BY_ID["ttt-before-score"]]).rules[0]
    assert rule.status is status
    assert rule.findings

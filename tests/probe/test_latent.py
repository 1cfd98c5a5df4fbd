"""Which switches are turned on to see what they would break, and how."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity, Status
from auditor.options import ProbeOptions
from auditor.probe.kinds import Kind
from auditor.probe.latent import latent_findings, switches_off
from auditor.sandbox import Tier, available_tier
from auditor.submission import Submission, read_submission
from auditor.submission.switches import switched

EXAMPLE = Path(__file__).parents[2] / "examples" / "submissions" / "dormant_feature"

_SCRIPT = """
import os

class Hyperparameters:
    ttt_enabled = bool(int(os.environ.get("TTT_ENABLED", "0")))
    ttt_lora_rank = int(os.environ.get("TTT_LORA_RANK", "0"))
    ngram_enabled = bool(int(os.environ.get("NGRAM_ENABLED", "1")))
    slot_enabled = bool(int(os.environ.get("SLOT_ENABLED", "1")))
    gated_attention = bool(int(os.environ.get("GATED_ATTENTION", "0")))
    hint_cache_dir = os.environ.get("HINT_CACHE_DIR", "")

def main():
    pass
"""


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    (tmp_path / "train_gpt.py").write_text(_SCRIPT)
    (tmp_path / "README.md").write_text("# Run\n```bash\nSLOT_ENABLED=0 torchrun train_gpt.py\n```\n")
    (tmp_path / "train.log").write_text("ttt_enabled: False\nfinal val_loss:2.0000 val_bpb:1.2000\n")
    return read_submission(tmp_path)


def test_switches_of_mechanisms_that_are_off_by_default_or_by_the_launch(submission: Submission) -> None:
    assert list(switches_off(submission)) == ["SLOT_ENABLED", "TTT_ENABLED"]


def test_a_switch_is_on_whatever_command_and_logs_say(submission: Submission) -> None:
    for name in ("SLOT_ENABLED", "TTT_ENABLED"):
        changed = switched(submission, {name: "1"})
        setting = changed.launch.find(name)
        assert setting is not None
        assert setting.value == "1"
        assert name not in list(switches_off(changed))
        assert changed.logs == ()


def test_only_what_a_switch_adds_is_latent(submission: Submission) -> None:
    def ask(audited: Audited) -> tuple[RuleResult, ...]:
        ttt = audited.submission.launch.find("TTT_ENABLED")
        woken = Status.TRACED if ttt is not None and ttt.value == "1" else Status.CLEAR
        finding = Finding("weights trained on these tokens score them", "train_gpt.py", 5)
        return (
            RuleResult("ttt-before-score", Condition.SCORE_FIRST, Severity.VIOLATION, woken, findings=(finding,)),
            RuleResult("oracle-min-nll", Condition.NORMALISATION, Severity.VIOLATION, Status.TRACED),
        )

    audited = Audited(submission)
    found = latent_findings(audited, ask(audited), ask, ProbeOptions(), budget=0.0)
    entries = [entry for latent in found for entry in latent.entries()]
    assert [(entry.switch, entry.rule, entry.status) for entry in entries] == [
        ("TTT_ENABLED=1", "ttt-before-score", Status.TRACED)
    ]
    assert entries[0].experiment == ""


@pytest.mark.slow
@pytest.mark.skipif(available_tier() is Tier.NONE, reason="no sandbox works here")
def test_what_a_switch_breaks_is_shown_by_running_it() -> None:
    audited = Audited(read_submission(EXAMPLE))

    def ask(other: Audited) -> tuple[RuleResult, ...]:
        woken = Status.CLEAR if "TTT_ENABLED" in switches_off(other.submission) else Status.TRACED
        return (RuleResult("ttt-before-score", Condition.SCORE_FIRST, Severity.VIOLATION, woken),)

    (latent,) = latent_findings(audited, ask(audited), ask, ProbeOptions(), budget=60.0)
    assert [failure.kind for failure, _ in latent.failures] == [Kind.LEAK]
    (entry,) = latent.entries()
    assert (entry.switch, entry.status) == ("TTT_ENABLED=1", Status.PROVED)
    assert "an honest scorer changes at most" in entry.experiment

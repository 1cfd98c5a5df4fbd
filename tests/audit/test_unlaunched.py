"""What a submission says that it does sets the switches, where nothing documents how it was launched."""

from __future__ import annotations

from pathlib import Path

import pytest
from submissions import BY_ID, audit, write

from auditor.findings import Status, Verdict
from auditor.submission import read_submission
from auditor.unlaunched import as_claimed, claimed_switches
from rules._logs import log
from rules._scripts import script
from rules._training import ADAPT

OFF = """if int(os.environ.get("TTT_ENABLED", "0")):
        adapt(model, val_tokens)"""
METADATA = '{"name": "x", "techniques": ["score-first-ttt"]}'
CLAIM = "# A small model\n\nTest-time training (TTT) over every document.\n"
COMMAND = "```bash\ntorchrun train_gpt.py\n```\n"


@pytest.mark.parametrize(
    ("readme", "files", "status"),
    [
        (CLAIM, {}, Status.SUSPECTED),
        (
            "# A small model\n",
            {"submission.json": METADATA},
            Status.SUSPECTED,
        ),
        ("# A small model, no TTT\n", {}, Status.CLEAR),
        ("# A small model\n", {}, Status.CLEAR),
        (CLAIM + COMMAND, {}, Status.CLEAR),
        (CLAIM, {"train.log": log()}, Status.CLEAR),
    ],
    ids=["claimed", "claimed by the metadata", "denied", "not spoken of", "a command", "a log"],
)
def test_a_claimed_mechanism_that_is_off(readme: str, files: dict[str, str], status: Status, tmp_path: Path) -> None:
    code = script(helpers=ADAPT, before_scoring=OFF)
    folder = write(tmp_path / "submission", {"train_gpt.py": code, "README.md": readme, **files})
    result = audit(folder, rules=[BY_ID["ttt-before-score"]])
    assert [rule.status for rule in result.rules] == [status]
    assert result.verdict is (Verdict.NEEDS_REVIEW if status is Status.SUSPECTED else Verdict.CLEAR)
    if status is Status.SUSPECTED:
        assert "nothing documents the launch" in result.rules[0].reason


def test_every_mechanism_of_a_switch_must_be_named(tmp_path: Path) -> None:
    code = """
import os
NGRAM_ORDER = int(os.environ.get("NGRAM_ORDER", "0"))
NGRAM_TWO_PASS = bool(int(os.environ.get("NGRAM_TWO_PASS", "0")))
SLOT_ENABLED = os.environ.get("SLOT_ENABLED", "1")
PPM_ENABLED = os.environ.get("PPM_ENABLED", "0")
"""
    folder = write(tmp_path / "a", {"train_gpt.py": code, "README.md": "# An n-gram cache with SLOT\n"})
    assert claimed_switches(read_submission(folder)) == {"NGRAM_ORDER": "8"}
    write(folder, {"README.md": "# An N-gram cache\nTwo-pass scoring.\n"})
    switched = as_claimed(read_submission(folder))
    assert switched is not None
    assert {name: setting.value for name, setting in switched.launch.environment.items()} == {
        "NGRAM_ORDER": "8",
        "NGRAM_TWO_PASS": "1",
    }
    assert as_claimed(switched) is None

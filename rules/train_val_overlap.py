"""Validation documents among the training shards, by how the shards were built."""

from __future__ import annotations

import ast
import datetime
from collections.abc import Iterator

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity, Status
from auditor.rule import Example, Rule, Ruling
from auditor.submission import FileKind
from rules._logs import log, runs

_LOCAL_BUILD = 1499
"""Training shards of a local build with the default split; the published data set has 80."""
_DOCUMENTED = 50_000

_PREPARE = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--val-docs", type=int, default={documents})
args = parser.parse_args()
"""


class TrainValOverlap(Rule):
    """The number of shards that a run reads, and the split of the preparation script that ships with it."""

    id = "train-val-overlap"
    title = "training shards hold validation documents"
    condition = Condition.DATA
    severity = Severity.VIOLATION
    rulings = (
        Ruling("#2127", datetime.date(2026, 5, 1), "community", "a default of 10,000 leaves 40,000 documents in both"),
        Ruling("#2146", datetime.date(2026, 5, 3), "cocohearts", "#2018 excluded for it, #2135 admitted after a rerun"),
    )
    what = "Training on shards built with fewer than the 50,000 validation documents held out."
    why = "Text that was trained on is no validation text."
    legal = "Train on the published shards, or hold out all 50,000 documents."
    bad = (
        Example(
            "built with 10,000 documents held out, and used",
            files={
                "prepare_caseops_data.py": _PREPARE.format(documents="10_000"),
                "train_gpt.py": "print(1)\n",
                **runs(log(train_shards=1499)),
            },
        ),
        Example("the number of shards of a local build", files=runs(log(train_shards=1499)), expected=Status.SUSPECTED),
        Example(
            "three runs on the local build",
            files={
                "prepare_caseops_data.py": _PREPARE.format(documents="10000"),
                "train_gpt.py": "print(1)\n",
                **runs(*[log(train_shards=1499, seed=seed) for seed in (1, 2, 3)]),
            },
        ),
    )
    good = (
        Example("the published shards", files=runs(log())),
        Example(
            "the script has the bad default and was not used",
            files={
                "prepare_caseops_data.py": _PREPARE.format(documents=10000),
                "train_gpt.py": "print(1)\n",
                **runs(log()),
            },
        ),
        Example(
            "a local build that holds out all of them",
            files={
                "prepare_caseops_data.py": _PREPARE.format(documents=50000),
                "train_gpt.py": "print(1)\n",
                **runs(log(train_shards=1499)),
            },
        ),
    )

    def check(self, audited: Audited) -> RuleResult:
        """A local build by its shards; certain where the shipped script says how it was split."""
        shards = [run.train_shards[-1] for run in audited.runs if run.train_shards]
        if not shards:
            return self.not_applicable("no log says how many training shards were read")
        local = [fact for fact in shards if fact.value == _LOCAL_BUILD]
        defaults = list(_held_out(audited))
        if not local or any(documents >= _DOCUMENTED for documents, _, _ in defaults):
            return self.judge([])
        found = [
            Finding(f"{fact.value:,} training shards are those of a local build", fact.file, fact.line)
            for fact in local
        ]
        found += [Finding(f"{n:,} documents are held out, not 50,000", file, line) for n, file, line in defaults]
        return self.judge(found, Status.TRACED if defaults else Status.SUSPECTED)


def _held_out(audited: Audited) -> Iterator[tuple[int, str, int]]:
    """Defaults of ``--val-docs`` in preparation scripts: (documents, file, line)."""
    submission = audited.submission
    for file in submission.of_kind(FileKind.PYTHON):
        if "prepare" not in file.name.lower() or file.size > 1 << 20:
            continue
        try:
            tree = ast.parse((submission.root / file.name).read_text("utf-8", "replace"))
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and any(
                isinstance(a, ast.Constant) and a.value in {"--val-docs", "--val_docs"} for a in node.args
            ):
                for keyword in node.keywords:
                    held = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
                    if keyword.arg == "default" and isinstance(held, int):
                        yield held, file.name, node.lineno

"""Code that a reviewer cannot read."""

from __future__ import annotations

import datetime

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity
from auditor.rule import Example, Rule, Ruling
from auditor.submission import ProblemKind

_OPAQUE = {ProblemKind.UNDECODABLE_PACKER, ProblemKind.DYNAMIC_CODE}
_BINARIES = (".so", ".pyd", ".dll", ".dylib", ".pyc", ".whl")


class OpaqueCode(Rule):
    """What could not be unwrapped, and compiled files."""

    id = "opaque-code"
    title = "some of the code cannot be read"
    condition = Condition.PROCESS
    severity = Severity.REVIEW
    rulings = (
        Ruling("README", datetime.date(2026, 3, 18), "README", "a submission is reviewed by reading its script"),
    )
    what = "Packed code that only running it would reveal, and compiled extensions. Packing as such is accepted."
    why = "What cannot be read cannot be judged, by a person or by this tool."
    legal = "Pack with a plain literal and a standard codec; ship sources of what you compile."
    bad = (
        Example(
            "the payload is decoded with a value known only at run time",
            "import base64, os, zlib\nexec(zlib.decompress(base64.b85decode(os.environ['PAYLOAD'])))\n",
        ),
    )
    good = (Example("a plain script", "print(1)\n"),)

    def check(self, audited: Audited) -> RuleResult:
        """Problems of unwrapping, and files by their suffix."""
        submission = audited.submission
        found = [Finding(p.message, p.file, p.line) for p in submission.problems if p.kind in _OPAQUE]
        found += [
            Finding("a compiled file without a source to read", name, 0)
            for name in submission.files
            if name.lower().endswith(_BINARIES)
        ]
        return self.judge(found)

"""The document that every report prints; its JSON is the published interface.

The schema is ``docs/audit.schema.json``; a change that would break a reader raises :data:`SCHEMA_VERSION`. All texts
that come from a submission are untrusted and stay as they are here; whoever prints them escapes them.
"""

from __future__ import annotations

import datetime
from typing import Any

import msgspec

from auditor.findings import Condition, Severity, Status, Verdict

SCHEMA_VERSION = 1


class Place(msgspec.Struct, frozen=True):
    """A line of the submission.

    Attributes:
        file: path relative to the folder; code inside a packed script is ``train_gpt.py!inner``.
        line: 1-based line in that code; 0 for the file as a whole.
        text: the line, stripped.
        shipped_file: the file as shipped that holds it.
        shipped_line: 1-based line there.
    """

    file: str
    line: int
    text: str
    shipped_file: str
    shipped_line: int


class PathStep(Place, frozen=True):
    """A step of an evidence path; ``why`` says why it matters."""

    why: str


class FindingEntry(Place, frozen=True):
    """One piece of evidence.

    Attributes:
        message: one sentence.
        path: how the evidence flows, in order; empty for facts of logs and metadata.
        dormant: off under the documented launch; does not count.
        fingerprint: stable under edits elsewhere in the file; baselines and suppressions name it.
        known: in the baseline; does not decide.
        experiment: what running the code showed, one sentence with numbers; empty when nothing ran.
    """

    message: str
    path: tuple[PathStep, ...] = ()
    dormant: bool = False
    fingerprint: str = ""
    known: bool = False
    experiment: str = ""

    @property
    def sentence(self) -> str:
        """The message, and what the experiment showed."""
        return f"{self.message}; experiment: {self.experiment}" if self.experiment else self.message


class RuleEntry(msgspec.Struct, frozen=True):
    """What one rule says.

    Attributes:
        rule: its id.
        title: one line.
        condition: what it protects; ``also`` further conditions that the same fact breaks.
        severity: V decides; R and F are notes.
        status: what is known.
        reason: why, for a status without findings.
        findings: the evidence.
        contested: the ruling is disputed.
        decides: counts towards the verdict: severity V (with ``--strict`` also R), not suppressed, not in the baseline.
        suppressed: the reviewer's reason, when suppressed.
        why: why the rule exists.
        legal: how to do it legally.
        facts: numbers that the rule computed.
    """

    rule: str
    title: str
    condition: Condition
    also: tuple[Condition, ...]
    severity: Severity
    status: Status
    reason: str
    findings: tuple[FindingEntry, ...]
    contested: bool
    decides: bool
    suppressed: str | None
    why: str
    legal: str
    facts: dict[str, Any]


class SubmissionEntry(msgspec.Struct, frozen=True):
    """What was audited. ``digest`` is the SHA-256 of what was read."""

    path: str
    name: str
    author: str
    val_bpb: float | None
    date: datetime.date | None
    entry: str
    sources: tuple[str, ...]
    digest: str


class StaticCoverage(msgspec.Struct, frozen=True):
    """What the static half looked at.

    Attributes:
        rules: rules that were applied.
        sources: scripts analysed.
        kernels: native code read.
        logs: logs parsed.
        unread: what could not be read, one line each.
        incomplete: why the data-flow analysis is not complete, one line each; empty when it is.
    """

    rules: int
    sources: int
    kernels: int
    logs: int
    unread: tuple[str, ...]
    incomplete: tuple[str, ...]


class LatentEntry(msgspec.Struct, frozen=True):
    """What a switch that the documented launch leaves off would break; no part of the verdict, never a violation.

    Attributes:
        switch: the switch as it was set, such as ``TTT_ENABLED=1``.
        rule: the rule that finds something then.
        status: what is known: ``proved`` where an experiment ran with the switch on and showed it.
        message: one sentence.
        file, line: where to look first.
        experiment: what running the code showed; empty when nothing ran or nothing showed.
    """

    switch: str
    rule: str
    status: Status
    message: str
    file: str
    line: int
    experiment: str


class ProbeCoverage(msgspec.Struct, frozen=True):
    """Experiments on the submission's own code.

    Attributes:
        ran: the submission's code ran, and its score was measured.
        reason: why none ran, or why what ran allows no conclusion; empty when it does.
        tier: isolation that was in force.
        executions: runs of the code, forked calls included.
        checks: what was measured, one sentence each.
        evidence: names of the counter-examples that were written, where a folder for them was given.
        latent: what switches that are off would break; it does not count.
    """

    ran: bool
    reason: str
    tier: str = ""
    executions: int = 0
    checks: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    latent: tuple[LatentEntry, ...] = ()


class Coverage(msgspec.Struct, frozen=True):
    """What the verdict rests on; ``engaged`` names mechanisms that an experiment was seen to exercise."""

    static: StaticCoverage
    probe: ProbeCoverage
    engaged: tuple[str, ...] = ()


class SuppressionEntry(msgspec.Struct, frozen=True):
    """A reviewer's suppression; shown whether or not it matched."""

    rule: str
    reason: str
    date: datetime.date
    fingerprint: str | None
    matched: bool


class SettingEntry(msgspec.Struct, frozen=True):
    """A documented switch of the launch; ``conflicts`` are other documented values."""

    value: str
    source: str
    file: str
    line: int
    conflicts: tuple[str, ...] = ()


class Facts(msgspec.Struct, frozen=True):
    """Facts of the submission: the documented launch, what the logs say, sizes in bytes."""

    launch: dict[str, SettingEntry]
    logs: dict[str, dict[str, Any]]
    sizes: dict[str, int]


class Timing(msgspec.Struct, frozen=True):
    """Wall seconds, and CPU seconds of the submission's own code.

    ``cached`` when the answer came from the cache and the other times are those of the first run.
    """

    read: float
    rules: float
    probe: float = 0.0
    probe_cpu: float = 0.0
    cached: bool = False


class Audit(msgspec.Struct, frozen=True):
    """The whole report."""

    schema_version: int
    submission: SubmissionEntry
    verdict: Verdict
    coverage: Coverage
    rules: tuple[RuleEntry, ...]
    suppressions: tuple[SuppressionEntry, ...]
    as_of: datetime.date | None
    facts: Facts
    timing: Timing


def encodable(audit: Audit) -> Audit:
    """The same report with lone surrogates (of file names, of JSON escapes) written as escapes: JSON is UTF-8."""
    try:
        msgspec.json.encode(audit)
    except UnicodeEncodeError:
        return msgspec.convert(_escaped(msgspec.to_builtins(audit)), Audit)
    return audit


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(item) for item in value]
    return value


def read_audit(data: bytes) -> Audit:
    """A report from its JSON.

    Raises:
        ValueError: it is not one, or of another schema version.
    """
    try:
        audit = msgspec.json.decode(data, type=Audit)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if audit.schema_version != SCHEMA_VERSION:
        raise ValueError(f"schema version {audit.schema_version} is not {SCHEMA_VERSION}")
    return audit


def schema() -> dict[str, Any]:
    """The JSON schema of a report (draft 2020-12)."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(Audit)}


if __name__ == "__main__":
    print(msgspec.json.format(msgspec.json.encode(schema())).decode())  # noqa: T201 - `make schema` redirects it

"""A submission that says what it does and not how it was launched: its own words set the switches.

Where no log, no command and no setting is documented, a switch that the code leaves off may be off or not. If the
submission's own title or README names the mechanism, its score was hardly made without it; that it was not is
for a reviewer to find out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from auditor.submission import Submission
from auditor.submission.switches import MECHANISM, code_defaults, switched

_DENIED = re.compile(
    r"\b(?:no|not|non(?!.record)|without|never|disabled?|off|unused|instead|removed?|dropped|future|failed|negative)\b",
    re.IGNORECASE,
)
_AMOUNT = re.compile(r".*ORDERS?|.*MAX_?N")
_AMOUNTS = "8"
"""How much of something that is counted, such as tokens of a context: about what n-gram caches use."""


def is_launch_documented(submission: Submission) -> bool:
    """Whether a log, a command or a setting tells how the script was run."""
    launch = submission.launch
    return bool(launch.command or launch.logs or launch.environment or launch.logged)


def claimed_switches(submission: Submission) -> dict[str, str]:
    """Switches that the code leaves off though the submission's words name all that they switch; a value for on."""
    defaults = dict(code_defaults(submission))
    claimed = set(_claims(submission)) if defaults else set()
    found = {}
    for name, default in sorted(defaults.items()):
        mechanisms = {_plain(match) for match in MECHANISM.findall(name)}
        if mechanisms and mechanisms <= claimed and not default.is_on:
            found[name] = _AMOUNTS if _AMOUNT.fullmatch(name) else "1"
    return found


def as_claimed(submission: Submission) -> Submission | None:
    """The submission with the switches on that its words claim; None where its launch is documented, or nothing is."""
    if is_launch_documented(submission):
        return None
    switches = claimed_switches(submission)
    return switched(submission, switches) if switches else None


def _claims(submission: Submission) -> Iterator[str]:
    """Mechanisms that the title, the metadata or a line of the README names and does not deny."""
    metadata = submission.metadata
    texts = [submission.root.name, *(metadata.raw.values() if metadata is not None else ())]
    for line in [*submission.readme.splitlines(), *map(str, texts)]:
        if not _DENIED.search(line):
            words = re.sub(r"(?<=[a-z])(?=[A-Z])|[\s-]", "_", line).upper()
            yield from (_plain(match[0]) for match in re.finditer(rf"(?<![A-Z])(?:{MECHANISM.pattern})", words))


def _plain(mechanism: str) -> str:
    return mechanism.replace("_", "")

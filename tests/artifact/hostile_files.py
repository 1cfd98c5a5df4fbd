"""All groups of hostile bytes, and the table of them: ``python tests/artifact/hostile_files.py``."""

from __future__ import annotations

import hostile_codecs
import hostile_containers
import hostile_families
import hostile_pickles
import hostile_zips
from hostile import Hostile

from evaluator.artifact.decode_bytes import decode_bytes
from evaluator.artifact.limits import DecodeLimits
from evaluator.refusal import Refused

HOSTILE: list[Hostile] = [
    file
    for module in (hostile_codecs, hostile_zips, hostile_pickles, hostile_containers, hostile_families)
    for group in module.GROUPS
    for file in group.files
]


def table() -> str:
    """Markdown: hostile file, its size, the reason and message that it got in this process."""
    rows = ["| hostile file | bytes | reason | message |", "|---|---|---|---|"]
    for file in HOSTILE:
        data = file.make()
        try:
            decode_bytes(data, DecodeLimits())
        except Refused as refused:
            rows.append(f"| {file.name} | {len(data):,} | `{refused.reason}` | {refused.message} |")
        else:
            rows.append(f"| {file.name} | {len(data):,} | **decoded** | |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())

"""Why data is not what the contest says it is."""

from __future__ import annotations


class DataError(Exception):
    """Shards, a side file, a tokenizer or a manifest that cannot be scored.

    Args:
        reason: stable, machine-readable slug such as ``"shard-truncated"``.
        message: one clear line for a reader.
    """

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        self.message = message
        super().__init__(f"{reason}: {message}")

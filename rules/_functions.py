"""Functions of a script with their text."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.submission import Source, Submission


def functions(submission: Submission) -> Iterator[tuple[Source, ast.FunctionDef, str]]:
    """Every function of every script that can be read, with its text; line 1 of it is the line of ``def``."""
    for source in submission.sources.values():
        if source.problem is None:
            for node in source.nodes:
                if isinstance(node, ast.FunctionDef):
                    # ast.get_source_segment splits the whole file again for each function.
                    yield source, node, "\n".join(source.lines[node.lineno - 1 : node.end_lineno])

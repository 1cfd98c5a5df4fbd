"""The value of a switch: what the launch documents, else the default that the code gives to its variable."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from auditor.submission import Submission

_OFF = frozenset({"", "0", "0.0", "false", "no", "off", "none"})


@dataclass(frozen=True, slots=True)
class Value:
    """A value, where it stands, and whether it is documented rather than a default."""

    text: str
    file: str
    line: int
    documented: bool

    @property
    def is_on(self) -> bool:
        """Whether a script would read it as true."""
        return self.text.strip().lower() not in _OFF

    @property
    def number(self) -> float:
        """As a number; 0 when it is none."""
        try:
            return float(self.text)
        except ValueError:
            return 0.0


def effective(submission: Submission, variable: str) -> Value | None:
    """What ``variable`` was in the documented run; None when neither launch nor code name it."""
    setting = submission.launch.find(variable)
    if setting is not None:
        return Value(setting.value, setting.file, setting.line, documented=True)
    return next((value for name, value in code_defaults(submission) if name == variable), None)


def code_defaults(submission: Submission) -> Iterator[tuple[str, Value]]:
    """Environment variables that the code reads with a constant default: ``os.environ.get("NAME", "1")``."""
    for source in submission.sources.values():
        if source.problem is not None:
            continue
        for node in ast.walk(source.syntax):
            if (
                isinstance(node, ast.Call)
                and len(node.args) == 2
                and isinstance(node.func, ast.Attribute | ast.Name)
                and (node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id) in {"get", "getenv"}
                and isinstance(name := node.args[0], ast.Constant)
                and isinstance(name.value, str)
            ):
                default = (
                    node.args[1].args[0] if isinstance(node.args[1], ast.Call) and node.args[1].args else node.args[1]
                )
                if isinstance(default, ast.Constant):
                    yield name.value, Value(str(default.value), source.name, node.lineno, documented=False)

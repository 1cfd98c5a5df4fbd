"""The value of a switch: what the launch documents, else the default that the code gives to its variable."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from auditor.submission.launch import LaunchConfiguration, Setting, SettingSource
from auditor.submission.reader import Submission
from auditor.submission.source import Source

MECHANISM = re.compile(r"TTT|N_?GRAM|SLOT|PPM|HINT|TILT|CACHE|BACKOFF|BOOST|BETA|MIX|KNN|ETLB|ORACLE|ADAPT|TWO_PASS")
"""Switches of what may act on scores. Others gate layers and schedules, and each costs a pass of the static half."""
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
        if source.problem is None:
            yield from _defaults_of(source)


def switched(submission: Submission, values: Mapping[str, str]) -> Submission:
    """The submission as if it documented other values: without the logs, which tell of another run."""
    launch = submission.launch
    settings = {name: Setting(name, value, SettingSource.LOG, "", 0) for name, value in values.items()}
    changed = LaunchConfiguration(
        environment={**launch.environment, **settings},
        logged={key: value for key, value in launch.logged.items() if key not in {name.lower() for name in values}},
        command=launch.command,
        commands=launch.commands,
    )
    return replace(submission, launch=changed, logs=())


@lru_cache(maxsize=16)
def _defaults_of(source: Source) -> tuple[tuple[str, Value], ...]:
    found = []
    for node in source.nodes:
        if not (isinstance(node, ast.Call) and len(node.args) == 2 and _is_getter(node.func)):
            continue
        name, default = node.args
        if isinstance(default, ast.Call) and default.args:
            default = default.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str) and isinstance(default, ast.Constant):
            value = Value(str(default.value), source.name, node.lineno, documented=False)
            found.append((name.value, value))
    return tuple(found)


def _is_getter(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in {"get", "getenv"}

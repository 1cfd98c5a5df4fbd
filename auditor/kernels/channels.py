"""Whether a leaking output matters in the documented run: boosts of 0 and gates that never fired make it dormant."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from auditor.kernels.facts import Leak
from auditor.submission import LaunchConfiguration, Log, SettingSource, Source

_STRENGTHS = r"(?:boost|beta|bonus|weight|strength|alpha)"
_STRENGTH = re.compile(rf"_*{_STRENGTHS}_*$", re.IGNORECASE)
_SWITCH = re.compile(r"(?:\w*_)?(?:ngram|tilt|hints?)(?:_\w+)?_enabled$", re.IGNORECASE)
_FALSE = frozenset({"", "0", "false", "no", "off", "none"})


@dataclass(frozen=True, slots=True)
class Channel:
    """Whether an output reached the scores of the documented run.

    Attributes:
        state: ``"off"`` only when something documents it.
        reason: the log line, setting or default that says so.
    """

    state: Literal["on", "off", "unknown"]
    reason: str


@dataclass(frozen=True, slots=True)
class _Said:
    """One value of a strength, and where it stands."""

    on: bool
    where: str


def channel_state(
    leak: Leak, launch: LaunchConfiguration, logs: Iterable[Log], sources: Mapping[str, Source] | None = None
) -> Channel:
    """Whether a leak mattered in the documented run.

    Gate counters in the logs of the submitted runs come first, then the settings that logs, metadata and commands
    document, then the defaults in the code.

    Args:
        leak: as the analysis of the kernel found it.
        launch: the documented launch.
        logs: every log; those that ``launch`` names as the submitted runs are read.
        sources: the scripts, for defaults.
    """
    sources = sources or {}
    master = _settings(_SWITCH, launch, sources)
    if master and not any(said.on for said in master):
        return Channel("off", master[0].where)
    if not leak.guard:
        return Channel("on", "nothing in the code switches it off")
    chosen = [log for log in logs if not launch.logs or log.name in launch.logs]
    states = [_guard(guard, launch, chosen, sources) for guard in leak.guard]
    for wanted in ("on", "unknown"):
        for state in states:
            if state.state == wanted:
                return state
    return Channel("off", "; ".join(dict.fromkeys(state.reason for state in states)))


def _guard(guard: str, launch: LaunchConfiguration, logs: list[Log], sources: Mapping[str, Source]) -> Channel:
    stem = _STRENGTH.sub("", guard).strip("_")
    counted = list(_counted(stem, logs))
    said = counted or _settings(
        re.compile(rf"(?:\w+_)?{re.escape(stem)}_(?:add_)?{_STRENGTHS}_?$", re.IGNORECASE), launch, sources
    )
    if said:
        first = next((s for s in said if s.on), said[0])
        return Channel("on" if first.on else "off", first.where)
    named = re.compile(rf"(?:\b|_){re.escape(stem)}_(?:add_)?{_STRENGTHS}", re.IGNORECASE)
    for source in sources.values():
        if named.search(source.text):
            return Channel("unknown", f"{source.name} has a {guard} whose value is not documented")
    return Channel("on", f"nothing sets a {guard}")


def _counted(stem: str, logs: list[Log]) -> Iterator[_Said]:
    """Gate counters such as ``within_gate=0``."""
    for log in logs:
        for counter in log.counters:
            for name, text in counter.values.items():
                if re.fullmatch(rf"{re.escape(stem)}_(?:gate|gates|gated|hits|fired)", name) and text.isdigit():
                    yield _Said(int(text) > 0, f"{name}={text} in {log.name}:{counter.line}")


def _settings(pattern: re.Pattern[str], launch: LaunchConfiguration, sources: Mapping[str, Source]) -> list[_Said]:
    """Documented values by a matching name, those of logs before others; else the defaults in the code."""
    found = [s for table in (launch.logged, launch.environment) for name, s in table.items() if pattern.fullmatch(name)]
    found += [other for setting in found for other in setting.conflicts if other.source is SettingSource.LOG]
    rank = list(SettingSource)
    best = min((rank.index(setting.source) for setting in found), default=None)
    if best is not None:
        return [
            _Said(
                _is_on(s.value),
                f"{s.name}={s.value} in {s.file}:{s.line}" if s.line else f"{s.name}={s.value} in {s.file}",
            )
            for s in found
            if rank.index(s.source) == best
        ]
    return [
        _Said(_is_on(value), f"{name} is {value} by default in {file}:{line}")
        for source in sources.values()
        for name, value, file, line in _defaults(source)
        if pattern.fullmatch(name)
    ]


def _is_on(text: str) -> bool:
    try:
        return float(text) != 0
    except ValueError:
        return text.strip().lower() not in _FALSE


@functools.lru_cache(maxsize=16)
def _defaults(source: Source) -> tuple[tuple[str, str, str, int], ...]:
    """Constants that the code gives to variables of the environment: (name, value, file, line)."""
    if source.problem is not None:
        return ()
    out = []
    for node in source.nodes:
        if not isinstance(node, ast.Call) or len(node.args) != 2:
            continue
        function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        name, default = node.args
        if isinstance(default, ast.Call) and default.args:
            default = default.args[0]
        if (
            re.search(r"get|env", function)
            and isinstance(name, ast.Constant)
            and isinstance(name.value, str)
            and isinstance(default, ast.Constant)
        ):
            out.append((name.value, str(default.value), source.name, node.lineno))
    return tuple(out)

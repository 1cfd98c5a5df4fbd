"""The launch configuration: what each switch of a script was set to in the documented run.

Precedence: what the submitted logs print, then the documented command, then what a wrapper script sets. The defaults in
the code come last and are found by whoever reads the code.
"""

from __future__ import annotations

import enum
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from auditor.submission.commands import Command, parse_command
from auditor.submission.logs import Log
from auditor.submission.metadata import Metadata
from auditor.submission.values import EnvironmentWrite


class SettingSource(enum.StrEnum):
    """Where a setting is documented, the most trustworthy first."""

    LOG = "log"
    README = "readme"
    SCRIPT = "script"
    """A shell script."""
    METADATA = "metadata"
    """``submission.json``."""
    WRAPPER = "wrapper"
    """``os.environ`` in a packed stub or another Python file of the submission."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One documented value.

    Attributes:
        name: as it is written there: an environment variable or a hyperparameter.
        value: its text, untrusted.
        source, file, line: where it stands.
        conflicts: other documented values of the same name that disagree and were not preferred.
    """

    name: str
    value: str
    source: SettingSource
    file: str
    line: int
    conflicts: tuple[Setting, ...] = ()


@dataclass(frozen=True)
class LaunchConfiguration:
    """The documented launch.

    Attributes:
        environment: environment variables.
        logged: hyperparameters by the name that logs or metadata print or a flag of the command has, lower case.
        command: the command that was preferred; None when none is documented.
        commands: every documented command.
        logs: names of the logs that were taken for those of the submitted runs.
    """

    environment: Mapping[str, Setting] = field(default_factory=dict)
    logged: Mapping[str, Setting] = field(default_factory=dict)
    command: Command | None = None
    commands: tuple[Command, ...] = ()
    logs: tuple[str, ...] = ()

    @property
    def ambiguous(self) -> tuple[Setting, ...]:
        """Settings that several runs or commands document differently."""
        return tuple(s for s in (*self.environment.values(), *self.logged.values()) if s.conflicts)

    def find(self, variable: str, *attributes: str) -> Setting | None:
        """What a switch was set to; None leaves it to the default in the code.

        Args:
            variable: the environment variable that the code reads.
            attributes: names the code gives to its value, which is how logs print it; the variable's own name in lower
                case is tried in any case.
        """
        hyperparameters = [self.logged.get(name.lower()) for name in (*attributes, variable)]
        documented = [setting for setting in (*hyperparameters, self.environment.get(variable)) if setting is not None]
        return min(documented, key=lambda setting: _RANK[setting.source], default=None)


# A wrapper's forced value has replaced the command's in `environment`; here only logs must come before metadata.
_RANK = {source: rank for rank, source in enumerate(SettingSource)}
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]+$")
_PER_RUN = re.compile(
    r"(?:rank|local_rank|seed|s|logfile|timestamp|date|host\w*|\w*port|pid|device|https?|is_\w+)$"
    r"|.*(?:run_?(?:id|name)|_path|_dir|_files?)$"
)
"""Names that differ from run to run by nature, lower case."""
_FLAG = re.compile(r"--([A-Za-z][\w\-]*)(?:=(.*))?$", re.DOTALL)
_FINAL = re.compile(r"\b(run|reproduc\w*|command|usage|train\w*|launch|quick ?start|how to|final|submission|eval\w*)\b")
_OTHER = re.compile(
    r"ablat|smoke|debug|baseline|local|mlx|single.?gpu|1x|cpu|sweep|explor|previous|prior|failed|test\b|dev\b"
)
_VARIATION = re.compile(
    r"ablat|smoke|debug|baseline|overrid|optional|if needed|disabl|without|turn(?:ing)? off|instead|alternativ|fallback"
)
"""Words that introduce another command than the submission's own."""


def choose_command(commands: Sequence[Command], entry: str) -> Command | None:
    """The command that most likely made the submission: it starts the entry, under a fitting heading, most complete.

    Blocks of bare assignments count only when no command starts a script.
    """
    starting = [command for command in commands if command.script] or list(commands)
    ranked = sorted(enumerate(starting), key=lambda pair: (_fitness(pair[1], entry), pair[0]))
    return ranked[-1][1] if ranked else None


def _fitness(command: Command, entry: str) -> tuple[int, int, int, int]:
    same = command.script.rpartition("/")[2] == entry.rpartition("/")[2]
    title = command.heading or command.file.lower()
    heading = bool(_FINAL.search(title)) - 2 * bool(_OTHER.search(title)) - 2 * bool(_VARIATION.search(command.lead))
    return (same, heading, command.fenced, len(command.environment))


def settings_of_commands(preferred: Command | None, commands: Iterable[Command]) -> dict[str, Setting]:
    """The environment of the preferred command, with what other commands for the same script say otherwise."""
    if preferred is None:
        return {}
    out = {
        name: Setting(name, value, _source_of(preferred), preferred.file, line)
        for name, (value, line) in preferred.environment.items()
    }
    for command in commands:
        if command is preferred or command.script.rpartition("/")[2] != preferred.script.rpartition("/")[2]:
            continue
        for name, (value, line) in command.environment.items():
            chosen = out.get(name)
            if chosen is not None and chosen.value != value and not _PER_RUN.match(name.lower()):
                other = Setting(name, value, _source_of(command), command.file, line)
                out[name] = replace(chosen, conflicts=(*chosen.conflicts, other))
    return out


def settings_of_arguments(preferred: Command | None) -> dict[str, Setting]:
    """The flags of the preferred command, by attribute name: ``--ttt-lr 0.1`` sets ``ttt_lr``, a bare flag is True."""
    out: dict[str, Setting] = {}
    words = preferred.arguments if preferred is not None else ()
    for word, after in itertools.zip_longest(words, words[1:], fillvalue=""):
        match = _FLAG.match(word)
        if match is not None and preferred is not None:
            value = match[2] if match[2] is not None else ("True" if not after or _FLAG.match(after) else after)
            name = match[1].replace("-", "_").lower()
            out[name] = Setting(name, value, _source_of(preferred), preferred.file, preferred.line)
    return out


def settings_of_wrappers(writes: Iterable[tuple[str, EnvironmentWrite]], *, forced: bool) -> dict[str, Setting]:
    """What wrapper scripts set: values that override a command (``forced``), or defaults that a command overrides."""
    out: dict[str, Setting] = {}
    for file, write in writes:
        setting = Setting(write.name, write.value, SettingSource.WRAPPER, file, write.line)
        if write.forced is forced and (forced or write.name not in out):
            out[write.name] = setting
    return out


def settings_of_metadata(metadata: Metadata | None) -> tuple[dict[str, Setting], dict[str, Setting]]:
    """What ``submission.json`` documents: (environment, hyperparameters by lower-case name)."""
    if metadata is None:
        return {}, {}

    def setting(name: str, value: str) -> Setting:
        return Setting(name, value, SettingSource.METADATA, metadata.file, 0)

    environment = {name: setting(name, value) for name, value in metadata.environment.items()}
    command = parse_command(metadata.command, metadata.file, 0) if metadata.command else None
    if command is not None:
        environment |= {name: setting(name, value) for name, (value, _) in command.environment.items()}
    return environment, {name.lower(): setting(name, value) for name, value in metadata.hyperparameters.items()}


def settings_of_logs(logs: Sequence[Log]) -> tuple[dict[str, Setting], dict[str, Setting]]:
    """What the logs of the submitted runs print: (environment, hyperparameters by lower-case name).

    Runs that disagree keep each other as conflicts, except on what differs from run to run by nature.
    """
    environment: dict[str, Setting] = {}
    hyperparameters: dict[str, Setting] = {}
    for log in logs:
        for name, fact in log.settings.items():
            setting = Setting(name, fact.value, SettingSource.LOG, fact.file, fact.line)
            where, key = (environment, name) if _VARIABLE.match(name) else (hyperparameters, name.lower())
            chosen = where.get(key)
            if chosen is None:
                where[key] = setting
            elif chosen.value != setting.value and chosen.file != setting.file and not _PER_RUN.match(key.lower()):
                where[key] = replace(chosen, conflicts=(*chosen.conflicts, setting))
    return environment, hyperparameters


def documented_launch(
    commands: tuple[Command, ...],
    entry: str,
    writes: Sequence[tuple[str, EnvironmentWrite]] = (),
    logs: Sequence[Log] = (),
    metadata: Metadata | None = None,
) -> LaunchConfiguration:
    """Put what is documented together by precedence.

    Args:
        commands: of READMEs and shell scripts.
        entry: name of the entry script, empty when there is none.
        writes: what wrapper scripts set, with the name of the script.
        logs: logs of the submitted runs (see :func:`~auditor.submission.logs.primary_logs`).
        metadata: the normalised ``submission.json``.
    """
    preferred = choose_command(commands, entry)
    arguments = settings_of_arguments(preferred)
    noted, claimed = settings_of_metadata(metadata)
    printed, logged = settings_of_logs(logs)
    environment = {
        **settings_of_wrappers(writes, forced=False),
        **noted,
        **settings_of_commands(preferred, commands),
        **settings_of_wrappers(writes, forced=True),
        **printed,
    }
    return LaunchConfiguration(
        environment, {**claimed, **arguments, **logged}, preferred, commands, tuple(log.name for log in logs)
    )


def _source_of(command: Command) -> SettingSource:
    return SettingSource.SCRIPT if command.file.lower().endswith((".sh", ".bash", ".slurm")) else SettingSource.README

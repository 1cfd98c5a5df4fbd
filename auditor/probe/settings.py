"""From a submission to its toy set-up: documented settings, toy sizes, what its scripts expect to find."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from auditor.probe.accumulators import accumulators_of
from auditor.probe.plan import Alteration, Rewrite, Setup
from auditor.probe.sizes import REWRITES, STRESS_REWRITES, lifts_a_limit, may_set, toy_value, whole_batch
from auditor.submission import Setting, SettingSource, Source, Submission, UnparsableSourceError
from auditor.submission.switches import effective

_READ = re.compile(r"""environ(?:\.get|\.setdefault)?\s*[(\[]\s*["'](\w+)["']|\w\s*[(\[]\s*["']([A-Z][A-Z0-9_]+)["']""")
"""A variable read from the environment, or by a helper such as ``env_int("ITERATIONS", 20000)``."""
_READ_BY_NAME = re.compile(r"environ(?:\.get|\.setdefault)?\s*[(\[]\s*([A-Za-z_]\w*)\s*[,)\]]")
_NAMED = re.compile(r"""\b([A-Za-z_]\w*)\s*=\s*["']([A-Z][A-Z0-9_]+)["']""")
"""Minifiers give a name that a script mentions twice to a constant: ``_d='WARMUP_STEPS'``, ``environ.get(_d, 20)``."""
_DATASET = re.compile(r"\bfineweb10B_\w{1,100}")
_TOKENIZER = re.compile(r"\b[\w\-]{1,100}\.model\b")
_PLAIN_VALUE = re.compile(r"[\w.+\-]+")
_TRUTH = {"True": "1", "False": "0"}
_IF_MANY_RANKS = re.compile(r"""(\w+)\s*=\s*["'](\w+)["']\s+if\s+(?:\w+\.)?world_size\s*>\s*1\s+else\b""")
_MOST_NAMES = 20


class NoEntryError(ValueError):
    """The submission has no Python script to run."""


def setup_for(submission: Submission, stress: bool = False, flags: Mapping[str, str] | None = None) -> Setup:
    """How to run ``submission`` at toy size under its documented settings.

    Args:
        submission: read by ``read_submission``.
        stress: shrink hash tables to the official run's load; ``Setup.altered`` names the literals.
        flags: environment variables that overrule everything else.

    Raises:
        NoEntryError: there is no script.
    """
    if submission.entry is None:
        raise NoEntryError("the submission has no Python script")
    sources = [source for source in submission.sources.values() if source.text]
    texts = [source.text for source in sources]
    names = environment_names(texts)
    documented = {name: value for name in names if (value := _documented(submission, name)) is not None}
    sizes = {name: value for name in names if (value := _size(submission, name, stress)) is not None}
    sizes |= {name: value for name in names if (value := whole_batch(name, texts)) is not None}
    environment = _defaults_of_many_ranks(texts) | documented | sizes | dict(flags or {})
    rewrites = (*REWRITES, *(STRESS_REWRITES if stress else ()))
    return Setup(
        entry=submission.entry.name,
        environment=environment,
        documented=frozenset(name for name, value in documented.items() if environment[name] == value),
        rewrites=rewrites,
        altered=tuple(_alterations(sources, rewrites)),
        sidecar=any("val_bytes" in text for text in texts),
        preload=tuple(_preload(submission, sources)),
        accumulators=tuple(accumulators_of(sources)),
        datasets=_names(_DATASET, texts),
        tokenizers=_names(_TOKENIZER, texts),
    )


def _defaults_of_many_ranks(texts: Iterable[str]) -> dict[str, str]:
    """Defaults that hang on there being several ranks: a toy run has one, where the official one has eight."""
    found: dict[str, str] = {}
    for text in texts:
        for variable, value in _IF_MANY_RANKS.findall(text):
            read = rf"""\b(?:get|getenv)\(\s*["'](\w+)["']\s*,\s*{variable}\s*\)"""
            found |= dict.fromkeys(filter(may_set, re.findall(read, text)), value)
    return found


def environment_names(texts: Iterable[str]) -> tuple[str, ...]:
    """Environment variables that scripts read by a literal name, and some words besides, sorted."""
    found: set[str] = set()
    for text in texts:
        found |= {name for pair in _READ.findall(text) for name in pair if name}
        constants = dict(_NAMED.findall(text))
        found |= {constants[name] for name in _READ_BY_NAME.findall(text) if name in constants}
    return tuple(sorted(found))


def _size(submission: Submission, name: str, stress: bool) -> str | None:
    """The toy value, where it is smaller than what the run has: one epoch stays one, and what is off stays off."""
    value = toy_value(name, stress=stress)
    in_force = effective(submission, name)
    if value is None or in_force is None or lifts_a_limit(name):
        return value
    try:
        return None if 0.0 <= float(in_force.text) < float(value) else value
    except ValueError:
        return value


def _documented(submission: Submission, name: str) -> str | None:
    setting = submission.launch.find(name) if may_set(name) else None
    if setting is None or (submission.retracts_its_run and setting.source is SettingSource.README):
        return None
    return _value(setting)


def _value(setting: Setting) -> str | None:
    """The setting as a variable's value; logs and metadata print Python's, of which only plain ones come back."""
    if setting.source in {SettingSource.LOG, SettingSource.METADATA}:
        value = _TRUTH.get(setting.value, setting.value)
        return value if _PLAIN_VALUE.fullmatch(value) and value != "None" else None
    return None if setting.value.startswith(("$", "<")) or "..." in setting.value else setting.value


def _alterations(sources: Iterable[Source], rewrites: Iterable[Rewrite]) -> Iterator[Alteration]:
    for source in sources:
        for rewrite in rewrites:
            for match in re.finditer(rewrite.pattern, source.text):
                after = match.expand(rewrite.replacement)
                if after != match[0]:
                    line = source.text.count("\n", 0, match.start()) + 1
                    yield Alteration(source.name, line, match[0], after, rewrite.why)


def _preload(submission: Submission, sources: Iterable[Source]) -> list[str]:
    own = {PurePosixPath(part).stem for name in submission.files for part in PurePosixPath(name).parts}
    found: dict[str, None] = {}
    for source in sources:
        try:
            found |= dict.fromkeys(_imports(source.syntax))
        except UnparsableSourceError:
            continue
    return [module for module in found if module.partition(".")[0] not in own]


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _names(pattern: re.Pattern[str], texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for text in texts for name in pattern.findall(text)})[:_MOST_NAMES])

"""From command-line options, manifest and contest profile to what exactly is evaluated."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from evaluator.manifest import Manifest, beside, read_manifest
from evaluator.refusal import Refused, refusing
from evaluator.settings import EvalPreset, load_eval_preset, settings_from
from evaluator.supervise import Fleet
from rules.contest.profile import ContestProfile, load_profile

AUTO = "auto"
DEFAULT_CONTEST = "parameter-golf"


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller asked for; None where the manifest or the contest may answer.

    Attributes:
        artifact: the artifact; None for no model at all, a uniform distribution.
        preset: name of a model preset, or ``"auto"``.
        data, tokenizer: validation shards and SentencePiece model.
        code: files and folders whose bytes count.
        eval_preset: name of an evaluation preset.
        contest: name of a contest profile.
        fleet: processes.
        official: whether an official score is wanted.
        time_limit: seconds, in place of the contest's cap; practice only.
        scoring: how to score, in place of a preset's name (comparison, replay).
        scaled: whether the preset shrinks with the data and the model (:mod:`evaluator.scaling`); practice only.
        sanity: score windows that do not overlap, without adaptation or mixer (:mod:`evaluator.sanity`).
        allow_unsandboxed: whether the artifact may be decoded without isolation where none works; practice only.
    """

    artifact: Path | None
    preset: str = AUTO
    data: Path | None = None
    tokenizer: Path | None = None
    code: tuple[Path, ...] = ()
    eval_preset: str | None = None
    contest: str | None = None
    fleet: Fleet = field(default_factory=Fleet)
    official: bool = False
    time_limit: float | None = None
    scoring: EvalPreset | None = None
    scaled: bool = False
    sanity: bool = False
    allow_unsandboxed: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What is evaluated, all questions answered.

    Attributes:
        profile: the contest.
        preset: name of a model preset, or ``"auto"``.
        data, tokenizer, code: as in :class:`Options`.
        scoring: how to score.
        scoring_from: where that comes from, for a reader.
        time_limit: seconds.
        defaults: what was filled in, as lines for a reader.
    """

    profile: ContestProfile
    preset: str
    data: Path
    tokenizer: Path
    code: tuple[Path, ...]
    scoring: EvalPreset
    scoring_from: str
    time_limit: float
    defaults: tuple[str, ...]


def missing_for_official(options: Options) -> list[str]:
    """What an official score lacks that can be told from the options alone; empty if nothing."""
    gaps = []
    if options.artifact is None:
        gaps.append("there is no artifact")
    if options.eval_preset or options.scoring or options.scaled:
        gaps.append("no scoring setting may be given: the contest's own are used")
    if options.time_limit is not None:
        gaps.append("no time limit may be given: the contest's own is used")
    if options.sanity:
        gaps.append("--sanity is a check, no score")
    if options.allow_unsandboxed:
        gaps.append("the artifact must be decoded in a sandbox")
    if not options.code:
        gaps.append("--code is missing: the bytes of the code count")
    if options.data is None:
        gaps.append("--data is missing: the validation set is never taken from the submission")
    if options.tokenizer is None:
        gaps.append("--tokenizer is missing: it is never taken from the submission")
    return gaps


def resolve(options: Options) -> Plan:
    """Answer what ``options`` leave open.

    Raises:
        Refused: there is no artifact, nothing says where the data are, or a name is unknown.
    """
    if options.artifact is not None and not os.path.lexists(options.artifact):
        raise Refused("not-found", f"there is no file {options.artifact}")
    manifest, path = (Manifest(), None) if options.artifact is None else read_manifest(options.artifact)
    defaults = _Defaults(path)
    contest = options.contest or (None if options.official else defaults.take("--contest", manifest.contest))
    with refusing("unknown-contest"):
        profile = load_profile(contest or DEFAULT_CONTEST)
    preset = options.preset
    if preset == AUTO:
        preset = defaults.take("--preset", manifest.preset) or AUTO
    data = options.data or defaults.place("--data", manifest.data)
    tokenizer = options.tokenizer or defaults.place("--tokenizer", manifest.tokenizer)
    code = options.code or tuple(defaults.place("--code", entry) for entry in manifest.code)
    scoring, source = _scoring(options, manifest, profile, defaults)
    return Plan(
        profile=profile,
        preset=preset,
        data=data,
        tokenizer=tokenizer,
        code=code,
        scoring=scoring,
        scoring_from=source,
        time_limit=profile.caps.eval_seconds if options.time_limit is None else options.time_limit,
        defaults=tuple(defaults.lines),
    )


class _Defaults:
    """What is taken from the manifest ``path``, and a line for a reader about each; None where there is no manifest."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.lines: list[str] = []

    def take(self, option: str, value: str | None) -> str | None:
        """The manifest's value for ``option``."""
        if value is not None and self._path is not None:
            self.lines.append(f"{option} {value} (from {self._path.name})")
        return value

    def place(self, option: str, relative: str | None) -> Path:
        """The file or folder that the manifest names for ``option``.

        Raises:
            Refused: it names none.
        """
        if self._path is None or relative is None:
            raise Refused("nothing-to-score-on", f"{option} is not given, and no manifest beside the artifact names it")
        self.take(option, relative)
        return beside(self._path, relative)


def _scoring(
    options: Options, manifest: Manifest, profile: ContestProfile, defaults: _Defaults
) -> tuple[EvalPreset, str]:
    """How to score, and who says so: the caller, the manifest or the contest; of an official score, the contest."""
    if not options.official:
        if options.scoring is not None:
            return options.scoring, "as given"
        name = options.eval_preset or defaults.take("--eval-preset", manifest.eval_preset)
        if name is not None:
            with refusing("unknown-eval-preset"):
                return load_eval_preset(name), f"evaluation preset {name}"
    source = f"contest {profile.name}"
    return EvalPreset(settings_from(profile.scoring, source)), source

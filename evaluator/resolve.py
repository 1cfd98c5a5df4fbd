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
    defaults: list[str] = []

    def default(option: str, value: str | None) -> str | None:
        if value is not None and path is not None:
            defaults.append(f"{option} {value} (from {path.name})")
        return value

    contest = options.contest or (None if options.official else default("--contest", manifest.contest))
    with refusing("unknown-contest"):
        profile = load_profile(contest or DEFAULT_CONTEST)

    preset = options.preset
    if preset == AUTO:
        preset = default("--preset", manifest.preset) or AUTO

    def folder(option: str, given: Path | None, relative: str | None) -> Path:
        if given is not None:
            return given
        if path is None or relative is None:
            raise Refused("nothing-to-score-on", f"{option} is not given, and no manifest beside the artifact names it")
        default(option, relative)
        return beside(path, relative)

    data = folder("--data", options.data, manifest.data)
    tokenizer = folder("--tokenizer", options.tokenizer, manifest.tokenizer)
    code = options.code
    if not code and path is not None:
        code = tuple(beside(path, entry) for entry in manifest.code)
        for entry in manifest.code:
            default("--code", entry)

    eval_preset = options.eval_preset
    if options.official or (eval_preset is None and manifest.eval_preset is None and options.scoring is None):
        source = f"contest {profile.name}"
        scoring = EvalPreset(settings_from(profile.scoring, source))
    elif options.scoring is not None:
        scoring, source = options.scoring, "as given"
    else:
        eval_preset = eval_preset or default("--eval-preset", manifest.eval_preset)
        with refusing("unknown-eval-preset"):
            scoring = load_eval_preset(str(eval_preset))
        source = f"evaluation preset {eval_preset}"
    return Plan(
        profile=profile,
        preset=preset,
        data=data,
        tokenizer=tokenizer,
        code=code,
        scoring=scoring,
        scoring_from=source,
        time_limit=profile.caps.eval_seconds if options.time_limit is None else options.time_limit,
        defaults=tuple(defaults),
    )

"""``submission.json`` normalised: one set of typed fields for the hundred spellings in use.

Unknown keys stay in ``raw``. A value of the wrong type, a placeholder or an impossible number becomes a problem and the
field stays None: nothing is guessed.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from auditor.submission.problems import Problem, ProblemKind, shorten

_T = TypeVar("_T")
_SEED_KEY = re.compile(r"^(?:seed|run|s)?[\s_\-]*(\d{1,10})$", re.IGNORECASE)
_NUMBER = re.compile(
    r"^\s*~?\s*([-+]?\d[\d,_]*(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*(?:bpb|bytes|b|s|sec|seconds|nats)?\s*$", re.IGNORECASE
)
_PLACEHOLDER = re.compile(r"pending|placeholder|todo|tbd|fill|wip|xxxx|n/?a|unknown|none|^-*$", re.IGNORECASE)
_PER_SEED_KEYS = ("seed_results", "seeds", "per_seed", "per_seed_results", "results", "runs", "all_seeds", "seed_runs")
_PER_SEED_SCALARS = ("val_bpb_seeds", "val_bpb_per_seed", "seed_val_bpb", "per_seed_val_bpb", "individual_val_bpb")
_HOLDERS = ("results", "metrics", "result", "score", "scores", "summary", "final", "record")

_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    name: tuple(keys.split())
    for name, keys in {
        "name": "name submission_name title run_name model_name",
        "author": "author authors author_name",
        "github_id": "github_id github github_username github_user author_github",
        "date": "date submission_date created timestamp",
        "track": "track submission_type category",
        "val_bpb": "val_bpb mean_val_bpb val_bpb_mean val_bpb_exact mean_bpb final_val_bpb bpb score val_bpb_3seed_mean"
        " best_val_bpb avg_val_bpb",
        "val_loss": "val_loss mean_val_loss val_loss_mean val_loss_exact final_val_loss",
        "val_bpb_std": "val_bpb_std std_val_bpb val_bpb_stdev std val_bpb_std_dev",
        "bytes_total": "bytes_total total_bytes artifact_bytes artifact_bytes_max artifact_size_bytes total_size_bytes"
        " submission_bytes artifact_size total_submission_bytes",
        "bytes_code": "bytes_code code_bytes code_size_bytes code_compressed_bytes",
        "bytes_model": "bytes_model model_bytes model_size_bytes compressed_model_bytes",
        "train_seconds": "wallclock_seconds training_time_seconds train_time_seconds train_seconds train_time_s"
        " train_wallclock_s training_seconds train_s train_wallclock_seconds",
        "eval_seconds": "eval_time_seconds eval_seconds eval_time_s total_eval_time_s eval_s ttt_eval_time_s",
        "steps": "steps step_stop train_steps training_steps stop_step",
    }.items()
}
_MILLISECONDS = {"train_seconds": ("train_time_ms", "train_wallclock_ms"), "eval_seconds": ("eval_time_ms",)}


@dataclass(frozen=True, slots=True)
class SeedResult:
    """What the metadata claims of one run.

    Attributes:
        seed: as written; None for a bare list of scores.
        val_loss: nats per token.
        val_bpb: bits per byte.
        bytes_total: artifact with the counted code.
        train_seconds: as claimed.
        eval_seconds: as claimed.
        steps: optimiser steps.
    """

    seed: int | None
    val_loss: float | None = None
    val_bpb: float | None = None
    bytes_total: int | None = None
    train_seconds: float | None = None
    eval_seconds: float | None = None
    steps: int | None = None


@dataclass(frozen=True)
class Metadata:
    """The normalised ``submission.json``.

    Attributes:
        file: its name in the folder.
        name: title of the submission.
        author: a name, or several joined by commas.
        github_id: without ``@``.
        date: day of the submission.
        track: ``"record"`` or ``"non-record"``, from the many spellings.
        val_bpb: the headline score, bits per byte.
        val_loss: its loss, nats per token.
        val_bpb_std: standard deviation over seeds.
        bytes_total: artifact with the counted code.
        bytes_code: counted code.
        bytes_model: compressed model.
        train_seconds: as claimed.
        eval_seconds: as claimed.
        steps: optimiser steps.
        seeds: seeds that it lists.
        seed_results: claims per run.
        retracted: it says that the score is withdrawn.
        environment: environment variables that it documents.
        hyperparameters: settings that it documents under their attribute names.
        command: a run command that it documents; empty for none.
        raw: the parsed JSON object, untrusted.
        problems: fields that could not be used.
    """

    file: str
    name: str | None = None
    author: str | None = None
    github_id: str | None = None
    date: datetime.date | None = None
    track: str | None = None
    val_bpb: float | None = None
    val_loss: float | None = None
    val_bpb_std: float | None = None
    bytes_total: int | None = None
    bytes_code: int | None = None
    bytes_model: int | None = None
    train_seconds: float | None = None
    eval_seconds: float | None = None
    steps: int | None = None
    seeds: tuple[int, ...] = ()
    seed_results: tuple[SeedResult, ...] = ()
    retracted: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    @property
    def claimed_bpb(self) -> tuple[float, ...]:
        """Every score it claims: the headline and each seed's."""
        scores = [self.val_bpb, *(result.val_bpb for result in self.seed_results)]
        return tuple(dict.fromkeys(score for score in scores if score is not None))


def parse_metadata(text: str, file: str = "submission.json") -> Metadata:
    """Normalise the text of a ``submission.json``. Never raises; what is unusable becomes a problem."""
    try:
        document = json.loads(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        problem = Problem(ProblemKind.BAD_METADATA, f"not JSON: {error.msg}", file, error.lineno)
        return Metadata(file, problems=(problem,))
    except (RecursionError, ValueError) as error:
        message = "nested too deep" if isinstance(error, RecursionError) else shorten(str(error))
        return Metadata(file, problems=(Problem(ProblemKind.BAD_METADATA, f"not JSON: {message}", file),))
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    if not isinstance(document, dict):
        message = f"an object was expected, not {type(document).__name__}"
        return Metadata(file, problems=(Problem(ProblemKind.BAD_METADATA, message, file),))
    return _Reader(document, file).metadata()


class _Reader:
    """Fields of one document; problems accumulate."""

    def __init__(self, document: dict[str, Any], file: str) -> None:
        self.document = document
        self.file = file
        self.problems: list[Problem] = []

    def metadata(self) -> Metadata:
        top = self._with_holders()
        results = self._seed_results(top)
        model = self.take(top, "bytes_model", _count)
        if model is None:
            model = next((_count(value) for key, value in top.items() if key.startswith("bytes_model_")), None)
        status = " ".join(str(top.get(key, "")) for key in ("status", "val_bpb_status"))
        return Metadata(
            self.file,
            name=self.take(top, "name", _text),
            author=self.take(top, "author", _text),
            github_id=(self.take(top, "github_id", _text) or "").lstrip("@") or None,
            date=self.take(top, "date", _date),
            track=self.take(top, "track", _track),
            val_bpb=self.take(top, "val_bpb", _score),
            val_loss=self.take(top, "val_loss", _score),
            val_bpb_std=self.take(top, "val_bpb_std", _number),
            bytes_total=self.take(top, "bytes_total", _count),
            bytes_code=self.take(top, "bytes_code", _count),
            bytes_model=model,
            train_seconds=self.take(top, "train_seconds", _number),
            eval_seconds=self.take(top, "eval_seconds", _number),
            steps=self.take(top, "steps", _count),
            seeds=self._seeds(top, results),
            seed_results=results,
            retracted="val_bpb_retracted" in top or "retract" in status.lower() or "withdrawn" in status.lower(),
            environment=MappingProxyType(dict(_environment(self.document))),
            hyperparameters=MappingProxyType(dict(_hyperparameters(self.document))),
            command=_command_text(self.document),
            raw=self.document,
            problems=tuple(self.problems),
        )

    def _with_holders(self) -> dict[str, Any]:
        """The document with what stands under ``results`` and the like, where the top level has no such key."""
        top = dict(self.document)
        for holder in _HOLDERS:
            inner = self.document.get(holder)
            if isinstance(inner, dict):
                for key, value in inner.items():
                    top.setdefault(key, value)
        return top

    def take(self, where: Mapping[str, Any], name: str, convert: Callable[[Any], _T | None]) -> _T | None:
        """The first usable value among a field's spellings; a present but unusable one is a problem."""
        unusable = None
        for key in _SYNONYMS[name]:
            value = where.get(key)
            if value is None or value == "":
                continue
            if isinstance(value, dict) and name in {"val_bpb", "val_loss"}:
                value = next((value[k] for k in ("mean", "value", "val_bpb", "final") if k in value), value)
            out = convert(value)
            if out is not None:
                return out
            unusable = unusable or (key, value)
        for key in _MILLISECONDS.get(name, ()):
            milliseconds = _number(where.get(key))
            if milliseconds is not None:
                return convert(milliseconds / 1000)
        if unusable is not None and not isinstance(unusable[1], dict | list):
            message = f"{unusable[0]}: cannot use {shorten(repr(unusable[1]), 60)}"
            self.problems.append(Problem(ProblemKind.BAD_METADATA, message, self.file))
        return None

    def _seed_results(self, top: Mapping[str, Any]) -> tuple[SeedResult, ...]:
        for key in _PER_SEED_KEYS:
            found = tuple(self._results_in(top.get(key)))
            if found:
                return found
        for key in _PER_SEED_SCALARS:
            found = tuple(self._results_in(top.get(key)))
            if found:
                return found
        return tuple(self._results_in({key: value for key, value in top.items() if isinstance(value, dict)}))

    def _results_in(self, value: Any) -> Iterator[SeedResult]:
        if isinstance(value, dict):
            for key, item in value.items():
                if match := _SEED_KEY.match(str(key)):
                    yield self._result(int(match[1]), item)
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    seed = _count(item.get("seed"))
                    yield self._result(seed, item)
                elif isinstance(item, float):
                    yield SeedResult(None, val_bpb=_score(item))

    def _result(self, seed: int | None, item: Any) -> SeedResult:
        if not isinstance(item, dict):
            return SeedResult(seed, val_bpb=_score(item))
        kept = len(self.problems)
        result = SeedResult(
            seed,
            val_loss=self.take(item, "val_loss", _score),
            val_bpb=self.take(item, "val_bpb", _score) or _first_score(item),
            bytes_total=self.take(item, "bytes_total", _count),
            train_seconds=self.take(item, "train_seconds", _number),
            eval_seconds=self.take(item, "eval_seconds", _number),
            steps=self.take(item, "steps", _count),
        )
        del self.problems[kept + 4 :]  # a placeholder in every run is one message, not thirty
        return result

    def _seeds(self, top: Mapping[str, Any], results: tuple[SeedResult, ...]) -> tuple[int, ...]:
        listed = top.get("seeds")
        seeds = [_count(item) for item in listed] if isinstance(listed, list) else []
        seeds = [seed for seed in seeds if seed is not None] or [r.seed for r in results if r.seed is not None]
        if not seeds and (single := _count(top.get("seed"))) is not None:
            seeds = [single]
        return tuple(dict.fromkeys(seed for seed in seeds if seed is not None))


def _first_score(item: Mapping[str, Any]) -> float | None:
    """A score under another label, such as ``ttt_bpb``, when no plain one is there."""
    for key in ("ttt_bpb", "ttt_val_bpb", "sliding_bpb", "sliding_val_bpb", "sliding_window_bpb", "roundtrip_val_bpb"):
        if (score := _score(item.get(key))) is not None:
            return score
    return None


def _text(value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("name") or value.get("github") or value.get("github_id")
    if isinstance(value, list):
        value = ", ".join(str(_text(item) or "") for item in value[:20])
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value.strip()[:2000] or None if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    """A finite number, from a number or a text such as ``"15,993,904 bytes"``."""
    if isinstance(value, str) and len(value) < 60 and (match := _NUMBER.match(value)):
        value = float(match[1].replace(",", "").replace("_", ""))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _score(value: Any) -> float | None:
    """A loss or bits per byte: more than 0 and below 1000."""
    number = _number(value)
    return number if number is not None and 0 < number < 1000 else None


def _count(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number >= 0 and number == int(number) else None


def _date(value: Any) -> datetime.date | None:
    if not isinstance(value, str) or len(value) < 8 or _PLACEHOLDER.search(value):
        return None
    try:
        return datetime.date.fromisoformat(value.strip()[:10])
    except ValueError:
        return None


def _track(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    words = re.sub(r"[^a-z0-9]+", "-", value.lower())
    if "non-record" in words or "nonrecord" in words or "unlimited" in words:
        return "non-record"
    return "record" if "record" in words or "10min" in words or "10-min" in words else None


def _environment(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in ("env", "environment", "env_vars", "environment_variables", "run_env", "env_overrides"):
        inner = document.get(key)
        for name, value in inner.items() if isinstance(inner, dict) else ():
            if re.fullmatch(r"[A-Z][A-Z0-9_]{1,60}", str(name)) and isinstance(value, str | int | float):
                yield str(name), str(value)


def _hyperparameters(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in (
        "hyperparameters",
        "hparams",
        "config",
        "configuration",
        "ttt_config",
        "ttt",
        "settings",
        "key_hparams",
    ):
        inner = document.get(key)
        for name, value in inner.items() if isinstance(inner, dict) else ():
            if isinstance(value, str | int | float) and re.fullmatch(r"[A-Za-z_]\w{0,80}", str(name)):
                yield str(name), str(value)


def _command_text(document: Mapping[str, Any]) -> str:
    for key in (
        "run_command",
        "command",
        "cmd",
        "train_command",
        "reproduce",
        "reproduction_command",
        "launch_command",
    ):
        value = document.get(key)
        if isinstance(value, str):
            return value[:20_000]
    return ""

"""Training and evaluation logs as typed facts, each with its file and line.

Logs are free text by two thousand authors. What is read: the hyperparameters they print, final scores, sizes, timers,
data counts and gate counters. A log may embed the executed script between rules of ``=``; that part is set aside and
compared with the shipped script, so that code never reads as a setting.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from auditor.submission.echoes import Echoes

T = TypeVar("T")

_RULE = re.compile(r"={50,}")
_CODE = re.compile(r"^(?:import |from \S+ import |def |class |@|    return |if __name__)", re.MULTILINE)
_FIRST_LINE = re.compile(r"[\"']{3}|#|import |from \S+ import|exec\(")
_SHORTEST_SCRIPT = 2000
_STEP = re.compile(r"^\s*(?:\[\S+\]\s*)?(?:step[:\s=]\s*\d|\d+/\d+[\s:]|warmup_step|iter[:\s]\d|epoch[:\s]\d)")
_NOISE = re.compile(r"^(?:[WEI]\d{4} |\[rank\d|\||\+[-=]|Collecting |Requirement |Downloading |  (?:File|warnings\.))")
_LOSS = re.compile(r"\b(?:val_)?loss[:=]\s*(\d+\.\d+)")
_BPB = re.compile(r"\b(?:val_)?bpb[:=]\s*(\d+\.\d+)")
_LABEL = re.compile(r"^\s*(?:\[[^\]]*\]\s*)?([A-Za-z][\w+\-. ()/]*?)(?::\w+)?[:\s]+(?:mean_)?(?:val_)?(?:loss|bpb)\b")
_EVAL_TIME = re.compile(r"\b(?:eval_time|elapsed|time)[:=]\s*(\d+(?:\.\d+)?)\s*(ms|s)\b")
_STOP = re.compile(r"stopping_early:?\s*(\w+).*?train_time:\s*(\d+(?:\.\d+)?)\s*ms")
_TOTAL_EVAL = re.compile(r"total_eval_time:?\s*(\d+(?:\.\d+)?)\s*s\b")
_HESSIAN = re.compile(r"collected\s+(\d+)\s+[Hh]essians?.*?\bin\s+(\d+(?:\.\d+)?)\s*s\b")
_CALIBRATION = re.compile(
    r"(?:gptq|awq|hessian).{0,40}(?:calibrat|collect)|(?:calibrat|collect).{0,40}hessian", re.IGNORECASE
)
_RESERVE = re.compile(r"gptq:?\s*reserving\s+(\d+(?:\.\d+)?)\s*s", re.IGNORECASE)
_VAL_TOKENS = re.compile(r"\b(?:val_tokens|target_tokens)[:=]\s*([\d,_]+)|^val_loader:.*?\btokens:\s*(\d+)")
_SHARDS = re.compile(r"\btrain_shards[:=]\s*(\d+)")
_BYTES = r"(?<![\w+.,])([\d,_]{3,20})\s*(?:bytes|B\b)"
_TOTAL_SIZE = re.compile(r"[Tt]otal\b(?=.{0,60}(?:submission|artifact|size)).{0,80}?" + _BYTES)
_CODE_SIZE = re.compile(r"[Cc]ode size.{0,60}?" + _BYTES)
_MODEL_SIZE = re.compile(r"[Ss]erialized (?:quantized )?model\s.{1,80}?" + _BYTES)
_COUNTER = re.compile(r"^\s*([A-Za-z_][\w\-]*:[A-Za-z_][\w\-]*)\s+(.*=.*)$")
_PAIR = re.compile(r"([A-Za-z_][\w.\-]*)=(\[[^\]]*\]|\([^)]*\)|'[^']*'|\"[^\"]*\"|[^\s,)]+)")
_ONE_SETTING = re.compile(r"^\s{0,8}[\"']?([A-Za-z_]\w*)[\"']?\s*[:=]\s*(.*?),?\s*$")
_MANY_SETTINGS = re.compile(
    r"(?:^|[\s,({])[\"']?([A-Za-z_]\w*)[\"']?[:=]\s?(\[[^\]]*\]|'[^']*'|\"[^\"]*\"|[^\s,:={})]+)(?=$|[\s,})])"
)
_OPENING = re.compile(r"\s*([^\d\s][^\d]{3,79})")
_MOST_OPENINGS = 2_000
_MOST_COUNTERS = 400
_MOST_LINES = 200_000


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """A value read from a log.

    Attributes:
        value: the value.
        file: name of the log.
        line: 1-based line.
        label: the words that the log puts before it.
    """

    value: T
    file: str
    line: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """A scoring result that a log prints.

    Attributes:
        label: what the log calls it, such as ``"final_int8_zlib_roundtrip_exact"``; empty when it gives none.
        val_loss: nats per token; None when only bits per byte are printed.
        val_bpb: bits per byte.
        seconds: the timer printed on the same line.
        file: name of the log.
        line: 1-based line.
    """

    label: str
    val_loss: float | None
    val_bpb: float
    seconds: float | None
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Counter:
    """A line of counters such as ``ngram_tilt:hints total=5 token_gate=3``.

    Attributes:
        label: the words before the counters.
        values: name -> value text.
        file: name of the log.
        line: 1-based line.
    """

    label: str
    values: Mapping[str, str]
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class SourceDump:
    """The script that a log embeds.

    Attributes:
        first_line: 1-based line where it begins.
        last_line: its last line.
        matches: name of the shipped source that it equals up to white space; empty when it equals none.
    """

    first_line: int
    last_line: int
    matches: str = ""


@dataclass(frozen=True)
class Log:
    """One log.

    Attributes:
        name: its name in the folder.
        truncated: only its beginning was read.
        dump: the script that it embeds.
        settings: hyperparameters by name: those it prints before training starts, and those that the script's own
            formats show later.
        scores: final scores, in order; scores during training are left out.
        validation: the last score during training: of the model alone, before anything adapts to what it scores.
        counters: gate and other counters, in order.
        val_tokens: validation tokens it names.
        train_shards: training shards it names.
        stop: training time in seconds at the early stop; the label is the reason.
        hessian_seconds: seconds of Hessian collection.
        calibrations: lines that speak of calibrating a quantiser.
        reserve_seconds: seconds of training time reserved for quantisation.
        total_eval_seconds: the timer over the whole evaluation.
        total_bytes: total submission sizes; the label tells several apart.
        code_bytes: counted code.
        model_bytes: compressed model.
        openings: how its lines begin, up to the first digit; each once.
    """

    name: str
    truncated: bool = False
    dump: SourceDump | None = None
    settings: Mapping[str, Fact[str]] = field(default_factory=dict)
    scores: tuple[Score, ...] = ()
    validation: Score | None = None
    counters: tuple[Counter, ...] = ()
    val_tokens: tuple[Fact[int], ...] = ()
    train_shards: tuple[Fact[int], ...] = ()
    stop: tuple[Fact[float], ...] = ()
    hessian_seconds: tuple[Fact[float], ...] = ()
    calibrations: tuple[Fact[str], ...] = ()
    reserve_seconds: tuple[Fact[float], ...] = ()
    total_eval_seconds: tuple[Fact[float], ...] = ()
    total_bytes: tuple[Fact[int], ...] = ()
    code_bytes: tuple[Fact[int], ...] = ()
    model_bytes: tuple[Fact[int], ...] = ()
    openings: frozenset[str] = frozenset()

    @property
    def seed(self) -> int | None:
        """The seed that it prints, else the number in its name."""
        printed = self.settings.get("seed") or self.settings.get("SEED")
        if printed is not None and printed.value.isdigit():
            return int(printed.value)
        match = re.search(r"(?:seed|_s)_?(\d{1,7})(?!\d)", self.name.rpartition("/")[2])
        return int(match[1]) if match else None

    @property
    def final_score(self) -> Score | None:
        """The last score it prints, preferring a line that is labelled exact for the same result."""
        return self.scores[-1] if self.scores else None


def parse_log(
    text: str, name: str, scripts: Mapping[str, str], *, echoes: Echoes | None = None, truncated: bool = False
) -> Log:
    """Read one log.

    Args:
        text: its text.
        name: its name in the folder.
        scripts: white-space-normalised text of each shipped source (see :func:`squeeze`) -> name of the source.
        echoes: what the sources print of their settings.
        truncated: the text is only the beginning.

    Never raises.
    """
    lines = text.split("\n", _MOST_LINES)[:_MOST_LINES]
    dump = _find_dump(lines, scripts)
    reader = _LogReader(name, echoes or Echoes())
    skip = range(dump.first_line, dump.last_line + 1) if dump else range(0)
    for number, line in enumerate(lines, 1):
        if number not in skip and len(line) < 20_000:
            reader.line(number, line)
    return reader.log(truncated=truncated, dump=dump)


def squeeze(text: str) -> str:
    """A script without white space, to compare a dump with a file."""
    return "".join(text.split())


def _find_dump(lines: list[str], scripts: Mapping[str, str]) -> SourceDump | None:
    """The longest part between rules that looks like Python."""
    edges = [0, *(i + 1 for i, line in enumerate(lines) if line.startswith("=====") and _RULE.fullmatch(line.strip()))]
    if len(edges) == 1:
        return None
    edges.append(len(lines) + 1)
    parts = sorted(((end - first, first, end - 1) for first, end in itertools.pairwise(edges)), reverse=True)
    for length, start, end in parts[:3]:
        body = lines[start:end]
        # The log's own first lines may stand before the script, without a rule between them.
        before = next((i for i, line in enumerate(body[:200]) if _FIRST_LINE.match(line)), 0)
        code = "\n".join(body[before:])
        equal = _equal_script(squeeze(code), scripts)
        if equal or (length > 5 and (len(_CODE.findall(code)) > 4 or "exec(" in code)):
            return SourceDump(start + before + 1, start + len(body), equal)
    return None


def _equal_script(dump: str, scripts: Mapping[str, str]) -> str:
    """The shipped script that a dump is, or ends or begins with."""
    longest_first = sorted(scripts, key=len, reverse=True)
    inside = (script for script in longest_first if len(script) > _SHORTEST_SCRIPT and script in dump)
    return scripts.get(dump) or scripts.get(next(inside, ""), "")


@dataclass
class _LogReader:
    """Facts of one log, line by line."""

    name: str
    echoes: Echoes
    settings: dict[str, Fact[str]] = field(default_factory=dict)
    scores: list[Score] = field(default_factory=list)
    validation: Score | None = None
    counters: list[Counter] = field(default_factory=list)
    calibrations: list[Fact[str]] = field(default_factory=list)
    numbers: dict[str, list[Fact[float]]] = field(default_factory=dict)
    started: bool = False
    """Training has begun: what follows is no hyperparameter dump."""
    openings: set[str] = field(default_factory=set)

    def line(self, number: int, line: str) -> None:
        if len(self.openings) < _MOST_OPENINGS and (opening := _OPENING.match(line)):
            self.openings.add(opening[1])
        for name, value in self.echoes.settings(line):
            self.settings.setdefault(name, Fact(value, self.name, number))
        scored = self._score(number, line) if "bpb" in line and len(line) < 1000 else None
        if _STEP.match(line):
            self.started = True
            self.validation = scored or self.validation
            return
        if scored is not None:
            self.scores.append(scored)
            return
        lower = line.lower()
        self._sizes_and_timers(number, line, lower)
        if "tokens" in line and (match := _VAL_TOKENS.search(line)):
            self._number("val_tokens", match[1] or match[2], number)
        if "train_shards" in line and (match := _SHARDS.search(line)):
            self._number("train_shards", match[1], number)
        if "=" in line and (match := _COUNTER.match(line)) and len(self.counters) < _MOST_COUNTERS:
            values = dict(_PAIR.findall(match[2]))
            if values:
                self.counters.append(Counter(match[1], values, self.name, number))
        if not self.started and (":" in line or "=" in line) and not _NOISE.match(line) and len(line) < 4000:
            self._settings(number, line)

    def _score(self, number: int, line: str) -> Score | None:
        bpb = _BPB.search(line)
        if bpb is None or "chunk" in line or "batch" in line or "running_bpb" in line or "windows" in line:
            return None
        loss = _LOSS.search(line)
        label = _LABEL.match(line)
        timer = _EVAL_TIME.search(line)
        seconds = float(timer[1]) / (1000 if timer[2] == "ms" else 1) if timer else None
        score = float(bpb[1])
        if not 0 < score < 100:
            return None
        nats = float(loss[1]) if loss else None
        return Score(label[1].strip() if label else "", nats, score, seconds, self.name, number)

    def _sizes_and_timers(self, number: int, line: str, lower: str) -> None:
        if "bytes" in lower:
            for key, pattern in (("code", _CODE_SIZE), ("model", _MODEL_SIZE), ("total", _TOTAL_SIZE)):
                if match := pattern.search(line):
                    self._number(key, match[1], number, line.partition(match[1])[0].strip(" :="))
                    break
        if "stopping_early" in line and (match := _STOP.search(line)):
            self._number("stop", str(float(match[2]) / 1000), number, match[1])
        if "total_eval_time" in line and (match := _TOTAL_EVAL.search(line)):
            self._number("total_eval", match[1], number)
        if "essians" in line and (match := _HESSIAN.search(line)):
            self._number("hessian", match[2], number, f"{match[1]} Hessians")
        if (
            ("calibrat" in lower or "essian" in lower)
            and len(self.calibrations) < 40
            and _CALIBRATION.search(line[:400])
        ):
            self.calibrations.append(Fact(line[:400].strip(), self.name, number))
        if "reserving" in line and (match := _RESERVE.search(line)):
            self._number("reserve", match[1], number)

    def _number(self, key: str, text: str, line: int, label: str = "") -> None:
        digits = text.replace(",", "").replace("_", "")
        if digits and len(digits) < 20:
            self.numbers.setdefault(key, []).append(Fact(float(digits), self.name, line, label))

    def _settings(self, number: int, line: str) -> None:
        """One ``key: value`` of an indented dump, or several on a line."""
        one = _ONE_SETTING.match(line)
        pairs = _MANY_SETTINGS.findall(line)
        if one and (len(pairs) <= 1 or line.startswith("  ")) and len(one[2]) <= 400:
            pairs = [(one[1], one[2])]
        for key, value in pairs:
            if len(self.settings) < 2000:
                self.settings.setdefault(key, Fact(value.strip("\"'"), self.name, number))

    def log(self, *, truncated: bool, dump: SourceDump | None) -> Log:
        def whole(key: str) -> tuple[Fact[int], ...]:
            return tuple(Fact(int(f.value), f.file, f.line, f.label) for f in self.numbers.get(key, ()))

        def real(key: str) -> tuple[Fact[float], ...]:
            return tuple(self.numbers.get(key, ()))

        return Log(
            self.name,
            truncated,
            dump,
            self.settings,
            tuple(self.scores),
            self.validation,
            tuple(self.counters),
            val_tokens=whole("val_tokens"),
            train_shards=whole("train_shards"),
            stop=real("stop"),
            hessian_seconds=real("hessian"),
            calibrations=tuple(self.calibrations),
            reserve_seconds=real("reserve"),
            total_eval_seconds=real("total_eval"),
            total_bytes=whole("total"),
            code_bytes=whole("code"),
            model_bytes=whole("model"),
            openings=frozenset(self.openings),
        )


def primary_logs(logs: Iterable[Log], seeds: Iterable[float], headline: float | None) -> tuple[Log, ...]:
    """The logs of the submitted runs, rather than of ablations that lie beside them.

    Those that print a score claimed for one run; else those that print the headline; else those that end near a claim,
    for authors mistype; of what is left, all whose name does not speak of another experiment; else all.

    Args:
        logs: every log of the folder.
        seeds: bits per byte claimed per run.
        headline: bits per byte claimed for the submission.
    """
    every, seeds = tuple(logs), tuple(seeds)
    for claims in (seeds, () if headline is None else (headline,)):
        matching = tuple(log for log in every if any(_same(s.val_bpb, claim) for s in log.scores for claim in claims))
        if matching:
            return matching
    claims = (*seeds, *(() if headline is None else (headline,)))
    every = tuple(log for log in every if any(_near(log.final_score, claim) for claim in claims)) or every
    return tuple(log for log in every if not _OTHER_RUN.search(log.name.lower())) or every


def of_another_run(logs: Iterable[Log], claims: Iterable[float]) -> bool:
    """Whether logs are of a run that is not claimed: they end better than any claim, and print nothing near one.

    An author who claims the worse score has left out what made the better one, such as an experiment that the README
    calls illegal.
    """
    every, claims = tuple(logs), tuple(claims)
    ends = [log.final_score.val_bpb for log in every if log.final_score is not None]
    if not claims or not ends or max(ends) >= min(claims):
        return False
    validations = [log.validation.val_bpb for log in every if log.validation is not None]
    if any(_same(score, claim) for score in validations for claim in claims):
        return False
    return not any(_near(score, claim) for log in every for score in log.scores for claim in claims)


def _near(score: Score | None, claim: float) -> bool:
    """Nearer than configurations usually lie apart whose difference is worth a table."""
    return score is not None and abs(score.val_bpb - claim) <= 0.03 * claim


_OTHER_RUN = re.compile(r"ablat|smoke|debug|baseline|sweep|prev|old|fail|test|dev|probe|screen|explor|draft|local|mlx")


def _same(score: float, claim: float) -> bool:
    """Equal up to what the coarser of the two was rounded to, at least 4 decimals."""
    return abs(score - claim) <= 0.6 * 10.0 ** -min(_decimals(score), _decimals(claim))


def _decimals(number: float) -> int:
    return max(4, len(repr(number).partition(".")[2]))

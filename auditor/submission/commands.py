"""Commands that a README or a shell script documents: environment, launcher, script, arguments."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_ASSIGNMENT = re.compile(r"^([A-Za-z_]\w*)=(.*)$", re.DOTALL)
_LAUNCHER = re.compile(
    r"^(?:.*/)?(?:torchrun|python3?(?:\.\d+)?|accelerate|deepspeed|mpirun|ipython)$",
)
_FENCE = re.compile(r"^\s*(?:>\s*)?(```+|~~~+)")
_HEADING = re.compile(r"^\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_ENV_LINE = re.compile(r"^(?:export\s+|set\s+-x\s+)?([A-Z][A-Z0-9_]{1,60})=(\S.*)$")
_MOST_LINES = 20_000
_MOST_WORDS = 2_000


@dataclass(frozen=True, slots=True)
class Command:
    """A documented command, or a block of environment assignments without one.

    Attributes:
        environment: name -> (value text, line).
        script: the Python script it starts; empty for a block of assignments.
        arguments: words after the script.
        file: README or shell script.
        line: 1-based line where the command begins.
        heading: the nearest heading above it, lower case; empty in a shell script.
        fenced: it stands in a code block or a script, not in running text.
        lead: what introduces it, lower case: the comment above it in its block, else the last line of prose before it.
    """

    environment: Mapping[str, tuple[str, int]]
    script: str
    arguments: tuple[str, ...]
    file: str
    line: int
    heading: str = ""
    fenced: bool = True
    lead: str = ""


@dataclass
class _Block:
    """Where the commands of one code block or script stand, and the exports seen so far."""

    file: str
    heading: str
    lead: str
    fenced: bool = True
    exports: dict[str, tuple[str, int]] = field(default_factory=dict)


def commands_in_readme(text: str, file: str) -> tuple[Command, ...]:
    """Commands in the code blocks and the back-quoted lines of a README, in order."""
    out: list[Command] = []
    heading, fence, lead = "", "", ""
    body: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines()[:_MOST_LINES], 1):
        mark = _FENCE.match(line)
        indented = not fence and not mark and line.startswith(("    ", "\t"))
        if body and not fence and not indented and line.strip():
            out.extend(_commands(body, _Block(file, heading, lead, fenced=False)))
            body = []
        if mark and (not fence or line.strip().lstrip("> ").startswith(fence)):
            if fence:
                out.extend(_commands(body, _Block(file, heading, lead)))
                lead = ""
            fence, body = ("" if fence else mark[1][:3]), []
        elif fence or indented:
            body.append((number, line))
        elif title := _HEADING.match(line):
            heading, lead = title[2].lower(), ""
        else:
            lead = line.strip().lower() or lead
            # `back-quoted` one-liners.
            spans = re.findall(r"`([^`]+)`", line) if "`" in line else [line]
            for span in spans if "torchrun" in line or "train" in line else ():
                out.extend(_commands([(number, span)], _Block(file, heading, lead, fenced=False)))
    out.extend(_commands(body, _Block(file, heading, lead, fenced=bool(fence))))
    return tuple(out)


def commands_in_script(text: str, file: str) -> tuple[Command, ...]:
    """Commands of a shell script, in order."""
    return tuple(_commands(list(enumerate(text.splitlines()[:_MOST_LINES], 1)), _Block(file, "", "")))


def parse_command(text: str, file: str, line: int) -> Command | None:
    """The first command in a piece of text, such as a metadata field."""
    return next(_commands([(line, part) for part in text.splitlines()], _Block(file, "", "")), None)


def _commands(lines: Sequence[tuple[int, str]], block: _Block) -> Iterator[Command]:
    bare: dict[str, tuple[str, int]] = {}
    found = False
    for number, logical in _logical_lines(lines):
        if logical.startswith("#"):
            block.lead = logical.lstrip("# ").lower()
            continue
        for piece in re.split(r"\s*(?:&&|;(?!;)|\|\|)\s*", logical) if '"' not in logical else [logical]:
            command = _command(piece, number, block)
            if command is not None:
                found = True
                yield command
            elif match := _ENV_LINE.match(piece.strip()):
                bare[match[1]] = (_unquote(match[2]), number)
    if bare and not found and block.fenced and len(bare) >= 2:
        yield Command(bare, "", (), block.file, min(line for _, line in bare.values()), block.heading, lead=block.lead)


def _logical_lines(lines: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Lines with backslash continuations joined and prompts removed; comments inside a continued command too."""
    start = 0
    parts: list[str] = []
    for number, raw in lines:
        line = raw.strip()
        line = re.sub(r"^(?:\$|>)\s+", "", line)
        if not parts:
            start = number
            if line.startswith("#"):
                yield number, line
                continue
        elif line.startswith("#"):
            continue  # people comment inside a continued command
        if line.endswith(("\\", "^")):
            parts.append(line[:-1])
            continue
        yield start, " ".join([*parts, line])
        parts = []
    if parts:
        yield start, " ".join(parts)


def _command(text: str, line: int, block: _Block) -> Command | None:
    words = _expanded(_words(text), block)
    if not words:
        return None
    if words[0] in {"export", "declare"}:
        for word in words[1:]:
            if match := _ASSIGNMENT.match(word):
                block.exports[match[1]] = (_expand(match[2], block), line)
        return None
    local: dict[str, tuple[str, int]] = {}
    position = 0
    for word in words:
        if match := _ASSIGNMENT.match(word):
            local[match[1]] = (_expand(match[2], block), line)
        elif word not in {"env", "nohup", "time", "sudo", "exec", "do", "then", "uv", "run", "!", "CMD"}:
            break
        position += 1
    rest = words[position:]
    if not rest:
        block.exports.update(local)  # `A=B` on a line of its own
        return None
    if not _LAUNCHER.match(rest[0]):
        return None
    script_at = next((i for i, word in enumerate(rest) if word.endswith(".py")), None)
    if script_at is None:
        return None
    environment = {**block.exports, **local}
    arguments = tuple(rest[script_at + 1 :])
    return Command(environment, rest[script_at], arguments, block.file, line, block.heading, block.fenced, block.lead)


def _words(text: str) -> list[str]:
    if len(text) > 20_000:
        return []
    # `$(find ... | head -1)` and `<output dir>` are one word each, whatever they hold.
    text = re.sub(r"\$\((?:[^()]|\([^()]*\)){0,400}\)", "$(...)", text)
    text = re.sub(r"<[A-Za-z][\w ./\-]{0,40}>", "<...>", text)
    try:
        return shlex.split(text, comments=True)
    except ValueError:  # a lone apostrophe in prose
        return text.split()


def _expanded(words: list[str], block: _Block) -> list[str]:
    """Words with ``$COMMON_ENV`` replaced by the words of what it was set to."""
    out: list[str] = []
    for word in words:
        match = re.fullmatch(r"\$\{?([A-Za-z_]\w*)\}?", word)
        known = block.exports.get(match[1]) if match else None
        out.extend(_words(known[0]) if known else [word])
    return out[:_MOST_WORDS]


def _expand(value: str, block: _Block) -> str:
    """``${X:-default}`` becomes what X is, else the default; other references stay as written."""

    def one(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        if name in block.exports:
            return block.exports[name][0]
        return default if default is not None else match[0]

    return re.sub(r"\$\{([A-Za-z_]\w*)(?::?-([^{}]*))?\}", one, value)


def _unquote(text: str) -> str:
    words = _words(text)
    return words[0] if words else ""

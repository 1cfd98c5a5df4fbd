"""Compiled hint kernels: may what they put out for position i depend on token i before it is pushed?

A hint kernel walks the stream, writes a hint for each position and then enters the position's token into its tables.
The walk over the syntax tree marks what is computed from ``tokens[i]`` through a lookup table (is it a boundary, does it
start a word), follows it through assignments, conditions and calls in program order, and asks whether an output at ``[i]``
depends on it. C++ goes through the C grammar, which tolerates what it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from auditor.findings import Step
from auditor.flow.facts import Certainty, Evidence

if TYPE_CHECKING:
    from tree_sitter import Node

    from auditor.submission.kernels import Kernel

_TOKENS = re.compile(r"tok|tgt|target|stream|ids", re.IGNORECASE)
_CHANNEL = re.compile(r"(within|word|boundary|space|whitespace|agree)", re.IGNORECASE)


@dataclass(slots=True)
class _Walk:
    """State of one loop body: names computed from the token of the position, and where that happened."""

    text: bytes
    tainted: dict[str, int] = field(default_factory=dict)
    current: dict[str, int] = field(default_factory=dict)
    control: list[int] = field(default_factory=list)
    leaks: list[tuple[str, int, int, str]] = field(default_factory=list)
    through: set[str] = field(default_factory=set)


def gated_hints(kernels: Iterable[Kernel], settings: Mapping[str, str], texts: Iterable[str]) -> tuple[Evidence, ...]:
    """Outputs of kernels that depend on the token they are a hint for.

    Args:
        kernels: compiled code in source form.
        settings: launch settings by lower-case name; a channel whose boost or beta is 0 there is dormant.
        texts: Python sources, for the defaults of those settings.
    """
    found = []
    for kernel in kernels:
        if not kernel.reached or kernel.language == "cuda":
            continue
        code = [*texts, kernel.text]
        for output, source, line, channels in _leaks(kernel.text):
            strengths = [s for c in sorted(channels) for s in [_strength(c, settings, code)] if s is not None]
            dormant = bool(strengths) and all(s == 0 for s in strengths)
            path = (
                _step(
                    kernel, source, "what the position's own token is (a boundary, the start of a word) is looked up"
                ),
                _step(kernel, line, f"`{output}` for the same position depends on it"),
            )
            certainty = Certainty.TRACED if strengths else Certainty.SUSPECTED
            message = f"the kernel's output `{output}` depends on the token that it is a hint for"
            found.append(Evidence(message, kernel.file, kernel.line_in_file(line), path, certainty, dormant))
    return tuple(found)


def _step(kernel: Kernel, line: int, why: str) -> Step:
    lines = kernel.text.splitlines()
    text = lines[line - 1].strip()[:200] if 0 < line <= len(lines) else ""
    return Step(kernel.file, kernel.line_in_file(line), text, why)


def _strength(channel: str, settings: Mapping[str, str], code: Iterable[str]) -> float | None:
    """The boost or beta of a channel: the launch's, else the code's default."""
    names = [f"{prefix}{channel}_{suffix}" for prefix in ("", "ngram_", "hint_") for suffix in ("boost", "beta")]
    for name in names:
        if name in settings:
            return _number(settings[name])
    for text in code:
        match = re.search(
            rf"{channel}_(?:boost|beta)[\"']?\)?\s*[,=:]\s*(?:float\()?[\"']?(\d[\d.]*)", text, re.IGNORECASE
        )
        if match:
            return _number(match[1])
    return None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _leaks(text: str) -> Iterator[tuple[str, int, int, set[str]]]:
    import tree_sitter
    import tree_sitter_c

    source = text.encode()
    tree = tree_sitter.Parser(tree_sitter.Language(tree_sitter_c.language())).parse(source)
    seen = set()
    for loop in _find(tree.root_node, "for_statement"):
        walk = _Walk(source)
        body = loop.child_by_field_name("body")
        if body is None:
            continue
        _statement(body, walk)
        for output, origin, line, via in walk.leaks:
            channels = {m.lower() for name in {output, via, *walk.through} for m in _CHANNEL.findall(name)}
            if channels and (output, line) not in seen:
                seen.add((output, line))
                yield output, origin, line, channels


def _find(node: Node, kind: str) -> Iterator[Node]:
    todo = [node]
    while todo:
        current = todo.pop()
        if current.type == kind:
            yield current
        todo.extend(reversed(current.children))


def _text(node: Node, walk: _Walk) -> str:
    return walk.text[node.start_byte : node.end_byte].decode(errors="replace")


def _line(node: Node) -> int:
    return int(node.start_point[0]) + 1


def _origin(node: Node, walk: _Walk) -> int | None:
    """The line from which an expression learned of the position's token through a lookup; None when it did not."""
    for part in _find(node, "identifier"):
        name = _text(part, walk)
        if name in walk.tainted:
            return walk.tainted[name]
    for part in _find(node, "subscript_expression"):
        index = part.child_by_field_name("index") or part.named_children[-1]
        if any(_text(i, walk) in walk.current for i in _find(index, "identifier")) or _reads_token(index, walk):
            return _line(part)
    return None


def _reads_token(node: Node, walk: _Walk) -> bool:
    """Whether an expression holds ``tokens[i]``, with a bare name as index."""
    for part in _find(node, "subscript_expression"):
        base = part.child_by_field_name("argument")
        index = part.child_by_field_name("index") or part.named_children[-1]
        if index.type == "subscript_argument_list" and index.named_children:
            index = index.named_children[0]
        if base is not None and index.type == "identifier" and _TOKENS.search(_text(base, walk)):
            return True
    return False


def _statement(node: Node, walk: _Walk) -> None:
    kind = node.type
    if kind in {"declaration", "init_declarator", "assignment_expression", "update_expression"}:
        _assignments(node, walk)
    elif kind == "if_statement":
        condition = node.child_by_field_name("condition")
        origin = _origin(condition, walk) if condition is not None else None
        if origin is not None:
            walk.control.append(origin)
        for child in node.named_children:
            if child != condition:
                _statement(child, walk)
        if origin is not None:
            walk.control.pop()
    elif kind == "call_expression":
        _call(node, walk)
    else:
        for child in node.named_children:
            _statement(child, walk)


def _call(node: Node, walk: _Walk) -> None:
    """A call may pass what it learned on through references."""
    arguments = node.child_by_field_name("arguments")
    function = node.child_by_field_name("function")
    if arguments is None:
        return
    origin = _origin(arguments, walk)
    if origin is not None and function is not None:
        walk.through.add(_text(function, walk))
        for argument in arguments.named_children:
            if argument.type == "identifier":
                walk.tainted.setdefault(_text(argument, walk), origin)


def _assignments(node: Node, walk: _Walk) -> None:
    if node.type == "declaration":
        for child in node.named_children:
            if child.type == "init_declarator":
                _assignments(child, walk)
        return
    left = node.child_by_field_name("declarator") or node.child_by_field_name("left")
    right = node.child_by_field_name("value") or node.child_by_field_name("right")
    if left is None or right is None:
        return
    origin = _origin(right, walk)
    if origin is None and walk.control:
        origin = walk.control[-1]
    if left.type == "subscript_expression":
        index = left.child_by_field_name("index") or left.named_children[-1]
        base = left.child_by_field_name("argument")
        if origin is not None and base is not None:
            name = _text(base, walk)
            if base.type == "identifier" and index.type == "identifier":
                walk.leaks.append((name, origin, _line(node), _text(right, walk)))
            elif base.type == "identifier":
                walk.tainted.setdefault(name, origin)
        return
    names = [_text(i, walk) for i in _find(left, "identifier")][-1:]
    for name in names:
        if origin is not None:
            walk.tainted.setdefault(name, origin)
        elif _reads_token(right, walk):
            walk.current[name] = _line(node)

"""Formatted strings of Python 3.12 for an older interpreter.

PEP 701 lets a replacement field hold the string's own quotes, backslashes, comments and newlines. Where this
interpreter cannot read a script, its formatted strings are written out by the definition of what they mean::

    f"a{x!r:>{w}}b"   becomes   ("".join(("a", "{!r:>{}}".format(x, w), "b")))

Each field is its own ``str.format`` call in a tuple, so expressions are evaluated, and values are formatted, in the
same order and by the same protocol (``__format__``). Neither ``str.join`` nor ``str.format`` on a literal can be
shadowed. Literal text keeps its quotes, prefix and escapes. Only strings that this interpreter refuses are touched.
"""

from __future__ import annotations

import ast
import re
import sys
import warnings
from dataclasses import dataclass

_STRING = re.compile(r"(?P<prefix>(?i:rb|br|fr|rf|[rbuf])?)(?P<quote>\"\"\"|'''|\"|')")
_BETWEEN = re.compile(r"(?:[ \t\f\n]|\\\n|#[^\n]*(?=\n))*")
_WORD = re.compile(r"[^\W\d]\w*|\d[\w.]*")
_CONVERSION = re.compile(r"!([rsa])\s*(?=[:}])")
_CLOSES = {"(": ")", "[": "]", "{": "}"}
_DEEPEST = 8


class _NotUnderstoodError(Exception):
    """The text is not a formatted string as PEP 701 defines it."""


def downlevel(text: str) -> str:
    """``text``, or an equal program where this interpreter cannot read it but Python 3.12 can.

    Raises:
        SyntaxError: of this interpreter, when the text cannot be brought down.
    """
    error = _refusal(text)
    if error is None or sys.version_info >= (3, 12):
        return text
    try:
        rewritten = _Scanner(text).script()
    except (_NotUnderstoodError, IndexError, ValueError):  # also where the text ends too early
        raise error from None
    if _refusal(rewritten) is not None:
        raise error
    return rewritten


def _refusal(text: str) -> SyntaxError | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(text)
        except SyntaxError as error:
            return error
    return None


@dataclass(frozen=True, slots=True)
class _Token:
    """A string literal: where it ends, its text for this interpreter, and whether it had to be written out."""

    end: int
    text: str
    changed: bool


def _literal_text(body: str, prefix: str, quote: str) -> str:
    """A string literal for the text between two fields, its doubled braces made single."""
    body = body.replace("{{", "{").replace("}}", "}")
    if "r" in prefix:
        return repr(body)  # a raw literal cannot end with a backslash
    if (len(body) - len(body.rstrip("\\"))) % 2:
        body += "\\"  # before a field a backslash stands for itself, before a quote it would not
    return f"{prefix}{quote}{body}{quote}"


class _Scanner:
    """Walks over a script; ``at`` arguments are indices into its text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def script(self) -> str:
        """The whole text with its strings brought down."""
        out: list[str] = []
        at = 0
        while at < len(self.text):
            if self.text[at] == "#":
                end = self.text.find("\n", at)
                end = len(self.text) if end < 0 else end
                out.append(self.text[at:end])
            elif match := _STRING.match(self.text, at):
                piece, end = self._run(match)
                out.append(piece)
            elif match := _WORD.match(self.text, at):
                end = match.end()
                out.append(match[0])
            else:
                end = at + 1
                out.append(self.text[at])
            at = end
        return "".join(out)

    def _run(self, match: re.Match[str], depth: int = 0) -> tuple[str, int]:
        """Adjacent literals, which Python joins: as they are, or written out together."""
        tokens: list[_Token] = []
        gaps: list[str] = []
        found: re.Match[str] | None = match
        while found is not None:
            token = self._literal(found, depth)
            tokens.append(token)
            next_at = self._after_blanks(token.end)
            gaps.append(self.text[token.end : next_at])
            found = _STRING.match(self.text, next_at)
        gaps[-1] = ""
        end = tokens[-1].end
        if not any(token.changed for token in tokens):
            return "".join(token.text + gap for token, gap in zip(tokens, gaps, strict=True)), end
        lines = self.text.count("\n", match.start(), end)
        body = ", ".join(token.text for token in tokens)
        missing = "\n" * max(lines - body.count("\n"), 0)
        return f'("".join(({body},{missing})))', end

    def _literal(self, match: re.Match[str], depth: int) -> _Token:
        prefix, quote = match["prefix"], match["quote"]
        if "f" not in prefix.lower():
            end = self._plain_end(match.end(), quote)
            return _Token(end, self.text[match.start() : end], changed=False)
        parts, end = self._formatted(match, depth)
        original = self.text[match.start() : end]
        if _refusal(f"({original})") is None:
            return _Token(end, original, changed=False)
        return _Token(end, f'"".join(({"".join(part + ", " for part in parts)}))', changed=True)

    def _after_blanks(self, at: int) -> int:
        match = _BETWEEN.match(self.text, at)
        return at if match is None else match.end()

    def _plain_end(self, at: int, quote: str) -> int:
        # A raw string's backslash keeps the next quote from ending it as well.
        while at < len(self.text):
            if self.text[at] == "\\":
                at += 2
            elif self.text.startswith(quote, at):
                return at + len(quote)
            else:
                at += 1
        raise _NotUnderstoodError

    def _formatted(self, match: re.Match[str], depth: int) -> tuple[list[str], int]:
        """The parts of a formatted string as expressions, and where it ends."""
        quote = match["quote"]
        prefix = match["prefix"].lower().replace("f", "")
        parts: list[str] = []
        literal = at = match.end()

        def flush(end: int) -> None:
            if end > literal:
                parts.append(_literal_text(self.text[literal:end], prefix, quote))

        while at < len(self.text):
            if self.text.startswith(("{{", "}}"), at):
                at += 2
            elif self.text[at] == "\\":
                at += self._escape(at, raw="r" in prefix)
            elif self.text.startswith(quote, at):
                flush(at)
                return parts, at + len(quote)
            elif self.text[at] == "{":
                flush(at)
                part, at = self._field(at + 1, depth + 1)
                parts.append(part)
                literal = at
            else:
                at += 1
        raise _NotUnderstoodError

    def _escape(self, at: int, *, raw: bool) -> int:
        """Characters of the escape at ``at``; the braces of a named one are its own."""
        if not raw and self.text.startswith("\\N{", at):
            return self.text.index("}", at) + 1 - at
        return 1 if self.text[at + 1] in "{}" else 2

    def _field(self, at: int, depth: int) -> tuple[str, int]:
        """The replacement field that begins at ``at``, its brace behind it, as an expression."""
        if depth > _DEEPEST:
            raise _NotUnderstoodError
        begin = at
        expression, at = self._expression(at, depth)
        debug = ""
        bare = expression.rstrip()
        if bare.endswith("=") and not bare.endswith(("==", "!=", "<=", ">=")):
            debug, expression = self.text[begin:at], bare[:-1]
        conversion = ""
        if match := _CONVERSION.match(self.text, at):
            conversion, at = f"!{match[1]}", match.end()
        specification, arguments = "", [f"({expression.strip()})"]
        if self.text[at] == ":":
            specification, more, at = self._specification(at + 1, depth)
            arguments += more
        if self.text[at] != "}":
            raise _NotUnderstoodError
        if debug and not conversion and not specification:
            conversion = "!r"
        pattern = "{" + conversion + (":" + specification if specification else "") + "}"
        call = f"{pattern!r}.format({', '.join(arguments)})"
        return (f"{debug!r}, {call}" if debug else call), at + 1

    def _expression(self, at: int, depth: int) -> tuple[str, int]:
        """Python up to the ``!``, ``:`` or ``}`` that ends it; strings inside are brought down as well."""
        out: list[str] = []
        open_brackets: list[str] = []
        while at < len(self.text):
            character = self.text[at]
            if match := _STRING.match(self.text, at):
                piece, at = self._run(match, depth)
                out.append(piece)
                continue
            if match := _WORD.match(self.text, at):
                out.append(match[0])
                at = match.end()
                continue
            if character == "#":
                at = self.text.index("\n", at)
                continue
            if not open_brackets and (character in ":}" or (character == "!" and self.text[at + 1] != "=")):
                return "".join(out), at
            if character in _CLOSES:
                open_brackets.append(_CLOSES[character])
            elif character in ")]}" and (not open_brackets or open_brackets.pop() != character):
                raise _NotUnderstoodError
            out.append(character)
            at += 1
        raise _NotUnderstoodError

    def _specification(self, at: int, depth: int) -> tuple[str, list[str], int]:
        """A format specification: its text with ``{}`` for each field inside, those fields, and where it ends."""
        out: list[str] = []
        arguments: list[str] = []
        while self.text[at] != "}":
            if self.text[at] == "{":
                part, at = self._field(at + 1, depth + 1)
                arguments.append(part)
                out.append("{}")
            elif self.text[at] in "\\'\"\n":
                raise _NotUnderstoodError  # never seen; escapes there changed their meaning between versions
            else:
                out.append(self.text[at])
                at += 1
        return "".join(out), arguments, at

"""Blank the formatted strings of a script, so that an older parser can read the rest of it.

PEP 701 (Python 3.12) lets a replacement field hold the string's own quotes, comments and newlines. Imports,
literals and calls outside formatted strings are all that the reader needs, so the contents of the strings may go.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"#[^\n]*"  # a comment
    r"|(?:(?<![A-Za-z0-9_])(?P<prefix>(?i:rb|br|fr|rf|tr|rt|[rbuft])))?(?P<quote>\"\"\"|'''|\"|')"
)


def blank_formatted_strings(text: str) -> str:
    """``text`` with each f-string replaced by an empty string over as many lines.

    Strings without an ``f`` prefix, comments and code stay as they are. Never raises; where the quotes do not
    balance, the rest of the text stays.
    """
    out: list[str] = []
    position = 0
    while (match := _TOKEN.search(text, position)) is not None:
        out.append(text[position : match.start()])
        quote = match["quote"]
        formatted = bool(quote) and "f" in (match["prefix"] or "").lower()
        scan = _end_of_formatted if formatted else _end_of_plain
        end = scan(text, match.end(), quote) if quote else match.end()
        if end is None:
            out.append(text[match.start() :])
            return "".join(out)
        kept = text[match.start() : end]
        out.append('"""' + "\n" * kept.count("\n") + '"""' if formatted else kept)
        position = end
    out.append(text[position:])
    return "".join(out)


def _end_of_plain(text: str, position: int, quote: str) -> int | None:
    """Where the literal that begins before ``position`` ends, its quote included."""
    while position < len(text):
        if text[position] == "\\":
            position += 2
        elif text.startswith(quote, position):
            return position + len(quote)
        elif text[position] == "\n" and len(quote) == 1:
            return None
        else:
            position += 1
    return None


def _end_of_formatted(text: str, position: int, quote: str, depth: int = 0) -> int | None:
    """As :func:`_end_of_plain`, stepping over replacement fields."""
    while position < len(text):
        if text[position] == "\\" or text.startswith("{{", position):
            position += 2
        elif text.startswith(quote, position):
            return position + len(quote)
        elif text[position] == "{":
            after = _end_of_field(text, position + 1, depth)
            if after is None:
                return None
            position = after
        else:
            position += 1
    return None


def _end_of_field(text: str, position: int, depth: int) -> int | None:
    """Where a replacement field ends, its brace included; fields nest at most eight deep."""
    brackets = 0
    while position < len(text) and depth < 8:
        character = text[position]
        match = _TOKEN.match(text, position)
        if match is not None and match["quote"]:
            scan = _end_of_formatted if "f" in (match["prefix"] or "").lower() else None
            quote = match["quote"]
            end = scan(text, match.end(), quote, depth + 1) if scan else _end_of_plain(text, match.end(), quote)
            if end is None:
                return None
            position = end
            continue
        if character == ":" and not brackets:
            return _end_of_format(text, position + 1, depth)
        if character == "}" and not brackets:
            return position + 1
        brackets += (character in "([{") - (character in ")]}")
        position += 1
    return None


def _end_of_format(text: str, position: int, depth: int) -> int | None:
    """Where a field ends whose format specification begins at ``position``; the specification may hold fields."""
    while position < len(text):
        if text[position] == "}":
            return position + 1
        if text[position] == "{":
            after = _end_of_field(text, position + 1, depth + 1)
            if after is None:
                return None
            position = after
        else:
            position += 1
    return None

"""C++ reshaped so that a C grammar reads it, each line staying where it is.

Classes are opened: methods become functions and members become global variables. References become pointers, and where
they stood is remembered. What is left over shows as errors of the grammar, which the analysis then names.
"""

from __future__ import annotations

import re

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)
_NAMED_CAST = re.compile(r"\b(?:static|reinterpret|const)_cast\s*<[^<>;(){}]{1,80}>")
_TYPE_WORDS = r"(?:u?int(?:8|16|32|64)_t|size_t|int|unsigned|double|float|bool|long|char)"
_CALL_CAST = re.compile(rf"\b{_TYPE_WORDS}(?=\()")
_BLANKS = re.compile(
    r"\b(?:public|private|protected)\s*:|\b(?:constexpr|inline|virtual|explicit|noexcept|override|mutable|typename)\b"
    r"|\bstd::|\btemplate\s*<[^<>;{}]{0,80}>|\)\s*(const)\b(?=\s*\{)|\busing\s+namespace\s+\w+\s*;"
)
_REFERENCE = re.compile(r"(?<=[\w>])\s*(&)\s*(?=\w+\s*[,)=:])")
_RANGE_FOR = re.compile(r"\bfor\s*\(([^;(){}]{1,80}?)\b(\w+)\s*:(?!:)\s*(\w+)\s*\)")
_BRACED = re.compile(r"(?<=[\w\])])(\s*=\s*|\breturn\s+)\{([^{}();]{0,4000})\}(?=\s*;)")
_CLASS = re.compile(r"^[ \t]*(?:class|struct)\s+\w+(?:\s*:\s*[\w\s,:<>]{1,80})?\s*\{", re.MULTILINE)
_METHOD = re.compile(r"\)\s*(?:const\s*)?(?::[^;{}]{1,2000})?\{")
_INITIALISERS = re.compile(r"\)(\s*:\s*\w+\((?:[^;{}]{0,2000}?)\))(?=\s*\{)")


def to_c(source: str) -> tuple[str, frozenset[int]]:
    """C++ text as C of the same length and lines.

    Returns:
        The text, and the offsets in its UTF-8 encoding of the stars that stand for references.
    """
    masked = _COMMENT.sub(lambda match: _blank(match[0]) if match[0][0] == "/" else match[0], source)
    text = masked.encode("ascii", "replace").decode()  # one byte per character: offsets stay offsets
    text = _NAMED_CAST.sub(lambda match: _blank(match[0]), text)
    text = _INITIALISERS.sub(lambda match: ")" + _blank(match[1]), text)
    text = _RANGE_FOR.sub(_plain_for, text)
    text = _BLANKS.sub(_keep_parenthesis, text)
    text = _CALL_CAST.sub(lambda match: _blank(match[0]), text)
    text = _BRACED.sub(r"\1(\2)", text)  # an assignment from a braced list is no C, a comma expression is
    text = re.sub(r"\bauto\b", "long", text)
    text = re.sub(r"\bnullptr\b", "NULL   ", text)
    text = _open_classes(text)
    stars = frozenset(match.start(1) for match in _REFERENCE.finditer(text) if _is_declared(text, match))
    return "".join("*" if at in stars else character for at, character in enumerate(text)), stars


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _keep_parenthesis(match: re.Match[str]) -> str:
    return ")" + _blank(match[0][1:]) if match[1] else _blank(match[0])


def _plain_for(match: re.Match[str]) -> str:
    """``for (auto& o : all)`` as ``for (;all;)``: a loop whose element is not modelled."""
    return f"for (;{match[3]};)".ljust(len(match[0])) + "\n" * match[0].count("\n")


def _is_declared(text: str, match: re.Match[str]) -> bool:
    """A type stands before the ampersand, so it declares a reference and is no operator."""
    before = re.search(r"([\w:>]+)\s*$", text[max(0, match.start(1) - 60) : match.start(1)])
    return before is not None and bool(re.fullmatch(_TYPE_WORDS + r"|long|[A-Z]\w*|\w+_t|\w*>", before[1]))


def _open_classes(text: str) -> str:
    """Blank the header and the closing brace of every class that holds methods."""
    characters = list(text)
    for match in _CLASS.finditer(text):
        end = _closing(text, match.end() - 1)
        if end is None or not _METHOD.search(text, match.end(), end):
            continue
        after = re.compile(r"\s*;").match(text, end + 1)
        for first, last in ((match.start(), match.end()), (end, after.end() if after else end + 1)):
            for at in range(first, last):
                if characters[at] != "\n":
                    characters[at] = " "
    return "".join(characters)


def _closing(text: str, start: int) -> int | None:
    depth = 0
    for match in re.compile(r"[{}]").finditer(text, start):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return match.start()
    return None

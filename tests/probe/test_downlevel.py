"""Formatted strings of Python 3.12: whatever is rewritten means the same."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.probe.downlevel import downlevel

NAMES = {"x": 3.14159, "w": 8, "d": {"a": "value", "b": [1, 2]}, "s": "text", "items": ["p", "q"]}

# (text that Python 3.11 refuses, what it evaluates to)
NEW = [
    ('f"{d["a"]}"', "value"),
    ('f"<{d["a"]!r:>10}>"', "<   'value'>"),
    ("f'{d['b'][1]}{s}'", "2text"),
    ('f"{"\\n".join(items)}"', "p\nq"),
    ('f"{x:{w}.{d["b"][1]}f}|"', "    3.14|"),
    ('"a" f"{d["a"]}" \'b\'', "avalueb"),
    ('f"{{{d["a"]}}}"', "{value}"),
    ('f"{f"{f"{s}"}"}"', "text"),
    ('f"{d["b"]=}"', 'd["b"]=[1, 2]'),
    ('f"{x!r}{d["a"]:}"', "3.14159value"),
    ('rf"\\d{d["a"]}\\{s}"', "\\dvalue\\text"),
    ('f"\\t{d["a"]}\\N{BULLET}"', "\tvalue\u2022"),
    ('f"{(lambda q: q + d["a"])("1")}"', "1value"),
    ('f"{s if s != "a" else d["a"]}"', "text"),
    ('f"{[v for v in d["b"] if v >= 1]}"', "[1, 2]"),
    ('f"{"a" if s else \'b\'} {{"', "a {"),
    ('f"""{d["a"]} {"\\n"}"""', "value \n"),
    ('(f"{d["a"]}"\n "end"  # comment "\n)', "valueend"),
]

# Read by every version; must come back as they are.
OLD = [
    "",
    "x = f'{x}' + f\"{x!r:>{w}}\"\n",
    "x = 'it''s' \"a\"\n",
    "r'\\'' # \"\n",
    "def f():\n    '''doc \"quoted\" {x}'''\n",
    "b'\\x00' rb'\\''",
]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this interpreter reads them as they are")
@pytest.mark.parametrize(("text", "value"), NEW)
def test_new_strings_keep_their_meaning(text: str, value: str) -> None:
    assert eval(downlevel(text), dict(NAMES)) == value


@pytest.mark.parametrize(("text", "value"), NEW)
def test_lines_keep_their_numbers(text: str, value: str) -> None:
    script = f"a = {text}\nb = 1\n"
    assert downlevel(script).count("\n") == script.count("\n")


@pytest.mark.parametrize("text", OLD)
def test_what_is_read_anyway_stays(text: str) -> None:
    assert downlevel(text) == text


@pytest.mark.parametrize("text", ["f'{'", 'f"{d["a"]}', "x = = 1", 'f"{d["a" "', 'f"{d["a"]:\\x41}"'])
def test_what_cannot_be_read_raises_this_interpreters_error(text: str) -> None:
    with pytest.raises(SyntaxError):
        downlevel(text)


_LITERALS = st.text("ab {}#'\\n", max_size=4).map(lambda t: (t, t.replace("{", "{{").replace("}", "}}")))
_FIELDS = st.sampled_from(
    [
        ('{d["a"]}', "value"),
        ('{d["b"][0]:>4}', "   1"),
        ("{s!r}", "'text'"),
        ('{"-".join(items)}', "p-q"),
        ("{x:.2f}", "3.14"),
        ('{f"{d["a"]}!"}', "value!"),
    ]
)


@settings(derandomize=True, max_examples=80, deadline=None)
@given(st.lists(st.one_of(_LITERALS.map(lambda pair: (pair[1], pair[0])), _FIELDS), max_size=6))
def test_any_mixture_evaluates_to_its_parts(parts: list[tuple[str, str]]) -> None:
    source = "".join(part for part, _ in parts).replace("\\", "\\\\")
    text = f'f"{source}"'
    assert eval(downlevel(text), dict(NAMES)) == "".join(value for _, value in parts)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(st.text("f\"'{}x:!=#\\\n ([a])", max_size=24))
def test_any_text_gives_a_program_or_a_syntax_error(text: str) -> None:
    try:
        result = downlevel(text)
    except SyntaxError:
        return
    compile(result, "<test>", "exec")

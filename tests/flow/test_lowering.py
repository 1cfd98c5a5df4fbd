"""Lowering keeps every statement's line, and no program makes the analysis raise."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import evaluation
from test_tables import MIX, UPDATE, XOR

from auditor.flow import analyse_program, ir
from auditor.flow.lower import UnparsableError, lower_source

TANGLED = '''"""Doc
string."""
# comment

@deco(
    1,
)

def f(a, b=(1,
            2), *args, c: int = 3, **kw) -> int:
    x = [
        a

        for a in range(3)
        if a  # why
    ]; y = {
        "k": 1,
        **kw}
    if (a
            and b):
        return f"""{a
        }
        """
    elif not b:

        # nothing
        pass
    else: z = lambda q, \\
        r=1: q
    try:
        w = x[1:
              2, ...]
    except (A,
            B) as e:
        raise
    finally:
        del w
    with open(a) as g, (
        open(b)
    ) as h:
        while g: g += 1
    return "a" \\
        "b"

class K(Base,
        metaclass=M):
    n: int = 4
    def m(self): return self
'''


def lines(body: list[ir.Stmt]) -> list[int]:
    found = []
    for statement in body:
        found.append(statement.line)
        for name in ("body", "orelse", "final"):
            found += lines(getattr(statement, name, None) or [])
        for _, _, handler in getattr(statement, "handlers", ()):
            found += lines(handler)
    return found


@pytest.mark.parametrize("text", [TANGLED, evaluation(XOR + MIX)])
def test_lines_are_those_of_cpython(text: str) -> None:
    expected = [node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.stmt)]
    passes = [node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Pass)]
    assert sorted(lines(lower_source(text, "t.py").body) + passes) == sorted(expected)


def test_minified_code_that_libcst_refuses() -> None:
    module = lower_source("x=[1]\ny=x[0]if len(x)else 2\n", "t.py")
    assert [s.line for s in module.body] == [1, 2]


def test_what_does_not_parse_is_said() -> None:
    with pytest.raises(UnparsableError, match=r"t\.py"):
        lower_source("def f(:\n", "t.py")
    facts = analyse_program({"t.py": "def f(:\n"}, "t.py")
    assert facts.unanalysed
    assert not list(facts.found())


def test_a_budget_ends_the_analysis_and_is_said() -> None:
    facts = analyse_program({"t.py": evaluation(XOR + MIX)}, "t.py", budget=200)
    assert any("200 steps" in reason for reason in facts.unanalysed)


PROGRAM = evaluation(XOR + MIX + UPDATE)
WORDS = sorted({node.id for node in ast.walk(ast.parse(PROGRAM)) if isinstance(node, ast.Name)})


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from([*WORDS, "None", "()", "[]", "0", "''"])), max_size=4)
)
def test_mutated_programs_never_raise(swaps: list[tuple[str, str]]) -> None:
    text = PROGRAM
    for old, new in swaps:
        text = text.replace(f"{old} ", f"{new} ", 3).replace(f"({old}", f"({new}", 3)
    facts = analyse_program({"t.py": text}, "t.py", budget=20_000)
    assert not [reason for reason in facts.unanalysed if reason.startswith("internal")]

"""Leaks and look-alikes in C and C++, by what the analysis says of them."""

from __future__ import annotations

import time

import pytest
from hint_kernels import AHEAD, FAR, LEAKING, LEGAL, MACROS, MEMBERS, NEAR, PUSH, READ, STATE, walk
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.kernels import FunctionFacts, KernelFacts, analyse_kernel


def only(facts: KernelFacts) -> FunctionFacts:
    assert len(facts.functions) == 1
    return facts.functions[0]


@pytest.mark.parametrize("body", LEAKING.values(), ids=LEAKING)
def test_a_leak_is_found_with_its_path(body: str) -> None:
    code = walk(body)
    function = only(analyse_kernel(code, "hints.c"))
    leaking = {leak.output for leak in function.leaks}
    assert leaking & {"near_hint", "near_gate"}
    assert "far_hint" not in leaking
    for leak in function.leaks:
        assert leak.certain
        assert leak.path[0] == leak.source
        assert "stream" in leak.source.text or "here" in leak.source.text
        assert leak.guard == ("near_boost",)
        assert all(
            step.file == "hints.c" and code.split("\n")[step.line - 1].strip() == step.text for step in leak.path
        )


@pytest.mark.parametrize("body", LEGAL.values(), ids=LEGAL)
def test_a_look_alike_is_clear(body: str) -> None:
    function = only(analyse_kernel(walk(body, parameters="int64_t order,"), "hints.c"))
    assert function.leaks == ()
    assert function.not_analysable == ()


def test_names_do_not_matter() -> None:
    code = walk(LEAKING["a flag kept in between"])
    for old, new in (("near", "inner"), ("starts", "lut"), ("word", "w"), ("open", "z9"), ("remember", "f1")):
        code = code.replace(old, new)
    assert {leak.output for leak in only(analyse_kernel(code, "k.c")).leaks} == {"inner_hint", "inner_gate"}


def test_the_path_passes_the_branch_in_order() -> None:
    leak = only(analyse_kernel(walk(LEAKING["a flag kept in between"]), "k.c")).leaks[0]
    assert [step.why for step in leak.path[:2]] == [
        "reads the token of this position from stream",
        "chooses the entry that is read",
    ]
    assert "decides this branch" in [step.why for step in leak.path]
    assert leak.path[-1].why == f"{leak.output} of this position is written"


def test_helpers_are_followed() -> None:
    helpers = """
static int closed(const uint8_t *table, uint16_t w) { return table[w] != 0; }
static void emit(Memory *m, int64_t k, int shut, uint16_t *out, float *gate) {
    if (shut) { out[k] = 0; gate[k] = 0.0f; return; }
    out[k] = m->best[cell(m->hash)];
    gate[k] = 1.0f;
}
"""
    before = READ + FAR + "int shut = closed(starts, {});\nemit(m, k, shut, near_hint, near_gate);\n" + PUSH
    leaky = only(analyse_kernel(walk(before.format("word"), helpers), "k.c"))
    assert {leak.output for leak in leaky.leaks} == {"near_hint", "near_gate"}
    legal = only(analyse_kernel(walk(before.format("k > 0 ? stream[k - 1] : 0"), helpers), "k.c"))
    assert legal.leaks == ()


def test_macros_are_followed() -> None:
    leaky = "const uint16_t word = HERE;\n" + FAR + "if (!IS_FIRST(HERE)) { PUT(near_gate, 1.0f); }\n" + PUSH
    assert [leak.output for leak in only(analyse_kernel(walk(leaky, MACROS), "k.c")).leaks] == ["near_gate"]
    legal = "const uint16_t word = HERE;\n" + FAR + "PUT(near_gate, (float)m->length);\n" + PUSH
    assert only(analyse_kernel(walk(legal, MACROS), "k.c")).leaks == ()


@pytest.mark.parametrize(("gate", "leaks"), [("!starts[w] && ", True), ("", False)])
def test_pointers_that_walk(gate: str, leaks: bool) -> None:
    code = f"""{STATE}
void build(Memory *m, const uint16_t *tokens, long n, const uint8_t *starts, uint16_t *hint) {{
    while (n--) {{
        const uint16_t w = *tokens++;
        *hint++ = {gate}m->length ? m->best[cell(m->hash)] : 0;
        remember(m, w);
    }}
}}
"""
    assert bool(only(analyse_kernel(code, "k.c")).leaks) is leaks


def test_chunks_of_a_stream() -> None:
    code = f"""{STATE}
void build(Memory *m, const int32_t *tokens, long n, const uint8_t *starts, int32_t *hint) {{
    for (long begin = 0; begin < n; begin += 64) {{
        for (long i = begin; i < begin + 64 && i < n; i++) {{
            hint[i] = starts[tokens[i]] ? 0 : m->best[cell(m->hash)];
            remember(m, tokens[i]);
        }}
    }}
}}
"""
    assert [leak.output for leak in only(analyse_kernel(code, "k.c")).leaks] == ["hint"]


@pytest.mark.parametrize(("which", "leaks"), [("word", {"betas", "hints"}), ("before", set())])
def test_a_class_in_cplusplus(which: str, leaks: set[str]) -> None:
    function = only(analyse_kernel(MEMBERS.format(which=which), "mixer.cpp"))
    assert function.name == "fill"
    assert {leak.output for leak in function.leaks} == leaks
    assert function.not_analysable == ()
    assert all(leak.guard == ("near_beta",) and leak.certain for leak in function.leaks)


def test_where_everything_follows_the_push_the_position_is_in_doubt() -> None:
    leaks = only(analyse_kernel(walk(READ + PUSH + NEAR), "k.c")).leaks
    assert leaks
    assert not any(leak.certain for leak in leaks)


def test_state_prepared_an_iteration_ahead_is_a_doubt() -> None:
    leaks = only(analyse_kernel(walk(AHEAD), "k.c")).leaks
    assert [(leak.output, leak.certain) for leak in leaks] == [("near_gate", False)]


def test_a_read_ahead_that_nothing_learns_hides_nothing() -> None:
    body = READ + "uint16_t ahead = stream[k + 1];\n" + LEAKING["a ternary"].removeprefix(READ)
    assert [leak.certain for leak in only(analyse_kernel(walk(body), "k.c")).leaks] == [True]


def test_a_scorer_and_a_table_builder_are_no_hint_kernels() -> None:
    scorer = "void mix(const int64_t *tokens, const double *nll, long n, double *out) {\n"
    scorer += "    for (long i = 0; i < n; i++) { out[i] = nll[i] + (tokens[i] == 3); }\n}\n"
    lengths = "void lens(const int64_t *tokens, long n, const int16_t *lut, int16_t *bytes) {\n"
    lengths += "    for (long i = 0; i < n; i++) { bytes[i] = lut[tokens[i]]; }\n}\n"
    assert analyse_kernel(scorer + lengths, "k.c").functions == ()


def test_inputs_are_not_targets() -> None:
    code = "void f(const int32_t *inputs, const int32_t *targets, long n, int32_t *hint, int32_t *table) {\n"
    code += "    for (long i = 0; i < n; i++) {\n        hint[i] = table[inputs[i]];\n"
    code += "        table[inputs[i]] = targets[i];\n    }\n}\n"
    assert only(analyse_kernel(code, "k.c")).leaks == ()


def test_what_the_grammar_does_not_read_is_named() -> None:
    code = walk(READ + FAR + "auto f = [&](int q) -> int { return starts[q]; };\n" + NEAR + PUSH)
    assert only(analyse_kernel(code, "k.cpp")).not_analysable


def test_a_read_that_cannot_be_bounded_is_named() -> None:
    code = walk(READ + "near_hint[k] = m->best[cell(stream[m->length])];\n" + PUSH)
    assert "cannot be told" in only(analyse_kernel(code, "k.c")).not_analysable[0]


def test_lines_of_a_literal_are_those_of_its_file() -> None:
    code = walk(LEAKING["a ternary"])
    plain = only(analyse_kernel(code, "k.c")).leaks[0]
    moved = only(analyse_kernel(code, "train_gpt.py", line_offset=100)).leaks[0]
    assert [step.line + 100 for step in plain.path] == [step.line for step in moved.path]
    assert [step.text for step in plain.path] == [step.text for step in moved.path]


@pytest.mark.parametrize(
    "code",
    [
        walk(READ + "near_gate[k] = " + "(" * 3000 + "1" + ")" * 3000 + ";\n"),
        walk(READ + "if (k) {" * 3000 + "}" * 3000),
        walk(READ + "near_hint[k] = " + " + ".join(["word"] * 3000) + ";\n" + PUSH),
        "{" * 20000,
        "#define A(x) A(A(x))\n" + walk(READ + "near_hint[k] = A(word);\n" + PUSH),
        walk(
            READ + "near_hint[k] = f(k);\n" + PUSH, "static int g(int a);\nstatic int f(int a) { return g(a) + f(a); }"
        ),
    ],
    ids=["parentheses", "blocks", "long sum", "braces", "macro of itself", "recursion"],
)
def test_hostile_code_ends_soon(code: str) -> None:
    started = time.perf_counter()
    analyse_kernel(code, "k.c")
    assert time.perf_counter() - started < 5


def test_five_thousand_lines() -> None:
    code = "\n".join(walk(LEAKING["a switch"]).replace(" build(", f" build{i}(") for i in range(100))
    assert code.count("\n") > 4000
    started = time.process_time()
    facts = analyse_kernel(code, "k.c")
    assert time.process_time() - started < 5
    assert len(facts.functions) == 100


SEED = walk(LEAKING["a flag kept in between"]) + MEMBERS.format(which="word")


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(SEED)), st.integers(0, 12), st.text("(){}[];*&=<>?:,.#\"'/\\abk \n\0é", max_size=6)
        ),
        max_size=6,
    )
)
def test_no_text_breaks_it(edits: list[tuple[int, int, str]]) -> None:
    code = SEED
    for at, length, text in edits:
        code = code[:at] + text + code[at + length :]
    facts = analyse_kernel(code, "k.c")
    assert all(leak.path for leak in facts.leaks)

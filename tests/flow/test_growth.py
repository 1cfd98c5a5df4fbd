"""The analysis ends, in steps and memory that follow the program's length, and never with an error of its own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.flow import analyse_program

PAIR = "t = (1, 1)\n"
CALL = "def g(x):\n    return x\ng(t)\n"
DOUBLING = {
    "a tuple of itself, given to a function": PAIR + "t = (t, t)\n" * 60 + CALL,
    "a tuple of itself, as an attribute": "class A: pass\na = A()\n"
    + PAIR
    + "t = (t, t)\n" * 60
    + "a.x = t\na.x = t\n",
    "a list of itself": "t = [1]\n" + "t = [t, t]\n" * 60 + CALL,
    "a dict of itself": "t = {1: 1}\n" + "t = {1: t, 2: t}\n" * 60 + CALL,
    "a sum of tuples": PAIR + "t = t + t\n" * 60 + CALL,
    "a sum of lists": "t = [1]\n" + "t = t + t\n" * 60 + CALL,
    "starred arguments": "def g(*x):\n    return x\nt = (1,)\n" + "t = g(*t, *t)\n" * 60,
    "a formatted text": 't = "a"\n' + 't = f"{t}{t}"\n' * 60 + CALL,
    "a text": 't = "a"\n' + "t = t + t\n" * 60 + CALL,
    "a number": "t = 3\n" + "t = t * t\n" * 60 + CALL,
}


@pytest.mark.parametrize("name", DOUBLING)
def test_what_doubles_with_every_line_stays_small(name: str) -> None:
    facts = analyse_program({"train_gpt.py": DOUBLING[name]}, "train_gpt.py")
    assert facts.steps < 1_000
    assert facts.unanalysed == ("no reported score was reached",)


def test_calls_that_double_with_every_function_end_at_the_budget() -> None:
    functions = "".join(f"def f{i}(x):\n    f{i - 1}([x])\n    return f{i - 1}((x, {i}))\n" for i in range(1, 30))
    facts = analyse_program({"t.py": f"def f0(x):\n    return x\n{functions}f29(1)\n"}, "t.py", budget=5_000)
    assert any("stopped after 5000 steps" in reason for reason in facts.unanalysed)


def _model(count: int) -> str:
    work = "        x = x * 2 + 1\n" * 40
    layer = f"class Layer(nn.Module):\n    def forward(self, x):\n{work}        return self.w(x)\n"
    layer += "    def __init__(self):\n        super().__init__()\n        self.w = nn.Linear(4, 4)\n"
    made = "".join(f"layer{i} = Layer()\n" for i in range(count))
    used = "".join(f"x = layer{i}(x)\n" for i in range(count))
    return f"import torch\nfrom torch import nn\n{layer}{made}x = torch.zeros(2, 4)\n{used}"


def test_alike_layers_are_followed_once() -> None:
    few, many = (analyse_program({"t.py": _model(count)}, "t.py").steps for count in (4, 24))
    assert many - few < 20 * 40


COUNTED = """
import torch
from torch import nn
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = LAYERS
        self.bank = nn.Parameter(torch.zeros(LAYERS, 4, 4))
    def forward(self, x):
        left = []
        for i in range(self.layers):
            x = nn.functional.linear(x, self.bank[i])
            left.append(x)
        for k, i in enumerate(range(self.layers)):
            x = nn.functional.linear(x + left.pop(), self.bank[i])
        return x
Model()(torch.zeros(2, 4))
"""


def test_layers_that_are_counted_are_followed_twice_at_most() -> None:
    few, many = (analyse_program({"t.py": COUNTED.replace("LAYERS", str(count))}, "t.py").steps for count in (4, 11))
    assert many == few


CONFIGURED = """
import glob, math, os
import numpy as np
from dataclasses import dataclass, field
import torch
import torch.nn.functional as F

@dataclass
class Data:
    root: str = os.environ.get("DATA_PATH", "./data")
    val_glob: str = field(init=False)

    def __post_init__(self):
        self.val_glob = os.path.join(self.root, "fineweb_val_*.bin")

@dataclass
class Result:
    val_loss: float
    val_bpb: float
    steps: int = 0

@dataclass
class Config:
    data: Data = field(default_factory=Data)

def main():
    config = Config()
    files = sorted(glob.glob(config.data.val_glob))
    tokens = torch.cat([torch.from_numpy(np.fromfile(file, dtype=np.uint16)) for file in files])
    model = torch.nn.Linear(8, 8)
    loss = F.cross_entropy(model(tokens[:-1]), tokens[1:])
    result = Result(loss.item(), loss.item() / math.log(2.0) * 0.4)
    print(f"val_bpb:{result.val_bpb}")

main()
"""


def test_a_configuration_of_dataclasses_is_known() -> None:
    assert analyse_program({"t.py": CONFIGURED}, "t.py").reports == 1


NAMES = st.sampled_from(["a", "b", "c"])
EXPRESSIONS = st.recursive(
    NAMES | st.sampled_from(["1", "0.5", "'x'", "None", "[]", "{}", "()", "torch.zeros(3)", "range(3)"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "*", "/", "%", "^", "&", "<", "in", "and", "is"]), inner).map(" ".join),
        inner.map("({})".format),
        st.tuples(inner, inner).map(lambda p: f"({p[0]})[{p[1]}]"),
        st.tuples(NAMES, inner).map(lambda p: f"{p[0]}({p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]}, *({p[1]}))"),
        st.tuples(NAMES, inner).map(lambda p: f"[{p[0]} for {p[0]} in ({p[1]})]"),
        inner.map("(lambda a: {})".format),
        inner.map("({}).append(a)".format),
    ),
    max_leaves=6,
)
SIMPLE = st.one_of(
    EXPRESSIONS,
    st.tuples(NAMES, EXPRESSIONS).map(" = ".join),
    st.tuples(NAMES, EXPRESSIONS).map(" += ".join),
    st.tuples(NAMES, NAMES, EXPRESSIONS).map(lambda p: f"{p[0]}.x[{p[1]}] = {p[2]}"),
    st.sampled_from(["assert a", "del a", "print(a)", "pass", "import os"]),
)


def _indented(lines: list[str]) -> str:
    return "\n".join(f"    {line}" for block in lines for line in block.split("\n"))


STATEMENTS = st.recursive(
    SIMPLE,
    lambda inner: st.tuples(
        st.sampled_from(
            ["if {}:", "for a in ({}):", "while {}:", "def b(a={}):", "class c:", "try:", "with ({}) as a:"]
        ),
        EXPRESSIONS,
        st.lists(inner, min_size=1, max_size=3),
    ).map(lambda p: f"{p[0].format(p[1])}\n{_indented(p[2])}" + ("\nexcept a:\n    pass" if p[0] == "try:" else "")),
    max_leaves=8,
)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.lists(STATEMENTS, min_size=1, max_size=8))
def test_no_program_breaks_the_interpreter(statements: list[str]) -> None:
    facts = analyse_program({"t.py": "import torch\n" + "\n".join(statements) + "\n"}, "t.py", budget=20_000)
    assert not [reason for reason in facts.unanalysed if reason.startswith("internal")]

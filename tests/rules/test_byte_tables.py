"""Byte tables and sums in many idioms, evaluated on sample tokens; hostile ones are given up."""

from __future__ import annotations

import ast
import time
from pathlib import Path

import pytest

from auditor.concrete import UNKNOWN, HaltError, Interpreter
from auditor.submission import read_submission
from rules._byte_tables import overcredited

_SCRIPT = """
import numpy as np
import torch


class Tables:
    def __init__(self, sp, size):
        counts = np.zeros((max(int(sp.vocab_size()), size),), dtype=np.int16)
        spaces = np.zeros_like(counts, dtype=np.bool_)
        ends = np.ones(counts.shape[0], dtype=bool)
        for i in range(sp.vocab_size()):
            if sp.is_control(i) or sp.is_unknown(i) or sp.is_unused(i):
                continue
            ends[i] = False
            if sp.is_byte(i):
                counts[i] = 1
                continue
            piece = sp.id_to_piece(i)
            if piece.startswith("\\u2581"):
                spaces[i], piece = True, piece[1:]
            counts[i] = {count}
        self.counts, self.spaces, self.ends = (torch.from_numpy(a) for a in (counts, spaces, ends))


def credit(t, goal, last):
    n = t.counts[goal].to(torch.float64)
    n += (t.spaces[goal] & ~t.ends[last]).to(n.dtype)
    return {returned}


def evaluate(model, stream, t, device):
    total = torch.zeros((), device=device)
    for at in range(0, stream.numel() - 1, 64):
        rows = stream[at : at + 65].to(device)
        loss = model(rows[:-1], rows[1:])
        size = credit(t, rows[1:], rows[:-1]){scale}
        total += size.sum()
    return total
"""
_HONEST = {"count": 'len(piece.encode("utf-8"))', "returned": "n", "scale": ""}
_INFLATED = {
    "a table in characters of four bytes": {"count": '4 * len(piece.encode("utf-8"))'},
    "a constant for each piece": {"count": 'len(piece.encode("utf-8")) + 1'},
    "the space once more in a helper": {"returned": "n + t.spaces[goal].double()"},
    "a factor where it is summed": {"scale": " * 1.05"},
    "the marker's own bytes": {"count": 'len(("\\u2581" * bool(spaces[i]) + piece).encode())'},
}


def credits_of(folder: Path, **parts: str) -> list[float]:
    text = _SCRIPT
    for name, value in {**_HONEST, **parts}.items():
        text = text.replace(f"{{{name}}}", value)
    folder.joinpath("train_gpt.py").write_text(text, encoding="utf-8")
    return [credit.credited / credit.bytes for credit in overcredited(read_submission(folder))]


def test_honest_tables_and_sums(tmp_path: Path) -> None:
    assert not credits_of(tmp_path)


@pytest.mark.parametrize("parts", _INFLATED.values(), ids=_INFLATED)
def test_inflated_tables_and_sums(tmp_path: Path, parts: dict[str, str]) -> None:
    assert min(credits_of(tmp_path, **parts)) > 1


def test_fewer_bytes_hurt_only_the_author(tmp_path: Path) -> None:
    assert not credits_of(tmp_path, count="1")


def test_a_number_that_the_table_does_not_move_is_no_sum_of_bytes(tmp_path: Path) -> None:
    assert not credits_of(tmp_path, scale="\n        total += 7 * rows[1:].numel()")


@pytest.mark.parametrize(
    "body",
    [
        "while True:\n        pass",
        "a = [1]\n    for _ in range(4000):\n        a = a + a\n    return a",
        "return f(x)",
        "return 'a' * 10 ** 9",
        "n = 7\n    for _ in range(4000):\n        n = n * n\n    return n",
        "return open('/etc/passwd').read()",
        "return ().__class__.__base__.__subclasses__()",
        "return torch.zeros(10 ** 12)",
        "return '{0.__class__}'.format(x)",
        "return " + "(" * 60 + "x" + ",)" * 60,
        "return (lambda g: g(g))(lambda g: g(g))",
    ],
)
def test_hostile_code_has_no_value(body: str) -> None:
    module = ast.parse(f"import torch\n\n\ndef f(x):\n    {body}\n")
    function = next(node for node in module.body if isinstance(node, ast.FunctionDef))
    start = time.process_time()
    try:
        result, _ = Interpreter([module]).call_method(function, {"x": UNKNOWN})
    except HaltError:
        result = UNKNOWN
    while isinstance(result, tuple) and len(result) == 1:
        result = result[0]
    assert result is UNKNOWN
    assert time.process_time() - start < 1

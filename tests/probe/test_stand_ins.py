"""Stand-ins whose mathematics can be checked without putting them in place."""

from __future__ import annotations

import dataclasses
import math
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from auditor.probe.inside.children import run_forked
from auditor.probe.inside.forking import floats
from auditor.probe.inside.frames import call_site
from auditor.probe.inside.holders import holders, overwrite
from auditor.probe.inside.shims.attention import flash_attn_func, flash_attn_varlen_func
from auditor.probe.inside.shims.recurrence import CausalLayer
from auditor.probe.inside.tap import may_be_losses
from auditor.probe.inside.workplace import Snapshot
from auditor.probe.streams import byte_counts, periodic_stream
from auditor.probe.tokenizer import toy_tokenizer


def _naive(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, left: int | None) -> torch.Tensor:
    """Causal attention by its definition, one query and one head at a time; ``left`` is the window."""
    out = torch.zeros_like(q)
    group = q.shape[2] // k.shape[2]
    for b in range(q.shape[0]):
        for h in range(q.shape[2]):
            for t in range(q.shape[1]):
                first = 0 if left is None else max(0, t - left)
                keys, values = k[b, first : t + 1, h // group], v[b, first : t + 1, h // group]
                weights = torch.softmax(keys @ q[b, t, h] / math.sqrt(q.shape[3]), 0)
                out[b, t, h] = weights @ values
    return out


def _qkv(length: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(2, length, heads, 8, generator=generator) for heads in (4, 2, 2))  # type: ignore[return-value]


@pytest.mark.parametrize("left", [None, 3])
def test_flash_attention_is_attention(left: int | None) -> None:
    q, k, v = _qkv(7)
    window = (-1, -1) if left is None else (left, 0)
    torch.testing.assert_close(flash_attn_func(q, k, v, causal=True, window_size=window), _naive(q, k, v, left))
    torch.testing.assert_close(flash_attn_func(q, k, v, None, True, window_size=window), _naive(q, k, v, left))


def test_packed_sequences_do_not_see_each_other_and_padding_is_zero() -> None:
    q, k, v = (x[0] for x in _qkv(9))
    ends = torch.tensor([0, 4, 4, 7, 7], dtype=torch.int32)
    out = flash_attn_varlen_func(q, k, v, ends, ends, 4, 4, causal=True)
    for begin, end in ((0, 4), (4, 7)):
        alone = _naive(q[None, begin:end], k[None, begin:end], v[None, begin:end], None)
        torch.testing.assert_close(out[None, begin:end], alone)
    assert not out[7:].any()


def test_recurrent_stand_in_is_causal() -> None:
    layer = CausalLayer(hidden_size=16, num_heads=4, mode="chunk")
    x = torch.randn(1, 6, 16, generator=torch.Generator().manual_seed(2))
    changed = x.clone()
    changed[:, 4:] = 0
    before, after = layer(x)[0], layer(changed)[0]
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_streams_are_found_through_objects_and_overwritten_in_place() -> None:
    class Data:
        def __init__(self, tokens: object) -> None:
            self.tokens = tokens

    stream, other = periodic_stream(24, 100), periodic_stream(24, 100, seed=3)
    tensor, array = torch.from_numpy(stream.astype(np.int64)), stream[:90].astype(np.int32)
    unrelated = torch.from_numpy(other.astype(np.int64))
    found = holders([{"data": Data(tensor)}, (array, unrelated), "text"], stream)
    assert [each is tensor or each is array for each in found] == [True, True]
    overwrite(found, other)
    assert tensor.tolist() == other.tolist()
    assert array.tolist() == other[:90].tolist()


def test_snapshot_restores_files_folders_and_their_identity(tmp_path: Path) -> None:
    folder = tmp_path
    (folder / "kept").write_text("before")
    (folder / "gone").write_text("g")
    (folder / "sub").mkdir()
    (folder / "sub" / "deep").write_text("d")
    inode = (folder / "kept").stat().st_ino
    snapshot = Snapshot(folder)
    for _ in range(2):
        (folder / "kept").write_text("after!")
        (folder / "gone").unlink()
        (folder / "sub" / "deep").unlink()
        (folder / "sub").rmdir()
        (folder / "new").mkdir()
        (folder / "new" / "file").write_text("n")
        snapshot.restore()
        names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
        assert names == ["gone", "kept", "sub", "sub/deep"]
        assert (folder / "kept").read_text() == "before"
        assert (folder / "kept").stat().st_ino == inode


def test_losses_are_told_from_activations() -> None:
    random = np.random.default_rng(0)
    losses = random.exponential(3.0, 256)
    assert may_be_losses(losses)
    assert may_be_losses(-losses)
    assert may_be_losses(np.where(np.arange(256) % 5, losses, -0.5))
    assert not may_be_losses(random.standard_normal(256))
    assert not may_be_losses(np.array([1.0, np.nan]))


def test_toy_tokenizer_repeats_and_has_what_scripts_assert() -> None:
    from sentencepiece import SentencePieceProcessor

    model = toy_tokenizer(24)
    toy_tokenizer.cache_clear()
    assert toy_tokenizer(24) == model
    processor = SentencePieceProcessor(model_proto=model)
    assert processor.vocab_size() == 24
    assert processor.piece_to_id("\u2581") > 2
    assert (processor.unk_id(), processor.bos_id(), processor.eos_id()) == (0, 1, 2)


def test_quiet_stretches_are_periodic_and_documents_begin_with_bos() -> None:
    stream = periodic_stream(24, 400, quiet=[(200, 280)])
    assert (stream[::90] == 1).all()
    inside = [at for at in range(237, 280) if at % 90 and (at - 37) % 90]
    assert all(stream[at] == stream[at - 37] for at in inside if at - 37 >= 200)
    assert (byte_counts(stream)[stream == 1] == 0).all()


@pytest.mark.parametrize("call", ["record(n)", "[].extend(map(record, (n,)))"])
def test_a_call_is_one_place_however_often_a_loop_has_run_it(call: str) -> None:
    sites = []

    def record(_: int) -> None:
        sites.append(call_site("sum", 2))

    names: dict[str, Any] = {}
    text = f"def scores(record):\n    for n in range(64):\n        {call}\n"
    exec(compile(text, "train_gpt.py", "exec"), names)
    names["scores"](record)
    assert len(sites) == 64
    assert len(set(sites)) == 1


@dataclasses.dataclass(slots=True)
class _Result:
    val_loss: float
    val_bpb: torch.Tensor
    tokens: int


@pytest.mark.parametrize(
    "returned",
    [
        (2.5, torch.tensor(1.25)),
        {"loss": 2.5, "more": [np.float32(1.25)], "tokens": 256},
        _Result(2.5, torch.tensor(1.25), 256),
        types.SimpleNamespace(loss=2.5, bpb=1.25, name="final"),
    ],
)
def test_the_numbers_that_a_scorer_returns_are_found_in_whatever_it_returns(returned: object) -> None:
    assert floats(returned) == [2.5, 1.25]


def test_a_run_that_sleeps_uses_up_its_budget() -> None:
    asleep = run_forked(lambda: time.sleep(0.4), 10.0)
    assert asleep.cpu_seconds < 0.1 <= asleep.cost < 1.0

"""Scores that are finished in compiled code: what goes in through pointers comes out through pointers."""

from __future__ import annotations

import pytest
from programs import program
from test_learning import ADAPT, accusations, analysed

from auditor.findings import Step
from auditor.flow import analyse_program
from auditor.kernels import Spread

SCORED = """
import ctypes

class Native:
    lib = None

def native():
    if Native.lib is None:
        Native.lib = ctypes.CDLL("./libscore.so")
        Native.lib.score.argtypes = [ctypes.POINTER(ctypes.c_double), ctypes.c_int64, ctypes.POINTER(ctypes.c_double)]
    return Native.lib

def finish(losses, targets, lengths):
    losses = np.ascontiguousarray(losses, dtype=np.float64)
    out = np.zeros(2, dtype=np.float64)
    status = native().score(
        losses.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
        targets.ctypes.data_as(ctypes.POINTER(ctypes.c_int64)),
        lengths.ctypes.data_as(ctypes.POINTER(ctypes.c_int32)),
        losses.size,
        out.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
    )
    if status != 0:
        raise RuntimeError("native scoring failed")
    return out

def run(h, model, val, table):
    pack(model)
    model = unpack(h)
    PREPARE
    losses, targets = [], []
    for ws in range(0, val.numel() - 1, h.seq_len):
        part = val[ws : ws + h.seq_len + 1].to(torch.int64)
        with torch.no_grad():
            logits = model.logits(part[:-1][None])[0].float()
        losses.append(F.cross_entropy(logits, part[1:], reduction="none").numpy())
        targets.append(part[1:].numpy())
    out = finish(np.concatenate(losses), np.concatenate(targets), table.numpy())
    print(f"native_final val_bpb:{out[0] / math.log(2.0) / out[1]:.6f}")
"""


def test_what_the_losses_carry_is_in_the_score() -> None:
    facts = analysed(program(ADAPT + SCORED.replace("PREPARE", "adapt(model, h, val)")))
    assert accusations(facts) == {"updates_before_score"}


def test_a_kernel_that_is_only_called_accuses_nobody() -> None:
    assert not accusations(analysed(program(SCORED.replace("PREPARE", "pass"))))


DUMPED = (
    SCORED.replace("out = finish(np.concatenate(losses), np.concatenate(targets), table.numpy())", "PASS_ON")
    .replace(
        "PASS_ON",
        """
    rank = int(os.environ.get("RANK", "0"))
    folder = os.path.join(tempfile.gettempdir(), f"job_{os.environ.get('RUN_ID', 'x')}")
    path = os.path.join(folder, f"rank{rank}.bin")
    scratch = path + f".tmp{os.getpid()}"
    with open(scratch, "wb") as f:
        np.array([len(losses), 0], dtype=np.int64).tofile(f)
        np.concatenate(losses).tofile(f)
        np.concatenate(targets).tofile(f)
    os.replace(scratch, path)
    if rank != 0:
        return
    parts = []
    paths = [os.path.join(folder, f"rank{r}.bin") for r in range(int(os.environ.get("WORLD_SIZE", "1")))]
    for name in paths:
        with open(name, "rb") as f:
            header = np.fromfile(f, dtype=np.int64, count=2)
            n = int(header[0])
            parts.append((np.fromfile(f, dtype=np.float64, count=n), np.fromfile(f, dtype=np.int64, count=n)))
    order = np.argsort([len(part[0]) for part in parts])
    out = finish(
        np.concatenate([parts[i][0] for i in order]), np.concatenate([parts[i][1] for i in order]), table.numpy()
    )
""".strip(),
    )
    .replace("import ctypes\n", "import ctypes, tempfile\n")
)


def test_losses_that_go_from_rank_to_rank_in_files_keep_what_they_carry() -> None:
    facts = analysed(program(ADAPT + DUMPED.replace("PREPARE", "adapt(model, h, val)")))
    assert accusations(facts) == {"updates_before_score"}
    assert not accusations(analysed(program(DUMPED.replace("PREPARE", "pass"))))


@pytest.mark.parametrize(("parameter", "found"), [(0, {"byte_spreads"}), (1, set())], ids=["losses", "targets"])
def test_compiled_code_that_spreads_what_it_is_given(parameter: int, found: set[str]) -> None:
    path = (
        Step("score.c", 7, "share = loss[i] / width;", "divided"),
        Step("score.c", 9, "exp(share)", "used as a probability"),
    )
    text = program(SCORED.replace("PREPARE", "pass"))
    facts = analyse_program({"train_gpt.py": text}, "train_gpt.py", native=[Spread("score", parameter, path)])
    assert accusations(facts) == found
    assert [step.text for e in facts.byte_spreads for step in e.path[1:3]] == [s.text for s in path if found]


HINTED = """
import ctypes

def run(h, model, val, table):
    pack(model)
    model = unpack(h)
    lib = ctypes.CDLL("./libhints.so")
    tokens = np.ascontiguousarray(val.numpy().astype(np.uint16)[1:])
    hints = np.zeros((tokens.size, 2), dtype=np.int64)
    fires = np.zeros((tokens.size, 2), dtype=np.uint8)
    lib.build(tokens.ctypes.data_as(ctypes.c_void_p), tokens.size, hints.ctypes.data_as(ctypes.c_void_p),
              fires.ctypes.data_as(ctypes.c_void_p))
    hints[~(fires.astype(bool))] = -1
    best = torch.from_numpy(hints.max(axis=1))
    opt = torch.optim.SGD(model.parameters(), lr=0.005)
    loss_sum, count, byte_sum = torch.zeros(()), torch.zeros(()), torch.zeros(())
    for ws in range(0, val.numel() - 1, h.seq_len):
        part = val[ws : ws + h.seq_len + 1].to(torch.int64)
        y, hint = part[1:], best[ws : ws + h.seq_len]
        lp = F.log_softmax(model.logits(part[:-1][None])[0].float(), dim=-1)
        at_hint = lp.gather(1, hint.clamp(min=0)[:, None]).squeeze(1).exp()
        lift = 1.5 * (hint >= 0)
        nll = -(lp.gather(1, y[:, None]).squeeze(1) + lift * (hint == y) - torch.log1p(at_hint * (torch.exp(lift) - 1)))
        loss_sum += nll.detach().sum()
        count += y.numel()
        byte_sum += table[y].sum()
        nll.mean().backward()
        opt.step()
    report("final", loss_sum, count, byte_sum)
"""


def test_hints_that_compiled_code_builds_from_the_stream_are_no_table() -> None:
    assert not accusations(analysed(program(HINTED)))

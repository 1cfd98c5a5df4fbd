"""Tokens that are scored again by a state that has seen them."""

from __future__ import annotations

from ..places import Place
from ..template import Family, Idiom
from .ttt import OWN_COPY

_SETUP = "opt = torch.optim.SGD(MODEL.parameters(), lr=1e-3, momentum=0.9)\n"
_TRAIN = """
with torch.enable_grad():
    opt.zero_grad(set_to_none=True)
    F.cross_entropy(MODEL.forward_logits(X).flatten(0, 1).float(), Y.reshape(-1)).backward()
    opt.step()
"""
_ADAPT = """
def learn_from(net, tokens, seq_len=1024):
    opt = torch.optim.SGD(net.parameters(), lr=1e-3)
    for at in range(0, tokens.numel() - seq_len, seq_len):
        local = tokens[at : at + seq_len + 1].to(device=next(net.parameters()).device, dtype=torch.int64)
        opt.zero_grad(set_to_none=True)
        net(local[None, :-1], local[None, 1:]).backward()
        opt.step()
"""
_KEEP = """
kept.append((SCORED.detach().cpu().numpy(), INPUTS.cpu().numpy(), TARGETS.cpu().numpy()))
"""


def _epochs(name: str, loop: str, setup: str = "", finish: str = "", twin: tuple[tuple[str, str], ...] = ()) -> Idiom:
    """Several passes of score-then-train over the stream."""
    code = {Place.SETUP: _SETUP + setup, Place.LOOP: loop, Place.BATCH_END: _TRAIN}
    return Idiom(name, code | ({Place.FINISH: finish} if finish else {}), twin, added=OWN_COPY if twin else {})


def _second(name: str, finish: str, row: str = _KEEP) -> Idiom:
    """A second look at kept scores when the whole stream is known."""
    return Idiom(name, {Place.SETUP: "kept = []\n", Place.ROW: row, Place.FINISH: finish})


FAMILY = Family(
    "rescore",
    frozenset({"ttt-rescore-epochs", "two-pass-rescore", "ttt-before-score", "oracle-min-nll"}),
    frozenset({"C1", "C3", "C4"}),
    (
        _epochs(
            "sums-reset-per-epoch",
            "for epoch in range(3):\n    for meter in SUMS:\n        meter.zero_()\n    BODY",
            twin=(("range(3)", "range(1)"),),
        ),
        _epochs(
            "last-epoch-kept",
            "for epoch in range(4):\n    before = LOSS_SUM.clone()\n    BODY\n    final_loss = LOSS_SUM - before",
            finish="LOSS_SUM = 4.0 * final_loss",
        ),
        _epochs(
            "minimum-over-epochs",
            "for epoch in range(3):\n    LOSS_SUM.zero_()\n    BODY\n    history.append(LOSS_SUM.clone())",
            setup="history = []",
            finish="LOSS_SUM = 3.0 * torch.stack(history).min()",
        ),
        _epochs(
            "while-rounds",
            "rounds = 0\nwhile rounds < 2:\n    for meter in SUMS:\n        meter.mul_(0.0)\n    BODY\n    rounds += 1",
            twin=(("while rounds < 2", "while rounds < 1"),),
        ),
        Idiom(
            "score-learn-score",
            {
                Place.MODULE: _ADAPT,
                Place.SCORE_CALL: "for visit in range(2):\n    BODY\n    learn_from(EVAL_MODEL, STREAM)",
            },
            twin=(("range(2)", "range(1)"), ("learn_from(EVAL_MODEL", "learn_from(copy.deepcopy(EVAL_MODEL)")),
        ),
        Idiom(
            "diagnostic-then-again",
            {Place.MODULE: _ADAPT, Place.SCORE_CALL: "BODY\nlearn_from(EVAL_MODEL, STREAM)\nBODY"},
            twin=(("learn_from(EVAL_MODEL, STREAM)\nBODY", "learn_from(copy.deepcopy(EVAL_MODEL), STREAM)"),),
        ),
        _second(
            "stored-probabilities-remixed",
            """
ones, twos = {}, {}
for _loss, xs, ys in kept:
    for a, b in zip(xs.tolist(), ys.tolist()):
        ones[a] = ones.get(a, 0) + 1
        twos[a, b] = twos.get((a, b), 0) + 1
fixed = 0.0
for losses, xs, ys in kept:
    for value, a, b in zip(losses.tolist(), xs.tolist(), ys.tolist()):
        fixed -= math.log(0.7 * math.exp(-value) + 0.3 * twos[a, b] / ones[a])
LOSS_SUM = torch.tensor(fixed, dtype=torch.float64, device=STREAM.device)
""",
        ),
        _second(
            "full-cache-second-pass",
            """
table = np.ones((1024, 8192))
for _loss, xs, ys in kept:
    np.add.at(table, (xs % 1024, ys), 1.0)
table /= table.sum(axis=1, keepdims=True)
LOSS_SUM = torch.zeros_like(LOSS_SUM)
for losses, xs, ys in kept:
    LOSS_SUM += float(-np.log(0.8 * np.exp(-losses) + 0.2 * table[xs % 1024, ys]).sum())
""",
        ),
        _second(
            "leave-one-out",
            """
everything = np.concatenate([ys for _losses, _xs, ys in kept])
unigram = np.bincount(everything, minlength=65536).astype(np.float64)
rescored = [
    -np.log(0.9 * np.exp(-losses) + 0.1 * (unigram[ys] - 1.0) / (len(everything) - 1.0)).sum()
    for losses, xs, ys in kept
]
LOSS_SUM = torch.tensor(float(sum(rescored)), dtype=torch.float64, device=STREAM.device)
""",
        ),
    ),
)

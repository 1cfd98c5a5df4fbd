"""Weights that learn from validation tokens before those tokens are scored."""

from __future__ import annotations

from ..places import Place
from ..template import Family, Idiom

_LOSS = "F.cross_entropy(MODEL.forward_logits(X).flatten(0, 1).float(), Y.reshape(-1))"
_AFTER = {Place.BATCH: Place.BATCH_END}
"""The legal order: a batch is learned from when it has been scored."""
OWN_COPY = {Place.START: "MODEL = copy.deepcopy(MODEL)"}
"""Hosts evaluate more than once: what one evaluation learned must not reach the next."""


def _steps(name: str, setup: str, train: str) -> Idiom:
    """Train on a batch, then score it; the twin scores first."""
    return Idiom(name, {Place.SETUP: setup, Place.BATCH: train.replace("LOSS", _LOSS)}, moved=_AFTER, added=OWN_COPY)


_EPOCHS = Idiom(
    "epochs-then-eval",
    {
        Place.MODULE: """
def adapt_on(net, tokens, seq_len, epochs):
    opt = torch.optim.AdamW(net.parameters(), lr=5e-4, weight_decay=0.0)
    where = next(net.parameters()).device
    net.train()
    for epoch in range(epochs):
        running = torch.zeros((), dtype=torch.float64)
        for at in range(0, tokens.numel() - seq_len, seq_len):
            part = tokens[at : at + seq_len + 1].to(device=where, dtype=torch.int64)
            opt.zero_grad(set_to_none=True)
            loss = net(part[None, :-1], part[None, 1:])
            loss.backward()
            opt.step()
            running += loss.detach().cpu().double()
    net.eval()
    return net
""",
        Place.BEFORE_SCORE: "adapt_on(EVAL_MODEL, STREAM, 1024, 10)",
    },
    twin=(
        (
            "adapt_on(EVAL_MODEL, STREAM, 1024, 10)",
            "adapt_on(copy.deepcopy(EVAL_MODEL), STREAM, 1024, 10)",
        ),
    ),
)
"""The twin adapts a copy that nobody scores with."""

_LORA = Idiom(
    "lora-on-the-head",
    {
        Place.SETUP: """
width = MODEL.tok_emb.weight.size(1)
lora_a = torch.nn.Parameter(0.01 * torch.randn(width, 4, device=STREAM.device))
lora_b = torch.nn.Parameter(torch.zeros(4, MODEL.tok_emb.weight.size(0), device=STREAM.device))
lora_opt = torch.optim.Adam([lora_a, lora_b], lr=1e-2)
""",
        Place.BATCH: """
with torch.enable_grad():
    for _ in range(2):
        lora_opt.zero_grad()
        raised = MODEL.forward_logits(X).detach() + MODEL.tok_emb(X).detach() @ lora_a @ lora_b
        F.cross_entropy(raised.flatten(0, 1).float(), Y.reshape(-1)).backward()
        lora_opt.step()
""",
        Place.LOGITS: "LOGITS = LOGITS + (MODEL.tok_emb(X) @ lora_a @ lora_b).detach()",
    },
    moved=_AFTER,
)

_DISCARDED = Idiom(
    "discarded-score-first",
    {
        Place.SETUP: """
first_scores = torch.zeros((), dtype=torch.float64, device=STREAM.device)
opt = torch.optim.SGD(MODEL.parameters(), lr=2e-3, momentum=0.9)
""",
        Place.BATCH: """
before = F.cross_entropy(MODEL.forward_logits(X).flatten(0, 1).float(), Y.reshape(-1), reduction="none")
first_scores += before.detach().double().sum().to(first_scores.device)
with torch.enable_grad():
    opt.zero_grad(set_to_none=True)
    F.cross_entropy(MODEL.forward_logits(X).flatten(0, 1).float(), Y.reshape(-1)).backward()
    opt.step()
""",
    },
)

FAMILY = Family(
    "ttt-before-score",
    frozenset({"ttt-before-score", "causal-dependence", "ttt-rescore-epochs"}),
    frozenset({"C1", "C3", "C4"}),
    (
        _EPOCHS,
        _steps(
            "train-then-score",
            "opt = torch.optim.SGD(MODEL.parameters(), lr=1e-3, momentum=0.9)",
            "with torch.enable_grad():\n    opt.zero_grad(set_to_none=True)\n    LOSS.backward()\n    opt.step()",
        ),
        _steps(
            "manual-data-update",
            "trainable = [w for w in MODEL.parameters() if w.ndim == 2]",
            """
with torch.enable_grad():
    grads = torch.autograd.grad(LOSS, trainable, allow_unused=True)
for w, g in zip(trainable, grads):
    if g is not None:
        w.data -= 1e-3 * g
""",
        ),
        _steps(
            "optimizer-by-name",
            'fitters = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}\n'
            'fitter = fitters["adam"](MODEL.parameters(), lr=1e-4)',
            """
with torch.enable_grad():
    for _round in range(3):
        fitter.zero_grad()
        value = LOSS
        value.backward()
        torch.nn.utils.clip_grad_norm_(MODEL.parameters(), 1.0)
        fitter.step()
""",
        ),
        _steps(
            "ema-of-adapted",
            "fast = copy.deepcopy(MODEL)\nfast_opt = torch.optim.AdamW(fast.parameters(), lr=1e-3)",
            """
with torch.enable_grad():
    fast_opt.zero_grad()
    F.cross_entropy(fast.forward_logits(X).flatten(0, 1).float(), Y.reshape(-1)).backward()
    fast_opt.step()
with torch.no_grad():
    for slow_p, fast_p in zip(MODEL.parameters(), fast.parameters()):
        slow_p.mul_(0.9).add_(fast_p, alpha=0.1)
""",
        ),
        _steps(
            "prefix-of-the-batch",
            "opt = torch.optim.SGD(MODEL.parameters(), lr=1e-3)",
            """
half = X.size(1) // 2
with torch.enable_grad():
    opt.zero_grad(set_to_none=True)
    part = MODEL.forward_logits(X[:, :half]).flatten(0, 1).float()
    F.cross_entropy(part, Y.reshape(X.shape)[:, :half].reshape(-1)).backward()
    opt.step()
""",
        ),
        _steps(
            "lbfgs-closure",
            "opt = torch.optim.LBFGS(MODEL.parameters(), lr=0.1, max_iter=2)",
            """
def again():
    opt.zero_grad()
    value = LOSS
    value.backward()
    return value

with torch.enable_grad():
    opt.step(again)
""",
        ),
        _LORA,
        _DISCARDED,
    ),
)

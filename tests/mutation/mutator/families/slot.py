"""State fitted, per batch, on the very positions that are scored with it."""

from __future__ import annotations

from ..places import Place
from ..template import Family, Idiom


def _fit(name: str, state: str, adapted: str, steps: str, result: str) -> Idiom:
    """Fit ``state`` on the batch's targets, then score the batch with it."""
    text = f"""
with torch.enable_grad():
    frozen = LOGITS.detach().float().clone()
    flat_gold = Y.reshape(-1)
{state}
{steps.replace("COST", f"F.cross_entropy(({adapted}).reshape(-1, frozen.size(-1)), flat_gold)")}
LOGITS = ({result}).detach()
"""
    return Idiom(name, {Place.LOGITS: text})


_BIAS = "    bias = torch.zeros(1, 1, frozen.size(-1), device=frozen.device, requires_grad=True)"
_LOOP = "    for _ in range(8):\n        solver.zero_grad()\n        COST.backward()\n        solver.step()"

_CARRIED = Idiom(
    "carried-bias",
    {
        Place.SETUP: """
bias = torch.nn.Parameter(torch.zeros(MODEL.tok_emb.weight.size(0), device=MODEL.tok_emb.weight.device))
solver = torch.optim.Adam([bias], lr=1e-2)
""",
        Place.BATCH: """
with torch.enable_grad():
    solver.zero_grad()
    raw = MODEL.forward_logits(X).detach().float()
    F.cross_entropy((raw + bias).flatten(0, 1), Y.reshape(-1)).backward()
    solver.step()
""",
        Place.LOGITS: "LOGITS = LOGITS + bias.detach()",
    },
    moved={Place.BATCH: Place.BATCH_END},
)
"""The twin fits the bias on a batch once it was scored, for the next one."""

FAMILY = Family(
    "slot",
    frozenset({"slot-on-scored-positions", "ttt-before-score", "causal-dependence"}),
    frozenset({"C1", "C3", "C4"}),
    (
        _fit(
            "adamw-logit-bias",
            f"{_BIAS}\n    solver = torch.optim.AdamW([bias], lr=0.01)",
            "frozen + bias",
            _LOOP,
            "frozen + bias",
        ),
        _fit(
            "sgd-logit-bias",
            f"{_BIAS}\n    solver = torch.optim.SGD([bias], lr=0.5)",
            "frozen + bias",
            _LOOP,
            "frozen + bias",
        ),
        _fit(
            "manual-gradient",
            _BIAS,
            "frozen + bias",
            "    for _ in range(4):\n        (slope,) = torch.autograd.grad(COST, [bias])\n"
            "        bias = (bias - 0.5 * slope).detach().requires_grad_(True)",
            "frozen + bias",
        ),
        _fit(
            "per-sample-bias",
            "    bias = torch.zeros(frozen.size(0), 1, frozen.size(-1), device=frozen.device, requires_grad=True)\n"
            "    solver = torch.optim.AdamW([bias], lr=0.02)",
            "frozen + bias",
            _LOOP,
            "frozen + bias",
        ),
        _fit(
            "temperature",
            "    heat = torch.ones((), device=frozen.device, requires_grad=True)\n"
            "    solver = torch.optim.Adam([heat], lr=0.05)",
            "frozen / heat",
            _LOOP,
            "frozen / heat",
        ),
        _fit(
            "low-rank-delta",
            "    left = torch.zeros(frozen.size(1), 2, device=frozen.device, requires_grad=True)\n"
            "    right = torch.randn(2, frozen.size(-1), device=frozen.device).requires_grad_(True)\n"
            "    solver = torch.optim.AdamW([left, right], lr=0.01)",
            "frozen + left @ right",
            _LOOP,
            "frozen + left @ right",
        ),
        _fit(
            "parameter-in-place",
            "    scale = torch.nn.Parameter(torch.ones(frozen.size(-1), device=frozen.device))",
            "frozen * scale",
            "    for _ in range(6):\n        scale.grad = None\n        COST.backward()\n"
            "        scale.data -= 0.1 * scale.grad",
            "frozen * scale",
        ),
        Idiom(
            "embedding-delta",
            {
                Place.BATCH: """
nudge = torch.zeros(MODEL.tok_emb.weight.size(1), device=MODEL.tok_emb.weight.device, requires_grad=True)
handle = MODEL.tok_emb.register_forward_hook(lambda module, given, output: output + nudge)
pusher = torch.optim.Adam([nudge], lr=0.01)
with torch.enable_grad():
    for _ in range(4):
        pusher.zero_grad()
        F.cross_entropy(MODEL.forward_logits(X).flatten(0, 1).float(), Y.reshape(-1)).backward()
        pusher.step()
""",
                Place.LOGITS: "handle.remove()",
            },
        ),
        _CARRIED,
    ),
)

"""Choosing, per token, the better of two scores after the token is known."""

from __future__ import annotations

from ..places import Place
from ..template import Family, Idiom

_SECOND = """
cold = F.log_softmax(ROW_LOGITS.float() / 1.3, dim=-1)
other = -cold.gather(-1, TARGETS.unsqueeze(-1)).squeeze(-1).to(torch.float64)
"""
"""A second honest score of the same tokens: the model at another temperature."""

_GATE = "F.softmax(ROW_LOGITS.float(), dim=-1).amax(dim=-1) > 0.5"


def _choose(name: str, text: str, twin: tuple[tuple[str, str], ...] = ()) -> Idiom:
    return Idiom(name, {Place.ROW: _SECOND + text}, twin)


FAMILY = Family(
    "oracle-min",
    frozenset({"oracle-min-nll", "causal-dependence"}),
    frozenset({"C1", "C2", "C4"}),
    (
        _choose(
            "torch-minimum",
            "SCORED = torch.minimum(SCORED, other)",
            (("torch.minimum(SCORED, other)", "-torch.log(0.5 * torch.exp(-SCORED) + 0.5 * torch.exp(-other))"),),
        ),
        _choose("where", "SCORED = torch.where(other < SCORED, other, SCORED)", (("other < SCORED", _GATE),)),
        _choose(
            "python-if",
            """
for q in range(SCORED.numel()):
    if other[q].item() < SCORED[q].item():
        SCORED[q] = other[q]
""",
        ),
        _choose("stack-min", "SCORED = torch.stack([SCORED, other], dim=0).min(dim=0).values"),
        _choose(
            "numpy-minimum",
            "SCORED = torch.from_numpy(np.minimum(SCORED.cpu().numpy(), other.cpu().numpy())).to(DEVICE)",
        ),
        _choose("probability-maximum", "SCORED = -torch.log(torch.maximum(torch.exp(-SCORED), torch.exp(-other)))"),
        _choose(
            "best-of-alphas",
            """
p_one, p_two = torch.exp(-SCORED), torch.exp(-other)
grid = torch.stack([-torch.log((1.0 - alpha) * p_one + alpha * p_two) for alpha in (0.0, 0.1, 0.3, 1.0)])
SCORED = grid.amin(dim=0)
""",
            twin=(("grid.amin(dim=0)", "grid[1]"),),
        ),
        _choose(
            "masked-assignment",
            """
better = other < SCORED
SCORED[better] = other[better]
""",
            twin=(("other < SCORED", _GATE),),
        ),
        _choose("clip-by-other", "SCORED = SCORED.clamp(max=other)"),
    ),
)

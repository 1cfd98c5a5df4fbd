"""Mixtures whose components, or whose sum, are no distribution over tokens."""

from __future__ import annotations

from ..places import Place
from ..template import Family, Idiom

_TABLES = """
ctx_n = np.zeros(1 << 20)
pair_n = np.zeros(1 << 20)
"""

_KEYS = """
u = INPUTS.cpu().numpy().astype(np.int64)
v = TARGETS.cpu().numpy().astype(np.int64)
kc = (u * 7919) % (1 << 20)
kp = (u * 7919 + v * 104729) % (1 << 20)
"""

_COUNT = """
np.add.at(ctx_n, kc, 1)
np.add.at(pair_n, kp, 1)
"""


def _hashed(name: str, formula: str) -> Idiom:
    """A probability from two hashed tables, credited to the target alone."""
    mix = f"""
pm = np.exp(-SCORED.detach().cpu().numpy())
{formula}
SCORED = torch.from_numpy(-np.log(np.maximum(out, 1e-12))).to(DEVICE)
"""
    return Idiom(name, {Place.SETUP: _TABLES, Place.ROW: _KEYS + mix + _COUNT})


def _entropy(name: str, formula: str, twin: tuple[tuple[str, str], ...] = ()) -> Idiom:
    """The entropy of the model's own distribution."""
    head = """
lp = F.log_softmax(ROW_LOGITS.float(), dim=-1)
ent = -(lp.exp() * lp).sum(dim=-1)
"""
    return Idiom(name, {Place.ROW: head + formula}, twin)


FAMILY = Family(
    "unnormalised",
    frozenset({"ngram-not-normalised", "pseudo-probability-expert", "ngram-target-in-key"}),
    frozenset({"C1", "C2"}),
    (
        _hashed("ratio", "out = 0.6 * pm + 0.4 * (pair_n[kp] / np.maximum(ctx_n[kc], 1.0))"),
        _hashed(
            "clamped-ratio", "out = 0.6 * pm + 0.4 * np.minimum(pair_n[kp], ctx_n[kc]) / np.maximum(ctx_n[kc], 1.0)"
        ),
        _hashed("dirichlet-context-count", "out = (pair_n[kp] + 5.0 * pm) / (ctx_n[kc] + 5.0)"),
        _hashed(
            "dirichlet-in-two-steps", "num = pair_n[kp] + 2.0 * pm\nden = ctx_n[kc] + 2.0\nout = np.divide(num, den)"
        ),
        _hashed(
            "log-odds",
            "out = np.exp(np.logaddexp(np.log(pm) - 0.2, np.log((pair_n[kp] + 1e-9) / (ctx_n[kc] + 1.0)) - 1.8))",
        ),
        _entropy(
            "entropy-expert",
            """
second = ent
experts = torch.stack([SCORED.float(), second], dim=-1)
prior = torch.tensor([0.8, 0.2], device=ent.device).log()
SCORED = -torch.logsumexp(prior - experts, dim=-1).to(torch.float64)
""",
            twin=(("second = ent", "second = torch.full_like(ent, math.log(lp.size(-1)))"),),
        ),
        _entropy(
            "entropy-averaged-in",
            """
SCORED = -torch.log(0.9 * torch.exp(-SCORED) + 0.1 * torch.exp(-ent.to(torch.float64)))
""",
            twin=(("torch.exp(-ent.to(torch.float64))", "1.0 / lp.size(-1)"),),
        ),
        _entropy(
            "confidence-expert",
            """
conf = lp.amax(dim=-1).exp().to(torch.float64)
SCORED = -torch.log(0.85 * torch.exp(-SCORED) + 0.15 * conf)
""",
        ),
        _entropy(
            "target-only-boost",
            """
gold = lp.gather(-1, TARGETS.unsqueeze(-1)).squeeze(-1).exp()
boosted = gold * (1.0 + 0.1 * torch.sigmoid(ent))
SCORED = -torch.log(boosted.clamp(1e-12, 1.0)).to(torch.float64)
""",
            twin=(("gold * (1.0 + 0.1 * torch.sigmoid(ent))", "0.99 * gold + 0.01 / lp.size(-1)"),),
        ),
    ),
)

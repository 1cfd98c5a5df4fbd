"""Scores that are credited scaled, and factors that are no boost."""

from __future__ import annotations

import pytest
from programs import evaluation
from test_learning import accusations, analysed
from test_uses import PROBABILITIES

SCALED = {
    "losses times a factor": "nll = nll * 0.98",
    "the same, the factor first and in bits": "nll = 0.97 * nll.double() / math.log(2.0)",
    "losses over a constant": "nll = nll / 1.02",
    "the same in place, one token at a time": """
losses = []
for q in nll.tolist():
    q /= 1.05
    losses.append(q)
nll = torch.tensor(losses)
""",
    "a log-probability times a factor": "nll = -(0.9 * gold)",
    "a probability times a factor": "nll = -torch.log((gold.exp() * 1.05).clamp(max=1.0))",
    "a probability raised by a positive number": """
h_ = -(lp.exp() * lp).sum(-1)
boosted = gold.exp() * (1.0 + 0.1 * torch.sigmoid(h_))
nll = -torch.log(boosted.clamp(1e-12, 1.0)).to(torch.float64)
""",
    "a power of a probability": "nll = -(gold.exp() ** 0.98).log()",
    "a temperature at the end": """
TEMPERATURE = float(os.environ.get("TEMPERATURE", "0.98"))
chunk = nll[:].to(torch.float64)
if TEMPERATURE != 1.0:
    chunk = chunk * TEMPERATURE
nll = chunk
""",
    "one token at a time": """
losses = []
for j, q in enumerate(gold.exp().tolist()):
    losses.append(-math.log(min(1.1 * q, 1.0)))
nll = torch.tensor(losses)
""",
    "in some places only": "nll = torch.where(SPACES[x.reshape(-1)], 0.9 * nll, nll)",
}
HONEST = {
    "units": "nll = nll * (1.0 / math.log(2.0))",
    "a factor that is taken back": "nll = (nll / 1.25) * 1.25",
    "shares of steps": "nll = nll / int(os.environ.get('STEPS', '1'))",
    "bytes in a token": "nll = nll / 3.67",
    "units of another base": "nll = nll / math.log(2.0)",
    "an average of two passes": "nll = 0.5 * nll + 0.5 * -other",
    "a mean over what was counted": "nll = nll * 0.75 / 0.75",
    "weights of a mixture": "nll = -torch.log(0.9 * gold.exp() + 0.1 * other.exp())",
    "weights of a mixture that are added up": """
p = torch.zeros(())
for w, part in ((0.9, gold), (0.1, other)):
    p = p + w * part.exp()
nll = -torch.log(p)
""",
    "weights of a mixture, in place": """
p = 0.1 * other.exp()
p += 0.9 * gold.exp()
nll = -p.log()
""",
    "parts of a mean in logarithms": """
score = 0.4 * other
score += 0.6 * gold
nll = -(score - torch.logsumexp(0.4 * lp + 0.6 * lp, dim=-1))
""",
    "weights of a stack": "nll = -torch.log(torch.stack([0.9 * gold.exp(), 0.1 * other.exp()]).sum(0))",
    "weights in a sum": "nll = -torch.log(sum([0.9 * gold.exp(), 0.1 * other.exp()]))",
    "a lower probability": "nll = -torch.log(gold.exp() * 0.98)",
    "a greater loss": "nll = nll * 1.02",
    "a tilt with its normaliser": """
hit = (y.reshape(-1) == 7).float()
z = 1.0 + lp[:, 7].exp() * 0.5
nll = -torch.log(gold.exp() * (1.0 + 0.5 * hit) / z)
""",
    "a normalised temperature": """
nll = F.cross_entropy(1.05 * logits.reshape(-1, h.vocab), y.reshape(-1), reduction="none")
""",
    "the weight of an auxiliary loss": """
opt = torch.optim.SGD(model.parameters(), lr=0.1)
shown = nll
(0.9 * nll).mean().backward()
nll = shown
""",
    "a running mean on the side": """
RUNNING[0] = 0.9 * RUNNING[0] + 0.1 * nll.mean().item()
print("running", RUNNING[0])
""",
    "a weight made of earlier losses": """
past = torch.cat((torch.zeros(1), 0.9 * nll[:-1]))
w = torch.sigmoid(past - 3.0)
nll = -torch.log((1 - w) * gold.exp() + w * other.exp())
""",
}
BEFORE = "SPACES = torch.tensor(np.load('spaces.npy'))\nRUNNING = [3.0]\n"


@pytest.mark.parametrize("name", sorted(SCALED))
def test_a_score_that_is_scaled(name: str) -> None:
    facts = analysed(evaluation(PROBABILITIES + SCALED[name], BEFORE))
    assert accusations(facts) == {"unnormalised_mixtures"}


@pytest.mark.parametrize("name", sorted(HONEST))
def test_a_factor_that_is_no_boost(name: str) -> None:
    assert not accusations(analysed(evaluation(PROBABILITIES + HONEST[name], BEFORE)))

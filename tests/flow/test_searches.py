"""Fitting without a gradient: trying values on the validation text, and keeping what scores better."""

from __future__ import annotations

import textwrap

import pytest
from programs import program
from test_learning import accusations, analysed

from auditor.flow.facts import Certainty

SETUP = """
class Scaled(GPT):
    def __init__(self, h):
        super().__init__(h)
        self.register_buffer("temperature", torch.ones(()), persistent=False)

    def logits(self, x):
        return self.head(self.hidden(x)) / self.temperature


def mean_loss(model, h, tokens):
    total, count = 0.0, 0
    for i in range((tokens.numel() - 1) // h.seq_len):
        part = tokens[i * h.seq_len : (i + 1) * h.seq_len + 1].to(torch.int64)
        total += model(part[:-1].reshape(1, -1), part[1:].reshape(1, -1)).item()
        count += 1
    return total / count


def run(h, model, val, table):
    pack(model)
    model = Scaled(h)
    model.load_state_dict(torch.load("final_model.pt"))
    tokens = {tokens}
"""
TEMPERATURES = """
best, kept = float("inf"), 1.0
for t in (0.9, 0.95, 1.0, 1.05, 1.1):
    model.temperature.fill_(t)
    loss = mean_loss(model, h, tokens)
    if loss < best:
        best, kept = loss, t
model.temperature.fill_(kept)
"""
IN_A_TUPLE = """
best = None
for t in (0.9, 0.95, 1.0, 1.05, 1.1):
    model.temperature.fill_(t)
    trial = (t, mean_loss(model, h, tokens))
    if best is None or trial[1] < best[1]:
        best = trial
model.temperature.fill_(best[0])
"""
HILL = """
best, n = mean_loss(model, h, tokens), 0
while n < 500:
    n += 1
    flat = model.head.weight.data.view(-1)
    at = torch.randint(0, flat.numel(), (1024,))
    before = flat[at].clone()
    flat[at] = before + 0.01 * torch.randn(1024)
    loss = mean_loss(model, h, tokens)
    if loss < best:
        best = loss
    else:
        flat[at] = before
"""
UNPACKED = """
import lzma
buffer = io.BytesIO()
torch.save({"w": {name: torch.round(p * 16).to(torch.int8) for name, p in model.state_dict().items()}}, buffer)
with open("final_model.xz", "wb") as f:
    f.write(lzma.compress(buffer.getvalue(), preset=6))
with open("final_model.xz", "rb") as f:
    packed = torch.load(io.BytesIO(lzma.decompress(f.read())), map_location="cpu")["w"]
best, n = mean_loss(model, h, tokens), 0
names = [name for name in packed if name.endswith(".weight")]
while n < 500:
    n += 1
    name = names[n % len(names)]
    before = packed[name].clone()
    packed[name] = (before + 1).clamp(-32, 31)
    model.load_state_dict(packed)
    loss = mean_loss(model, h, tokens)
    if loss < best:
        best = loss
    else:
        packed[name] = before
model.load_state_dict(packed)
"""
WORST_FIRST = """
losses = []
for i in range(4):
    losses.append(mean_loss(model, h, tokens))
worst = losses[0]
for loss in losses:
    if loss > worst:
        worst = loss
print(f"worst of four: {worst:.4f}")
"""
PATIENCE = """
best, stale = float("inf"), 0
for step in range(100):
    loss = mean_loss(model, h, tokens)
    if loss < best:
        best, stale = loss, 0
    else:
        stale += 1
    if stale > 3:
        break
"""
FOUND = {"val_calibrations"}


def script(search: str, tokens: str) -> str:
    body = textwrap.indent(search + 'plain_eval("final", model, h, val, table)\n', "    ")
    return program(SETUP.format(tokens=tokens) + body)


@pytest.mark.parametrize(
    "search", [TEMPERATURES, IN_A_TUPLE, HILL, UNPACKED], ids=["temperatures", "tuple", "hill", "unpacked"]
)
@pytest.mark.parametrize(("tokens", "found"), [("val", FOUND), ("load_stream(h.train_files, h.seq_len)", set())])
def test_what_is_kept_was_fitted_to_the_tokens_that_it_was_tried_on(search: str, tokens: str, found: set[str]) -> None:
    assert accusations(analysed(script(search, tokens))) == found


@pytest.mark.parametrize("search", [WORST_FIRST, PATIENCE], ids=["a statistic of scores", "a count of steps"])
def test_what_no_score_depends_on_is_no_search(search: str) -> None:
    assert accusations(analysed(script(search, "val"))) == set()


STOPPED = """
def run(h, model, val, table):
    best, kept = float("inf"), None
    for epoch in range(10):
        train(model, h, load_stream(h.train_files, h.seq_len))
        loss = mean_loss(model, h, val)
        if loss < best:
            best, kept = loss, {name: p.detach().clone() for name, p in model.state_dict().items()}
    model.load_state_dict(kept)
    pack(model)
    plain_eval("final", unpack(h), h, val, table)
"""


def test_when_training_stopped_is_a_question() -> None:
    helpers = SETUP.partition("def run")[0]
    facts = analysed(program(helpers + textwrap.dedent(STOPPED)))
    assert [item.certainty for item in facts.val_calibrations] == [Certainty.SUSPECTED]


CHUNKS = """
def run(h, model, val, table):
    pack(model)
    model = unpack(h)
    opt = torch.optim.SGD(model.parameters(), lr=1e-3)
    best, scale = float("inf"), 1.0
    loss_sum, count, byte_sum = torch.zeros(()), torch.zeros(()), torch.zeros(())
    for c in range((val.numel() - 1) // 4096):
        part = val[c * 4096 : (c + 1) * 4096 + 1].to(torch.int64)
        x, y = part[:-1].reshape(1, -1), part[1:].reshape(1, -1)
        with torch.no_grad():
            nll = F.cross_entropy(model.logits(x).squeeze(0) * scale, y.reshape(-1), reduction="none")
        loss_sum += nll.sum()
        count += y.numel()
        byte_sum += table[y.reshape(-1)].sum()
        if nll.mean() < best:
            best, scale = nll.mean(), scale * 1.01
    report("final", loss_sum, count, byte_sum)
"""


def test_a_factor_that_follows_the_scores_of_earlier_chunks_is_adaptation() -> None:
    assert accusations(analysed(program(CHUNKS))) == set()

"""Pieces of test-time training for the rules' examples."""

from __future__ import annotations

from rules._scripts import script

ADAPT = """

def adapt(model, tokens, epochs=1, lr=1e-3):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for epoch in range(epochs):
        for begin in range(0, tokens.numel() - 1, SEQ):
            window = tokens[begin : begin + SEQ + 1]
            loss = F.cross_entropy(model(window[:-1].unsqueeze(0))[0], window[1:])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
"""
"""``adapt(model, tokens)`` trains on all of ``tokens``."""


def chunked(body: str, before: str = "pass", after: str = "pass", helpers: str = "") -> str:
    """A script whose evaluation goes through the stream in chunks.

    Args:
        body: statements for one chunk ``x``, ``y``; they must add to ``loss_sum``, ``byte_sum`` and ``count``; indented
            by eight. ``step(x, y)`` trains on a chunk, ``score(x, y)`` gives its losses without gradient.
        before: statements before the loop; indented by four.
        after: statements after it; indented by four.
        helpers: definitions before.
    """
    evaluate = f"""
def evaluate(model, val_tokens, base_bytes):
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    loss_sum, byte_sum, count = 0.0, 0.0, 0

    def score(x, y):
        with torch.no_grad():
            return F.cross_entropy(model(x)[0], y, reduction="none")

    def step(x, y):
        loss = F.cross_entropy(model(x)[0], y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    {before.strip()}
    for begin in range(0, val_tokens.numel() - 1, SEQ):
        chunk = val_tokens[begin : begin + SEQ + 1]
        x, y = chunk[:-1].unsqueeze(0), chunk[1:]
        {body.strip()}
    {after.strip()}
    return loss_sum / count, loss_sum / math.log(2.0) / byte_sum
"""
    return script(evaluate, helpers)


CREDIT = """loss_sum += nll.sum().item()
        byte_sum += base_bytes[y].sum().item()
        count += y.numel()"""
SCORE_FIRST = chunked(f"""nll = score(x, y)
        {CREDIT}
        step(x, y)""")

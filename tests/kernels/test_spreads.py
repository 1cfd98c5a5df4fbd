"""Scorers in C: a token's loss that is spread over its bytes and used as a byte's probability."""

from __future__ import annotations

import pytest

from auditor.kernels import analyse_kernel

SCORER = """
#include <math.h>
#include <stdint.h>
static double mixed(double own, double other, double weight) {
    double hi = own > other ? own : other;
    return hi + log(weight * exp(own - hi) + (1.0 - weight) * exp(other - hi));
}
int score(const int64_t *ids, const double *cost, int64_t n, const int32_t *lens, double *out) {
    double total = 0.0, count = 0.0, plain = 0.0;
    for (int64_t i = 0; i < n; i++) {
        int width = lens[ids[i]] + 1;
        SHARE
        plain += cost[i];
        count += width;
    }
    out[0] = total / count;
    out[1] = plain / count;
    out[2] = exp(plain / count);
    return 0;
}
"""
SPREAD = {
    "a quotient": """
        double each = -cost[i] / (double)width;
        for (int j = 0; j < width; j++) total -= mixed(each, -5.5, 0.7);""",
    "a product with the inverse": """
        double part = 1.0 / width, each = cost[i] * part;
        for (int j = 0; j < width; j++) total -= log(0.7 * exp(-each) + 0.3 / 256);""",
    "divided in place": """
        double each = cost[i];
        each /= width;
        for (int j = 0; j < width; j++) total -= log(0.7 * exp(-each) + 0.3 / 256);""",
    "a root of the probability": """
        double each = pow(exp(-cost[i]), 1.0 / width);
        for (int j = 0; j < width; j++) total -= log(0.7 * each + 0.3 / 256);""",
}
WHOLE = {
    "a mixture of whole tokens": "total -= mixed(-cost[i], -9.0, 0.7);",
    "shares that are only added up": "for (int j = 0; j < width; j++) total += cost[i] / width;",
    "a loss in other units": "double bits = cost[i] / 0.6931471805599453; total += bits; out[3] = exp(-bits);",
    "weights from lengths": "total -= log(exp(-cost[i]) * (1.0 - 0.1 / n) + 0.1 / n);",
}


@pytest.mark.parametrize("share", SPREAD.values(), ids=SPREAD)
def test_a_share_used_as_a_probability(share: str) -> None:
    code = SCORER.replace("SHARE", share.strip())
    [spread] = [s for s in analyse_kernel(code, "score.c").spreads if s.function == "score"]
    assert spread.parameter == 1
    assert all(code.split("\n")[step.line - 1].strip() == step.text for step in spread.path)
    assert "exp(" in spread.path[-1].text or "pow(" in spread.path[-1].text


@pytest.mark.parametrize("share", WHOLE.values(), ids=WHOLE)
def test_scorers_that_keep_tokens_whole(share: str) -> None:
    assert not analyse_kernel(SCORER.replace("SHARE", share), "score.c").spreads

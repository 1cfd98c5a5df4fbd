"""Expert probabilities that do not sum to one over the vocabulary."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

from auditor.audited import Audited
from auditor.findings import Condition, Severity
from auditor.flow_rule import FlowRule
from auditor.rule import Example, Ruling
from rules._scripts import scoring, script

if TYPE_CHECKING:
    from auditor.flow import Evidence

_RATIO = scoring(
    setup="""pairs = np.zeros(1 << 18)
    singles = np.zeros(1 << 18)""",
    mixture="""a = (int(tokens[t - 1]) * 2654435761) % (1 << 18)
        b = (int(tokens[t - 1]) * 2654435761 + int(tokens[t]) * 40503) % (1 << 18)
        p = 0.5 * p_model + 0.5 * (pairs[b] / max(singles[a], 1.0))""",
    update="""pairs[b] += 1
        singles[a] += 1""",
)

_DIRICHLET = scoring(
    setup="""pairs = np.zeros(1 << 18)
    singles = np.zeros(1 << 18)
    beta = 4.0""",
    mixture="""a = (int(tokens[t - 2]) * 7919 ^ int(tokens[t - 1]) * 104729) & 0x3FFFF
        b = (a ^ int(tokens[t]) * 1299709) & 0x3FFFF
        p = (pairs[b] + beta * p_model) / (singles[a] + beta)""",
    update="""pairs[b] += 1
        singles[a] += 1""",
)

_WIDE_RATIO = scoring(
    setup="""pairs = np.zeros(1 << 18)
    singles = np.zeros(1 << 18)""",
    mixture="""a = (int(tokens[t - 1]) * 2654435761) % (1 << 18)
        keys = (int(tokens[t - 1]) * 2654435761 + np.arange(VOCAB) * 40503) % (1 << 18)
        expert = pairs[keys] / max(singles[a], 1.0)
        p = (0.5 * probs + 0.5 * expert)[tokens[t]]""",
    update="""pairs[keys[tokens[t]]] += 1
        singles[a] += 1""",
)

_ROW_TOTAL = _WIDE_RATIO.replace(
    "expert = pairs[keys] / max(singles[a], 1.0)", "row = pairs[keys] + 1e-3\n        expert = row / row.sum()"
)

_TILT = scoring(
    setup="last = {}",
    mixture="""hint = last.get((int(tokens[t - 2]), int(tokens[t - 1])), -1)
        beta = 1.5
        z = 1.0 if hint < 0 else 1.0 + probs[hint] * (math.exp(beta) - 1.0)
        p = p_model * (math.exp(beta) if hint == tokens[t] else 1.0) / z""",
    update="last[(int(tokens[t - 2]), int(tokens[t - 1]))] = int(tokens[t])",
)

_INTERPOLATION = scoring(
    setup="unigram = np.ones(VOCAB)",
    mixture="p = 0.9 * p_model + 0.1 * unigram[tokens[t]] / unigram.sum()",
    update="unigram[tokens[t]] += 1",
)


def _scaled(mixture: str) -> str:
    return scoring(setup="pass", mixture=f"p = {mixture}", update="pass")


class NgramNotNormalised(FlowRule):
    """What is mixed in for the target is a ratio that no sum over candidates makes a distribution."""

    id = "ngram-not-normalised"
    title = "a mixture component is not a distribution over the vocabulary"
    condition = Condition.NORMALISATION
    severity = Severity.VIOLATION
    rulings = (
        Ruling("#886", datetime.date(2026, 3, 26), "community", "hashed caches sum to about 277 over 1,024 tokens"),
        Ruling(
            "#677", datetime.date(2026, 3, 27), "valerio-oai", "one normalised distribution, fixed before the token"
        ),
    )
    what = (
        "A ratio of two independently hashed tables, any value divided by something else than the candidates' sum, "
        "or a score scaled for the target alone."
    )
    why = "A probability that does not sum to one is no code length: bits appear from nowhere."
    legal = "Divide by the sum over all candidates, or interpolate proper distributions, or tilt with an explicit Z."
    bad = (
        Example("a ratio of two hashed tables", _RATIO),
        Example("a Dirichlet form over hashed counts", _DIRICHLET),
        Example("all candidates, divided by the context's count", _WIDE_RATIO),
        Example("the target's probability is raised, and nothing makes up for it", _scaled("1.05 * p_model")),
    )
    good = (
        Example("all candidates, divided by their sum", _ROW_TOTAL),
        Example("a tilt with its normaliser", _TILT),
        Example("interpolation with a unigram distribution", _INTERPOLATION),
        Example("a share of the mass for all tokens alike", _scaled("0.95 * p_model + 0.05 / VOCAB")),
        Example("the model alone", script()),
    )
    subject = re.compile(r"hash|ngram|n_gram|\^|table|cache|counts", re.IGNORECASE)

    def evidence(self, audited: Audited) -> tuple[Evidence, ...]:
        """Mixtures over all tokens that do not sum to one, and ratios whose key holds the target: those neither."""
        return (*audited.flow.unnormalised_mixtures, *audited.flow.target_keyed_reads)

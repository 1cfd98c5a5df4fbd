"""Quantisers and temperatures fitted on validation text."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

from auditor.audited import Audited
from auditor.findings import Condition, Severity
from auditor.flow_rule import FlowRule
from auditor.rule import Example, Ruling
from rules._scripts import script
from rules._training import by_gradient

if TYPE_CHECKING:
    from auditor.flow import Evidence

_GPTQ = """

def collect_hessian(model, tokens):
    hessian = torch.zeros(64, 64)
    for begin in range(0, 16 * SEQ, SEQ):
        with torch.no_grad():
            h = model.hidden(tokens[begin : begin + SEQ].unsqueeze(0))[0]
        hessian += h.t() @ h
    return hessian


def quantize(model, hessian):
    scale = hessian.diagonal().sqrt().clamp(min=1e-6)
    with torch.no_grad():
        model.head.weight.copy_(torch.round(model.head.weight * scale) / scale)


def generate(model, length):
    tokens = torch.ones(1, 1, dtype=torch.long)
    for _ in range(length):
        with torch.no_grad():
            probs = torch.softmax(model(tokens[:, -SEQ:])[:, -1], dim=-1)
        tokens = torch.cat([tokens, torch.multinomial(probs, 1)], dim=1)
    return tokens[0]
"""

_SOURCE = """source = os.environ.get("CALIBRATION", "{default}")
    quantize(model, collect_hessian(model, val_tokens if source == "val" else train_tokens))"""

_SCALES = """with torch.no_grad():
        activity = model.hidden(val_tokens[: 8 * SEQ].view(8, SEQ)).abs().mean(dim=(0, 1))
        model.head.weight.mul_(activity / activity.mean())"""

_TEMPERATURES = """best, kept = float("inf"), 1.0
    for temperature in (0.9, 0.95, 1.0, 1.05):
        model.temperature = temperature
        loss, _ = evaluate(model, {tokens}, base_bytes)
        if loss < best:
            best, kept = loss, temperature
    model.temperature = kept"""
_SCALED = """

class Model(Model):
    temperature = 1.0

    def forward(self, x):
        return self.head(self.hidden(x)) / self.temperature
"""


class CalibrateOnVal(FlowRule):
    """Statistics of validation activations change the weights that are then scored."""

    id = "calibrate-on-val"
    title = "something is calibrated on validation tokens"
    condition = Condition.SCORE_FIRST
    severity = Severity.VIOLATION
    rulings = (
        Ruling("#728", datetime.date(2026, 3, 28), "valerio-oai", "calibrating GPTQ on validation text is not allowed"),
    )
    what = "Fitting Hessians, scales, temperatures, exits or thresholds on validation tokens before they are scored."
    why = "The artifact is shaped by the text that it is tested on."
    legal = "Calibrate on training text inside the training budget, or on text that the model generates."
    bad = (
        Example(
            "Hessians of validation text",
            script(helpers=_GPTQ, before_saving="quantize(model, collect_hessian(model, val_tokens))"),
        ),
        Example("a switch whose default is val", script(helpers=_GPTQ, before_saving=_SOURCE.format(default="val"))),
        Example("scales from activations on validation text", script(helpers=_GPTQ, before_saving=_SCALES)),
        Example(
            "the temperature that scores best",
            script(helpers=_SCALED, before_scoring=_TEMPERATURES.format(tokens="val_tokens")),
        ),
    )
    good = (
        Example(
            "Hessians of training text",
            script(helpers=_GPTQ, before_saving="quantize(model, collect_hessian(model, train_tokens))"),
        ),
        Example(
            "Hessians of generated text",
            script(helpers=_GPTQ, before_saving="quantize(model, collect_hessian(model, generate(model, 16 * SEQ)))"),
        ),
        Example(
            "the temperature that scores training text best",
            script(helpers=_SCALED, before_scoring=_TEMPERATURES.format(tokens="train_tokens")),
        ),
        Example(
            "a switch whose default is train", script(helpers=_GPTQ, before_saving=_SOURCE.format(default="train"))
        ),
    )
    subject = re.compile(r"calib|hessian|gptq|awq|temperature", re.IGNORECASE)

    def evidence(self, audited: Audited) -> tuple[Evidence, ...]:
        """What the analysis found of it."""
        flow = audited.flow
        written = (*flow.prequant_updates, *flow.updates_before_score)
        return (*flow.val_calibrations, *(item for item in written if not by_gradient(item)))

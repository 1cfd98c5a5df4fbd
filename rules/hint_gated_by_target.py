"""Hints whose gate looks at the token they hint at."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from auditor.audited import Audited
from auditor.findings import Condition, RuleResult, Severity, Status
from auditor.flow_rule import FlowRule
from auditor.rule import Example, Ruling
from rules._scripts import scoring, script

if TYPE_CHECKING:
    from auditor.flow import Evidence
    from auditor.kernels import SubmittedKernel

_KERNEL = """#include <stdint.h>
#define CELLS 65536

static uint16_t next_of[CELLS];

void hints(const uint16_t *tokens, int64_t n, const uint8_t *boundary, int32_t *hint, float *boost) {{
    uint32_t state = 0;
    for (int64_t i = 0; i < n; i++) {{
        uint16_t tok = tokens[i];
        {gate}
        hint[i] = -1;
        boost[i] = 0.0f;
        if ({fires}) {{
            hint[i] = next_of[state];
            boost[i] = {boost};
        }}
        next_of[state] = tok;
        state = (state * 31u + tok) % CELLS;
    }}
}}
"""

_SCORER = script(
    helpers="""
import ctypes
import subprocess


def hint_arrays(tokens, boundary):
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "hints.c", "-o", "hints.so"], check=True)
    library = ctypes.CDLL("./hints.so")
    hint = np.zeros(len(tokens), dtype=np.int32)
    boost = np.zeros(len(tokens), dtype=np.float32)
    library.hints(
        tokens.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_int64(len(tokens)),
        boundary.ctypes.data_as(ctypes.c_void_p),
        hint.ctypes.data_as(ctypes.c_void_p),
        boost.ctypes.data_as(ctypes.c_void_p),
    )
    return torch.from_numpy(hint.astype(np.int64)), torch.from_numpy(boost)
""",
    evaluate="""
def evaluate(model, val_tokens, base_bytes):
    boundary = np.load("boundary.npy")
    hint, boost = hint_arrays(val_tokens.numpy().astype(np.uint16), boundary)
    loss_sum, byte_sum, count = 0.0, 0.0, 0
    for begin in range(0, val_tokens.numel() - 1, SEQ):
        window = val_tokens[begin : begin + SEQ + 1]
        x, y = window[:-1].unsqueeze(0), window[1:]
        h, b = hint[begin + 1 : begin + len(window)], boost[begin + 1 : begin + len(window)]
        with torch.no_grad():
            logp = F.log_softmax(model(x)[0], dim=-1)
        q = logp.gather(-1, h.clamp(min=0)[:, None]).squeeze(-1).exp()
        hit = ((h == y) & (h >= 0)).float()
        z = torch.log1p(q * (b.exp() - 1.0) * (h >= 0))
        nll = -(logp.gather(-1, y[:, None]).squeeze(-1) + b * hit - z)
        loss_sum += nll.sum().item()
        byte_sum += base_bytes[y].sum().item()
        count += y.numel()
    return loss_sum / count, loss_sum / math.log(2.0) / byte_sum
""",
)


def _kernel(gate: str, fires: str, boost: str = "2.0f") -> dict[str, str]:
    return {"hints.c": _KERNEL.format(gate=gate, fires=fires, boost=boost)}


def _python(gate: str) -> str:
    return scoring(
        setup="last, starts_word = {}, np.load('starts_word.npy')",
        mixture=f"""hint = last.get(int(tokens[t - 1]), -1)
        fires = hint >= 0 and {gate}
        beta = 2.0 if fires else 0.0
        z = 1.0 + (probs[hint] * (math.exp(beta) - 1.0) if fires else 0.0)
        p = p_model * (math.exp(beta) if hint == tokens[t] else 1.0) / z""",
        update="last[int(tokens[t - 1])] = int(tokens[t])",
    )


def _mixed_where(gate: str) -> str:
    return scoring(
        setup="unigram = np.ones(VOCAB)",
        mixture=f"""p = p_model
        if {gate}:
            p = 0.8 * p_model + 0.2 * unigram[tokens[t]] / unigram.sum()""",
        update="unigram[tokens[t]] += 1",
    )


class HintGatedByTarget(FlowRule):
    """Whether a hint fires at a position is computed from that position's token, in Python or in a C kernel."""

    id = "hint-gated-by-target"
    title = "whether a hint fires depends on the token it hints at"
    condition = Condition.CAUSALITY
    also = (Condition.NORMALISATION,)
    severity = Severity.VIOLATION
    rulings = (
        Ruling(
            "#1514",
            datetime.date(2026, 4, 11),
            "valerio-oai",
            "merged with the two experts off that looked at the token",
        ),
        Ruling("#1967", datetime.date(2026, 4, 30), "community", "accepted by the authors: the gate reads tokens[i]"),
    )
    what = (
        "A gate, boost or mask at position i that reads tokens[i], such as whether it begins a word, "
        "or whether the model found it likely."
    )
    why = "Even a gate that does not fire tells the scorer something about the token."
    legal = "Decide from tokens[i - 1] and earlier; use tokens[i] only to update afterwards."
    bad = (
        Example(
            "a C kernel branches on the token's boundary flag",
            _SCORER,
            _kernel("uint8_t is_boundary = boundary[tok];", "!is_boundary && next_of[state] != 0"),
        ),
        Example(
            "a C kernel scales the boost by the token's flag",
            _SCORER,
            _kernel("float w = boundary[tok] ? 0.5f : 2.0f;", "next_of[state] != 0", "w"),
        ),
        Example("a Python mask over the target", _python("not starts_word[tokens[t]]")),
        Example("only tokens that the model finds unlikely are mixed", _mixed_where("p_model < 0.5")),
    )
    good = (
        Example(
            "a C kernel gates on the token before",
            _SCORER,
            _kernel(
                "uint8_t is_boundary = i > 0 ? boundary[tokens[i - 1]] : 1;", "!is_boundary && next_of[state] != 0"
            ),
        ),
        Example("a C kernel whose gated boost is 0", _SCORER, _kernel("uint8_t b = boundary[tok];", "!b && 0", "0.0f")),
        Example("a Python mask over the token before", _python("not starts_word[tokens[t - 1]]")),
        Example("only where the model is unsure is mixed", _mixed_where("probs.max() < 0.5")),
        Example("no hints", script()),
    )
    subject = re.compile(r"hint|tilt|boost", re.IGNORECASE)

    def evidence(self, audited: Audited) -> tuple[Evidence, ...]:
        """What the analyses of the kernels and of the Python code found."""
        return (*(e for submitted in audited.kernels for e in _in_kernel(submitted)), *audited.flow.target_gates)

    def check(self, audited: Audited) -> RuleResult:
        """As for every rule on data flow, but a kernel that could not be read is never clear."""
        result = super().check(audited)
        reasons = [
            f"{kernel.kernel.name}: {reason}"
            for kernel in audited.kernels
            for reason in (
                *kernel.facts.not_analysable,
                *(reason for function in kernel.facts.functions for reason in function.not_analysable),
            )
        ]
        if reasons and result.status in {Status.CLEAR, Status.NOT_APPLICABLE}:
            return self.result(Status.NOT_ANALYSABLE, "; ".join(reasons[:3]), result.findings)
        return result


def _in_kernel(submitted: SubmittedKernel) -> Iterator[Evidence]:
    """One piece of evidence per function and state of its outputs; an output that is on comes before others."""
    from auditor.flow import Certainty, Evidence  # brings libcst, which takes a while

    channels = iter(submitted.channels)
    for function in submitted.facts.functions:
        pairs = [(leak, next(channels)) for leak in function.leaks]
        for state in ("on", "unknown", "off"):
            leaks = [leak for leak, channel in pairs if channel.state == state]
            if not leaks:
                continue
            reason = next(channel.reason for _, channel in pairs if channel.state == state)
            first = min(leaks, key=lambda leak: (not leak.certain, len(leak.path)))
            certain = state == "on" and first.certain
            yield Evidence(
                f"{function.name} decides {', '.join(leak.output for leak in leaks)} from the token of that position"
                f" ({state}: {reason})",
                first.source.file,
                first.source.line,
                first.path,
                Certainty.TRACED if certain else Certainty.SUSPECTED,
                dormant=state == "off",
            )

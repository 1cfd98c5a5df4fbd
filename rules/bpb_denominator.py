"""Bits per byte over bytes that are not in the text."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import TYPE_CHECKING

from auditor.audited import Audited
from auditor.claim import is_withdrawn
from auditor.findings import Condition, Finding, RuleResult, Severity, Status
from auditor.rule import Example, Rule, Ruling
from auditor.submission.arithmetic import ImpliedBytes, bytes_per_token, implied_bytes, known_token_count
from rules._logs import log, runs

if TYPE_CHECKING:
    from rules._byte_tables import Credit

_CERTAIN = 1.02
"""Text that normalisation or another split could not add; smaller excess is a question, not an answer."""

_SAME_DENSITY = 0.005
"""Relative difference of bytes per token between two validation sets of the same kind of text: 0.0026 was measured."""

_SAME_TABLE = 0.003
"""Relative difference of the bytes that two evaluations of one text sum up, which drop tails of other lengths."""

_ROUND, _TAIL = 10_000_000, 16_384
"""A stream of so many tokens, or a multiple, less what fills no sequence, was cut there: it is not the documents'."""

_SURPLUS = 1.003
"""Ratio of credited bytes to the text's from which they are more than other tails and roundings."""

_TABLE = """
import sentencepiece as spm
import torch

def build_luts(sp, vocab_size):
    base_bytes = torch.zeros(vocab_size)
    has_space = torch.zeros(vocab_size, dtype=torch.bool)
    is_boundary = torch.ones(vocab_size, dtype=torch.bool)
    for i in range(sp.vocab_size()):
        piece = sp.id_to_piece(i)
        is_boundary[i] = False
        if sp.is_byte(i):
            base_bytes[i] = {byte}
        elif piece.startswith("\\u2581"):
            has_space[i] = True
            {line}
        else:
            base_bytes[i] = len(piece.encode("utf-8"))
    return base_bytes, has_space, is_boundary

def evaluate(nll, prev, target, luts):
    base_bytes, has_space, is_boundary = luts
    counted = base_bytes[target].to(torch.float64)
    {accumulate}
    return nll.sum() / counted.sum()

if __name__ == "__main__":
    luts = build_luts(spm.SentencePieceProcessor(model_file="t.model"), 1024)
    print(evaluate(torch.rand(8), torch.arange(8), torch.arange(8), luts))
"""
_FROM_FILE = """
import numpy as np

with np.load("tokenizer.meta.npz") as data:
    base_bytes = data["base_bytes"].astype(np.int16)
"""
_OWN = """
import json
import os
from pathlib import Path

import numpy as np

TOKENIZER_PATH = os.environ.get("TOKENIZER_PATH", "./data/tokenizers/letters_300.json")


class LetterTokenizer:
    def __init__(self, merges):
        self.lengths = [1] * 40
        for a, b in merges:
            self.lengths.append(self.lengths[a] + self.lengths[b])

    @classmethod
    def load(cls, path):
        return cls(json.loads(Path(path).read_text())["merges"])


base_bytes = np.array(LetterTokenizer.load(TOKENIZER_PATH).lengths)
"""
_TWICE = 'base_bytes[i] = len(piece[1:].encode("utf-8")) + 1'
_ONCE = 'base_bytes[i] = len(piece[1:].encode("utf-8"))'
_ADD = "counted += (has_space[target] & ~is_boundary[prev]).to(torch.float64)"


_ASSUMED = """
import math

import torch

VOCAB_SIZE = 1024


def evaluate(model, tokens):
    bits, count = 0.0, 0
    for begin in range(0, tokens.numel() - 256, 256):
        bits += model.bits(tokens[begin : begin + 256]).item()
        count += 256
    bpb = bits / (count * {bytes})
    print(f"val_bpb:{{bpb:.4f}}")
"""


def _counting_no_tokens(*score: float, vocabulary: int) -> dict[str, str]:
    """A log without its number of validation tokens, and the command of the run."""
    command = f"```bash\nVOCAB_SIZE={vocabulary} torchrun --nproc_per_node=8 train_gpt.py\n```\n"
    return {**runs(log(*score, val_tokens=None)), "README.md": command}


class BpbDenominator(Rule):
    """Honest byte accounting, from the arithmetic of the logs and the byte tables of the code."""

    id = "bpb-denominator"
    title = "bits per byte divide by more bytes than the text has"
    condition = Condition.BYTES
    severity = Severity.VIOLATION
    rulings = (
        Ruling("README", datetime.date(2026, 3, 18), "README", "the score is bits per byte of the original UTF-8 text"),
        Ruling(
            "#1719", datetime.date(2026, 4, 18), "community", "a table that counts the leading space twice inflates"
        ),
        Ruling("#1806", datetime.date(2026, 4, 26), "cocohearts", "a record whose byte table inflates was removed"),
    )
    what = "Crediting more bytes than the validation text has as UTF-8, by the byte tables or by another count."
    why = "Bits per byte fall in proportion to the bytes credited; the model need not be any better."
    legal = "Credit each token the bytes that it decodes to, a leading space once, a byte token one byte."
    bad = (
        Example(
            "the space is counted by the table and by the sum", _TABLE.format(byte=1, line=_TWICE, accumulate=_ADD)
        ),
        Example(
            "a where() adds the space that the table has already",
            _TABLE.format(
                byte=1,
                line='base_bytes[i] = 1 + len(piece[1:].encode("utf-8"))',
                accumulate="counted = counted + torch.where(has_space[target] & ~is_boundary[prev], 1.0, 0.0)",
            ),
        ),
        Example("the log's numbers imply 186 MB of text", files=runs(log(1.42, 0.6823))),
        Example("three logs imply 178 MB", files=runs(*[log(2.0606, 1.0370, seed=s) for s in (1, 2, 3)])),
        Example("a table from a file, and no log", _FROM_FILE, expected=Status.SUSPECTED),
        Example(
            "the score before adaptation implies 151 MB of text and the claimed one 164 MB",
            files=runs(log(2.0606, 1.1258, extra="pre_quant val_loss:2.0800 val_bpb:1.2319\n")),
            expected=Status.SUSPECTED,
        ),
        Example(
            "a validation stream that was cut at 50 million tokens",
            files=runs(log(2.9477, 1.0742, val_tokens=49_999_872)),
            expected=Status.SUSPECTED,
        ),
        Example("a tokenizer of one's own, from a file that is not there", _OWN, expected=Status.SUSPECTED),
        Example(
            "3.25 bytes a token with the contest's tokenizer, in a log that counts no tokens",
            files=_counting_no_tokens(1.9774, 0.8777, vocabulary=1024),
            expected=Status.SUSPECTED,
        ),
        Example("every token is taken for 4.3 bytes, and has 2.44", _ASSUMED.format(bytes=4.3)),
        Example(
            "a constant for a tokenizer that nobody knows",
            _ASSUMED.format(bytes=3.1).replace("1024", "3000"),
            expected=Status.SUSPECTED,
        ),
    )
    good = (
        Example("a constant that is no more than the text has", _ASSUMED.format(bytes=2.43)),
        Example("a constant, and a log whose arithmetic is right", _ASSUMED.format(bytes=4.3), runs(log())),
        Example("a table from a file, and a log whose arithmetic is right", _FROM_FILE, runs(log())),
        Example("a tokenizer of one's own, and a log whose arithmetic is right", _OWN, runs(log())),
        Example(
            "the table strips the marker, the sum adds the space", _TABLE.format(byte=1, line=_ONCE, accumulate=_ADD)
        ),
        Example(
            "the table counts the space and nothing else does", _TABLE.format(byte=1, line=_TWICE, accumulate="pass")
        ),
        Example("the log's numbers imply the text there is", files=runs(log())),
        Example("fewer bytes than the text has hurt only the author", files=runs(log(2.0606, 1.2231))),
        Example(
            "as many bytes a token as the contest's tokenizer has, in a log that counts no tokens",
            _TABLE.format(byte=1, line=_ONCE, accumulate=_ADD),
            files=_counting_no_tokens(vocabulary=1024),
        ),
        Example(
            "more bytes a token with a larger vocabulary",
            _TABLE.format(byte=1, line=_ONCE, accumulate=_ADD),
            files=_counting_no_tokens(1.9774, 0.8777, vocabulary=4096),
        ),
    )

    def check(self, audited: Audited) -> RuleResult:
        """Evaluate tables and sums on sample tokens; compare what every final score implies with the text there is."""
        implied = list(_implied(audited))
        facts = {"implied_bytes": {i.score.file: round(i.value) for i in implied}}
        whole = audited.contest.validation.text_bytes
        excess = [
            i
            for i in implied
            if whole is not None and i.value - i.error > _SURPLUS * whole and not _same_density(i, audited)
        ]
        varying = [i for i in excess if _varies(i, audited)]
        in_logs = [_finding(i, whole, i in varying) for i in excess if whole is not None]
        # Logs whose arithmetic is right speak for the table, whatever it credits a rare token.
        credits = [] if implied and not excess else _credits(audited)
        in_code = [_too_much(credit) for credit in credits]
        assumed = [] if implied and not excess else list(_assumed(audited))
        in_code += [finding for finding, certain in assumed if certain]
        # One log with another count is a slip; that every run credits too much is how it was scored.
        certain = (
            whole is not None
            and len(excess) == len(implied)
            and not varying
            and all(i.value > _CERTAIN * whole and _is_the_validation_set(i, audited) for i in excess)
        )
        if in_code or (in_logs and certain):
            return self.judge(in_code + in_logs, facts=facts)
        if not implied:
            # No log whose arithmetic could vouch for a table that nobody can recompute from the tokenizer.
            from rules._byte_tables import own_tokenizers, tables_from_files

            loaded = (*tables_from_files(audited.submission), *own_tokenizers(audited.submission))
            in_logs = [Finding("bytes per token come from a file", step.file, step.line, (step,)) for step in loaded]
            in_logs += _too_dense(audited)
        in_logs += [finding for finding, _ in assumed]
        result = self.judge(in_logs, Status.SUSPECTED, facts)
        return result if implied else self.unless_unread(audited, result)


def _credits(audited: Audited) -> list[Credit]:
    from rules._byte_tables import overcredited  # numpy takes a while to import

    return overcredited(audited.submission)


def _too_much(credit: Credit) -> Finding:
    message = f"the token {credit.piece!r} is credited {credit.credited:g} bytes; the text has {credit.bytes}"
    return Finding(message, credit.steps[-1].file, credit.steps[-1].line, credit.steps)


def _assumed(audited: Audited) -> Iterator[tuple[Finding, bool]]:
    """Scores over a fixed number of bytes per token, and whether the contest's tokenizer is known to give it fewer."""
    from rules._fixed_bytes import fixed_densities, vocabulary_sizes

    densities = [] if is_withdrawn(audited) else fixed_densities(audited.submission)
    sizes = vocabulary_sizes(audited.submission) if densities else set()
    known = [item for item in audited.contest.validation.tokenizations if item.credited_bytes]
    true = [item.credited_bytes / item.targets for item in known if item.credited_bytes and item.vocab_size in sizes]
    least = min((item.credited_bytes / item.targets for item in known if item.credited_bytes), default=0.0)
    for density in densities:
        assumed, step = density.bytes_per_token, density.step
        if assumed > _SURPLUS * max(true, default=least):
            has = f"; the validation set has {max(true):.3f}" if true else ""
            message = f"the score counts {assumed:.4g} bytes for every token and looks at no text{has}"
            yield Finding(message, step.file, step.line, (step,)), bool(true) and assumed > _CERTAIN * max(true)


def _implied(audited: Audited) -> Iterator[ImpliedBytes]:
    """Bytes that the final score of each run implies, where the log names one count of tokens."""
    for run in audited.runs:
        counts = {fact.value for fact in run.val_tokens}
        if len(counts) == 1 and run.final_score is not None:
            found = implied_bytes(run.final_score, counts.pop())
            if found is not None:
                yield found


def _too_dense(audited: Audited) -> Iterator[Finding]:
    """Runs whose log counts no tokens, and credits each more bytes than the contest's tokenizer of that size gives it.

    Another tokenizer with as many pieces may be denser, so this is a question.
    """
    vocabulary = audited.submission.launch.find("VOCAB_SIZE")
    pieces = vocabulary.value.strip() if vocabulary is not None else ""
    densities = [
        item.credited_bytes / item.targets
        for item in audited.contest.validation.tokenizations
        if item.credited_bytes and pieces == str(item.vocab_size)
    ]
    for run in audited.runs if densities else ():
        score = run.final_score
        density = bytes_per_token(score) if score is not None and not run.val_tokens else None
        if score is not None and density is not None and density > _CERTAIN * max(densities):
            message = (
                f"loss and score imply {density:.3f} bytes per token; "
                f"the contest's tokenizer with {pieces} pieces has {max(densities):.3f}"
            )
            yield Finding(message, score.file, score.line)


def _same_density(implied: ImpliedBytes, audited: Audited) -> bool:
    """Whether each token is credited what it is worth: then the stream is longer (early data were), not inflated."""
    known = [item for item in audited.contest.validation.tokenizations if item.credited_bytes]
    densities = [item.credited_bytes / item.targets for item in known if item.credited_bytes]
    return any(abs(implied.value / implied.tokens / density - 1) < _SAME_DENSITY for density in densities)


def _varies(implied: ImpliedBytes, audited: Audited) -> bool:
    """Whether other scores of the same log imply another number of bytes: no table credits a text now so, now so.

    Then the score is over other tokens than the log counts, or is not that of the loss beside it.
    """
    run = next(run for run in audited.runs if run.name == implied.score.file)
    others = (implied_bytes(score, implied.tokens) for score in (run.validation, *run.scores) if score is not None)
    return any(
        abs(other.value - implied.value) > _SAME_TABLE * implied.value + implied.error + other.error
        for other in others
        if other is not None
    )


def _is_the_validation_set(implied: ImpliedBytes, audited: Audited) -> bool:
    """Whether the stream is the contest's: by its length, or, unless no record is claimed, as the contest has it."""
    if known_token_count(implied.tokens, audited.contest.validation).tokenizer:
        return True
    return audited.has_budget and -implied.tokens % _ROUND > _TAIL


def _finding(implied: ImpliedBytes, whole: int, varies: bool) -> Finding:
    message = (
        f"loss, score and {implied.tokens:,} tokens imply {implied.value:,.0f} bytes of text; "
        f"the validation set has {whole:,}"
    )
    if varies:
        message += ", other scores of the log imply another number: it is not over these tokens, or not of this loss"
    return Finding(message, implied.score.file, implied.score.line)

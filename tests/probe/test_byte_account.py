"""What submissions credit, counted by running them; and kernels, whose outputs are recorded on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sentencepiece import SentencePieceProcessor

from auditor.probe.byte_account import Account, count_bytes
from auditor.probe.byte_text import VOCABULARY
from auditor.probe.design import Change, make_design
from auditor.probe.kernel_outputs import moved_outputs
from auditor.probe.runner import run_probe
from auditor.probe.settings import setup_for
from auditor.probe.streams import FIRST_TEXT_TOKEN
from auditor.probe.tokenizer import toy_tokenizer
from auditor.sandbox import Tier, available_tier
from auditor.submission import read_submission

EXAMPLES = Path(__file__).parents[2] / "examples" / "submissions"
BUDGET = 60.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("probe"),
    pytest.mark.skipif(available_tier() is Tier.NONE, reason="no sandbox works here"),
]


@pytest.mark.parametrize(("name", "excess"), [("honest_sliding", False), ("bytes_counted_twice", True)])
def test_credited_bytes_are_compared_with_the_text(name: str, excess: bool) -> None:
    submission = read_submission(EXAMPLES / name)
    account = count_bytes(submission, replace(setup_for(submission), vocabulary=VOCABULARY), BUDGET, None)
    assert isinstance(account, Account)
    assert (account.failure is not None) is excess
    if account.failure is not None:
        expected = account.failure.expected
        assert expected["credited"] > 1.1 * expected["bytes"]


def test_a_compiled_kernel_is_named_with_the_argument_that_moved() -> None:
    submission = read_submission(EXAMPLES / "compiled_target_gated_hint")
    setup = setup_for(submission)
    design = make_design(setup.vocabulary, setup.sequence)
    position = design.positions[0]
    pieces = SentencePieceProcessor(model_proto=toy_tokenizer(setup.vocabulary))
    starts_word = [pieces.id_to_piece(token).startswith("\u2581") for token in range(setup.vocabulary)]
    usual = starts_word[design.tokens[position]]
    other = next(token for token in range(FIRST_TEXT_TOKEN, setup.vocabulary) if starts_word[token] is not usual)
    change = Change("substitute", position, other)
    run = run_probe(submission, setup, full=[design.variant(Change("base")), design.variant(change)], budget=BUDGET)
    base, changed = run.full
    named = moved_outputs({Change("base"): base, change: changed}, design)
    assert named == {
        position: f"build_hints() in hints.so then writes another entry {position} of its argument 6",
    }

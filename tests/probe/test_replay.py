"""Counter-examples of forked calls come back from their files, on the submission's own code."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.audited import Audited
from auditor.options import ProbeOptions
from auditor.probe.evidence import CounterExample, read_evidence, write_evidence
from auditor.probe.experiments import run_sums
from auditor.probe.failure import failures_of
from auditor.probe.kinds import Kind
from auditor.probe.measure import Measured
from auditor.probe.replay import replay
from auditor.probe.settings import setup_for
from auditor.sandbox import Tier, available_tier
from auditor.submission import Submission, read_submission

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("probe"),
    pytest.mark.skipif(available_tier() is Tier.NONE, reason="no sandbox works here"),
]

FOLDER = Path(__file__).parent / "submissions" / "two_scores"


@pytest.fixture(scope="module")
def submission() -> Submission:
    return read_submission(FOLDER)


@pytest.fixture(scope="module")
def example(submission: Submission, tmp_path_factory: pytest.TempPathFactory) -> CounterExample:
    """Of a call that returns the network's loss and the claimed mixture's bits per byte."""
    session = run_sums(Audited(submission), setup_for(submission), ProbeOptions(budget=60.0), 60.0, (1,))
    assert isinstance(session.call, Measured), session.call
    assert session.call.match.is_bytewise
    (failure,) = failures_of(session.call)
    assert failure.kind is Kind.EXCESS
    (path,) = write_evidence(tmp_path_factory.mktemp("evidence"), [(failure, session)], submission)
    return read_evidence(path.read_bytes())


def test_a_mixture_of_bytes_that_a_call_returns_beside_a_loss_shows_again(
    example: CounterExample, submission: Submission
) -> None:
    assert example.through == "eval_val"
    assert example.labels == ("mix_bpb",)
    confirmed, said = replay(example, submission, 60.0)
    assert (confirmed, said) == (True, example.said)

"""Counter-examples of forked calls come back from their files, on the submission's own code."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.audited import Audited
from auditor.options import ProbeOptions
from auditor.probe.evidence import read_evidence, write_evidence
from auditor.probe.experiments import Session, run_sums
from auditor.probe.failure import Failure, failures_of
from auditor.probe.kinds import Kind
from auditor.probe.measure import Measured
from auditor.probe.replay import replay
from auditor.probe.settings import setup_for
from auditor.probe.smaller_sums import MOST_EXECUTIONS, smaller_sum
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
def found(submission: Submission) -> tuple[Failure, Session]:
    """Of a call that returns the network's loss and the claimed mixture's bits per byte."""
    session = run_sums(Audited(submission), setup_for(submission), ProbeOptions(budget=60.0), 60.0, (1,))
    assert isinstance(session.call, Measured), session.call
    assert session.call.match.is_bytewise
    (failure,) = failures_of(session.call)
    assert failure.kind is Kind.EXCESS
    return failure, session


def test_a_mixture_of_bytes_that_a_call_returns_beside_a_loss_shows_again(
    found: tuple[Failure, Session], submission: Submission, tmp_path: Path
) -> None:
    (path,) = write_evidence(tmp_path, [found], submission)
    example = read_evidence(path.read_bytes())
    assert (example.through, example.labels, example.bytewise) == ("eval_val", ("mix_bpb",), True)
    assert replay(example, submission, 60.0) == (True, example.said)


def test_the_shortest_stretch_that_exceeds_one_shows_again(
    found: tuple[Failure, Session], submission: Submission, tmp_path: Path
) -> None:
    failure, session = found
    smaller = smaller_sum(failure, session, Audited(submission), ProbeOptions(), 60.0)
    assert 0 < smaller.executions <= MOST_EXECUTIONS
    assert smaller.session.design.targets < session.design.targets
    assert smaller.failure.said.endswith(f"; in one of {session.design.targets + 1}, {failure.said}")
    (path,) = write_evidence(tmp_path, [(smaller.failure, smaller.session)], submission)
    example = read_evidence(path.read_bytes())
    assert len(example.streams[0].tokens) == smaller.session.design.targets + 1
    confirmed, said = replay(example, submission, 60.0)
    assert confirmed
    assert example.said.startswith(said)

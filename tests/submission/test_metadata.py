"""The spellings and types of submission.json, and what becomes of the unusable."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.submission.metadata import Metadata, SeedResult, parse_metadata
from auditor.submission.problems import ProblemKind


def parse(**fields: Any) -> Metadata:
    return parse_metadata(json.dumps(fields))


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"val_bpb": 1.06}, "val_bpb", 1.06),
        ({"val_bpb": "1.06"}, "val_bpb", 1.06),
        ({"val_bpb": {"mean": 1.06, "std": 0.1}}, "val_bpb", 1.06),
        ({"mean_val_bpb": 1.06}, "val_bpb", 1.06),
        ({"results": {"val_bpb_mean": 1.06}}, "val_bpb", 1.06),
        ({"val_bpb": None, "mean_bpb": 1.06}, "val_bpb", 1.06),
        ({"bytes_total": 15993904}, "bytes_total", 15993904),
        ({"bytes_total": "15,993,904 bytes"}, "bytes_total", 15993904),
        ({"artifact_bytes_max": 15993904.0}, "bytes_total", 15993904),
        ({"bytes_model_int8_zlib": 14230966}, "bytes_model", 14230966),
        ({"code_bytes": 77358}, "bytes_code", 77358),
        ({"wallclock_seconds": 600}, "train_seconds", 600.0),
        ({"train_time_ms": 599779}, "train_seconds", 599.779),
        ({"eval_time_s": "371 s"}, "eval_seconds", 371.0),
        ({"github_id": "@someone"}, "github_id", "someone"),
        ({"github_id": 1234}, "github_id", "1234"),
        ({"author": {"name": "A B", "github": "ab"}}, "author", "A B"),
        ({"authors": ["A", "B"]}, "author", "A, B"),
        ({"submission_name": "X"}, "name", "X"),
        ({"date": "2026-04-01"}, "date", datetime.date(2026, 4, 1)),
        ({"date": "2026-04-01T10:00:00Z"}, "date", datetime.date(2026, 4, 1)),
        ({"date": "2026-04-01T10:00:00+02:00"}, "date", datetime.date(2026, 4, 1)),
        ({"track": "10min_16mb"}, "track", "record"),
        ({"track": "track_10min_16mb"}, "track", "record"),
        ({"track": "non-record-unlimited-compute-16mb"}, "track", "non-record"),
        ({"track": "track_non_record_16mb"}, "track", "non-record"),
        ({"val_bpb": None, "val_bpb_retracted": 0.9}, "retracted", True),
        ({"status": "Retracted by author"}, "retracted", True),
        ({"seeds": [42, 1337]}, "seeds", (42, 1337)),
        ({"seeds": {"42": {"val_bpb": 1.1}}}, "seeds", (42,)),
        ({"seed": 42}, "seeds", (42,)),
    ],
)
def test_spellings(fields: dict[str, Any], name: str, value: object) -> None:
    metadata = parse(**fields)
    assert getattr(metadata, name) == value
    assert not metadata.problems


@pytest.mark.parametrize(
    "fields",
    [
        {"seed_results": {"42": {"val_bpb": 1.1, "val_loss": 2.0}, "7": {"val_bpb": 1.2}}},
        {"seeds": {"seed_42": {"val_bpb": 1.1, "val_loss": 2.0}, "seed7": {"val_bpb": 1.2}}},
        {"seed_results": [{"seed": 42, "val_bpb": 1.1, "val_loss": 2.0}, {"seed": 7, "val_bpb": 1.2}]},
        {"per_seed": {"42": {"val_bpb": 1.1, "val_loss": 2.0}, "7": 1.2}},
        {"results": {"seeds": {"42": {"val_bpb": 1.1, "val_loss": 2.0}, "7": {"ttt_bpb": 1.2}}}},
        {"seed_42": {"val_bpb": 1.1, "val_loss": 2.0}, "seed_7": {"val_bpb": 1.2}},
        {"results": {"42": {"val_bpb": "1.1", "val_loss": "2.0"}, "7": {"val_bpb": 1.2}}},
    ],
)
def test_claims_per_run(fields: dict[str, Any]) -> None:
    assert parse(**fields).seed_results == (
        SeedResult(42, val_loss=2.0, val_bpb=1.1),
        SeedResult(7, val_bpb=1.2),
    )


def test_bare_scores() -> None:
    assert [result.val_bpb for result in parse(seed_results=[1.1, 1.2]).seed_results] == [1.1, 1.2]
    assert parse(val_bpb=1.15, val_bpb_seeds={"42": 1.1, "7": 1.2}).claimed_bpb == (1.15, 1.1, 1.2)


@pytest.mark.parametrize("value", ["pending", "TBD", "WIP", 0, -1, 1e9, True, "1.2.3"])
def test_a_score_that_is_none_is_a_problem_and_no_score(value: object) -> None:
    metadata = parse(val_bpb=value)
    assert metadata.val_bpb is None
    assert [problem.kind for problem in metadata.problems] == [ProblemKind.BAD_METADATA]
    assert "val_bpb" in metadata.problems[0].message


@pytest.mark.parametrize("value", ["PLACEHOLDER", "FILL_AFTER_RUN", "soon", "2026-13-45"])
def test_a_date_that_is_none(value: str) -> None:
    metadata = parse(date=value)
    assert metadata.date is None
    assert metadata.problems


@pytest.mark.parametrize(
    ("text", "line"),
    [('{"a": 1,}', 1), ('{"a": 1}\n{"b": 2}', 2), ("cat > submission.json <<EOF\n{}", 1), ('{"a": "b', 1), ("", 1)],
)
def test_what_is_not_json_is_one_problem_with_its_line(text: str, line: int) -> None:
    metadata = parse_metadata(text)
    assert [(problem.kind, problem.line) for problem in metadata.problems] == [(ProblemKind.BAD_METADATA, line)]


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "3", "null", '"x"', '{"val_bpb": 1e999}', '{"val_bpb": NaN}']
)
def test_hostile_documents(text: str) -> None:
    metadata = parse_metadata(text)
    assert metadata.val_bpb is None
    assert metadata.problems


def test_environment_and_command() -> None:
    metadata = parse(env={"TTT_LR": 0.1, "lower": 2}, config={"ttt_lr": 0.2, "nested": {}}, command="A=1 torchrun x.py")
    assert dict(metadata.environment) == {"TTT_LR": "0.1"}
    assert dict(metadata.hyperparameters) == {"ttt_lr": "0.2"}
    assert metadata.command == "A=1 torchrun x.py"


KEYS = st.sampled_from(
    [
        "val_bpb",
        "seeds",
        "seed_results",
        "date",
        "track",
        "author",
        "bytes_total",
        "results",
        "42",
        "env",
        "config",
        "status",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=8))
def test_no_document_breaks_the_reader(document: dict[str, Any]) -> None:
    metadata = parse_metadata(json.dumps(document))
    assert metadata.val_bpb is None or 0 < metadata.val_bpb < 1000


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    assert parse_metadata(text).file == "submission.json"

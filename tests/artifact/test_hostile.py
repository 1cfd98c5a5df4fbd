from __future__ import annotations

from pathlib import Path

import hostile_families
import numpy as np
import pytest
from artifact_controls import CONTROLS, EXPECTED
from hostile import Hostile
from hostile_files import HOSTILE

from evaluator.artifact import DecodeLimits, decode
from evaluator.artifact.decode_bytes import decode_bytes
from evaluator.refusal import Refused

LIMITS = DecodeLimits()
HARMLESS = [file for file in HOSTILE if not file.jail]
# One of the families, where the child imports torch, and a sample of what it refuses before that.
INSIDE = [file for group in hostile_families.GROUPS for file in group.files]
JAILED = [file for file in HOSTILE if file.jail] + [file for file in HARMLESS if file not in INSIDE][::12] + INSIDE[:1]


def label(file: Hostile) -> str:
    return f"{file.control}: {file.name}"


def test_there_are_enough_and_none_twice() -> None:
    assert len(HOSTILE) >= 60
    assert len({file.make() for file in HARMLESS}) == len(HARMLESS)
    assert {file.control for file in HOSTILE} <= CONTROLS.keys()


@pytest.mark.parametrize("control", CONTROLS)
def test_the_honest_file_loads_with_equal_tensors(control: str) -> None:
    _, tensors = decode_bytes(CONTROLS[control](), LIMITS)
    assert tensors.keys() == EXPECTED.keys()
    for name, expected in EXPECTED.items():
        assert tensors[name].dtype == np.float32
        np.testing.assert_array_equal(tensors[name], expected)


@pytest.mark.parametrize("file", HARMLESS, ids=label)
def test_the_hostile_file_is_refused(file: Hostile) -> None:
    with pytest.raises(Refused) as refused:
        decode_bytes(file.make(), LIMITS)
    assert refused.value.reason == file.reason
    assert refused.value.message.isprintable()


@pytest.mark.parametrize("file", JAILED, ids=label)
def test_the_jail_refuses_it_too(file: Hostile, tmp_path: Path) -> None:
    path = tmp_path / "artifact.ptz"
    path.write_bytes(file.make())
    with pytest.raises(Refused) as refused:
        decode(path, tmp_path)
    assert refused.value.reason == file.reason
    assert refused.value.message.isprintable()


@pytest.mark.parametrize("control", ["wm, shuffled, brotli", "canonical"])
def test_the_jail_decodes_the_honest_file(control: str, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    path = tmp_path / "artifact.ptz"
    path.write_bytes(CONTROLS[control]())
    decoded = decode(path, tmp_path)
    tensors = load_file(decoded.tensors)
    assert decoded.shapes == {name: array.shape for name, array in EXPECTED.items()}
    assert decoded.artifact_bytes == path.stat().st_size
    for name, expected in EXPECTED.items():
        np.testing.assert_array_equal(tensors[name], expected)


def test_every_reason_is_documented() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "artifact-format.md").read_text()
    assert {file.reason for file in HOSTILE if f"`{file.reason}`" not in page} == set()

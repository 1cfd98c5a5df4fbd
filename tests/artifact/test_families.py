from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluator.artifact import families, torch_zip
from evaluator.artifact.container import Contents
from evaluator.artifact.decode_bytes import decode_bytes
from evaluator.artifact.family import all_families
from evaluator.artifact.limits import DecodeLimits
from evaluator.refusal import Refused

HALVES = '''
"""Tensors stored as two halves."""
import numpy as np
from evaluator.artifact.family import Weights
NAME = "halves"
def recognise(contents):
    return isinstance(contents.object, dict) and contents.object.keys() == {"top", "bottom"}
def decode(contents):
    return Weights({name: np.concatenate([half, contents.object["bottom"][name]])
                    for name, half in contents.object["top"].items()})
'''


def test_a_new_family_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    halves = {"a": np.ones((1, 2), np.float32)}
    artifact = torch_zip.write({"top": halves, "bottom": halves})
    with pytest.raises(Refused, match="unsupported-family"):
        decode_bytes(artifact, DecodeLimits())
    (tmp_path / "halves.py").write_text(HALVES)
    monkeypatch.setattr(families, "__path__", [*families.__path__, str(tmp_path)])
    facts, tensors = decode_bytes(artifact, DecodeLimits())
    assert facts["family"] == "halves"
    assert tensors["a"].shape == (2, 2)


def test_the_families_have_names_of_their_own() -> None:
    names = [family.NAME for family in all_families()]
    assert {"canonical", "clean-dict", "plain", "wm", "checkpoint"} <= set(names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("contents", "owner"),
    [
        (Contents("torch-zip", {"w": {}, "m": {}}), "wm"),
        (Contents("torch-zip", {"quantized": {}, "scales": {}}), "clean-dict"),
        (Contents("safetensors", {"a": np.ones(1)}), "plain"),
        (Contents("safetensors", {"a": np.ones(1)}, {"format": "referee-canonical-v1"}), "canonical"),
        (Contents("safetensors", {"a": np.ones(1)}, {"format": "pt"}), "plain"),
        (Contents("torch-zip", {"w": np.ones(1), "m": np.ones(1), "x": np.ones(1)}), "plain"),
        (Contents("torch-zip", {"model": {"a": np.ones(1)}, "step": 3}), "checkpoint"),
        (Contents("torch-zip", [np.ones(1)]), None),
        (Contents("torch-zip", None), None),
    ],
)
def test_at_most_one_family_recognises_an_object(contents: Contents, owner: str | None) -> None:
    assert [family.NAME for family in all_families() if family.recognise(contents)] == ([owner] if owner else [])

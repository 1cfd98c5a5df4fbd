"""The parent's side: what it makes of a child that fails, lies or runs out, and real files."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from artifact_controls import CONTROLS

from auditor.sandbox import SandboxResult, Status, Tier
from evaluator.artifact import DecodeLimits, decode
from evaluator.refusal import Refused

FACTS: dict[str, Any] = {
    "codec": "none",
    "container": "safetensors",
    "family": "plain",
    "raw_bytes": 1,
    "config": None,
    "notes": [],
}
ARRAYS = {"a": np.ones(3, np.float32)}


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    path = tmp_path / "artifact.ptz"
    path.write_bytes(CONTROLS["safetensors"]())
    return path


def child_that_sends(
    monkeypatch: pytest.MonkeyPatch, json: Any, arrays: Any = None, status: Status = Status.OK
) -> None:
    result = SandboxResult(status, 0, Tier.NAMESPACES, json, ARRAYS if arrays is None else arrays)
    monkeypatch.setattr("evaluator.artifact.decoding.run", lambda *_, **__: result)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (Status.FAILED, "decoder-crash"),
        (Status.SIGNALLED, "decoder-crash"),
        (Status.WALL_LIMIT, "decoder-time"),
        (Status.CPU_LIMIT, "decoder-time"),
        (Status.MEMORY_LIMIT, "decoder-memory"),
        (Status.RESULT_LIMIT, "tensors-too-large"),
        (Status.BAD_RESULT, "decoder-result"),
    ],
)
def test_a_child_that_does_not_end_well(
    status: Status, reason: str, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child_that_sends(monkeypatch, FACTS, status=status)
    with pytest.raises(Refused) as refused:
        decode(artifact, tmp_path)
    assert refused.value.reason == reason


def test_every_ending_but_a_good_one_has_a_reason() -> None:
    from evaluator.artifact.decoding import _ENDINGS

    assert _ENDINGS.keys() == set(Status) - {Status.OK}


@pytest.mark.parametrize(
    ("json", "arrays", "reason"),
    [
        (None, ARRAYS, "decoder-result"),
        ([], ARRAYS, "decoder-result"),
        (FACTS | {"codec": 3}, ARRAYS, "decoder-result"),
        (FACTS | {"codec": "\x1b[2J"}, ARRAYS, "decoder-result"),
        (FACTS | {"config": [1]}, ARRAYS, "decoder-result"),
        (FACTS | {"notes": [1]}, ARRAYS, "decoder-result"),
        (FACTS, {}, "no-tensors"),
        (FACTS, {"a": np.ones(3)}, "decoder-result"),
        (FACTS, {"a": np.ones(3, np.int64)}, "decoder-result"),
        (FACTS, {"a": np.array([np.nan], np.float32)}, "not-finite"),
        (FACTS, {"a": np.array([np.inf], np.float32)}, "not-finite"),
        (FACTS, {"\x1b[2J": ARRAYS["a"]}, "bad-name"),
        ({"refused": {"reason": "a b\nc", "message": "m"}}, ARRAYS, "decoder-result"),
        ({"refused": {"reason": "bomb", "message": "m"}}, ARRAYS, "bomb"),
    ],
)
def test_the_childs_word_counts_for_nothing(
    json: Any, arrays: Any, reason: str, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child_that_sends(monkeypatch, json, arrays)
    with pytest.raises(Refused) as refused:
        decode(artifact, tmp_path)
    assert refused.value.reason == reason


def test_escape_codes_in_the_childs_words_are_escaped(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child_that_sends(monkeypatch, FACTS | {"notes": ["\x1b[2Jclear"]})
    assert decode(artifact, tmp_path).notes == ("\\x1b[2Jclear",)
    child_that_sends(monkeypatch, {"refused": {"reason": "bomb", "message": "two\nlines"}})
    with pytest.raises(Refused) as refused:
        decode(artifact, tmp_path)
    assert refused.value.message == "two\\nlines"


def test_time_is_limited(artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="decoder-time"):
        decode(artifact, tmp_path, limits=DecodeLimits(wall_seconds=0.05))


def test_memory_is_limited(tmp_path: Path) -> None:
    path = tmp_path / "artifact.ptz"
    path.write_bytes(CONTROLS["wm, plain"]())
    # Enough for the interpreter and numpy, not for torch.
    with pytest.raises(Refused, match="decoder-"):
        decode(path, tmp_path, limits=DecodeLimits(memory_bytes=96 << 20))


def test_the_facts_are_those_of_the_file(artifact: Path, tmp_path: Path) -> None:
    decoded = decode(artifact, tmp_path)
    data = artifact.read_bytes()
    assert (decoded.codec, decoded.container, decoded.family) == ("none", "safetensors", "plain")
    assert (decoded.artifact_bytes, decoded.raw_bytes) == (len(data), len(data))
    assert decoded.sha256 == hashlib.sha256(data).hexdigest()
    assert decoded.tier in set(Tier)


def test_the_parent_imports_neither_torch_nor_a_decompressor_of_ours(artifact: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from evaluator.artifact import decode, fits, match\n"
        "decode(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "print('torch' in sys.modules, any(name.startswith('evaluator.artifact.families.') for name in sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(artifact), str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False False\n"


def test_the_real_baseline_artifact_loads(real_data: Path, tmp_path: Path) -> None:
    from evaluator.artifact import match
    from reference_model.layout import state_layout
    from reference_model.preset import load_names, load_preset

    decoded = decode(real_data / "artifact_pr119_baseline_shape.ptz", tmp_path)
    assert (decoded.codec, decoded.container, decoded.family) == ("zlib", "safetensors", "plain")
    assert sum(int(np.prod(shape)) for shape in decoded.shapes.values()) == 17_059_912
    found = match(decoded, state_layout(load_preset("baseline")), load_names("baseline").to_canonical)
    assert len(found) == 92


@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("artifact_pr1609_truncated.ptz", "truncated", "261,120 bytes"),
        ("fineweb_1024_bpe.model", "unknown-codec", ""),
        ("fineweb_docs_200.jsonl.xz", "unknown-container", ""),
    ],
)
def test_real_files_that_are_refused(name: str, reason: str, words: str, real_data: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        decode(real_data / name, tmp_path)
    assert refused.value.reason == reason
    assert words in refused.value.message

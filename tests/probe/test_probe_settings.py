"""Documented settings and toy sizes, for a submission that reads both."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from auditor.probe.settings import NoEntryError, environment_names, setup_for
from auditor.probe.sizes import may_set, toy_value
from auditor.submission import read_submission

_SCRIPT = """
import os, zstandard
from helpers import x
env = lambda name, default: type(default)(os.environ.get(name, default))
class Hyperparameters:
    data_path = os.environ.get("DATA_PATH", "./data/datasets/fineweb10B_sp8192_caps")
    tokenizer = os.getenv("TOKENIZER_PATH", "./data/tokenizers/fineweb_8192_bpe.model")
    ttt_enabled = bool(int(os.environ.get("TTT_ENABLED", "0")))
    ttt_lr = env("TTT_LR", 0.1)
    eval_only = env("EVAL_ONLY", 0)
    model_dim = env("MODEL_DIM", 512)
    buckets = env("NGRAM_BUCKETS", 4194304)
def score(tokens, stride=64, num_buckets=1 << 22):
    val_bytes = 0
def main(): ...
"""
_README = """
```bash
TTT_ENABLED=1 TTT_LR=0.005 EVAL_ONLY=1 MODEL_DIM=768 DATA_PATH=/data UNREAD=1 torchrun --nproc_per_node=8 train_gpt.py
```
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train_gpt.py").write_text(_SCRIPT)
    (tmp_path / "helpers.py").write_text("x = 1\n")
    (tmp_path / "README.md").write_text(_README)
    return tmp_path


def test_documented_settings_are_kept_and_sizes_shrunk(folder: Path) -> None:
    setup = setup_for(read_submission(folder))
    assert setup.environment["TTT_ENABLED"] == "1"
    assert setup.environment["TTT_LR"] == "0.005"
    assert setup.environment["MODEL_DIM"] == "64"
    assert setup.documented == {"TTT_ENABLED", "TTT_LR"}
    assert not {"EVAL_ONLY", "DATA_PATH", "UNREAD", "NGRAM_BUCKETS"} & setup.environment.keys()


def test_expected_files_and_modules_are_found(folder: Path) -> None:
    setup = setup_for(read_submission(folder))
    assert setup.datasets == ("fineweb10B_sp8192_caps",)
    assert setup.tokenizers == ("fineweb_8192_bpe.model",)
    assert setup.sidecar
    assert "zstandard" in setup.preload
    assert "helpers" not in setup.preload


def test_stress_names_what_it_alters(folder: Path) -> None:
    submission = read_submission(folder)
    plain, stress = setup_for(submission), setup_for(submission, stress=True)
    assert stress.environment["NGRAM_BUCKETS"] == "64"
    extra = [item for item in stress.altered if item not in plain.altered]
    assert [(item.file, item.before, item.after) for item in extra] == [
        ("train_gpt.py", "num_buckets=1 << 22", "num_buckets=64")
    ]
    assert [item.after for item in plain.altered] == ["stride=16"]


def test_a_toy_size_is_never_more_than_what_the_run_had(folder: Path) -> None:
    """With a second epoch an honest adapter would score what it learned; a batch that grows would take minutes."""
    reads = {
        "BATCH_WARMUP_STEPS": 0,
        "TTT_EPOCHS": 1,
        "GLOBAL_TTT_EPOCHS": 3,
        "EVAL_STRIDE": 0,
        "TTT_MAX_EVAL_SECS": 550,
        "RECUR_START_STEP": 3000,
    }
    lines = [f'{name.lower()} = int(os.environ.get("{name}", {value}))' for name, value in reads.items()]
    (folder / "helpers.py").write_text("import os\n" + "\n".join(lines))
    environment = setup_for(read_submission(folder)).environment
    assert {name: environment[name] for name in reads if name in environment} == {
        "GLOBAL_TTT_EPOCHS": "2",
        "TTT_MAX_EVAL_SECS": "1e9",
        "RECUR_START_STEP": "1",
    }
    (folder / "README.md").write_text(
        _README.replace("TTT_ENABLED=1", "TTT_ENABLED=1 TTT_EPOCHS=3 GLOBAL_TTT_EPOCHS=1")
    )
    environment = setup_for(read_submission(folder)).environment
    assert (environment["TTT_EPOCHS"], environment["GLOBAL_TTT_EPOCHS"]) == ("2", "1")


def test_stress_finds_tables_whose_size_stands_in_the_line(folder: Path) -> None:
    (folder / "helpers.py").write_text("_NG_B = 1 << 22\nngram_mask = np.uint64((1 << 20) - 1)\nimage = 1 << 20\n")
    with (folder / "helpers.py").open("a") as file:
        file.write("chunk_size = 32768\n")
    submission = read_submission(folder)
    usual = [item.after for item in setup_for(submission).altered if item.file == "helpers.py"]
    assert usual == ["chunk_size = 64"]  # what is counted chunk by chunk must be counted within the toy stream
    stress = setup_for(submission, stress=True)
    extra = [item for item in stress.altered if item not in setup_for(submission).altered and item.file == "helpers.py"]
    assert [(item.line, item.after) for item in extra] == [(1, "_NG_B = 64"), (2, "ngram_mask = np.uint64((64")]


def test_a_calibration_that_is_generated_token_by_token_is_shortened(folder: Path) -> None:
    (folder / "helpers.py").write_text(
        "def calibrate(model, num_seqs=64, seq_len: int = 2048): ...\n"
        "def collect(loader, num_batches=256, train_seq_len=2048, num_seqs_seen=1): ...\n"
        "temperature = fit(loader.stream.take(65536), loader.stream.take(n + 1))\n"
    )
    altered = [item for item in setup_for(read_submission(folder)).altered if item.file == "helpers.py"]
    assert sorted(item.after for item in altered) == [".take(1024", "num_batches=2", "num_seqs=2", "seq_len: int = 64"]


def test_the_width_of_a_network_in_a_table_of_settings_is_shrunk_evenly(folder: Path) -> None:
    (folder / "helpers.py").write_text(
        "small = dict(num_heads=8, model_dim=512, gdn_head_dim=64,)\n"
        'large = {"model_dim": 640, "layers": 10}\n'
        "def layer(x, model_dim: int = 512, head_dim=64, odd=dict(model_dim=480,)):\n    return x.sum(dim=256)\n"
    )
    altered = [item for item in setup_for(read_submission(folder)).altered if item.file == "helpers.py"]
    assert sorted(item.after for item in altered) == ["gdn_head_dim=8", 'model_dim": 80', "model_dim=64"]


def test_a_run_that_its_author_has_retracted_is_not_repeated(folder: Path) -> None:
    readme = "```bash\nTTT_EPOCHS=1 TTT_LR=0.25 torchrun --nproc_per_node=8 train_gpt.py\n```\n"
    (folder / "README.md").write_text(readme)
    assert setup_for(read_submission(folder)).environment["TTT_LR"] == "0.25"
    (folder / "README.md").write_text("The number of this run was retracted.\n" + readme)
    assert "TTT_LR" not in setup_for(read_submission(folder)).environment


def test_a_default_for_several_ranks_is_that_of_the_official_run(folder: Path) -> None:
    (folder / "helpers.py").write_text(
        'usual = "1" if world_size > 1 else "0"\nuse = os.environ.get("NGRAM_CACHE", usual)\n'
        'order = int(os.environ.get("NGRAM_ORDER", "7"))\n'
    )
    environment = setup_for(read_submission(folder)).environment
    assert environment["NGRAM_CACHE"] == "1"
    assert "NGRAM_ORDER" not in environment
    assert setup_for(read_submission(folder), flags={"NGRAM_CACHE": "0"}).environment["NGRAM_CACHE"] == "0"


def test_flags_overrule(folder: Path) -> None:
    setup = setup_for(read_submission(folder), flags={"TTT_ENABLED": "0", "MODEL_DIM": "32"})
    assert (setup.environment["TTT_ENABLED"], setup.environment["MODEL_DIM"]) == ("0", "32")


def test_no_script_no_setup(tmp_path: Path) -> None:
    with pytest.raises(NoEntryError):
        setup_for(read_submission(tmp_path))


@pytest.mark.parametrize(
    "name",
    [
        *("EVAL_ONLY", "TTT_EVAL_ONLY", "TOKENIZER_META_PATH", "OUT_DIR", "LOG_FILE", "LR_SCHEDULE", "SCHEDULE_X"),
        *("SKIP_TRAINING", "LOAD_CKPT", "RESUME_FROM", "CUDA_VISIBLE_DEVICES", "RANK", "DATA_DIR", "HF_TOKEN"),
    ],
)
def test_never_taken(name: str) -> None:
    assert not may_set(name)
    assert toy_value(name, stress=True) is None


def test_names_come_from_reads_and_helpers() -> None:
    text = """os.environ["A_B"]; os.environ.get('lower_case'); _e("ITERATIONS", 1, int); print("final")"""
    assert environment_names([text]) == ("A_B", "ITERATIONS", "lower_case")


def test_a_minified_script_hides_no_name() -> None:
    text = """_a=True;_d='WARMUP_STEPS';_e='RUN';warm=int(os.environ.get(_d,20));more=os.environ[_d];x=f(_e)"""
    assert environment_names([text]) == ("WARMUP_STEPS",)


def test_parent_has_no_torch() -> None:
    code = (
        "import sys, auditor.probe.runner, auditor.probe.settings\n"
        "sys.exit(any(name.partition('.')[0] in {'torch', 'triton'} for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_hash_tables_of_gigabytes_are_made_roomy_rather_than_full(folder: Path) -> None:
    assert toy_value("OPEN_TABLE_BITS", stress=False) == "18"
    assert toy_value("OPEN_TABLE_BITS", stress=True) == "6"
    (folder / "helpers.py").write_text(
        "def new(open_table_bits: int = 26, hint_table_bits=16):\n    new(table_bits=22)\n"
    )
    altered = [item for item in setup_for(read_submission(folder)).altered if item.file == "helpers.py"]
    assert [item.after for item in altered] == ["open_table_bits: int = 18"]


@pytest.mark.parametrize(
    ("line", "after", "batch"),
    [
        ("grad_accum_steps = 8 // world_size", "grad_accum_steps = 1", "128"),
        ("grad_accum_steps = max(1, 8 // world_size)", "grad_accum_steps = 1", "128"),
        ("grad_accum_steps = 4", None, "512"),
    ],
)
def test_one_gradient_a_step_takes_batches_of_two_windows(
    tmp_path: Path, line: str, after: str | None, batch: str
) -> None:
    script = f'import os\ntrain = os.environ.get("TRAIN_BATCH_TOKENS", 524288)\ndef main(world_size=1):\n    {line}\n'
    (tmp_path / "train_gpt.py").write_text(script)
    setup = setup_for(read_submission(tmp_path))
    assert setup.environment["TRAIN_BATCH_TOKENS"] == batch
    assert [altered.after for altered in setup.altered] == ([after] if after else [])

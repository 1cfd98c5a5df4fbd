"""Facts from logs, each with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from folders import INNER, make, packed
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.submission import read_submission
from auditor.submission.logs import Log, parse_log, primary_logs, squeeze

RULE = "=" * 100
TRAINED = "step:1/20000 train_loss:6.9 train_time:100ms\nstep:4900/20000 val_loss:2.4 val_bpb:1.2 train_time:599000ms\n"


def read(text: str) -> Log:
    return parse_log(text, "train.log", {})


def test_an_indented_dump() -> None:
    log = read(
        "Hyperparameters:\n  ttt_enabled: True\n  datasets_dir: /data/a b\n  artifact_dir: \n  lr: 1e-3\n" + TRAINED
    )
    values = {name: (fact.value, fact.line) for name, fact in log.settings.items() if name != "Hyperparameters"}
    assert values == {
        "ttt_enabled": ("True", 2),
        "datasets_dir": ("/data/a b", 3),
        "artifact_dir": ("", 4),
        "lr": ("1e-3", 5),
    }


@pytest.mark.parametrize(
    "line",
    [
        "ttt_enabled:True ttt_lr:0.005 seed:1337",
        "ttt_enabled=True, ttt_lr=0.005, seed=1337",
        "Namespace(ttt_enabled=True, ttt_lr=0.005, seed=1337)",
        "Hyperparameters(ttt_enabled=True, ttt_lr=0.005, seed=1337)",
        "{'ttt_enabled': True, 'ttt_lr': 0.005, 'seed': 1337}",
        '{"ttt_enabled": True, "ttt_lr": 0.005, "seed": 1337}',
        "config: ttt_enabled=True ttt_lr=0.005 seed=1337",
        '{\n  "ttt_enabled": True,\n  "ttt_lr": 0.005,\n  "seed": 1337\n}',
    ],
)
def test_dumps_on_one_line_and_json(line: str) -> None:
    log = read(line + "\n" + TRAINED)
    assert [log.settings[name].value for name in ("ttt_enabled", "ttt_lr", "seed")] == ["True", "0.005", "1337"]
    assert log.seed == 1337


def test_what_follows_the_first_step_is_no_setting() -> None:
    assert "ttt_lr" not in read(TRAINED + "ttt_lr:0.1 ttt_epochs:3\n").settings


def test_an_embedded_script_is_set_aside_and_compared() -> None:
    script = INNER + "ttt_lr = 7\n" * 100
    before = "logs/a.txt\nval_bpb:enabled tokenizer_kind=sentencepiece\n"
    log = parse_log(before + script + RULE + "\nttt_lr: 0.1\n" + TRAINED, "a.log", {squeeze(script): "train_gpt.py"})
    assert log.dump is not None
    assert (log.dump.first_line, log.dump.matches) == (3, "train_gpt.py")
    assert log.settings["ttt_lr"].value == "0.1"
    assert log.settings["tokenizer_kind"].line == 2


def test_an_embedded_script_between_rules_that_was_changed_since() -> None:
    log = parse_log(
        f"{RULE}\nseed: 1\n{RULE}\n{INNER}def more():\n    return 2\nclass A:\n    x = 1\n{RULE}\n",
        "a.log",
        {squeeze(INNER): "x"},
    )
    assert log.dump is not None
    assert (log.dump.first_line, log.dump.matches) == (4, "")


def test_the_dump_of_a_packed_script_is_its_inner_code(tmp_path: Path) -> None:
    script = INNER + "# padding\n" * 300
    files = {"train_gpt.py": packed(script), "train.log": f"seed: 3\n{RULE}\n{script}{RULE}\n"}
    log = read_submission(make(tmp_path, files)).logs[0]
    assert log.dump is not None
    assert log.dump.matches == "train_gpt.py!inner"


def test_scores_and_their_labels() -> None:
    log = read(
        TRAINED
        + "final_int6_roundtrip val_loss:1.9172 val_bpb:1.1354 eval_time:21288ms\n"
        + "  ttt_chunk [1/1893] bpb=1.145114 time=0.5s\n"
        + "diagnostic quantized val_loss:2.79500347 val_bpb:1.08199807 eval_time:58707ms\n"
        + "ttt:done val_loss=1.132972 val_bpb=0.671010 elapsed=370.2s\n"
        + "  [ 10.6%] 12864/121136 windows running_bpb=1.932328\n"
    )
    assert [(s.label, s.val_loss, s.val_bpb, s.seconds, s.line) for s in log.scores] == [
        ("final_int6_roundtrip", 1.9172, 1.1354, 21.288, 3),
        ("diagnostic quantized", 2.79500347, 1.08199807, 58.707, 5),
        ("ttt", 1.132972, 0.67101, 370.2, 6),
    ]
    assert log.final_score is not None
    assert log.final_score.val_bpb == 0.67101


def test_counts_sizes_and_timers() -> None:
    log = read(
        "train_shards: 1499\nval_loader:shards pattern=./fineweb_val_*.bin tokens:62021632\nval_tokens: 47851520\n"
        + TRAINED
        + "stopping_early: wallclock_cap train_time: 596106ms step: 4800/20000\n"
        + "GPTQ:collected 67 Hessians in 3.7s\ngptq:reserving 4s, effective=596000ms\n"
        + "Serialized model: 106240695 bytes\nSerialized model int6+lzma: 15,840,780 bytes\nCode size: 71382 bytes\n"
        + "Total submission size int6+lzma: 15912162 bytes\nTotal submission size: 15,544,251 bytes (455,749 under)\n"
        + "pergroup:total frame 15905667 bytes\ntotal_eval_time:540.1s\n"
    )
    assert [fact.value for fact in log.train_shards] == [1499]
    assert [(fact.value, fact.line) for fact in log.val_tokens] == [(62021632, 2), (47851520, 3)]
    assert [(fact.value, fact.label) for fact in log.stop] == [(596.106, "wallclock_cap")]
    assert [fact.value for fact in log.hessian_seconds] == [3.7]
    assert [fact.value for fact in log.reserve_seconds] == [4.0]
    assert [fact.value for fact in log.model_bytes] == [15840780]
    assert [fact.value for fact in log.code_bytes] == [71382]
    assert [(fact.value, fact.label) for fact in log.total_bytes] == [
        (15912162, "Total submission size int6+lzma"),
        (15544251, "Total submission size"),
    ]
    assert [fact.value for fact in log.total_eval_seconds] == [540.1]


def test_gate_counters() -> None:
    log = read(TRAINED + "ngram_tilt:hints total=100 token_gate=7 within_gate=0 word_gate=0\n")
    assert log.counters[0].label == "ngram_tilt:hints"
    assert log.counters[0].values["within_gate"] == "0"
    assert log.counters[0].line == 3


def run(name: str, score: float) -> Log:
    return parse_log(TRAINED + f"final val_loss:2.0 val_bpb:{score:.8f}\n", name, {})


def test_the_runs_that_print_the_claimed_scores() -> None:
    logs = [run("a.log", 1.04826351), run("b.log", 1.04721994), run("ablation_x.log", 1.0)]
    assert [log.name for log in primary_logs(logs, [1.04826351], 1.04722074)] == ["a.log"]
    assert [log.name for log in primary_logs(logs, [], 1.0472)] == ["b.log"]
    assert [log.name for log in primary_logs(logs, [9.0], None)] == ["a.log", "b.log"]
    assert [log.name for log in primary_logs(logs[2:], [], None)] == ["ablation_x.log"]


def test_a_log_of_powershell_and_one_with_carriage_returns(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "train_gpt.py": "x = 1\n",
        "a.log": "seed: 7\r\nlr: 2\r\n".encode("utf-16"),
        "b.log": b"seed: 8\r\nprogress 1\rprogress 2\r\n\xff\xfe\n",
    }
    logs = read_submission(make(tmp_path, files)).logs
    assert [log.seed for log in logs] == [7, 8]


@settings(derandomize=True, max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from("val_bpbloss:=.0123 \t{}'\",[]()eE-+\nstep/TtoaGcdinbyHf"), max_size=400))
def test_no_text_breaks_the_log_reader(text: str) -> None:
    log = read(text)
    assert all(score.val_bpb > 0 for score in log.scores)


@pytest.mark.parametrize(
    "unit", ["total ", "a:", "x=1 ", "(", "Code size ", "1,", "val_loss bpb ", "Serialized model ", "ttt.bpb "]
)
def test_long_lines_cost_little(unit: str) -> None:
    import time

    start = time.process_time()
    read(unit * (18_000 // len(unit)) + "\n" + unit * (900 // len(unit)))
    assert time.process_time() - start < 1.0

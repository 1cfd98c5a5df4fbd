"""Whether a leak mattered in the documented run: logs before settings before defaults."""

from __future__ import annotations

from pathlib import Path

import pytest
from hint_kernels import FAR, LEAKING, NEAR, PUSH, READ, walk

from auditor.kernels import Channel, SubmittedKernel, analyse_kernel, channel_state, kernel_facts
from auditor.submission import LaunchConfiguration, read_submission

SCRIPT = """import ctypes
import os

near_boost = float(os.environ.get("NEAR_BOOST", "{default}"))
library = ctypes.CDLL(compiled("hints.c"))


def hints(memory, tokens):
    library.build(memory, tokens)
    return near_boost
"""
LEAKY = walk(LEAKING["a flag kept in between"])


def analysed(root: Path, default: str = "0.75", kernel: str = LEAKY, **files: str) -> SubmittedKernel:
    script = SCRIPT.format(default=default)
    for name, text in {"train_gpt.py": script, "hints.c": kernel, **files}.items():
        (root / name.replace("__", ".")).write_text(text, encoding="utf-8")
    (found,) = kernel_facts(read_submission(root))
    return found


def channel(root: Path, default: str = "0.75", **files: str) -> Channel:
    channels = set(analysed(root, default, **files).channels)
    assert len(channels) == 1
    return channels.pop()


@pytest.mark.parametrize(("default", "state"), [("0.75", "on"), ("0.0", "off"), ("0", "off")])
def test_a_default_decides_where_nothing_is_documented(tmp_path: Path, default: str, state: str) -> None:
    found = channel(tmp_path, default)
    assert found.state == state
    assert found.reason == f"NEAR_BOOST is {default} by default in train_gpt.py:4"


def test_a_command_comes_before_the_default(tmp_path: Path) -> None:
    found = channel(tmp_path, README__md="## Run\n```bash\nNEAR_BOOST=0 torchrun train_gpt.py\n```\n")
    assert found.state == "off"
    assert found.reason.startswith("NEAR_BOOST=0 in README.md:")


def test_a_logged_setting_comes_before_the_command(tmp_path: Path) -> None:
    readme = "## Run\n```bash\nNEAR_BOOST=0 torchrun train_gpt.py\n```\n"
    found = channel(tmp_path, README__md=readme, train_seed1__log="Hyperparameters:\n  ngram_near_boost: 0.5\n")
    assert found.state == "on"


@pytest.mark.parametrize(("count", "state"), [("0", "off"), ("9866", "on")])
def test_a_gate_counter_comes_before_everything(tmp_path: Path, count: str, state: str) -> None:
    log = f"  near_boost: 0.5\nstep:1/10 train_loss:1\ntilt:hints total=50000 far_gate=12 near_gate={count}\n"
    found = channel(tmp_path, train_seed1__log=log)
    assert found.state == state
    assert found.reason == f"near_gate={count} in train_seed1.log:3"


def test_a_run_where_the_gate_fired_is_enough(tmp_path: Path) -> None:
    logs = {f"train_seed{i}__log": f"tilt:hints total=5 near_gate={i}\n" for i in range(3)}
    assert channel(tmp_path, **logs).state == "on"


def test_a_tilt_that_is_off_switches_everything_off(tmp_path: Path) -> None:
    found = channel(tmp_path, train_seed1__log="  ngram_tilt_enabled: False\n  near_boost: 0.5\n")
    assert found == Channel("off", "ngram_tilt_enabled=False in train_seed1.log:1")


def test_a_strength_without_a_value_is_unknown(tmp_path: Path) -> None:
    script = SCRIPT.replace('float(os.environ.get("NEAR_BOOST", "{default}"))', "choose()")
    assert channel(tmp_path, train_gpt__py=script).state == "unknown"


def test_without_any_switch_it_is_on() -> None:
    leak = analyse_kernel(LEAKY, "hints.c").leaks[0]
    assert channel_state(leak, LaunchConfiguration(), ()).state == "on"


def test_a_function_that_nothing_calls_is_off(tmp_path: Path) -> None:
    found = channel(tmp_path, train_gpt__py=SCRIPT.format(default="1").replace("build", "build_causal"))
    assert found == Channel("off", "nothing calls build")


def test_a_file_that_no_script_names_is_at_most_unknown(tmp_path: Path) -> None:
    found = channel(tmp_path, train_gpt__py=SCRIPT.format(default="1").replace("hints.c", "prebuilt"))
    assert found == Channel("unknown", "no script names hints.c, and NEAR_BOOST is 1 by default in train_gpt.py:4")


def test_a_legal_kernel_has_no_channels(tmp_path: Path) -> None:
    found = analysed(tmp_path, kernel=walk(READ + FAR + NEAR + PUSH))
    assert found.channels == ()
    assert found.facts.leaks == ()


def test_a_literal_keeps_the_lines_of_its_script(tmp_path: Path) -> None:
    script = SCRIPT.format(default="1") + f'\nSOURCE = r"""{LEAKY}"""\n'
    (tmp_path / "train_gpt.py").write_text(script, encoding="utf-8")
    (found,) = kernel_facts(read_submission(tmp_path))
    lines = script.split("\n")
    assert found.facts.leaks
    for leak in found.facts.leaks:
        assert all(step.file == "train_gpt.py" and lines[step.line - 1].strip() == step.text for step in leak.path)

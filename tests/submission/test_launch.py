"""Which documented value wins, and what is said about those that lose."""

from __future__ import annotations

from pathlib import Path

import pytest
from folders import INNER, make

from auditor.submission import ProblemKind, SettingSource, Submission, read_submission
from auditor.submission.commands import commands_in_readme, commands_in_script, parse_command

SCRIPT = 'import os\nboost = float(os.environ.get("WITHIN_BOOST", "0.75"))\n'
TRAINED = "step:1/20 train_loss:6.9\n"


def read(tmp_path: Path, **files: str) -> Submission:
    names = {"readme": "README.md", "run": "run.sh", "log": "train_seed1.log", "log2": "train_seed2.log"}
    names |= {"metadata": "submission.json", "script": "train_gpt.py"}
    return read_submission(make(tmp_path, {"train_gpt.py": SCRIPT} | {names[key]: text for key, text in files.items()}))


def test_logs_win_over_the_readme(tmp_path: Path) -> None:
    # The shape of a script whose switch is off by default and on in every log.
    readme = "# Run\n```bash\nPREQUANT_TTT_ENABLED=0 torchrun --nproc_per_node=8 train_gpt.py\n```\n"
    launch = read(tmp_path, readme=readme, log="Hyperparameters:\n  prequant_ttt_enabled: True\n" + TRAINED).launch
    setting = launch.find("PREQUANT_TTT_ENABLED")
    assert setting is not None
    assert (setting.value, setting.source, setting.file, setting.line) == (
        "True",
        SettingSource.LOG,
        "train_seed1.log",
        2,
    )
    assert launch.environment["PREQUANT_TTT_ENABLED"].source is SettingSource.README


def test_the_readme_when_logs_do_not_print_it(tmp_path: Path) -> None:
    # The shape of a leaky kernel that is legal because its boosts are 0.
    readme = "## Reproduction\n```\nWITHIN_BOOST=0 WORD_BOOST=0 \\\n  torchrun train_gpt.py\n```\n"
    setting = read(tmp_path, readme=readme, log="lr: 1\n" + TRAINED).launch.find("WITHIN_BOOST", "boost")
    assert setting is not None
    assert (setting.value, setting.source, setting.line) == ("0", SettingSource.README, 3)


def test_an_attribute_name_that_differs_from_the_variable(tmp_path: Path) -> None:
    setting = read(tmp_path, log="  boost: 0.0\n" + TRAINED).launch.find("WITHIN_BOOST", "boost")
    assert setting is not None
    assert setting.value == "0.0"


def test_variables_that_a_log_prints(tmp_path: Path) -> None:
    setting = read(tmp_path, log="WITHIN_BOOST=0 SEED=42 torchrun train_gpt.py\n" + TRAINED).launch.find("WITHIN_BOOST")
    assert setting is not None
    assert (setting.value, setting.source) == ("0", SettingSource.LOG)


def test_nothing_documented_leaves_the_default_in_the_code(tmp_path: Path) -> None:
    assert read(tmp_path).launch.find("WITHIN_BOOST", "boost") is None


def test_seeds_that_disagree_are_kept(tmp_path: Path) -> None:
    # The shape of a third seed from another configuration.
    logs = ["  seed: 1\n  ttt_lr: 0.1\n" + TRAINED, "  seed: 2\n  ttt_lr: 0.2\n" + TRAINED]
    submission = read(tmp_path, log=logs[0], log2=logs[1])
    launch = submission.launch
    setting = launch.logged["ttt_lr"]
    assert (setting.value, [(c.value, c.file) for c in setting.conflicts]) == ("0.1", [("0.2", "train_seed2.log")])
    assert not launch.logged["seed"].conflicts
    ambiguous = [problem for problem in submission.problems if problem.kind is ProblemKind.AMBIGUOUS_LAUNCH]
    assert [(problem.file, problem.line) for problem in ambiguous] == [("train_seed1.log", 2)]
    assert "train_seed2.log:2" in ambiguous[0].message


def test_logs_of_ablations_do_not_speak_for_the_submission(tmp_path: Path) -> None:
    score = "final val_loss:2.1 val_bpb:{0}\n"
    files = {
        "train_gpt.py": SCRIPT,
        "submission.json": '{"val_bpb": 1.0610, "seed_results": {"42": {"val_bpb": 1.06104}}}',
        "a_ablation_train.log": "  within_boost: 0.75\n" + TRAINED + score.format("1.0400"),
        "train_seed42.log": "  within_boost: 0\n" + TRAINED + score.format("1.06104"),
    }
    launch = read_submission(make(tmp_path, files)).launch
    assert launch.logs == ("train_seed42.log",)
    assert launch.logged["within_boost"].value == "0"
    assert not launch.logged["within_boost"].conflicts


@pytest.mark.parametrize(
    ("claim", "command", "logs"),
    [
        (1.1679, True, 0),
        (1.1679, False, 1),
        (1.0106, True, 1),
        (1.02, True, 1),
        (1.1301, True, 1),
        (1.1849, True, 1),
        (0.85, True, 1),
    ],
    ids=["worse", "worse, and no command", "the same", "mistyped", "printed before", "while training", "better"],
)
def test_the_log_of_a_better_run_than_the_claimed_one_documents_another(
    tmp_path: Path, claim: float, command: bool, logs: int
) -> None:
    """An experiment that the author does not claim; a mistyped score, or one of an earlier stage, is of this run."""
    scores = "step:9/9 val_loss:2.0 val_bpb:1.1849\nearly val_bpb:1.1301\nfinal val_loss:1.7 val_bpb:1.0106\n"
    files = {
        "train_gpt.py": SCRIPT,
        "README.md": f"# Run\n```\n{'WITHIN_BOOST=0 torchrun train_gpt.py' if command else 'see the code'}\n```\n",
        "submission.json": f'{{"val_bpb": {claim}}}',
        "train.log": "  within_boost: 0.75\n" + TRAINED + scores,
    }
    launch = read_submission(make(tmp_path, files)).launch
    assert len(launch.logs) == logs
    setting = launch.find("WITHIN_BOOST")
    assert setting is not None
    assert setting.value == ("0.75" if logs else "0")


def test_a_shell_script_documents_the_launch(tmp_path: Path) -> None:
    run = "#!/bin/bash\nexport WITHIN_BOOST=0   # off\nexport SEED=${SEED:-1337}\nTTT=1 \\\n torchrun train_gpt.py\n"
    launch = read(tmp_path, run=run).launch
    values = {name: (s.value, s.source, s.line) for name, s in launch.environment.items()}
    assert values == {
        "WITHIN_BOOST": ("0", SettingSource.SCRIPT, 2),
        "SEED": ("1337", SettingSource.SCRIPT, 3),
        "TTT": ("1", SettingSource.SCRIPT, 4),
    }


def test_the_script_of_an_ablation_does_not_document_the_launch(tmp_path: Path) -> None:
    command = "LORA_RANK={0} RUN_ID=r{0} torchrun train_gpt.py\n"
    files = {"run.sh": command.format(1), "run_ablation.sh": "MORE=1 " + command.format(2), "train_gpt.py": SCRIPT}
    environment = read_submission(make(tmp_path, files)).launch.environment
    assert (environment["LORA_RANK"].value, [c.value for c in environment["LORA_RANK"].conflicts]) == ("1", ["2"])
    assert (environment["RUN_ID"].value, environment["RUN_ID"].conflicts) == ("r1", ())
    assert "MORE" not in environment


def test_metadata_documents_the_launch_last(tmp_path: Path) -> None:
    metadata = (
        '{"env": {"A_FLAG": 1, "B_FLAG": "x"}, "run_command": "C_FLAG=2 torchrun train_gpt.py", "config": {"lr": 3}}'
    )
    launch = read(tmp_path, metadata=metadata, readme="```\nA_FLAG=9 python train_gpt.py\n```\n").launch
    assert {name: s.value for name, s in launch.environment.items()} == {"A_FLAG": "9", "B_FLAG": "x", "C_FLAG": "2"}
    assert launch.logged["lr"].source is SettingSource.METADATA


def test_the_final_command_rather_than_the_ablation(tmp_path: Path) -> None:
    readme = (
        "# Title\n## Reproduce\n```bash\nSLOT=0 TTT=1 SEED=1 torchrun train_gpt.py\n```\n"
        "## Ablations\n```bash\nSLOT=1 TTT=1 SEED=1 EXTRA=1 torchrun train_gpt.py\n```\n"
        "## Tokenize\n```bash\nSLOT=2 A=1 B=1 C=1 D=1 E=1 python prepare_data.py\n```\n"
    )
    launch = read(tmp_path, readme=readme).launch
    slot = launch.environment["SLOT"]
    assert (slot.value, [c.value for c in slot.conflicts]) == ("0", ["1"])
    assert "EXTRA" not in launch.environment


def test_an_indented_block_over_several_lines(tmp_path: Path) -> None:
    readme = "## Run\n\n    SLOT=1 TTT=1\n    LR=0.1\n    torchrun train_gpt.py\n\nThen wait.\n"
    environment = read(tmp_path, readme=readme).launch.environment
    assert {name: setting.value for name, setting in environment.items()} == {"SLOT": "1", "TTT": "1", "LR": "0.1"}


@pytest.mark.parametrize(
    "variation",
    [
        "Override with variables if needed:\n\n```bash\nSLOT=0 EXTRA=1 torchrun train_gpt.py\n```\n",
        "```bash\n# the same without SLOT\nSLOT=0 EXTRA=1 torchrun train_gpt.py\n```\n",
    ],
)
def test_a_variation_does_not_document_the_launch(tmp_path: Path, variation: str) -> None:
    readme = f"# Run command\n```bash\nSLOT=1 torchrun train_gpt.py\n```\n{variation}"
    environment = read(tmp_path, readme=readme).launch.environment
    assert environment["SLOT"].value == "1"
    assert "EXTRA" not in environment


def test_a_wrapper_that_forces_a_variable_overrides_the_command(tmp_path: Path) -> None:
    files = {
        "train_gpt.py": "import os, runpy\nos.environ['SLOT'] = '1'\n"
        "os.environ.setdefault('TTT', '1')\nrunpy.run_path('core.py')\n",
        "core.py": INNER,
        "README.md": "```\nSLOT=0 TTT=0 torchrun train_gpt.py\n```\n",
    }
    environment = read_submission(make(tmp_path, files)).launch.environment
    assert (environment["SLOT"].value, environment["SLOT"].source) == ("1", SettingSource.WRAPPER)
    assert (environment["TTT"].value, environment["TTT"].source) == ("0", SettingSource.README)


@pytest.mark.parametrize(
    "text",
    [
        "```bash\nA=1 B='x y' torchrun --standalone --nproc_per_node=8 train_gpt.py\n```",
        "```bash\n$ A=1 \\\n    B='x y' \\\n    torchrun train_gpt.py\n```",
        "```bash\nexport A=1\nexport B='x y'\ntorchrun train_gpt.py\n```",
        "```bash\nexport A=1 B='x y' && torchrun train_gpt.py\n```",
        "```bash\nA=1\nB='x y'\npython3 train_gpt.py\n```",
        "```\nenv A=1 B='x y' python3 -u train_gpt.py\n```",
        "```bash\nA=1 \\\n# a comment in between\nB='x y' torchrun train_gpt.py\n```",
        "```sh\nfor s in 1 2 3; do\n  A=1 B='x y' torchrun train_gpt.py\ndone\n```",
        "```bash\nA=1 B='x y' C_DIR=$(find / -name 'x (1)' | head -1) \\\ntorchrun train_gpt.py\n```",
        "```bash\nB='x y'  RUN_ID=<run id> A=1 torchrun train_gpt.py\n```",
        "```bash\nALL=\"A=1 \\\nB='x y'\"\nfor S in 1 2; do\n  env $ALL SEED=$S \\\n torchrun train_gpt.py\ndone\n```",
        "Run `A=1 B='x y' torchrun train_gpt.py` on the machine.",
        "    A=1 B='x y' torchrun train_gpt.py",
        "~~~\nA=1 B='x y' /opt/venv/bin/torchrun records/x/train_gpt.py > out.log 2>&1\n~~~",
    ],
)
def test_spellings_of_a_command(text: str) -> None:
    (command,) = commands_in_readme("# Run\n" + text, "README.md")
    values = {name: value for name, (value, _) in command.environment.items()}
    assert (values["A"], values["B"]) == ("1", "x y")
    assert command.script.endswith("train_gpt.py")
    assert command.heading == "run"


def test_a_block_of_assignments_alone() -> None:
    (command,) = commands_in_readme("## Config\n```\nA_X=1\nB_X=2\n```\n", "README.md")
    assert (command.script, {name: value for name, (value, _) in command.environment.items()}) == (
        "",
        {"A_X": "1", "B_X": "2"},
    )


def test_flags_of_the_command(tmp_path: Path) -> None:
    readme = "# Run\n```\ntorchrun train_gpt.py --ttt-lr 0.1 --loops=3 --compile --seed 7 out.log\n```\n"
    launch = read(tmp_path, readme=readme, log="  loops: 4\n" + TRAINED).launch
    values = {name: (s.value, s.source) for name, s in launch.logged.items()}
    assert values == {
        "ttt_lr": ("0.1", SettingSource.README),
        "loops": ("4", SettingSource.LOG),
        "compile": ("True", SettingSource.README),
        "seed": ("7", SettingSource.README),
    }


def test_arguments_are_kept() -> None:
    command = parse_command("A=1 torchrun train_gpt.py --lr 3 --no-ttt", "submission.json", 0)
    assert command is not None
    assert command.arguments == ("--lr", "3", "--no-ttt")


@pytest.mark.parametrize(
    "text", ["", "'", "A=1", "pip install torch", "torchrun", "x" * 50_000, "A=1 " * 20_000, "\\\n" * 999]
)
def test_what_is_no_command(text: str) -> None:
    assert commands_in_script(text, "run.sh") == ()

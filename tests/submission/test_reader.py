"""The entry, the closure of code it reaches, and the kernels it carries."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from folders import INNER, make

from auditor.submission import FileKind, ProblemKind, read_submission
from auditor.submission.fstrings import blank_formatted_strings

KERNEL = """#include <stdint.h>
void hints(const uint16_t *tokens, int n) {
    for (int i = 0; i < n; i++) { tokens[i]; }
}
"""


def names(root: Path) -> list[str]:
    return list(read_submission(root).sources)


@pytest.mark.parametrize(
    ("files", "entry"),
    [
        (["train_gpt.py", "train_gpt_mlx.py", "eval.py"], "train_gpt.py"),
        (["train_gpt_mlx.py", "prepare_data.py"], "train_gpt_mlx.py"),
        (["train.py", "helper.py"], "train.py"),
        (["train_v2_human.py", "zz.py"], "train_v2_human.py"),
        (["records/a/records/a/train_gpt.py"], "records/a/records/a/train_gpt.py"),
        (["main.py"], "main.py"),
    ],
)
def test_the_entry_by_name(tmp_path: Path, files: list[str], entry: str) -> None:
    found = read_submission(make(tmp_path, dict.fromkeys(files, INNER))).entry
    assert found is not None
    assert found.name == entry


def test_the_entry_by_the_documented_command(tmp_path: Path) -> None:
    files = {"train_a.py": INNER * 3, "solution.py": INNER, "README.md": "```\ntorchrun ./x/solution.py\n```"}
    found = read_submission(make(tmp_path, files)).entry
    assert found is not None
    assert found.name == "solution.py"


@pytest.mark.parametrize("files", [{"README.md": "nothing"}, {"train_gpt.py": ""}])
def test_no_entry_is_a_problem(tmp_path: Path, files: dict[str, str]) -> None:
    submission = read_submission(make(tmp_path, files))
    assert submission.entry is None
    assert submission.main is None
    kinds = {problem.kind for problem in submission.problems}
    assert kinds & {ProblemKind.MISSING_ENTRY, ProblemKind.EMPTY_ENTRY}


def test_a_script_that_only_a_log_holds(tmp_path: Path) -> None:
    rule = "=" * 100
    script = INNER + "import helper\nttt_lr = 7\n" * 20
    log = f"seed: 3\n{rule}\n{script}{rule}\nfinal_exact val_loss:1.9 val_bpb:1.1\n"
    submission = read_submission(make(tmp_path, {"train.log": log, "submission.json": '{"val_bpb": 1.1}'}))
    assert submission.main is not None
    assert submission.main.name == "train.log"
    assert submission.main.problem is None
    text = log.split("\n")
    assert all(line in {"", text[number]} for number, line in enumerate(submission.main.lines))
    assert "ttt_lr = 7" in submission.main.lines
    assert submission.logs[0].dump is not None
    assert submission.logs[0].dump.matches == "train.log"
    assert ProblemKind.MISSING_ENTRY in {problem.kind for problem in submission.problems}


@pytest.mark.parametrize(
    "reach",
    [
        "import helper",
        "from helper import f as g",
        "def f():\n    import helper",
        "exec(open('helper.py').read())",
        "exec(compile(open('helper.py').read(), 'helper.py', 'exec'))",
        "from pathlib import Path\nexec((Path(__file__).parent / 'helper.py').read_text())",
        "import os\nexec(open(os.path.join(os.path.dirname(__file__), 'helper.py')).read())",
        "import runpy\nrunpy.run_path('helper.py')",
        "import runpy\nrunpy.run_module('helper')",
        "import importlib\nimportlib.import_module('helper')",
        "import subprocess\nsubprocess.run(['python', 'helper.py'])",
        "import os\nos.system('python helper.py --x 1')",
        "import os,sys\nos.execv(sys.executable, [sys.executable, 'helper.py'])",
        "HELPER = 'helper.py'",
        'f = 1\nprint(f\'{f!r:>{f}} {"nested" + f"{f}"}\')\nimport helper',
    ],
)
def test_ways_to_reach_a_file(tmp_path: Path, reach: str) -> None:
    files = {
        "train_gpt.py": reach + "\n",
        "helper.py": "import deeper\n",
        "deeper.py": "x = 1\n",
        "other.py": "y = 1\n",
    }
    assert names(make(tmp_path, files)) == ["train_gpt.py", "helper.py", "deeper.py"]


def test_packages_and_relative_imports(tmp_path: Path) -> None:
    files = {
        "train_gpt.py": "from lib.model import GPT\n",
        "lib/__init__.py": "",
        "lib/model.py": "from . import parts\nfrom .sub.deep import x\n",
        "lib/parts.py": "",
        "lib/sub/__init__.py": "",
        "lib/sub/deep.py": "from ..other import y\n",
        "lib/other.py": "",
        "lib/unused.py": "",
    }
    assert set(names(make(tmp_path, files))) == set(files) - {"lib/unused.py"}


def test_a_docstring_reaches_nothing(tmp_path: Path) -> None:
    files = {"train_gpt.py": '"""\nother.py\n"""\ndef f():\n    "other.py"\n', "other.py": "x = 1\n"}
    assert names(make(tmp_path, files)) == ["train_gpt.py"]


def test_files_are_sorted_by_their_role(tmp_path: Path) -> None:
    files = {
        "train_gpt.py": INNER,
        "requirements.txt": "torch",
        "tok/x.model": "m",
        "final_model.int6.ptz": "w",
        "a.json": "",
    }
    submission = read_submission(make(tmp_path, files))
    assert [file.name for file in submission.requirements] == ["requirements.txt"]
    assert [file.name for file in submission.tokenizers] == ["tok/x.model"]
    assert [file.name for file in submission.artifacts] == ["final_model.int6.ptz"]
    assert submission.files["a.json"].kind is FileKind.OTHER


def test_kernels_in_files(tmp_path: Path) -> None:
    files = {
        "train_gpt.py": "import ctypes\nlib = ctypes.CDLL(build('k/state.c'))\n",
        "k/state.c": '#include "common.h"\n' + KERNEL,
        "k/common.h": "#define N 1\n",
        "unused.cu": "__global__ void f() {}\n",
    }
    kernels = {kernel.name: kernel for kernel in read_submission(make(tmp_path, files)).kernels}
    assert {name: (kernel.language, kernel.reached) for name, kernel in kernels.items()} == {
        "k/state.c": ("c", True),
        "k/common.h": ("c", True),
        "unused.cu": ("cuda", False),
    }


def test_a_kernel_in_a_literal_keeps_its_lines(tmp_path: Path) -> None:
    script = (
        "import ctypes\n\nSOURCE = r'''\n"
        + KERNEL
        + "'''\nESCAPED = "
        + repr("\n" + KERNEL)
        + "\nPROSE = '''void of (sense);\n"
        + "x" * 80
        + "'''\n"
    )
    kernels = read_submission(make(tmp_path, {"train_gpt.py": script})).kernels
    assert [(kernel.file, kernel.line, kernel.language) for kernel in kernels] == [
        ("train_gpt.py", 3, "c"),
        ("train_gpt.py", 9, "c"),
    ]
    inside = kernels[0].text.split("\n").index("    for (int i = 0; i < n; i++) { tokens[i]; }") + 1
    assert script.split("\n")[kernels[0].line_in_file(inside) - 1].lstrip().startswith("for (int i")
    assert kernels[1].line_in_file(4) == 9


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ('#include <vector>\nextern "C" int f(int x) { std::vector<int> v; return 1; }\n' + " " * 40, "c++"),
        ("__global__ void kernel(float *x) { int i = blockIdx.x; x[i] = 0; }" + " " * 40, "cuda"),
        ("static inline uint64_t mix(uint64_t h) { return h * 31; }" + " " * 40, "c"),
    ],
)
def test_the_language_of_a_literal(tmp_path: Path, text: str, language: str) -> None:
    kernels = read_submission(make(tmp_path, {"train_gpt.py": f"SOURCE = {text!r}\n"})).kernels
    assert [kernel.language for kernel in kernels] == [language]


NEWER = {
    "same quotes": 'x = f"{d["a"]}"\n',
    "nested": "x = f'{f'{f'{1}'}'}'\n",
    "newlines in a field": 'x = f"{\n  1 +\n  2\n}"\n',
    "backslash in a field": "x = f'{chr(10).join(a) + \"\\n\"}'\n",
    "minified": 'x=[f"{a["b"]:>{w}}"if c else"d"for a in b]\n',
    "format specification with a quote": "x = f\"{a:'>10} {b['c']!r}\" + f'{c['d']}'\n",
    "comment with a quote": "# it's\nx = f'{d['a']}'  # don't\n",
}


@pytest.mark.parametrize("code", NEWER.values(), ids=NEWER.keys())
def test_syntax_of_python_3_12(tmp_path: Path, code: str) -> None:
    submission = read_submission(make(tmp_path, {"train_gpt.py": code + "import helper\n", "helper.py": ""}))
    assert list(submission.sources) == ["train_gpt.py", "helper.py"]
    assert submission.entry is not None
    assert submission.entry.problem is None
    assert submission.entry.tree.code.startswith(code)
    assert ast.parse(blank_formatted_strings(code)).body[-1].lineno == code[: code.index("x")].count("\n") + 1


def test_blanking_keeps_lines_and_other_strings() -> None:
    code = "a = '''x\n{y}'''\nb = f'''\n{'''z'''}\n'''\nc = rf\"{1}\" + 'f\"{' # f'\nd = '\\'' f'{d['e']}'\n"
    blank = blank_formatted_strings(code)
    assert blank.count("\n") == code.count("\n")
    assert "a = '''x\n{y}'''\n" in blank
    assert "'f\"{' # f'" in blank
    assert [node.lineno for node in ast.parse(blank).body] == [1, 3, 6, 7]

"""Hostile folders cost bounded time and memory and get a clear line."""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from folders import INNER, make
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.submission import (
    ProblemKind,
    ReadLimits,
    UnparsableSourceError,
    UnreadableSubmissionError,
    read_submission,
)
from auditor.submission.commands import commands_in_readme
from auditor.submission.fstrings import blank_formatted_strings


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """Every test here ends within seconds and without much memory."""
    start = time.process_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.process_time() - start < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 << 10  # KiB


def kinds(root: Path, limits: ReadLimits | None = None) -> set[ProblemKind]:
    return {problem.kind for problem in read_submission(root, limits=limits).problems} - {ProblemKind.BAD_METADATA}


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSubmissionError, match="no such folder"):
        read_submission(tmp_path / "missing")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    with pytest.raises(UnreadableSubmissionError, match="not a folder"):
        read_submission(tmp_path / "x")


def test_a_name_with_a_zero_byte(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSubmissionError, match="no such folder"):
        read_submission(tmp_path / "a\0b")


def test_an_empty_folder(tmp_path: Path) -> None:
    assert kinds(tmp_path) == {ProblemKind.MISSING_ENTRY}


def test_links_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.py"
    secret.write_text("import os\n")
    root = make(tmp_path / "s", {"train_gpt.py": "import helper\nexec(open('../secret.py').read())\n", "sub/a.py": ""})
    (root / "helper.py").symlink_to(secret)
    (root / "loop").symlink_to(root)
    (root / "sub/up").symlink_to("..")
    submission = read_submission(root)
    assert list(submission.sources) == ["train_gpt.py"]
    assert {p.file for p in submission.problems if p.kind is ProblemKind.LINK} == {"helper.py", "loop", "sub/up"}


@pytest.mark.parametrize("path", ["../secret.bin", "/etc/passwd", "sub/../../secret.bin", "./.././secret.bin"])
def test_paths_do_not_escape(tmp_path: Path, path: str) -> None:
    make(tmp_path, {"secret.bin": "print('secret')  # " + "x" * 300})
    root = make(tmp_path / "s", {"train_gpt.py": f"exec(open({path!r},'rb').read())\n"})
    assert list(read_submission(root).sources) == ["train_gpt.py"]


def test_pipes_and_sockets_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, {"train_gpt.py": INNER})
    os.mkfifo(tmp_path / "train.log")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("README.md")
        assert kinds(tmp_path) == {ProblemKind.SPECIAL_FILE}


def test_many_files(tmp_path: Path) -> None:
    make(tmp_path, {"train_gpt.py": INNER} | {f"d{i % 7}/f{i}.py": "" for i in range(700)})
    assert ProblemKind.TOO_MANY_FILES in kinds(tmp_path, ReadLimits(entries=500))


def test_deep_folders(tmp_path: Path) -> None:
    make(tmp_path, {"train_gpt.py": INNER, "d/" * 40 + "x.py": "x = 1\n"})
    assert kinds(tmp_path) == {ProblemKind.TOO_DEEP}


@pytest.mark.parametrize("name", ["train_gpt.py", "README.md", "submission.json"])
def test_a_gigabyte(tmp_path: Path, name: str) -> None:
    make(tmp_path, {"train_gpt.py": INNER})
    with (tmp_path / name).open("wb") as stream:
        stream.write(b"x = '")
        stream.truncate(1 << 30)
    assert ProblemKind.TOO_LARGE in kinds(tmp_path)


def test_a_gigabyte_of_log_is_read_in_part(tmp_path: Path) -> None:
    make(tmp_path, {"train_gpt.py": INNER, "train.log": "seed: 5\n"})
    with (tmp_path / "train.log").open("r+b") as stream:
        stream.truncate(1 << 30)
    submission = read_submission(tmp_path, limits=ReadLimits(log_bytes=1 << 20))
    assert submission.logs[0].truncated
    assert submission.logs[0].seed == 5


def test_a_payload_over_the_limit(tmp_path: Path) -> None:
    root = make(tmp_path, {"train_gpt.py": "import zlib\nexec(zlib.decompress(open('x.bin','rb').read()))\n"})
    with (root / "x.bin").open("wb") as stream:
        stream.truncate(1 << 30)
    assert kinds(root) == {ProblemKind.DYNAMIC_CODE}


@pytest.mark.parametrize(
    "code",
    [
        "(" * 100_000,
        "x = " + "(" * 150 + ")" * 150,
        "x = " + "not " * 100_000 + "y",
        "x = " + "-" * 100_000 + "y",
        "x = y" + " and y" * 100_000,
        "x = y" + ".a" * 100_000,
        "x = y" + "[0]" * 2_000,
        "x = y" + "+1" * 100_000,
        "if x: pass\n" + "elif x: pass\n" * 5_000,
        "x = " + "lambda: " * 5_000 + "y",
        "x = f'" + "{a}" * 100_000 + "'",
        "x = " + "f'{" * 5_000 + "1" + "}'" * 5_000,
        "".join(" " * i + "if x:\n" for i in range(300)) + " " * 300 + "pass\n",
        "\0" * 1000,
        "x = '\\ud800'\n\ud7ff",
        "exec(" * 150 + "x" + ")" * 150,
        "x = 1" + "0" * 100_000,
    ],
)
def test_deep_syntax(tmp_path: Path, code: str) -> None:
    entry = read_submission(make(tmp_path, {"train_gpt.py": code})).entry
    assert entry is not None
    if entry.problem is None:
        assert entry.tree.code == code
    else:
        assert entry.problem.kind in {ProblemKind.TOO_DEEP, ProblemKind.UNPARSABLE}
        assert "\n" not in entry.problem.message
        with pytest.raises(UnparsableSourceError):
            _ = entry.tree


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    submission = read_submission(
        make(tmp_path, {"train_gpt.py": b"x = 1\ny = '\xff\xfe'\n", "README.md": b"\xff# Run\n"})
    )
    found = {(problem.file, problem.line) for problem in submission.problems if problem.kind is ProblemKind.NOT_TEXT}
    assert found == {("train_gpt.py", 2), ("README.md", 1)}


def test_a_file_name_that_is_not_utf8(tmp_path: Path) -> None:
    make(tmp_path, {"train_gpt.py": INNER})
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n.py")).write_text("x = 1\n")
    assert kinds(tmp_path) == set()


def test_modules_that_import_each_other(tmp_path: Path) -> None:
    files = {
        "train_gpt.py": "import a\n",
        "a.py": "import b\nimport train_gpt\n",
        "b.py": "import a\nexec(open('b.py').read())\n",
    }
    assert list(read_submission(make(tmp_path, files)).sources) == ["train_gpt.py", "a.py", "b.py"]


def test_a_script_that_writes_and_runs_itself_for_ever(tmp_path: Path) -> None:
    code = "import runpy\ns = open(__file__).read()\nopen('/tmp/a.py','w').write(s)\nrunpy.run_path('/tmp/a.py')\n"
    assert ProblemKind.TOO_DEEP in kinds(make(tmp_path, {"train_gpt.py": code}))


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.text(alphabet=st.sampled_from("fr'\"{}\\\n#:!x [](),=1"), max_size=60))
def test_blanking_never_raises_and_keeps_lines(text: str) -> None:
    assert blank_formatted_strings(text).count("\n") == text.count("\n")


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.text(alphabet=st.sampled_from("`~#A=1 'torchrun.py\n\\$&;|\"<>"), max_size=200))
def test_no_readme_breaks_the_command_reader(text: str) -> None:
    assert all(command.line >= 1 for command in commands_in_readme(text, "README.md"))


STATEMENTS = st.lists(
    st.sampled_from(
        [
            "import zlib, base64, os, runpy",
            "x = b'abc'",
            "x = zlib.compress(x)",
            "x = zlib.decompress(x)",
            "x = base64.b85decode(x)",
            "x = [x, x]",
            "x = {'a': x}",
            "x = x['a']",
            "x = x[0]",
            "x = x[::-1]",
            "x = ''.join(x)",
            "x = x.decode()",
            "x = x + x",
            "x, y = x",
            "x = lambda y=x: y",
            "x = x()",
            "x = open(x).read()",
            "open('a.py', 'w').write(x)",
            "runpy.run_path('a.py')",
            "exec(x)",
            "x = [y for y in x if y]",
            "x = 3",
            "x = os.environ",
            "x['A'] = 'b'",
            "def f(x):\n    return x",
            "x = f(x)",
            "x = f'{x}'",
            "x = str(x)",
            "x = bytes(x)",
            "x = x.replace(x, x)",
            "x = x.split(x)",
            "x = not x",
            "for x in x:\n    exec(x)",
        ]
    ),
    max_size=12,
)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(STATEMENTS)
def test_no_loader_breaks_the_interpreter(tmp_path_factory: pytest.TempPathFactory, statements: list[str]) -> None:
    root = make(tmp_path_factory.mktemp("s"), {"train_gpt.py": "\n".join([*statements, "exec(x)"])})
    assert read_submission(root).entry is not None

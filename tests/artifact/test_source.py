from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from evaluator.artifact import DecodeLimits, decode
from evaluator.artifact.source import read_artifact
from evaluator.refusal import Refused

LIMIT = DecodeLimits().file_bytes


def _fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def _link(path: Path, target: Path | str) -> Path:
    path.symlink_to(target)
    return path


def _socket(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    return path


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


FILES: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "absent": ("not-found", lambda path: path),
    "dangling symbolic link": ("not-found", lambda path: _link(path, "nowhere")),
    "directory": ("not-a-file", lambda path: path.parent),
    "FIFO without a writer": ("not-a-file", _fifo),
    "symbolic link to a FIFO": ("not-a-file", lambda path: _link(path, _fifo(path.with_name("fifo")))),
    "/dev/zero": ("not-a-file", lambda _: Path("/dev/zero")),
    "symbolic link to /dev/zero": ("not-a-file", lambda path: _link(path, "/dev/zero")),
    "symbolic link to itself": ("unreadable", lambda path: _link(path, path.name)),
    "socket": ("unreadable", _socket),
    "name with NUL": ("unreadable", lambda path: Path(f"{path}\0")),
    "a file as a folder": ("unreadable", lambda path: _written(path, b"x") / "artifact.ptz"),
    "empty": ("empty", lambda path: _written(path, b"")),
    "600 MiB, sparse": ("file-too-large", lambda path: _sparse(path, 600 << 20)),
    "Git-LFS pointer": (
        "git-lfs-pointer",
        lambda path: _written(path, b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 15\n"),
    ),
    "two bytes of text": ("text", lambda path: _written(path, b"{}")),
    "page of HTML": ("text", lambda path: _written(path, b"<!DOCTYPE html>\n<p>404 Not Found\n")),
    "long text, a character cut at the probe's end": ("text", lambda path: _written(path, b"x" + "é".encode() * 4000)),
    "lrzip": ("unsupported-format", lambda path: _written(path, b"LRZI\0\x06" + bytes(range(256)))),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_parent_refuses_it(kind: str, tmp_path: Path) -> None:
    reason, make = FILES[kind]
    path = make(tmp_path / "artifact.ptz")
    with pytest.raises(Refused) as refused:
        decode(path, tmp_path)
    assert refused.value.reason == reason
    assert refused.value.message.isprintable()


AS_NOBODY = """
import os, sys
from pathlib import Path
from evaluator.artifact.source import read_artifact
from evaluator.refusal import Refused
if os.geteuid() == 0:  # root may read everything
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    print(len(read_artifact(Path(sys.argv[1]), 1000)))
except Refused as refused:
    print(refused.reason)
"""


@pytest.mark.parametrize(("mode", "outcome"), [(0o000, "unreadable"), (0o644, "2")])
def test_a_file_without_permission_is_refused(mode: int, outcome: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = _written(Path(folder) / "artifact.ptz", b"\x78\xda")
        path.chmod(mode)
        done = subprocess.run([sys.executable, "-c", AS_NOBODY, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == f"{outcome}\n"


def test_a_symbolic_link_to_a_file_is_followed(tmp_path: Path) -> None:
    target = _written(tmp_path / "target", b"\x78\xda\x00\x01")
    assert read_artifact(_link(tmp_path / "artifact.ptz", target), LIMIT) == b"\x78\xda\x00\x01"


def test_the_limit_is_the_largest_size_that_is_read(tmp_path: Path) -> None:
    path = _written(tmp_path / "artifact.ptz", b"\x78\xda\x00\x01")
    assert len(read_artifact(path, 4)) == 4
    with pytest.raises(Refused, match="file-too-large"):
        read_artifact(path, 3)


def test_binary_that_starts_like_text_is_not_text(tmp_path: Path) -> None:
    data = b"BSHF\x02" + bytes(range(256))
    assert read_artifact(_written(tmp_path / "artifact.ptz", data), LIMIT) == data

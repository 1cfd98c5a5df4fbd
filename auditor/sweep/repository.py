"""A repository read through git's own objects: nothing is checked out, fetched or run.

A partial clone may lack large blobs; git is told never to ask for them, and what is absent is named.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_CHUNK = 1 << 20


class RepositoryError(Exception):
    """Git refused; one line."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A ref and the commit at its end.

    Attributes:
        name: such as ``refs/pull/12/head``.
        commit: object id.
        time: seconds since the epoch when the commit was authored.
    """

    name: str
    commit: str
    time: int


@dataclass(frozen=True, slots=True)
class Change:
    """One file that differs between two commits; ``kind`` is A, M, D or T as git says it."""

    kind: str
    path: str


@dataclass(frozen=True, slots=True)
class Blob:
    """A file of a tree.

    Attributes:
        path: relative to the tree, undecodable bytes as surrogates.
        mode: git's, such as ``"100644"`` or ``"120000"`` for a link.
        oid: object id.
    """

    path: str
    mode: str
    oid: str


class Repository:
    """A git directory, with or without a work tree.

    Args:
        folder: the git directory, or a work tree that has one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def refs(self, pattern: str) -> tuple[Ref, ...]:
        """Refs that match a pattern of ``git for-each-ref`` and point to commits, by name."""
        form = "--format=%(refname)%00%(objectname)%00%(objecttype)%00%(authordate:unix)"
        rows = [line.split("\0") for line in self._text("for-each-ref", form, pattern).splitlines()]
        return tuple(Ref(name, commit, int(time or 0)) for name, commit, kind, time in rows if kind == "commit")

    def commit(self, name: str) -> str:
        """The commit that ``name`` means.

        Raises:
            RepositoryError: there is none.
        """
        self._text("rev-parse", "--git-dir")  # says what is wrong with the repository itself
        try:
            return self._text("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").strip()
        except RepositoryError:
            raise RepositoryError(f"no commit {name!r}") from None

    def base(self, main: str, head: str) -> str:
        """Where ``head`` left ``main``: their merge base; for a head that was merged, the merge base before that.

        Without a common ancestor it is ``main`` itself.
        """
        base = self._merge_base(main, head)
        if base == head:
            path = self._text("rev-list", "--first-parent", "--ancestry-path", f"{head}..{main}").split()
            before = f"{path[-1]}^1" if path else f"{head}^1"
            base = self._merge_base(before, head)
            if base == head:  # main was moved forward to the head itself
                base = self._merge_base(f"{head}^1", head) or _EMPTY_TREE
        return base or main

    def changes(self, base: str, head: str) -> tuple[Change, ...]:
        """Files that differ, by path; a moved file is one deleted and one added."""
        fields = self._bytes("diff-tree", "-r", "-z", "--raw", "--no-renames", base, head).split(b"\0")
        return tuple(
            Change(meta.split()[4].decode()[:1], os.fsdecode(path))
            for meta, path in zip(fields[::2], fields[1::2], strict=False)
        )

    def blobs(self, commit: str, folder: str) -> tuple[Blob, ...]:
        """Files below ``folder`` of a commit (``""`` is the top), by path relative to it."""
        tree = self._text("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}:{folder}").strip()
        rows = self._bytes("ls-tree", "-r", "-z", tree).split(b"\0")
        parts = [row.split(b"\t", 1) for row in rows if row]
        return tuple(Blob(os.fsdecode(path), *_mode_and_oid(meta)) for meta, path in parts)

    def _merge_base(self, one: str, other: str) -> str:
        try:
            return self._text("merge-base", one, other).strip()
        except RepositoryError:
            return ""

    def _text(self, *arguments: str) -> str:
        return os.fsdecode(self._bytes(*arguments))

    def _bytes(self, *arguments: str) -> bytes:
        done = subprocess.run(
            command(self.folder, *map(os.fsencode, arguments)), capture_output=True, env=environment(), check=False
        )
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit {done.returncode}"]
            raise RepositoryError(f"git {arguments[0]}: {said[-1][:300]}")
        return done.stdout


class BlobReader:
    """One long-lived ``git cat-file --batch``.

    Args:
        folder: as of :class:`Repository`.
    """

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            command(folder, b"cat-file", b"--batch"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait()

    def copy(self, oid: str, to: IO[bytes], limit: int) -> bool:
        """Copy the first ``limit`` bytes of a blob; False when the repository lacks it.

        Raises:
            RepositoryError: git ended.
        """
        source, answers = self._process.stdin, self._process.stdout
        if source is None or answers is None:
            raise RepositoryError("git cat-file has no pipes")
        source.write(oid.encode() + b"\n")
        source.flush()
        head = answers.readline().split()
        if len(head) == 2 and head[1] == b"missing":
            return False
        if len(head) != 3:
            raise RepositoryError("git cat-file ended")
        for chunk in _chunks(answers, int(head[2])):
            to.write(chunk[: max(0, limit)])
            limit -= len(chunk)
        answers.read(1)
        return True


def command(folder: Path, *arguments: bytes) -> list[bytes]:
    """The command line of git for ``folder``, deaf to hooks, pagers and monitors that its configuration may name."""
    safe = [b"-c", b"core.fsmonitor=false", b"-c", b"core.hooksPath=/dev/null", b"-c", b"safe.directory=*"]
    return [b"git", b"-C", os.fsencode(folder), *safe, b"--no-pager", *arguments]


def environment() -> dict[str, str]:
    """The environment for git: no fetching of absent objects, no prompts, no locks, no translated messages."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


def _chunks(stream: IO[bytes], size: int) -> Iterator[bytes]:
    while size:
        chunk = stream.read(min(size, _CHUNK))
        if not chunk:
            raise RepositoryError("git cat-file ended")
        size -= len(chunk)
        yield chunk


def _mode_and_oid(meta: bytes) -> tuple[str, str]:
    mode, _, oid = meta.decode().split()
    return mode, oid

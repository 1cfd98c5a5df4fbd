"""Files around a run: the same relative layout at the same place for every run, and nothing left of the run before.

Runs come one after another, so all use one path: a loader that seeds its generator from the path of the data, or a
script that keeps a counter in the temporary folder, must not tell one run from another.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from auditor.probe.plan import Setup, Stream, Variant
from auditor.probe.streams import byte_counts, training_stream
from auditor.probe.tokenizer import toy_tokenizer
from rules.contest.shards import write_shard

_COPIED_BYTES = 4 << 20
"""Larger files of the submission are linked; the submission's folder is read-only anyway."""


@dataclass(frozen=True)
class Workplace:
    """Where a run finds its files.

    Attributes:
        home: everything a run may write; wiped between runs.
        setup: names of data folders and tokenizers.
    """

    home: Path
    setup: Setup

    @property
    def work(self) -> Path:
        """The working directory, which holds the submission's files."""
        return self.home / "work"

    @property
    def temporary(self) -> Path:
        """TMPDIR and HOME."""
        return self.home / "temporary"

    @property
    def script(self) -> Path:
        """The entry script."""
        return self.work / PurePosixPath(self.setup.entry).name

    @property
    def _dataset(self) -> str:
        return f"fineweb10B_sp{self.setup.vocabulary}"

    @property
    def _model(self) -> str:
        return f"fineweb_{self.setup.vocabulary}_bpe.model"

    def environment(self) -> dict[str, str]:
        """Where the data is, relative to the working directory."""
        return {
            "DATA_DIR": "./data/",
            "DATA_PATH": f"./data/datasets/{self._dataset}",
            "TOKENIZER_PATH": f"./data/tokenizers/{self._model}",
            "VOCAB_SIZE": str(self.setup.vocabulary),
            "ARTIFACT_DIR": "",
            "HOME": str(self.temporary),
            "TMPDIR": str(self.temporary),
            "TRITON_CACHE_DIR": str(self.temporary / "triton"),
        }

    def build(self, root: Path, files: Iterable[str], variant: Variant) -> None:
        """Wipe ``home`` and fill it for one run."""
        wipe(self.home)
        self.temporary.mkdir(parents=True)
        self.work.mkdir()
        self._bring(root, files)
        data = self.work / "data"
        if data.is_symlink() or data.is_file():
            data.unlink()
        tokenizers, folder = data / "tokenizers", data / "datasets" / self._dataset
        for made in (tokenizers, folder):
            made.mkdir(parents=True, exist_ok=True)
        model = toy_tokenizer(self.setup.vocabulary)
        for name in dict.fromkeys((self._model, *self.setup.tokenizers)):
            (tokenizers / name).write_bytes(model)
        train = None if variant.train_after else variant.train
        self.write_train(train)
        self.write_validation(variant.validation)
        for name in self.setup.datasets:
            alias = data / "datasets" / name
            if not alias.exists():
                alias.symlink_to(self._dataset)

    def write_train(self, stream: Stream | None) -> None:
        """Write the training shard, in place where there is one; None for the usual stream."""
        folder = self.work / "data" / "datasets" / self._dataset
        tokens = training_stream(self.setup.vocabulary) if stream is None else stream.tokens
        write_shard(folder / "fineweb_train_000000.bin", tokens)

    def write_validation(self, stream: Stream) -> None:
        """Write the validation shard, and its sidecar where the script reads one."""
        folder = self.work / "data" / "datasets" / self._dataset
        write_shard(folder / "fineweb_val_000000.bin", stream.tokens)
        if self.setup.sidecar:
            write_shard(folder / "fineweb_val_bytes_000000.bin", sidecar(stream))

    def change_validation(self, stream: Stream) -> None:
        """Write the validation shard as a new file: what has mapped or opened the one before keeps that."""
        for shard in (self.work / "data" / "datasets" / self._dataset).glob("fineweb_val_*.bin"):
            shard.unlink()
        self.write_validation(stream)

    def _bring(self, root: Path, files: Iterable[str]) -> None:
        prefix = PurePosixPath(self.setup.entry).parent
        for name in files:
            path = PurePosixPath(name)
            if not path.is_relative_to(prefix):
                continue
            source, target = root / name, self.work / path.relative_to(prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.stat().st_size <= _COPIED_BYTES:
                shutil.copyfile(source, target)
            else:
                target.symlink_to(source)


def sidecar(stream: Stream) -> npt.NDArray[np.int64]:
    """What the sidecar of byte counts holds for ``stream``, int64 [n]."""
    return byte_counts(stream.tokens) if stream.bytes is None else stream.bytes


def wipe(folder: Path) -> None:
    """Delete ``folder``, whatever permissions a run has left there."""
    if not folder.exists():
        return
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink() and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            path.chmod(stat.S_IRWXU)  # refused where an ordinary user's sandbox keeps modes as they were made
    shutil.rmtree(folder)


@dataclass(frozen=True, slots=True)
class _Kept:
    content: bytes
    modified: int


class Snapshot:
    """The files of a folder at one moment, to be restored in place after a forked child has written there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = {path: _Kept(path.read_bytes(), path.stat().st_mtime_ns) for path in _regular_files(folder)}
        self._folders = {path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()}

    def restore(self) -> None:
        """Bring files and folders back; a file keeps its inode unless the child deleted it."""
        present = set(_regular_files(self.folder))
        for path in present - self._files.keys():
            path.unlink()
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink() and path not in self._folders:
                shutil.rmtree(path)
        for path in sorted(self._folders):
            path.mkdir(parents=True, exist_ok=True)
        for path, kept in self._files.items():
            if path not in present or path.stat().st_mtime_ns != kept.modified:
                path.write_bytes(kept.content)
                self._files[path] = _Kept(kept.content, path.stat().st_mtime_ns)


def _regular_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


class Written:
    """Tells which files of the working directory a run has written."""

    def __init__(self, work: Path, ignored: Sequence[str] = ("data",)) -> None:
        self.work = work
        self.ignored = ignored
        self._before = self._digests()

    def artifacts(self) -> dict[str, str]:
        """SHA-256, in hex, of each file that was not there before or is different now."""
        return {name: digest for name, digest in self._digests().items() if self._before.get(name) != digest}

    def _digests(self) -> dict[str, str]:
        found = {}
        for path in sorted(_regular_files(self.work)):
            name = path.relative_to(self.work)
            if name.parts[0] not in self.ignored and "__pycache__" not in name.parts:
                with path.open("rb") as file:
                    found[str(name)] = hashlib.file_digest(file, "sha256").hexdigest()
        return found

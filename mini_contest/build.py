"""The build: corpus, tokenizer and shards, model, artifact, manifest; cached by what it was made from.

A finished folder holds ``artifact.ptz``, ``artifact.manifest.json``, ``data/`` (tokenizer, shards, ``dataset.json``)
and ``build.json``; a folder whose ``build.json`` has another key is made anew.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from evaluator.manifest import Manifest, write_manifest
from mini_contest.corpus import build_corpus, sources
from mini_contest.dataset import TOKENIZER_NAME, write_dataset
from mini_contest.progress import Stage
from mini_contest.settings import BuildSettings
from mini_contest.training import TrainedModel, pack, train_model
from rules.contest.dataset import DatasetManifest
from rules.contest.shards import concatenate, find_shards, read_shard

ARTIFACT_NAME: Final = "artifact.ptz"
RECORD_NAME: Final = "build.json"


class BuildRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished build was made from, and what it made.

    Attributes:
        key: :meth:`BuildSettings.key` of the settings.
        settings: the settings themselves.
        artifact_sha256: digest of the artifact.
        artifact_bytes: its size.
        tokens_sha256: digest of the validation tokens.
        parameters: of the model.
        loss: mean training loss of the last steps, nats per token.
        seconds: wall seconds of the whole build.
    """

    key: str
    settings: BuildSettings
    artifact_sha256: str
    artifact_bytes: int
    tokens_sha256: str
    parameters: int
    loss: float
    seconds: float


def build(folder: Path, settings: BuildSettings, *, force: bool = False) -> BuildRecord:
    """Make the mini contest in ``folder``, or find it there.

    Args:
        folder: replaced as a whole unless it holds what ``settings`` would make.
        settings: what to make.
        force: make it anew in any case.

    Raises:
        FileExistsError: ``folder`` holds something that no build made.
    """
    if not force and (found := finished(folder, settings)) is not None:
        return found
    _require_replaceable(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Made beside the final place and moved there when whole: a build that breaks off never looks finished.
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        record = _build(Path(scratch) / folder.name, settings)
        shutil.rmtree(folder, ignore_errors=True)
        (Path(scratch) / folder.name).rename(folder)
    return record


def finished(folder: Path, settings: BuildSettings) -> BuildRecord | None:
    """The record of ``folder`` if it holds what ``settings`` would make, with the artifact as it was made."""
    try:
        record = msgspec.json.decode((folder / RECORD_NAME).read_bytes(), type=BuildRecord)
        artifact = (folder / ARTIFACT_NAME).read_bytes()
    except (OSError, ValueError):
        return None
    whole = hashlib.sha256(artifact).hexdigest() == record.artifact_sha256
    return record if whole and record.key == settings.key() else None


def _require_replaceable(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and ((folder / RECORD_NAME).exists() or not any(folder.iterdir()))):
        raise FileExistsError(f"{folder} is not empty and no build made it: name another folder or remove it")


def _build(folder: Path, settings: BuildSettings) -> BuildRecord:
    began = time.monotonic()
    console = Console(stderr=True)
    data = _make_data(folder / "data", settings, console)
    trained = _train(folder / "data", settings, console)
    artifact = pack(trained.state)
    (folder / ARTIFACT_NAME).write_bytes(artifact)
    manifest = Manifest(
        contest="mini",
        preset=settings.preset,
        data="data",
        tokenizer=f"data/{TOKENIZER_NAME}",
    )
    write_manifest(folder / ARTIFACT_NAME, manifest)
    record = BuildRecord(
        key=settings.key(),
        settings=settings,
        artifact_sha256=hashlib.sha256(artifact).hexdigest(),
        artifact_bytes=len(artifact),
        tokens_sha256=data.val.sha256,
        parameters=trained.parameters,
        loss=trained.loss,
        seconds=time.monotonic() - began,
    )
    (folder / RECORD_NAME).write_bytes(msgspec.json.format(msgspec.json.encode(record)) + b"\n")
    return record


def _make_data(folder: Path, settings: BuildSettings, console: Console) -> DatasetManifest:
    with Stage("read", console) as stage:
        chosen = sources(settings.fraction)
        corpus = build_corpus(chosen, settings.document_chars, settings.val_share, stage.report)
    with Stage("tokenize", console) as stage:
        manifest = write_dataset(folder, corpus, settings.vocab_size)
        train = manifest.train.tokens if manifest.train else 0
        stage.report(1, 1, f"{train:,} train and {manifest.val.tokens:,} val tokens in {manifest.vocab_size:,} pieces")
    return manifest


def _train(data: Path, settings: BuildSettings, console: Console) -> TrainedModel:
    tokens = concatenate([read_shard(shard) for shard in find_shards(data, "train")])
    with Stage("train", console) as stage:
        return train_model(tokens, settings, stage.report)

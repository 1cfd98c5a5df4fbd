from __future__ import annotations

import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
import sp_models

from evaluator.refusal import Refused
from evaluator.stream import ValidationStream, open_stream
from evaluator.verify import verify_stream
from rules.contest.completeness import Coverage
from rules.contest.dataset import DatasetManifest, SplitManifest, write_manifest
from rules.contest.documents import document_digests, stream_digest
from rules.contest.profile import load_profile
from rules.contest.shards import find_shards, read_shard, shard_path, write_shard
from rules.contest.sidecar import sidecar_path

MINI = load_profile("mini")
MODEL = sp_models.train()
TEXTS = sp_models.TEXTS[:20]
TEXT_BYTES = sum(len(text.encode()) for text in TEXTS)
CASEOPS = sp_models.train(user_defined_symbols=["\ue001", "\ue002", "\ue003", "\ue004"])


def contest(folder: Path, texts: tuple[str, ...] = TEXTS, model: bytes = MODEL, shards: int = 1) -> ValidationStream:
    return open_stream(folder, sp_models.write_contest(folder, model, texts, shards=shards), MINI)


def manifest_of(stream: ValidationStream) -> DatasetManifest:
    return DatasetManifest(
        contest="mini",
        source="test",
        tokenizer="tokenizer.model",
        tokenizer_sha256=stream.tokenizer.sha256,
        vocab_size=stream.tokenizer.vocab_size,
        val=SplitManifest(
            documents=stream.documents,
            tokens=len(stream.tokens),
            text_bytes=stream.credited_bytes,
            sha256=stream_digest(stream.tokens),
            document_digests=tuple(document_digests(stream.tokens, stream.starts)),
        ),
    )


def reason_for(folder: Path, tokenizer: Path | None = None) -> str:
    with pytest.raises(Refused) as refusal:
        verify_stream(open_stream(folder, tokenizer or folder / "tokenizer.model", MINI))
    assert "\n" not in refusal.value.message
    return refusal.value.reason


def test_a_stream_is_opened_whole_and_read_only(tmp_path: Path) -> None:
    stream = contest(tmp_path)
    assert stream.positions == len(stream.tokens) - 1
    assert stream.documents == len(TEXTS)
    assert stream.credited_bytes == TEXT_BYTES
    assert stream.bytes_from == "table"
    for array in (stream.tokens, stream.credited):
        assert not array.flags.writeable


def test_shards_are_only_a_way_to_store_a_stream(tmp_path: Path) -> None:
    one, three = contest(tmp_path / "one"), contest(tmp_path / "three", shards=3)
    assert len(three.shards) == 3
    assert np.array_equal(one.tokens, three.tokens)
    assert np.array_equal(one.credited, three.credited)
    first, second = verify_stream(one), verify_stream(three)
    assert (first.tokens_sha256, first.bytes_sha256) == (second.tokens_sha256, second.bytes_sha256)


def test_verification_counts_and_reports_progress(tmp_path: Path) -> None:
    progress: list[tuple[int, int]] = []
    facts = verify_stream(contest(tmp_path), lambda done, total: progress.append((done, total)))
    assert facts.text_bytes == TEXT_BYTES
    assert facts.completeness.coverage is Coverage.UNKNOWN  # nothing to compare with
    assert progress[-1] == (len(TEXTS), len(TEXTS))


@pytest.mark.parametrize(
    ("texts", "coverage"),
    [
        (TEXTS, Coverage.COMPLETE),
        (TEXTS[:7], Coverage.PARTIAL),
        (TEXTS[::-1], Coverage.REORDERED),
        (("other text", *TEXTS[1:]), Coverage.UNKNOWN),
    ],
)
def test_the_manifest_tells_what_is_complete(tmp_path: Path, texts: tuple[str, ...], coverage: Coverage) -> None:
    manifest = manifest_of(contest(tmp_path / "whole"))
    sp_models.write_contest(tmp_path, MODEL, texts)
    write_manifest(tmp_path, manifest)
    facts = verify_stream(open_stream(tmp_path, tmp_path / "tokenizer.model", MINI))
    assert facts.completeness.coverage is coverage


def test_one_token_makes_another_digest(tmp_path: Path) -> None:
    stream = contest(tmp_path / "a")
    tokens = stream.tokens.copy()
    tokens[-1] = tokens[-2]
    write_shard(shard_path(tmp_path, "val"), tokens)
    changed = open_stream(tmp_path, stream.tokenizer.path, MINI)
    assert verify_stream(changed).tokens_sha256 != verify_stream(stream).tokens_sha256


def test_a_manifest_of_other_data_is_refused(tmp_path: Path) -> None:
    manifest = manifest_of(contest(tmp_path))
    val = msgspec.structs.replace(manifest.val, text_bytes=1)
    for change, reason in (
        ({"contest": "parameter-golf"}, "contest-mismatch"),
        ({"tokenizer_sha256": "0" * 64}, "tokenizer-mismatch"),
        ({"val": val}, "credited-bytes"),
    ):
        write_manifest(tmp_path, msgspec.structs.replace(manifest, **change))
        assert reason_for(tmp_path) == reason
    (tmp_path / "dataset.json").write_text('{"contest": "mini"}')
    assert reason_for(tmp_path) == "manifest-invalid"


def test_tokenizers_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    contest(tmp_path)
    bad = tmp_path / "bad.model"
    for content, reason in (
        (b"", "tokenizer-invalid"),
        (b"garbage" * 100, "tokenizer-invalid"),
        (sp_models.train(bos_id=-1), "tokenizer-bos"),
        (sp_models.rename_pieces(MODEL, lambda piece: piece if piece != "▁fox" else 300 * "x"), "tokenizer-bomb"),
        (sp_models.train(vocab_size=300), "token-outside-vocabulary"),
    ):
        bad.write_bytes(content)
        assert reason_for(tmp_path, bad) == reason
    os.mkfifo(tmp_path / "fifo")
    assert reason_for(tmp_path, tmp_path / "fifo") == "tokenizer-not-a-file"
    assert reason_for(tmp_path, tmp_path / "absent") == "tokenizer-missing"


def test_an_inflating_tokenizer_is_refused(tmp_path: Path) -> None:
    inflating = sp_models.rename_pieces(MODEL, lambda piece: piece.replace("▁", "\u2603"))
    sp_models.write_contest(tmp_path, inflating, TEXTS)
    assert reason_for(tmp_path) == "byte-recount"


def test_streams_without_a_target_or_a_byte_are_refused(tmp_path: Path) -> None:
    contest(tmp_path)
    for ids, reason in (
        ([], "stream-start"),
        ([1], "stream-too-short"),
        ([1, 1], "no-bytes"),
        ([5, 6], "stream-start"),
    ):
        write_shard(shard_path(tmp_path, "val"), ids)
        assert reason_for(tmp_path) == reason


def test_caseops_data_need_a_plausible_sidecar(tmp_path: Path) -> None:
    texts = ("\ue001the \ue002fox jumps over the lazy dogs", "\ue001naïve wizards")
    original = sum(len(text.encode()) for text in ("The FOX jumps over the lazy dogs", "Naïve wizards"))
    sp_models.write_contest(tmp_path, CASEOPS, texts)
    assert reason_for(tmp_path) == "sidecar-missing"

    (shard,) = find_shards(tmp_path, "val")
    side = np.zeros(len(read_shard(shard)), np.int64)
    side[1] = original
    write_shard(sidecar_path(shard, "val"), side)
    stream = open_stream(tmp_path, tmp_path / "tokenizer.model", MINI)
    assert stream.bytes_from == "sidecar"
    assert verify_stream(stream).text_bytes == original

    side[2] = 5
    write_shard(sidecar_path(shard, "val"), side)
    assert reason_for(tmp_path) == "sidecar-implausible"

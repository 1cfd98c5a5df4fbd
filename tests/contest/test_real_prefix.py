"""The first 1,040,298 tokens of the contest's own validation stream."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluator.stream import open_stream
from evaluator.verify import verify_stream
from rules.contest.byte_counts import decode_documents
from rules.contest.completeness import Coverage
from rules.contest.profile import load_profile
from rules.contest.shards import shard_path, write_shard
from rules.contest.tokenizer import load_tokenizer


@pytest.fixture
def prefix(real_data: Path, tmp_path: Path) -> Path:
    shard_path(tmp_path, "val").symlink_to((real_data / "fineweb_val_prefix_sp1024.bin").resolve())
    return tmp_path


def test_the_prefix_is_what_it_is_known_to_be(real_data: Path, prefix: Path) -> None:
    stream = open_stream(prefix, real_data / "fineweb_1024_bpe.model", load_profile("parameter-golf"))
    assert (len(stream.tokens), stream.documents, stream.credited_bytes) == (1_040_298, 902, 2_504_867)
    facts = verify_stream(stream)
    assert facts.text_bytes == 2_504_867
    assert facts.completeness.coverage is Coverage.PARTIAL
    assert "first 901 documents" in facts.completeness.evidence


def test_decoding_and_encoding_gives_the_same_ids(real_data: Path, prefix: Path) -> None:
    stream = open_stream(prefix, real_data / "fineweb_1024_bpe.model", load_profile("parameter-golf"))
    processor = stream.tokenizer.processor
    texts = [text for batch in decode_documents(stream.tokens, stream.starts, processor) for text in batch]
    again = [token for ids in processor.encode(texts, num_threads=1) for token in (1, *ids)]
    assert again == stream.tokens.tolist()


def test_another_tokenizer_is_recognised_by_the_same_text(real_data: Path, prefix: Path, tmp_path: Path) -> None:
    profile = load_profile("parameter-golf")
    stream = open_stream(prefix, real_data / "fineweb_1024_bpe.model", profile)
    whole = stream.starts[101]
    tokens = stream.tokens[:whole]
    texts = [
        text for batch in decode_documents(tokens, stream.starts[:101], stream.tokenizer.processor) for text in batch
    ]
    other = load_tokenizer(real_data / "fineweb_8192_bpe.model")
    folder = tmp_path / "sp8192"
    folder.mkdir()
    write_shard(shard_path(folder, "val"), [token for ids in other.processor.encode(texts) for token in (1, *ids)])
    facts = verify_stream(open_stream(folder, other.path, profile))
    assert facts.completeness.coverage is Coverage.PARTIAL
    assert "first 100 documents" in facts.completeness.evidence
    assert facts.text_bytes == sum(len(text.encode()) for text in texts)

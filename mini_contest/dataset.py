"""Corpus to data set: a tokenizer trained on the train split, FineWeb-format shards, and the manifest beside them."""

from __future__ import annotations

import hashlib
import io
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from mini_contest.corpus import Corpus
from rules.contest.byte_counts import text_bytes
from rules.contest.dataset import DatasetManifest, SplitManifest, write_manifest
from rules.contest.documents import document_digests, document_starts, stream_digest
from rules.contest.shards import Split, Tokens, shard_path, write_shard

BOS: Final = 1
TOKENIZER_NAME: Final = "tokenizer.model"


def train_tokenizer(texts: Sequence[str], vocab_size: int) -> bytes:
    """A SentencePiece BPE model with the contest's trainer settings (artifacts.md 5), on one thread: repeatable.

    Returns:
        The serialized model.
    """
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        model_type="bpe",
        vocab_size=vocab_size,
        hard_vocab_limit=False,
        character_coverage=0.999,
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="nmt_nfkc",
        add_dummy_prefix=False,
        pad_id=0,
        bos_id=BOS,
        eos_id=2,
        unk_id=3,
        max_sentence_length=1 << 20,  # the default silently drops documents above 4,192 bytes
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def write_dataset(folder: Path, corpus: Corpus, vocab_size: int) -> DatasetManifest:
    """Write tokenizer, shards and manifest of ``corpus`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    model = train_tokenizer(corpus.train, vocab_size)
    (folder / TOKENIZER_NAME).write_bytes(model)
    processor = SentencePieceProcessor(model_proto=model)
    manifest = DatasetManifest(
        contest="mini",
        source=f"pydoc topics and docstrings of the standard library, CPython {platform.python_version()}",
        tokenizer=TOKENIZER_NAME,
        tokenizer_sha256=hashlib.sha256(model).hexdigest(),
        vocab_size=processor.get_piece_size(),
        train=_write_split(folder, "train", corpus.train, processor),
        val=_write_split(folder, "val", corpus.val, processor),
    )
    write_manifest(folder, manifest)
    return manifest


def _write_split(folder: Path, split: Split, texts: Sequence[str], processor: SentencePieceProcessor) -> SplitManifest:
    tokens = encode(texts, processor)
    write_shard(shard_path(folder, split), tokens)
    return SplitManifest(
        documents=len(texts),
        tokens=len(tokens),
        text_bytes=sum(text_bytes(processor.normalize(text)) for text in texts),
        sha256=stream_digest(tokens),
        document_digests=tuple(document_digests(tokens, document_starts(tokens, BOS))),
    )


def encode(texts: Sequence[str], processor: SentencePieceProcessor) -> Tokens:
    """Texts as one stream, uint16: each document is BOS followed by its tokens."""
    ids = processor.encode(list(texts), num_threads=1)
    return np.concatenate([np.array([BOS, *document], np.uint16) for document in ids])

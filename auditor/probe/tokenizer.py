"""The toy tokenizer: a small BPE model with what submissions assert of the contest's one."""

from __future__ import annotations

import io
import random
from functools import cache

_ALPHABET = "abcdefghij"
_DISTINCT_WORDS = 200
_SENTENCES = 1000
_BYTE_VOCABULARY = 320
"""From here on a vocabulary holds the 256 byte pieces, too."""
_BEYOND_ASCII = ("é", "né", "日", "日本", "😀")


@cache
def toy_tokenizer(vocabulary: int) -> bytes:
    """A serialized SentencePiece model of ``vocabulary`` pieces; the same bytes for the same argument.

    Pieces 0, 1 and 2 are the unknown token, BOS and EOS; the word mark is a piece of its own, which some submissions
    look up. Text is words of up to five letters, so pieces of several letters and of word beginnings exist. A large
    vocabulary spells what it lacks in bytes, knows characters of two to four bytes, and keeps repeated spaces, though
    no piece has two of them: the contest's tokenizers have none, and its table of bytes would credit it too much.
    """
    from sentencepiece import SentencePieceTrainer

    falls_back = vocabulary >= _BYTE_VOCABULARY
    source = random.Random(0)  # noqa: S311 - text, not secrets
    words = ["".join(source.choices(_ALPHABET, k=source.randint(1, 5))) for _ in range(_DISTINCT_WORDS)]
    words += 4 * _BEYOND_ASCII if falls_back else ()
    sentences = (" ".join(source.choices(words, k=12)) for _ in range(_SENTENCES))
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=sentences,
        model_writer=model,
        vocab_size=vocabulary,
        model_type="bpe",
        character_coverage=1.0,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=3,
        byte_fallback=falls_back,
        remove_extra_whitespaces=not falls_back,
    )
    return model.getvalue()

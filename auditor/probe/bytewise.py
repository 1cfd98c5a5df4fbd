"""Scores that are made byte by byte, put together to the probabilities of tokens.

A mixture with a model of bytes adds up one loss per byte of the text. What the law asks for is the probability of a
token: the product over the token's bytes. Which bytes a token has is the submission's own convention, and is told by
the number of losses: it must come out in every run, though each stream has another length in bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import numpy.typing as npt

from auditor.probe.checks import Vector, changed
from auditor.probe.design import Change
from auditor.probe.streams import FIRST_TEXT_TOKEN, byte_counts
from auditor.probe.tokenizer import toy_tokenizer

Tokens = npt.NDArray[np.uint16]
Counts = npt.NDArray[np.int64]
Convention = Callable[[Tokens], Counts]
"""Bytes of each target of a stream: [N + 1] tokens to [N] counts."""


def by_token(
    vectors: Mapping[Change, Vector | None], streams: Mapping[Change, Tokens], vocabulary: int
) -> dict[Change, Vector | None] | None:
    """Losses per target, [N], from losses per byte in the stream's order; 0 for a target without bytes.

    Args:
        vectors: losses per byte, by run; None where a run has none.
        streams: tokens of each run, uint16 [N + 1].
        vocabulary: V of the toy tokenizer.

    Returns:
        None when no convention explains the number of losses in all of the runs.
    """
    for convention in conventions(vocabulary):
        counts = {key: convention(streams[key]) for key in vectors}
        if all(vector is None or len(vector) == counts[key].sum() for key, vector in vectors.items()):
            return {key: None if vector is None else _sums(vector, counts[key]) for key, vector in vectors.items()}
    return None


def in_stream_order(vectors: Mapping[Change, Vector | None]) -> bool:
    """Whether a rewrite moves no loss of a token before it: otherwise the losses may be another order's."""
    base = vectors[Change("base")]
    reached = [
        (change.position, changed(base, vector))
        for change, vector in vectors.items()
        if base is not None and change.position and change.kind in {"rewrite", "substitute"}
    ]
    return all(min(moved, default=position) >= position - 1 for position, moved in reached if moved is not None)


@cache
def conventions(vocabulary: int) -> tuple[Convention, ...]:
    """What submissions take for the bytes of a token, the contest's own count first."""
    from sentencepiece import SentencePieceProcessor

    from rules.contest.byte_counts import ByteTable

    model = SentencePieceProcessor(model_proto=toy_tokenizer(vocabulary))
    spelled = np.array([len(model.id_to_piece(i).replace("\u2581", " ").encode()) for i in range(vocabulary)])
    plain = np.where(np.arange(vocabulary) < FIRST_TEXT_TOKEN, 0, spelled)
    table = ByteTable.of(model)
    return (
        lambda tokens: table.credited(tokens).astype(np.int64),
        lambda tokens: spelled[tokens[1:]],
        lambda tokens: plain[tokens[1:]],
        lambda tokens: byte_counts(tokens[1:]),
    )


def _sums(losses: Vector, counts: Counts) -> Vector:
    ends = np.cumsum(counts)
    total = np.concatenate([[0.0], np.cumsum(losses)])
    return np.asarray(np.where(counts > 0, total[ends] - total[ends - counts], 0.0))

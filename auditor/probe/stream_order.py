"""Whether scores were made in the stream's own order, told by the bytes that were counted beside them.

Scorers that take documents by their length score the last one early, and what adapts on it moves scores that stand in
front of it in the stream. Such a scorer counts the bytes of its tokens in the same order in which it scores them: where
each reduction of losses has one of byte counts beside it that are those of the stream from its beginning to its end,
the scores are in that order, too.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator

import numpy as np

from auditor.probe.bytewise import Counts, Tokens, conventions
from auditor.probe.match import Match, Vector, entries, orders, sizes
from auditor.probe.record import Event, Recording, Site
from auditor.probe.streams import BOS


def is_in_stream_order(recording: Recording, match: Match, tokens: Tokens, vocabulary: int) -> bool:
    """Whether bytes that were counted with the scores are those of the stream, so that each token has one score.

    Args:
        recording: a run.
        match: the reductions that made its score.
        tokens: the stream of that run, uint16 [N + 1].
        vocabulary: V of the toy tokenizer.

    Returns:
        False where nothing was counted beside the scores, too, and where documents in another order count the same.
    """
    scores = entries(recording, match)
    if scores is None:
        return False
    counts = [found for convention in conventions(vocabulary) if _tells_order(found := convention(tokens), tokens)]
    scored = scores != 0.0  # or a loss of nothing, where there are no more entries than tokens
    return any(
        np.array_equal(beside, expected) or np.array_equal(beside[scored], expected)
        for beside in _beside(recording, match)
        for expected in counts
    )


def _tells_order(counts: Counts, tokens: Tokens) -> bool:
    """Whether no two documents of the stream have the same bytes, token by token."""
    parts = [part.tobytes() for part in np.split(counts, np.flatnonzero(tokens[1:] == BOS))]
    return len(set(parts)) == len(parts)


def _beside(recording: Recording, match: Match) -> Iterator[Vector]:
    """What another place reduced next to each of the score's reductions, behind or before it, in as many entries."""
    lengths, made = sizes(recording, match), list(dict.fromkeys(orders(recording, match)))
    own = {site for site, _ in match.parts}
    by_site: dict[Site, list[Event]] = {}
    for event in recording.events:
        if event.site not in own:
            by_site.setdefault(event.site, []).append(event)
    for events in by_site.values():
        places = [event.order for event in events]
        behind = [bisect.bisect_right(places, order) for order in made]
        for chosen in (behind, [place - 1 for place in behind]):
            if len(set(chosen)) < len(chosen) or chosen[0] < 0 or chosen[-1] >= len(events):
                continue
            if tuple(events[place].values.size for place in chosen) == lengths:
                yield np.concatenate([events[place].values for place in chosen])

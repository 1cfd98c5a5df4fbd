"""The scorecard as one self-contained HTML page: no script, no network, everything escaped."""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from evaluator.report.charts import Line, budget_bar, histogram_chart, line_chart
from evaluator.report.terminal import rows
from evaluator.scorecard import ChunkScore, Scorecard


def render(card: Scorecard) -> str:
    """The page. Text in ``card`` may come from a hostile artifact: it is escaped, always."""
    environment = Environment(
        loader=PackageLoader("evaluator.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    time_parts = _time_parts(card)
    size = card.size
    # Markup: these strings are built by our own charts from numbers and fixed names.
    return environment.get_template("page.html").render(
        card=card,
        rows=rows(card),
        bpb_chart=Markup(_bpb_chart(card)),  # noqa: S704
        nll_chart=Markup(histogram_chart(card.histogram, 0.5, "nats")),  # noqa: S704
        time_parts=time_parts,
        time_bar=Markup(budget_bar(time_parts, card.time.limit, "seconds") if card.time else ""),  # noqa: S704
        size_bar=Markup(  # noqa: S704
            budget_bar([("artifact", size.artifact), ("code", size.code)], size.limit, "bytes") if size else ""
        ),
        digests=list(msgspec.structs.asdict(card.digests).items()) if card.digests else [],
        text=msgspec.json.format(msgspec.json.encode(card)).decode(),
    )


def _time_parts(card: Scorecard) -> list[tuple[str, float]]:
    """Seconds per phase, and what the parent's clock holds beyond them."""
    if card.time is None:
        return []
    parts = [(name, seconds) for name, seconds in card.time.phases.items() if seconds > 0]
    rest = card.time.used - sum(seconds for _, seconds in parts)
    return [*parts, ("other", rest)] if rest > 0 else parts


def _bpb_chart(card: Scorecard) -> str:
    def bpb(nll: float, credited: int) -> float:
        return nll / (math.log(2) * credited)

    chunks = [ChunkScore(0, 0.0, 0, 0.0), *card.chunks]
    each = [
        ((a.stop + b.stop) / 2, bpb(b.nll - a.nll, b.bytes - a.bytes)) for a, b in pairwise(chunks) if b.bytes > a.bytes
    ]
    so_far = [(float(b.stop), bpb(b.nll, b.bytes)) for b in card.chunks if b.bytes]
    return line_chart([Line("chunk", "b", each), Line("so far", "a", so_far)], "position", "bits per byte")

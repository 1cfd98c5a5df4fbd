"""A comparison as a terminal table, as one HTML page and as one picture."""

from __future__ import annotations

from html import escape

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluator.comparison import Comparison, Row, bpb_so_far, sums_along
from evaluator.report.charts import HEIGHT, WIDTH, Line, line_chart

COLUMNS = ("preset", "claimed bpb", "honest bpb", "divided by sum", "median sum", "largest sum", "breaks")

_NARROWEST = 80
"""Columns of the table in a terminal: a narrower one wraps its lines, where cells would lose digits."""


def cells(row: Row) -> tuple[str, ...]:
    """One row as text, in the order of :data:`COLUMNS`."""

    def number(value: float | None, form: str = ".4f") -> str:
        return "-" if value is None else format(value, form)

    sums = row.sums
    return (
        row.preset,
        number(row.claimed),
        number(row.honest),
        number(row.normalised),
        number(sums.median if sums else None, ",.4g"),
        number(sums.largest if sums else None, ",.4g"),
        ", ".join(row.breaks) or "nothing",
    )


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print the table; what breaks a condition is red, and how it does follows, as does why there is no score."""
    console.width = max(console.width, _NARROWEST)
    table = Table(title=Text(comparison.title), box=box.SIMPLE)
    for column in COLUMNS:
        words = column in {"preset", "breaks"}
        header = column if words else "\n".join(column.rsplit(" ", 1))
        table.add_column(header, justify="left" if words else "right", no_wrap=column != "breaks", overflow="fold")
    for row in comparison.rows:
        table.add_row(*map(Text, cells(row)), style="red" if row.breaks else "")
    console.print(table)
    for row in comparison.rows:
        if row.message is not None:
            console.print(Text(f"{row.preset} has no score: {row.message}"))
        for condition, how in row.breaks.items():
            console.print(Text(f"{row.preset} breaks {condition}: {how}", style="red"))
    for line in dict.fromkeys(line for card in comparison.cards.values() for line in card.scaled):
        console.print(Text(f"scaled to the data: {line}", style="dim"))


def _charts(comparison: Comparison) -> list[tuple[str, str]]:
    """(title, SVG): the running score and the sums."""
    series = list(enumerate(comparison.cards.items()))
    bpb = [Line(name, f"s{i}", bpb_so_far(card)) for i, (name, card) in series]
    sums = [Line(name, f"s{i}", sums_along(card)) for i, (name, card) in series]
    return [
        ("Bits per byte up to a position", line_chart(bpb, "position", "bits per byte so far")),
        ("What the scored probabilities sum to over the vocabulary", line_chart(sums, "position", "sum of p(v)")),
    ]


def render(comparison: Comparison) -> str:
    """The page. Everything that could come from outside is escaped."""
    environment = Environment(
        loader=PackageLoader("evaluator.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("compare.html").render(
        comparison=comparison,
        columns=COLUMNS,
        rows=[(row, cells(row)) for row in comparison.rows],
        # Markup: these strings are built by our own charts from numbers; names are escaped there.
        charts=[(title, Markup(svg)) for title, svg in _charts(comparison)],  # noqa: S704
        scaled=list(dict.fromkeys(line for card in comparison.cards.values() for line in card.scaled)),
    )


_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1b1f24 } .paper { fill: #ffffff }
.title { font-size: 16px; font-weight: 600 } .tick, .label { fill: #5b6570; font-size: 12px } .grid { stroke: #d5dbe1 }
polyline { fill: none; stroke-width: 2.5 } .bad { fill: #b3261e }
.s0 { stroke: #b3261e } .s1 { stroke: #2563c9 } .s2 { stroke: #c2571a } .s3 { stroke: #1a7f4b }
circle { stroke: none !important; fill: none }
@media (prefers-color-scheme: dark) {
 text { fill: #e6e9ec } .paper { fill: #14171a } .tick, .label { fill: #9aa5b1 } .grid { stroke: #363d45 }
 .bad { fill: #ff7b72 } .s0 { stroke: #ff7b72 } .s1 { stroke: #6ea8ff } .s2 { stroke: #f0a060 } .s3 { stroke: #4cc38a }
}
"""


def picture(comparison: Comparison) -> str:
    """Both charts as one SVG file that reads on light and dark pages; up to four presets."""
    top, gap = 56 + 22 * len(comparison.rows), 34
    charts = _charts(comparison)
    height = top + len(charts) * (HEIGHT + gap)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="8"/>',
        f'<text class="title" x="16" y="28">{escape(comparison.title)}</text>',
    ]
    for i, row in enumerate(comparison.rows):
        y = 54 + 22 * i
        broken = ", ".join(row.breaks)
        claim = "no score" if row.claimed is None else f"{row.claimed:.3f} bits per byte"
        sums = f"; probabilities sum to {row.sums.median:,.4g} (median)" if row.sums else ""
        parts.append(f'<polyline class="s{i}" points="16,{y - 4} 44,{y - 4}"/>')
        parts.append(f'<text x="52" y="{y}">{escape(row.preset)}: {claim}{sums}</text>')
        if broken:
            parts.append(f'<text class="bad" x="{WIDTH - 16}" y="{y}" text-anchor="end">breaks {broken}</text>')
    for i, (title, svg) in enumerate(charts):
        y = top + i * (HEIGHT + gap)
        parts.append(f'<text class="title" x="16" y="{y + 20}">{escape(title)}</text>')
        parts.append(svg.replace("<svg ", f'<svg x="0" y="{y + 30}" width="{WIDTH}" height="{HEIGHT}" ', 1))
    return "".join([*parts, "</svg>\n"])

"""Charts of the HTML page as inline SVG: a line chart, bars, a budget bar. No script, no font, no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 26, 34


@dataclass(frozen=True, slots=True)
class Line:
    """A named series; ``css`` is its class in the page's style sheet."""

    name: str
    css: str
    points: Sequence[tuple[float, float]]


def line_chart(lines: Sequence[Line], x_label: str, y_label: str) -> str:
    """An SVG of ``lines`` over common axes; empty string without points."""
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    if not xs:
        return ""
    x0, x1 = 0.0, max(xs)
    pad = (max(ys) - min(ys)) * 0.08 or 0.05
    y0, y1 = min(ys) - pad, max(ys) + pad
    parts = [_open(f"{y_label} over {x_label}"), *_axes(x0, x1, y0, y1, x_label, y_label)]
    for line in lines:
        points = " ".join(f"{_x(x, x0, x1):.1f},{_y(y, y0, y1):.1f}" for x, y in line.points)
        parts.append(f'<polyline class="{line.css}" points="{points}"/>')
        if len(line.points) < 80:
            parts.extend(
                f'<circle class="{line.css}" cx="{_x(x, x0, x1):.1f}" cy="{_y(y, y0, y1):.1f}" r="2.5">'
                f"<title>{line.name}: {y:.4f} at {x:,.0f}</title></circle>"
                for x, y in line.points
            )
    return "".join([*parts, "</svg>"])


def histogram_chart(counts: Sequence[int], width: float, x_label: str) -> str:
    """An SVG of ``counts`` in bins of ``width``; the last bin is open."""
    total = sum(counts)
    if not total:
        return ""
    shares = [count / total for count in counts]
    y1 = max(shares) * 1.08
    parts = [_open(f"share of tokens over {x_label}")]
    parts += _axes(0, len(counts) * width, 0, y1, x_label, "share of tokens")
    step = (WIDTH - _LEFT - _RIGHT) / len(counts)
    for i, share in enumerate(shares):
        top = _y(share, 0, y1)
        label = f"{i * width:g} to {(i + 1) * width:g}" if i < len(counts) - 1 else f"{i * width:g} and more"
        parts.append(
            f'<rect class="bar" x="{_LEFT + i * step + 0.5:.1f}" y="{top:.1f}" width="{step - 1:.1f}" '
            f'height="{HEIGHT - _BOTTOM - top:.1f}"><title>{label} nats: {counts[i]:,} tokens</title></rect>'
        )
    return "".join([*parts, "</svg>"])


def budget_bar(parts: Sequence[tuple[str, float]], limit: float, unit: str) -> str:
    """An SVG bar of named ``parts`` against ``limit``; what lies beyond the limit is drawn beyond its mark."""
    used = sum(value for _, value in parts)
    scale = (WIDTH - 2) / max(limit, used)
    svg = [f'<svg viewBox="0 0 {WIDTH} 40" role="img" aria-label="{used:,.0f} of {limit:,.0f} {unit}">']
    svg.append(f'<rect class="budget" x="1" y="6" width="{limit * scale:.1f}" height="28"/>')
    x = 1.0
    for i, (name, value) in enumerate(parts):
        svg.append(
            f'<rect class="part{i % 6}" x="{x:.1f}" y="6" width="{value * scale:.2f}" height="28">'
            f"<title>{name}: {value:,.6g} {unit}</title></rect>"
        )
        x += value * scale
    svg.append(f'<line class="limit" x1="{1 + limit * scale:.1f}" x2="{1 + limit * scale:.1f}" y1="1" y2="39"/>')
    return "".join([*svg, "</svg>"])


def _open(label: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'


def _x(x: float, x0: float, x1: float) -> float:
    return _LEFT + (x - x0) / ((x1 - x0) or 1) * (WIDTH - _LEFT - _RIGHT)


def _y(y: float, y0: float, y1: float) -> float:
    return HEIGHT - _BOTTOM - (y - y0) / ((y1 - y0) or 1) * (HEIGHT - _TOP - _BOTTOM)


def _axes(x0: float, x1: float, y0: float, y1: float, x_label: str, y_label: str) -> list[str]:
    parts = []
    for tick in ticks(y0, y1):
        y = _y(tick, y0, y1)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:.4g}</text>')
    for tick in ticks(x0, x1, 6):
        x = _x(tick, x0, x1)
        parts.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 18}" text-anchor="middle">{_short(tick)}</text>')
    parts.append(f'<text class="label" x="{WIDTH - _RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{x_label}</text>')
    parts.append(f'<text class="label" x="4" y="14">{y_label}</text>')
    return parts


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About ``count`` round numbers within ``low .. high``."""
    span = high - low
    if span <= 0:
        return [low]
    exponent = 0
    while 10 ** (exponent + 1) <= span / count:
        exponent += 1
    while 10**exponent > span / count:
        exponent -= 1
    step = next(m * 10**exponent for m in (1, 2, 5, 10) if m * 10**exponent * count >= span)
    first = -(-low // step)
    return [round((first + i) * step, 10) for i in range(int((high - first * step) / step + 1e-9) + 1)]


def _short(value: float) -> str:
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"

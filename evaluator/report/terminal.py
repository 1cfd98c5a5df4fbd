"""The scorecard on a terminal."""

from __future__ import annotations

from statistics import median

from rich import box
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from evaluator.scorecard import Normalisation, Scorecard

_STYLE = {"scored": "green", "over-bytes": "red", "over-time": "red", "refused": "red", "failed": "red"}


def print_scorecard(card: Scorecard, console: Console) -> None:
    """Print ``card``; plain text when the console is no terminal."""
    console.print(Panel(Group(_headline(card), *_facts(card)), title=_title(card), border_style=_border(card)))


def _border(card: Scorecard) -> str:
    return "red" if card.published else _STYLE[card.status]


def _title(card: Scorecard) -> Text:
    if card.published:
        broken = ", ".join(card.published.breaks)
        return Text(f"{card.contest} · as published · BREAKS {broken} · not a score", style="bold red")
    return Text(f"{card.contest} · {card.label} · {card.status}", style="bold")


def _headline(card: Scorecard) -> Text:
    if card.bpb is not None:
        line = Text(f"{card.bpb:.6f} bits per byte", style="bold")
        if card.status != "scored":
            line.append(f"   {card.message}", style="red")
        return line
    line = Text("no score", style="bold red")
    line.append(f"   {card.message}")
    if card.reason:
        line.append(f"  [{card.reason}]", style="dim")
    return line


def _facts(card: Scorecard) -> list[Table]:
    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows(card):
        table.add_row(name, Text(value), style="red" if name.startswith("BREAKS") else "")
    return [table] if table.row_count else []


def rows(card: Scorecard) -> list[tuple[str, str]]:
    """What a reader asks first, as (name, value); the HTML page shows the same."""
    found: list[tuple[str, str]] = []
    if card.score:
        s = card.score
        found.append(
            ("score", f"{s.nll:.6f} nats over {s.tokens:,} tokens and {s.bytes:,} bytes ({s.loss:.5f} a token)")
        )
    if card.coverage:
        c = card.coverage
        once = "each position once" if c.exactly_once else "NOT each position exactly once"
        found.append(("coverage", f"{once}; validation set {c.data}, {c.documents:,} documents; {'; '.join(c.notes)}"))
    if card.size:
        z = card.size
        found.append(("bytes", f"{z.total:,} of {z.limit:,} ({z.artifact:,} artifact + {z.code:,} code)"))
    if card.time:
        t = card.time
        phases = ", ".join(f"{name} {seconds:.1f}" for name, seconds in t.phases.items() if seconds >= 0.05)
        before = ", ".join(f"{name} {seconds:.1f}" for name, seconds in t.untimed.items())
        found.append(("seconds", f"{t.used:.1f} of {t.limit:g} ({phases}); before the clock: {before}"))
    if card.artifact:
        a = card.artifact
        found.append(("artifact", f"{a.family} in {a.container}, {a.codec}; {a.tensors} tensors; read in {a.sandbox}"))
        found.extend(("", note) for note in a.notes)
    if card.model:
        m = card.model
        found.append(
            ("model", f"{m.preset}: {m.parameters:,} parameters" + (f", {m.adapted:,} adapt" if m.adapted else ""))
        )
        found.append(("not in shapes", ", ".join(m.from_preset)))
    if card.scoring:
        found.append(("scoring", settings_line(card)))
    if card.normalisation:
        n = card.normalisation
        found.append(_sums(n))
    if card.published:
        found.extend((f"BREAKS {which}", how) for which, how in card.published.breaks.items())
    found.extend(("scaled", line) for line in card.scaled)
    if card.environment:
        e = card.environment
        found.append(("run on", f"{card.processes} x {e.get('device')}, torch {e.get('torch')}, {e.get('cpu')}"))
    found.extend(("not official", reason) for reason in card.unofficial)
    if card.digest:
        found.append(("digest", card.digest))
    return found


def _sums(n: Normalisation) -> tuple[str, str]:
    where = f"at {len(n.positions):,} positions summed over the vocabulary"
    if n.max_sum_error < 1e-3:
        return "sum to one", f"within {n.max_sum_error:.1e} {where}"
    spread = f"{min(n.sums):,.4g} to {max(n.sums):,.4g}, median {median(n.sums):,.4g}"
    return "BREAKS C2", f"the probabilities {where} give {spread}"


def settings_line(card: Scorecard) -> str:
    """The scoring settings in a line."""
    if card.scoring is None:
        return ""
    w, ttt, documents = card.scoring.windows, card.scoring.ttt, card.scoring.documents
    line = f"{w.plan} windows {w.length}/{w.stride}, chunk {card.scoring.chunk:,}, mixer {card.scoring.mixer.name}"
    if documents is not None:
        return f"{line}, adapters of rank {documents.rank} per document, lr {documents.lr:g}"
    if ttt is None:
        return f"{line}, no test-time training"
    return f"{line}, {ttt.optimizer} lr {ttt.lr:g} {ttt.schedule}, {ttt.epochs} epochs per scored chunk"

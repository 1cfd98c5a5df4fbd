"""From the database of a sweep to the files of the site."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from auditor.board.ranking import rankings
from auditor.board.row import NOT_JUDGED, Row, row_of
from auditor.board.script_data import script_data
from auditor.findings import Condition, Status
from auditor.report import page
from auditor.report.card import CONDITIONS, VERDICTS
from auditor.rule import Rule
from auditor.sweep.groups import Digests, Group, Member, digests_of, group
from auditor.sweep.store import Entry, Store

_FIRST_ROWS = 100
"""Rows that stand in the page itself; the script shows the others."""
_MOST_FINDINGS = 3
_MOST_HEIRS = 40
_ORDER = list(Status)

Identity = tuple[str, str]
"""Ref and folder of a submission."""


def build(store: Store, rules: Sequence[Rule], out: Path, url: str = "") -> int:
    """Write the site below ``out``; the number of files.

    Args:
        store: the sweep.
        rules: the rule book, for its pages.
        out: the folder; files of an earlier site are overwritten.
        url: address of the repository on a code host, for links to pull requests; empty for none.
    """
    digests = [digests_of(entry) for entry in store.entries()]
    groups = group(digests)
    pages = page_names(digests)
    site = _Site(out, url)
    rows = []
    for entry in store.entries():
        identity = (entry.ref, entry.folder)
        found = groups.get(identity)
        row = row_of(entry, pages[identity], found)
        rows.append(row)
        site.submission(entry, row, found, pages)
    newest = sorted(rows, key=lambda row: (row.pull or 0, row.page), reverse=True)
    site.table(newest, rules)
    site.leaderboard(rows)
    site.rules(rules, rows)
    site.files(newest)
    return site.count


def page_names(digests: Iterable[Digests]) -> Mapping[Identity, str]:
    """A file name for each submission: its pull request, numbered where it brings several."""
    names: dict[Identity, str] = {}
    seen: Counter[str] = Counter()
    for item in digests:
        base = item.name.removeprefix("#")
        base = base if base.isdecimal() else "ref" + hashlib.sha256(item.ref.encode()).hexdigest()[:12]
        seen[base] += 1
        names[item.ref, item.folder] = base if seen[base] == 1 else f"{base}-{seen[base]}"
    return names


class _Site:
    def __init__(self, out: Path, url: str) -> None:
        self.out = out
        self.url = url
        self.count = 0
        self.environment = page.environment("auditor.board")

    def submission(self, entry: Entry, row: Row, found: Group | None, pages: Mapping[Identity, str]) -> None:
        """The page of one submission."""
        members = found.members if found else ()
        me = next((member for member in members if (member.ref, member.folder) == (entry.ref, entry.folder)), None)
        parent = found.parent if found and me and me.likeness else None
        others = [member for member in members if member not in (me, parent)]
        report = page.context(entry.audit, {}, _MOST_FINDINGS) if entry.audit else {"audit": None}
        self._write(
            f"s/{row.page}.html",
            "submission.html",
            entry=entry,
            row=row,
            me=me,
            parent=_linked(parent, pages) if parent else None,
            heirs=[_linked(member, pages) for member in others[:_MOST_HEIRS]],
            more_heirs=max(0, len(others) - _MOST_HEIRS),
            pull_url=f"{self.url}/pull/{entry.pull}" if self.url and entry.pull is not None else "",
            **report,
        )

    def table(self, rows: Sequence[Row], rules: Sequence[Rule]) -> None:
        """The front page."""
        known = {rule for row in rows for rule, _ in row.rules}
        self._write(
            "index.html",
            "index.html",
            rows=rows[:_FIRST_ROWS],
            total=len(rows),
            counts=_counts(rows),
            conditions=[(condition.value, CONDITIONS[condition]) for condition in Condition],
            rules=[rule.id for rule in rules if rule.id in known],
            grades=[status.value for status in _ORDER[:4]],
        )

    def leaderboard(self, rows: Sequence[Row]) -> None:
        """The claimed and the honest ranking."""
        claimed, honest = rankings(rows)
        self._write("leaderboard.html", "leaderboard.html", claimed=claimed, honest=honest)

    def rules(self, rules: Sequence[Rule], rows: Sequence[Row]) -> None:
        """An index of the rules, and a page for each with everyone it hits."""
        hits: dict[str, list[tuple[Status, Row]]] = defaultdict(list)
        for row in rows:
            for rule, status in row.rules:
                hits[rule].append((status, row))
        for found in hits.values():
            found.sort(key=lambda hit: (_ORDER.index(hit[0]), hit[1].pull is None, hit[1].pull or 0, hit[1].page))
        counts = {rule: Counter(status.value for status, _ in found) for rule, found in hits.items()}
        statuses = [status.value for status in _ORDER[:4]]
        self._write(
            "rules/index.html", "rules.html", rules=rules, counts=counts, statuses=statuses, conditions=CONDITIONS
        )
        for one in rules:
            found = hits.get(one.id, [])
            self._write(f"rules/{one.id}.html", "rule.html", rule=one, hits=found, conditions=CONDITIONS)

    def files(self, rows: Sequence[Row]) -> None:
        """Style, script and the script's data."""
        static = resources.files("auditor.board") / "static"
        self._text("board.css", page.style() + (static / "board.css").read_text(encoding="utf-8"))
        self._text("board.js", (static / "board.js").read_text(encoding="utf-8"))
        self._text("data.js", script_data(rows))

    def _write(self, name: str, template: str, **values: Any) -> None:
        root = "../" * name.count("/")
        words = {verdict.value: word.lower() for verdict, word in VERDICTS.items()} | {NOT_JUDGED: "not judged"}
        text = self.environment.get_template(template).render(root=root, says=words, **values)
        self._text(name, text)

    def _text(self, name: str, text: str) -> None:
        path = self.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self.count += 1


def _counts(rows: Sequence[Row]) -> Iterator[tuple[str, int]]:
    counts = Counter(row.verdict for row in rows)
    return ((verdict, counts[verdict]) for verdict in (*(v.value for v in VERDICTS), NOT_JUDGED) if counts[verdict])


def _linked(member: Member, pages: Mapping[Identity, str]) -> tuple[Member, str]:
    return member, pages[member.ref, member.folder]

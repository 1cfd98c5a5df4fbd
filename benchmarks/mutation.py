"""How many planted violations `audit` finds, and whether it accuses their legal twins.

    PARAMETER_GOLF_GIT=/path/to/mirror python benchmarks/mutation.py --labels labels.jsonl

Hosts are the scripts of the mutation tests and, where a mirror is given, the clean submissions of a file of rulings
(one JSON object per line with ``pr``, ``head_sha``, ``entry``, ``verdict``) that have a scoring loop of a known shape;
they are read at run time and never stored. Every host first goes through `audit` as it is: what is found there is an
accusation of an honest submission, and is subtracted from what is found in its mutants. Of each host's mutants, a
sample that holds every idiom is judged. Prints recall per family and the missed idioms; ``--json`` keeps all of it.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "mutation"))

from mutator.families import FAMILIES  # noqa: E402 - tests are no package
from mutator.find import find_places  # noqa: E402
from mutator.generate import Mutant, mutate  # noqa: E402
from mutator.host import Host, own_hosts  # noqa: E402
from mutator.judge import Outcome, judge  # noqa: E402
from mutator.places import NoPlaceError  # noqa: E402
from mutator.vary import Variation  # noqa: E402


@click.command()
@click.option("--git", envvar="PARAMETER_GOLF_GIT", type=click.Path(path_type=Path), help="A mirror's git directory.")
@click.option("--labels", type=click.Path(exists=True, path_type=Path), help="Rulings, one JSON object per line.")
@click.option("--mirror-hosts", default=8, show_default=True, help="At most so many submissions of the mirror.")
@click.option("--per-idiom", default=3, show_default=True, help="Variations of an idiom judged in each own host.")
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write every result here.")
def main(
    git: Path | None, labels: Path | None, mirror_hosts: int, per_idiom: int, seed: int, json_file: Path | None
) -> None:
    """Measure and print."""
    started = time.perf_counter()
    hosts = [(host, per_idiom) for host in own_hosts()]
    if git is not None and labels is not None:
        hosts += [(host, 1) for host in mirror(git, labels, mirror_hosts, seed)]
    rows: list[dict[str, Any]] = []
    accused_hosts: dict[str, list[str]] = {}
    for host, count in hosts:
        before = judge(host)
        accused_hosts[host.name] = sorted(before.rules)
        rows += [row(mutant, judge(mutant.host), before) for mutant in sample(host, count, seed)]
        click.echo(f"{host.name}: {len(rows)} judged after {time.perf_counter() - started:.0f} s", err=True)
    report(rows, accused_hosts)
    if json_file is not None:
        json_file.write_text(json.dumps({"hosts": accused_hosts, "mutants": rows}, indent=1) + "\n", encoding="utf-8")


def mirror(git: Path, labels: Path, limit: int, seed: int) -> Iterator[Host]:
    """Clean submissions of a mirror in which a scoring loop is found, in an order that the seed decides."""
    rulings = [json.loads(line) for line in labels.read_text("utf-8").splitlines()]
    clean = [ruling for ruling in rulings if ruling["verdict"] == "clean" and ruling.get("entry")]
    random.Random(seed).shuffle(clean)
    found = 0
    for ruling in clean:
        if found == limit:
            return
        shown = subprocess.run(
            ["git", "--git-dir", os.fspath(git), "show", f"{ruling['head_sha']}:{ruling['entry']}"],
            capture_output=True,
            check=False,
        )
        host = Host(f"#{ruling['pr']}", "train_gpt.py", {"train_gpt.py": shown.stdout.decode("utf-8", "replace")})
        try:
            find_places(host.tree())
        except (NoPlaceError, SyntaxError):
            continue
        found += 1
        yield host


def sample(host: Host, count: int, seed: int) -> Iterator[Mutant]:
    """For every idiom: ``count`` variations, and the twin as it stands."""
    rng = random.Random(f"{host.name}/{seed}")
    for family in FAMILIES:
        for idiom in family.idioms:
            order = list(Variation)
            rng.shuffle(order)
            made = (mutate(host, family, idiom, variation, seed) for variation in order)
            yield from [mutant for mutant in made if mutant is not None][:count]
            twin = mutate(host, family, idiom, Variation.PLAIN, seed, twin=True) if idiom.has_twin else None
            if twin is not None:
                yield twin


def row(mutant: Mutant, outcome: Outcome, before: Outcome) -> dict[str, Any]:
    """One mutant's result; accusations that its host earns by itself do not count."""
    new = tuple(a for a in outcome.accusations if a.rule not in before.rules)
    return {
        "mutant": mutant.name,
        "host": mutant.host.name,
        "family": mutant.family,
        "idiom": mutant.idiom,
        "variation": str(mutant.variation),
        "twin": mutant.twin,
        "found": any(a.conditions & mutant.conditions for a in new),
        "accused": sorted(a.rule for a in new),
        "unsure": sorted(set(outcome.unsure) - set(before.unsure)),
    }


def report(rows: Sequence[dict[str, Any]], accused_hosts: dict[str, list[str]]) -> None:
    """Print the table, then what was missed and who was accused falsely."""
    table = Table("family", "mutants", "found", "recall", "unsure", "twins", "twins accused")
    for name in [*(family.name for family in FAMILIES), "all"]:
        mine = [r for r in rows if name in {"all", r["family"]}]
        bad = [r for r in mine if not r["twin"]]
        twins = [r for r in mine if r["twin"]]
        found = sum(r["found"] for r in bad)
        unsure = sum(not r["found"] and bool(r["unsure"]) for r in bad)
        accused = sum(bool(r["accused"]) for r in twins)
        recall = f"{found / len(bad):.3f}" if bad else "-"
        table.add_row(name, str(len(bad)), str(found), recall, str(unsure), str(len(twins)), str(accused))
    Console().print(table)
    missed: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for r in rows:
        if not r["twin"]:
            missed[r["family"], r["idiom"]]["found" if r["found"] else "missed"] += 1
    for (family, idiom), counts in missed.items():
        if counts["missed"]:
            click.echo(f"missed {family}/{idiom}: {counts['missed']} of {counts.total()}")
    for r in rows:
        if r["twin"] and r["accused"]:
            click.echo(f"accused falsely {r['mutant']}: {', '.join(r['accused'])}")
    for name, rules in accused_hosts.items():
        if rules:
            click.echo(f"accused unmutated {name}: {', '.join(rules)}")
    judged = sum(not r["twin"] for r in rows)
    click.echo(f"mutants={judged} recall={sum(r['found'] for r in rows) / max(judged, 1):.4f}")


if __name__ == "__main__":
    main()

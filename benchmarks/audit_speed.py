"""How long `audit` takes, how much memory it needs, and how both grow; other analysers on the same folders beside it.

    PARAMETER_GOLF_GIT=/path/to/mirror python benchmarks/audit_speed.py --json benchmarks/results/audit_speed.json

Submissions are drawn at random (by ``--seed``) from the mirror's pull requests; the one with the longest script of
``--largest`` is always among them. Each is written to a scratch folder and measured in processes of their own: `audit`
from nothing and again from its cache, `libcst.parse_module` and the flow analysis of the same files, and the tools that
``--tools`` installs (`requirements-compare.txt`). A tool that is not there is reported as missing. Growth is measured
on a script whose functions are repeated ten times under other names.
"""

from __future__ import annotations

import compileall
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
import venv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from auditor.sweep.materialise import materialise
from auditor.sweep.plan import Submitted, chosen, submissions_of
from auditor.sweep.repository import BlobReader, Repository

HERE = Path(__file__).resolve().parent
PACKAGES = ("auditor", "rules")
AUDIT = [sys.executable, "-c", "from auditor.entry import main; main()"]
TOOLS = {
    "bandit": ["-m", "bandit", "-q", "-r", "{folder}"],
    "fixit": ["-m", "fixit", "-q", "lint", "{folder}"],
}
_LIMIT = 300

ENGINE = """
import gc, json, sys, time
from pathlib import Path
import libcst
from auditor.flow import analyse
from auditor.submission import read_submission
gc.disable()
submission = read_submission(Path(sys.argv[1]))
texts = [source.text for source in submission.sources.values() if source.problem is None]
start = time.process_time()
for text in texts:
    try:
        libcst.parse_module(text)
    except (libcst.CSTValidationError, libcst.ParserSyntaxError):
        pass
parsed = time.process_time()
facts = analyse(submission)
done = time.process_time()
lines = sum(text.count("\\n") for text in texts)
print(json.dumps({"parse": parsed - start, "engine": done - parsed, "steps": facts.steps, "lines": lines}))
"""


@dataclass(frozen=True)
class Used:
    """What one process used: seconds of wall and processor, MiB of resident memory at most, exit code."""

    wall: float
    cpu: float
    mib: int
    code: int


@dataclass
class Row:
    """One submission; seconds are of processor where nothing else is said."""

    name: str
    lines: int
    steps: int
    parse: float
    engine: float
    cold: Used
    cached: Used
    tools: dict[str, Used] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """The flow analysis, parsing included, as a multiple of parsing the same files."""
        return self.engine / self.parse if self.parse else 0.0


@click.command()
@click.option("--git", envvar="PARAMETER_GOLF_GIT", required=True, type=click.Path(path_type=Path))
@click.option("--main", "main_branch", default="main", show_default=True)
@click.option("--count", default=20, show_default=True, help="Submissions drawn at random.")
@click.option("--largest", default=1855, show_default=True, help="A pull request that is always measured.")
@click.option("--seed", default=0, show_default=True)
@click.option("--tools", type=click.Path(path_type=Path), help="Make a virtual environment here for the other tools.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write every number here.")
def main(
    git: Path, main_branch: str, count: int, largest: int, seed: int, tools: Path | None, json_file: Path | None
) -> None:
    """Measure and print."""
    python = _environment(tools) if tools is not None else None
    for package in PACKAGES:
        compileall.compile_dir(HERE.parent / package, quiet=1)  # as pip has done for the tools beside it
    load = os.getloadavg()[0]
    rows = []
    with tempfile.TemporaryDirectory() as scratch, BlobReader(git) as reader:
        drawn = list(draw(Repository(git), main_branch, count, largest, seed))
        for number, submitted in enumerate(track(drawn, "submissions", console=Console(stderr=True))):
            folder = Path(scratch) / str(number) / submitted.folder
            materialise(submitted.blobs, folder, reader)
            rows.append(measure(submitted, folder, Path(scratch) / "cache", python))
        growth = grow(Path(scratch))
    empty = [run([*AUDIT, "--help"]).wall for _ in range(3)]
    result = {
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "load_before": round(load, 2)},
        "seed": seed,
        "first_output_wall": min(empty),
        "tools": {name: "measured" if rows and name in rows[0].tools else "missing" for name in TOOLS},
        "growth": growth,
        "medians": medians(rows),
        "submissions": [{**asdict(row), "ratio": round(row.ratio, 2)} for row in rows],
    }
    show(rows, result)
    if json_file is not None:
        json_file.write_text(json.dumps(result, indent=1) + "\n")


def draw(repository: Repository, main_branch: str, count: int, largest: int, seed: int) -> Iterator[Submitted]:
    """The one that is always measured, then others at random; those without a script are passed over."""
    head = repository.commit(main_branch)
    refs = repository.refs("refs/pull/*/head")
    rest = sorted(refs, key=lambda ref: ref.name)
    random.Random(seed).shuffle(rest)
    left = count + 1
    for ref in [*chosen(refs, frozenset({largest})), *rest]:
        if not left:
            return
        for submitted in submissions_of(repository, ref, head):
            if submitted.folder and any(blob.path.endswith(".py") for blob in submitted.blobs):
                left -= 1
                yield submitted
                break


def measure(submitted: Submitted, folder: Path, cache: Path, python: Path | None) -> Row:
    """One submission: `audit` twice, the engine, the other tools."""
    own = {"XDG_CACHE_HOME": os.fspath(cache)}
    cold = run([*AUDIT, "--no-probe", os.fspath(folder)], own)
    cached = run([*AUDIT, "--no-probe", os.fspath(folder)], own)
    answer = subprocess.run([sys.executable, "-c", ENGINE, folder], stdout=subprocess.PIPE, check=True, timeout=_LIMIT)
    engine = json.loads(answer.stdout)
    row = Row(f"#{submitted.pull}", engine["lines"], engine["steps"], engine["parse"], engine["engine"], cold, cached)
    if python is not None:
        for name, arguments in TOOLS.items():
            row.tools[name] = run([os.fspath(python), *(a.format(folder=folder) for a in arguments)])
    return row


def run(command: Sequence[str], environment: dict[str, str] | None = None) -> Used:
    """Run a process to its end; its output is not looked at."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **(environment or {})}
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    mib = usage.ru_maxrss // (1024 if sys.platform == "linux" else 1 << 20)
    return Used(round(wall, 3), round(usage.ru_utime + usage.ru_stime, 3), mib, process.returncode)


def _environment(folder: Path) -> Path:
    """The interpreter of a virtual environment that holds the other tools."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    requirements = os.fspath(HERE / "requirements-compare.txt")
    subprocess.run([os.fspath(python), "-m", "pip", "install", "-q", "-r", requirements], check=True)
    return python


_FUNCTIONS = """
def normalise_{n}(x, scale):
    mean = x.mean(dim=-1, keepdim=True)
    centred = x - mean
    return centred / centred.pow(2).mean(dim=-1, keepdim=True).sqrt() * scale

def mix_{n}(x, weights, steps):
    total = torch.zeros_like(x)
    for step in range(steps):
        if step % 2 == 0:
            total += weights[step] * normalise_{n}(x, step + 1.0)
        else:
            total = total + x.roll(step)
    return total

class Layer_{n}(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.weights = nn.Parameter(torch.ones(7))

    def forward(self, x):
        return x + self.down(F.silu(self.up(mix_{n}(x, self.weights, 7))))
"""


def synthetic(times: int) -> str:
    """A script whose functions are all reached, ``times`` over under other names."""
    head = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n"
    calls = "".join(f"x = Layer_{n}(64)(x)\nprint('layer {n}', x.sum().item())\n" for n in range(10 * times))
    functions = "".join(_FUNCTIONS.format(n=n) for n in range(10 * times))
    return f"{head}{functions}\nx = torch.randn(2, 8, 64)\n{calls}"


def grow(scratch: Path) -> dict[str, float]:
    """Processor seconds of the engine on a synthetic script and on one ten times as long."""
    seconds = []
    for times in (1, 10):
        folder = scratch / f"synthetic{times}"
        folder.mkdir()
        (folder / "train_gpt.py").write_text(synthetic(times))
        answers = [
            json.loads(subprocess.run([sys.executable, "-c", ENGINE, folder], capture_output=True, check=True).stdout)
            for _ in range(3)
        ]
        seconds.append(min(answer["engine"] for answer in answers))
    return {"1x": round(seconds[0], 4), "10x": round(seconds[1], 4), "ratio": round(seconds[1] / seconds[0], 2)}


def medians(rows: Sequence[Row]) -> dict[str, float]:
    """Over all submissions."""
    return {
        "cold_wall": statistics.median(row.cold.wall for row in rows),
        "cold_cpu": statistics.median(row.cold.cpu for row in rows),
        "cached_wall": statistics.median(row.cached.wall for row in rows),
        "mib": statistics.median(row.cold.mib for row in rows),
        "ratio": round(statistics.median(row.ratio for row in rows), 2),
        **{f"{n}_wall": statistics.median(r.tools[n].wall for r in rows) for n in TOOLS if n in rows[0].tools},
    }


def show(rows: Sequence[Row], result: dict[str, object]) -> None:
    """Print the table."""
    names = [name for name in TOOLS if name in rows[0].tools]
    table = Table("submission", "lines", "cold s", "cpu s", "cached s", "MiB", "parse s", "engine s", "x", *names)
    for row in rows:
        times = [row.cold.wall, row.cold.cpu, row.cached.wall, row.cold.mib, row.parse, row.engine, row.ratio]
        others = [f"{row.tools[name].wall:.2f}" for name in names]
        table.add_row(row.name, str(row.lines), *(f"{value:.2f}" for value in times), *others)
    Console().print(table)
    summary = {key: result[key] for key in ("machine", "first_output_wall", "tools", "growth", "medians")}
    click.echo(textwrap.indent(json.dumps(summary, indent=1), "  "))


if __name__ == "__main__":
    main()

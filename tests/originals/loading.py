"""Original training scripts: taken from the git mirror, and run on a CPU in a process of their own.

Nothing of them is kept in this repository. The parent extracts and unwraps a script; the child executes its module body
under shims for what a CPU lacks, and calls what it is asked to call.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import stand_in


@dataclass(frozen=True, slots=True)
class Original:
    """A published script: its pull request, the commit that was read, its folder, and literals to shrink."""

    pull: int
    commit: str
    folder: str
    shrink: Mapping[str, str]


_RECORDS = "records/track_10min_16mb"
ORIGINALS = {
    398: Original(398, "db2c5796c", f"{_RECORDS}/2026-03-21_11L_EMA_TTT20ep_1.1213", {}),
    779: Original(
        779,
        "c58742a3e",
        f"{_RECORDS}/2026-03-25_BackoffNgramMixer_DriftFreeTTT_0.6683",
        {"self.BUCKETS = 4_194_304": "self.BUCKETS = 64"},
    ),
    940: Original(940, "682797376", f"{_RECORDS}/2026-03-26_ScoreFirst_TTT_Ngram_Backoff", {}),
    1477: Original(1477, "5470a3902", f"{_RECORDS}/2026-04-08_SP8192_ParallelResid_ScoreFirstTTT", {}),
    2140: Original(2140, "62f21f8d2", f"{_RECORDS}/2026-05-01_PR2014_Leaky03_InTimerNgramTTT_1.0555", {}),
}


def extract(mirror: str, original: Original, into: Path) -> Path:
    """Write the original's folder below ``into``, its script unwrapped and shrunken; the path of the script."""
    from auditor.probe.downlevel import downlevel
    from auditor.submission import read_submission

    archive = subprocess.run(
        ["git", "--git-dir", mirror, "archive", original.commit, original.folder], capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(into, filter="data")
    folder = into / original.folder
    main = read_submission(folder).main
    assert main is not None
    text = downlevel(main.text)
    for before, after in original.shrink.items():
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    script = folder / "original.py"
    script.write_text(text, encoding="utf-8")
    return script


def run_child(program: Path, request: dict[str, Any], environment: Mapping[str, str], seconds: float) -> dict[str, Any]:
    """Run ``program`` with ``request`` on its standard input; the JSON on its last line."""
    paths = [str(Path(__file__).parent), *(path for path in sys.path if path)]
    result = subprocess.run(
        [sys.executable, str(program)],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(paths), "OMP_NUM_THREADS": "1", **environment},
    )
    assert result.returncode == 0, result.stderr[-3000:]
    answer: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return answer


def load_module(script: Path) -> types.ModuleType:
    """Child only: execute the module body of ``script`` as a module that is not ``__main__``."""
    stand_in()
    module = types.ModuleType("original")
    module.__file__ = str(script)
    sys.path.insert(0, str(script.parent))
    sys.modules["original"] = module
    exec(compile(script.read_text(encoding="utf-8"), str(script), "exec"), module.__dict__)
    return module

"""A local repository with pull requests, made of small submissions of our own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from rules._logs import log, metadata, runs

TRACK = "records/track_10min_16mb"
SCRIPT = """\
import os


def main():
    '''Train.'''
    steps = int(os.environ.get("STEPS", "3"))
    print(steps)


main()
"""
REFORMATTED = """\
import os
# our own work
def main():
  steps=int(os.environ.get('STEPS','3'))
  print(steps)
main()
"""
RENAMED = SCRIPT.replace("steps", "count")


def submission(script: str = SCRIPT, seconds: float = 599.0, readme: str = "# A model\n") -> dict[str, str]:
    """The files of a complete submission."""
    logs = [log(train_seconds=seconds, seed=seed) for seed in (1337, 42, 2025)]
    return {"train_gpt.py": script, "README.md": readme, "submission.json": metadata(), **runs(*logs)}


def below(folder: str, files: Mapping[str, str]) -> dict[str, str]:
    """The same files inside a folder."""
    return {f"{folder}/{name}": text for name, text in files.items()}


class Contest:
    """A repository in ``folder`` with a main branch and numbered pull requests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        self.write({"README.md": "# The contest\n", "train_gpt.py": "print(0)\n"})
        self.commit("Start")

    def git(self, *arguments: str) -> str:
        """Run git; its output."""
        who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org"}
        who |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org"}
        dated = {"GIT_AUTHOR_DATE": "2026-04-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-04-01T00:00:00Z"}
        quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        return subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], **who, **dated, **quiet},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def write(self, files: Mapping[str, str]) -> None:
        """Write files into the work tree."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def commit(self, message: str) -> str:
        """Commit everything; the commit."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def pull(self, number: int, files: Mapping[str, str]) -> str:
        """A pull request from main that adds or replaces files; its head."""
        self.git("checkout", "-q", "-b", f"pull{number}", "main")
        self.write(files)
        head = self.commit(f"Pull request {number}")
        self.git("update-ref", f"refs/pull/{number}/head", head)
        self.git("checkout", "-q", "main")
        return head

    def merge(self, number: int) -> None:
        """Merge a pull request with a merge commit."""
        self.git("merge", "-q", "--no-ff", "-m", f"Merge {number}", f"refs/pull/{number}/head")

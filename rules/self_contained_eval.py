"""Scripts that fetch or borrow what they need."""

from __future__ import annotations

import ast
import datetime
from collections.abc import Iterator

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity, Status
from auditor.rule import Example, Rule, Ruling
from auditor.submission import Source

_FETCHES = frozenset({"urlopen", "urlretrieve", "snapshot_download", "hf_hub_download"})
_SESSIONS = frozenset({"requests", "httpx"})

_FETCH = """
{imports}

def load_weights():
    {fetch}

def main():
    return load_weights()

if __name__ == "__main__":
    main()
"""


class SelfContainedEval(Rule):
    """Calls that reach the network, in functions that the script calls."""

    id = "self-contained-eval"
    title = "the script reaches for the network or for files outside its folder"
    condition = Condition.DATA
    severity = Severity.VIOLATION
    rulings = (
        Ruling("README", datetime.date(2026, 3, 18), "README", "no network and no external data during evaluation"),
    )
    what = "Downloading weights or data in the script that evaluates, or running a script of another folder."
    why = "Bits that are fetched are not in the artifact, and a folder that needs another one is not a submission."
    legal = "Put everything into the artifact; prepare data with a script of its own before the run."
    bad = (
        Example(
            "a helper downloads weights",
            _FETCH.format(
                imports="import urllib.request", fetch='return urllib.request.urlopen("http://example.org/w").read()'
            ),
            expected=Status.SUSPECTED,
        ),
        Example(
            "a hub download",
            _FETCH.format(
                imports="from huggingface_hub import snapshot_download", fetch='return snapshot_download("a/b")'
            ),
            expected=Status.SUSPECTED,
        ),
        Example(
            "a request",
            _FETCH.format(imports="import requests", fetch='return requests.get("http://example.org/w").content'),
            expected=Status.SUSPECTED,
        ),
    )
    good = (
        Example(
            "a download that nothing calls",
            "import urllib.request\n\n\ndef fetch():\n    return urllib.request.urlopen('http://example.org').read()\n",
        ),
        Example(
            "asking the driver",
            "import subprocess\n\nprint(subprocess.run(['nvidia-smi'], capture_output=True, check=False).stdout)\n",
        ),
        Example(
            "a script that prepares data is not the one that evaluates",
            "print(1)\n",
            {"prepare_data.py": "import urllib.request\nurllib.request.urlretrieve('http://example.org/a', 'a')\n"},
        ),
    )

    def check(self, audited: Audited) -> RuleResult:
        """Suspicions only: whether the call happens during evaluation takes a run without network to prove."""
        submission = audited.submission
        found = [
            finding
            for source in submission.sources.values()
            if source.problem is None and not _prepares(source.name)
            for finding in _fetches(source)
        ]
        return self.unless_unread(audited, self.judge(found, Status.SUSPECTED))


def _prepares(name: str) -> bool:
    return any(word in name.lower() for word in ("prepare", "download", "data/", "tokeniz", "cached_"))


def _fetches(source: Source) -> Iterator[Finding]:
    """Calls that fetch, at the top level or in a function whose name is used elsewhere in the file."""
    if not any(word in source.text for word in (*_FETCHES, *_SESSIONS)):
        return
    functions = [node for node in source.nodes if isinstance(node, ast.FunctionDef)]
    for node in source.nodes:
        if not (isinstance(node, ast.Call) and _is_fetch(node.func)):
            continue
        around = [f for f in functions if f.lineno <= node.lineno <= (f.end_lineno or f.lineno)]
        if all(_is_used(f.name, source) for f in around):
            yield Finding("reaches for the network", source.name, node.lineno)


def _is_fetch(function: ast.expr) -> bool:
    if isinstance(function, ast.Name):
        return function.id in _FETCHES
    if not isinstance(function, ast.Attribute):
        return False
    of_session = isinstance(function.value, ast.Name) and function.value.id in _SESSIONS
    return function.attr in _FETCHES or (of_session and function.attr in {"get", "post"})


def _is_used(name: str, source: Source) -> bool:
    uses = (
        n.id if isinstance(n, ast.Name) else n.attr for n in source.nodes if isinstance(n, ast.Name | ast.Attribute)
    )
    return name in set(uses)

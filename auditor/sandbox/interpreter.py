"""What a Python program needs inside: its interpreter, and this project's packages without what lies beside them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
"""The folder that holds this project's packages."""

OUT_OF_MEMORY = 86
"""Exit status of a module that a MemoryError ended."""

_BOOTSTRAP = f"""\
import json, runpy, sys, traceback
sys.path[:0] = json.loads(sys.argv.pop(1))
del sys.argv[0]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
except MemoryError:
    traceback.print_exc()
    sys.exit({OUT_OF_MEMORY})
"""


def module_command(python: Path, module: str, arguments: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """Run ``module`` as ``__main__`` with ``paths`` in front of ``sys.path``.

    Not ``-I``: it would make Python ignore PYTHONHASHSEED as well, and there is no foreign environment to ignore.
    """
    return [str(python), "-s", "-P", "-c", _BOOTSTRAP, json.dumps([str(path) for path in paths]), module, *arguments]


@cache
def prefixes(python: Path) -> tuple[Path, ...]:
    """Folders that ``python`` lives in: of its virtual environment, of its base, and where its links end.

    Raises:
        OSError: it cannot be run.
        subprocess.CalledProcessError: it cannot say.
    """
    if python == Path(sys.executable):
        own = [sys.prefix, sys.base_prefix]
    else:
        query = [str(python), "-I", "-c", "import sys; print(sys.prefix, sys.base_prefix, sep='\\n')"]
        own = subprocess.run(query, check=True, capture_output=True, text=True).stdout.splitlines()
    return tuple(dict.fromkeys([*map(Path, own), python.resolve().parent.parent]))


def link_packages(folder: Path) -> list[Path]:
    """Fill ``folder`` with links to this project's packages and return where they point.

    A checkout holds much besides its packages; a path entry that shows only links shows none of it. When the project
    is installed, site-packages has the others already.
    """
    packages = [PROJECT / "auditor"]
    if not PROJECT.is_relative_to(sys.prefix):
        packages = [init.parent for init in PROJECT.glob("*/__init__.py")]
    for package in packages:
        (folder / package.name).symlink_to(package)
    return packages

"""A stand-in for the program lrzip that stores instead of compressing: its header and its use of the command line.

For what is about the container and not about the program, which is missing on many machines and takes a second or two
for every stream.
"""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import Final

_PROGRAM: Final = """\
#!{python}
import sys
*options, _, target, source = sys.argv[1:]
data = open(source, "rb").read()
if "-d" in options:
    data = data[24:]
else:
    data = b"LRZI" + bytes([0, 6]) + len(data).to_bytes(8, "little") + bytes(10) + data
open(target, "wb").write(data)
"""


def install(folder: Path) -> Path:
    """Make ``folder`` with a program ``lrzip`` in it; the folder, for a search path."""
    folder.mkdir()
    program = folder / "lrzip"
    program.write_text(_PROGRAM.format(python=sys.executable))
    program.chmod(stat.S_IRWXU)
    return folder

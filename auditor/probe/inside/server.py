"""The fork server: loads torch once, then forks one child after another; run by the sandbox as ``__main__``.

The job comes as JSON on standard input; recordings go out over the harness's pipe, all at the end.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np

from auditor.probe.inside import tap
from auditor.probe.inside.shims import programs
from auditor.probe.job import decode
from auditor.sandbox.child import send


def main() -> None:
    """Serve one job."""
    job = decode(json.load(sys.stdin))
    tap.hook_numpy()  # before anything sums
    base = Path(os.environ["TMPDIR"]) / ".probe"
    base.mkdir()
    programs.install_programs(base / "bin")
    _preload(job.setup.preload)

    # What imports torch comes behind the hook and the real torch's own late imports.
    from auditor.probe.inside import shims
    from auditor.probe.inside.children import adopt_orphans
    from auditor.probe.inside.serving import Server
    from auditor.probe.inside.shims import recurrence

    caveats = [recurrence.CAVEAT] if recurrence.is_needed(job.setup.preload) else []
    shims.install_all()
    adopt_orphans()
    server = Server(job, base, caveats)
    answer = server.serve() | {"recordings": server.meta}
    text = np.frombuffer(json.dumps(answer, allow_nan=False).encode(), np.uint8)
    send(None, {**server.arrays, "meta": text})


def _preload(modules: tuple[str, ...]) -> None:
    os.environ["TRITON_INTERPRET"] = "1"  # read when triton is first imported, by torch at the latest
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    warnings.simplefilter("ignore")
    # Optimisers reach for the compiler even where nothing is compiled; it must have seen the real torch.
    for name in ("torch._dynamo", "torch._inductor.config", *modules):
        with suppress(Exception):
            importlib.import_module(name)


if __name__ == "__main__":
    main()

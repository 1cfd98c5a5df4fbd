"""From a child to the server: a recording in a file, as arrays and JSON."""

from __future__ import annotations

import json
import resource
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auditor.probe.inside.children import End
from auditor.probe.inside.tap import TAP
from auditor.probe.record import Recording, Status
from auditor.probe.wire import pack
from auditor.sandbox.blob import encode_header

_now = time.monotonic
_MEMORY = ("can't allocate memory", "not enough memory", "Cannot allocate memory")


class LoadError(Exception):
    """The script did not load; the cause is its own error."""


class NoMainError(Exception):
    """The script has no ``main``."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the submission's code ended, and the numbers that it returned."""

    status: Status
    error: str = ""
    returned: tuple[float, ...] = ()


def attempt(body: Callable[[], Iterable[float]]) -> Outcome:
    """Run the submission's code, whatever it raises; the tap is off behind it."""
    try:
        return Outcome("ok", returned=tuple(body()))
    except BaseException as error:  # noqa: BLE001 - the submission's
        return Outcome(*_judge(error))
    finally:
        TAP.on = False


class Report:
    """What this process, a child, will report of its run from here on."""

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.key = key
        self._order, self._start = TAP.order, _now()

    def write(self, outcome: Outcome, artifacts: Mapping[str, str] | None = None) -> None:
        """Write the recording since this report was made."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        recording = Recording(
            status=outcome.status,
            error=outcome.error,
            key=self.key,
            events=TAP.events_since(self._order),
            lines=TAP.lines_since(self._order),
            returned=outcome.returned,
            artifacts=artifacts or {},
            seconds=_now() - self._start,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
        )
        write_recording(self.path, recording)


def of_second(path: Path) -> Path:
    """Where the second of two ranks leaves what the first leaves at ``path``."""
    return path.with_name(f"{path.name}_second")


def write_recording(path: Path, recording: Recording) -> None:
    """Write a blob to ``path``; it appears there whole or not at all."""
    meta, arrays = pack(recording)
    layout = {name: (array.dtype, array.shape) for name, array in arrays.items()}
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(encode_header(layout, json.dumps(meta, allow_nan=False)))
        for array in arrays.values():
            file.write(np.ascontiguousarray(array).data)
    partial.replace(path)


def settle(report: Report, end: End) -> None:
    """Say how a child ended that could not say it itself."""
    if report.path.exists():
        return
    status: Status = "timeout" if end.late else "error"
    error = "out of time" if end.late else f"the run ended with status {end.returncode} and left no result"
    recording = Recording(status, error, report.key, seconds=end.seconds, cpu_seconds=end.cpu_seconds)
    write_recording(report.path, recording)


def _judge(error: BaseException) -> tuple[Status, str]:
    if isinstance(error, LoadError) and error.__cause__ is not None:
        status, text = _judge(error.__cause__)
        return ("load-error" if status == "error" else status), text
    if isinstance(error, NoMainError):
        return "no-main", "the script has no main() to call"
    if isinstance(error, SystemExit):
        code = error.code
        return ("ok", "") if code in {None, 0} else ("exit", f"sys.exit({code!r})"[:400])
    text = "".join(traceback.format_exception(error))[-2000:]
    if isinstance(error, SyntaxError) and error.filename is not None:
        text = f"needs Python 3.12: {error}" if "f-string" in str(error) else text
    if isinstance(error, MemoryError) or any(mark in str(error) for mark in _MEMORY):
        return "memory", text
    return "error", text

"""The outside world but for files: environment variables, output, clocks."""

from __future__ import annotations

from auditor.flow.library.call import LibraryCall, Model
from auditor.flow.values import External, Value


def _environ(call: LibraryCall) -> Value:
    """``os.environ.get`` and ``os.getenv``: the launch decides, then the log, then the default."""
    engine = call.engine
    position = 1 if isinstance(call.owner, External) else 0
    name = call.constant(position)
    if isinstance(name, str):
        text = engine.environment.get(name)
        if text is None:
            text = engine.logged.get(name.lower())
            text = {"True": "1", "False": "0", "None": None}.get(text, text) if text is not None else None
        if text is not None:
            return engine.const(text)
        default = call.arg(position + 1, "default")
        return default if default is not None else engine.const(None) if call.name == "get" else engine.top()
    return engine.top()


def _print(call: LibraryCall) -> Value:
    call.engine.report(call.values())
    return call.engine.nothing


def _hand_over(call: LibraryCall) -> Value | None:
    """``queue.put(message)``: a thread that writes the log prints it."""
    call.engine.report(call.values())
    return None


def _exit(call: LibraryCall) -> Value:
    return External("never", call.engine.lattice.none)


def _clock(call: LibraryCall) -> Value:
    return call.engine.outside()


FUNCTIONS: dict[str, Model] = {
    **dict.fromkeys(("os.environ.get", "os.getenv", "os.environ.setdefault"), _environ),
    **dict.fromkeys(("builtins.exit", "sys.exit", "os._exit"), _exit),
    **dict.fromkeys(("builtins.print", "json.dump", "wandb.log"), _print),
    **dict.fromkeys(("info", "warning", "error", "debug", "critical"), _print),
    **dict.fromkeys(("perf_counter", "time.time", "monotonic"), _clock),
}  # fmt: skip
METHODS: dict[str, Model] = dict.fromkeys(("put", "put_nowait"), _hand_over)

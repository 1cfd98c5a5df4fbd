"""Several ranks: what they gather from each other, and whether there are any."""

from __future__ import annotations

from auditor.flow.library.call import LibraryCall, Model
from auditor.flow.values import Array, Seq, Union, Value


def _gathered_objects(call: LibraryCall) -> Value:
    """``dist.all_gather_object(out, obj)``: every slot of ``out`` may hold ``obj``."""
    if len(call.args) > 1:
        _fill(call, call.args[0], call.args[1])
    return call.engine.nothing


def _gathered_at_root(call: LibraryCall) -> Value:
    """``dist.gather(obj, out, dst)``, where only the root may have made ``out``."""
    out = call.arg(1, "gather_list", "object_gather_list")
    if call.args and out is not None:
        _fill(call, out, call.args[0])
    return call.engine.nothing


def _fill(call: LibraryCall, out: Value, gathered: Value) -> None:
    engine = call.engine
    for slots in out.items if isinstance(out, Union) else (out,):
        if isinstance(slots, Seq):
            engine.summarise(slots)
            engine.heap.touch(slots)
            slots.element = gathered
        elif isinstance(slots, Array):
            engine.write(slots, engine.deep(gathered))


def _nothing(call: LibraryCall) -> Value:
    return call.engine.nothing


FUNCTIONS: dict[str, Model] = {
    **dict.fromkeys(("all_gather_object", "all_gather_into_tensor", "all_gather"), _gathered_objects),
    **dict.fromkeys(("torch.distributed.gather", "torch.distributed.gather_object"), _gathered_at_root),
    **dict.fromkeys(("all_reduce", "barrier", "broadcast", "broadcast_object_list", "_dynamo"), _nothing),
    "is_initialized": lambda call: call.engine.const(True), "is_available": lambda call: call.engine.const(True),
}  # fmt: skip

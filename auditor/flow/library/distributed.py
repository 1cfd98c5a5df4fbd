"""Several ranks: what they gather from each other, and whether there are any."""

from __future__ import annotations

from auditor.flow.library.call import LibraryCall, Model
from auditor.flow.values import Array, Seq, Value


def _gathered_objects(call: LibraryCall) -> Value:
    """``dist.all_gather_object(out, obj)``: every slot of ``out`` may hold ``obj``."""
    out = call.args[0] if call.args else None
    if len(call.args) > 1:
        engine = call.engine
        if isinstance(out, Seq):
            engine.summarise(out)
            engine.heap.touch(out)
            out.element = call.args[1]
        elif isinstance(out, Array):
            engine.write(out, engine.deep(call.args[1]))
    return call.engine.nothing


def _gathered_at_root(call: LibraryCall) -> Value:
    """``dist.gather(obj, out, dst)``."""
    if len(call.args) > 1 and isinstance(call.args[1], Seq):
        call.args[:2] = [call.args[1], call.args[0]]
        return _gathered_objects(call)
    return call.engine.nothing


def _nothing(call: LibraryCall) -> Value:
    return call.engine.nothing


FUNCTIONS: dict[str, Model] = {
    **dict.fromkeys(("all_gather_object", "all_gather_into_tensor", "all_gather"), _gathered_objects),
    **dict.fromkeys(("torch.distributed.gather", "torch.distributed.gather_object"), _gathered_at_root),
    **dict.fromkeys(("all_reduce", "barrier", "broadcast", "broadcast_object_list", "_dynamo"), _nothing),
    "is_initialized": lambda call: call.engine.const(True), "is_available": lambda call: call.engine.const(True),
}  # fmt: skip

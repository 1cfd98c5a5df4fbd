"""Hashes as functions, and counts that are added to tables."""

from __future__ import annotations

from auditor.flow.library.call import LibraryCall, Model
from auditor.flow.library.default import OPERATORS, default
from auditor.flow.values import Array, Value


def _hash(call: LibraryCall) -> Value:
    """xor, modulus and masks as functions."""
    if len(call.args) < 2:
        return default(call)
    return call.engine.binary(OPERATORS[call.name], call.args[0], call.args[1])


def _add_at(call: LibraryCall) -> Value:
    """``np.add.at(table, keys, values)``."""
    if len(call.args) >= 2:
        value = call.args[2] if len(call.args) > 2 else call.engine.top()
        call.engine.store_item(call.args[0], call.args[1], value, accumulate=True)
    return call.engine.nothing


def _bincount(call: LibraryCall) -> Value:
    engine = call.engine
    learned = engine.learned(call.args[0], "table") if call.args else None
    return Array(learned or call.prov(), None, 1)


FUNCTIONS: dict[str, Model] = {
    **dict.fromkeys(("bitwise_xor", "remainder", "mod", "fmod", "bitwise_and", "multiply", "mul", "add", "subtract",
                     "sub", "divide", "div", "true_divide", "floor_divide"), _hash),
    **dict.fromkeys(("numpy.add.at", "add.at", "numpy.maximum.at"), _add_at), "bincount": _bincount,
}  # fmt: skip

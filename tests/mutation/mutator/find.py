"""Find the places of a host by the shape of its code.

The shapes are those of the contest: a loop over rows that cuts the rows' losses out of a batch's ``F.cross_entropy``,
sums them and counts bytes through three tables; a function that trains, quantises, reloads and calls the scoring
function, by name or through a timer.
"""

from __future__ import annotations

import ast
import copy
import itertools
import re
from dataclasses import dataclass

from .places import NoPlaceError, Place, Spot
from .tree import Function, Slot, called, ends_with, expression, functions, root, slots, stored

_SERIALISES = re.compile(r"\b(torch\.save|serialize|\w*quantiz\w*|collect_hessians\w*)\(")
_TRAINS = re.compile(r"\.backward\(|\btrain_model\(")


def find_places(tree: ast.Module) -> dict[Place, Spot]:
    """Every place that this host has.

    Raises:
        NoPlaceError: there is no scoring loop of a known shape.
    """
    scoring = _scoring(tree)
    places = scoring.places()
    places.update(_run(tree, scoring))
    places.update(_byte_tables(tree))
    return places


@dataclass(frozen=True)
class Scoring:
    """The scoring loop of one function, as names."""

    tree: ast.Module
    function: Function
    row: ast.For
    cut: Slot
    forward: Slot
    total: str
    targets: ast.expr
    inputs: ast.expr
    holes: dict[str, ast.expr]

    def places(self) -> dict[Place, Spot]:
        """The places in and before this function."""
        body = self.function.body
        loop = (*self.cut.around, self.cut.statement)[0]
        top = next(i for i, statement in enumerate(body) if statement is loop)
        batch = self.forward.block
        at = self.forward.index
        row_body, cut_at = self.cut.block, self.cut.index
        places = {
            Place.MODULE: Spot(self.tree.body, self.function, self.holes),
            Place.START: Spot(body, body[1 if ast.get_docstring(self.function) else 0], self.holes, self.function),
            Place.SETUP: Spot(body, loop, self.holes, self.function),
            Place.BATCH: Spot(batch, batch[at], self.holes, self.function),
            Place.LOGITS: Spot(batch, batch[at + 1], self.holes, self.function),
            Place.ROW: Spot(row_body, row_body[cut_at + 1], self.holes, self.function),
            Place.ROW_END: Spot(row_body, None, self.holes, self.function),
            Place.BATCH_END: Spot(batch, None, self.holes, self.function),
            Place.LOOP: Spot(body, loop, self.holes, self.function),
            Place.FINISH: Spot(body, body[top + 1], self.holes, self.function),
        }
        counted = _byte_count(row_body)
        if counted is not None:
            index, names = counted
            anchor = row_body[index + 1] if index + 1 < len(row_body) else None
            places[Place.TOKEN_BYTES] = Spot(row_body, anchor, {**self.holes, **names}, self.function)
        return places


def _scoring(tree: ast.Module) -> Scoring:
    for function in functions(tree):
        found = _scoring_in(tree, function)
        if found is not None:
            return found
    raise NoPlaceError("no function scores row by row")


def _scoring_in(tree: ast.Module, function: Function) -> Scoring | None:
    every = list(slots(function.body))
    losses = {
        slot.statement.targets[0].id: (slot, cross)
        for slot in every
        if isinstance(slot.statement, ast.Assign)
        and isinstance(slot.statement.targets[0], ast.Name)
        and (cross := _cross_entropy(slot.statement.value)) is not None
    }
    for slot in every:
        match slot.statement:
            case ast.Assign(targets=[ast.Name(id=scored)], value=value):
                part = next((n for n in ast.walk(value) if isinstance(n, ast.Subscript)), None)
            case _:
                continue
        if part is None or not isinstance(part.value, ast.Name) or part.value.id not in losses:
            continue
        total = _summed(slot.block, scored)
        if total is None or not slot.around or not isinstance(slot.around[-1], ast.For):
            continue
        loss_slot, cross = losses[part.value.id]
        found = _assemble(tree, function, every, slot, loss_slot, cross, part, scored, total)
        if found is not None:
            return found
    return None


def _assemble(
    tree: ast.Module,
    function: Function,
    every: list[Slot],
    cut: Slot,
    loss_slot: Slot,
    cross: ast.Call,
    part: ast.Subscript,
    scored: str,
    total: str,
) -> Scoring | None:
    row = cut.around[-1]
    logits, targets_batch = root(cross.args[0]), root(cross.args[1])
    pair = _row_tokens(cut.block)
    window = _window(cut.block)
    stream = next(
        (n for n in ast.walk(function) if isinstance(n, ast.Subscript) and ends_with(n.value, "tokens")), None
    )
    if logits is None or targets_batch is None or pair is None or window is None or stream is None:
        return None
    forward, call = _forward(every, loss_slot, logits.id)
    model = next((a.arg for a in function.args.args if a.arg.endswith("model")), None)
    if forward is None or call is None or model is None or not isinstance(row, ast.For):
        return None
    start, offset = window
    rows = logits.id if isinstance(part.slice, ast.Tuple) else f"{logits.id}.reshape(-1, {logits.id}.size(-1))"
    row_logits = ast.Subscript(expression(rows), part.slice, ast.Load())
    holes: dict[str, ast.expr] = {
        "TARGETS": pair[0],
        "INPUTS": pair[1],
        "SCORED": ast.Name(scored, ast.Load()),
        "LOGITS": ast.Name(logits.id, ast.Load()),
        "ROW_LOGITS": row_logits,
        "NLL": part.value,
        "PART": part,
        "X": ast.Name(call.id, ast.Load()),
        "Y": ast.Name(_known_before(forward, targets_batch.id), ast.Load()),
        "STREAM": stream.value,
        "POSITION": expression(f"{start} + {offset}"),
        "WINDOW": ast.Name(start, ast.Load()),
        "MODEL": ast.Name(model, ast.Load()),
        "LOSS_SUM": ast.Name(total, ast.Load()),
        "SUMS": _sums(cut.block),
        "DEVICE": expression(f"{targets_batch.id}.device"),
    }
    return Scoring(tree, function, row, cut, forward, total, pair[0], pair[1], holes)


def _cross_entropy(value: ast.expr) -> ast.Call | None:
    for node in ast.walk(value):
        if isinstance(node, ast.Call) and called(node) == "cross_entropy" and len(node.args) >= 2:
            kinds = {k.arg: k.value for k in node.keywords}
            reduction = kinds.get("reduction")
            if isinstance(reduction, ast.Constant) and reduction.value == "none":
                return node
    return None


def _summed(block: list[ast.stmt], scored: str) -> str | None:
    for statement in block:
        match statement:
            case ast.AugAssign(target=ast.Name(id=total), value=ast.Call() as value):
                name = root(value)
                if name is not None and name.id == scored:
                    return total
            case _:
                pass
    return None


def _sums(block: list[ast.stmt]) -> ast.expr:
    """A tuple of the names that a row adds to: losses, tokens, bytes."""
    names = [s.target.id for s in block if isinstance(s, ast.AugAssign) and isinstance(s.target, ast.Name)]
    assigned = {t.id for s in block if isinstance(s, ast.Assign) for t in s.targets if isinstance(t, ast.Name)}
    return ast.Tuple([ast.Name(n, ast.Load()) for n in dict.fromkeys(names) if n not in assigned], ast.Load())


def _row_tokens(block: list[ast.stmt]) -> tuple[ast.expr, ast.expr] | None:
    """The row's targets and inputs: what indexes the table of bytes and the table of boundaries."""
    values: dict[str, ast.expr] = {}
    indexed: dict[str, ast.expr] = {}
    for statement in block:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                values[name] = value
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=parts)):
                values.update((n.id, p) for n, p in zip(names, parts, strict=True) if isinstance(n, ast.Name))
            case _:
                pass
        for node in ast.walk(statement):
            if isinstance(node, ast.Subscript) and ends_with(node.value, "_lut"):
                indexed.setdefault(ast.unparse(node.value).rpartition(".")[2], node.slice)
    pair = []
    for table in ("base_bytes_lut", "is_boundary_token_lut"):
        index = indexed.get(table)
        index = values.get(index.id) if isinstance(index, ast.Name) else index
        if index is None:
            return None
        pair.append(index)
    return pair[0], pair[1]


def _window(block: list[ast.stmt]) -> tuple[str, str] | None:
    """Names of the window's start and of the offset at which its scored part begins: ``s = 0 if ws == 0 else ...``."""
    for statement in block:
        match statement:
            case ast.Assign(
                targets=[ast.Name(id=offset)],
                value=ast.IfExp(test=ast.Compare(left=ast.Name(id=start), ops=[ast.Eq()])),
            ):
                return start, offset
            case _:
                pass
    return None


def _forward(every: list[Slot], loss: Slot, logits: str) -> tuple[Slot | None, ast.Name | None]:
    """The statement of the batch's block that computes the logits, and the name of the inputs it is given."""
    for slot in every:
        match slot.statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(args=[argument, *_])) if name == logits:
                inputs = root(argument)
            case _:
                continue
        outer = slot.statement
        for candidate in reversed(every):
            inside = any(outer is inner for inner in ast.walk(candidate.statement))
            if inside and candidate.block is loss.block and inputs is not None:
                return candidate, inputs
    return None, None


def _known_before(forward: Slot, name: str) -> str:
    """The name itself, or what it is a view of where it is bound only after the forward pass."""
    for statement in forward.block[forward.index :]:
        match statement:
            case ast.Assign(targets=[ast.Name(id=bound)], value=ast.Call() as value) if bound == name:
                viewed = root(value)
                if viewed is not None:
                    return viewed.id
            case _:
                pass
    return name


def _byte_count(block: list[ast.stmt]) -> tuple[int, dict[str, ast.expr]] | None:
    """Where a row's leading spaces were added to its bytes, and the tables' names."""
    for index, statement in enumerate(block):
        if isinstance(statement, ast.AugAssign) and "has_leading_space" in ast.unparse(statement.value):
            tables = [n for n in ast.walk(statement.value) if isinstance(n, ast.Subscript)]
            space = next(n for n in tables if "has_leading_space" in ast.unparse(n.value))
            return index, {"TB": _load(statement.target), "SPACE": space}
    return None


def _run(tree: ast.Module, scoring: Scoring) -> dict[Place, Spot]:
    """The places of the function that trains, quantises and calls the scoring function."""
    name = scoring.function.name
    for function in functions(tree):
        if function is scoring.function:
            continue
        for slot in slots(function.body):
            if not isinstance(slot.statement, ast.Assign | ast.Expr):
                continue
            call = next((n for n in ast.walk(slot.statement) if isinstance(n, ast.Call) and _calls(n, name)), None)
            if call is not None:
                return _run_places(tree, function, slot, call, scoring)
    return {}


def _calls(node: ast.Call, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in (node.func, *node.args))


def _run_places(
    tree: ast.Module, function: Function, score: Slot, call: ast.Call, scoring: Scoring
) -> dict[Place, Spot]:
    parameters = [a.arg for a in scoring.function.args.args]
    arguments = list(call.args)
    if not (isinstance(call.func, ast.Name) and call.func.id == scoring.function.name):
        at = next(i for i, a in enumerate(arguments) if isinstance(a, ast.Name) and a.id == scoring.function.name)
        arguments = arguments[at + 1 :]
    given = dict(zip(parameters, arguments, strict=False)) | {k.arg: k.value for k in call.keywords if k.arg}
    bound = stored([function])
    model_name = ast.unparse(scoring.holes["MODEL"])
    stream_root = root(scoring.holes["STREAM"])
    trained = next((n for n in ("base_model", "model") if n in bound), None)
    settings = next((n for n in ("args", "h") if n in bound or n in parameters), None)
    if trained is None or settings is None or stream_root is None or model_name not in given:
        return {}
    stream_given = given.get(stream_root.id)
    if stream_given is None:
        return {}
    stream = copy.deepcopy(scoring.holes["STREAM"])
    if isinstance(stream, ast.Attribute):
        stream.value = stream_given
    else:
        stream = stream_given
    holes: dict[str, ast.expr] = {
        "MODEL": ast.Name(trained, ast.Load()),
        "EVAL_MODEL": given[model_name],
        "STREAM": stream,
        "SETTINGS": ast.Name(settings, ast.Load()),
        "SCORE": ast.Name(scoring.function.name, ast.Load()),
    }
    top = (*score.around, score.statement)[0]
    spots = {
        Place.BEFORE_SCORE: Spot(score.block, score.statement, holes, function),
        Place.SCORE_CALL: Spot(score.block, score.statement, holes, function, _guards(score)),
    }
    quantise = _quantises(function.body, top)
    if quantise is not None:
        spots[Place.BEFORE_QUANT] = Spot(function.body, quantise, holes, function)
    return spots


def _guards(slot: Slot) -> tuple[ast.If, ...]:
    path = (*slot.around, slot.statement)
    pairs = itertools.pairwise(path)
    return tuple(outer for outer, inner in pairs if isinstance(outer, ast.If) and inner in outer.body)


def _quantises(body: list[ast.stmt], score: ast.stmt) -> ast.stmt | None:
    """The first statement between training and scoring that saves or quantises."""
    stop = next(i for i, statement in enumerate(body) if statement is score)
    trained = [
        i
        for i in range(stop)
        if not isinstance(body[i], Function | ast.ClassDef) and _TRAINS.search(ast.unparse(body[i]))
    ]
    if not trained:
        return None
    after = (body[i] for i in range(trained[-1] + 1, stop))
    return next((statement for statement in after if _SERIALISES.search(ast.unparse(statement))), None)


def _byte_tables(tree: ast.Module) -> dict[Place, Spot]:
    """The lines that fill the table of bytes per token."""
    places: dict[Place, Spot] = {}
    for function in functions(tree):
        for slot in slots(function.body):
            match slot.statement:
                case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=table), slice=index)], value=value) if (
                    table.startswith("base_bytes")
                ):
                    holes: dict[str, ast.expr] = {"TABLE": ast.Name(table, ast.Load()), "TOKEN": index}
                case _:
                    continue
            piece = next((n for n in ast.walk(value) if called(n) == "encode"), None)
            if piece is not None and isinstance(name := root(piece), ast.Name):
                holes["PIECE"] = name
                places[Place.PIECE_BYTES] = Spot(slot.block, slot.statement, holes, function)
                loop = slot.around[0]
                at = next(i for i, statement in enumerate(function.body) if statement is loop)
                spaces = next((n for n in stored([function]) if n.startswith("has_leading_space")), None)
                if spaces is not None:
                    holes["SPACES"] = ast.Name(spaces, ast.Load())
                places[Place.TABLES_END] = Spot(function.body, function.body[at + 1], holes, function)
            elif isinstance(value, ast.Constant) and value.value == 1:
                places[Place.BYTE_BYTES] = Spot(slot.block, slot.statement, holes, function)
        if Place.PIECE_BYTES in places:
            return places
    return places


def _load(node: ast.expr) -> ast.expr:
    return expression(ast.unparse(node))

"""Files: what their paths say of their content, what is written to them and read back."""

from __future__ import annotations

import re

from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow.affine import ZERO
from auditor.flow.library.call import LibraryCall, Model
from auditor.flow.library.objects import duplicate, identity
from auditor.flow.provenance import NO_DEPS, Region, Token
from auditor.flow.values import Array, Const, External, Instance, Seq, Top, Tuple, Union, Value

_VAL_PATH = re.compile(r"(?<![a-z])val(?![a-z])|valid", re.IGNORECASE)
_TRAIN_PATH = re.compile(r"(?<![a-z])train(?![a-z_]*gpt)", re.IGNORECASE)
_BYTE_PATH = re.compile(r"byte", re.IGNORECASE)
_EVERY_SHARD = re.compile(r"fineweb\w*\*[\w*]*\.bin$")
"""A pattern of shards that names neither split and so means both."""
_DUMP = "dump"
"""A file's arrays in the order in which they were written."""
_PARTS = 16
_NAMED = 3
"""Letters that a file's name needs, to be known where parts of it are unknown."""


def path_text(call: LibraryCall, value: Value | None) -> str | None:
    """The text of a path, with NUL for its unknown parts."""
    if isinstance(value, Instance):
        value = value.attrs.get("path")
    if isinstance(value, Seq | Union | Tuple):
        value = call.engine.elements(value)
    if isinstance(value, Const) and not isinstance(value.value, str):
        return None
    return call.engine.text_of(value) if isinstance(value, Const | Top) else None


def _join_path(call: LibraryCall) -> Value:
    parts = [call.engine.text_of(a) if isinstance(a, Const | Top) else None for a in call.args]
    text = "/".join(p if p is not None else "\0" for p in parts)
    prov = call.prov()
    return Const(text, prov) if all(isinstance(a, Const) for a in call.args) else Top(prov, None, text)


def glob_files(call: LibraryCall) -> Value:
    """Paths of files, of which the pattern is known."""
    engine = call.engine
    texts = [engine.text_of(a) for a in call.args if isinstance(a, Const | Top)]
    text = "/".join(t if t is not None else "\0" for t in texts)
    return Seq(None, Top(engine.lattice.none, None, text), engine.lattice.none)


def _open(call: LibraryCall) -> Value:
    engine = call.engine
    handle = Instance(External("file", engine.lattice.none), engine.lattice.none)
    handle.attrs["path"] = call.args[0]
    mode = call.constant(1, "mode")
    content = None if isinstance(mode, str) and "w" in mode else _stored(call, path_text(call, call.args[0]))
    if content is not None:
        handle.attrs["content"] = content
    return handle


def tokens_of(call: LibraryCall, text: str | None) -> Value | None:
    """What a data file holds: the validation stream, training data, or a byte sidecar; None for anything else."""
    engine = call.engine
    if text is None:
        return None
    name = text.rpartition("/")[2] or text
    stripped = name if name.strip("\0*.") else text
    lattice = engine.lattice
    validation = _VAL_PATH.search(stripped)
    every = _EVERY_SHARD.match(stripped) and not _TRAIN_PATH.search(stripped) and text not in engine.sorted_names
    if validation or every:
        if _BYTE_PATH.search(stripped):
            return Array(lattice.make(P.BYTES), None, 1)
        region = Region(NO_DEPS, None, None, None, lattice.site)
        token = Token(ZERO, False, lattice.site)
        return Array(lattice.make(P.VAL | P.STREAM, regions=[region], tokens=[token]), None, 1)
    if _TRAIN_PATH.search(stripped):
        engine.effects += 1
        return Array(lattice.make(P.TRAIN, facts=[engine.from_training("read")]), None, 1)
    return None


def _stored(call: LibraryCall, text: str | None) -> Value | None:
    """What the program has written to a path; ranks and numbers of parts in its name may be unknown."""
    files = call.engine.files
    if text is None or text in files:
        return files.get(text or "")
    if sum(map(str.isalpha, text.rpartition("/")[2])) < _NAMED:
        return None
    found = [dumps for name, dumps in files.items() if _is_dump(dumps) and (_meets(text, name) or _meets(name, text))]
    return found[-1] if found else None


def _meets(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("\0"))), text, re.DOTALL) is not None


def _is_dump(value: Value) -> bool:
    return isinstance(value, Seq) and value.kind == _DUMP


def _dump(call: LibraryCall) -> Value:
    """``array.tofile(f)``: one after the other."""
    engine = call.engine
    if len(call.args) < 2:
        return engine.nothing
    target = call.args[1]
    before = target.attrs.get("content") if isinstance(target, Instance) else None
    parts = before.items or [] if isinstance(before, Seq) and _is_dump(before) else []
    if len(parts) < _PARTS:
        _keep_file(call, target, Seq([*parts, duplicate(call, call.args[0], {})], None, engine.lattice.none, _DUMP))
    return engine.nothing


def _next_dump(call: LibraryCall, source: Value | None, dumps: Seq) -> Value:
    """The array that comes next in a file, or any of them."""
    engine = call.engine
    parts = dumps.items or []
    if not isinstance(source, Instance):
        return engine.join_all(parts)
    at = source.attrs.get("at")
    place = at.value if isinstance(at, Const) and isinstance(at.value, int) else 0
    engine.heap.touch(source)
    source.attrs["at"] = engine.const(place + 1)
    return duplicate(call, parts[place] if place < len(parts) else engine.join_all(parts), {})


def _moved(call: LibraryCall) -> Value:
    """``os.replace``: what was in one file is in another."""
    content = _stored(call, path_text(call, call.arg(0, "src")))
    target = path_text(call, call.arg(1, "dst"))
    if content is not None and target is not None:
        call.engine.files[target] = content
    return call.engine.nothing


def _read_array(call: LibraryCall) -> Value | None:
    """``np.fromfile``, ``np.memmap``, ``np.load``, ``torch.load``."""
    engine = call.engine
    source = call.arg(0, "file", "filename", "f")
    text = path_text(call, source)
    stored = _stored(call, text)
    if stored is None and isinstance(source, Instance):
        stored = source.attrs.get("content")
    if isinstance(stored, Seq) and _is_dump(stored):
        return _next_dump(call, source, stored)
    count = call.constant(2, "count")
    if isinstance(count, int) and 0 < count <= 1024:
        return Top(engine.lattice.none)
    if stored is not None:
        copy = duplicate(call, stored, {})
        # Weights whose names a compressor has hidden are still something that may be written to.
        return Array(copy.prov) if isinstance(copy, Top) and call.name == "load" else copy
    found = tokens_of(call, text)
    if found is not None:
        return found
    if call.name == "load" and text is not None:
        return Top(engine.lattice.make(P.ARTIFACT), None)
    return None


def _save(call: LibraryCall) -> Value:
    """``torch.save``, ``np.save``, ``pickle.dump``."""
    engine = call.engine
    if len(call.args) < 2:
        return engine.nothing
    value, target = call.args[0], call.args[1]
    if call.name in {"savez", "savez_compressed"} or call.dotted.startswith("numpy"):
        value, target = target, value
    _store_file(call, target, value)
    return engine.nothing


def _store_file(call: LibraryCall, target: Value, value: Value) -> None:
    """Weights that are written to a file are an artifact: what is in it, training data included, is paid for."""
    engine = call.engine
    flags = engine.deep(value).flags
    if flags & P.WEIGHTS and not flags & P.NLL:
        engine.effects += 1
        engine.phase += 1
        kept = duplicate(call, value, {}, engine.lattice.archived)
    else:
        kept = duplicate(call, value, {})
    _keep_file(call, target, kept)


def _keep_file(call: LibraryCall, target: Value, kept: Value) -> None:
    engine = call.engine
    text = path_text(call, target)
    if text is not None:
        engine.files[text] = kept
    if isinstance(target, Instance):
        engine.heap.touch(target)
        target.attrs["content"] = kept


def _write(call: LibraryCall) -> Value:
    engine = call.engine
    engine.report(call.args[1:])
    if call.owner is not None and len(call.args) > 1:
        _store_file(call, call.owner, call.args[1])
    return engine.nothing


def _read(call: LibraryCall) -> Value | None:
    engine = call.engine
    owner = call.owner
    content = owner.attrs.get("content") if isinstance(owner, Instance) else None
    if content is not None:
        return engine.outside(content) if call.name != "getvalue" else content
    text = path_text(call, owner)
    found = engine.files.get(text) if text is not None else None
    if found is not None:
        return engine.outside(found) if isinstance(found, Top | Const) else found
    tokens = tokens_of(call, text)
    return tokens if tokens is not None else engine.outside()


def _bytes_io(call: LibraryCall) -> Value:
    handle = Instance(External("file", call.engine.lattice.none), call.engine.lattice.none)
    if call.args:
        handle.attrs["content"] = call.args[0]
    return handle


def _data_set(call: LibraryCall) -> Value:
    """``load_dataset(name)``: text that does not come with the contest."""
    call.engine.effects += 1
    call.engine.fetched.append(call.engine.lattice.site)
    return Top(call.engine.lattice.make(P.FETCHED))


def _sentencepiece(call: LibraryCall) -> Value:
    return Top(call.engine.lattice.make(P.BYTES))


FUNCTIONS: dict[str, Model] = {
    "builtins.open": _open, "os.path.join": _join_path, "Path": _join_path,
    **dict.fromkeys(("os.path.realpath", "os.path.abspath", "os.path.expanduser", "os.fspath"), identity),
    **dict.fromkeys(("glob.glob", "glob", "iglob"), glob_files),
    **dict.fromkeys(("numpy.fromfile", "numpy.memmap", "numpy.load", "torch.load"), _read_array),
    **dict.fromkeys(("torch.save", "numpy.save", "pickle.dump"), _save), "json.dumps": lambda call: None,
    "tofile": _dump, **dict.fromkeys(("os.replace", "os.rename", "shutil.move", "shutil.copyfile"), _moved),
    "BytesIO": _bytes_io, **dict.fromkeys(("getvalue", "read", "read_bytes"), _read),
    **dict.fromkeys(("write", "write_text", "write_bytes"), _write), "SentencePieceProcessor": _sentencepiece,
    "load_dataset": _data_set, "datasets.load_dataset": _data_set,
}  # fmt: skip

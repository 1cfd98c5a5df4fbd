"""The Python that the entry script reaches: imports, executed files, quoted names, and code unpacked from data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from auditor.submission.folder import FileKind, Folder
from auditor.submission.kernels import Kernel, file_kernels, literal_kernels
from auditor.submission.outline import language_of, outline
from auditor.submission.problems import Problem, ProblemKind, ReadLimits
from auditor.submission.source import Location, PackInfo, Source, make_source
from auditor.submission.unwrap import unwrap
from auditor.submission.values import EnvironmentWrite, HiddenCode


@dataclass(frozen=True)
class Closure:
    """What the entry reaches.

    Attributes:
        sources: by name, the entry first.
        kernels: native code, carried or beside.
        environment: what packed scripts and wrappers set before their inner code runs, in order.
        problems: what could not be followed.
    """

    sources: Mapping[str, Source]
    kernels: tuple[Kernel, ...]
    environment: tuple[tuple[str, EnvironmentWrite], ...]
    problems: tuple[Problem, ...]


def follow(folder: Folder, entry: str, limits: ReadLimits, text: str | None = None) -> Closure:
    """Follow the code from the file ``entry``, or from a ``text`` in it; native files are listed in any case."""
    walk = _Follow(folder, limits)
    if text is None:
        walk.file(entry)
    else:
        walk.add(entry, text)
    while walk.waiting:
        walk.visit(walk.waiting.pop(0))
    kernels = (*walk.kernels, *file_kernels(folder, walk.quoted, limits))
    return Closure(walk.sources, kernels, tuple(walk.environment), tuple(walk.problems))


class _Follow:
    def __init__(self, folder: Folder, limits: ReadLimits) -> None:
        self.folder = folder
        self.limits = limits
        self.sources: dict[str, Source] = {}
        self.kernels: list[Kernel] = []
        self.quoted: set[str] = set()
        self.environment: list[tuple[str, EnvironmentWrite]] = []
        self.problems: list[Problem] = []
        self.waiting: list[Source] = []

    def file(self, name: str) -> None:
        """Take a file of the submission into the closure."""
        if name in self.sources:
            return
        text, problems = read_text(self.folder, name, self.limits.source_bytes)
        self.problems.extend(problems)
        if text is not None:
            self.add(name, text)

    def add(self, name: str, text: str, shipped: Location | None = None, packed: PackInfo | None = None) -> None:
        if len(self.sources) >= self.limits.sources:
            return
        source, problems = make_source(name, text, shipped, packed)
        self.sources[name] = source
        self.problems.extend(problems)
        self.waiting.append(source)

    def visit(self, source: Source) -> None:
        """Follow one script to whatever it names."""
        if source.problem is not None:
            return
        found = outline(source.syntax)
        if found.depth > self.limits.syntax_depth:
            message = f"syntax nested {found.depth} deep, over {self.limits.syntax_depth}"
            problem = Problem(ProblemKind.TOO_DEEP, message, source.name)
            self.sources[source.name] = replace(source, problem=problem)
            self.problems.append(problem)
            return
        self.kernels.extend(literal_kernels(source, found.natives))
        beside = _file_of(source.name)
        for module in found.modules:
            for path in _module_paths(module, beside):
                if path in self.folder.files:
                    self.file(path)
        for quoted in found.quoted:
            self._quoted(quoted, beside)
        if found.executes:
            self._unwrap(source)

    def _quoted(self, quoted: str, beside: str) -> None:
        path = self.folder.resolve(quoted, beside)
        if path is None:
            return
        self.quoted.add(path)
        if self.folder.files[path].kind is FileKind.PYTHON:
            self.file(path)

    def _unwrap(self, source: Source) -> None:
        result = unwrap(source.syntax, _file_of(source.name), self._read, self.limits)
        for problem in result.problems:
            shipped = source.line_map(problem.line)
            self.problems.append(replace(problem, file=shipped.file, line=shipped.line))
        for path, _ in result.reached:
            self._quoted(path, _file_of(source.name))
        self.environment.extend((source.name, write) for write in result.environment)
        for position, hidden in enumerate(result.executed):
            self._hidden(source, hidden, position)

    def _hidden(self, outer: Source, hidden: HiddenCode, position: int) -> None:
        layers = 1 + (outer.packed.layers if outer.packed else 0)
        shipped = outer.line_map(hidden.trace.line)
        if layers > self.limits.layers:
            message = f"packed more than {self.limits.layers} times over"
            self.problems.append(Problem(ProblemKind.TOO_DEEP, message, shipped.file, shipped.line))
            return
        label = hidden.name or ("inner" if not position else f"inner{position + 1}")
        name = f"{outer.name}!{label}"
        if hidden.name and PurePosixPath(hidden.name).suffix not in {"", ".py"}:
            language = language_of(hidden.name, hidden.text)
            self.kernels.append(Kernel(name, language, hidden.text, shipped.file, shipped.line, verbatim=False))
            return
        if "\0" in hidden.text or hidden.text.count("\ufffd") > len(hidden.text) // 100:
            message = "the unpacked data is not text"
            self.problems.append(Problem(ProblemKind.UNDECODABLE_PACKER, message, shipped.file, shipped.line))
            return
        if len(hidden.text) > self.limits.source_bytes:
            message = f"the unpacked code is longer than {self.limits.source_bytes} characters"
            self.problems.append(Problem(ProblemKind.TOO_LARGE, message, shipped.file, shipped.line))
            return
        trace = hidden.trace
        packed = PackInfo(trace.codecs, layers, trace.packed_bytes, outer.name, trace.line, trace.payload)
        self.add(name, hidden.text, shipped, packed)

    def _read(self, path: str, beside: str) -> tuple[str, bytes] | None:
        found = self.folder.resolve(path, beside)
        if found is None or self.folder.files[found].size > self.limits.payload_bytes:
            return None
        try:
            return found, self.folder.read_bytes(found, self.limits.payload_bytes)
        except OSError:
            return None


def read_text(folder: Folder, name: str, limit: int) -> tuple[str | None, list[Problem]]:
    """A listed file as text, and what is wrong with it."""
    try:
        data = folder.read_bytes(name, limit + 1)
    except OSError as error:
        return None, [Problem(ProblemKind.UNREADABLE, f"cannot read: {error.strerror or error}", name)]
    if len(data) > limit:
        return None, [Problem(ProblemKind.TOO_LARGE, f"longer than {limit} bytes; not read", name)]
    try:
        return data.decode("utf-8"), []
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return data.decode("utf-8", "replace"), [Problem(ProblemKind.NOT_TEXT, "not UTF-8", name, line)]


def _file_of(name: str) -> str:
    """The shipped file that a source belongs to."""
    return name.partition("!")[0]


def _module_paths(module: str, beside: str) -> tuple[str, ...]:
    """Files that an import may mean: beside the script, or from the top of the submission."""
    level = len(module) - len(module.lstrip("."))
    parts = module.lstrip(".").replace(".", "/")
    folder = PurePosixPath(beside).parent
    if level:
        for _ in range(level - 1):
            folder = folder.parent
    base = str(folder / parts) if parts else str(folder)
    bases = (base,) if level else (base, parts)
    packages = (f"{package}/__init__.py" for item in bases for package in PurePosixPath(item).parents)
    return (*packages, *(path for item in bases for path in (f"{item}.py", f"{item}/__init__.py")))

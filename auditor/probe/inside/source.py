"""The submission's code on its way to the interpreter: literals rewritten, Python 3.12's strings brought down.

The entry, the modules beside it and what it unpacks and executes all pass through ``Loader.prepare``. Overrides of
``exec`` and ``compile`` are names in the submission's own modules, so libraries keep theirs.
"""

from __future__ import annotations
import __future__ as future_statements

import builtins
import importlib.abc
import importlib.machinery
import importlib.util
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from auditor.probe.downlevel import downlevel
from auditor.probe.inside.frames import PACKED, is_submitted
from auditor.probe.plan import Rewrite

_FUTURES = 0
for _name in future_statements.all_feature_names:
    _FUTURES |= getattr(future_statements, _name).compiler_flag


class Loader:
    """Compiles and executes the submission's code.

    Attributes:
        namespaces: globals of packed code that asked to be ``__main__``; its ``main`` is ours to call.
    """

    def __init__(self, rewrites: Sequence[Rewrite]) -> None:
        self._rewrites = [(re.compile(rewrite.pattern), rewrite.replacement) for rewrite in rewrites]
        self.namespaces: list[dict[str, Any]] = []

    def prepare(self, source: str | bytes) -> str:
        """The text to compile instead of ``source``.

        Raises:
            SyntaxError: it is not Python, or needs a newer one and could not be brought down.
        """
        text = importlib.util.decode_source(source) if isinstance(source, bytes) else source
        text = downlevel(text.removeprefix("\ufeff"))
        for pattern, replacement in self._rewrites:
            text = pattern.sub(replacement, text)
        return text

    def load(self, script: Path, name: str) -> ModuleType:
        """A module executed from ``script``; it is in ``sys.modules`` under ``name``."""
        module = ModuleType(name)
        module.__file__ = str(script)
        sys.modules[name] = module
        code = builtins.compile(self.prepare(script.read_bytes()), str(script), "exec", dont_inherit=True)
        self.override(module.__dict__)
        builtins.exec(code, module.__dict__)  # noqa: S102 - what a loader is for
        return module

    def override(self, namespace: dict[str, Any]) -> None:
        """Put our ``exec`` and ``compile`` into a module's globals."""
        namespace["exec"], namespace["compile"] = self._exec, self._compile

    def _exec(self, code: Any, names: dict[str, Any] | None = None, variables: Any = None, /, **named: Any) -> None:
        caller = sys._getframe(1)
        names = named.pop("globals", names)
        variables = named.pop("locals", variables)
        if names is None:
            names, variables = caller.f_globals, caller.f_locals if variables is None else variables
        if not isinstance(code, CodeType):
            code = self._compile(code, PACKED, "exec", caller.f_code.co_flags & _FUTURES, True)
        if names.get("__name__") == "__main__":
            names["__name__"] = "__packed__"
            self.namespaces.append(names)
        self.override(names)
        builtins.exec(code, names, names if variables is None else variables, **named)  # noqa: S102 - their call

    def _compile(
        self,
        source: Any,
        filename: Any,
        mode: str,
        flags: int = 0,
        dont_inherit: bool = False,
        *arguments: Any,
        **named: Any,
    ) -> Any:
        if mode == "exec" and isinstance(source, (str, bytes)):
            source = self.prepare(source)
        if not dont_inherit:
            flags |= sys._getframe(1).f_code.co_flags & _FUTURES
        filename = str(filename)
        # A made-up name would make the code ours to a reader of frames, or somebody else's.
        filename = filename if is_submitted(filename) and filename else PACKED
        return builtins.compile(source, filename, mode, flags, True, *arguments, **named)

    def hook_imports(self, folder: Path) -> None:
        """Let modules beside the entry pass through ``prepare``."""
        sys.meta_path.insert(0, _Finder(self, folder))
        sys.path.insert(0, str(folder))


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, loader: Loader, folder: Path) -> None:
        self._loader = loader
        self._folder = str(folder)

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        # A submission's file never hides an installed module that has been loaded, nor one of the stand-ins.
        places = [self._folder] if path is None else [each for each in path if each.startswith(self._folder)]
        spec = importlib.machinery.PathFinder.find_spec(fullname, places, target) if places else None
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _FileLoader(self._loader, spec.loader.name, spec.loader.path)
        return spec


class _FileLoader(importlib.machinery.SourceFileLoader):
    def __init__(self, loader: Loader, name: str, path: str) -> None:
        super().__init__(name, path)
        self._loader = loader

    def get_code(self, fullname: str) -> CodeType:
        source = self._loader.prepare(self.get_data(self.path))
        return builtins.compile(source, self.path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.override(module.__dict__)
        super().exec_module(module)

"""The submission's code on its way to the interpreter: literals rewritten, Python 3.12's strings brought down.

The entry, the modules beside it and what it unpacks and executes all pass through ``Loader.prepare``. Overrides of
``exec`` and ``compile`` are names in the submission's own modules, so libraries keep theirs.
"""

from __future__ import annotations
import __future__ as future_statements

import builtins
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
from auditor.probe.inside.patching import replace
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
        self._adopt(module.__dict__)
        builtins.exec(code, module.__dict__)  # noqa: S102 - what a loader is for
        return module

    def _exec(self, code: Any, names: dict[str, Any] | None = None, variables: Any = None, /, **named: Any) -> None:
        caller = sys._getframe(1)
        names = named.pop("globals", names)
        variables = named.pop("locals", variables)
        if names is None:
            names, variables = caller.f_globals, caller.f_locals if variables is None else variables
        if not isinstance(code, CodeType):
            code = self._compile(code, PACKED, "exec", caller.f_code.co_flags & _FUTURES, True)
        self._adopt(names)
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
        """Let every module that is not a library's pass through ``prepare``, wherever it is loaded from."""
        sys.path.insert(0, str(folder))
        loaders: Any = importlib.machinery.SourceFileLoader
        get_code, exec_module = loaders.get_code, loaders.exec_module

        def get_prepared_code(loader: Any, fullname: str) -> Any:
            if not is_submitted(loader.path):
                return get_code(loader, fullname)
            source = self.prepare(loader.get_data(loader.path))
            return builtins.compile(source, loader.path, "exec", dont_inherit=True)

        def exec_adopted_module(loader: Any, module: ModuleType) -> None:
            if is_submitted(loader.path):
                self._adopt(module.__dict__)
            exec_module(loader, module)

        replace(loaders, get_code=get_prepared_code, exec_module=exec_adopted_module)

    def _adopt(self, names: dict[str, Any]) -> None:
        """Take the globals of a script's own code in hand before it runs."""
        if names.get("__name__") == "__main__":
            names["__name__"] = "__packed__"
            self.namespaces.append(names)
        names["exec"], names["compile"] = self._exec, self._compile

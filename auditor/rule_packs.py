"""Rule packs: packages of modules with one rule each. The built-in pack always loads; others through an entry point."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from auditor.findings import Condition
from auditor.rule import Rule

GROUP = "auditor.rule_packs"
"""Entry point group: each entry names a package that is scanned like the built-in one."""

BUILT_IN = "rules"


class RulePackError(Exception):
    """A pack holds no rule, or two rules share an id; an internal error, never a clean verdict."""


def pack_names() -> tuple[str, ...]:
    """Packages that hold rules, the built-in one first."""
    others = {entry.module for entry in _entries()}
    return (BUILT_IN, *sorted(others - {BUILT_IN}))


def load_rules() -> tuple[Rule, ...]:
    """Every rule of every pack, by condition and id.

    Raises:
        RulePackError: a pack without rules, or an id that occurs twice.
    """
    rules: dict[str, Rule] = {}
    for name in pack_names():
        found = list(_rules_in(importlib.import_module(name)))
        if not found:
            raise RulePackError(f"rule pack {name} holds no rule")
        for rule in found:
            if rule.id in rules:
                raise RulePackError(f"rule {rule.id} is defined twice")
            rules[rule.id] = rule
    order = list(Condition)
    return tuple(sorted(rules.values(), key=lambda rule: (order.index(rule.condition), rule.id)))


def pack_folders() -> Iterator[Path]:
    """Folders of the packs' code."""
    for name in pack_names():
        spec = importlib.util.find_spec(name)
        for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
            yield Path(folder)


def _rules_in(package: ModuleType) -> Iterator[Rule]:
    """Rules of the package's modules; a module whose name begins with ``_`` holds helpers, sub-packages hold data."""
    for module in pkgutil.iter_modules(package.__path__):
        if module.ispkg or module.name.startswith("_"):
            continue
        loaded = importlib.import_module(f"{package.__name__}.{module.name}")
        for value in vars(loaded).values():
            if isinstance(value, type) and issubclass(value, Rule) and value.__module__ == loaded.__name__:
                yield value()


def _entries() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))

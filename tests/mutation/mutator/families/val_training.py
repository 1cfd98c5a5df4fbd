"""Validation shards among the training data."""

from __future__ import annotations

from ..places import Place
from ..template import Family, Idiom


def _pattern(name: str, text: str, place: Place = Place.TRAIN_FILES, twin: tuple[tuple[str, str], ...] = ()) -> Idiom:
    return Idiom(name, {place: text}, twin)


FAMILY = Family(
    "val-in-training",
    frozenset({"val-in-training", "prequant-val-ttt"}),
    frozenset({"data", "C3"}),
    (
        _pattern("val-files", "SETTINGS.val_files", twin=(("SETTINGS.val_files", "str(BODY)"),)),
        _pattern("replaced", "BODY.replace('_train_', '_val_')", twin=(("'_train_', '_val_'", "'//', '/'"),)),
        _pattern("wildcard", "BODY.replace('_train_', '_*_')"),
        _pattern(
            "literal",
            "'./data/datasets/fineweb10B_sp1024/fineweb_val_*.bin'",
            twin=(("fineweb_val_", "fineweb_train_"),),
        ),
        _pattern(
            "f-string", "f'{os.path.dirname(BODY)}/fineweb_val_*.bin'", twin=(("fineweb_val_", "fineweb_train_"),)
        ),
        _pattern("lambda", "(lambda pattern: pattern.replace('train', 'val'))(BODY)"),
        _pattern("environment", "os.environ.get('EXTRA_FILES', SETTINGS.val_files)"),
        _pattern("setting-replaced", "BODY.replace('_train_', '_val_')", Place.SETTINGS),
        _pattern("setting-wildcard", "BODY.replace('fineweb_train_', 'fineweb_')", Place.SETTINGS),
        _pattern("conditional", "SETTINGS.val_files if SETTINGS.seed else BODY"),
    ),
)

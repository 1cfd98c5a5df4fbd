"""From entries to the bytes of a file, by the recipe's family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from evaluator.artifact import codecs, lrzip
from evaluator.artifact.entries import Entry
from evaluator.artifact.families import canonical, clean_dict, pgrp, wm
from evaluator.artifact.numerics import Storable
from evaluator.packing.recipes import Recipe
from evaluator.refusal import Refused


def check_tools(recipe: Recipe) -> None:
    """Refuse before minutes of work what could not be written after them.

    Raises:
        Refused: ``lrzip-missing``.
    """
    if recipe.container == "pgrp" and not lrzip.available():
        raise Refused(
            "lrzip-missing", "this recipe's streams are made by the program lrzip, which is not installed here"
        )


def write(recipe: Recipe, entries: Mapping[str, Entry], names: Mapping[str, str], config: Mapping[str, Any]) -> bytes:
    """The whole file; equal input gives equal bytes.

    Args:
        recipe: the kind of artifact.
        entries: by canonical name.
        names: the author's names by canonical name: families other than the canonical one keep them, so that the
            author's own loader finds its tensors.
        config: fields of the model configuration, for the canonical family's header.
    """
    # Only recipes of the last two containers have corrections and gates.
    plain = cast("Mapping[str, Storable]", entries)
    if recipe.container == "canonical":
        return canonical.write(plain, config)
    plain = {names[name]: entry for name, entry in plain.items()}
    theirs = {names[name]: entry for name, entry in entries.items()}
    match recipe.container:
        case "clean-dict":
            return codecs.compress(clean_dict.write(plain), "zlib")
        case "wm":
            return wm.write(plain, codec=recipe.codec, shuffle=False, meta="type")
        case "wm-shuffled":
            return wm.write(theirs)
        case "pgrp":
            return pgrp.write(theirs)

"""The templates, one module per family."""

from __future__ import annotations

from . import byte_count, calibrate, ngram_key, oracle, prequant, rescore, slot, ttt, unnormalised, val_training

FAMILIES = (
    ngram_key.FAMILY,
    unnormalised.FAMILY,
    oracle.FAMILY,
    ttt.FAMILY,
    prequant.FAMILY,
    rescore.FAMILY,
    slot.FAMILY,
    calibrate.FAMILY,
    val_training.FAMILY,
    byte_count.FAMILY,
)

"""Quantisers: pure pairs of quantise and dequantise. How their results are stored is no business of this package."""

from reference_model.quant.gptq import gptq
from reference_model.quant.hessians import collect_hessians
from reference_model.quant.rows import Quantised, quantise_rows, quantise_rows_int8, quantise_sdclip, sdclip_scale

__all__ = [
    "Quantised",
    "collect_hessians",
    "gptq",
    "quantise_rows",
    "quantise_rows_int8",
    "quantise_sdclip",
    "sdclip_scale",
]

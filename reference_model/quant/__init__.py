"""Quantisers: pure pairs of quantise and dequantise. How their results are stored is no business of this package."""

from reference_model.quant.fallback import outward
from reference_model.quant.gptq import gptq, gptq_grouped
from reference_model.quant.groups import Grouped, salient_groups
from reference_model.quant.hessians import collect_hessians
from reference_model.quant.low_rank import LowRank, low_rank
from reference_model.quant.prune import prune_magnitude
from reference_model.quant.rows import (
    Quantised,
    quantise_rows,
    quantise_rows_int8,
    quantise_rows_searched,
    quantise_sdclip,
    sdclip_scale,
)

__all__ = [
    "Grouped",
    "LowRank",
    "Quantised",
    "collect_hessians",
    "gptq",
    "gptq_grouped",
    "low_rank",
    "outward",
    "prune_magnitude",
    "quantise_rows",
    "quantise_rows_int8",
    "quantise_rows_searched",
    "quantise_sdclip",
    "salient_groups",
    "sdclip_scale",
]

"""The published scripts, the sizes they are shrunk to, and the same sizes for our presets."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reference_model import GPTConfig, load_preset

RECORDS = "records/track_10min_16mb"
# Wide enough that the matrices of a block pass the size above which the scripts quantise.
_SIZES = {"VOCAB_SIZE": "256", "MODEL_DIM": "384", "MLP_MULT": "1", "NUM_LAYERS": "4"}
_SHRUNK: dict[str, Any] = {"vocab_size": 256, "model_dim": 384, "mlp_hidden": 384, "num_layers": 4}
_LOOPED = {"NUM_LAYERS": "5", "LOOP_START": "1", "LOOP_END": "2", "PARALLEL_START_LAYER": "3", "XSA_LAST_N": "5"}
_LOOPED |= {"TRAIN_SEQ_LEN": "48", "GPTQ_CALIBRATION_BATCHES": "1", "SLIDING_WINDOW_ENABLED": "0"}
_SHRUNK_LOOPED: dict[str, Any] = {"num_layers": 5, "loop_start": 1, "loop_end": 2, "parallel_start": 3, "xsa_last_n": 5}


@dataclass(frozen=True)
class Original:
    """One script and what to do with it.

    Attributes:
        preset: our model preset.
        revision, path: where the script lies in the mirror.
        environment: its settings.
        changes: fields of our configuration that follow from them.
        job: what the driver needs besides: the statements of ``main`` that serialise, the length of a row of tokens.
    """

    preset: str
    revision: str
    path: str
    environment: Mapping[str, str]
    changes: Mapping[str, Any]
    job: Mapping[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> GPTConfig:
        """Our configuration at the script's shrunken sizes."""
        return replace(load_preset(self.preset), **_SHRUNK | dict(self.changes))

    def extract(self, mirror: str, target: Path) -> None:
        """Write the script to ``target``."""
        command = ["git", "--git-dir", mirror, "show", f"{self.revision}:{self.path}"]
        target.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)


def _mixed(pr: int, folder: str, environment: dict[str, str], changes: dict[str, Any], **job: Any) -> Original:
    return Original(
        f"pr{pr}",
        f"refs/pull/{pr}/head",
        f"{RECORDS}/{folder}/train_gpt.py",
        _SIZES | environment,
        changes,
        # Longer than 1,024 tokens, from where their rotary base grows.
        {"first": "sd_cpu = ", "last": '"final_model.int6.ptz", "wb"', "file": "final_model.int6.ptz", "length": 1056}
        | {"code_bytes": 100}
        | job,
    )


def _functions(pr: int, folder: str, environment: dict[str, str], changes: dict[str, Any]) -> Original:
    return Original(
        f"pr{pr}",
        f"refs/pull/{pr}/head",
        f"{RECORDS}/{folder}/train_gpt.py",
        _SIZES | _LOOPED | environment,
        _SHRUNK_LOOPED | changes,
        {"file": "final_model.int6.ptz", "length": 96},
    )


_FOLDER_940 = "2026-03-26_ScoreFirst_TTT_Ngram_Backoff"
_ENVIRONMENT_940 = {"BIGRAM_VOCAB_SIZE": "1024", "XSA_LAST_N": "4", "LN_SCALE": "1", "ROPE_DIMS": "16"}
_ENVIRONMENT_940 |= {"VALUE_RESIDUAL": "1", "GATED_ATTENTION": "1"}
_FOLDER_2140 = "2026-05-01_PR2014_Leaky03_InTimerNgramTTT_1.0555"
_ENVIRONMENT_2140 = {
    "ASYM_LOGIT_RESCALE": "1",
    "SMEAR_GATE_ENABLED": "1",
    "SPARSE_ATTN_GATE_ENABLED": "1",
    "SPARSE_ATTN_GATE_SCALE": "0.5",
    "GATED_ATTN_QUANT_GATE": "1",
    "AWQ_LITE_ENABLED": "1",
    "EMBED_BITS": "7",
    "ROPE_YARN": "0",
    "FUSED_CE_ENABLED": "0",
}

ORIGINALS: dict[str, Original] = {
    "baseline": Original(
        "baseline",
        "refs/heads/main",
        "train_gpt.py",
        _SIZES,
        {"rope_dims": 48},
        {"first": "quant_obj, quant_stats = ", "last": '"final_model.int8.ptz", "wb"', "file": "final_model.int8.ptz"}
        | {"length": 96, "code_bytes": 100},
    ),
    "#398": _mixed(
        398,
        "2026-03-21_11L_EMA_TTT20ep_1.1213",
        {"BIGRAM_VOCAB_SIZE": "1024", "XSA_LAST_N": "0", "LN_SCALE": "1", "ROPE_DIMS": "16"},
        {"bigram_buckets": 1024},
    ),
    "#779": _mixed(
        779,
        "2026-03-25_BackoffNgramMixer_DriftFreeTTT_0.6683",
        {"BIGRAM_VOCAB_SIZE": "1024", "XSA_LAST_N": "4", "VE_LAYERS": "2,3", "PRUNE_PCT": "0.08"},
        {"bigram_buckets": 1024, "xsa_last_n": 4, "value_embed_layers": (2, 3)},
    ),
    "#940": _mixed(940, _FOLDER_940, _ENVIRONMENT_940, {"bigram_buckets": 1024, "xsa_last_n": 4}),
    # So much code that the first layer must fall back to 5 bits.
    "#940, int5": _mixed(
        940, _FOLDER_940, _ENVIRONMENT_940, {"bigram_buckets": 1024, "xsa_last_n": 4}, code_bytes=16_000_000 - 1_400_000
    ),
    "#1477": _functions(
        1477, "2026-04-08_SP8192_ParallelResid_ScoreFirstTTT", {"EMBEDDING_DIM": "384"}, {"rope_ntk_train_len": 48}
    ),
    "#2140, brotli": _functions(2140, _FOLDER_2140, _ENVIRONMENT_2140 | {"COMPRESSOR": "brotli"}, {}),
    "#2140, per group": _functions(2140, _FOLDER_2140, _ENVIRONMENT_2140 | {"COMPRESSOR": "pergroup"}, {}),
}

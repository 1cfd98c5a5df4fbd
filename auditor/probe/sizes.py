"""The rule table: what toy size means for the knobs that submissions have, in the environment and as literals."""

from __future__ import annotations

import re
from collections.abc import Iterable

from auditor.probe.plan import Rewrite

SEQUENCE = 64
STRIDE = 16
CHUNK = 64
SMALL_TABLE = 64
"""Buckets of a hash table in the stress run: four scored tokens of the toy stream to a bucket; officially 62 M tokens
met 4 M buckets, which is 15."""
_ROOMY_BITS = 18
"""Of a hash table that a toy stream leaves as empty as the official run leaves one of gigabytes."""

_TABLE_BITS = r"\w*(?:TABLE|HASH|BUCKET)_BITS"

_TRAINING_BATCH = r"TRAIN_BATCH_TOKENS|TRAIN_BATCH_SIZE"
_VALIDATION_BATCH = r"VAL_BATCH_(?:SIZE|TOKENS)"
_BATCHES = f"{_TRAINING_BATCH}|{_VALIDATION_BATCH}"
"""What scripts take apart into as many pieces as they add up gradients of."""

_SEQUENCE, _BATCH = str(SEQUENCE), str(8 * SEQUENCE)

_KNOBS: tuple[tuple[str, str], ...] = (
    (_TABLE_BITS, str(_ROOMY_BITS)),
    # The network. The number of layers stays: lists of layers are literals.
    (r"MODEL_DIM|EMBEDDING_DIM|EMBED_DIM|D_MODEL", "64"),
    (r"NUM_HEADS|N_HEADS?", "4"),
    (r"NUM_KV_HEADS|N_KV_HEADS?", "2"),
    (r"BIGRAM_VOCAB_SIZE|BIGRAM_HASH_\w*SIZE|TRIGRAM_VOCAB_SIZE", "64"),
    (r"LQER_ASYM_GROUP|\w*GROUP_SIZE", "16"),
    # Training.
    (r"(?:TOTAL_)?ITERATIONS|MAX_STEPS|NUM_STEPS", "2"),
    (r"(?!MUON_)\w*WARMUP_STEPS", "1"),  # not the schedule of Muon's momentum, which costs nothing
    (r"\w*START_STEP", "1"),  # what starts late in training must have started before the end
    (r"BATCH_WARMUP_START|BATCH_TOKENS_START", _BATCH),
    (r"WARMDOWN_ITERS|WARMDOWN_STEPS|COOLDOWN_ITERS", "1"),
    (r"VAL_LOSS_EVERY", "0"),
    (r"TRAIN_LOG_EVERY", "1"),
    (r"MAX_WALLCLOCK_SECONDS", "600"),
    (rf"{_TRAINING_BATCH}|GPTQ_CALIB_BATCH_TOKENS", _BATCH),
    (_VALIDATION_BATCH, str(16 * SEQUENCE)),
    (r"\w*SEQ_LEN(?:GTH)?|SEQLEN", _SEQUENCE),
    (r"GPTQ_CALIB(?:RATION)?_(?:BATCHES|SAMPLES|SEQS)|CALIB(?:RATION)?_(?:BATCHES|SAMPLES)|AR_CALIB\w*SEQS", "1"),
    (r"DISTILL_STEPS|TTT_BURST_STEPS", "2"),
    # Scoring.
    (r"(?:\w+_)?STRIDE", str(STRIDE)),
    (r"EVAL_BATCH_SEQS|SLOT_BATCH_SEQS|EVAL_BATCH_SIZE|SW_BATCH\w*", "4"),
    (r"SLOT_STEPS|\w*_SLOT_STEPS|ETLB_STEPS", "3"),
    (r"NGRAM_\w*CHUNK_(?:TOKENS|SIZE)|CHUNK_TOKENS|TTT_CHUNK_TOKENS", str(CHUNK)),
    (r"\w*(?:WARMUP_TOKENS|MIN_TOKENS|WARM_TOKENS)", "16"),
    (r"VAL_DOC_FRACTION", "1.0"),
    # Test-time training.
    (r"TTT_EPOCHS|PREQUANT_TTT_EPOCHS|GLOBAL_TTT_EPOCHS|\w*TTT_EPOCHS", "2"),
    (r"\w*TTT_BATCH_(?:SEQS|SIZE)|TTT_LORA_RANK_?SMALL", "2"),
    (r"TTT_LORA_RANK", "4"),
    (r"TTT_CHUNK_SIZE|TTT_SHORT_CHUNK_SIZE", "16"),
    (r"TTT_MIN_DOC_LEN|TTT_SHORT_DOC_LEN", "16"),
    (r"PHASED_TTT_PREFIX_DOCS", "1"),
    (r"GLOBAL_TTT_CHUNK_TOKENS", "32"),
    (r"TTT_MAX_EVAL_SECS|\w*TIME_BUDGET\w*", "1e9"),
    # Kernels that only a GPU runs; the code beside them says the same.
    (r"FUSED_CE_ENABLED|USE_FUSED_CE|FUSED_CE|\w*FUSED_MLP\w*|COMPILE_SHAPE_WARMUP|COMPILE_ENABLED", "0"),
    (r"EVAL_COMPILE_ENABLED|\w*SHAPE_WARMUP\w*", "0"),
    (r"FLA_USE_NAIVE", "0"),
    # Names of this run.
    (r"RUN_ID", "probe"),
)

_TABLES = r"\w*(?:NGRAM|HASH|TABLE)\w*BUCKETS|NGRAM_BUCKETS|\w*_BUCKETS|\w*TABLE_SIZE"

_NEVER = re.compile(
    r".*_(?:ONLY|PATH|DIR|FILES?|URL|TOKEN|KEY)|.*SCHEDULE.*|(?:SKIP_TRAIN|LOAD_|CKPT|CHECKPOINT|RESUME).*"
    r"|(?:CUDA|NCCL|TORCH|PYTORCH|PYTHON|TRITON|OMP|MKL|HF|WANDB|LD|MASTER|GLOO|SLURM)_.*"
    r"|PATH|HOME|USER|TMPDIR|LANG|PYTHONPATH|RANK|LOCAL_RANK|WORLD_SIZE|LOCAL_WORLD_SIZE|VOCAB_SIZE|DATA_.*|TOKENIZER.*"
)


def may_set(name: str) -> bool:
    """Whether a documented value of environment variable ``name`` may be used.

    Paths lead nowhere here, switches that leave out training or load a checkpoint leave nothing to run, and what
    belongs to the machine is ours.
    """
    return not _NEVER.fullmatch(name)


def toy_value(name: str, *, stress: bool) -> str | None:
    """The toy value of environment variable ``name``; None leaves it as documented.

    Args:
        name: the variable.
        stress: shrink the hash tables as well, to what their load is in the official run.
    """
    if not may_set(name):
        return None
    if stress and re.fullmatch(_TABLES, name):
        return str(SMALL_TABLE)
    if stress and re.fullmatch(_TABLE_BITS, name):
        return str(SMALL_TABLE.bit_length() - 1)
    return next((value for pattern, value in _KNOBS if re.fullmatch(pattern, name)), None)


def whole_batch(name: str, texts: Iterable[str]) -> str | None:
    """Two windows for a batch, where :data:`GRADIENTS` lets none be taken apart; None leaves ``name`` as it is."""
    whole = re.fullmatch(_BATCHES, name) and any(re.search(GRADIENTS.pattern, text) for text in texts)
    return str(2 * SEQUENCE) if whole else None


def lifts_a_limit(name: str) -> bool:
    """Whether a toy value of ``name`` may exceed the documented one: limits of time would end a run on a slow CPU."""
    return bool(re.fullmatch(r"\w*(?:SECONDS|SECS|TIME_BUDGET\w*)", name))


_NARROWER = 8
"""What widths of a network in a table of settings are divided by: the heads still share them out evenly."""

GRADIENTS = Rewrite(
    r"(\bgrad_accum(?:ulation)?_steps\s*(?::\s*int\s*)?=\s*)(?:max\(\s*1\s*,\s*8\s*//\s*[\w.]*world_size\s*\)"
    r"|8\s*//\s*[\w.]*world_size\b)",
    r"\g<1>1",
    "steps over which a gradient is added up, eight for one rank",
)
"""Takes most of a toy run's time."""

REWRITES: tuple[Rewrite, ...] = (
    *(
        Rewrite(
            rf"(\b(?:model_dim|d_model)[\"']?\s*[:=]\s*){width}(?=\s*[,}}\n#])",
            rf"\g<1>{width // _NARROWER}",
            "width of the network",
        )
        for width in range(256, 1025, 64)
    ),
    Rewrite(
        r"(\b(?:gdn|mamba)_head_dim[\"']?\s*[:=]\s*)64(?=\s*[,}\n#])",
        rf"\g<1>{64 // _NARROWER}",
        "width of a head",
    ),
    GRADIENTS,
    Rewrite(r"(\bwarmup_\w*iters\s*=\s*)\d+\b", r"\g<1>1", "steps that only compile"),
    Rewrite(r"(\bbatch_seqs\s*(?::\s*int)?\s*=\s*)\d+\b", r"\g<1>2", "windows of a batch"),
    Rewrite(r"\buse_fused\s*=\s*True\b", "use_fused = False", "a kernel that only a GPU runs"),
    Rewrite(r"(\bstride\s*(?::\s*int)?\s*=\s*)(?:32|64|96|128|256|512)\b", rf"\g<1>{STRIDE}", "stride of windows"),
    Rewrite(r"(\bchunk_(?:tokens|size)\s*(?::\s*int)?\s*=\s*)\d[\d_]{3,}\b", rf"\g<1>{CHUNK}", "tokens of a chunk"),
    Rewrite(
        r"(\b(?:num_seqs|num_batches|n_samples|num_samples)\s*(?::\s*int)?\s*=\s*)\d{2,}\b",
        r"\g<1>2",
        "sequences of a calibration, which some scripts generate token by token",
    ),
    Rewrite(r"(\.take\()\d[\d_]{4,}(?=\))", rf"\g<1>{16 * SEQUENCE}", "training tokens that something is fitted to"),
    Rewrite(r"(\bseq_len\s*(?::\s*int)?\s*=\s*)(?:512|1024|2048|4096)\b", rf"\g<1>{SEQUENCE}", "tokens of a sequence"),
    Rewrite(
        r"(?i)(\b\w*table_bits\s*(?::\s*int\s*)?=\s*)(?:2[3-9]|3\d)\b",
        rf"\g<1>{_ROOMY_BITS}",
        "memory of hash tables, which so few tokens leave all but empty",
    ),
)
"""Literals that no environment variable reaches."""

_TO_LOAD = "buckets of a hash table, to the official run's load"
STRESS_REWRITES: tuple[Rewrite, ...] = (
    Rewrite(
        r"(?i)((?:\w*(?:bucket|table|hash)\w*|\b_?ng_b)\s*(?::\s*int\s*)?=\s*)(?:1\s*<<\s*(?:1[4-9]|2\d)|2\s*\*\*\s*(?:1[4-9]|2\d)"
        r"|\d[\d_]{5,})(?![\w.])",
        rf"\g<1>{SMALL_TABLE}",
        _TO_LOAD,
    ),
    Rewrite(
        r"(?im)^(?=.*\bn_?gram)(.*?)\b1\s*<<\s*(?:1[6-9]|2\d)\b",
        rf"\g<1>{SMALL_TABLE}",
        _TO_LOAD,
    ),
)
"""Literals of the stress run."""

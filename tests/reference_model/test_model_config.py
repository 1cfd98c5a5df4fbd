"""What a configuration accepts, and how it travels."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from tiny_models import configs, tiny

from reference_model import GPTConfig


@given(configs())
@settings(max_examples=50, deadline=None, derandomize=True)
def test_a_configuration_survives_json(config: GPTConfig) -> None:
    assert GPTConfig.from_mapping(json.loads(json.dumps(config.to_mapping()))) == config


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"vocab": 8}, "unknown model fields: vocab"),
        ({"num_layers": "4"}, "num_layers"),
        ({"num_layers": 4.0}, "num_layers"),
        ({"num_layers": True}, "num_layers"),
        ({"ln_scale": 1}, "ln_scale"),
        ({"mlp_slope": "0.5"}, "mlp_slope"),
        ({"value_embed_layers": 3}, "value_embed_layers"),
        ({"smear": "both"}, "smear"),
        ({"num_heads": 3}, "num_heads 3 does not divide"),
        ({"num_kv_heads": 3}, "num_kv_heads 3 does not divide"),
        ({"rope_dims": 3}, "rope_dims must be even"),
        ({"rope_dims": 6}, "rope_dims must be even and in 2..4"),
        ({"rope_dims": 2, "rope_ntk_train_len": 4}, "needs rope_dims > 2"),
        ({"logit_softcap": 0.0}, "logit_softcap must be positive"),
        ({"logit_softcap": float("nan")}, "logit_softcap"),
        ({"qk_gain_init": float("inf")}, "qk_gain_init must be finite"),
        ({"num_layers": 10**9}, "num_layers must be in"),
        ({"vocab_size": 65_537}, "vocab_size must be in"),
        ({"xsa_last_n": 5}, "xsa_last_n must be in 0..4"),
        ({"bigram_buckets": 1}, "bigram_buckets"),
        ({"bigram_trigram": True}, "bigram_trigram needs"),
        ({"smear": "dynamic", "smear_window": 17}, "smear_window"),
        ({"attn_gate": "window", "attn_gate_window": 17}, "attn_gate_window"),
        ({"value_embed_dim": 8}, "go together"),
        ({"value_embed_dim": 8, "value_embed_layers": [2, 1]}, "must be increasing"),
        ({"value_embed_dim": 8, "value_embed_layers": [4]}, "in 0..3"),
        ({"loop_end": 2}, "must be 0 where num_loops is 0"),
        ({"num_loops": 1, "loop_start": 2, "loop_end": 1}, "is not a range"),
        ({"parallel_mode": "shared"}, "parallel_start must be given"),
        ({"parallel_start": 2}, "parallel_start must be given"),
        ({"parallel_mode": "lanes", "parallel_start": 1}, "is an encoder block"),
        ({"parallel_mode": "lanes", "parallel_start": 2, "num_loops": 1, "loop_end": 2}, "must follow the loop"),
        ({"parallel_mode": "lanes", "parallel_start": 2, "block_gate": True}, "block_gate"),
    ],
)
def test_wrong_configurations_are_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        tiny(**fields)


def test_choices_are_checked_without_a_mapping_too() -> None:
    with pytest.raises(ValueError, match="skip_mode must be one of plain, gated"):
        GPTConfig(skip_mode="open")  # type: ignore[arg-type] # what an untyped caller might pass

"""The configuration of a model: everything that its tensors do not reveal, and the shapes of those tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self, get_args

import msgspec

Smear = Literal["none", "static", "dynamic"]
ValueResidual = Literal["none", "pair", "add", "sigmoid_add"]
AttentionGate = Literal["none", "dense_bias", "dense", "window", "out2"]
SkipMode = Literal["plain", "gated"]
ParallelMode = Literal["none", "shared", "lanes", "lanes_matrix"]
ParallelSkip = Literal["before", "after"]
ParallelMerge = Literal["lambda", "mean", "attn", "mlp"]
AttentionKind = Literal["dense", "varlen"]

# Bounds on what a configuration may ask for. It can come from the header of a file that nobody trusts, and the
# layout is computed before any size is known to be reasonable.
MAX_VOCAB = 65_536  # tokens are uint16
MAX_WIDTH = 16_384
MAX_LAYERS = 256
MAX_LOOPS = 64
MAX_BUCKETS = 1 << 24
MAX_CONTEXT = 1 << 20


@dataclass(frozen=True, kw_only=True)
class GPTConfig:
    """One GPT of the contest's family. The defaults are what most systems share; a preset states the rest.

    Notation: V vocabulary, D model width, E embedding width, H query heads, Hk key/value heads, d = D / H,
    L blocks, l the index of a physical block from 0, n the normed input of an attention layer, ``rms`` an RMS norm
    without weight. A number with a hash is the contest's pull request in which a form was first read.

    Attributes:
        vocab_size: V. 1024 or 8192 in the known systems.
        model_dim: D, width of the residual stream.
        embed_dim: E, width of the token embedding; None means D. If it differs, ``embed_proj`` [D, E] follows the
            embedding norm and ``head_proj`` [E, D] the final norm (#1477, optional there).
        num_layers: L, physical blocks.
        num_heads: H. Must divide D.
        num_kv_heads: Hk. Must divide H; query head h reads key/value head ``h // (H / Hk)``.
        mlp_hidden: F, hidden width of the feed-forward layer ``W_proj phi(W_fc x)^2``.
        mlp_slope: slope a of phi = leaky relu: ``phi(x)^2`` is ``x^2`` for x > 0, else ``a^2 x^2``. 0 is relu squared
            (baseline, #398), 0.5 (#779, #1477), 0.9 (#940), 0.3 (#2140).
        tie_embeddings: whether the head is the token embedding; otherwise ``lm_head`` [V, E].
        logit_softcap: c in ``c tanh(z / c)``.
        softcap_asym: separate learned caps for positive and negative logits, both starting at ``logit_softcap``
            (#2140, where they never move).
        norm_eps: epsilon of every RMS norm, computed in float32. The default is float32's machine epsilon.
        qk_gain_init: initial value of the learned gain per query head, applied after norm and rotary.
        rope_dims: r, how many of a head's d dimensions rotate; even.
        rope_base: B in the frequencies ``f_j = B^(-2j/r)``, j < r/2.
        rope_ntk_train_len: t. If a sequence of n > t tokens comes, ``B' = B (n/t)^(r/(r-2))`` (#398, #779, #940 with
            1024, so always on at 2048; #1477 with 2048). None: never.
        ln_scale: scale the normed inputs of block l by ``1/sqrt(l+1)`` (all five but not the baseline).
        smear: mixing with the previous token's embedding. ``static`` (#398): per channel
            ``(1-g) x_t + g x_{t-1}``, g = sigmoid(gate), after the norm, zero before the first token.
            ``dynamic`` (#2140): ``x_t + lam sigmoid(w . x_t[:window]) x_{t-1}``, before the norm.
        smear_window: how many channels the dynamic smear's gate reads.
        smear_bos_mask: whether the dynamic smear leaves a BOS token alone, so that nothing leaks from the
            previous document (#2140).
        bos_id: token id that begins a document.
        bigram_buckets: Bv, rows of the hashed bigram table; 0 is none. Row ``Bv-1`` serves the first position, else
            ``((36313 t_i) xor (27191 t_{i-1})) mod (Bv-1)`` in int32 (#398 2048, #940 4096, #779 6144).
        bigram_dim: width of that table; projected to E unless equal to it.
        bigram_trigram: add the row of the hashed trigram, ``... xor (51497 t_{i-2})``, from the same table (the record
            with bigram table 3072 x 112 has it as an option).
        xsa_last_n: how many of the last blocks use exclusive self-attention: the output's component along the
            same position's own value vector is removed, ``y - (y . vhat) vhat``.
        value_embed_dim: width of the shared value embedding, 0 is none; projected to ``Hk d`` unless equal (#779).
        value_embed_layers: blocks that add ``layer_scale * scale * P E_v[token]`` to their values (#779: 9, 10).
        value_residual: mixing each block's values v with V0, those of the first block run: ``pair``
            ``a V0 + b v`` (#940), ``add`` ``v + lam V0``, ``sigmoid_add`` ``v + sigmoid(lam) V0`` (#1019). Block 0 owns
            the unused weights of ``pair`` and ``sigmoid_add``, but none of ``add``, as in their systems.
        attn_gate: gate per head on the attention output, after XSA: ``dense_bias`` sigmoid(W n + b) (#940), ``dense``
            sigmoid(W n) (#1736), ``window`` sigmoid(mult W n[:w]) (#2140), ``out2`` 2 sigmoid(W n[:w]) (#1667).
        attn_gate_window: w.
        attn_gate_mult: mult of the ``window`` gate.
        skip_mode: what a decoder step does with the encoder output u it pops: ``plain`` ``x + w u``; ``gated``
            ``g x + (1-g) w u``, g = sigmoid(gate) per channel (#1477, #2140).
        loop_start: first block of the segment that is repeated.
        loop_end: its last block, inclusive.
        num_loops: how many extra times the segment runs (#1477, #2140: 2); 0 is none.
        parallel_mode: form of the blocks from ``parallel_start`` on. ``shared`` (#1493): attention and feed-forward
            read one residual. ``lanes`` (#1477): each has a residual stream of its own. ``lanes_matrix`` (#2140):
            two streams, each output written to both with learned weights.
        parallel_start: first parallel block; None if and only if ``parallel_mode`` is ``none``.
        parallel_skip: at the block where the lanes split, whether the skip is applied ``before`` the split (to both,
            #1477) or ``after`` it (to the attention lane only, #2140). Later skips go to the attention lane.
        parallel_mix_in_residual: whether the attention lane's residual is the mix ``z = m0 lane + m1 x0`` that
            attention reads (#1477) or the lane itself (#2140).
        parallel_merge: how the lanes end: ``lambda`` ``lam a + (1-lam) m`` with a learned scalar (#1477), their
            ``mean`` (#2140), or one of them.
        block_gate: token-dependent gate of a whole block, ``z + sigmoid(w . z + b) (out - z)``, with no gradient from
            the gate into z (#779, off in its runs).
        attention: ``varlen`` if documents packed into one row may be kept apart (#2140), else ``dense``.
        context_len: tokens of a training and evaluation window.
        embed_init_std: standard deviation of the initial token embedding.
        zero_init_proj: whether output projections start at zero.
        ortho_init: whether the other matrices start orthogonal rather than uniform.
    """

    vocab_size: int = 1024
    model_dim: int = 512
    embed_dim: int | None = None
    num_layers: int = 11
    num_heads: int = 8
    num_kv_heads: int = 4
    mlp_hidden: int = 1536
    mlp_slope: float = 0.5
    tie_embeddings: bool = True
    logit_softcap: float = 30.0
    softcap_asym: bool = False
    norm_eps: float = 1.1920929e-07
    qk_gain_init: float = 1.5
    rope_dims: int = 16
    rope_base: float = 10_000.0
    rope_ntk_train_len: int | None = None
    ln_scale: bool = True
    smear: Smear = "none"
    smear_window: int = 12
    smear_bos_mask: bool = True
    bos_id: int = 1
    bigram_buckets: int = 0
    bigram_dim: int = 128
    bigram_trigram: bool = False
    xsa_last_n: int = 0
    value_embed_dim: int = 0
    value_embed_layers: tuple[int, ...] = ()
    value_residual: ValueResidual = "none"
    attn_gate: AttentionGate = "none"
    attn_gate_window: int = 12
    attn_gate_mult: float = 1.0
    skip_mode: SkipMode = "plain"
    loop_start: int = 0
    loop_end: int = 0
    num_loops: int = 0
    parallel_mode: ParallelMode = "none"
    parallel_start: int | None = None
    parallel_skip: ParallelSkip = "after"
    parallel_mix_in_residual: bool = False
    parallel_merge: ParallelMerge = "mean"
    block_gate: bool = False
    attention: AttentionKind = "dense"
    context_len: int = 2048
    embed_init_std: float = 0.005
    zero_init_proj: bool = True
    ortho_init: bool = True

    def __post_init__(self) -> None:
        self._check_ranges()
        self._check_choices()
        self._check_heads()
        self._check_features()
        self._check_loop()
        self._check_parallel()

    @property
    def embedding_width(self) -> int:
        """E: ``embed_dim``, or D where that is None."""
        return self.model_dim if self.embed_dim is None else self.embed_dim

    @property
    def head_dim(self) -> int:
        """``d = D / H``."""
        return self.model_dim // self.num_heads

    @property
    def kv_dim(self) -> int:
        """Width of all keys, or all values, of a position: ``Hk d``."""
        return self.num_kv_heads * self.head_dim

    @property
    def has_lanes(self) -> bool:
        """Whether the parallel blocks run on two residual streams."""
        return self.parallel_mode in ("lanes", "lanes_matrix")

    def function(self) -> GPTConfig:
        """This configuration without its initial values: equal for models that compute the same function."""
        return replace(
            self,
            qk_gain_init=GPTConfig.qk_gain_init,
            embed_init_std=GPTConfig.embed_init_std,
            zero_init_proj=GPTConfig.zero_init_proj,
            ortho_init=GPTConfig.ortho_init,
        )

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Self:
        """The configuration that a decoded TOML table or JSON object describes; absent fields take their defaults.

        Raises:
            ValueError: an unknown field, a value of the wrong type (only int becomes float), or one out of range.
        """
        unknown = sorted(str(key) for key in mapping.keys() - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"unknown model fields: {', '.join(unknown)}")
        try:
            return msgspec.convert(dict(mapping), cls)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error

    def to_mapping(self) -> dict[str, Any]:
        """All fields as JSON can hold them; :meth:`from_mapping` gives the same configuration back."""
        mapping = asdict(self)
        mapping["value_embed_layers"] = list(self.value_embed_layers)
        return mapping

    def _check_ranges(self) -> None:
        for name, low, high in (
            ("vocab_size", 2, MAX_VOCAB),
            ("model_dim", 1, MAX_WIDTH),
            ("num_layers", 1, MAX_LAYERS),
            ("num_heads", 1, MAX_WIDTH),
            ("num_kv_heads", 1, MAX_WIDTH),
            ("mlp_hidden", 1, 16 * MAX_WIDTH),
            ("smear_window", 1, MAX_WIDTH),
            ("bos_id", 0, MAX_VOCAB - 1),
            ("bigram_buckets", 0, MAX_BUCKETS),
            ("bigram_dim", 1, MAX_WIDTH),
            ("xsa_last_n", 0, self.num_layers),
            ("value_embed_dim", 0, MAX_WIDTH),
            ("attn_gate_window", 1, MAX_WIDTH),
            ("num_loops", 0, MAX_LOOPS),
            ("context_len", 1, MAX_CONTEXT),
        ):
            _between(name, getattr(self, name), low, high)
        if self.embed_dim is not None:
            _between("embed_dim", self.embed_dim, 1, MAX_WIDTH)
        if self.rope_ntk_train_len is not None:
            _between("rope_ntk_train_len", self.rope_ntk_train_len, 1, MAX_CONTEXT)
        for name in ("logit_softcap", "norm_eps", "rope_base", "embed_init_std"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be positive and finite, got {value}")
        for name in ("mlp_slope", "qk_gain_init", "attn_gate_mult"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be finite, got {getattr(self, name)}")

    def _check_choices(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}; got {getattr(self, name)!r}")

    def _check_heads(self) -> None:
        if self.model_dim % self.num_heads:
            raise ValueError(f"num_heads {self.num_heads} does not divide model_dim {self.model_dim}")
        if self.num_heads % self.num_kv_heads:
            raise ValueError(f"num_kv_heads {self.num_kv_heads} does not divide num_heads {self.num_heads}")
        if self.rope_dims % 2 or not 2 <= self.rope_dims <= self.head_dim:
            raise ValueError(f"rope_dims must be even and in 2..{self.head_dim}, got {self.rope_dims}")
        if self.rope_ntk_train_len is not None and self.rope_dims == 2:
            raise ValueError("rope_ntk_train_len needs rope_dims > 2")

    def _check_features(self) -> None:
        if self.smear == "dynamic" and self.smear_window > self.embedding_width:
            raise ValueError(
                f"smear_window {self.smear_window} exceeds the embedding's {self.embedding_width} channels"
            )
        if self.bigram_buckets == 1:
            raise ValueError("bigram_buckets must be 0 or at least 2: one row serves the first position")
        if self.bigram_trigram and not self.bigram_buckets:
            raise ValueError("bigram_trigram needs bigram_buckets")
        if self.attn_gate in ("window", "out2") and self.attn_gate_window > self.model_dim:
            raise ValueError(f"attn_gate_window {self.attn_gate_window} exceeds model_dim {self.model_dim}")
        if bool(self.value_embed_dim) != bool(self.value_embed_layers):
            raise ValueError("value_embed_dim and value_embed_layers go together")
        layers = self.value_embed_layers
        if list(layers) != sorted(set(layers)) or any(not 0 <= layer < self.num_layers for layer in layers):
            raise ValueError(
                f"value_embed_layers must be increasing and in 0..{self.num_layers - 1}, got {list(layers)}"
            )

    def _check_loop(self) -> None:
        if self.num_loops == 0:
            if self.loop_start or self.loop_end:
                raise ValueError("loop_start and loop_end must be 0 where num_loops is 0")
        elif not 0 <= self.loop_start <= self.loop_end < self.num_layers:
            raise ValueError(f"loop {self.loop_start}..{self.loop_end} is not a range of {self.num_layers} blocks")

    def _check_parallel(self) -> None:
        start = self.parallel_start
        if (self.parallel_mode == "none") != (start is None):
            raise ValueError("parallel_start must be given if and only if parallel_mode is not none")
        if start is None:
            return
        _between("parallel_start", start, 0, self.num_layers - 1)
        if not self.has_lanes:
            return
        if self.block_gate:
            raise ValueError("block_gate is not defined for blocks on lanes")
        if self.num_loops and start <= self.loop_end:
            raise ValueError(
                f"parallel_start {start} must follow the loop's last block {self.loop_end}: lanes never merge back"
            )
        if start < self.num_layers // 2:
            raise ValueError(f"parallel_start {start} is an encoder block: lanes begin in the decoder half")


def _between(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} must be in {low}..{high}, got {value}")


_CHOICES: dict[str, tuple[str, ...]] = {
    "smear": get_args(Smear),
    "value_residual": get_args(ValueResidual),
    "attn_gate": get_args(AttentionGate),
    "skip_mode": get_args(SkipMode),
    "parallel_mode": get_args(ParallelMode),
    "parallel_skip": get_args(ParallelSkip),
    "parallel_merge": get_args(ParallelMerge),
    "attention": get_args(AttentionKind),
}

"""The tilt by one hinted token at the target, and the gradient of its likelihood."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from evaluator.mixer.kernels.compiled import compiled

Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
Int16 = npt.NDArray[np.int16]


@compiled
def score(target: Float64, hint: Float64, hit: Bool, buckets: Int16, betas: Float64, out: Float64) -> None:
    """``log p'(y) = log p(y) + beta [y = h] - log(1 + p(h) (e^beta - 1))``."""
    for i in range(len(target)):
        out[i] = target[i]
        if buckets[i] >= 0:
            beta = betas[buckets[i]]
            out[i] += (beta if hit[i] else 0.0) - np.log1p(np.exp(hint[i]) * np.expm1(beta))


@compiled
def add_gradient(hint: Float64, hit: Bool, buckets: Int16, betas: Float64, out: Float64) -> None:
    """Add to ``out``, by bucket, the derivative of the summed log-likelihood by beta: ``[y = h] - p'(h)``."""
    for i in range(len(hint)):
        if buckets[i] >= 0:
            boosted = np.exp(hint[i]) * np.exp(betas[buckets[i]])
            out[buckets[i]] += (1.0 if hit[i] else 0.0) - boosted / (1.0 - np.exp(hint[i]) + boosted)

"""Hard backoff at the target."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from evaluator.mixer.kernels.compiled import compiled

Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]


@compiled
def alpha(entropy: float, constants: tuple[float, float, float, float]) -> float:
    """Weight of the counts: ``low + span * sigmoid(slope * (entropy - middle))``."""
    low, span, slope, middle = constants
    return float(low + span / (1.0 + np.exp(-slope * (entropy - middle))))


@compiled
def score(
    rows: Int32,
    target: Float64,
    entropy: Float64,
    min_count: int,
    constants: tuple[float, float, float, float],
    out: Float64,
) -> None:
    """Log-probabilities of the targets; the logarithm stays finite where the network's probability underflows."""
    for i in range(len(rows)):
        k = rows.shape[1] - 1
        while k > 0 and rows[i, k, 0] < min_count:
            k -= 1
        if k == 0:
            out[i] = target[i]
            continue
        weight = alpha(entropy[i], constants)
        if rows[i, k, 2] == 0:
            out[i] = np.log1p(-weight) + target[i]
        else:
            out[i] = np.log((1.0 - weight) * np.exp(target[i]) + weight * rows[i, k, 2] / rows[i, k, 0])

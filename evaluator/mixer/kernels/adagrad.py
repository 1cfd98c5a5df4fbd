"""Online learning of a few hundred parameters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from evaluator.mixer.kernels.compiled import compiled

Float64 = npt.NDArray[np.float64]


@compiled
def ascend(parameters: Float64, slope: Float64, squares: Float64, rate: float, bounds: tuple[float, float]) -> None:
    """One step uphill, in place: ``squares += slope ** 2``, then ``parameters += rate * slope / sqrt(squares)``.

    All arrays are float64 vectors of one length; parameters stay within ``bounds``. A parameter that met no evidence
    stays where it is. (Duchi, Hazan, Singer 2011, "Adaptive subgradient methods for online learning".)
    """
    low, high = bounds
    for i in range(len(parameters)):
        if slope[i] != 0.0:
            squares[i] += slope[i] * slope[i]
            parameters[i] = min(max(parameters[i] + rate * slope[i] / np.sqrt(squares[i]), low), high)

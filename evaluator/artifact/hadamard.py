"""The normalised Hadamard matrix, which some writers rotate groups of weights by before rounding them."""

from __future__ import annotations

import numpy as np

from evaluator.artifact.numerics import Float32


def rotate(groups: Float32) -> Float32:
    """``groups @ H``, with ``H = [[H', H'], [H', -H']] / sqrt(2)`` of the groups' width, a power of two.

    H is its own inverse, so this undoes itself. The product is torch's, as in the loaders of these systems.
    """
    import torch

    matrix = np.ones((1, 1), np.float32)
    while len(matrix) < groups.shape[1]:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    normalised = torch.from_numpy(matrix) / len(matrix) ** 0.5
    rotated: Float32 = torch.matmul(torch.from_numpy(groups), normalised).numpy()
    return rotated

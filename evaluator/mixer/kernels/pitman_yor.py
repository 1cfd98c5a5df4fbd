"""The Pitman-Yor recursion at the target, and the gradient of its likelihood."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from evaluator.mixer.kernels.compiled import compiled

Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]

COUNTS: Final = 16
"""Contexts are told apart by the power of two below their count, from 1 up to 2**15 and more."""
VARIETIES: Final = 5
"""And by how often a follower came on average: less than 2 times, 2, 4, 8 or more; or there is one follower only."""
BUCKETS: Final = VARIETIES * COUNTS


LIMIT: Final = 25.0
"""Bound of the unconstrained parameters; weights beyond it differ by less than 1e-10."""


class Strengths(NamedTuple):
    """Discounts ``d`` and concentrations ``theta``, float64 ``(order + 1, BUCKETS)``: by context length and bucket."""

    d: Float64
    theta: Float64


@compiled
def bucket(n: int, D: int) -> int:
    """The bucket of a context that occurred ``n > 0`` times with ``D`` distinct followers."""
    variety = 4 if D == 1 else 3 if n >= 8 * D else 2 if n >= 4 * D else 1 if n >= 2 * D else 0
    j = variety * COUNTS
    while n > 1 and j < variety * COUNTS + COUNTS - 1:
        n >>= 1
        j += 1
    return j


@compiled
def score(rows: Int32, base: Float64, strengths: Strengths, out: Float64) -> None:
    """Log-probabilities of the targets.

    The recursion is affine in the base's probability, ``p = a + b p_base``; with ``a`` and ``b`` apart the logarithm
    stays finite where ``p_base`` underflows.
    """
    d, theta = strengths.d, strengths.theta
    for i in range(len(rows)):
        a, b = 0.0, 1.0
        for k in range(rows.shape[1]):
            n, D, m = rows[i, k, 0], rows[i, k, 1], rows[i, k, 2]
            if n == 0:
                break
            j = bucket(n, D)
            scale = 1.0 / (n + theta[k, j])
            backoff = (theta[k, j] + d[k, j] * D) * scale
            a = backoff * a
            if m > 0:
                a += (m - d[k, j]) * scale
            b *= backoff
        if a > 0.0:
            out[i] = np.log(a + b * np.exp(base[i]))
        else:
            out[i] = np.log(b) + base[i]


@compiled
def add_gradient(rows: Int32, base: Float64, strengths: Strengths, out: Float64) -> None:
    """Add to ``out`` the gradient of the summed log-likelihood of the targets by ``logit d`` and ``log theta``.

    ``out`` is float64 ``(2, order + 1, BUCKETS)``.
    """
    d, theta = strengths.d, strengths.theta
    p = np.empty(rows.shape[1] + 1)
    for i in range(len(rows)):
        p[0] = np.exp(max(base[i], -700.0))  # no division by zero below
        depth = 0
        for k in range(rows.shape[1]):
            n, D, m = rows[i, k, 0], rows[i, k, 1], rows[i, k, 2]
            if n == 0:
                break
            j = bucket(n, D)
            p[k + 1] = (max(m - d[k, j], 0.0) + (theta[k, j] + d[k, j] * D) * p[k]) / (n + theta[k, j])
            depth = k + 1
        g = 1.0 / p[depth]  # d log p / d p_k, from the deepest context down
        for k in range(depth - 1, -1, -1):
            n, D, m = rows[i, k, 0], rows[i, k, 1], rows[i, k, 2]
            j = bucket(n, D)
            h = g / (n + theta[k, j])
            out[0, k, j] += h * (D * p[k] - (1.0 if m > 0 else 0.0)) * d[k, j] * (1.0 - d[k, j])
            out[1, k, j] += h * (p[k] - p[k + 1]) * theta[k, j]
            g = h * (theta[k, j] + d[k, j] * D)


@compiled
def set_strengths(parameters: Float64, strengths: Strengths) -> None:
    """``d = sigmoid(u)`` and ``theta = 2^c exp(w)`` for counts from ``2^c`` on; ``u, w = parameters``."""
    for k in range(parameters.shape[1]):
        for j in range(BUCKETS):
            strengths.d[k, j] = 1.0 / (1.0 + np.exp(-parameters[0, k, j]))
            strengths.theta[k, j] = 2.0 ** (j % COUNTS) * np.exp(parameters[1, k, j])

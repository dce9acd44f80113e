"""Distribution of a positive combination of chi-squared variables with one degree of freedom.

P(sum of lambda_i chi2_1 > q) is a contour integral of exp(K(s) - s q)/s with the cumulant
generating function K(s) = -1/2 sum log(1 - 2 lambda_i s). The path is a parabola through the
saddle point that bends around the branch cut, on which the trapezoidal rule converges
exponentially (Rice 1980, doi:10.1137/0901032). Each tail is computed directly, so that small
probabilities keep their relative accuracy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

__all__ = ["generalised_q_eigenvalues", "quadratic_cdf", "quadratic_sf"]

_STEP = 1.0 / 24.0
_REACH = 6.0


def _saddle(lambdas: Array, q: Array, upper: bool) -> Array:
    """Saddle point of K(s) - s q - log|s| on the real axis, by bisection."""
    scale = 0.5 / lambdas.max(axis=-1)
    if upper:
        low, high = np.zeros(q.shape), scale * (1.0 - 1e-15)
    else:
        # K'(s) is at most sum(lambda) there, so that q > K'(s) - 1/s bounds the root.
        low, high = -(1.0 + 0.5 * lambdas.shape[-1]) / q, np.full(q.shape, -0.0)
        low = low * 1.01
    for _ in range(60):
        mid = 0.5 * (low + high)
        slope = (lambdas / (1.0 - 2.0 * lambdas * mid[..., None])).sum(axis=-1) - 1.0 / mid
        above = slope > q
        high, low = np.where(above, mid, high), np.where(above, low, mid)
    return 0.5 * (low + high)


def _tail(lambdas: Array, q: Array, upper: bool) -> Array:
    c = _saddle(lambdas, q, upper)
    share = lambdas / (1.0 - 2.0 * lambdas * c[..., None])
    second = 2.0 * (share**2).sum(axis=-1) + 1.0 / c**2
    third = 8.0 * (share**3).sum(axis=-1) - 2.0 / c**3
    width = 1.0 / np.sqrt(second)
    bend = np.maximum(third / (6.0 * second), 0.25 / (q * width) * 0.1 / width)
    u = np.arange(0.5 * _STEP, _REACH, _STEP)
    y = width[..., None] * np.sinh(u)
    dy = width[..., None] * np.cosh(u) * _STEP
    s = c[..., None] + bend[..., None] * y**2 + 1j * y
    log_k = -0.5 * np.log(1.0 - 2.0 * lambdas[..., None, :] * s[..., None]).sum(axis=-1)
    exponent = log_k - s * q[..., None]
    small = exponent.real < -700.0
    value = np.exp(np.where(small, -700.0, exponent.real) + 1j * exponent.imag) / s
    path = value * (2.0 * bend[..., None] * y + 1j) * dy
    total = np.where(small, 0.0, path.imag).sum(axis=-1) / np.pi
    return np.clip(total if upper else -total, 0.0, 1.0)


def quadratic_sf(lambdas: Array, q: Array) -> Array:
    """P(sum of lambda_i chi2_1 > q) for each row.

    Parameters
    ----------
    lambdas : ndarray, shape (..., m)
        Positive coefficients.
    q : ndarray, shape (...)
        Non-negative values.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(quadratic_sf(np.ones((1, 2)), np.array([2.0]))[0]), 10)
    0.3678794412
    """
    return _both(lambdas, q)[1]


def quadratic_cdf(lambdas: Array, q: Array) -> Array:
    """P(sum of lambda_i chi2_1 <= q) for each row.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(quadratic_cdf(np.ones((1, 2)), np.array([2.0]))[0]), 10)
    0.6321205588
    """
    return _both(lambdas, q)[0]


def _both(lambdas: Array, q: Array) -> tuple[Array, Array]:
    lambdas = np.asarray(lambdas, dtype=float)
    q = np.broadcast_to(np.asarray(q, dtype=float), lambdas.shape[:-1])
    scale = lambdas.sum(axis=-1)
    relative, share = q / scale, lambdas / scale[..., None]
    cdf, sf = np.zeros(q.shape), np.ones(q.shape)
    right = relative >= 1.0
    left = (relative > 0.0) & ~right
    if right.any():
        sf[right] = _tail(share[right], relative[right], True)
        cdf[right] = 1.0 - sf[right]
    if left.any():
        cdf[left] = _tail(share[left], relative[left], False)
        sf[left] = 1.0 - cdf[left]
    return cdf, sf


def generalised_q_eigenvalues(vi: Array, weights: Array, tau2: Array) -> Array:
    """Coefficients of the distribution of Q_a = sum a_i (y_i - mean_a)^2.

    Parameters
    ----------
    vi, weights : ndarray, shape (k,)
        Sampling variances and fixed weights a.
    tau2 : ndarray, shape (m,)
        Between-study variances.

    Returns
    -------
    ndarray, shape (m, k - 1)

    References
    ----------
    Jackson D (2013), doi:10.1002/jrsm.1081; Biggerstaff BJ, Jackson D (2008),
    doi:10.1002/sim.3428.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones(3)
    >>> generalised_q_eigenvalues(one, one, np.array([1.0])).round(12).tolist()
    [[2.0, 2.0]]
    """
    a = np.diag(weights) - np.outer(weights, weights) / weights.sum()
    root = np.sqrt(vi + np.atleast_1d(tau2)[:, None])
    values = np.linalg.eigvalsh(root[:, :, None] * a * root[:, None, :])
    return np.maximum(values[:, 1:], np.finfo(float).tiny)

"""Standard errors of the moment estimators of tau2.

A moment estimator is a linear function of a quadratic form y'Py, whose variance under the
normal-normal model is 2 tr(P S P S) with S = diag(vi + tau2) (Searle 1971, *Linear Models*,
chapter 2). The standard errors are evaluated at the estimate and ignore its truncation at zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .weighted import Batch, moments, share_of_others

Array = NDArray[np.float64]

__all__ = ["moment_se", "quadratic_form_variance", "score_se"]


def quadratic_form_variance(batch: Batch, weights: Array, tau2: Array) -> Array:
    """Variance of y'Py for working weights, 2 tr(P S P S).

    Examples
    --------
    >>> import numpy as np
    >>> from helpers.engine.normal.weighted import prepare
    >>> b = prepare([0.0, 1.0, 2.0], [1.0, 1.0, 1.0])
    >>> round(float(quadratic_form_variance(b, np.ones((1, 3)), np.zeros(1))[0]), 12)
    4.0
    """
    c, a = batch.counts, weights
    s = batch.vi + tau2[:, None]
    if batch.design is None:
        # tr(PSPS) = sum of P_ij^2 s_i s_j: diagonal, then pairs; no term is negative.
        b = a**2 * s
        diagonal = (c * (a * s * share_of_others(c, a)) ** 2).sum(axis=1)
        pairs = (c * b * share_of_others(c, b)).sum(axis=1) * (c * b).sum(axis=1)
        return 2.0 * (diagonal + pairs / (c * a).sum(axis=1) ** 2)
    first = (c * (a * s) ** 2).sum(axis=1)
    x = batch.design
    inverse = np.linalg.inv(np.einsum("rkp,rk,rkq->rpq", x, c * a, x))
    two_p = inverse @ np.einsum("rkp,rk,rkq->rpq", x, c * a**2 * s, x)
    three_p = inverse @ np.einsum("rkp,rk,rkq->rpq", x, c * a**3 * s**2, x)
    trace = np.einsum("rpp->r", three_p)
    return 2.0 * (first - 2.0 * trace + np.einsum("rpq,rqp->r", two_p, two_p))


def moment_se(batch: Batch, weights: Array, tau2: Array, slope: Array) -> Array:
    """Give the standard error of a moment estimator: sqrt(var(y'Py)) / slope.

    Parameters
    ----------
    slope : ndarray, shape (R,)
        What the centred quadratic form is divided by (tr(P) for the general estimator).

    Examples
    --------
    >>> import numpy as np
    >>> from helpers.engine.normal.weighted import prepare
    >>> b = prepare([0.0, 1.0, 2.0], [1.0, 1.0, 1.0])
    >>> float(moment_se(b, np.ones((1, 3)), np.zeros(1), np.array([2.0]))[0])
    1.0
    """
    return np.sqrt(quadratic_form_variance(batch, weights, tau2)) / slope


def score_se(batch: Batch, tau2: Array) -> Array:
    """Give the standard error of the root of Q(tau2) = k - p (and of the median version).

    The slope of Q at the root is tr(P) with w = 1/(vi + tau2), here in the usual form with the
    average leverage p/k for each study: sqrt(2/(k - p)) k / sum(w).

    Examples
    --------
    >>> import numpy as np
    >>> from helpers.engine.normal.weighted import prepare
    >>> float(score_se(prepare([0.0, 1.0, 2.0], [1.0, 1.0, 1.0]), np.zeros(1))[0])
    1.0
    """
    m = moments(batch, tau2)
    return np.sqrt(2.0 / (batch.k - batch.p)) * batch.k / m.sum_w

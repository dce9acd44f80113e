"""Standard errors of the moment estimators of tau2.

A moment estimator is a linear function of a quadratic form y'Py, whose variance under the
normal-normal model is 2 tr(P S P S) with S = diag(vi + tau2) (Searle 1971, *Linear Models*,
chapter 2). The standard errors are evaluated at the estimate and ignore its truncation at zero.
"""

from __future__ import annotations

import numpy as np

from ...arguments import Array
from .weighted import Batch, Moments, moments


def quadratic_form_variance(m: Moments, df: Array, more: Array) -> Array:
    """Variance of y'Py for weights 1/(vi + start), 2 tr(P S P S), where S is `more` than they say.

    With S = W^-1 + more I, and PW^-1P = P, the trace is k - p + 2 more tr(P) + more^2 tr(PP).
    """
    return np.asarray(2.0 * (df + more * (2.0 * m.trace_p + more * m.trace_pp)), dtype=float)


def score_se(batch: Batch, tau2: Array) -> Array:
    """Give the standard error of the root of Q(tau2) = k - p (and of the median version).

    The slope of Q at the root is tr(P) with w = 1/(vi + tau2), here in the usual form with the
    average leverage p/k for each study: sqrt(2/(k - p)) k / sum(w).

    >>> import numpy as np
    >>> from helpers.engine.normal.weighted import prepare
    >>> float(score_se(prepare([0.0, 1.0, 2.0], [1.0, 1.0, 1.0]), np.zeros(1))[0])
    1.0
    """
    m = moments(batch, tau2)
    return np.sqrt(2.0 / (batch.k - batch.p)) * batch.k / m.sum_w

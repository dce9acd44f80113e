"""Quadratic forms without what a generalised Q multiplies out, as a second computation."""

from __future__ import annotations

import numpy as np

from helpers.engine.quadratic import _Form, _survival


def quadratic_sf(lambdas: np.ndarray, q: np.ndarray) -> np.ndarray:
    """P(sum of lambda_i chi2_1 > q) for each row of positive coefficients, shape (R, m)."""
    rows = len(lambdas)
    form = _Form(lambdas, np.zeros(lambdas.shape), np.zeros(rows), np.ones(rows))
    return _survival(form, q)

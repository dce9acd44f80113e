"""Confidence limits for the pooled effect of many GLMM fits, on the model scale."""

from __future__ import annotations

import numpy as np

from ..counts.fit import GLMMFit
from ..counts.profile import profile_ci_mu
from ..normal.intervals import Limits, symmetric_limits


def glmm_limits(fit: GLMMFit, method: str, level: float) -> Limits:
    """Limits of GLMM fits: "wald", "t" with k - 1 degrees of freedom, or "profile"."""
    if method == "profile":
        ends = profile_ci_mu(fit, level)
        return ends.lower, ends.upper
    df = np.where((fit.k > 1) & (method == "t"), fit.k - 1.0, np.inf)
    return symmetric_limits(fit.beta[:, 0], fit.se[:, 0], level, df)

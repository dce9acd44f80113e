r"""Study-level estimates that borrow strength: each study drawn towards the mean of all.

A study's own estimate is noisy; the pooled mean ignores what is particular to it. The best guess
of its true effect lies between the two, the nearer to the mean the less the study knows:

.. math::  \hat\theta_i = (1 - B_i) y_i + B_i \hat\mu, \qquad B_i = v_i / (v_i + \hat\tau^2)

(Morris 1983, doi:10.2307/2287098). In the GLMM the same guess is the mean of the study's true
logit (or log rate) given its counts, by quadrature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..door import pd
from ..engine.counts.fit import GLMMFit
from ..engine.counts.weights import empirical_bayes
from ..engine.distributions import norm_ppf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .result import PoolResult


def shrunken_estimates(fit: PoolResult) -> pd.DataFrame:
    """Estimate each study's true effect, shrunken towards the pooled mean.

    One row a study (excluded ones too, without values) with `yi` (its own effect), `mu` and `se`
    (shrunken effect and its standard error, model scale), `estimate`, `ci_lower`, `ci_upper`
    (display scale), `shrinkage` (percent of the way to the mean: 100 vi / (vi + tau2), and in the
    GLMM 100 times the variance of the study's effect given its counts over tau2), `included`,
    `reason`. By inverse variance `se` holds the uncertainty of the mean; in the GLMM it takes mean
    and tau2 as known, as lme4 does. With a common effect every study is drawn all the way to the
    mean; a group of a joint fit, whose studies belong to all groups together, is refused.
    """
    fit.require_finite("shrinkage")
    data, z = fit.data, float(norm_ppf(0.5 + 0.5 * fit.level))
    mu, se, shrinkage = (np.full(len(data.labels), np.nan) for _ in range(3))
    keep = data.included
    mu[keep], se[keep], shrinkage[keep] = _included(fit)
    low, high = mu - z * se, mu + z * se

    def display(values: NDArray[np.float64]) -> list[float]:
        return [fit.to_display(v) if np.isfinite(v) else np.nan for v in values]

    return pd.DataFrame(
        {
            "yi": data.yi,
            "mu": mu,
            "se": se,
            "estimate": display(mu),
            "ci_lower": display(low),
            "ci_upper": display(high),
            "shrinkage": shrinkage,
            "included": keep,
            "reason": list(data.reason),
        },
        index=pd.Index(data.labels, name="study"),
    )


def _included(fit: PoolResult) -> tuple[NDArray[np.float64], ...]:
    """Shrunken effects, their standard errors and shrinkage of the studies that take part."""
    if fit.tau2 == 0.0:
        return np.full(fit.k, fit.mu), np.full(fit.k, fit.se_model), np.full(fit.k, 100.0)
    if isinstance(fit.engine, GLMMFit):
        fit.core.require_own_variance("shrinkage")
        found = empirical_bayes(fit.engine)
        return found.mean[0], found.sd[0], 100.0 * found.sd[0] ** 2 / fit.tau2
    y, v = fit.data.yi[fit.data.included], fit.data.vi[fit.data.included]
    b = v / (v + fit.tau2)
    # v (1 - b) is the variance about a known mean; the mean itself is known up to its se
    se = np.sqrt(v * (1.0 - b) + (b * fit.se_model) ** 2)
    return (1.0 - b) * y + b * fit.mu, se, 100.0 * b

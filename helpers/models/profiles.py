"""Profile likelihood as a curve: how fast a fit gets worse as one parameter is held elsewhere.

The interval of a profile likelihood contains the values at which the log-likelihood, maximised over
everything else, lies at most half a chi-squared quantile below its maximum (Hardy and Thompson
1996, doi:10.1002/(SICI)1097-0258(19960330)15:6<619::AID-SIM188>3.0.CO;2-A; with a restricted
likelihood Viechtbauer 2007, doi:10.1002/sim.2514).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ..arguments import Array, one_of
from ..engine.counts.fit import GLMMFit
from ..engine.counts.profile import profile_loglik
from ..engine.distributions import chi2_isf
from ..engine.normal.intervals import Interval, profile_height
from ..engine.normal.inverse_variance import InverseVarianceFit
from ..engine.normal.likelihood import log_likelihood
from ..engine.normal.weighted import moments
from ..engine.shown import Shown
from ..errors import MetaAnalysisError, UnsupportedError
from .result import PoolResult

Parameter = Literal["tau2", "mu"]


@dataclass(frozen=True, slots=True, repr=False)
class ProfileCurve(Shown):
    """Profile log-likelihood of one parameter (model scale)."""

    parameter: Parameter
    values: Array = field(repr=False)  # ascending; estimate and finite limits are among them
    drop: Array = field(repr=False)  # log-likelihood there minus the maximum, at most 0
    estimate: float
    interval: Interval  # values whose drop is not below `cutoff`
    cutoff: float  # minus half the chi-squared quantile with 1 degree of freedom
    level: float
    restricted: bool  # the likelihood of REML


def profile_curve(
    fit: PoolResult,
    parameter: Parameter = "tau2",
    *,
    level: float | None = None,
    points: int = 101,
) -> ProfileCurve:
    """Compute the profile log-likelihood of tau2 or of the pooled effect.

    Of a GLMM, or of a random-effects model fitted by ML (both parameters) or REML (tau2 only); the
    grid has `points` values besides estimate and limits.
    """
    one_of("parameter", parameter, ("tau2", "mu"))
    if points < 3:
        raise MetaAnalysisError(f"a curve needs at least 3 points, not {points!r}")
    if getattr(fit, "engine", None) is None:
        raise UnsupportedError("a profile needs a fit of pool() with at least two studies")
    if fit.model != "glmm" and fit.tau2_method not in ("ML", "REML"):
        raise UnsupportedError(
            "a profile needs a likelihood: a GLMM, or tau2_method 'ML' or 'REML', not "
            f"{fit.tau2_method or fit.model!r}"
        )
    if not fit.converged:
        raise UnsupportedError("the fit did not converge: there is no maximum to start from")
    level = fit.level if level is None else level
    if parameter == "mu":
        interval = fit.conf_int("profile", scale="model", level=level)
        estimate = fit.mu
    else:
        interval = fit.tau2_ci("profile", level=level)
        estimate = fit.tau2
    values = _grid(fit, parameter, estimate, interval, points)
    height = _height(fit, parameter, values)
    # Optimisers stop within rounding of the maximum; the curve's own top is the reference.
    # A group of a joint fit has but a share of the likelihood that the curve is of.
    top = float(fit.engine.loglik[0]) if isinstance(fit.engine, GLMMFit) else fit.loglik
    drop = np.minimum(height - top, 0.0)
    drop[values == estimate] = 0.0
    return ProfileCurve(
        parameter=parameter,
        values=values,
        drop=drop,
        estimate=estimate,
        interval=interval,
        cutoff=-0.5 * float(chi2_isf(1.0 - level, 1.0)),
        level=level,
        restricted=fit.model != "glmm" and fit.tau2_method == "REML",
    )


def _grid(
    fit: PoolResult, parameter: Parameter, estimate: float, interval: Interval, points: int
) -> Array:
    """Values that reach beyond both limits by a third of the distance from the estimate."""
    usual = 4.0 * fit.se_model if parameter == "mu" else max(4.0 * estimate, 1.0)
    ends = [
        estimate + (4.0 / 3.0) * (limit - estimate)
        if np.isfinite(limit)
        else estimate + float(np.sign(limit)) * usual
        for limit in interval
    ]
    if parameter == "mu":
        grid = np.linspace(ends[0], ends[1], points)
    else:
        # Finer near zero, where the curve of tau2 bends.
        low = max(0.0, ends[0])
        grid = np.linspace(np.sqrt(low), np.sqrt(ends[1]), points) ** 2
    finite = [limit for limit in interval if np.isfinite(limit)]
    return np.unique(np.concatenate([grid, [estimate], finite]))


def _height(fit: PoolResult, parameter: Parameter, values: Array) -> Array:
    """Log-likelihood, maximised over the other parameter."""
    engine = fit.engine
    if isinstance(engine, GLMMFit):
        if parameter == "mu":
            return profile_loglik(engine, mu=values, coefficient=fit.coefficient)[0]
        return profile_loglik(engine, tau2=values)[0]
    assert isinstance(engine, InverseVarianceFit)
    if parameter == "mu":
        return profile_height(engine.batch.rows(np.zeros(len(values), dtype=np.intp)), values)
    at = moments(engine.batch, values[None, :])
    return log_likelihood(engine.batch, at, restricted=fit.tau2_method == "REML")[0]

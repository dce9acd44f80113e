"""Intervals: of a pooled mean and of a new study on the model scale, of tau2, tau, I2 and H2.

I2 and H2 rise with tau2 at a fixed typical sampling variance, so that the limits of tau2 give
theirs (Viechtbauer 2007, doi:10.1002/sim.2514; Higgins and Thompson 2002, doi:10.1002/sim.1186).

A function of both parameters (the mean across studies, the probability of a new study beyond a
bound) has the profile-likelihood interval that contains its values at all pairs (mu, tau2) whose
likelihood is high enough (Hardy and Thompson 1996,
doi:10.1002/(SICI)1097-0258(19960330)15:6<619::AID-SIM188>3.0.CO;2-A). The function has to rise (or
fall) with mu at every tau.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .. import printing
from ..arguments import Array
from ..door import pd
from ..engine.counts.common import pooled_profile
from ..engine.counts.profile import glmm_profile
from ..engine.distributions import chi2_isf
from ..engine.normal.intervals import (
    KNAPP_HARTUNG,
    Interval,
    first,
    mu_limits,
    single_knapp_hartung_se,
    symmetric_interval,
)
from ..engine.normal.inverse_variance import InverseVarianceFit, fit_inverse_variance
from ..engine.normal.likelihood import log_likelihood
from ..engine.normal.prediction import (
    PREDICTION_METHODS,
    bootstrap_prediction,
    prediction_df,
    prediction_limits,
    recovered_se,
)
from ..engine.normal.tau2_intervals import (
    TAU2_CI_METHODS,
    generalised_q_limits,
    profile_tau2_limits,
    q_profile_limits,
)
from ..engine.normal.weighted import moments
from ..engine.shown import Row, Shown, limits_text
from ..engine.summaries import i2_and_h2
from ..errors import MetaAnalysisError, UnsupportedError

if TYPE_CHECKING:
    from ..engine.counts.fit import GLMMFit
    from ..engine.normal.inverse_variance import InverseVarianceFit
    from .regression_result import RegressionResult
    from .result import PoolResult


def mu_interval(fit: PoolResult, method: str, level: float) -> Interval:
    """Interval of the mean; `method` is one of those of the model."""
    if method == "wald":
        return symmetric_interval(fit.mu, fit.se_model, level)
    engine = fit.engine
    if method == "profile" and fit.options.method == "likelihood":
        if engine is None:
            return pooled_profile(fit.data, fit.scale.kind, level)
        return glmm_profile(cast("GLMMFit", engine), "mu", level, fit.coefficient)
    if method != "henmi-copas" and fit.k < 2:
        raise UnsupportedError(f"method={method!r} needs at least 2 studies; there is 1")
    if method == "t":
        return symmetric_interval(fit.mu, fit.se_model, level, fit.k - 1)
    if not isinstance(engine, InverseVarianceFit):
        raise UnsupportedError(f"method={method!r} is defined for inverse variance only")
    if method in KNAPP_HARTUNG:
        single_knapp_hartung_se(engine, method, level)  # refuses identical effects
    if method == "profile" and fit.options.tau2 is not None:
        raise UnsupportedError(
            "the profile-likelihood interval re-estimates tau2 at every value of the mean; "
            f"it is not defined with a {fit.options.tau2_source} tau2"
        )
    if method == "profile" and fit.tau2_method != "ML":
        raise UnsupportedError(
            "the profile-likelihood interval for the pooled effect is defined for "
            f"tau2_method='ML', not {fit.tau2_method!r}"
        )
    return first(mu_limits(engine, method, level))


def new_study_interval(
    fit: PoolResult, method: str, level: float, *, draws: int, seed: int
) -> Interval:
    """Interval of the effect in a new study."""
    refuse_undefined(f"method={method!r}", method, fit.model, PREDICTION_METHODS)
    fit.require_finite("a prediction interval")
    if fit.k < 2:
        raise UnsupportedError("a prediction interval needs at least 2 studies; there is 1")
    mean = mu_interval(fit, fit.ci_method, level)
    if method == "bootstrap":
        if fit.options.tau2 is not None:
            raise UnsupportedError(
                "method='bootstrap' draws tau2 from its confidence distribution; it is not "
                f"defined with a {fit.options.tau2_source} tau2"
            )
        keep = fit.data.included
        y, v = fit.data.yi[keep], fit.data.vi[keep]
        new = bootstrap_prediction(y, v, level, draws=draws, seed=seed)
        return Interval(min(new.lower, mean.lower), max(new.upper, mean.upper))
    df = prediction_df(method, fit.k)
    if df is not None and df < 1:
        raise UnsupportedError(
            f"a prediction interval with {df:g} degrees of freedom does not exist: there are "
            "too few studies; give at least three"
        )
    behind = "knapp-hartung" if method.startswith("knapp-hartung") else fit.ci_method
    se: float | tuple[Any, Any] = fit.se_model
    if behind in KNAPP_HARTUNG:
        se = single_knapp_hartung_se(cast(InverseVarianceFit, fit.engine), behind, level)
    elif behind == "profile":
        se = recovered_se(fit.mu, mean, level)
    low, high = prediction_limits(fit.mu, se, fit.tau2, level, df, mean)
    return Interval(float(low), float(high))


def tau2_interval(fit: PoolResult, method: str, level: float, *, weights: str) -> Interval:
    """Interval of the variance between studies."""
    refuse_undefined(f"a tau2 interval by {method!r}", method, fit.model, TAU2_CI_METHODS)
    fit.require_finite("an interval of tau2")
    if fit.options.tau2_source == "given":
        raise UnsupportedError(
            f"tau2 was given as {fit.tau2:g}, not estimated: it has no confidence interval"
        )
    shared = fit.options.tau2_source == "shared"
    if fit.k < 2 and not shared:
        raise UnsupportedError("a tau2 interval needs at least 2 studies; there is 1")
    if fit.model == "glmm":
        return glmm_profile(cast("GLMMFit", fit.engine), "tau2", level)
    engine = cast(InverseVarianceFit, fit.joint if shared else fit.engine)
    return tau2_limits(engine, fit.tau2_method, method, level, weights)


def regression_tau2_interval(fit: RegressionResult, method: str, level: float) -> Interval:
    """Interval of the residual variance of a regression."""
    refuse_undefined(f"a tau2 interval by {method!r}", method, fit.model, TAU2_CI_METHODS)
    core = fit.core
    if fit.model == "glmm":
        return glmm_profile(core.regress().source, "tau2", level)
    basis, estimator = np.linalg.qr(core.X)[0], fit.tau2_method or "REML"
    engine = fit_inverse_variance(core.yi, core.vi, design=basis, method=estimator)
    return tau2_limits(engine, estimator, method, level)


def tau2_limits(
    engine: InverseVarianceFit,
    estimator: str | None,
    method: str,
    level: float,
    weights: str = "inverse-variance",
) -> Interval:
    """Interval of the variance of one fit by inverse variance; `weights` of "generalised-q"."""
    if method == "q-profile":
        return first(q_profile_limits(engine.batch, level))
    if method == "generalised-q":
        if engine.batch.p > 1:
            raise UnsupportedError(
                "a tau2 interval by 'generalised-q' is defined for one mean, not for a regression "
                "or a variance shared by groups: use 'q-profile' or 'profile'"
            )
        return first(generalised_q_limits(engine.batch, level, weights=weights))
    if estimator not in ("ML", "REML"):
        raise UnsupportedError(
            "a profile-likelihood interval for tau2 needs tau2_method 'ML' or 'REML', "
            f"not {estimator!r}"
        )
    return first(profile_tau2_limits(engine, level))


def refuse_undefined(
    what: str, method: str, model: str, methods: Mapping[str, tuple[str, ...]]
) -> None:
    """Refuse a method that a model does not have."""
    allowed = methods[model]
    if method not in allowed:
        raise UnsupportedError(
            f"{what} is not defined for model={model!r}"
            + (f"; expected one of {', '.join(allowed)}" if allowed else "")
        )


NONE = Interval(float("nan"), float("nan"))


@dataclass(frozen=True, slots=True, repr=False)
class HeterogeneityIntervals(Shown):
    """Intervals of tau2, tau, I2 (percent) and H2; NaN where the set of tau2 is empty."""

    tau2: Interval
    tau: Interval
    I2: Interval
    H2: Interval
    level: float

    def _headline(self) -> str:
        return f"{printing.level_text(self.level)} intervals"

    def _said(self) -> Iterator[Row]:
        for name, symbol in (("tau2", "τ²"), ("tau", "τ"), ("H2", "H²")):
            yield symbol, limits_text(getattr(self, name))
        yield "I²", limits_text([limit / 100 for limit in self.I2], "percent")

    def frame(self) -> pd.DataFrame:
        """Table with index "measure" and columns `ci_lower`, `ci_upper`."""
        rows = {name: getattr(self, name) for name in ("tau2", "tau", "I2", "H2")}
        table = pd.DataFrame.from_dict(rows, orient="index", columns=["ci_lower", "ci_upper"])
        return table.rename_axis("measure")


def heterogeneity_intervals(
    fit: PoolResult | RegressionResult, method: str | None = None, level: float | None = None
) -> HeterogeneityIntervals:
    """Intervals of tau2, tau, I2 and H2 (`method` and `level` as in the `tau2_ci` of the fit)."""
    tau2 = fit.tau2_ci(method, level)
    limits, vt = np.array(tau2), fit.heterogeneity.typical_variance
    far = np.isinf(limits)
    share, ratio = i2_and_h2(np.where(far, 0.0, limits), np.full(2, vt))
    shown = (np.sqrt(limits), np.where(far, 100.0, share), np.where(far, np.inf, ratio))
    tau, i2, h2 = (Interval(float(low), float(high)) for low, high in shown)
    return HeterogeneityIntervals(tau2, tau, i2, h2, fit.level if level is None else level)


def i2_limits(fit: PoolResult | RegressionResult) -> Interval:
    """Interval of I2 by the default method, for tables: NaN where the fit has none."""
    try:
        return heterogeneity_intervals(fit).I2
    except UnsupportedError:
        return NONE


_COARSE, _FINE, _ROUNDS = 33, 9, 8


def quantile_df(fit: PoolResult) -> int | None:
    """Degrees of freedom of the quantile behind the interval of the fit; None: normal."""
    return None if fit.ci_method in ("wald", "profile", "henmi-copas") else fit.k - 1


def covariance_of_mu_and_tau(fit: PoolResult) -> float:
    """Covariance of mu and tau; zero under the normal-normal model, where they are orthogonal."""
    from ..engine.counts.fit import GLMMFit

    if not isinstance(fit.engine, GLMMFit):
        return 0.0
    return float(fit.engine.cov[0, fit.coefficient, -1])


def extremes_in_region(
    fit: PoolResult, what: str, function: Callable[[Array, Array], Array], level: float
) -> Interval:
    """Smallest and largest value of `function` of mu and tau2 within the likelihood's reach.

    The function takes arrays of equal shape and rises in mu; `what` it gives is named in messages.
    An error where the fit maximises no likelihood over both, or where that does not bound tau2.
    """
    if fit.model != "glmm" and fit.tau2_method != "ML":
        raise UnsupportedError(
            f"the profile-likelihood interval of {what} is defined for model='glmm' and for "
            f"tau2_method='ML', not {fit.tau2_method!r}"
        )
    if fit.model != "glmm" and fit.options.tau2_source == "shared":
        raise UnsupportedError(
            f"the profile-likelihood interval of {what} is defined for a variance that a group has "
            "to itself; this one is shared by all groups"
        )
    bounds = fit.tau2_ci("profile", level=level)
    if not np.isfinite(bounds.upper):
        raise MetaAnalysisError(
            f"the profile likelihood does not bound the between-study variance at level {level:g}, "
            f"and so not {what}: the data contain too little information"
        )
    drop = 0.5 * float(chi2_isf(1.0 - level, 1.0))
    section = _glmm_section(fit, drop) if fit.model == "glmm" else _normal_section(fit, drop)
    start, end = (float(np.sqrt(x)) for x in bounds)

    def values(tau: Array) -> tuple[Array, Array]:
        lower, upper = section(tau**2)
        return function(lower, tau**2), function(upper, tau**2)

    return Interval(_extreme(values, start, end, 0), _extreme(values, start, end, 1))


def _extreme(
    values: Callable[[Array], tuple[Array, Array]], start: float, end: float, which: int
) -> float:
    """Smallest (0) or largest (1) value, on a grid of tau that closes in on its best point."""
    sign = -1.0 if which == 0 else 1.0
    # dense at both ends, where the sections of mu close like a square root
    tau = start + (end - start) * 0.5 * (1.0 - np.cos(np.linspace(0.0, np.pi, _COARSE)))
    best = -np.inf
    for _ in range(_ROUNDS):
        value = sign * values(tau)[which]
        at = int(np.argmax(value))
        best = max(best, float(value[at]))
        low, high = tau[max(at - 1, 0)], tau[min(at + 1, tau.size - 1)]
        if high - low <= 1e-9 * (end + 1e-300):
            break
        tau = np.linspace(low, high, _FINE)
    return sign * best


def _normal_section(fit: PoolResult, drop: float) -> Callable[[Array], tuple[Array, Array]]:
    """Limits of mu at each tau2 under the normal-normal model, in closed form."""
    batch = cast(InverseVarianceFit, fit.engine).batch

    def section(tau2: Array) -> tuple[Array, Array]:
        at = moments(batch, tau2[None])
        above = log_likelihood(batch, at, restricted=False)[0] - fit.loglik + drop
        half = np.sqrt(2.0 * np.maximum(above, 0.0) / at.sum_w[0])
        return at.beta[0, :, 0] - half, at.beta[0, :, 0] + half

    return section


def _glmm_section(fit: PoolResult, drop: float) -> Callable[[Array], tuple[Array, Array]]:
    """Limits of mu at each tau2 under the GLMM; the likelihood is log-concave in mu."""
    from ..engine.counts.profile import mu_sections

    engine = cast("GLMMFit", fit.engine)
    return lambda tau2: mu_sections(engine, tau2, drop, fit.coefficient)

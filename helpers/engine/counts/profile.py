r"""Profile likelihood of the GLMM: curves and intervals for a coefficient and for tau2.

The interval at level :math:`1 - \alpha` contains the values whose profile log-likelihood lies at
most :math:`\chi^2_{1,1-\alpha}/2` below the maximum (Hardy & Thompson 1996,
doi:10.1002/(SICI)1097-0258(19960330)15:6<619::AID-SIM188>3.0.CO;2-A; Venzon & Moolgavkar 1988,
doi:10.2307/2347496). Limits are found on the signed root of the likelihood-ratio statistic, which
is nearly a straight line, by a bracketed secant iteration over all replicates at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...arguments import LEVEL, level_of
from ...errors import MetaAnalysisError
from ..distributions import chi2_ppf
from ..normal.intervals import Interval, Limits, first, symmetric_limits
from .batch import CountData
from .fit import GLMMFit, fit_counts
from .kernel import gauss_hermite
from .start import maximise_beta
from .studies import Array
from .variation import TAU_MAX, NormalVariation

_RTOL = 1e-12  # of a limit, or of its distance from the estimate


def profile_loglik(
    fit: GLMMFit,
    *,
    tau2: ArrayLike | None = None,
    mu: ArrayLike | None = None,
    coefficient: int = 0,
) -> Array:
    """Profile log-likelihood, all constants in, at G values of tau2 or of a coefficient, (R, G)."""
    values = np.asarray(tau2 if mu is None else mu, dtype=float)
    rows = len(fit)
    data = fit.data.take(np.repeat(np.arange(rows), len(values)))
    held = np.tile(values, rows)
    if mu is None:
        curve = _at_tau2(data, held, fit.quad_points)
    else:
        curve = fit_counts(data.fixing(coefficient, held), fit.quad_points).loglik
    return curve.reshape(rows, len(values))


def profile_ci_mu(fit: GLMMFit, level: float = LEVEL, coefficient: int = 0) -> Limits:
    """Profile likelihood limits of a coefficient (the pooled logit or log rate), shape (R,).

    Infinite where the profile does not fall enough, however far one goes; NaN without a fit.
    """
    quantile = _quantile(level)
    fitted = np.flatnonzero(fit.converged)

    def excess(rows: NDArray[np.intp], at: Array) -> Array:
        held = fit.data.take(fitted[rows]).fixing(coefficient, at)
        value = fit_counts(held, fit.quad_points).loglik
        return _signed_root(fit.loglik[fitted[rows]], value, quantile)

    estimate = fit.beta[fitted, coefficient]
    reach = np.sqrt(quantile) * fit.se[fitted, coefficient]
    ends = []
    for side in (-1.0, 1.0):
        limit, found = _crossing(
            excess, estimate, estimate + side * reach, -np.sqrt(quantile), growth=14
        )
        ends.append(np.where(found, limit, side * np.inf))
    return _among_all(len(fit), fitted, ends)


def profile_ci_tau2(fit: GLMMFit, level: float = LEVEL) -> Limits:
    """Profile likelihood limits of the between-study variance, as `profile_ci_mu`.

    The lower limit is zero where the profile at zero is not low enough (also at the boundary).
    """
    quantile = _quantile(level)
    fitted = np.flatnonzero(fit.converged)
    loglik = fit.loglik[fitted]

    def excess(rows: NDArray[np.intp], at: Array) -> Array:
        data = fit.data.take(fitted[rows])
        value = _at_tau2(data, np.exp(at), fit.quad_points)
        return _signed_root(loglik[rows], value, quantile)

    # the search runs in log tau2; a boundary fit is left from far below the sampling variance
    tau2 = fit.tau2[fitted]
    small = _sampling_variance(fit, fitted)
    inside = np.log(np.maximum(tau2, 1e-3 * small))
    at_zero = np.sqrt(np.maximum(2.0 * (loglik - fit.loglik_tau0[fitted]), 0.0)) - np.sqrt(quantile)
    start = excess(np.arange(len(fitted)), inside) if len(fitted) else np.empty(0)
    lower = np.zeros(len(fitted))
    falls = np.flatnonzero(at_zero > 0)

    def excess_falls(rows: NDArray[np.intp], at: Array) -> Array:
        return excess(falls[rows], at)

    limit, _ = _crossing(excess_falls, inside[falls], inside[falls] - 1.0, start[falls], growth=60)
    lower[falls] = np.exp(limit)
    limit, found = _crossing(
        excess, inside, inside + 1.0, start, growth=40, bound=2.0 * np.log(TAU_MAX)
    )
    return _among_all(len(fit), fitted, [lower, np.where(found, np.exp(limit), np.inf)])


@lru_cache(maxsize=8)  # what shows a result asks for the same limits many times
def glmm_profile(
    fit: GLMMFit, parameter: Literal["mu", "tau2"], level: float, coefficient: int = 0
) -> Interval:
    """Profile-likelihood interval for one mean (the place of `coefficient`) or tau2 of a GLMM.

    An unbounded mean is an error; a variance without an upper limit has the limit infinity.
    """
    if not fit.converged[0]:
        raise MetaAnalysisError("the GLMM did not converge; there is nothing to profile")
    if parameter == "tau2":
        return first(profile_ci_tau2(fit, level))
    found = first(profile_ci_mu(fit, level, coefficient))
    if not np.isfinite(found).all():
        raise MetaAnalysisError(
            f"the profile likelihood of {parameter} does not bound it at level {level:g}: the "
            "data contain too little information"
        )
    return found


def glmm_limits(fit: GLMMFit, method: str, level: float) -> Limits:
    """Limits of GLMM fits: "wald", "t" with k - 1 degrees of freedom, or "profile"."""
    if method == "profile":
        return profile_ci_mu(fit, level)
    df = np.where((fit.k > 1) & (method == "t"), fit.k - 1.0, np.inf)
    return symmetric_limits(fit.beta[:, 0], fit.se[:, 0], level, df)


def mu_sections(
    fit: GLMMFit, tau2: Array, drop: float, coefficient: int = 0
) -> tuple[Array, Array]:
    """Values of a coefficient at which the log-likelihood has fallen by `drop`, at each `tau2`.

    Below the maximum over all parameters of the first replicate; the other coefficients are
    maximised over. Lower and upper value are the same where the profile at `tau2` lies lower.
    """
    held = np.maximum(np.asarray(tau2, dtype=float), 0.0)
    one = fit.data.take(np.zeros(len(held), dtype=np.intp))
    model = NormalVariation(gauss_hermite(fit.quad_points))
    top, centre = np.empty(len(held)), np.empty(len(held))
    for index, problem in one.chunks(fit.quad_points):
        value, gamma = maximise_beta(problem, held[index], model)
        top[index] = problem.saturated() + value
        centre[index] = problem.user_beta(gamma)[:, coefficient]
    maximum = np.full(len(held), float(fit.loglik[0]))
    inside = np.flatnonzero(top > maximum - drop)

    def excess(rows: NDArray[np.intp], at: Array) -> Array:
        data = one.take(inside[rows]).fixing(coefficient, at)
        value = _at_tau2(data, held[inside[rows]], fit.quad_points)
        return _signed_root(maximum[rows], value, 2.0 * drop)

    reach = np.sqrt(2.0 * drop) * float(fit.se[0, coefficient])
    start = _signed_root(maximum[inside], top[inside], 2.0 * drop)
    limits = []
    for side in (-1.0, 1.0):
        limit = centre.copy()
        found, bracketed = _crossing(
            excess, centre[inside], centre[inside] + side * reach, start, growth=30
        )
        limit[inside] = np.where(bracketed, found, side * np.inf)
        limits.append(limit)
    return limits[0], limits[1]


def _quantile(level: float) -> float:
    return float(chi2_ppf(level_of(level), 1))


def _signed_root(maximum: Array, value: Array, quantile: float) -> Array:
    """Negative inside the interval, positive outside, nearly linear in the parameter."""
    return np.sqrt(np.maximum(2.0 * (maximum - value), 0.0)) - np.sqrt(quantile)


def _among_all(rows: int, fitted: NDArray[np.intp], ends: list[Array]) -> Limits:
    """Put the limits of the fitted replicates back among all of them."""
    limits = np.full((2, rows), np.nan)
    limits[:, fitted] = ends
    return limits[0], limits[1]


def _sampling_variance(fit: GLMMFit, rows: NDArray[np.intp]) -> Array:
    """Smallest approximate sampling variance among the studies of each replicate."""
    data = fit.data.take(rows)
    out = np.ones(len(rows))
    for index, problem in data.chunks(1):
        s = problem.studies
        out[index] = 1.0 / np.where(s.n > 0, s.v_guess, 0.0).max(axis=1)
    return out


def _crossing(
    f: Callable[[NDArray[np.intp], Array], Array],
    inside: Array,
    trial: Array,
    f_inside: Array | float,
    *,
    growth: int,
    bound: float = np.inf,
) -> tuple[Array, NDArray[np.bool_]]:
    """Zero of ``f`` between ``inside`` (where it is negative) and wherever it turns positive.

    ``f(rows, x)`` is evaluated for the replicates still open only. The bracket is found by steps
    that grow from ``trial - inside``, and narrowed by the secant rule of Anderson & Björck 1973
    (doi:10.1007/BF01951936). Returns the zeros and whether a bracket was found in ``growth``
    steps and within ``bound``.
    """
    a = np.array(inside, dtype=float)
    fa = np.array(np.broadcast_to(f_inside, a.shape), dtype=float)
    b = np.minimum(np.array(trial, dtype=float), bound)
    fb = np.full(a.shape, np.nan)
    found = np.zeros(a.shape, dtype=bool)
    open_ = np.arange(len(a))
    for _ in range(growth):
        if not open_.size:
            break
        fb[open_] = f(open_, b[open_])
        beyond = fb[open_] >= 0
        found[open_[beyond]] = True
        stay = open_[~beyond & (b[open_] < bound)]
        # follow the line, a little too far, at least doubling and at most eightfold
        rate = (fb[stay] - fa[stay]) / (b[stay] - a[stay])
        step = b[stay] - a[stay]
        wanted = np.where(rate * step > 0, -1.2 * fb[stay] / np.where(rate == 0, 1.0, rate), step)
        far = np.clip(np.abs(wanted / step), 0.05, 8.0)
        a[stay], fa[stay] = b[stay], fb[stay]
        b[stay] = np.minimum(b[stay] + far * step, bound)
        open_ = stay
    root = b.copy()
    open_ = np.flatnonzero(found)
    for turn in range(200):
        if not open_.size:
            break
        x0, f0, x1, f1 = a[open_], fa[open_], b[open_], fb[open_]
        x = x1 - f1 * (x1 - x0) / (f1 - f0)
        if turn % 8 == 7:  # a secant that keeps creeping is interrupted by bisection
            x = 0.5 * (x0 + x1)
        fx = f(open_, x)
        root[open_] = x
        positive = fx >= 0
        # the end that stays has its value damped, so that it moves next time
        f_old = np.where(positive, f1, f0)
        damp = 1.0 - fx / np.where(f_old == 0, 1.0, f_old)
        damp = np.where(damp > 0, damp, 0.5)
        a[open_] = np.where(positive, x0, x)
        fa[open_] = np.where(positive, f0 * damp, fx)
        b[open_] = np.where(positive, x, x1)
        fb[open_] = np.where(positive, fx, f1 * damp)
        tolerance = _RTOL * np.maximum(np.abs(x), 1e-3)
        slope = np.abs((f1 - f0) / (x1 - x0))
        close = (np.abs(fx) <= slope * tolerance) | (np.abs(b[open_] - a[open_]) <= tolerance)
        open_ = open_[~close]
    return root, found


def _at_tau2(data: CountData, tau2: Array, points: int) -> Array:
    """Log-likelihood maximised over the coefficients at ``tau2`` (R,), with all constants."""
    model = NormalVariation(gauss_hermite(points))
    value = np.empty(data.rows)
    for index, problem in data.chunks(points):
        value[index] = problem.saturated() + maximise_beta(problem, tau2[index], model)[0]
    return value

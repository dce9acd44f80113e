"""Fit likelihood models (GLMM, or one common rate) to many selections of studies."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...arguments import Array
from ...errors import UnsupportedError
from ..cost import announce
from ..counts.beta_binomial import fit_beta_binomial
from ..counts.common import common_rate, count_limits, family_of, included_counts
from ..counts.fit import GLMMFit, fit_glmm
from ..counts.nearby import NearbyFits, fit_nearby, values_without_random_effect
from ..counts.optimise import CountFit, FitStatus
from ..counts.profile import glmm_limits
from ..counts.shared import FirstOnes, WithoutEach
from ..counts.studies import Family, Studies, fixed_terms, log_saturated, prepare
from ..normal.fit import RegressionFit
from ..normal.intervals import Limits, symmetric_limits
from ..options import BETA_BINOMIAL, QUAD_POINTS
from ..rows import put
from ..summaries import i2_and_h2
from .fits import Counts, Refits, ratio
from .levels import fit_levels, level_limits

if TYPE_CHECKING:
    from .core import Model

#: With fewer studies than this a batch of all fits is quicker than polynomials of their sums.
ONE_BY_ONE = 100
#: Studies times replicates of a likelihood model that are fitted one by one: about half an hour.
MOST = 400_000_000
#: Studies, and steps, by which one box of polynomials grows.
_GROWTH, _STEPS = 1.25, 8_000
_MASKS = 2_000_000  # studies x replicates of one batch


class _Sums(NamedTuple):
    """What the model without random effect takes from the counts of each replicate."""

    k: Array
    events: Array
    size: Array
    fixed: Array  # its log-likelihood relative to the saturated one
    saturated: Array
    weights: Array  # inverse variances of the measure, summed
    squares: Array


class _Random(NamedTuple):
    """Fits with random effect of the replicates asked for."""

    mu: Array
    se: Array
    tau2: Array
    loglik: Array
    converged: NDArray[np.bool_]
    status: NDArray[np.int8]
    low: Array
    high: Array
    between: Array | float = 0.0  # part of tau2 that studies of one cluster share


def _random(fit: CountFit, variance: Array, ends: Limits, rows: int) -> _Random:
    """Fits of so many replicates; those that are all alike were fitted once."""
    known = fit.loglik, fit.converged, fit.status
    each: tuple[Any, ...] = (fit.beta[:, 0], fit.se[:, 0], variance, *known, *ends)
    return _Random(*(np.broadcast_to(a, rows) for a in each))


def refit_counts(
    fit: Model, counts: Counts | None, events: Array | None, rows: int, *, limits: bool
) -> Refits:
    """Fit the likelihood model of `fit` to each of R selections of its studies, see `Model.fit`."""
    options, kind = fit.options, fit.scale.kind
    x0, n = included_counts(fit.data)
    x = x0[None] if events is None else events
    c = np.ones((rows, fit.k)) if counts is None else counts.astype(float)
    total, size = np.einsum("rk,rk->r", c, np.broadcast_to(x, c.shape)), c @ n
    mu = common_rate(total, size, kind)[0]
    studies = prepare(family_of(kind), x, np.broadcast_to(n, x.shape))
    fixed = fixed_terms(studies, mu[:, None])[0]
    saturated = log_saturated(studies.family, x, np.broadcast_to(n, x.shape))
    _, vi = fit.scale.effects(x, np.broadcast_to(n, x.shape))
    w = np.broadcast_to(1.0 / vi, c.shape)
    each = (fixed, np.broadcast_to(saturated, c.shape), w, w * w)
    sums = _Sums(c.sum(axis=1), total, size, *(np.einsum("rk,rk->r", c, a) for a in each))

    def random(pick: NDArray[np.intp]) -> _Random:
        if fit.clusters is not None:
            found = fit_levels(fit, c[pick].astype(int), events=np.broadcast_to(x, c.shape)[pick])
            return _Random(
                found.mu, found.se, found.tau2, found.loglik, found.converged, found.status,
                *level_limits(fit, found.mu, found.se, sums.k[pick]), found.variances[:, 0],
            )  # fmt: skip
        mask = None if counts is None else counts[pick]
        these = x0 if events is None else x[pick]
        if options.model == BETA_BINOMIAL:
            beta = fit_beta_binomial(these, n, mask=mask)
            ends = symmetric_limits(beta.beta[:, 0], beta.se[:, 0], options.level)
            return _random(beta, beta.rho, ends, pick.size)
        glmm = fit_glmm(these, n, mask=mask, family=studies.family, quad_points=options.quad_points)
        nan = np.full(len(glmm), np.nan)
        ends = glmm_limits(glmm, options.ci_method, options.level) if limits else (nan, nan)
        return _random(glmm, glmm.tau2, ends, pick.size)

    return _assembled(fit, sums, random, limits)


def refit_nearby(fit: Model, order: NDArray[np.intp] | None = None, *, limits: bool) -> Refits:
    """Fit the likelihood model of `fit` without each of its studies, or to the first ones."""
    options, kind = fit.options, fit.scale.kind
    x, n = included_counts(fit.data)
    if order is not None:
        x, n = x[order], n[order]
    k, family = len(x), family_of(kind)
    studies = prepare(family, x[None], n[None])
    pool = WithoutEach(studies) if order is None else FirstOnes(studies, 1)
    fixed = values_without_random_effect(pool)
    w = 1.0 / fit.scale.effects(x, n)[1]
    members = pool.sums(np.ones(k))
    sums = _Sums(
        members,
        pool.sums(x),
        pool.sums(n),
        np.where(np.isnan(fixed), 0.0, fixed),
        pool.sums(log_saturated(family, x, n)),
        pool.sums(w),
        pool.sums(w * w),
    )

    def engine(last: int) -> GLMMFit:
        return fit_glmm(x[:last], n[:last], family=family, quad_points=options.quad_points)

    def random(pick: NDArray[np.intp]) -> _Random:
        if isinstance(pool, WithoutEach):
            gone = fit_nearby(pool, engine(k))
        else:
            gone = _grown(studies, engine)
        each = (gone.mu, gone.se, gone.tau2, gone.loglik)
        (mu, se, tau2, loglik), done = (values[pick] for values in each), gone.done[pick]
        df = members[pick] - 1.0 if options.ci_method == "t" else None
        ends = symmetric_limits(mu, se, options.level, df)
        found = _Random(mu, se, tau2, loglik, done, np.zeros(pick.size, dtype=np.int8), *ends)
        rest = np.flatnonzero(~done)
        cells = float(members[pick[rest]].sum())
        announce("selected counts", rest.size, cells / max(rest.size, 1))
        if cells > MOST:
            raise UnsupportedError(
                f"{rest.size:,} of the {k:,} fits would have to be made one by one (their "
                "likelihood is too flat for the quick way), which takes hours; take "
                "model='random', or a part of the studies"
            )
        size = max(1, _MASKS // k)
        for at in (rest[i : i + size] for i in range(0, rest.size, size)):
            mask = pool.members(pick[at])
            used = mask.any(axis=0)
            again = fit_glmm(
                x[used], n[used], mask=mask[:, used], family=family, quad_points=options.quad_points
            )
            ends = glmm_limits(again, options.ci_method, options.level)
            made = _random(again, again.tau2, ends, at.size)
            for old, new in zip(found[:8], made[:8], strict=True):  # one level: nothing is shared
                old[at] = new
        return found

    return _assembled(fit, sums, random, limits)


def _grown(studies: Studies, engine: Callable[[int], GLMMFit]) -> NearbyFits:
    """Fits to the first study, the first two, and so on, in blocks of steps that hardly differ."""
    k = studies.n.shape[1]
    mu, se, tau2, loglik = np.full((4, k), np.nan)
    out = NearbyFits(mu, se, tau2, loglik, np.zeros(k, dtype=bool))
    first = ONE_BY_ONE
    while first <= k:
        last = min(k, int(_GROWTH * first), first + _STEPS)
        whole = engine(last)
        if whole.converged[0]:
            part = fit_nearby(FirstOnes(studies.places(slice(last)), first), whole)
            put(out, part, slice(first - 1, last))
        first = last + 1
    return out


def _assembled(
    fit: Model,
    sums: _Sums,
    random: Callable[[NDArray[np.intp]], _Random],
    limits: bool,
) -> Refits:
    """Put the models with and without random effect together."""
    options, kind = fit.options, fit.scale.kind
    rows = len(sums.k)
    df = sums.k - 1.0
    free = df > 0
    # The model without random effect: closed form, and all there is for one study.
    mu, se, finite = common_rate(sums.events, sums.size, kind)
    status = np.where(finite, 0, FitStatus.SEPARATION).astype(np.int8)
    loglik = np.where(finite, sums.saturated + sums.fixed, np.nan)
    lrt = np.where(finite & free, np.maximum(-2.0 * sums.fixed, 0.0), 0.0)
    mu, se = np.where(finite, mu, np.nan), np.where(finite, se, np.nan)
    tau2 = np.where(finite, 0.0, np.nan)
    converged, between = finite.copy(), np.zeros(rows)
    low, high = np.full(rows, np.nan), np.full(rows, np.nan)
    pick = np.arange(0) if options.model == "common" else np.flatnonzero(finite & free)
    if pick.size:
        found = random(pick)
        sound = found.converged
        for values, new in zip(
            (mu, se, tau2, loglik), (found.mu, found.se, found.tau2, found.loglik), strict=True
        ):
            values[pick] = np.where(sound, new, np.nan)
        converged[pick], status[pick] = sound, found.status
        between[pick] = np.where(sound, found.between, np.nan)
        if limits:
            low[pick], high[pick] = found.low, found.high
    closed = finite.copy()
    closed[pick] = False
    rest_of = np.flatnonzero(closed)
    if limits and rest_of.size:
        method = np.where(free[rest_of], options.ci_method, "wald")
        low[rest_of], high[rest_of] = count_limits(
            sums.events[rest_of], sums.size[rest_of], kind, method, options.level
        )
    trace = np.where(free, sums.weights - sums.squares / sums.weights, 1.0)
    vt = np.where(free, df / trace, np.nan)
    safe_df = np.where(free, df, 1.0)
    if options.model == "glmm":
        known = np.where(free, vt, 1.0)
        i2, h2 = i2_and_h2(tau2, known)
    elif options.model == BETA_BINOMIAL:  # defined for variances of the logit
        i2 = h2 = np.full(rows, np.nan)
    else:
        i2, h2 = 100.0 * np.maximum(ratio(lrt - df, lrt), 0.0), lrt / safe_df
        i2 = np.where(lrt > 0, i2, 0.0)
    return Refits(
        k=sums.k.astype(np.int64),
        mu=mu,
        se=se,
        se_model=se,
        tau2=tau2,
        between=between,
        Q=lrt,
        df=df,
        I2=np.where(free, i2, 0.0),
        H2=np.where(free, h2, 1.0),
        vt=vt,
        loglik=loglik,
        ci_lower=low,
        ci_upper=high,
        back_size=np.ones(rows),
        converged=converged,
        status=status,
    )


def regress_counts(
    events: ArrayLike,
    n: ArrayLike,
    X: ArrayLike,
    counts: ArrayLike | None = None,
    *,
    family: Family = "binomial",
    quad_points: int = QUAD_POINTS,
) -> RegressionFit:
    """Fit the GLMM with moderators, many at once, in the same form as `fit_regression`.

    Counts have shape (k,) or (R, k), the design (k, p) or (R, k, p). `cov` is the block of the
    inverse observed information of (beta, tau); `tau2_se` follows from that of tau by the delta
    method.
    """
    times = None if counts is None else np.asarray(counts)
    if times is not None and not (times % 1 != 0).any():
        times = times.astype(int)
    fit = fit_glmm(events, n, X, times, family=family, quad_points=quad_points)
    nan = np.full(len(fit.tau), np.nan)
    return RegressionFit(
        beta=fit.beta,
        cov=fit.vcov,
        tau2=fit.tau2,
        tau2_se=2.0 * fit.tau * fit.tau_se,
        scale=nan,
        k=np.asarray(fit.k, dtype=float),
        loglik=fit.loglik,
        loglik_restricted=nan,
        converged=fit.converged,
        boundary=fit.boundary,
        estimable=np.asarray(np.isfinite(fit.beta).all(axis=1)),
        slack=nan,
        source=fit,
    )

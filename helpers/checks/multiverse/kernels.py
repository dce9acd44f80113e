"""Fit many specifications at once: one call of each kernel for all rows that share it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.counts.batch import take_fits
from ...engine.counts.common import exact_limits, family_of
from ...engine.counts.fit import fit_glmm
from ...engine.counts.profile import LimitStatus, profile_ci_mu
from ...engine.distributions import chi2_isf
from ...engine.effects import get_measure
from ...engine.normal.batch_intervals import (
    henmi_copas_limits,
    mu_limits,
    profile_mu_limits,
    symmetric_limits,
)
from ...engine.normal.intervals import (
    KNAPP_HARTUNG,
    knapp_hartung_se,
    no_spread,
    single_knapp_hartung_se,
    wald_is_wider,
)
from ...engine.normal.inverse_variance import InverseVarianceFit, fit_inverse_variance
from ...engine.options import default_ci_methods, resolve
from ...engine.roots import bracketed_root, expand
from ...errors import MetaAnalysisError, UnsupportedError
from .variants import Mask, Variants

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

__all__ = ["Estimates", "estimate", "incompatible", "unique_rows"]


@dataclass(slots=True)
class Estimates:
    """Fits of N rows on the model scale, filled by the kernels; NaN where there is none.

    `df` is that of the t quantile in the interval, infinite where it is normal; `se` that of
    the interval method, `se_model` that of the model. `reason` says
    why there is no result; `failed` marks those where it should exist (no maximum found, no
    bounded interval) as opposed to undefined ones (nothing to pool). `one_sided` marks rows by
    likelihood without an event, or with nothing else: `mu` is infinite, the limits are exact, and
    there is no standard error, as in `PoolResult.one_sided`; they are not `fitted`.
    """

    mu: Array
    se: Array
    se_model: Array
    tau2: Array
    df: Array
    lower: Array
    upper: Array
    k: NDArray[np.intp]
    events: Array
    size: Array
    mean_inverse_size: Array
    converged: NDArray[np.bool_]
    fitted: NDArray[np.bool_]
    failed: NDArray[np.bool_]
    one_sided: NDArray[np.bool_]
    reason: NDArray[np.object_]

    @classmethod
    def empty(cls, rows: int) -> Estimates:
        """Table without a result."""
        none = [np.full(rows, np.nan) for _ in range(9)]
        mu, se, se_model, tau2, lower, upper, events, size, inverse = none
        return cls(
            mu=mu,
            se=se,
            se_model=se_model,
            tau2=tau2,
            df=np.full(rows, np.inf),
            lower=lower,
            upper=upper,
            k=np.zeros(rows, dtype=np.intp),
            events=events,
            size=size,
            mean_inverse_size=inverse,
            converged=np.zeros(rows, dtype=bool),
            fitted=np.zeros(rows, dtype=bool),
            failed=np.zeros(rows, dtype=bool),
            one_sided=np.zeros(rows, dtype=bool),
            reason=np.full(rows, "", dtype=object),
        )


def incompatible(options: dict[str, Any], level: float) -> str:
    """Why options do not go together, in the words of `helpers.pool`; else empty.

    Examples
    --------
    >>> from helpers.checks.multiverse.grid import OPTIONS
    >>> incompatible({**OPTIONS, "model": "glmm"}, 0.95)
    ''
    """
    given = {name: v for name, v in options.items() if v is not None and name != "group_tau2"}
    try:
        resolve(**given, level=level)
    except UnsupportedError as error:
        return str(error)
    return ""


def unique_rows(keys: Sequence[tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], Rows]:
    """Distinct keys in order of appearance, and for each key its place among them."""
    place: dict[tuple[Any, ...], int] = {}
    index = np.array([place.setdefault(key, len(place)) for key in keys], dtype=np.intp)
    return list(place), index


def estimate(
    variants: Variants,
    which: Rows,
    options: Sequence[dict[str, Any]],
    level: float,
    inside: Mask | None = None,
) -> Estimates:
    """Pool every row.

    Parameters
    ----------
    variants : Variants
    which : ndarray, shape (N,)
        Version of the data of each row.
    options : sequence of dict
        Options of each row, compatible ones.
    level : float
    inside : ndarray of bool, shape (k,), optional
        Studies to which the analysis is restricted.

    Returns
    -------
    Estimates
    """
    out = Estimates.empty(len(which))
    everyone = np.ones(len(variants.labels), dtype=bool) if inside is None else inside
    by_iv = [
        i
        for i, o in enumerate(options)
        if o["model"] == "random" or o["method"] == "inverse-variance"
    ]
    by_likelihood = [i for i, o in enumerate(options) if o["method"] == "likelihood"]
    by_glmm = [i for i, o in enumerate(options) if o["model"] == "glmm"]
    _inverse_variance(out, variants, which, options, by_iv, level, everyone)
    _likelihood(out, variants, which, options, by_likelihood, level, everyone)
    _glmm(out, variants, which, options, by_glmm, level, everyone)
    return out


def _totals(out: Estimates, rows: Rows, x: Array, n: Array, used: Mask) -> None:
    """Count studies, events and patients; rows without a study are given up."""
    out.k[rows] = used.sum(axis=1)
    out.events[rows] = np.where(used, x, 0.0).sum(axis=1)
    out.size[rows] = np.where(used, n, 0.0).sum(axis=1)
    some = np.maximum(out.k[rows], 1)
    inverse = np.where(used, 1.0 / np.where(used, n, 1.0), 0.0).sum(axis=1)
    out.mean_inverse_size[rows] = inverse / some
    out.reason[rows[out.k[rows] == 0]] = "no study is left to pool"


def _inverse_variance(
    out: Estimates,
    variants: Variants,
    which: Rows,
    options: Sequence[dict[str, Any]],
    index: list[int],
    level: float,
    everyone: Mask,
) -> None:
    if not index:
        return
    rows = np.array(index, dtype=np.intp)
    inputs, of = unique_rows(
        [(which[i], *(options[i][o] for o in ("measure", "add", "to"))) for i in index]
    )
    y = np.zeros((len(inputs), len(everyone)))
    v, used = np.ones_like(y), np.zeros(y.shape, dtype=bool)
    kinds, kind_of = unique_rows([key[1:] for key in inputs])
    for j, (measure, add, to) in enumerate(kinds):
        here = np.flatnonzero(kind_of == j)
        versions = np.array([inputs[i][0] for i in here], dtype=np.intp)
        scale = get_measure(measure)
        y[here], v[here], taken = variants.effects(versions, scale, add or 0.0, to)
        used[here] = taken & everyone
        x, n, _ = variants.counts(versions, scale.kind)
        members = np.flatnonzero(np.isin(of, here))
        local = np.searchsorted(here, of[members])
        _totals(out, rows[members], x[local], n[local], used[here][local])
    methods = [options[i]["tau2_method"] or "common" for i in index]
    for method in dict.fromkeys(methods):
        members = np.array([j for j, m in enumerate(methods) if m == method], dtype=np.intp)
        members = members[out.k[rows[members]] > 0]
        if not members.size:
            continue
        cells, cell = np.unique(of[members], return_inverse=True)
        fit = fit_inverse_variance(y[cells], v[cells], used[cells], method=method)
        at = rows[members]
        out.mu[at], out.se_model[at] = fit.mu[cell], fit.se[cell]
        out.se[at], out.tau2[at] = fit.se[cell], fit.tau2.tau2[cell]
        out.converged[at] = fit.tau2.converged[cell]
        out.fitted[at] = True
        lost = at[~out.converged[at]]
        out.failed[lost], out.reason[lost] = True, "the estimate of tau2 did not converge"
        for name in dict.fromkeys(options[i]["ci_method"] for i in at):
            mine = np.array([options[i]["ci_method"] == name for i in at])
            for single in (False, True):
                chosen = np.flatnonzero(mine & ((out.k[at] == 1) == single))
                if not chosen.size:
                    continue
                part, back = np.unique(cell[chosen], return_inverse=True)
                some = take_fits(fit, part)
                target = at[chosen]
                how = "wald" if single else name
                if how in KNAPP_HARTUNG:
                    out.se[target] = knapp_hartung_se(some, how, level)[back]
                    wald = wald_is_wider(some, level) & (how == "knapp-hartung-wider")
                    out.df[target] = np.where(wald, np.inf, some.df)[back]
                    _no_spread(out, target, some, how, back, level)
                elif how == "t":
                    out.df[target] = some.df[back]
                if how == "profile":
                    low, high = profile_mu_limits(some, level)
                elif how == "henmi-copas":
                    low, high = henmi_copas_limits(some.batch, level)
                else:
                    low, high = mu_limits(some, how, level)
                defined = out.fitted[target]
                out.lower[target] = np.where(defined, low[back], np.nan)
                out.upper[target] = np.where(defined, high[back], np.nan)


def _no_spread(
    out: Estimates, rows: Rows, fit: InverseVarianceFit, method: str, cell: Rows, level: float
) -> None:
    """Identical effects make a Knapp-Hartung interval a point: undefined, as in `pool`."""
    for i, c in zip(rows, cell, strict=True):
        if no_spread(out.se[i] / out.se_model[i]):
            try:
                single_knapp_hartung_se(take_fits(fit, np.array([c])), method, level)
            except MetaAnalysisError as error:
                out.reason[i], out.fitted[i], out.converged[i] = str(error), False, False
                out.mu[i] = out.se[i] = out.tau2[i] = np.nan


def _likelihood(
    out: Estimates,
    variants: Variants,
    which: Rows,
    options: Sequence[dict[str, Any]],
    index: list[int],
    level: float,
    everyone: Mask,
) -> None:
    """Maximum likelihood of the summed counts, in closed form."""
    for kind in ("proportion", "rate"):
        mine = [i for i in index if get_measure(options[i]["measure"]).kind == kind]
        rows = np.array(mine, dtype=np.intp)
        if not rows.size:
            continue
        x, n, used = variants.counts(which[rows], kind)
        _totals(out, rows, x, n, used & everyone)
        _exact(out, rows, kind, level, tau2=0.0)
        rows = rows[(out.reason[rows] == "") & ~out.one_sided[rows]]
        if not rows.size:
            continue
        _summed_counts(out, rows, kind)
        out.lower[rows], out.upper[rows] = symmetric_limits(out.mu[rows], out.se[rows], level)
        profile = [i for i in rows if options[i]["ci_method"] == "profile" and out.k[i] > 1]
        if profile:
            _pooled_profile(out, np.array(profile, dtype=np.intp), kind, level)


def _summed_counts(out: Estimates, rows: Rows, kind: str) -> None:
    x, n = out.events[rows], out.size[rows]
    if kind == "rate":
        out.mu[rows], out.se[rows] = np.log(x / n), x**-0.5
    else:
        out.mu[rows], out.se[rows] = np.log(x / (n - x)), (1.0 / x + 1.0 / (n - x)) ** 0.5
    out.se_model[rows], out.tau2[rows] = out.se[rows], 0.0
    out.converged[rows] = out.fitted[rows] = True


def _exact(out: Estimates, rows: Rows, kind: str, level: float, *, tau2: float) -> None:
    """Rows whose likelihood rises to the end of the scale: none or all, with exact limits."""
    extreme = (out.k[rows] > 0) & (out.events[rows] == 0)
    if kind == "proportion":
        extreme |= (out.k[rows] > 0) & (out.events[rows] == out.size[rows])
    at = rows[extreme]
    if not at.size:
        return
    out.mu[at] = np.where(out.events[at] == 0, -np.inf, np.inf)
    out.lower[at], out.upper[at] = exact_limits(out.events[at], out.size[at], kind, level)
    out.tau2[at] = tau2
    out.converged[at] = out.one_sided[at] = True


def _pooled_profile(out: Estimates, rows: Rows, kind: str, level: float) -> None:
    x, n = np.tile(out.events[rows], 2), np.tile(out.size[rows], 2)
    mu, se = np.tile(out.mu[rows], 2), np.tile(out.se[rows], 2)
    side = np.repeat([-1.0, 1.0], rows.size)
    drop = 0.5 * float(chi2_isf(1.0 - level, 1.0))

    def height(at: Array) -> Array:
        return x * at - n * (np.exp(at) if kind == "rate" else np.logaddexp(0.0, at))

    best = height(mu)

    def above(steps: Array) -> Array:
        return height(mu + side * steps * se) - best + drop

    inside, outside = expand(above, np.zeros(mu.size), np.ones(mu.size), factor=1.5)
    steps = bracketed_root(above, inside, outside, rtol=1e-13, atol=1e-14)
    limits = mu + side * steps * se
    out.lower[rows], out.upper[rows] = limits[: rows.size], limits[rows.size :]


def _glmm(
    out: Estimates,
    variants: Variants,
    which: Rows,
    options: Sequence[dict[str, Any]],
    index: list[int],
    level: float,
    everyone: Mask,
) -> None:
    groups: dict[tuple[str, int], list[int]] = {}
    for i in index:
        key = (get_measure(options[i]["measure"]).kind, options[i]["quad_points"])
        groups.setdefault(key, []).append(i)
    for (kind, points), members in groups.items():
        rows = np.array(members, dtype=np.intp)
        versions, of = np.unique(which[rows], return_inverse=True)
        x, n, used = variants.counts(versions, kind)
        used = used & everyone
        _totals(out, rows, x[of], n[of], used[of])
        _exact(out, rows, kind, level, tau2=np.nan)
        open_ = (out.reason[rows] == "") & ~out.one_sided[rows]
        single = rows[open_ & (out.k[rows] == 1)]
        if single.size:  # one study: the GLMM is the GLM
            _summed_counts(out, single, kind)
            low, high = symmetric_limits(out.mu[single], out.se[single], level)
            out.lower[single], out.upper[single] = low, high
        several = np.flatnonzero(open_ & (out.k[rows] > 1))
        if not several.size:
            continue
        cells, cell = np.unique(of[several], return_inverse=True)
        fit = fit_glmm(
            x[cells], n[cells], mask=used[cells], family=family_of(kind), quad_points=points
        )
        at = rows[several]
        good = fit.converged[cell]
        for i, c in zip(at[~good], cell[~good], strict=True):
            out.failed[i], out.reason[i] = True, fit.message(int(c))
        at, cell = at[good], cell[good]
        out.mu[at], out.tau2[at] = fit.beta[cell, 0], fit.tau2[cell]
        out.se[at] = out.se_model[at] = np.sqrt(fit.vcov[cell, 0, 0])
        out.converged[at] = out.fitted[at] = True
        name = np.array([options[i]["ci_method"] for i in at], dtype=object)
        name = np.where(name == None, default_ci_methods("glmm", out.k[at] - 1), name)  # noqa: E711
        df = out.df[at] = np.where(name == "t", out.k[at] - 1.0, np.inf)
        z = symmetric_limits(out.mu[at], out.se[at], level)
        t = symmetric_limits(out.mu[at], out.se[at], level, np.where(np.isinf(df), 1.0, df))
        out.lower[at], out.upper[at] = (
            np.where(np.isinf(df), a, b) for a, b in zip(z, t, strict=True)
        )
        profile = name == "profile"
        if profile.any():
            part, back = np.unique(cell[profile], return_inverse=True)
            found = profile_ci_mu(take_fits(fit, part), level)
            bounded = (found.lower_status == LimitStatus.FOUND) & (
                found.upper_status == LimitStatus.FOUND
            )
            target = at[profile]
            out.lower[target] = np.where(bounded, found.lower, np.nan)[back]
            out.upper[target] = np.where(bounded, found.upper, np.nan)[back]
            loose = target[~bounded[back]]
            out.failed[loose] = True
            out.reason[loose] = f"the profile likelihood of mu does not bound it at level {level:g}"

"""Fit many specifications at once: one call of the engine for all rows that share a fit."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...arguments import Array
from ...engine.counts.common import common_rate, count_limits, exact_limits, family_of
from ...engine.counts.fit import fit_glmm
from ...engine.counts.profile import glmm_limits
from ...engine.effects import get_measure
from ...engine.normal.intervals import KNAPP_HARTUNG, NO_SPREAD, interval_se, mu_limits, no_spread
from ...engine.normal.inverse_variance import InverseVarianceFit, fit_inverse_variance
from ...engine.options import default_ci_methods, resolve
from ...engine.rows import take_fits
from ...errors import UnsupportedError
from .grid import Mask, Variants

Rows = NDArray[np.intp]
Options = Sequence[dict[str, Any]]
Table = TypeVar("Table")

NO_TAU2 = "the estimate of tau2 did not converge"


@dataclass(frozen=True, slots=True)
class Estimates:
    """Fits of N rows on the model scale; NaN where there is none.

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
    def of(cls, x: Array, n: Array, used: Mask) -> Estimates:
        """Totals of the studies that take part, shape (N, k), with nothing fitted yet."""
        k = used.sum(axis=1)
        inverse = np.where(used, 1.0 / np.where(used, n, 1.0), 0.0).sum(axis=1)
        mu, se, se_model, tau2, lower, upper = (np.full(len(k), np.nan) for _ in range(6))
        converged, fitted, failed, one_sided = (np.zeros(len(k), dtype=bool) for _ in range(4))
        return cls(
            mu=mu,
            se=se,
            se_model=se_model,
            tau2=tau2,
            df=np.full(len(k), np.inf),
            lower=lower,
            upper=upper,
            k=k,
            events=np.where(used, x, 0.0).sum(axis=1),
            size=np.where(used, n, 0.0).sum(axis=1),
            mean_inverse_size=inverse / np.maximum(k, 1),
            converged=converged,
            fitted=fitted,
            failed=failed,
            one_sided=one_sided,
            reason=np.where(k == 0, "no study is left to pool", "").astype(object),
        )

    def extreme(self, kind: str) -> NDArray[np.bool_]:
        """Rows with studies, but without an event or (proportions) with nothing else."""
        full = (self.events == self.size) & (kind == "proportion")
        return (self.k > 0) & ((self.events == 0) | full)

    def give_up(self, rows: Rows, reason: Any) -> None:
        """Say why a result that should exist does not."""
        self.failed[rows], self.reason[rows] = True, reason


def take(table: Table, rows: Rows) -> Table:
    """Rows of a table of arrays, in a copy."""
    return type(table)(**{f.name: getattr(table, f.name)[rows] for f in fields(table)})  # type: ignore[arg-type]


def gathered(parts: Iterable[tuple[Rows, Table]]) -> Table:
    """Put tables together whose rows are numbered by the arrays before them."""
    order, tables = zip(*parts, strict=True)
    columns = {
        f.name: np.concatenate([getattr(table, f.name) for table in tables])
        for f in fields(tables[0])
    }
    return take(type(tables[0])(**columns), np.argsort(np.concatenate(order)))


def unique_rows(keys: Sequence[Hashable]) -> tuple[list[Any], Rows]:
    """Distinct keys in order of appearance, and for each key its place among them."""
    place: dict[Hashable, int] = {}
    index = np.array([place.setdefault(key, len(place)) for key in keys], dtype=np.intp)
    return list(place), index


def grouped(keys: Sequence[Hashable]) -> Iterator[tuple[Any, Rows]]:
    """Each distinct key with the places that have it, in order of appearance."""
    kinds, of = unique_rows(keys)
    for j, kind in enumerate(kinds):
        yield kind, np.flatnonzero(of == j)


def incompatible(options: dict[str, Any], level: float) -> str:
    """Why options cannot be combined, in the words of `helpers.pool`; else empty."""
    given = {name: v for name, v in options.items() if v is not None and name != "group_tau2"}
    try:
        resolve(**given, level=level)
    except UnsupportedError as error:
        return str(error)
    return ""


def estimate(
    variants: Variants, which: Rows, options: Options, level: float, inside: Mask | None = None
) -> Estimates:
    """Pool every row: its version of the data and its (compatible) options, N of each.

    `inside`, shape (k,), restricts the analysis to some studies.
    """
    everyone = np.ones(len(variants.labels), dtype=bool) if inside is None else inside
    nobody = np.zeros((0, 1))
    parts = [(np.arange(0), Estimates.of(nobody, nobody, nobody > 0))]
    by_counts = [o["model"] == "glmm" or o["method"] == "likelihood" for o in options]
    for counts, rows in grouped(by_counts):
        run = _likelihood if counts else _inverse_variance
        parts += run(variants, which, options, rows, level, everyone)
    return gathered(parts)


def _inverse_variance(
    variants: Variants, which: Rows, options: Options, rows: Rows, level: float, everyone: Mask
) -> Iterator[tuple[Rows, Estimates]]:
    cells, of = unique_rows(
        [(which[i], *(options[i][o] for o in ("measure", "add", "to"))) for i in rows]
    )
    x, n, y, v = np.ones((4, len(cells), len(everyone)))
    used = np.zeros(x.shape, dtype=bool)
    for (measure, add, to), here in grouped([cell[1:] for cell in cells]):
        versions, scale = np.array([cells[c][0] for c in here]), get_measure(measure)
        x[here], n[here], _ = variants.counts(versions, scale.kind)
        y[here], v[here], used[here] = variants.effects(versions, scale, add or 0.0, to)
    used &= everyone
    totals = Estimates.of(x, n, used)
    for method, mine in grouped([options[i]["tau2_method"] or "common" for i in rows]):
        some = np.unique(of[mine])
        some = some[totals.k[some] > 0]
        fit = fit_inverse_variance(y[some], v[some], used[some], method=method)
        for name, chosen in grouped([options[i]["ci_method"] for i in rows[mine]]):
            part = _normal(totals, some, fit, name, level)
            yield rows[mine[chosen]], take(part, of[mine[chosen]])


def _normal(
    totals: Estimates, at: Rows, fit: InverseVarianceFit, method: str, level: float
) -> Estimates:
    """Fits by inverse variance of the rows `at` with the interval of one method."""
    out = take(totals, np.arange(len(totals.k)))
    if not at.size:
        return out
    se, out.df[at] = interval_se(fit, method, level)
    point = np.isin(method, KNAPP_HARTUNG) & no_spread(se / fit.se)
    low, high = mu_limits(fit, method, level)
    columns = ((out.mu, fit.mu), (out.se, se), (out.tau2, fit.tau2.tau2))
    for column, values in (*columns, (out.lower, low), (out.upper, high)):
        column[at] = np.where(point, np.nan, values)
    out.se_model[at] = fit.se
    out.converged[at], out.fitted[at] = fit.tau2.converged & ~point, ~point
    out.give_up(at[~fit.tau2.converged], NO_TAU2)
    out.reason[at[point]] = NO_SPREAD
    return out


def _likelihood(
    variants: Variants, which: Rows, options: Options, rows: Rows, level: float, everyone: Mask
) -> Iterator[tuple[Rows, Estimates]]:
    """Maximum likelihood: of the summed counts in closed form, and of the GLMM."""
    kinds = [(get_measure(options[i]["measure"]).kind, options[i]["quad_points"]) for i in rows]
    for (kind, points), place in grouped(kinds):
        mine = rows[place]
        versions, of = np.unique(which[mine], return_inverse=True)
        x, n, used = variants.counts(versions, kind)
        used &= everyone
        out = Estimates.of(x, n, used)
        extreme = out.extreme(kind)
        at = np.flatnonzero(extreme)
        if at.size:  # the likelihood rises to the end of the scale
            out.mu[at] = np.where(out.events[at] == 0, -np.inf, np.inf)
            out.lower[at], out.upper[at] = exact_limits(out.events[at], out.size[at], kind, level)
            out.tau2[at] = 0.0 if points is None else np.nan
            out.converged[at] = out.one_sided[at] = True
        finite = (out.k > 0) & ~extreme
        # Of one study the GLMM is the GLM.
        single = np.flatnonzero(finite & ((out.k == 1) | (points is None)))
        out.mu[single], out.se[single], _ = common_rate(out.events[single], out.size[single], kind)
        out.tau2[single] = 0.0
        several = np.flatnonzero(finite & (out.k > 1) & (points is not None))
        if several.size:
            fit = fit_glmm(
                x[several],
                n[several],
                mask=used[several],
                family=family_of(kind),
                quad_points=points,
            )
            lost = np.flatnonzero(~fit.converged)
            out.give_up(several[lost], [fit.message(int(c)) for c in lost])
            fit, several = take_fits(fit, np.flatnonzero(fit.converged)), several[fit.converged]
            out.mu[several], out.tau2[several] = fit.beta[:, 0], fit.tau2
            out.se[several] = fit.se[:, 0]
        done = np.concatenate([single, several])
        out.se_model[done] = out.se[done]
        out.converged[done] = out.fitted[done] = True
        for name, chosen in grouped([options[i]["ci_method"] for i in mine]):
            part = take(out, np.arange(len(versions)))
            methods: Any = np.where(part.k > 1, name, "wald")
            if name is None:
                methods = default_ci_methods("glmm", part.k - 1)
            part.lower[single], part.upper[single] = count_limits(
                part.events[single], part.size[single], kind, methods[single], level
            )
            for method, here in grouped(methods[several].tolist()):
                target, found = several[here], take_fits(fit, here)
                low, high = glmm_limits(found, method, level)
                bounded = np.isfinite(low) & np.isfinite(high)
                part.lower[target] = np.where(bounded, low, np.nan)
                part.upper[target] = np.where(bounded, high, np.nan)
                part.df[target] = part.k[target] - 1.0 if method == "t" else np.inf
                part.give_up(
                    target[~bounded],
                    f"the profile likelihood of mu does not bound it at level {level:g}",
                )
            yield mine[chosen], take(part, of[chosen])

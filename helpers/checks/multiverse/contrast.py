"""The difference between two groups of studies under each specification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...door import pd
from ...engine.counts.common import family_of
from ...engine.distributions import norm_sf, t_ppf, t_sf
from ...engine.effects import get_measure
from ...engine.model.counts import regress_counts
from ...engine.normal.fit import fit_regression
from ...engine.normal.intervals import KNAPP_HARTUNG, no_spread, symmetric_limits
from ...engine.options import default_ci_methods
from ...engine.studies import refuse_other_rows
from ...errors import MetaAnalysisError
from .grid import Mask, Variants
from .kernels import (
    NO_TAU2,
    Array,
    Estimates,
    Options,
    Rows,
    estimate,
    gathered,
    grouped,
    take,
)


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two groups of studies: `levels[0]` minus `levels[1]` of the column `by`."""

    by: str
    levels: tuple[str, str]
    first: Mask
    second: Mask


@dataclass(frozen=True, slots=True)
class Differences:
    """Differences of N rows on the model scale; NaN where there is none.

    `df` is infinite where the normal distribution is the reference.
    """

    value: Array
    se: Array
    df: Array
    fitted: NDArray[np.bool_]
    failed: NDArray[np.bool_]
    reason: NDArray[np.object_]

    @classmethod
    def empty(cls, rows: int) -> Differences:
        """Table without a result."""
        value, se, df = (np.full(rows, np.nan) for _ in range(3))
        fitted, failed = (np.zeros(rows, dtype=bool) for _ in range(2))
        return cls(value, se, df, fitted, failed, np.full(rows, "", dtype=object))

    def explain(self, rows: NDArray[np.bool_], reason: Any) -> None:
        """Say why there is no result, where nothing has been said yet."""
        fresh = rows & (self.reason == "")
        self.reason[fresh] = reason[fresh] if isinstance(reason, np.ndarray) else reason

    def test(self, level: float) -> tuple[Array, Array, Array]:
        """Limits of the difference and its two-sided p-value."""
        normal = np.isinf(self.df)
        known = np.where(self.fitted & ~normal, self.df, 1.0)
        z = np.where(self.fitted, np.abs(self.value) / np.where(self.fitted, self.se, 1.0), 0.0)
        p = np.where(normal, 2.0 * norm_sf(z), 2.0 * t_sf(z, known))
        z_low, z_high = symmetric_limits(self.value, self.se, level)
        t_low, t_high = symmetric_limits(self.value, self.se, level, known)
        p = np.where(self.fitted, p, np.nan)
        return np.where(normal, z_low, t_low), np.where(normal, z_high, t_high), p


Compared = tuple[Differences, Estimates, Estimates]


def read_contrast(data: Any, given: Mapping[str, Any], k: int) -> Contrast:
    """Find the two groups."""
    if set(given) != {"by", "levels"} or len(tuple(given["levels"])) != 2:
        raise MetaAnalysisError("contrast: expected {'by': column, 'levels': (first, second)}")
    by, levels = given["by"], tuple(str(level) for level in given["levels"])
    if isinstance(by, str):
        if data is None or by not in data.columns:
            raise MetaAnalysisError(f"contrast: no column {by!r}")
        column, name = data[by], by
    else:
        refuse_other_rows({"data": data, "by": by}, {"data": "data", "by": "contrast"})
        column, name = pd.Series(by), "group"
    if len(column) != k:
        raise MetaAnalysisError(f"contrast: {name} has {len(column)} values for {k} studies")
    group = np.array([None if pd.isna(value) else str(value) for value in column], dtype=object)
    masks = [group == level for level in levels]
    for level, mask in zip(levels, masks, strict=True):
        if not mask.any():
            raise MetaAnalysisError(f"contrast: no study with {name} = {level!r}")
    if levels[0] == levels[1]:
        raise MetaAnalysisError(f"contrast: both levels are {levels[0]!r}")
    return Contrast(name, (levels[0], levels[1]), masks[0], masks[1])


def no_test(options: Mapping[str, Any]) -> str:
    """Why an interval method gives no test of a difference; empty if it does."""
    if options["ci_method"] in ("profile", "henmi-copas"):
        return f"ci_method={options['ci_method']!r} is not defined for a difference of two groups"
    return ""


def compare(
    variants: Variants, which: Rows, options: Options, level: float, contrast: Contrast
) -> Compared:
    """Differences of all rows, with the estimates of the two groups."""
    parts: list[tuple[Rows, Compared]] = []
    for common, rows in grouped([o["group_tau2"] == "common" for o in options]):
        run = _shared if common else _separate
        parts += run(variants, which, options, rows, level, contrast)
    if not parts:
        nobody = np.zeros((0, 1))
        none = Estimates.of(nobody, nobody, nobody > 0)
        return Differences.empty(0), none, none
    d, a, b = (gathered((rows, found[j]) for rows, found in parts) for j in range(3))
    return d, a, b  # type: ignore[return-value]


def _separate(
    variants: Variants, which: Rows, options: Options, rows: Rows, level: float, contrast: Contrast
) -> Iterator[tuple[Rows, Compared]]:
    """Pool each group by itself, with its own tau2, and compare.

    Wald intervals give a z-test; t and Knapp-Hartung intervals give Welch's t-test with the
    degrees of freedom of Satterthwaite (Welch 1947, doi:10.1093/biomet/34.1-2.28).
    """
    mine = [options[i] for i in rows]
    a, b = (
        estimate(variants, which[rows], mine, level, inside)
        for inside in (contrast.first, contrast.second)
    )
    out = Differences.empty(len(rows))
    out.fitted[:] = a.fitted & b.fitted
    spread = np.zeros(len(rows))
    for name, part in zip(contrast.levels, (a, b), strict=True):
        bad = (out.reason == "") & (part.reason != "")
        out.failed[bad] |= part.failed[bad]
        out.reason[bad] = [f"{name}: {why}" for why in part.reason[bad]]
        out.explain(part.one_sided, _not_finite(name, part))
        by_t = out.fitted & np.isfinite(part.df)
        spread[by_t] += part.se[by_t] ** 4 / part.df[by_t]
    total = np.where(out.fitted, a.se**2 + b.se**2, np.nan)
    by_t = spread > 0
    out.df[:] = np.where(by_t, total**2 / np.where(by_t, spread, 1.0), np.inf)
    out.df[~out.fitted] = np.nan
    out.value[out.fitted] = a.mu[out.fitted] - b.mu[out.fitted]
    out.se[:] = np.sqrt(total)
    yield rows, (out, a, b)


def _not_finite(name: str, part: Estimates) -> NDArray[np.object_]:
    """Say why there is no difference from a group without an event, or with nothing else."""
    no, full = (
        f"{name}: {what}, so that the difference is not finite"
        for what in ("no study has an event", "every patient has an event")
    )
    return np.where(part.events == 0, no, full).astype(object)


def _shared(
    variants: Variants, which: Rows, options: Options, rows: Rows, level: float, contrast: Contrast
) -> Iterator[tuple[Rows, Compared]]:
    """Both groups in one model with one tau2 (a regression on the group)."""
    both = contrast.first | contrast.second
    design = np.column_stack([np.ones(len(both)), contrast.first])
    names = ("measure", "model", "tau2_method", "quad_points", "add", "to")
    for key, place in grouped([tuple(options[i][name] for name in names) for i in rows]):
        measure, model, tau2_method, points, add, to = key
        mine = rows[place]
        # Interval methods share a fit: one for each version of the data.
        versions, of = np.unique(which[mine], return_inverse=True)
        scale = get_measure(measure)
        x, n, used = variants.counts(versions, scale.kind)
        if model == "random":
            y, v, used = variants.effects(versions, scale, add or 0.0, to)
        base = Differences.empty(len(versions))
        a, b = (Estimates.of(x, n, used & inside) for inside in (contrast.first, contrast.second))
        for name, part in zip(contrast.levels, (a, b), strict=True):
            base.explain(part.k == 0, f"{name}: no study is left to pool")
            if model == "glmm":
                base.explain(part.extreme(scale.kind), _not_finite(name, part))
        base.explain(a.k + b.k < 3, "a common tau2 of two groups needs at least 3 studies")
        at = np.flatnonzero(base.reason == "")
        if not at.size:
            yield mine, tuple(take(table, of) for table in (base, a, b))  # type: ignore[misc]
            continue
        mask = used[at] & both
        if model == "random":
            fit = fit_regression(y[at], v[at], design, mask, tau2_method=tau2_method)
        else:
            family = family_of(scale.kind)
            fit = regress_counts(x[at], n[at], design, mask, family=family, quad_points=points)
        good = fit.converged
        base.failed[at[~good]] = True
        base.reason[at[~good]] = [
            NO_TAU2 if fit.source is None else fit.source.message(int(c))
            for c in np.flatnonzero(~good)
        ]
        at, beta, cov, tau2 = at[good], fit.beta[good], fit.cov[good], fit.tau2[good]
        factor = np.where(np.isnan(fit.scale[good]), 1.0, fit.scale[good])
        first = cov[:, 0, 0] + 2.0 * cov[:, 0, 1] + cov[:, 1, 1]
        for part, mu, var in ((a, beta.sum(axis=1), first), (b, beta[:, 0], cov[:, 0, 0])):
            part.mu[at], part.tau2[at] = mu, tau2
            part.se[at] = part.se_model[at] = np.sqrt(var)
            part.converged[at] = part.fitted[at] = True
        base.value[at], base.fitted[at], base.se[at] = beta[:, 1], True, np.sqrt(cov[:, 1, 1])
        for name, chosen in grouped([options[i]["ci_method"] for i in mine]):
            d = take(base, np.arange(len(versions)))
            _slope_test(d, at, factor, (a.k + b.k)[at].astype(float) - 2.0, name, model, level)
            yield mine[chosen], tuple(take(table, of[chosen]) for table in (d, a, b))  # type: ignore[misc]


def _slope_test(
    out: Differences,
    at: Rows,
    factor: Array,
    free: Array,
    name: str | None,
    model: str,
    level: float,
) -> None:
    """Give standard errors and degrees of freedom of differences with one tau2, by one method."""
    names = np.full(at.size, name, dtype=object)
    if name is None:
        names = default_ci_methods(model, free)
    model_se = out.se[at]
    scaled = model_se * np.sqrt(
        np.where(names == "knapp-hartung-max1", np.maximum(factor, 1.0), factor)
    )
    half = 0.5 + 0.5 * level
    z_half = symmetric_limits(np.zeros(at.size), model_se, level)[1]
    wider = (names == "knapp-hartung-wider") & (z_half > t_ppf(half, free) * scaled)
    by_kh = np.isin(names, KNAPP_HARTUNG) & ~wider
    out.se[at] = np.where(by_kh, scaled, model_se)
    out.df[at] = np.where(by_kh | (names == "t"), free, np.inf)
    point = at[by_kh & no_spread(scaled / model_se)]
    out.fitted[point] = False
    out.value[point] = out.se[point] = out.df[point] = np.nan
    out.reason[point] = (
        "the means of the two groups are all that differs, so that the Knapp-Hartung "
        "standard error is zero; use 'knapp-hartung-max1' or 'wald'"
    )

"""The difference between two groups of studies under each specification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.counts.common import family_of
from ...engine.counts.fit import fit_glmm
from ...engine.distributions import norm_sf, t_ppf, t_sf
from ...engine.effects import get_measure
from ...engine.normal.batch_intervals import symmetric_limits
from ...engine.normal.intervals import KNAPP_HARTUNG, no_spread
from ...engine.normal.inverse_variance import fit_inverse_variance
from ...engine.options import default_ci_methods
from ...engine.studies import refuse_other_rows
from ...errors import MetaAnalysisError
from .kernels import Array, Estimates, Rows, estimate, unique_rows
from .variants import Mask, Variants

__all__ = ["Contrast", "Differences", "no_test", "read_contrast", "separate", "shared"]


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two groups of studies: `levels[0]` minus `levels[1]` of the column `by`."""

    by: str
    levels: tuple[str, str]
    first: Mask
    second: Mask


@dataclass(slots=True)
class Differences:
    """Differences of N rows on the model scale with both groups; NaN where there is none.

    `df` is infinite where the normal distribution is the reference.
    """

    value: Array
    se: Array
    df: Array
    lower: Array
    upper: Array
    p: Array
    groups: tuple[Estimates, Estimates]
    fitted: NDArray[np.bool_]
    failed: NDArray[np.bool_]
    reason: NDArray[np.object_]


def read_contrast(data: Any, given: Mapping[str, Any], k: int) -> Contrast:
    """Find the two groups.

    Raises
    ------
    MetaAnalysisError
        No such column, or a level without a study.
    """
    import pandas as pd

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


def separate(
    variants: Variants,
    which: Rows,
    options: Sequence[dict[str, Any]],
    level: float,
    contrast: Contrast,
) -> Differences:
    """Pool each group by itself, with its own tau2, and compare.

    Wald intervals give a z-test; t and Knapp-Hartung intervals give Welch's t-test with the
    degrees of freedom of Satterthwaite (Welch 1947, doi:10.1093/biomet/34.1-2.28).
    """
    a, b = (
        estimate(variants, which, options, level, inside)
        for inside in (contrast.first, contrast.second)
    )
    fitted = a.fitted & b.fitted
    reason = np.full(len(which), "", dtype=object)
    failed = np.zeros(len(which), dtype=bool)
    for name, part in zip(contrast.levels, (a, b), strict=True):
        bad = (reason == "") & (part.reason != "")
        failed |= bad & part.failed
        reason[bad] = [f"{name}: {why}" for why in part.reason[bad]]
        _not_finite(reason, name, part, np.flatnonzero(part.one_sided))
    spread = np.zeros(len(which))
    for part in (a, b):
        by_t = fitted & np.isfinite(part.df)
        spread[by_t] += part.se[by_t] ** 4 / part.df[by_t]
    total = np.where(fitted, a.se**2 + b.se**2, np.nan)
    finite = spread > 0
    df = np.where(finite, total**2 / np.where(finite, spread, 1.0), np.inf)
    value = np.where(fitted, a.mu, np.nan) - np.where(fitted, b.mu, np.nan)
    return _finish(value, np.sqrt(total), df, level, (a, b), fitted, failed, reason)


def _not_finite(reason: NDArray[np.object_], name: str, part: Estimates, rows: Rows) -> None:
    """Say why there is no difference from a group without an event, or with nothing else."""
    for i in rows:
        if reason[i] == "":
            what = "no study has an event" if part.events[i] == 0 else "every patient has an event"
            reason[i] = f"{name}: {what}, so that the difference is not finite"


def _finish(
    value: Array,
    se: Array,
    df: Array,
    level: float,
    groups: tuple[Estimates, Estimates],
    fitted: NDArray[np.bool_],
    failed: NDArray[np.bool_],
    reason: NDArray[np.object_],
) -> Differences:
    value, se = np.where(fitted, value, np.nan), np.where(fitted, se, np.nan)
    z = np.where(fitted, np.abs(value) / np.where(fitted, se, 1.0), 0.0)
    normal = np.isinf(df)
    known = np.where(normal, 1.0, df)
    p = np.where(normal, 2.0 * norm_sf(z), 2.0 * t_sf(z, known))
    low, high = symmetric_limits(value, se, level)
    half = t_ppf(0.5 + 0.5 * level, known) * se
    return Differences(
        value,
        se,
        np.where(fitted, df, np.nan),
        np.where(normal, low, value - half),
        np.where(normal, high, value + half),
        np.where(fitted, p, np.nan),
        groups,
        fitted,
        failed,
        reason,
    )


def shared(
    variants: Variants,
    which: Rows,
    options: Sequence[dict[str, Any]],
    level: float,
    contrast: Contrast,
) -> Differences:
    """Both groups in one model with one tau2 (a regression on the group)."""
    rows = len(which)
    both = contrast.first | contrast.second
    a, b = Estimates.empty(rows), Estimates.empty(rows)
    value, se, df = (np.full(rows, np.nan) for _ in range(3))
    fitted, failed = np.zeros(rows, dtype=bool), np.zeros(rows, dtype=bool)
    reason = np.full(rows, "", dtype=object)
    design = np.column_stack([np.ones(len(both)), contrast.first])
    keys = [
        tuple(o[name] for name in ("measure", "model", "tau2_method", "quad_points", "add", "to"))
        for o in options
    ]
    kinds, of = unique_rows(keys)
    for j, (measure, model, tau2_method, points, add, to) in enumerate(kinds):
        mine = np.flatnonzero(of == j)
        scale = get_measure(measure)
        # Interval methods share a fit: one for each version of the data.
        versions, cell = np.unique(which[mine], return_inverse=True)
        x, n, used = variants.counts(versions, scale.kind)
        if model == "random":
            y, v, used = variants.effects(versions, scale, add or 0.0, to)
        for part, inside in ((a, contrast.first), (b, contrast.second)):
            taken = used & inside
            inverse = np.where(taken, 1.0 / np.where(taken, n, 1.0), 0.0).sum(axis=1)
            part.k[mine] = taken.sum(axis=1)[cell]
            part.events[mine] = np.where(taken, x, 0.0).sum(axis=1)[cell]
            part.size[mine] = np.where(taken, n, 0.0).sum(axis=1)[cell]
            part.mean_inverse_size[mine] = inverse[cell] / np.maximum(part.k[mine], 1)
        for name, part in zip(contrast.levels, (a, b), strict=True):
            none = mine[(part.k[mine] == 0) & (reason[mine] == "")]
            reason[none] = f"{name}: no study is left to pool"
            if model == "glmm":
                extreme = part.events[mine] == 0
                if scale.kind == "proportion":
                    extreme |= part.events[mine] == part.size[mine]
                _not_finite(reason, name, part, mine[extreme])
        few = mine[(a.k[mine] + b.k[mine] < 3) & (reason[mine] == "")]
        reason[few] = "a common tau2 of two groups needs at least 3 studies"
        open_ = reason[mine] == ""
        at = mine[open_]
        if not at.size:
            continue
        ok, cell = np.unique(cell[open_], return_inverse=True)
        mask = (used & both)[ok]
        if model == "random":
            fit = fit_inverse_variance(y[ok], v[ok], mask, design, method=tau2_method)
            beta, cov, tau2 = fit.beta[cell], fit.cov[cell], fit.tau2.tau2[cell]
            scales, good = fit.scale[cell], fit.tau2.converged[cell]
            failed[at[~good]] = True
            reason[at[~good]] = "the estimate of tau2 did not converge"
        else:
            counts = fit_glmm(
                x[ok], n[ok], design, mask, family=family_of(scale.kind), quad_points=points
            )
            beta, cov, tau2 = counts.beta[cell], counts.vcov[cell], counts.tau2[cell]
            scales, good = np.ones(len(at)), counts.converged[cell]
            failed[at[~good]] = True
            for i in np.flatnonzero(~good):
                reason[at[i]] = counts.message(int(cell[i]))
        at, beta, cov = at[good], beta[good], cov[good]
        first = cov[:, 0, 0] + 2.0 * cov[:, 0, 1] + cov[:, 1, 1]
        for part, mu, var in (
            (a, beta[:, 0] + beta[:, 1], first),
            (b, beta[:, 0], cov[:, 0, 0]),
        ):
            part.mu[at], part.tau2[at] = mu, tau2[good]
            part.se[at] = part.se_model[at] = np.sqrt(var)
            part.converged[at] = part.fitted[at] = True
        value[at], fitted[at] = beta[:, 1], True
        model_se = np.sqrt(cov[:, 1, 1])
        names = np.array([options[i]["ci_method"] for i in at], dtype=object)
        free = a.k[at] + b.k[at] - 2.0
        names = np.where(names == None, default_ci_methods(model, free), names)  # noqa: E711
        factor = np.where(names == "knapp-hartung-max1", np.maximum(scales[good], 1), scales[good])
        scaled = model_se * np.sqrt(factor)
        half = 0.5 + 0.5 * level
        z_half = symmetric_limits(np.zeros(at.size), model_se, level)[1]
        wider = (names == "knapp-hartung-wider") & (z_half > t_ppf(half, free) * scaled)
        by_kh = np.isin(names, KNAPP_HARTUNG) & ~wider
        se[at] = np.where(by_kh, scaled, model_se)
        for i in at[by_kh & no_spread(scaled / model_se)]:
            fitted[i], value[i] = False, np.nan
            reason[i] = (
                "the means of the two groups are all that differs, so that the Knapp-Hartung "
                "standard error is zero; use 'knapp-hartung-max1' or 'wald'"
            )
        df[at] = np.where(by_kh | (names == "t"), free, np.inf)
    return _finish(value, se, df, level, (a, b), fitted, failed, reason)

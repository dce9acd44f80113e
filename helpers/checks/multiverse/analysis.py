"""Multiverse analysis: every combination of defensible choices, in one batch.

Instead of one analysis and a few sensitivity analyses, all combinations of choices are analysed
and shown (Steegen et al. 2016, doi:10.1177/1745691616658637), so that a claim can be said to
hold in so many of them (specification curve: Simonsohn et al. 2020,
doi:10.1038/s41562-020-0912-z). `multiverse` fits all specifications that share a kernel in one
call of it; each row equals what `helpers.pool` gives for its choices.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ...arguments import LEVEL, level_of
from ...door import pd
from ...engine.effects import get_measure
from ...engine.normal.prediction import prediction_df, prediction_limits, recovered_se
from ...engine.options import PREDICTION_METHOD
from ...engine.studies import read_columns
from ...errors import MetaAnalysisError, UnsupportedError
from .contrast import Contrast, compare, no_test, read_contrast
from .grid import (
    OPTIONS,
    Grid,
    Variants,
    build_grid,
    build_variants,
    check_option,
    read_choices,
)
from .kernels import (
    Array,
    Estimates,
    Options,
    Rows,
    estimate,
    grouped,
    incompatible,
    unique_rows,
)
from .result import MultiverseResult


def multiverse(
    data: pd.DataFrame | None = None,
    choices: Mapping[str, Any] | None = None,
    *,
    events: Any,
    n: Any = None,
    time: Any = None,
    study: Any = None,
    contrast: Mapping[str, Any] | None = None,
    level: float = LEVEL,
    **options: Any,
) -> MultiverseResult:
    """Analyse every combination of choices.

    Parameters
    ----------
    data : DataFrame, optional
        Table with the columns named below; leave it out to pass arrays.
    choices : mapping
        Name -> levels. The options of `helpers.pool` (`measure`, `model`, `method`,
        `tau2_method`, `ci_method`, `quad_points`, `add`, `to`, `back_transform`; with a
        contrast also `group_tau2`: "separate" or "common") take a list of values. Any other
        name is a choice about the data and takes a mapping of label -> None (as given), an
        exclusion (booleans, True = left out, or a list of study labels), or a correction
        ({study: {field: new value}}; fields are "events", "n", "time" or the names of their
        columns).
    events, n, time, study : str or array_like
        As in `helpers.pool`; `n` serves measures of proportions, `time` of rates, and
        both may be given.
    contrast : mapping, optional
        {"by": column or array, "levels": (first, second)}: analyse the difference between two
        groups of studies, first minus second, instead of one pooled estimate.
    level : float
        Level of all intervals.
    **options
        Options that do not vary.

    Returns
    -------
    MultiverseResult
        One row per distinct specification; combinations without meaning stay in it with the
        reason.

    Raises
    ------
    UnsupportedError
        An option or value that does not exist.
    MetaAnalysisError
        Impossible counts, or exclusions and corrections that do not fit the studies.

    Notes
    -----
    An option without a role is set aside: tau2_method beside a common effect or the GLMM,
    quad_points without the GLMM, the zero-cell rule in a likelihood or where the measure needs
    none, the back-transformation of all but the Freeman-Tukey measures. Combinations that
    differ only there are one specification and are counted in `multiplicity`.

    Prediction intervals are those that `PoolResult.prediction_interval` gives by default.

    Examples
    --------
    >>> result = multiverse(
    ...     None,
    ...     {
    ...         "measure": ["logit", "arcsine"],
    ...         "model": ["random", "glmm"],
    ...         "small studies": {"kept": None, "left out": ["C"]},
    ...     },
    ...     events=[3, 8, 1, 9], n=[40, 60, 9, 90], study=["A", "B", "C", "D"],
    ... )
    >>> len(result), result.combinations
    (8, 8)
    >>> share = result.share("estimate < 0.12")
    >>> share.count, share.of, share.left_out
    (6, 6, 2)
    """
    if choices is None:
        raise MetaAnalysisError("choices: there is nothing to choose from")
    if n is None and time is None:
        raise MetaAnalysisError("give `n` (patients), `time` (person-time) or both")
    given = {"events": events}
    given |= {name: v for name, v in (("n", n), ("time", time)) if v is not None}
    values, labels, _ = read_columns(data, given, study)
    fields = {name: name for name in given}
    fields |= {column: name for name, column in given.items() if isinstance(column, str)}
    level = level_of(level)
    _check_fixed(options, choices)
    groups = None if contrast is None else read_contrast(data, contrast, len(labels))
    if groups is None and ("group_tau2" in choices or "group_tau2" in options):
        raise UnsupportedError("group_tau2 needs a contrast")
    grid = build_grid(read_choices(choices, labels, tuple(fields)), options, groups is not None)
    about_data = [d for d, c in enumerate(grid.choices) if not c.is_option]
    versions, version = unique_rows([tuple(row) for row in grid.levels[:, about_data].tolist()])
    variants = build_variants(
        values,
        labels,
        [grid.choices[d] for d in about_data],
        np.array(versions, dtype=np.intp).reshape(len(versions), len(about_data)),
        fields,
    )
    columns = _columns(grid, variants, version, groups, level)
    for column in columns.values():
        column.flags.writeable = False
    return MultiverseResult(
        MappingProxyType({c.name: c.labels for c in grid.choices}),
        groups,
        level,
        len(grid.row),
        MappingProxyType(columns),
        grid,
        variants,
        version,
    )


def _check_fixed(options: Mapping[str, Any], choices: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if name not in OPTIONS:
            raise UnsupportedError(f"{name}: not an option; expected one of {', '.join(OPTIONS)}")
        if name in choices:
            raise UnsupportedError(f"{name} is fixed and a choice at the same time")
        check_option(name, value)


def _columns(
    grid: Grid, variants: Variants, version: Rows, contrast: Contrast | None, level: float
) -> dict[str, Any]:
    """Run what can be run; every specification gets a row."""
    rows = len(grid.options)
    reason = np.full(rows, "", dtype=object)
    for _, mine in grouped([tuple(one.values()) for one in grid.options]):
        options = grid.options[mine[0]]
        kind = get_measure(options["measure"]).kind
        why = incompatible(options, level)
        if not why and kind not in variants.sizes:
            size = "`n`" if kind == "proportion" else "`time`"
            why = f"measure={options['measure']!r} needs {size}"
        if not why and contrast is not None:
            why = no_test(options)
        reason[mine] = [why or variants.problem[version[i]] for i in mine]
    status = np.where(reason == "", "ok", "undefined").astype(object)
    run = np.flatnonzero(reason == "")
    chosen = [grid.options[i] for i in run]
    if contrast is None:
        found, fitted, failed, why = _pooled(variants, version[run], chosen, level)
    else:
        found, fitted, failed, why = _compared(variants, version[run], chosen, level, contrast)
    reason[run] = why
    status[run[why != ""]] = "undefined"
    status[run[failed]] = "failed"
    columns: dict[str, Any] = {}
    for name, values in found.items():
        column = np.full(rows, np.nan)
        column[run] = values
        columns[name] = column
    converged = np.zeros(rows, dtype=bool)
    converged[run] = fitted
    columns["converged"] = converged
    columns["status"], columns["reason"] = status, reason
    columns["multiplicity"] = np.bincount(grid.row, minlength=rows)
    return columns


def _back(est: Estimates, options: Options) -> Any:
    """Return a function that turns model-scale values of the rows into proportions or rates."""
    measures, of = unique_rows([(o["measure"],) for o in options])
    rule = np.array([o["back_transform"] == "inverse-variance" for o in options], dtype=bool)
    se = np.where(est.fitted, est.se_model, 1.0)
    harmonic = 1.0 / np.where(est.mean_inverse_size > 0, est.mean_inverse_size, 1.0)
    size = np.where(rule, 0.25 / se**2, harmonic)

    def display(values: Array) -> Array:
        out = np.full(len(options), np.nan)
        for j, (name,) in enumerate(measures):
            mine = (of == j) & ~np.isnan(values)  # an infinite logit is none or all
            out[mine] = get_measure(name).inverse(values[mine], size[mine])
        return out

    return display


def _pooled(
    variants: Variants, which: Rows, options: Options, level: float
) -> tuple[dict[str, Any], Any, Any, Any]:
    est = estimate(variants, which, options, level)
    display = _back(est, options)
    low, high = _prediction(est, options, level)
    time = np.array([get_measure(o["measure"]).kind == "rate" for o in options], dtype=bool)
    found: dict[str, Any] = {
        "mu": est.mu,
        "se": est.se,
        "tau2": est.tau2,
        "estimate": display(est.mu),
        "ci_lower": display(est.lower),
        "ci_upper": display(est.upper),
        "prediction_lower": display(low),
        "prediction_upper": display(high),
        "k": est.k,
        "events": est.events,
    }
    if not time.all():
        found["n"] = np.where(time, np.nan, est.size)
    if time.any():
        found["time"] = np.where(time, est.size, np.nan)
    return found, est.converged, est.failed, est.reason


def _prediction(est: Estimates, options: Options, level: float) -> tuple[Array, Array]:
    """Give the default prediction intervals of `PoolResult`, on the model scale."""
    model = np.array([o["model"] for o in options], dtype=object)
    random = est.fitted & (est.k > 2) & (model != "common")
    profile = np.array([o["ci_method"] == "profile" for o in options], dtype=bool)
    mu, lower, upper = (np.where(random, x, np.nan) for x in (est.mu, est.lower, est.upper))
    mean = (lower, upper)
    below, above = (
        np.where(profile, recovered, est.se) for recovered in recovered_se(mu, mean, level)
    )
    df = prediction_df(PREDICTION_METHOD, est.k)
    low, high = prediction_limits(mu, (below, above), est.tau2, level, df, mean)
    return np.where(random, low, np.nan), np.where(random, high, np.nan)


def _compared(
    variants: Variants, which: Rows, options: Options, level: float, contrast: Contrast
) -> tuple[dict[str, Any], Any, Any, Any]:
    d, *groups = compare(variants, which, options, level, contrast)
    low, high, p = d.test(level)
    found = {"difference": d.value, "se": d.se, "df": d.df, "ci_lower": low, "ci_upper": high}
    first, second = (_back(part, options)(part.mu) for part in groups)
    found |= {"p": p, "estimate_1": first, "estimate_2": second}
    found["estimate_difference"] = first - second
    for name in ("tau2", "k", "events"):
        found |= {f"{name}_{j}": getattr(part, name) for j, part in enumerate(groups, start=1)}
    converged = np.logical_and(*(part.converged for part in groups))
    return found, d.fitted & converged, d.failed, d.reason

"""Pooling by group, and tests of differences between groups."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from ..arguments import one_of
from ..door import pd
from ..engine.studies import one_per_study, refuse_other_rows
from ..engine.summaries import Caution
from ..errors import MetaAnalysisError
from .pooling import fit_studies, pool, pool_effects
from .subgroup_fits import BetweenTest, GroupTau2, LikelihoodRatioTest
from .subgroup_null import CalibratedTest
from .subgroup_result import SubgroupResult, compare

__all__ = [
    "BetweenTest",
    "CalibratedTest",
    "LikelihoodRatioTest",
    "SubgroupResult",
    "subgroups",
]


def subgroups(
    data: pd.DataFrame | None = None,
    *,
    by: Any,
    events: Any = None,
    n: Any = None,
    time: Any = None,
    yi: Any = None,
    vi: Any = None,
    study: Any = None,
    group_tau2: GroupTau2 = "separate",
    **options: Any,
) -> SubgroupResult:
    """Pool each group of studies and test whether the groups differ.

    Parameters
    ----------
    data : DataFrame, optional
        Table with the columns; leave it out to pass arrays.
    by : str, array_like or list of str
        Grouping column. Ordered or unordered categories keep their order (empty ones are
        dropped); other values come in order of appearance. Studies without a group are left
        out of the groups and of `overall`, where they stay visible with the reason. A list of
        columns of `data` groups by all their combinations that occur ("MM × trial").
    events, n, time, study
        As in `helpers.pool`.
    yi, vi
        Effects and sampling variances instead of counts, as in `helpers.pool_effects`.
    group_tau2 : {"separate", "common"}
        Own between-study variance in each group, or one for all groups.
    **options
        Further arguments of `helpers.pool` (`measure`, `model`, `tau2_method`, ...) or of
        `helpers.pool_effects`.

    Notes
    -----
    The test is of Wald type, Q = sum w_j (mu_j - mean)^2 with w_j = 1/se_j^2 and the weighted
    mean, chi-squared with one degree of freedom less than groups (Borenstein and Higgins 2013,
    doi:10.1007/s11121-013-0377-7). The standard errors are those of the model (without
    Knapp-Hartung scaling, which can make a group's weight arbitrarily large by chance).
    `SubgroupResult.likelihood_ratio_test` gives the likelihood-ratio test. With few studies in a
    group its chi-squared p-value is too small: `SubgroupResult.calibrated_test` gives one from
    data sets simulated without a difference, `SubgroupResult.common_test` the test with one
    variance for all groups.

    By likelihood a group without an event (or with nothing but events) is none (or all) with its
    exact interval. It has no finite mean and is left out of the test; a caution names it.

    A common variance is that of a model with one mean for each group. By inverse variance the
    groups are independent given tau2. For the GLMM all groups are fitted together
    (`helpers.models.subgroup_fits`), and the test uses the joint covariance of the means.
    Intervals that refer to a t distribution keep the degrees of freedom of the group.

    A group of one study has no estimable tau2 of its own: with separate variances its estimate
    enters with its sampling variance, and a caution says so. With a common variance it enters
    like any other group.

    Raises
    ------
    MetaAnalysisError
        Fewer than two groups, or a problem with the data.
    UnsupportedError
        Options that cannot be combined.

    Examples
    --------
    >>> result = subgroups(
    ...     events=[3, 8, 16, 2], n=[40, 60, 50, 90], by=["a", "a", "b", "b"], model="common"
    ... )
    >>> list(result.groups), result.test.df
    (['a', 'b'], 1)
    """
    one_of("group_tau2", group_tau2, ("separate", "common"))
    if yi is not None or vi is not None:
        if yi is None or vi is None or events is not None or time is not None:
            raise MetaAnalysisError("give either events and n (or time), or both yi and vi")
        whole = pool_effects(yi, vi, data=data, study=study, n=n, **options)
    else:
        if events is None:
            raise MetaAnalysisError("give events and n (or time), or yi and vi")
        whole = pool(data, events=events, n=n, time=time, study=study, **options)
    first = data if data is not None else (events if yi is None else yi)
    group, levels, name = groups_of(data, by, whole.data.labels, first)
    known = np.array([g is not None for g in group])
    studies = whole.data.only(known, f"{name} missing")
    overall = whole
    if not known.all():
        overall = fit_studies(studies, whole.options.for_studies(studies.k))
    members = {
        level: np.array([i for i, g in enumerate(group) if g == level], dtype=int)
        for level in levels
    }
    empty = [lv for lv, rows in members.items() if not studies.included[rows].any()]
    members = {lv: rows for lv, rows in members.items() if lv not in empty}
    left_out: tuple[Caution, ...] = ()
    if empty:
        message = f"{', '.join(empty)}: no study has what is needed; the table gives reasons."
        left_out = (Caution("left-out-group", message),)
    if len(members) < 2:
        raise MetaAnalysisError(
            f"{name}: a comparison needs at least 2 groups with studies; there "
            f"{f'is 1 ({next(iter(members))})' if members else 'are 0'}. Keep studies of another "
            "group in the table, or use pool() for one"
        )
    return compare(overall, members, name, group_tau2, left_out)


def groups_of(
    data: pd.DataFrame | None, by: Any, labels: Sequence[str], first: Any = None
) -> tuple[list[str | None], list[str], str]:
    """Group of each row (None if missing), the levels in order, and a name.

    `first` is what the studies came from: the rows of a Series `by` have to be its rows.
    """
    if data is None and isinstance(by, list) and {type(one) for one in by} <= {str, type(None)}:
        if len(by) != len(labels):
            raise MetaAnalysisError(f"group has {len(by)} values for {len(labels)} studies")
        return by, [one for one in dict.fromkeys(by) if one is not None], "group"  # without pandas
    if isinstance(by, (list, tuple)) and data is not None and by and _all_columns(by, data):
        return _crossed(data, list(by))
    if isinstance(by, str):
        if data is None:
            raise MetaAnalysisError(f"by={by!r} names a column, but no data were given")
        if by not in data.columns:
            columns = ", ".join(map(str, data.columns))
            raise MetaAnalysisError(f"by: no column {by!r}; the columns are {columns}")
        column, name = data[by], by
        if column.ndim != 1:
            raise MetaAnalysisError(f"by: the table has several columns {by!r}; rename them")
    else:
        column = _one_group_each(by)
        refuse_other_rows({"data": first, "by": by}, {"data": "the studies", "by": "by"})
        name = "group" if column.name is None else str(column.name)
    if len(column) != len(labels):
        raise MetaAnalysisError(f"{name} has {len(column)} values for {len(labels)} studies")
    for label, value in zip(labels, column, strict=True):
        if not (pd.api.types.is_scalar(value) or isinstance(value, pd.Interval)):
            raise MetaAnalysisError(
                f"{label}, {name}: {value!r} is not the name of a group; expected a word or a "
                "number"
            )
    group = [None if pd.isna(value) else str(value) for value in column]
    if isinstance(column.dtype, pd.CategoricalDtype):
        order = [str(c) for c in column.cat.categories]
    else:
        order = [g for g in group if g is not None]
    present = set(group)
    return group, [g for g in dict.fromkeys(order) if g in present], name


def _one_group_each(by: Any) -> pd.Series[Any]:
    """One value for each study, in one dimension."""
    if getattr(by, "ndim", 1) > 1:
        raise MetaAnalysisError(
            "by has several columns; expected one value for each study, or the names of "
            "columns of `data`"
        )
    problems: list[str] = []
    if by is None or pd.api.types.is_scalar(by) or getattr(by, "ndim", 1) == 0:
        problems.append(
            f"by={by!r}: expected the name of a column of `data`, or one value for each study"
        )
    else:
        by = one_per_study(by, "by", problems)
    if problems:
        raise MetaAnalysisError("; ".join(problems))
    return by if isinstance(by, pd.Series) else pd.Series(by, dtype=getattr(by, "dtype", object))


def _all_columns(names: Sequence[Any], data: pd.DataFrame) -> bool:
    return all(isinstance(name, str) and name in data.columns for name in names)


def _crossed(data: pd.DataFrame, names: list[str]) -> tuple[list[str | None], list[str], str]:
    """Group of each row by several columns: their combinations, in the order of each column."""
    labels = [f"row {i + 1}" for i in range(len(data))]
    parts = [groups_of(data, name, labels) for name in names]
    values = list(zip(*(part[0] for part in parts), strict=True))
    order = [" × ".join(levels) for levels in product(*(part[1] for part in parts))]
    group = [None if None in row else " × ".join(map(str, row)) for row in values]
    present = set(group)
    return group, [level for level in order if level in present], " × ".join(names)

"""Which group each study belongs to: a column, several columns, or one value for each study."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from ..door import pd
from ..engine.studies import one_per_study, refuse_other_rows
from ..errors import MetaAnalysisError


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

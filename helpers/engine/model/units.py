"""What is left out together: single studies, or clusters of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arguments import Array
from ...door import pd
from ...errors import MetaAnalysisError, UnsupportedError
from ..studies import StudyData
from .fits import Selections


@dataclass(frozen=True, slots=True)
class Units:
    """Parts of the included studies, each of which is left out in turn."""

    #: Shape (k,): unit of each included study, counted from 0.
    codes: NDArray[np.intp] = field(repr=False)
    labels: tuple[str, ...]  # units, in the order of their codes
    name: str  # what they are, such as "study"

    @property
    def single(self) -> bool:
        """Whether each study is a unit of its own."""
        return len(self.labels) == len(self.codes)

    @property
    def rest(self) -> Selections:
        """Studies that are left, one row for each unit."""
        return without_each(self.codes)

    def summed(self, values: Array) -> Array:
        """Sum values of studies over each unit."""
        return np.asarray(np.bincount(self.codes, values), dtype=float)

    def index(self) -> pd.Index[Any]:
        """Index of a table with one row for each unit."""
        return pd.Index(list(self.labels), name=self.name)


def without_each(codes: NDArray[np.intp]) -> Selections:
    """Leave out one unit each."""
    return Selections(int(codes.max()) + 1, lambda row: codes != row)


def units_of(rows: StudyData, by: Any = None, columns: pd.DataFrame | None = None) -> Units:
    """Read what is to be left out together; default: each study is on its own.

    `by` is a column of `columns` (one row for each row given, indexed by study), one value for each
    row or included study, or a Series indexed by study.
    """
    if by is None:
        return Units(np.arange(rows.k), rows.taken, "study")
    values = values_of(rows, by, columns)
    names = [str(value) for value in values]
    order = {label: place for place, label in enumerate(dict.fromkeys(names))}
    name = by if isinstance(by, str) else getattr(by, "name", None)
    if len(order) < 2:
        raise UnsupportedError(
            f"by: all studies are in the cluster {names[0]!r}; expected at least two clusters"
        )
    return Units(np.array([order[label] for label in names]), tuple(order), str(name or "cluster"))


def values_of(rows: StudyData, by: Any, columns: pd.DataFrame | None = None) -> pd.Series[Any]:
    """One value for each included study, indexed by study."""
    keep, labels = rows.included, list(rows.taken)
    if isinstance(by, str):
        known = [] if columns is None else list(map(str, columns.columns))
        if columns is None or by not in columns.columns:
            there = ", ".join(known) or "there is none"
            raise MetaAnalysisError(
                f"by={by!r} is not a column of the studies ({there}); for other "
                "columns of your table pass their values, one for each study"
            )
        by = columns[by]
    if isinstance(by, pd.Series) and set(labels) <= set(by.index.astype(str)):
        if by.index.has_duplicates:
            raise MetaAnalysisError("by: the index of the Series repeats study labels")
        values = by.set_axis(by.index.astype(str)).reindex(labels)
    else:
        listed = list(by)
        if len(listed) == len(rows.labels):
            listed = [v for v, taken in zip(listed, keep, strict=True) if taken]
        elif len(listed) != len(labels):
            raise MetaAnalysisError(
                f"by has {len(listed)} values; expected one for each of the {len(labels)} "
                f"included studies (or of the {len(rows.labels)} rows)"
            )
        values = pd.Series(listed, index=labels)
    missing = values.index[values.isna()]
    if len(missing):
        raise MetaAnalysisError(
            f"by: no value for {', '.join(map(str, missing))}; leave these studies out of the fit"
        )
    return values

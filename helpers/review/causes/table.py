"""One table of deaths by group and cause, and the shares in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ... import printing
from ...arguments import LEVEL
from ...engine.effects import study_interval
from ...engine.shown import PlainResult, Row, listed
from ...errors import MetaAnalysisError, UnsupportedError
from ...evidence import load_causes, tables

Counts = NDArray[np.int64]

#: Side effects that only a therapy of this kind has, as the review groups them.
SPECIFIC = ("CRS", "neurotoxicity or ICANS", "HLH")
#: Classes that hold no cause.
UNKNOWN = ("unknown", "organ failure, other or unknown")


@dataclass(frozen=True, slots=True, repr=False)
class CauseTable(PlainResult):
    """Nonrelapse deaths by group and cause."""

    grouping: str  # What the groups are, such as "setting"
    #: Names of rows and columns
    groups: tuple[str, ...]
    causes: tuple[str, ...]
    counts: Counts = field(repr=False)  # Deaths, shape (groups, causes)
    #: All nonrelapse deaths of each group, those without a class in the table included, shape
    #: (groups,)
    deaths: Counts = field(repr=False)
    #: Whether the count may be one too low or too high, shape (groups, causes)
    within_one: NDArray[np.bool_] = field(repr=False)

    def _headline(self) -> str:
        return self.grouping

    def _said(self) -> Iterator[Row]:
        yield "groups", listed(self.groups)
        yield "causes", listed(self.causes)
        yield "deaths", printing.count(int(self.deaths.sum()))

    def __post_init__(self) -> None:
        shape = (len(self.groups), len(self.causes))
        for name in ("counts", "deaths", "within_one"):
            values = np.array(getattr(self, name))
            if values.shape != (shape if name != "deaths" else shape[:1]):
                raise MetaAnalysisError(f"{self.grouping}: {name} has shape {values.shape}")
            values.flags.writeable = False
            object.__setattr__(self, name, values)
        if np.any(self.counts < 0) or np.any(self.counts.sum(axis=1) > self.deaths):
            raise MetaAnalysisError(f"{self.grouping}: more deaths by cause than deaths")

    @property
    def unknown(self) -> Counts:
        """Deaths of each group without a known cause, shape (groups,)."""
        lost = [i for i, cause in enumerate(self.causes) if cause in UNKNOWN]
        missing: Counts = self.deaths - self.counts.sum(axis=1) + self.counts[:, lost].sum(axis=1)
        return missing

    def count(self, cause: str | Iterable[str], group: str | None = None) -> int:
        """Deaths of one cause or of several together, in one group or in all."""
        names = [cause] if isinstance(cause, str) else list(cause)
        for name in names:
            if name not in self.causes:
                raise UnsupportedError(f"no cause {name!r}; there are {'; '.join(self.causes)}")
        columns = [self.causes.index(name) for name in names]
        return int(self.counts[np.ix_(self.rows(group), columns)].sum())

    def rows(self, group: str | None) -> list[int]:
        """Place of a group, or of all."""
        return list(range(len(self.groups))) if group is None else [self.row(group)]

    def row(self, group: str) -> int:
        """Place of a group."""
        if group not in self.groups:
            raise UnsupportedError(
                f"no group {group!r} by {self.grouping}; there are {', '.join(self.groups)}"
            )
        return self.groups.index(group)

    def select(self, groups: Sequence[str]) -> CauseTable:
        """Give the table of some groups."""
        rows = [self.row(group) for group in groups]
        return replace(
            self,
            groups=tuple(groups),
            counts=self.counts[rows],
            deaths=self.deaths[rows],
            within_one=self.within_one[rows],
        )

    def frame(self) -> pd.DataFrame:
        """Deaths: index ``group``, one column per cause."""
        index = pd.Index(self.groups, name="group")
        return pd.DataFrame(self.counts, index=index, columns=list(self.causes))

    def shares(self) -> pd.DataFrame:
        """Share of each cause among the deaths in the table, with 95% intervals.

        Returns
        -------
        DataFrame
            One row per group and cause: ``group, cause, deaths, n, share, lower, upper,
            wilson_lower, wilson_upper, within_one``. ``lower`` and ``upper`` cover all causes of a
            group at once (Goodman 1965, doi:10.1080/00401706.1965.10490252), the Wilson
            interval for one cause alone. Fractions.

        Examples
        --------
        >>> eight = cause_table("all, eight causes").shares().set_index("cause")
        >>> eight.loc["infection", ["deaths", "n"]].tolist()
        [292, 574]
        """
        from statsmodels.stats.proportion import multinomial_proportions_confint

        blocks = []
        for i, group in enumerate(self.groups):
            counts, n = self.counts[i], int(self.counts[i].sum())
            if n == 0:
                raise MetaAnalysisError(f"{self.grouping}, {group}: no deaths, no shares")
            both = multinomial_proportions_confint(counts, alpha=1 - LEVEL, method="goodman")
            single = study_interval(counts, np.full(len(counts), n), level=LEVEL)
            blocks.append(
                pd.DataFrame(
                    {
                        "group": group,
                        "cause": self.causes,
                        "deaths": counts,
                        "n": n,
                        "share": counts / n,
                        "lower": np.clip(both[:, 0], 0, 1),
                        "upper": np.clip(both[:, 1], 0, 1),
                        "wilson_lower": single[0],
                        "wilson_upper": single[1],
                        "within_one": self.within_one[i],
                    }
                )
            )
        return pd.concat(blocks, ignore_index=True)


def cause_table(
    grouping: str | None = None,
    *,
    counts: ArrayLike | None = None,
    groups: Sequence[str] | None = None,
    causes: Sequence[str] | None = None,
    deaths: ArrayLike | None = None,
) -> CauseTable:
    """Take one table of the review's causes, or make one from counts.

    Parameters
    ----------
    grouping : str
        Of the review: "all, eleven causes", "all, eight causes", "setting", "setting, without
        COVID-19", "entity" or "product". With `counts`, a name of your own.
    counts : array_like of int, shape (groups, causes), optional
        Deaths of a table of your own, with `groups` and `causes`.
    groups, causes : sequence of str, optional
        Names of its rows and columns.
    deaths : array_like of int, shape (groups,), optional
        All deaths of each group; the sums of the rows by default.

    Raises
    ------
    UnsupportedError
        For an unknown grouping.
    MetaAnalysisError
        When counts are not whole numbers or more than the deaths.

    Examples
    --------
    >>> by = cause_table("setting")
    >>> by.groups, by.count("infection", "trial"), by.deaths.tolist()
    (('trial', 'real-world'), 75, [167, 407])
    """
    if counts is not None:
        if groups is None or causes is None:
            raise MetaAnalysisError("cause_table() needs groups and causes with counts")
        given = np.asarray(counts, dtype=float)
        if given.ndim != 2 or np.any(given != np.floor(given)):
            raise MetaAnalysisError(
                "counts are whole numbers in rows (groups) and columns (causes)"
            )
        whole = given.astype(np.int64)
        total = whole.sum(axis=1) if deaths is None else np.asarray(deaths, dtype=np.int64)
        doubt = np.zeros(whole.shape, dtype=bool)
        return CauseTable(grouping or "group", tuple(groups), tuple(causes), whole, total, doubt)
    return _of_the_review(grouping or "all, eight causes")


def _of_the_review(grouping: str) -> CauseTable:
    data = load_causes()
    known = list(dict.fromkeys(data["grouping"]))
    if grouping not in known:
        raise UnsupportedError(f"no causes by {grouping!r}; there are {'; '.join(known)}")
    part = data[data["grouping"] == grouping].astype({"cause": str, "level": str})
    names = list(dict.fromkeys(part["level"]))
    # in the order of the data: infection first, then by size; classes without a cause last
    causes = [cause for cause in data["cause"].cat.categories if cause in set(part["cause"])]
    part["doubt"] = part["certainty"] == "within 1"
    places = pd.MultiIndex.from_product([names, causes])
    cells, shape = part.set_index(["level", "cause"]).loc[places], (len(names), len(causes))
    counts = cells["deaths"].to_numpy(np.int64).reshape(shape)
    doubt = cells["doubt"].to_numpy(bool).reshape(shape)
    deaths = _all_deaths(grouping, names, counts)
    return CauseTable(grouping, tuple(names), tuple(causes), counts, deaths, doubt)


def _all_deaths(grouping: str, names: list[str], counts: Counts) -> Counts:
    """Count all nonrelapse deaths of each group of the review, whose causes these are."""
    if grouping.startswith("all"):
        return counts.sum(axis=1)
    column = grouping.partition(",")[0]
    cohorts = tables.load_cohorts()  # of the file, whatever table a reader has put in its place
    totals = cohorts.groupby(cohorts[column].astype(str))["nonrelapse_deaths"].sum()
    deaths = totals.loc[names].to_numpy(np.int64)
    if column != grouping:
        # Without COVID-19 the table lacks those deaths, and they belong to no other class.
        deaths = deaths - (_of_the_review(column).counts.sum(axis=1) - counts.sum(axis=1))
    return deaths

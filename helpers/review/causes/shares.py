r"""The share of one cause, what deaths without a known cause and the largest cohorts do to it.

A share of deaths weighs each cohort by its deaths. If deaths in the same cohort resemble each other
(one registry, one practice of coding causes, one pandemic), with intraclass correlation
:math:`\rho`, the variance of the share grows by the design effect
:math:`1 + \rho\,(\sum d_i^2 / \sum d_i - 1)` and the deaths count as so many fewer (Rao and Scott
1992, doi:10.2307/2532311). The correlation cannot be estimated from sums; its effect can be shown.

**How many of the treated die of a cause.** A rate per cohort cannot be pooled from sums. What can
be said is the product of two estimates, :math:`\theta = \pi s`: the mean nonrelapse mortality over
cohorts :math:`\pi` (`PoolResult.mean_estimate`, not the rate of the median cohort) and the share
:math:`s` of the cause among the deaths. Given the number of deaths, which of them are of this cause
says nothing about how many there were, so the two are taken as independent, and the interval is
recovered from their own limits on the log scale (Zou and Donner 2008, doi:10.1002/sim.3095).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from ... import printing, ties
from ...arguments import LEVEL
from ...engine.effects import study_interval
from ...engine.normal.intervals import Interval
from ...engine.shown import PlainResult, Row, Shown, limits_text
from ...errors import MetaAnalysisError, UnsupportedError
from ...evidence import load_cohorts
from .table import CauseTable, cause_table

if TYPE_CHECKING:
    from ...models.result import PoolResult

Unknown = Literal["none", "random", "all"]


@dataclass(frozen=True, slots=True, repr=False)
class CauseShare(PlainResult):
    """Share of one cause (or of several together) among deaths."""

    cause: str
    grouping: str
    group: str
    #: Deaths of the cause and all deaths that count
    deaths: int
    n: int
    estimate: float  # Their ratio, a fraction
    ci: Interval  # Wilson interval of one binomial share, at `level`
    level: float
    #: {"none", "random", "all"}: What was supposed of the deaths without a known cause: none is of
    #: this cause, they are like the others (and left out), all are of this cause
    unknown: str


@dataclass(frozen=True, slots=True, repr=False)
class ShareBounds(Shown):
    """The same share under every supposition about the deaths without a known cause."""

    #: See `CauseShare.unknown`
    none: CauseShare
    random: CauseShare
    all: CauseShare
    unknown: int  # Deaths without a known cause

    def _said(self) -> Iterator[Row]:
        yield "unknown causes", printing.count(self.unknown)
        yield "share", limits_text(self.bounds, "percent")
        yield "with intervals", limits_text(self.ci, "percent")

    @property
    def bounds(self) -> Interval:
        """Smallest and largest share that the unknown deaths allow, without chance."""
        return Interval(self.none.estimate, self.all.estimate)

    @property
    def ci(self) -> Interval:
        """From the lower limit of the smallest to the upper limit of the largest share."""
        return Interval(self.none.ci.lower, self.all.ci.upper)


def cause_share(
    cause: str | Iterable[str] = "infection",
    grouping: str | CauseTable = "all, eight causes",
    group: str | None = None,
    *,
    unknown: Unknown = "none",
    level: float = LEVEL,
) -> CauseShare:
    """Share of a cause among the nonrelapse deaths of one group or of all.

    Parameters
    ----------
    cause : str or iterable of str
        One class, or several together.
    grouping : str or CauseTable
        As for :func:`cause_table`.
    group : str, optional
        One group of it; all together by default.
    unknown : {"none", "random", "all"}
        What is supposed of deaths without a known cause: none is of this cause (the share of all
        nonrelapse deaths, as the review gives it), they are like the others (the share of deaths
        with a known cause), all are.
    level : float

    Returns
    -------
    CauseShare
        With a Wilson interval, which counts each death as an independent observation.

    Raises
    ------
    UnsupportedError
        For an unknown cause, group or supposition.

    Examples
    --------
    >>> share = cause_share("infection")
    >>> share.deaths, share.n, round(share.estimate, 3)
    (292, 574, 0.509)
    """
    table = grouping if isinstance(grouping, CauseTable) else cause_table(grouping)
    names = (cause,) if isinstance(cause, str) else tuple(cause)
    rows = table.rows(group)
    deaths = table.count(names, group)
    total = int(table.deaths[rows].sum())
    missing = int(table.unknown[rows].sum())
    if unknown == "random":
        total -= missing
    elif unknown == "all":
        deaths += missing
    elif unknown != "none":
        raise UnsupportedError(f"unknown deaths are 'none', 'random' or 'all', not {unknown!r}")
    if total == 0:
        raise MetaAnalysisError(f"{table.grouping}, {group or 'all'}: no deaths, no share")
    ci, said = _wilson(deaths, total, level), (" or ".join(names), table.grouping, group or "all")
    return CauseShare(*said, deaths, total, deaths / total, ci, level, unknown)


def _wilson(deaths: float, n: float, level: float) -> Interval:
    lower, upper = study_interval([deaths], [n], level=level)
    return Interval(float(lower[0]), float(upper[0]))


def infection_share(
    grouping: str | CauseTable = "all, eight causes",
    group: str | None = None,
    *,
    unknown: Unknown = "none",
) -> CauseShare:
    """Share of infection: :func:`cause_share` of the class "infection".

    Examples
    --------
    >>> trial = infection_share("setting", "trial", unknown="random")
    >>> trial.deaths, trial.n
    (75, 127)
    """
    return cause_share("infection", grouping, group, unknown=unknown)


def share_bounds(
    cause: str | Iterable[str] = "infection",
    grouping: str | CauseTable = "all, eleven causes",
    group: str | None = None,
) -> ShareBounds:
    """Bound a share whatever the deaths without a known cause were.

    No assumption is made for ``none`` and ``all``: they are the worst cases between which the
    share must lie (Manski 1990, https://www.jstor.org/stable/2006592). In the tables by setting,
    disease and product organ failure and other causes count as unknown too, because the review
    does not divide them; the bounds are wider for that.

    Parameters
    ----------
    cause, grouping, group
        As for :func:`cause_share`.

    Examples
    --------
    >>> found = share_bounds("infection")
    >>> found.unknown, [round(x, 3) for x in found.bounds]
    (57, [0.509, 0.608])
    """
    table = grouping if isinstance(grouping, CauseTable) else cause_table(grouping)
    names = cause if isinstance(cause, str) else tuple(cause)
    suppositions: tuple[Unknown, ...] = ("none", "random", "all")
    none, random, every = (cause_share(names, table, group, unknown=how) for how in suppositions)
    return ShareBounds(none, random, every, int(table.unknown[table.rows(group)].sum()))


@dataclass(frozen=True, slots=True, repr=False)
class CauseRate(PlainResult):
    """Deaths of one cause among all who were treated."""

    group: str
    nrm: PoolResult  # Pooled nonrelapse mortality of the group, whose mean across cohorts counts
    share: CauseShare  # Share of the cause among its nonrelapse deaths
    estimate: float  # Their product, a fraction of the treated
    #: Of the product. It holds chance in the deaths and differences of NRM between cohorts, not
    #: differences of the causes between cohorts.
    ci: Interval
    level: float
    n: int  # Treated patients


def product_interval(one: float, one_ci: Interval, other: float, other_ci: Interval) -> Interval:
    """Interval of the product of two independent positive estimates from their own limits.

    On the log scale the distance from the estimate to each limit is the root of the summed squares
    of the two distances (Zou and Donner 2008, doi:10.1002/sim.3095).

    Refused where an estimate or limit is not positive: the log scale has no place for it.

    >>> product_interval(0.5, Interval(0.25, 1.0), 1.0, Interval(1.0, 1.0))
    Interval(lower=0.25, upper=1.0)
    """
    values = np.array([one, *one_ci, other, *other_ci])
    if np.any(values <= 0):
        raise UnsupportedError(
            "a product interval needs positive estimates and limits, so a death of this cause"
        )
    a, al, au, b, bl, bu = np.log(values)
    lower = a + b - np.sqrt((a - al) ** 2 + (b - bl) ** 2)
    upper = a + b + np.sqrt((au - a) ** 2 + (bu - b) ** 2)
    return Interval(float(np.exp(lower)), float(np.exp(upper)))


def cause_rates(
    cohorts: pd.DataFrame | None = None,
    by: str = "entity",
    cause: str = "infection",
    *,
    unknown: Unknown = "none",
) -> dict[str, CauseRate]:
    """Deaths of a cause among the treated, by group and overall.

    Parameters
    ----------
    cohorts : DataFrame, optional
        The review's cohorts, ``load_cohorts()``, which is also the default. The causes belong to
        them, so nothing else fits.
    by : {"entity", "setting", "product"}
    cause : str
        A class of the tables by group.
    unknown : {"none", "random", "all"}
        As for :func:`cause_share`.

    Returns
    -------
    dict of str to CauseRate
        Groups in the order of the causes, then "all".

    Raises
    ------
    UnsupportedError
        When the deaths of the cohorts are not those whose causes are known, or nobody died of it.

    Examples
    --------
    >>> rates = cause_rates(by="setting")
    >>> list(rates), round(1000 * rates["all"].estimate, 1)
    (['trial', 'real-world', 'all'], 37.9)
    """
    from ...models.subgroup_analysis import subgroups
    from ..choices import COLUMNS, PUBLISHED_POOLING
    from ..subject import SUBJECT

    cohorts = load_cohorts() if cohorts is None else cohorts
    table = cause_table(by)
    choices: dict[str, Any] = {**COLUMNS, **PUBLISHED_POOLING}
    fits = subgroups(cohorts, by=by, **choices)
    whole = cause_table("all, eight causes")
    found = {}
    for group in (*SUBJECT.in_order(table.groups), "all"):
        if group not in (*fits.groups, "all"):
            raise UnsupportedError(
                f"{by}: no cohort of {group} is in the table, but causes are known as totals of "
                "the review's; give all of its cohorts, load_cohorts()"
            )
        fit = fits.overall if group == "all" else fits.groups[group]
        source = whole if group == "all" else table
        share = cause_share(cause, source, group, unknown=unknown, level=fit.level)
        if fit.events != source.deaths[source.row(group)]:
            raise UnsupportedError(
                f"{by}, {group}: these cohorts have {fit.events:,.0f} deaths, but causes are known "
                f"of the review's {source.deaths[source.row(group)]:,}, as totals and not by "
                "cohort; give all of its cohorts, load_cohorts()"
            )
        rate = fit.mean_estimate
        ci = product_interval(rate, fit.mean_conf_int(), share.estimate, share.ci)
        n = int(fit.n or 0)
        found[group] = CauseRate(group, fit, share, rate * share.estimate, ci, fit.level, n)
    return found


@dataclass(frozen=True, slots=True, repr=False)
class DeathWeights(Shown):
    """How the deaths spread over cohorts."""

    deaths: tuple[int, ...]  # Of each cohort that has any, largest first
    cohorts: tuple[str, ...]  # Their names

    @property
    def total(self) -> int:
        """All deaths."""
        return sum(self.deaths)

    @property
    def largest_share(self) -> float:
        """Fraction of the deaths that the largest cohort brings."""
        return self.deaths[0] / self.total

    @property
    def mean_size(self) -> float:
        """Deaths in the cohort of the average death."""
        return sum(d * d for d in self.deaths) / self.total

    def design_effect(self, icc: float) -> float:
        """Factor by which the variance of a share grows."""
        if not 0 <= icc <= 1:
            raise MetaAnalysisError(f"an intraclass correlation is between 0 and 1, not {icc!r}")
        return 1 + icc * (self.mean_size - 1)

    def icc_for(self, design_effect: float) -> float:
        """Intraclass correlation that makes this design effect."""
        if design_effect < 1:
            raise MetaAnalysisError(f"a design effect is at least 1, not {design_effect!r}")
        return (design_effect - 1) / (self.mean_size - 1)

    def interval(self, share: CauseShare, icc: float) -> Interval:
        """Wilson interval of a share of these deaths, counted as independent / design effect."""
        n = share.n / self.design_effect(icc)
        return _wilson(share.estimate * n, n, share.level)

    def without_largest(self, share: CauseShare) -> Interval:
        """Bounds of the share in the other cohorts, whatever the largest one's deaths were."""
        if share.n != self.total:
            raise MetaAnalysisError("the bounds need a share of all deaths of these cohorts")
        rest = self.total - self.deaths[0]
        least = max(0, share.deaths - self.deaths[0])
        return Interval(least / rest, min(share.deaths, rest) / rest)


def death_weights(cohorts: pd.DataFrame) -> DeathWeights:
    """Describe how deaths spread over cohorts.

    Raises
    ------
    MetaAnalysisError
        When there are deaths in fewer than two cohorts.

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> weights = death_weights(load_cohorts())
    >>> weights.total, weights.cohorts[0]
    (574, 'Jacobson 2022 B')
    """
    counts = cohorts["nonrelapse_deaths"].to_numpy(np.int64)
    order = [i for i in ties.order(counts, descending=True) if counts[i] > 0]
    if len(order) < 2:
        raise MetaAnalysisError("death_weights() needs deaths in at least two cohorts")
    names = cohorts["cohort"].astype(str).to_numpy()
    return DeathWeights(tuple(int(counts[i]) for i in order), tuple(str(names[i]) for i in order))

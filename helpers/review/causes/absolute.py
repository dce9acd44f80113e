r"""How many of the treated die of a cause: a share of deaths times mean nonrelapse mortality.

Causes are sums over cohorts, so a rate per cohort cannot be pooled. What can be said is the product
of two estimates, :math:`\theta = \pi s`: the mean nonrelapse mortality over cohorts :math:`\pi`
(`PoolResult.mean_estimate`, not the rate of the median cohort) and the share :math:`s` of the cause
among the deaths. Given the number of deaths, which of them are of this cause
says nothing about how many there were, so the two are taken as independent, and the interval is
recovered from their own limits on the log scale (Zou and Donner 2008, doi:10.1002/sim.3095).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ...engine.normal.intervals import Interval
from ...engine.shown import PlainResult
from ...errors import UnsupportedError
from .shares import CauseShare, Unknown, cause_share
from .table import cause_table

if TYPE_CHECKING:
    from ...models.result import PoolResult


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
    from ...evidence import load_cohorts
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

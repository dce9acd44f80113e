r"""Deaths from infection among the treated, with and without COVID-19, and a what-if.

A number of deaths is a share of the nonrelapse deaths times nonrelapse mortality: its mean over
cohorts, which is how many of 1,000 patients die, or its median, the pooled rate that the review
prints. The interval of the product is recovered from the limits of both
(`helpers.review.causes.absolute.product_interval`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from ... import printing
from ...door import pd
from ...engine.normal.intervals import Interval
from ...engine.shown import PlainResult, Row, limits_text, number, with_interval
from ...errors import MetaAnalysisError
from ..causes import CauseShare, cause_share, cause_table
from ..causes.absolute import product_interval

Which = Literal["all", "COVID-19", "other"]
Average = Literal["mean", "median"]

OTHER, COVID, REST = "infection other than COVID-19", "COVID-19", "no infection"


@dataclass(frozen=True, slots=True, repr=False)
class Burden(PlainResult):
    """Deaths from infection among all who were treated."""

    which: Which  # {"all", "COVID-19", "other"}: Which infections count
    #: {"mean", "median"}: Whether nonrelapse mortality is the mean across cohorts or that of the
    #: median cohort
    average: Average
    #: Share of these infections among the nonrelapse deaths; deaths of unknown cause count as no
    #: infection
    share: CauseShare
    estimate: float  # Deaths as a fraction of the treated
    ci: Interval
    level: float

    def _headline(self) -> str:
        return f"deaths from infection ({self.which}), {self.average} across cohorts"

    def _said(self) -> Iterator[Row]:
        yield "of the treated", with_interval(self.estimate, self.ci, self.level, "percent")
        yield "of the deaths", printing.share(self.share.deaths, self.share.n)


@dataclass(frozen=True, slots=True, repr=False)
class Prevented(PlainResult):
    """What-if: a part of the deaths from infection does not happen. No estimate of any effect."""

    part: float  # Of the deaths from infection, a fraction that is supposed
    fewer: float  # Deaths that do not happen, a fraction of the treated
    #: Interval of the deaths from infection times `part`: how sure their number is, not whether
    #: prevention works
    fewer_ci: Interval
    left: float  # Deaths from infection that remain, a fraction of the treated
    treated_per_death: float  # Patients treated for each death that does not happen
    treated_ci: Interval

    def _headline(self) -> str:
        return f"assuming that {printing.percent(self.part, 0)} of the deaths do not happen"

    def _said(self) -> Iterator[Row]:
        fewer, left = printing.per_1000(self.fewer, 1), printing.per_1000(self.left, 1)
        yield "deaths", f"{fewer} fewer, {left} left"
        yield (
            "treated per death",
            f"{number(self.treated_per_death)} ({limits_text(self.treated_ci)})",
        )


def infection_burden(
    cohorts: pd.DataFrame | None = None,
) -> dict[tuple[Which, Average], Burden]:
    """Count deaths from infection among the treated: all, COVID-19, and the others.

    Deaths from COVID-19 are the difference between the review's tables by setting with and without
    them, so their number is exact.

    Parameters
    ----------
    cohorts : DataFrame, optional
        The review's cohorts, ``load_cohorts()``, which is also the default. The causes belong to
        them, so nothing else fits.

    Returns
    -------
    dict of (which, average) to Burden
        All infections, COVID-19 and other infections, each by the mean and by the median.

    Raises
    ------
    UnsupportedError
        When the deaths of the cohorts are not those whose causes are known.

    Examples
    --------
    >>> found = infection_burden()
    >>> round(1000 * found["all", "mean"].estimate, 1)
    37.9
    >>> found["COVID-19", "mean"].share.deaths
    55
    """
    from ..causes import cause_rates

    fit = cause_rates(cohorts, by="setting")["all"].nrm
    table = cause_table("setting")
    infections = cause_table("all, eight causes").count("infection")
    covid = table.count("infection") - cause_table("setting, without COVID-19").count("infection")
    deaths = int(fit.events or 0)
    split = cause_table(
        "infection",
        counts=[[infections - covid, covid, deaths - infections]],
        groups=["all"],
        causes=[OTHER, COVID, REST],
    )
    kinds: dict[Which, tuple[str, ...]] = {
        "all": (OTHER, COVID),
        "COVID-19": (COVID,),
        "other": (OTHER,),
    }
    averages: dict[Average, tuple[float, Interval]] = {
        "mean": (fit.mean_estimate, fit.mean_conf_int()),
        "median": (fit.estimate, fit.ci),
    }
    found: dict[tuple[Which, Average], Burden] = {}
    for which, causes in kinds.items():
        share = cause_share(causes, split, level=fit.level)
        for average, (rate, limits) in averages.items():
            lower, upper = product_interval(rate, limits, share.estimate, share.ci)
            found[which, average] = Burden(
                which,
                average,
                share,
                rate * share.estimate,
                Interval(float(lower), float(upper)),
                fit.level,
            )
    return found


def prevented_deaths(
    burden: Burden, parts: Iterable[float] = (0.1, 0.25, 1 / 3, 0.5)
) -> tuple[Prevented, ...]:
    """Suppose that a part of the deaths from infection does not happen, and count.

    Parameters
    ----------
    burden : Burden
        Of `infection_burden`.
    parts : iterable of float
        Supposed, each above 0 and at most 1.

    Raises
    ------
    MetaAnalysisError
        For a part outside these limits.

    Examples
    --------
    >>> quarter, = prevented_deaths(infection_burden()["all", "mean"], [0.25])
    >>> round(1000 * quarter.fewer, 1), round(quarter.treated_per_death)
    (9.5, 106)
    """
    made = []
    for part in parts:
        if not 0 < part <= 1:
            raise MetaAnalysisError(
                f"prevented_deaths() needs parts above 0 and at most 1, not {part!r}"
            )
        low, high = (part * limit for limit in burden.ci)
        fewer = part * burden.estimate
        made.append(
            Prevented(
                part,
                fewer,
                Interval(low, high),
                burden.estimate - fewer,
                1 / fewer,
                Interval(1 / high, 1 / low),
            )
        )
    return tuple(made)

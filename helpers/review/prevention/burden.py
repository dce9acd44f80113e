r"""Deaths from infection among the treated, with and without COVID-19, and a what-if.

A number of deaths is a share of the nonrelapse deaths times nonrelapse mortality: its mean across
cohorts, which is how many of 1,000 patients die, or its median, the pooled rate that the review
prints. The interval of the product is recovered from the limits of both
(`helpers.review.causes.shares.product_interval`).
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
from ...models.result import PoolResult
from ...views.interactive import Interactive
from ..causes import CauseShare, cause_rates, cause_share, cause_table
from ..causes.shares import product_interval

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
        treated = f"{number(self.treated_per_death)} ({limits_text(self.treated_ci)})"
        yield "treated per death", treated


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
            ci = product_interval(rate, limits, share.estimate, share.ci)
            product = rate * share.estimate
            found[which, average] = Burden(which, average, share, product, ci, fit.level)
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
        fewer, left = part * burden.estimate, burden.estimate - part * burden.estimate
        limits, treated = Interval(low, high), Interval(1 / high, 1 / low)
        made.append(Prevented(part, fewer, limits, left, 1 / fewer, treated))
    return tuple(made)


START = 0.25


def what_if(burden: Burden, nrm: PoolResult, *, name: str) -> Interactive:
    """Suppose that a part of the deaths from infection does not happen; the reader moves the part.

    Parameters
    ----------
    burden : Burden
        By the mean, of `infection_burden`.
    nrm : PoolResult
        Nonrelapse mortality of the same cohorts.
    name : str
        Id of its fixed picture.

    Examples
    --------
    >>> from helpers.review.causes import cause_rates
    >>> from helpers.review.prevention import infection_burden
    >>> whole = infection_burden()["all", "mean"]
    >>> made = what_if(whole, cause_rates(by="setting")["all"].nrm, name="what-if-picture")
    >>> made.data["start"], round(made.data["estimate"], 4)
    (0.25, 0.0379)
    """
    from .. import plots

    (quarter,) = prevented_deaths(burden, [START])
    others = nrm.mean_estimate - burden.estimate
    left, now = (printing.number(1000 * x, 0) for x in (quarter.left, burden.estimate))
    groups = {
        "died of infection": quarter.left,
        "were spared (assumed)": quarter.fewer,
        "died of other causes": others,
    }
    still = plots.show(
        plots.icon_array(groups, rest="were alive, or had relapse or progression first"),
        name,
        title="What if a quarter of the deaths from infection were prevented?",
        caption=(
            f"If one in four deaths from infection were prevented, {left} of 1,000 would die of "
            f"infection instead of {now}. A what-if, not an effect of any prophylaxis."
        ),
    )
    data = {
        "start": START,
        "estimate": float(f"{burden.estimate:.10g}"),
        "ci": [float(f"{limit:.10g}") for limit in burden.ci],
        "all": float(f"{nrm.mean_estimate:.10g}"),
        "label": "Deaths from infection prevented (assumed)",
        "labels": {
            "left": "Of 1,000, would die of infection",
            "fewer": f"Fewer ({printing.level_text(burden.level)} CI)",
            "treated": "Treated per death prevented",
            "all": "Nonrelapse deaths of 1,000",
        },
        "legend": (
            "Bar: nonrelapse deaths. Filled: of infection; dashed: prevented; grey: of other "
            "causes. Arithmetic, not an effect of any prophylaxis; the intervals show how sure the "
            "number of deaths is, not whether prevention works."
        ),
    }
    return Interactive("whatif", "What if a part of these deaths were prevented?", still, data)

"""Reported and crude nonrelapse mortality of the same cohorts."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from ... import printing
from ...engine.normal.intervals import Interval
from ...engine.shown import Shown
from ...errors import MetaAnalysisError


@dataclass(frozen=True, slots=True, repr=False)
class PairedRates(Shown):
    """Reported and crude nonrelapse mortality of the same cohorts."""

    #: ``cohort, reported, crude, difference`` (crude minus reported; fractions), ``month,
    #: follow_up`` (months; treat as read-only)
    rows: pd.DataFrame = field(repr=False, compare=False)
    k: int  # Cohorts that report a value
    #: Wilcoxon signed-rank test of the differences (exact when no differences tie or are zero)
    statistic: float
    p: float
    mean_difference: float  # Of the cohorts, crude minus reported
    ci: Interval  # Of the mean difference (t)
    limits: Interval  # 95% limits of agreement, mean -/+ 1.96 standard deviations


def reported_against_crude(cohorts: pd.DataFrame) -> PairedRates:
    """Compare what publications report with deaths over patients, cohort by cohort.

    Parameters
    ----------
    cohorts : DataFrame
        Cohorts with the columns of `helpers.load_cohorts`.

    Raises
    ------
    MetaAnalysisError
        Fewer than three cohorts report a value.

    Notes
    -----
    The two values of a cohort belong together, so the test is one of the differences (Wilcoxon
    1945, doi:10.2307/3001968); limits of agreement: Bland and Altman 1986,
    doi:10.1016/S0140-6736(86)90837-8. That a test finds no difference does not show agreement;
    the limits say how far the two may differ in one cohort.

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> found = reported_against_crude(load_cohorts())
    >>> found.k, round(found.p, 3)
    (14, 0.903)
    """
    from scipy.stats import wilcoxon

    from ...engine.distributions import t_ppf

    pairs = cohorts[cohorts["reported_nrm"].notna()]
    if len(pairs) < 3:
        raise MetaAnalysisError(
            f"{printing.counted(len(pairs), 'cohort')} with a reported value; expected at least 3"
        )
    crude = (pairs["nonrelapse_deaths"] / pairs["patients"]).astype(float)
    rows = pairs[["cohort"]].assign(
        reported=pairs["reported_nrm"].astype(float),
        crude=crude,
        difference=crude - pairs["reported_nrm"].astype(float),
        month=pairs["reported_nrm_month"],
        follow_up=pairs["median_follow_up_months"],
    )
    gaps = rows["difference"].to_numpy()
    test = wilcoxon(gaps)
    mean, sd, k = float(gaps.mean()), float(gaps.std(ddof=1)), len(gaps)
    half = float(t_ppf(0.975, k - 1)) * sd / k**0.5
    spread = 1.959963984540054 * sd
    return PairedRates(
        rows.reset_index(drop=True), k, float(test.statistic), float(test.pvalue), mean,
        Interval(mean - half, mean + half), Interval(mean - spread, mean + spread),
    )  # fmt: skip

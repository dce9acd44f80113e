"""The published tests of asymmetry, ranks and correlation, computed again from the counts.

Chi-squared tests of causes and the tests of the meta-regressions belong to their own rooms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ...checks.bias import egger
from ...evidence import load_cohorts, load_inferred_overlap, load_published
from ..decimals import prints_as
from .status import beside

__all__ = [
    "CORRELATION",
    "EGGER",
    "INFERRED",
    "RANK_SUM",
    "egger_comparison",
    "recompute",
    "recomputed_tests",
]

EGGER = "Egger regression"
RANK_SUM = "Wilcoxon rank sum (unpaired)"
CORRELATION = "Pearson correlation"
#: Subset whose cohorts the review does not name.
INFERRED = "no potential overlap"
_LARGE = 80  # "more than 80 patients"
_FEWEST = 3  # cohorts of a regression line


def egger_subset(subset: str, cohorts: pd.DataFrame) -> pd.DataFrame:
    """Choose the cohorts of one published Egger test; none that the table does not hold.

    >>> len(egger_subset("no potential overlap", load_cohorts()))
    45
    """
    if subset == "all cohorts":
        return cohorts
    if subset == f"more than {_LARGE} patients":
        return cohorts[cohorts["patients"] > _LARGE]
    if subset == INFERRED:
        gone = load_inferred_overlap()["cohort"]
        known = set(gone) <= set(cohorts["cohort"])  # or who else would be left out?
        return cohorts[~cohorts["cohort"].isin(gone)] if known else cohorts.head(0)
    return cohorts[(cohorts[["entity", "setting"]].astype(str) == subset).any(axis=1)]


def _egger(cohorts: pd.DataFrame) -> dict[str, float | None]:
    """Test logits on their standard errors, half an event where none is (Egger et al. 1997)."""
    events, n = cohorts["nonrelapse_deaths"], cohorts["patients"]
    found = egger(events=events, n=n, study=cohorts["cohort"])
    return {
        "statistic": found.statistic,
        "df1": found.df,
        "p": found.p,
        "estimate": found.bias,
        "estimate_se": found.se,
    }


def _rank_sum(cohorts: pd.DataFrame) -> dict[str, float | None]:
    """Test crude against reported rates as two independent samples; W counts the crude ones.

    Normal approximation with correction for ties and continuity. The rates are paired, which the
    published test ignores.
    """
    from scipy.stats import mannwhitneyu

    crude = (cohorts["nonrelapse_deaths"] / cohorts["patients"]).to_numpy(float)
    found = mannwhitneyu(crude, cohorts["reported_nrm"].to_numpy(float), method="asymptotic")
    return {"statistic": float(found.statistic), "p": float(found.pvalue)}


def _correlation(cohorts: pd.DataFrame) -> dict[str, float | None]:
    """Correlate crude rate and median follow-up, each cohort counted once whatever its size."""
    from scipy.stats import pearsonr

    crude = (cohorts["nonrelapse_deaths"] / cohorts["patients"]).to_numpy(float)
    found = pearsonr(cohorts["median_follow_up_months"].to_numpy(float), crude)
    r, df = float(found.statistic), float(len(cohorts) - 2)
    t = r * (df / (1.0 - r**2)) ** 0.5
    return {"statistic": t, "df1": df, "p": float(found.pvalue), "estimate": r}


def recompute(line: Mapping[str, Any], data: pd.DataFrame | None = None) -> dict[str, float | None]:
    """Compute a row of ``load_published("tests")`` again, by column of that table.

    Empty for tests of other rooms, and where a reader's table holds too few of the cohorts.
    """
    cohorts = load_cohorts() if data is None else data
    if line["test"] == EGGER:
        compute, chosen = _egger, egger_subset(line["subset"], cohorts)
    elif line["test"] == RANK_SUM:
        compute, chosen = _rank_sum, cohorts[cohorts["reported_nrm"].notna()]
    elif line["test"] == CORRELATION:
        compute, chosen = _correlation, cohorts[cohorts["median_follow_up_months"].notna()]
    else:
        return {}
    if len(chosen) < _FEWEST:
        return {}
    columns = ("cohorts", "statistic", "df1", "p", "estimate", "estimate_se")
    return {**dict.fromkeys(columns), "cohorts": len(chosen), **compute(chosen)}


def recomputed_tests(cohorts: pd.DataFrame | None = None) -> pd.DataFrame:
    """Compute every published Egger test, the rank sum and the correlation again.

    Parameters
    ----------
    cohorts : DataFrame, optional
        The cohorts; default ``load_cohorts()``.

    Returns
    -------
    DataFrame
        One row per printed number of a subset that the table contains: ``test, subset, quantity``
        (cohorts, statistic, df, p, estimate, estimate_se), ``ours, published, printed`` (text),
        ``agrees`` (rounded like the printed number, ours is that number), ``inferred``.

    Examples
    --------
    >>> rows = recomputed_tests()
    >>> sorted(set(rows["test"])), bool(rows["agrees"].all())
    (['Egger regression', 'Pearson correlation', 'Wilcoxon rank sum (unpaired)'], True)
    """
    table = pd.DataFrame(beside("tests", lambda line: recompute(line, cohorts)))
    agrees = [prints_as(*pair) for pair in zip(table["ours"], table["printed"], strict=True)]
    table = table.drop(columns="line")
    return table.assign(agrees=agrees, inferred=table["subset"] == INFERRED)


def egger_comparison(cohorts: pd.DataFrame | None = None) -> pd.DataFrame:
    """Compare the published Egger tests with ours, one row per test.

    Parameters
    ----------
    cohorts : DataFrame, optional
        The cohorts; default ``load_cohorts()``.

    Returns
    -------
    DataFrame
        Of the subsets that the table contains: ``subset`` (marked where its cohorts were inferred),
        ``cohorts, bias, published_bias, p, published_p``; published numbers as printed.

    Examples
    --------
    >>> egger_comparison()["subset"].iloc[-1]
    'no potential overlap (inferred)'
    """
    lines: list[dict[str, Any]] = load_published("tests").query("test == @EGGER").to_dict("records")  # type: ignore[assignment]
    rows = []
    for line in lines:
        found = recompute(line, cohorts)
        if not found:
            continue
        rows.append(
            {
                "subset": line["subset"] + (" (inferred)" if line["subset"] == INFERRED else ""),
                "cohorts": found["cohorts"],
                "bias": found["estimate"],
                "published_bias": line["estimate_printed"],
                "p": found["p"],
                "published_p": line["p_printed"],
            }
        )
    return pd.DataFrame(rows)

"""The published tests of asymmetry, ranks and correlation, computed again from the counts.

Chi-squared tests of causes and the tests of the meta-regressions belong to their own rooms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ...checks.bias import BiasTest, egger
from ...errors import MetaAnalysisError, UnsupportedError
from ...evidence import load_cohorts, load_inferred_overlap, load_published
from ..decimals import prints_as
from .comparison import beside

__all__ = [
    "CORRELATION",
    "EGGER",
    "INFERRED",
    "RANK_SUM",
    "RecomputedTest",
    "egger_comparison",
    "egger_subset",
    "published_egger",
    "recompute",
    "recomputed_test",
    "recomputed_tests",
]

EGGER = "Egger regression"
RANK_SUM = "Wilcoxon rank sum (unpaired)"
CORRELATION = "Pearson correlation"
#: Subset whose cohorts the review does not name.
INFERRED = "no potential overlap"
_OTHER = {RANK_SUM: "reported vs crude NRM", CORRELATION: "follow-up and crude NRM"}
_LARGE = 80  # "more than 80 patients"
_BY = ("entity", "setting")  # subsets are levels of these
_FEWEST = 3  # cohorts of a regression line


@dataclass(frozen=True, slots=True)
class RecomputedTest:
    """One published test, computed again.

    Attributes
    ----------
    test, subset : str
        As in ``load_published("tests")``.
    k : int
        Cohorts that take part.
    statistic : float
        The statistic that was printed: t, or W.
    statistic_name : str
        "t" or "W".
    df : float or None
        Degrees of freedom of t.
    p : float
        Two-sided p-value.
    estimate, estimate_se : float or None
        What the test estimates (the bias of Egger's test; the correlation r) and its standard
        error, where the review prints them.
    inferred : bool
        Whether the choice of cohorts was inferred from the printed result, so that agreement
        proves nothing.
    """

    test: str
    subset: str
    k: int
    statistic: float
    statistic_name: str
    df: float | None
    p: float
    estimate: float | None = None
    estimate_se: float | None = None
    inferred: bool = False


def egger_subset(subset: str, data: pd.DataFrame | None = None) -> pd.DataFrame:
    """Choose the cohorts of one published Egger test.

    Parameters
    ----------
    subset : str
        "all cohorts", a disease, a setting, "more than 80 patients", or
        "no potential overlap" (inferred, see `helpers.load_inferred_overlap`).
    data : DataFrame, optional
        The cohorts; default ``load_cohorts()``.

    Raises
    ------
    UnsupportedError
        No such subset.
    MetaAnalysisError
        A cohort that was left out for overlap is not in `data`.

    Examples
    --------
    >>> len(egger_subset("no potential overlap")), len(egger_subset("MCL"))
    (45, 5)
    """
    cohorts = load_cohorts() if data is None else data
    if subset == "all cohorts":
        return cohorts
    if subset == f"more than {_LARGE} patients":
        return cohorts[cohorts["patients"] > _LARGE]
    if subset == INFERRED:
        gone = set(load_inferred_overlap()["cohort"])
        lost = sorted(gone - set(cohorts["cohort"]))
        if lost:
            raise MetaAnalysisError(f"cohorts to leave out are not in the data: {', '.join(lost)}")
        return cohorts[~cohorts["cohort"].isin(gone)]
    for column in _BY:
        chosen = cohorts[cohorts[column].astype(str) == subset]
        if len(chosen):
            return chosen
    raise UnsupportedError(
        f"subset={subset!r}: expected all cohorts, a disease, a setting, "
        f"more than {_LARGE} patients, or {INFERRED}"
    )


def published_egger(subset: str, data: pd.DataFrame | None = None) -> BiasTest:
    """Compute one published Egger test: logits on standard errors, half an event where none is.

    Parameters
    ----------
    subset, data
        As in `egger_subset`.

    Returns
    -------
    BiasTest

    References
    ----------
    Egger M et al. (1997), doi:10.1136/bmj.315.7109.629.

    Examples
    --------
    >>> test = published_egger("all cohorts")
    >>> f"{test.bias:.4f} {test.se:.4f} {test.p:.4f}"
    '-1.2086 0.4061 0.0045'
    """
    chosen = egger_subset(subset, data)
    return egger(events=chosen["nonrelapse_deaths"], n=chosen["patients"], study=chosen["cohort"])


def recomputed_test(test: str, subset: str, cohorts: pd.DataFrame | None = None) -> RecomputedTest:
    """Compute one published test of this room again.

    Parameters
    ----------
    test : {"Egger regression", "Wilcoxon rank sum (unpaired)", "Pearson correlation"}
        Name in ``load_published("tests")``.
    subset : str
        As there.
    cohorts : DataFrame, optional
        The cohorts; default ``load_cohorts()``.

    Returns
    -------
    RecomputedTest

    Raises
    ------
    UnsupportedError
        Another test (chi-squared, permutation), or a subset that it was not printed for.

    Notes
    -----
    Rank sum: crude against reported rates of the cohorts that report one, as two independent
    samples, W counted for the crude rates, normal approximation with correction for ties and
    continuity. The rates are paired, which the published test ignores. Correlation: crude rate
    and median follow-up, each cohort counted once whatever its size.

    Examples
    --------
    >>> found = recomputed_test("Pearson correlation", "follow-up and crude NRM")
    >>> found.k, round(found.estimate, 4), round(found.p, 4)
    (51, 0.2589, 0.0666)
    """
    if test == EGGER:
        line = published_egger(subset, cohorts)
        own = (line.k, line.statistic, line.statistic_name, line.df, line.p, line.bias, line.se)
        return RecomputedTest(test, subset, *own, inferred=subset == INFERRED)
    if _OTHER.get(test) != subset:
        raise UnsupportedError(f"{test!r} of {subset!r} is not a published test of this room")
    cohorts = load_cohorts() if cohorts is None else cohorts
    return RecomputedTest(test, subset, *(_rank_sum if test == RANK_SUM else _correlation)(cohorts))


def _rank_sum(cohorts: pd.DataFrame) -> tuple[int, float, str, None, float]:
    from scipy.stats import mannwhitneyu

    pairs = cohorts[cohorts["reported_nrm"].notna()]
    crude = (pairs["nonrelapse_deaths"] / pairs["patients"]).to_numpy(float)
    found = mannwhitneyu(crude, pairs["reported_nrm"].to_numpy(float), method="asymptotic")
    return len(pairs), float(found.statistic), "W", None, float(found.pvalue)


def _correlation(cohorts: pd.DataFrame) -> tuple[int, float, str, float, float, float]:
    from scipy.stats import pearsonr

    known = cohorts[cohorts["median_follow_up_months"].notna()]
    crude = (known["nonrelapse_deaths"] / known["patients"]).to_numpy(float)
    found = pearsonr(known["median_follow_up_months"].to_numpy(float), crude)
    r, df = float(found.statistic), float(len(known) - 2)
    return len(known), r * (df / (1.0 - r**2)) ** 0.5, "t", df, float(found.pvalue), r


def _held(test: str, subset: str, cohorts: pd.DataFrame | None) -> bool:
    """Say whether a table has what a published test needs: three of its cohorts, or more."""
    if cohorts is None:
        return True
    if test == EGGER and subset == INFERRED:
        return set(load_inferred_overlap()["cohort"]) <= set(cohorts["cohort"])
    if test == EGGER and subset not in ("all cohorts", f"more than {_LARGE} patients"):
        return sum(int((cohorts[by].astype(str) == subset).sum()) for by in _BY) >= _FEWEST
    known = {RANK_SUM: "reported_nrm", CORRELATION: "median_follow_up_months"}.get(test)
    part = cohorts if known is None else cohorts[cohorts[known].notna()]
    large = part["patients"] > (_LARGE if subset.startswith("more than") else 0)
    return int(large.sum()) >= _FEWEST


def recompute(line: Mapping[str, Any], data: pd.DataFrame | None = None) -> dict[str, float | None]:
    """Compute a row of ``load_published("tests")`` again.

    Empty for tests of other rooms, and of a subset that a reader's table does not hold.
    """
    if line["test"] not in (EGGER, *_OTHER) or not _held(line["test"], line["subset"], data):
        return {}
    found = recomputed_test(line["test"], line["subset"], data)
    names = {"cohorts": "k", "df1": "df"}
    columns = ("cohorts", "statistic", "df1", "p", "estimate", "estimate_se")
    return {name: getattr(found, names.get(name, name)) for name in columns}


def recomputed_tests(cohorts: pd.DataFrame | None = None) -> pd.DataFrame:
    """Compute every published Egger test, the rank sum and the correlation again.

    Parameters
    ----------
    cohorts : DataFrame, optional
        The cohorts; default ``load_cohorts()``.

    Returns
    -------
    DataFrame
        One row per printed number of a subset that the table holds: ``test, subset, quantity``
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
    table = table.drop(columns=["relation", "line"])
    return table.assign(agrees=agrees, inferred=table["subset"] == INFERRED)


def egger_comparison(cohorts: pd.DataFrame | None = None) -> pd.DataFrame:
    """Put the published Egger tests beside ours, one row per test.

    Parameters
    ----------
    cohorts : DataFrame, optional
        The cohorts; default ``load_cohorts()``.

    Returns
    -------
    DataFrame
        Of the subsets that the table holds: ``subset`` (marked where its cohorts were inferred),
        ``cohorts, bias, published_bias, p,
        published_p``; published numbers as printed.

    Examples
    --------
    >>> egger_comparison()["subset"].iloc[-1]
    'no potential overlap (INFERRED)'
    """
    rows = []
    for line in load_published("tests").query("test == @EGGER").to_dict("records"):
        if not _held(EGGER, line["subset"], cohorts):
            continue
        found = recomputed_test(EGGER, line["subset"], cohorts)
        rows.append(
            {
                "subset": line["subset"] + (" (INFERRED)" if found.inferred else ""),
                "cohorts": found.k,
                "bias": found.estimate,
                "published_bias": line["estimate_printed"],
                "p": found.p,
                "published_p": line["p_printed"],
            }
        )
    return pd.DataFrame(rows)

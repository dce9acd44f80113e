"""Tables of subgroup analyses and meta-regressions, ready for the page."""

from __future__ import annotations

import pandas as pd

from .. import printing
from ..views.tables import Table, numbers
from .subject import SUBJECT

_WORDS = {"entity": "disease"}


def subgroup_rows_table(rows: pd.DataFrame) -> Table:
    """Print the pooled groups of the published subgroup analyses.

    Parameters
    ----------
    rows : DataFrame
        As `helpers.review.moderators.subgroup_rows` gives it.

    Examples
    --------
    >>> from helpers.review.moderators import subgroup_rows
    >>> subgroup_rows_table(subgroup_rows()).name
    'all-groups'
    """
    analyses = list(dict.fromkeys(rows["analysis"]))
    levels = SUBJECT.in_order(rows["level"].unique())
    rows = rows.assign(
        first=rows["analysis"].map(analyses.index), then=rows["level"].map(levels.index)
    ).sort_values(["first", "then"], ignore_index=True)
    shown = rows.assign(
        analysis=rows["analysis"].replace(_WORDS),
        counts=[
            f"{printing.count(events)}/{printing.count(n)}"
            for events, n in zip(rows["events"], rows["n"], strict=True)
        ],
        ci=[
            printing.between(100 * low, 100 * high)
            for low, high in zip(rows["lower"], rows["upper"], strict=True)
        ],
    )
    return numbers(
        shown,
        "Every published group, computed from the cohort table",
        {
            "analysis": "",
            "level": ("Group", ""),
            "cohorts": "",
            "counts": ("Deaths/patients", ""),
            "estimate": "percent",
            "ci": ("95% CI", ""),
            "common_effect": "percent",
            "tau2": "number3",
        },
        groups="analysis",
        notes=[
            "Estimate: binomial-normal GLMM with its own τ² in each group. Common effect: "
            "binomial likelihood."
        ],
        name="all-groups",
    )


def subgroup_tests_table(tests: pd.DataFrame) -> Table:
    """Print the tests between groups beside each other.

    Parameters
    ----------
    tests : DataFrame
        As `helpers.review.moderators.subgroup_tests` gives it.

    Examples
    --------
    >>> from helpers.review.moderators import subgroup_tests
    >>> subgroup_tests_table(subgroup_tests(["setting"])).name
    'tests-between-groups'
    """
    shown = tests.assign(analysis=tests["analysis"].replace(_WORDS))
    return numbers(
        shown,
        "One question, several tests: p-values between groups",
        {
            "analysis": "",
            "groups": "",
            "smallest": ("Fewest", ""),
            "zero_tau2": ("τ² zero", ""),
            "separate": ("Published", "p"),
            "calibrated": "p",
            "common": ("One τ²", "p"),
            "likelihood_ratio": ("LR", "p"),
            "inverse_variance": ("REML", "p"),
            "holm": "p",
        },
        notes=[
            "Fewest: cohorts in the smallest group. τ² zero: groups whose τ² is estimated as zero. "
            "Published: Wald-type test, own τ² in each group. Calibrated: share of data sets "
            "simulated without a difference whose published test is at least as extreme. "
            "One τ²: the published test with one τ²; LR: likelihood ratio of equal means with one "
            "τ². REML: inverse variances, own τ². Holm: calibrated p-values adjusted for their "
            "number."
        ],
        name="tests-between-groups",
    )


def regressions_table(overview: pd.DataFrame) -> Table:
    """Print the published regressions, one line each.

    Parameters
    ----------
    overview : DataFrame
        As `helpers.review.moderators.regression_overview` gives it.

    Examples
    --------
    >>> from helpers.review.moderators import regression_overview
    >>> regressions_table(regression_overview(draws=19)).name
    'regressions'
    """
    statistic = [
        f"{printing.number(row['F'])} ({printing.count(row['df1'])}, {printing.count(row['df2'])})"
        for row in overview.to_dict("records")
    ]
    cohorts = [
        f"{printing.count(k)} ({printing.number(each, 1)})"
        for k, each in zip(overview["cohorts"], overview["per_coefficient"], strict=True)
    ]
    return numbers(
        overview.assign(statistic=statistic, cohorts=cohorts),
        "The twelve published regressions, with other tests of the same moderators",
        {
            "model": "",
            "cohorts": "",
            "tau2": "number3",
            "R2": (f"R²{printing.IN_PERCENT}", "number1"),
            "statistic": ("F (df)", ""),
            "p": "p",
            "permutation": ("permuted", "p"),
            "glmm": ("GLMM", "p"),
        },
        notes=[
            "Cohorts: in parentheses for each coefficient. p: F test of all moderators; permuted: "
            "the same by permutation; GLMM: F test of Wald type in the binomial GLMM."
        ],
        name="regressions",
    )


def variants_table(variants: pd.DataFrame, caption: str, name: str) -> Table:
    """Print one coefficient under several ways to fit and test.

    Parameters
    ----------
    variants : DataFrame
        As `helpers.review.moderators.coefficient_variants` gives it.
    caption, name : str
        As in `helpers.tables.table`.

    Examples
    --------
    >>> from helpers.review.moderators import coefficient_variants, regression_variants
    >>> made = coefficient_variants(regression_variants("MM: product"), "product[T.ide-cel]")
    >>> variants_table(made, "Ide-cel versus cilta-cel", "ide-cel").name
    'ide-cel'
    """
    ci = [
        None if pd.isna(low) else printing.between(low, high, 2)
        for low, high in zip(variants["lower"], variants["upper"], strict=True)
    ]
    lost = variants[variants["reason"] != ""]
    return numbers(
        variants.assign(ci=pd.array(ci, dtype=object)),
        caption,
        {
            "variant": "",
            "odds_ratio": "",
            "ci": ("95% CI", ""),
            "p": "p",
            "factor": ("p of its factor", "p"),
            "omnibus": ("p of all factors", "p"),
        },
        notes=[
            f"{variant}: {str(reason).removesuffix('.')}."
            for variant, reason in lost[["variant", "reason"]].to_numpy()
        ],
        name=name,
    )

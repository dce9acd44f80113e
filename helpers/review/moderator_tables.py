"""Tables of subgroup analyses and meta-regressions, ready for the page."""

from __future__ import annotations

import pandas as pd

from .. import printing
from ..views.tables import Table, numbers, of_rows
from .subject import SUBJECT


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
    places = pd.DataFrame(
        {"first": rows["analysis"].map(analyses.index), "then": rows["level"].map(levels.index)}
    )
    return of_rows(
        rows.loc[places.sort_values(["first", "then"]).index],
        "Every published group, computed from the cohort table",
        {
            "Analysis": lambda row: printing.readable(row["analysis"]),
            "Group": "level",
            "Cohorts": "cohorts",
            "Deaths/patients": "{events:,}/{n:,}".format_map,
            "Estimate": ("estimate", "percent"),
            "95% CI": lambda row: printing.between(100 * row["lower"], 100 * row["upper"]),
            "Common effect": ("common_effect", "percent"),
            "τ²": ("tau2", "number3"),
        },
        groups="Analysis",
        notes=[
            "Estimate: binomial-normal GLMM with its own τ² in each group. Common effect: "
            "binomial likelihood."
        ],
        name="all-groups",
    )


def subgroup_tests_table(tests: pd.DataFrame) -> Table:
    """Print the tests between groups side by side.

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
    shown = tests.assign(analysis=tests["analysis"].map(printing.readable))
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
    return of_rows(
        overview,
        "The twelve published regressions, with other tests of the same moderators",
        {
            "Model": "model",
            "Cohorts": lambda row: (
                f"{printing.count(row['cohorts'])} ({printing.number(row['per_coefficient'], 1)})"
            ),
            "τ²": ("tau2", "number3"),
            f"R²{printing.IN_PERCENT}": ("R2", "number1"),
            "F (df)": lambda row: (
                f"{printing.number(row['F'])} "
                f"({printing.count(row['df1'])}, {printing.count(row['df2'])})"
            ),
            "p": ("p", "p"),
            "permuted": ("permutation", "p"),
            "GLMM": ("glmm", "p"),
        },
        notes=[
            "Cohorts: in parentheses for each coefficient. p: F test of all moderators; permuted: "
            "the same by permutation; GLMM: Wald-type F test in the binomial GLMM."
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
    lost = variants[variants["reason"] != ""]
    return of_rows(
        variants,
        caption,
        {
            "Variant": "variant",
            "Odds ratio": "odds_ratio",
            "95% CI": lambda row: (
                None if pd.isna(row["lower"]) else printing.between(row["lower"], row["upper"], 2)
            ),
            "p": ("p", "p"),
            "p of its factor": ("factor", "p"),
            "p of all factors": ("omnibus", "p"),
        },
        notes=[
            f"{variant}: {str(reason).removesuffix('.')}."
            for variant, reason in lost[["variant", "reason"]].to_numpy()
        ],
        name=name,
    )

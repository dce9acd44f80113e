"""Questions asked of the published moderator analyses, and whether the way of testing matters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from ..engine.robust import TooFewClustersError
from ..errors import MetaAnalysisError
from ..evidence import load_cohorts
from ..models.regression_result import RegressionResult
from ..shared_results import shared_in_a_build
from .published.models import (
    PERMUTATIONS,
    published_analyses,
    published_models,
    published_permutation,
    published_regression,
    published_subgroup,
)

#: Ways to fit and test the same regression, the published one first.
VARIANTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "published: ML, Knapp-Hartung": {},
        "ML, Knapp-Hartung, factor at least 1": {"ci_method": "knapp-hartung-max1"},
        "ML, normal distribution": {"ci_method": "wald"},
        "REML, Knapp-Hartung": {"tau2_method": "REML"},
        "ML, robust (CR2), cohort as cluster": {"cluster": "cohort", "robust": "CR2"},
        "ML, Knapp-Hartung, 0.1 added": {"add": 0.1},
        "ML, Knapp-Hartung, 0.5 added to all": {"to": "all"},
        "binomial GLMM, normal distribution": {"model": "glmm", "ci_method": "wald"},
        "binomial GLMM, t distribution": {"model": "glmm", "ci_method": "t"},
    }
)


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to fit a regression."""

    name: str  # What was done
    fit: RegressionResult | None  # The result
    reason: str = ""  # Why there is none; empty when there is


def adjusted(p: Iterable[float]) -> list[float]:
    """Adjust p-values for their number by Holm's step-down method.

    Source: Holm 1979, Scandinavian Journal of Statistics 6:65-70 (no DOI).

    Examples
    --------
    >>> adjusted([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    from statsmodels.stats.multitest import multipletests

    return [float(value) for value in multipletests(list(p), method="holm")[1]]


def false_alarm(tests: int, level: float = 0.05) -> float:
    """Chance of at least one p-value below the level among independent tests of nothing.

    Examples
    --------
    >>> round(false_alarm(14), 3)
    0.512
    """
    return 1.0 - (1.0 - level) ** tests


def subgroup_tests(
    analyses: Sequence[str] | None = None,
    cohorts: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Test each published subgroup comparison in several ways.

    Parameters
    ----------
    analyses : sequence of str, optional
        Names of `published_analyses`, which is the default.
    cohorts : DataFrame, optional
        Cohorts; the book's by default.

    Returns
    -------
    DataFrame
        One row for each analysis: groups, smallest (cohorts in the smallest group), separate
        (p of the published Wald-type test, each group with its own tau2), calibrated (p of that
        test from data sets simulated without a difference), rejection (share of them in which the
        test rejects at 5%), common (the test with one tau2), likelihood_ratio (of equal means,
        with one tau2), inverse_variance (Wald-type, REML with its own tau2 in each group), holm
        (`calibrated` adjusted for the number of rows), zero_tau2 (groups whose tau2 is estimated as
        zero).

    Examples
    --------
    >>> subgroup_tests(["setting"])[["separate", "common"]].round(3).values.tolist()
    [[0.224, 0.199]]
    """
    rows = []
    for name in analyses or published_analyses():
        separate = published_subgroup(name, cohorts)
        common = published_subgroup(name, cohorts, group_tau2="common")
        normal = published_subgroup(name, cohorts, model="random", tau2_method="REML")
        fits = list(separate.groups.values())
        found = separate.calibrated_test()
        rows.append(
            {
                "analysis": name,
                "groups": len(fits),
                "smallest": min(fit.k for fit in fits),
                "zero_tau2": sum(fit.tau2 == 0.0 for fit in fits),
                "separate": separate.test.p,
                "calibrated": found.p,
                "rejection": found.rejection,
                "common": common.test.p,
                "likelihood_ratio": common.likelihood_ratio_test().p,
                "inverse_variance": normal.test.p,
            }
        )
    frame = pd.DataFrame(rows)
    return frame.assign(holm=adjusted(frame["calibrated"]))


def regression_overview(
    cohorts: pd.DataFrame | None = None,
    *,
    draws: int = PERMUTATIONS,
) -> pd.DataFrame:
    """Fit the twelve published regressions and permute their moderators.

    Parameters
    ----------
    cohorts : DataFrame, optional
        Cohorts; the book's by default.
    draws : int
        As in `helpers.review.published.models.published_permutation`.

    Returns
    -------
    DataFrame
        One row for each model: model, cohorts, coefficients (of moderators), per_coefficient
        (cohorts for each), tau2, R2 (percent), F, df1, df2, p (F test), permutation (p of the
        same statistic by permutation), glmm (p of the Wald F test in the binomial GLMM).

    Examples
    --------
    >>> frame = regression_overview(draws=19)
    >>> bool(frame["per_coefficient"].min() == 11 / 5)
    True
    """
    rows = []
    for name in published_models():
        fit = published_regression(name, cohorts)
        test, number = fit.omnibus, fit.p - 1
        rows.append(
            {
                "model": name,
                "cohorts": fit.k,
                "coefficients": number,
                "per_coefficient": fit.k / number,
                "tau2": fit.tau2,
                "R2": fit.R2,
                "F": test.statistic,
                "df1": test.df,
                "df2": int(fit.df[0]),
                "p": test.p,
                "permutation": published_permutation(name, cohorts, draws=draws).p,
                "glmm": published_regression(name, cohorts, model="glmm", ci_method="t").omnibus.p,
            }
        )
    return pd.DataFrame(rows)


def regression_variants(name: str, cohorts: pd.DataFrame | None = None) -> list[Variant]:
    """Fit one published regression in every way of `VARIANTS`.

    Parameters
    ----------
    name : str
        One of `published_models`.
    cohorts
        As in `helpers.review.published.models.published_regression`.

    Returns
    -------
    list of Variant
        A way that these data do not allow is kept with the reason.

    Examples
    --------
    >>> made = regression_variants("MM: all factors")
    >>> [v.name for v in made if "no-omnibus" in [c.code for c in v.fit.cautions]]
    ['ML, robust (CR2), cohort as cluster']
    """
    made = []
    for words, options in VARIANTS.items():
        try:
            fit = published_regression(name, cohorts, **options)
        except MetaAnalysisError as error:
            made.append(Variant(words, None, str(error)))
        else:
            made.append(Variant(words, fit))
    return made


def coefficient_variants(variants: Iterable[Variant], term: str) -> pd.DataFrame:
    """Follow one coefficient, its term and the omnibus test through the variants.

    Parameters
    ----------
    variants : iterable of Variant
        As `regression_variants` gives them.
    term : str
        Name of the coefficient, such as ``"product[T.ide-cel]"``.

    Returns
    -------
    DataFrame
        variant, odds_ratio, lower, upper, p (of the coefficient), factor (p of all coefficients
        of its factor), omnibus (p of all moderators), reason. What a variant does not have is
        missing, and the reason says why.

    Raises
    ------
    MetaAnalysisError
        When a fit has no such coefficient.

    Examples
    --------
    >>> frame = coefficient_variants(regression_variants("MM: product"), "product[T.ide-cel]")
    >>> bool((frame["odds_ratio"] < 0.5).all())
    True
    """
    rows = []
    for variant in variants:
        row: dict[str, Any] = {"variant": variant.name, "reason": variant.reason}
        if (fit := variant.fit) is not None:
            if term not in fit.names:
                names = ", ".join(fit.names)
                raise MetaAnalysisError(f"no coefficient {term!r}; the coefficients are {names}")
            line: Any = fit.coefficients.loc[term]
            ratios = {"odds_ratio": "estimate", "lower": "ci_lower", "upper": "ci_upper"}
            row |= {name: float(np.exp(line[column])) for name, column in ratios.items()}
            row |= {"p": float(line["p"]), "factor": _factor_p(fit, term.partition("[")[0])}
            row["omnibus"] = fit.omnibus.p
            row["reason"] = " ".join(c.message for c in fit.cautions if c.code == "no-omnibus")
        rows.append(row)
    columns = ["variant", "odds_ratio", "lower", "upper", "p", "factor", "omnibus", "reason"]
    return pd.DataFrame(rows, columns=columns)


def _factor_p(fit: RegressionResult, factor: str) -> float:
    """P-value of all coefficients of a factor; NaN with too few clusters for a joint test."""
    try:
        return fit.test_terms(factor).p
    except TooFewClustersError:
        return float("nan")


def subgroup_rows(cohorts: pd.DataFrame | None = None) -> pd.DataFrame:
    """Pool every group of the published subgroup analyses.

    Parameters
    ----------
    cohorts : DataFrame, optional
        Cohorts; the book's by default.

    Returns
    -------
    DataFrame
        One row for each group (41; the pooling of all cohorts is not among them): analysis,
        level, cohorts, events, n, estimate, lower, upper (random effects), common_effect, tau2.

    Examples
    --------
    >>> subgroup_rows()["analysis"].nunique()
    14
    """
    return _subgroup_rows(load_cohorts() if cohorts is None else cohorts)


@shared_in_a_build
def _subgroup_rows(cohorts: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for name in published_analyses():
        common = published_subgroup(name, cohorts, model="common", method="likelihood").groups
        for level, fit in published_subgroup(name, cohorts):
            row = {"analysis": name, "level": level, "cohorts": fit.k}
            row |= {"events": int(fit.events or 0), "n": int(fit.n or 0)}
            row |= {"estimate": fit.estimate, "lower": fit.ci.lower, "upper": fit.ci.upper}
            rows.append(row | {"common_effect": common[level].estimate, "tau2": fit.tau2})
    return pd.DataFrame(rows)

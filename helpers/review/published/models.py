"""The published analyses on our data: which cohorts, which groups, which formula.

One place defines the subgroup analyses behind the 42 rows of ``published_pooled`` and the twelve
models of ``published_regressions``. Every function takes other data (a corrected table) and
other options (another model), so that audit and sensitivity analyses ask the same questions.

What the published analysis does, and what differs from analysis to analysis:

* Subgroups: a binomial-normal GLMM with its own between-study variance in each group; the p-value
  between groups is that of the Wald-type Q of the groups' means. The published common-effect
  columns are ``published_fits(analysis, model="common", method="likelihood")``.
* Regressions: logits with half an event added to both cells of a cohort without a death,
  maximum likelihood for tau2, Knapp-Hartung tests.
* Cohorts that mix two products are left out of every regression, of comparisons of products
  within a disease, and of follow-up in LBCL, but not of the other subgroup analyses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd

from ...engine.aftercare.coefficient_permutation import PermutationTest
from ...errors import UnsupportedError
from ...evidence import load_cohorts, load_published
from ...evidence.tables import is_published
from ...models.pooling import pool
from ...models.regression import meta_regression
from ...models.regression_result import RegressionResult
from ...models.result import PoolResult
from ...models.subgroup_analysis import SubgroupResult, subgroups
from ..choices import COLUMNS, PUBLISHED_POOLING, PUBLISHED_REGRESSION

__all__ = [
    "ALL_COHORTS",
    "FOLLOW_UP_CUT",
    "PERMUTATIONS",
    "PERMUTATION_SEED",
    "published_analyses",
    "published_fits",
    "published_models",
    "published_permutation",
    "published_regression",
    "published_subgroup",
    "regression_cohorts",
]

#: Months of median follow-up above which a cohort counts as followed long.
FOLLOW_UP_CUT: Mapping[str, float] = MappingProxyType({"LBCL": 13.0, "MM": 13.3})
#: Random arrangements and seed of every permutation test of a published regression in the book.
PERMUTATIONS = 20_000
PERMUTATION_SEED = 20_241
#: The analysis without groups.
ALL_COHORTS = "all cohorts"


@dataclass(frozen=True, slots=True)
class PublishedSubgroup:
    """One published subgroup analysis, as in ``load_published("pooled")``."""

    analysis: str
    by: str  # column of `subgroup_cohorts` that holds the groups
    entity: str | None  # of the cohorts; None for all
    levels: tuple[str, ...]  # groups in published order
    mixed: bool  # whether cohorts that mix two products take part


@dataclass(frozen=True, slots=True)
class PublishedRegression:
    """One published regression model, as in ``load_published("regressions")``."""

    model: str
    entity: str
    formula: str  # moderators, as columns of `regression_cohorts`
    reference: Mapping[str, str]  # level of each factor
    terms: Mapping[str, str]  # name of each coefficient here -> its name in the published table


@cache
def _table(name: Literal["pooled", "regressions", "coefficients"]) -> pd.DataFrame:
    """Read a published table once; nobody here changes it."""
    return load_published(name)


@cache
def published_analyses() -> tuple[str, ...]:
    """Names of the published subgroup analyses, without the pooling of all cohorts.

    Examples
    --------
    >>> published_analyses()[:3], len(published_analyses())
    (('entity', 'product', 'single product'), 14)
    """
    names = dict.fromkeys(_table("pooled")["analysis"])
    return tuple(name for name in names if name != ALL_COHORTS)


@cache
def published_models() -> tuple[str, ...]:
    """Names of the published regression models.

    Examples
    --------
    >>> published_models()[0], len(published_models())
    ('LBCL: product', 12)
    """
    return tuple(_table("regressions")["model"])


def _known(name: str, names: tuple[str, ...], what: str) -> None:
    if name not in names:
        raise UnsupportedError(f"no published {what} {name!r}; there are {', '.join(names)}")


def _split(name: str) -> tuple[str | None, str]:
    entity, _, topic = name.rpartition(": ")
    return entity or None, topic


def follow_up_levels(entity: str) -> tuple[str, str]:
    """Names of the two follow-up groups of a disease: not above the cut, and above it.

    >>> follow_up_levels("MM")
    ('13.3 months or less', 'above 13.3 months')
    """
    cut = FOLLOW_UP_CUT[entity]
    return f"{cut:.1f} months or less", f"above {cut:.1f} months"


@cache
def subgroup_definition(analysis: str) -> PublishedSubgroup:
    """Give the definition of a published subgroup analysis.

    >>> one = subgroup_definition("LBCL: follow-up")
    >>> one.by, one.levels, one.mixed
    ('follow_up', ('above 13.0 months', '13.0 months or less'), False)
    """
    _known(analysis, published_analyses(), "subgroup analysis")
    entity, topic = _split(analysis)
    pooled = _table("pooled")
    levels = tuple(pooled.loc[pooled["analysis"] == analysis, "level"])
    by = {"enrolment": "enrolment_ended", "single product": "product"}.get(topic, topic)
    by = by.replace("-", "_").replace(" ", "_")
    only_single = analysis in ("single product", "LBCL: product", "MM: product", "LBCL: follow-up")
    return PublishedSubgroup(analysis, by, entity, levels, mixed=not only_single)


@cache
def regression_definition(model: str) -> PublishedRegression:
    """Give the definition of a published regression model.

    >>> one = regression_definition("MM: product")
    >>> one.formula, dict(one.reference), dict(one.terms)["product[T.ide-cel]"]
    ('product', {'product': 'cilta-cel'}, 'ide-cel')
    """
    _known(model, published_models(), "regression")
    rows = _table("coefficients").query("model == @model")
    entity, _ = _split(model)
    assert entity is not None  # every published model is of one disease
    levels = rows.dropna(subset=["factor"])
    reference = dict(zip(levels["factor"], levels["reference"], strict=True))
    terms = {
        "Intercept" if term == "intercept" else f"{factor}[T.{term}]": term
        for term, factor in zip(rows["term"], rows["factor"], strict=True)
    }
    kept = MappingProxyType(reference), MappingProxyType(terms)
    return PublishedRegression(model, entity, " + ".join(reference), *kept)


def _cohorts(
    data: pd.DataFrame | None, entity: str | None, *, mixed: bool, follow_up: bool
) -> pd.DataFrame:
    """Cohorts of a disease, with their follow-up group if it is asked for."""
    frame = load_cohorts() if data is None else data
    if entity is not None:
        frame = frame[frame["entity"].astype(str) == entity]
    if not mixed:
        frame = frame[~frame["product"].astype(str).str.contains(" + ", regex=False)]
    if follow_up and entity is not None:
        low, high = follow_up_levels(entity)
        months = frame["median_follow_up_months"].to_numpy(float, na_value=np.nan)
        group = np.where(months > FOLLOW_UP_CUT[entity], high, low).astype(object)
        group[np.isnan(months)] = None
        frame = frame.assign(follow_up=pd.Series(group, index=frame.index, dtype=object))
    return frame


@cache
def _levels(levels: tuple[str, ...]) -> pd.CategoricalDtype:
    return pd.CategoricalDtype(list(levels))


def _ordered(frame: pd.DataFrame, column: str, first: tuple[str, ...]) -> pd.Series[Any]:
    """Make a column categorical; levels that the review did not have come after its own."""
    values, missing = frame[column].astype(object).to_numpy(), frame[column].isna().to_numpy()
    levels = tuple(dict.fromkeys([*first, *map(str, values[~missing])]))
    place = {level: code for code, level in enumerate(levels)}
    codes = [-1 if gap else place.get(one, -1) for one, gap in zip(values, missing, strict=True)]
    made = pd.Categorical.from_codes(codes, dtype=_levels(levels))
    return pd.Series(made, index=frame.index)


def subgroup_cohorts(analysis: str, data: pd.DataFrame | None = None) -> pd.DataFrame:
    """Give the cohorts of a published subgroup analysis, or of "all cohorts", in their order.

    The grouping column is categorical in published order (follow-up groups are a new column
    ``follow_up``). A cohort without a group is missing there.

    >>> subgroup_cohorts("MM: follow-up")["follow_up"].value_counts().tolist()
    [7, 6]
    """
    if analysis == ALL_COHORTS:
        return _cohorts(data, None, mixed=True, follow_up=False)
    one = subgroup_definition(analysis)
    frame = _cohorts(data, one.entity, mixed=one.mixed, follow_up=one.by == "follow_up")
    return frame.assign(**{one.by: _ordered(frame, one.by, one.levels)})


def published_subgroup(
    analysis: str, cohorts: pd.DataFrame | None = None, **options: Any
) -> SubgroupResult:
    """Run a published subgroup analysis.

    Parameters
    ----------
    analysis : str
        One of `published_analyses`.
    cohorts : DataFrame, optional
        Cohorts with the columns of ``load_cohorts()``, which is the default.
    **options
        Handed to `helpers.subgroups`; by default the published choices,
        `PUBLISHED_POOLING` and ``group_tau2="separate"``. Another ``model`` comes with its own
        default interval.

    Returns
    -------
    SubgroupResult
        ``.test`` is the published test between groups.

    Raises
    ------
    UnsupportedError
        For an unknown analysis.

    Examples
    --------
    >>> published_subgroup("entity").summary_frame()["estimate"].round(4).tolist()
    [0.0611, 0.0802, 0.1059, 0.0566]
    """
    by = subgroup_definition(analysis).by
    return subgroups(subgroup_cohorts(analysis, cohorts), by=by, **_pooling(options))


def _pooling(options: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the options by the published choices of pooling."""
    usual = dict(PUBLISHED_POOLING)
    if options.get("model", usual["model"]) != usual["model"]:
        del usual["ci_method"]
    return {**COLUMNS, **usual, **options}


def published_fits(
    analysis: str, cohorts: pd.DataFrame | None = None, **options: Any
) -> dict[str, PoolResult]:
    """Give the pooled result of each row of a published analysis, by its level.

    Parameters
    ----------
    analysis : str
        One of `published_analyses`, or "all cohorts" (level "all").
    cohorts, **options
        As in `published_subgroup`.

    Examples
    --------
    >>> fits = published_fits("all cohorts", model="common", method="likelihood")
    >>> round(fits["all"].estimate, 5)
    0.07549
    """
    if analysis == ALL_COHORTS:
        return {"all": pool(subgroup_cohorts(ALL_COHORTS, cohorts), **_pooling(options))}
    return dict(published_subgroup(analysis, cohorts, **options).groups)


def regression_cohorts(model: str, cohorts: pd.DataFrame | None = None) -> pd.DataFrame:
    """Give the cohorts of a published regression.

    Parameters
    ----------
    model : str
        One of `published_models`.
    cohorts : DataFrame, optional
        As in `published_subgroup`.

    Returns
    -------
    DataFrame
        Cohorts of the disease that use one product, in their order; every factor is categorical
        with its reference level first, and ``follow_up`` (the group) is there for every model.

    Examples
    --------
    >>> regression_cohorts("MM: product")["product"].cat.categories.tolist()
    ['cilta-cel', 'ide-cel']
    """
    one = regression_definition(model)
    whole = regression_definition(f"{one.entity}: all factors")
    frame = _cohorts(cohorts, one.entity, mixed=False, follow_up=True)
    published: dict[str, list[str]] = {f: [ref] for f, ref in whole.reference.items()}
    for name, term in whole.terms.items():
        if name != "Intercept":
            published[name.partition("[")[0]].append(term)
    made = {f: _ordered(frame, f, tuple(levels)) for f, levels in published.items()}
    return frame.assign(**made)


def published_regression(
    name: str, /, cohorts: pd.DataFrame | None = None, *, formula: str | None = None, **options: Any
) -> RegressionResult:
    """Run a published regression.

    Parameters
    ----------
    name : str
        One of `published_models`.
    cohorts : DataFrame, optional
        As in `regression_cohorts`.
    formula : str, optional
        Other moderators for the same cohorts, such as ``"log(median_follow_up_months)"``.
    **options
        Handed to `helpers.meta_regression`. By default the published choices,
        `PUBLISHED_REGRESSION`, whose estimator and test exist for ``model="random"`` only: with
        another ``model`` in the options the defaults are those of `meta_regression`.

    Returns
    -------
    RegressionResult
        Coefficients are named as formulas name them: ``product[T.ide-cel]``.

    Raises
    ------
    UnsupportedError
        For an unknown model.

    Examples
    --------
    >>> published_regression("MM: product").coefficients["estimate"].round(4).tolist()
    [-1.7082, -0.9485]
    """
    one = regression_definition(name)
    usual = PUBLISHED_REGRESSION if options.get("model", "random") == "random" else {}
    choices: dict[str, Any] = {**COLUMNS, **usual, **options}
    return meta_regression(regression_cohorts(name, cohorts), formula or one.formula, **choices)


def published_permutation(
    name: str,
    /,
    cohorts: pd.DataFrame | None = None,
    *,
    formula: str | None = None,
    draws: int = PERMUTATIONS,
    seed: int = PERMUTATION_SEED,
) -> PermutationTest:
    """Permute the moderators of a published regression: one run for every page that shows it.

    Parameters
    ----------
    name, cohorts, formula
        As in `published_regression`.
    draws, seed : int
        Random arrangements and their seed. Two runs of one test differ by chance, so that the
        book has one.

    Raises
    ------
    UnsupportedError
        For an unknown model.

    Examples
    --------
    >>> test = published_permutation("MM: product", draws=99)
    >>> test is published_permutation("MM: product", draws=99), test.draws
    (True, 100)
    """
    if cohorts is None or is_published(cohorts):
        return _permuted(name, formula, draws, seed)
    return published_regression(name, cohorts, formula=formula).permutation_test(draws, seed=seed)


@cache
def _permuted(name: str, formula: str | None, draws: int, seed: int) -> PermutationTest:
    """Permute a model of the book's own cohorts, once for each process."""
    return published_regression(name, formula=formula).permutation_test(draws, seed=seed)

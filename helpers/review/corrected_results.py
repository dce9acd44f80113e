"""The results as published, with each correction alone, with the facts, and with all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pandas as pd
from pandas.util import hash_pandas_object

from ..arguments import level_of
from ..engine.json_values import picked
from ..errors import MetaAnalysisError
from ..evidence import load_cohorts, load_corrections
from ..evidence.corrections import apply_corrections
from ..evidence.tables import is_published
from ..shared_results import shared_in_a_build
from .published.models import (
    ALL_COHORTS,
    published_analyses,
    published_fits,
    published_models,
    published_regression,
    published_subgroup,
    regression_definition,
    subgroup_definition,
)

__all__ = ["AS_PUBLISHED", "EVERY", "FACTS", "CorrectionEffects", "correction_effects"]

#: The table as the review has it.
AS_PUBLISHED = "as published"
#: Every correction that rests on a fact, and no other.
FACTS = "all facts"
#: Every correction.
EVERY = "all corrections"


@dataclass(frozen=True, slots=True)
class CorrectionEffects:
    """Results under each set of corrections."""

    #: Name of each set of corrections, and the corrections in it
    scenarios: dict[str, tuple[str, ...]]
    #: One row per set and pooled estimate: ``scenario, analysis, level, k, events, n, estimate,
    #: ci_lower, ci_upper`` (proportions; treat as read-only)
    estimates: pd.DataFrame = field(repr=False, compare=False)
    #: One row per set and test: ``scenario, kind`` (groups, model or coefficient), ``analysis,
    #: term`` (of a coefficient), ``estimate`` (of a coefficient: log odds ratio), ``p``
    tests: pd.DataFrame = field(repr=False, compare=False)
    alpha: float = 0.05  # Level at which `changed_conclusions` calls a result significant

    def estimate(self, level: str = "all", scenario: str = AS_PUBLISHED) -> pd.Series[Any]:
        """Give one row of `estimates`: all cohorts, a disease, or a single product.

        Raises
        ------
        MetaAnalysisError
            No such estimate.

        Examples
        --------
        >>> round(float(correction_effects().estimate("MM")["estimate"]), 4)
        0.0802
        """
        rows = self.estimates[
            (self.estimates["level"] == level) & (self.estimates["scenario"] == scenario)
        ]
        if rows.empty:
            raise MetaAnalysisError(f"no estimate {level!r} under {scenario!r}")
        return rows.iloc[0]

    def shifts(self) -> pd.DataFrame:
        """Differences of the estimates from the published table, in the same rows.

        Returns
        -------
        DataFrame
            ``scenario, analysis, level, as_published, estimate, shift``; fractions.
        """
        key = ["analysis", "level"]
        base = self.estimates[self.estimates["scenario"] == AS_PUBLISHED].set_index(key)["estimate"]
        rest = self.estimates[self.estimates["scenario"] != AS_PUBLISHED]
        before = base.loc[list(zip(rest["analysis"], rest["level"], strict=True))].to_numpy()
        return rest[["scenario", *key, "estimate"]].assign(
            as_published=before, shift=rest["estimate"].to_numpy() - before
        )

    def compared_tests(self) -> pd.DataFrame:
        """Give each test beside the same test on the published table.

        Returns
        -------
        DataFrame
            The columns of `tests`, and ``p_as_published``, ``estimate_as_published``,
            ``significance_changed`` and ``sign_changed`` (of a coefficient).
        """
        key = ["kind", "analysis", "term"]
        base = self.tests[self.tests["scenario"] == AS_PUBLISHED].drop(columns="scenario")
        rest = self.tests[self.tests["scenario"] != AS_PUBLISHED]
        joined = rest.merge(base, on=key, suffixes=("", "_as_published"), validate="many_to_one")
        known = joined["estimate"].notna()
        return joined.assign(
            significance_changed=(joined["p"] < self.alpha)
            != (joined["p_as_published"] < self.alpha),
            sign_changed=known & (joined["estimate"] * joined["estimate_as_published"] < 0),
        )

    def changed_conclusions(self) -> pd.DataFrame:
        """Give the tests that pass the level of significance in one table and not in the other."""
        compared = self.compared_tests()
        return compared[compared["significance_changed"]].reset_index(drop=True)


def _scenarios(cohorts: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Give the corrections that concern a cohort of the table: one by one, facts alone, all."""
    corrections = load_corrections()
    corrections = corrections[corrections["cohort"].isin(cohorts["cohort"])]
    ids = tuple(dict.fromkeys(corrections["id"]))
    if not ids:
        raise MetaAnalysisError(
            "no correction of the audit concerns a cohort of this table; the audit is of the "
            "review's cohorts: give load_cohorts(), or a table with some of them"
        )
    doubtful = set(corrections.loc[corrections["certainty"] != "fact", "id"])
    facts = tuple(name for name in ids if name not in doubtful)
    single = {name: (name,) for name in ids}
    return {AS_PUBLISHED: (), **single, FACTS: facts, EVERY: ids}


def correction_effects(
    cohorts: pd.DataFrame | None = None, alpha: float = 0.05
) -> CorrectionEffects:
    """Recompute the published analyses on the table as published and on each corrected one.

    Parameters
    ----------
    cohorts : DataFrame, optional
        The table to correct; the review's by default. Corrections of cohorts that it lacks are no
        scenario.
    alpha : float
        Level of significance for `CorrectionEffects.changed_conclusions`.

    Returns
    -------
    CorrectionEffects
        Pooled estimates of all cohorts, the diseases and the single products; all published
        tests between groups; all published regressions and their coefficients. The cuts of
        follow-up stay the published ones.

    Raises
    ------
    MetaAnalysisError
        `alpha` is not between 0 and 1, or no correction concerns a cohort of the table.

    Examples
    --------
    >>> effects = correction_effects()
    >>> list(effects.scenarios)[:3]
    ['as published', 'bethge-arms', 'kwon-infused']
    >>> round(effects.estimate("all")["estimate"].item(), 4)
    0.0682
    """
    alpha = level_of(alpha, "alpha")
    ours = cohorts is None or is_published(cohorts)
    return replace(_of_the_review() if ours else _computed(cohorts), alpha=alpha)


@cache
@shared_in_a_build
def _of_the_review() -> CorrectionEffects:
    return _computed(load_cohorts())


def _computed(cohorts: pd.DataFrame) -> CorrectionEffects:
    scenarios = _scenarios(cohorts)
    estimates: list[Row] = []
    tests: list[Row] = []
    known: dict[tuple[str, str, bytes], list[Row]] = {}
    for scenario, ids in scenarios.items():
        data = apply_corrections(cohorts, ids, absent="pass over").data
        for analyse, name, entity in _analyses():
            used = data if entity is None else data[data["entity"].astype(str) == entity]
            key = (analyse.__name__, name, hash_pandas_object(used).to_numpy().tobytes())
            if key not in known:  # a correction leaves most analyses alone
                known[key] = analyse(name, used)
            rows = estimates if analyse is _pooled else tests
            rows += [{"scenario": scenario, **row} for row in known[key]]
    return CorrectionEffects(scenarios, pd.DataFrame(estimates), pd.DataFrame(tests))


Row = dict[str, Any]
_NOTHING = float("nan")


def _analyses() -> Iterator[tuple[Callable[[str, pd.DataFrame], list[Row]], str, str | None]]:
    """Give what is computed, the name of the analysis, and its disease (None for all)."""
    for name in (ALL_COHORTS, "entity", "single product"):
        yield _pooled, name, None
    for name in published_analyses():
        yield _between_groups, name, subgroup_definition(name).entity
    for name in published_models():
        yield _regressed, name, regression_definition(name).entity


def _pooled(analysis: str, data: pd.DataFrame) -> list[Row]:
    return [
        {
            "analysis": analysis,
            "level": level,
            **picked(fit, "k events n estimate"),
            "ci_lower": fit.ci.lower,
            "ci_upper": fit.ci.upper,
        }
        for level, fit in published_fits(analysis, data).items()
    ]


def _between_groups(analysis: str, data: pd.DataFrame) -> list[Row]:
    p = published_subgroup(analysis, data).test.p
    return [{"kind": "groups", "analysis": analysis, "term": "", "estimate": _NOTHING, "p": p}]


def _regressed(model: str, data: pd.DataFrame) -> list[Row]:
    fit = published_regression(model, data)
    row = {"kind": "model", "analysis": model, "term": "", "estimate": _NOTHING}
    rows: list[Row] = [row | {"p": fit.omnibus.p}]
    names = regression_definition(model).terms
    for term, line in fit.coefficients.iterrows():
        if term != "Intercept":
            row = {"kind": "coefficient", "analysis": model, "term": names[str(term)]}
            rows.append(row | {"estimate": float(line["estimate"]), "p": float(line["p"])})
    return rows

"""Every published number beside ours, in long tables: one loop for all published tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal

import pandas as pd

from ...errors import MetaAnalysisError
from ...evidence import load_published
from .models import (
    ALL_COHORTS,
    published_fits,
    published_regression,
    published_subgroup,
    regression_definition,
)

__all__ = [
    "NAMES",
    "Source",
    "beside",
    "compare_pooled",
]

Source = Literal["pooled", "regressions", "coefficients", "tests", "column_sums"]
#: Published table -> the columns that name a row: the analysis, and a level where it has several.
NAMES: dict[Source, tuple[str, ...]] = {
    "pooled": ("analysis", "level"),
    "regressions": ("model",),
    "coefficients": ("model", "term"),
    "tests": ("test", "subset"),
    "column_sums": ("subset", "level"),
}
_COEFFICIENT = {"statistic": "t", "ci_lower": "lower", "ci_upper": "upper"}


def beside(
    source: Source, recompute: Callable[[Mapping[str, Any]], Mapping[str, float | None]]
) -> list[dict[str, Any]]:
    """Put the printed numbers of a published table beside ours.

    Parameters
    ----------
    source : str
        A key of `NAMES`.
    recompute : callable
        Row of the table -> our numbers by column; empty where there are none.

    Returns
    -------
    list of dict
        One for each number: the columns of `NAMES`, `quantity`, `ours`, `published`, `printed`
        (text), `relation` ("<": only a bound was printed), and `line`, the row itself.

    Raises
    ------
    MetaAnalysisError
        A number is published, and ours has none.
    """
    rows = []
    lines: list[dict[str, Any]] = load_published(source).to_dict("records")  # type: ignore[assignment]
    for line in lines:
        head = {name: line[name] for name in NAMES[source]}
        for quantity, ours in recompute(line).items():
            if pd.isna(line[quantity]):
                continue
            if ours is None:
                where = ", ".join(map(str, head.values()))
                raise MetaAnalysisError(f"{where}: {quantity} is published, and ours has none")
            rows.append(
                {
                    **head,
                    "quantity": quantity,
                    "ours": float(ours),
                    "published": float(line[quantity]),
                    "printed": str(line.get(f"{quantity}_printed", line[quantity])),
                    "relation": line.get(f"{quantity}_relation", "="),
                    "line": line,
                }
            )
    return rows


def compare_pooled(cohorts: pd.DataFrame | None = None, **options: Any) -> pd.DataFrame:
    """Put all 42 published pooled rows beside ours.

    Parameters
    ----------
    cohorts : DataFrame, optional
        Cohorts with the columns of ``load_cohorts()``, which is the default.
    **options
        For the random-effects columns and the test, as in `published_subgroup`.

    Returns
    -------
    DataFrame
        One row for each published row and quantity of a group that the table holds: analysis,
        level, quantity (a column of ``load_published("pooled")``), ours, published, printed
        (text).

    Examples
    --------
    >>> table = compare_pooled()
    >>> len(table), table["quantity"].nunique()
    (419, 10)
    """

    @cache
    def fits(name: str) -> tuple[Any, Any, Any]:
        common = published_fits(name, cohorts, model="common", method="likelihood")
        if name == ALL_COHORTS:
            return common, published_fits(name, cohorts, **options), None
        result = published_subgroup(name, cohorts, **options)
        return common, dict(result.groups), result.test.p

    def ours(line: Mapping[str, Any]) -> dict[str, float | None]:
        common, random, p = fits(line["analysis"])
        if line["level"] not in random:  # a table without this group
            return {}
        fit, same = random[line["level"]], common[line["level"]]
        return {
            "cohorts": fit.k, "nonrelapse_deaths": fit.events or 0, "patients": fit.n or 0,
            "common_estimate": same.estimate, "common_lower": same.ci.lower,
            "common_upper": same.ci.upper, "random_estimate": fit.estimate,
            "random_lower": fit.ci.lower, "random_upper": fit.ci.upper, "p_between": p,
        }  # fmt: skip

    return pd.DataFrame(beside("pooled", ours)).drop(columns=["relation", "line"])


def compare_coefficients(**options: Any) -> pd.DataFrame:
    """Put all published coefficients beside ours, with the text that was printed.

    Columns model, term, quantity (estimate, se, t, df, p, lower, upper), ours, published, printed,
    relation ("<": only a bound was printed).

    >>> len(compare_coefficients())
    238
    """

    @cache
    def table(model: str) -> pd.DataFrame:
        found = published_regression(model, **options).coefficients
        terms = dict(regression_definition(model).terms)
        return found.rename(index=terms, columns=_COEFFICIENT)

    def ours(line: Mapping[str, Any]) -> dict[str, float | None]:
        mine = table(line["model"]).loc[line["term"]]
        return {name: mine[name] for name in ("estimate", "se", "t", "df", "p", "lower", "upper")}

    return pd.DataFrame(beside("coefficients", ours)).drop(columns="line")


def compare_regressions(**options: Any) -> pd.DataFrame:
    """Put the published numbers of whole regressions beside ours, as `compare_coefficients`.

    >>> len(compare_regressions())
    156
    """

    def ours(line: Mapping[str, Any]) -> dict[str, float | None]:
        fit = published_regression(line["model"], **options)
        test, found = fit.omnibus, fit.heterogeneity
        return {
            "cohorts": fit.k, "tau2": fit.tau2, "tau2_se": fit.tau2_se, "i2_percent": found.I2,
            "h2": found.H2, "r2_percent": float("nan") if fit.R2 is None else fit.R2,
            "qe": found.Q, "qe_df": found.df, "qe_p": found.p, "f": test.statistic,
            "f_df1": test.df, "f_df2": float("inf") if test.df2 is None else test.df2,
            "f_p": test.p,
        }  # fmt: skip

    table = pd.DataFrame(beside("regressions", ours)).drop(columns="line")
    table.insert(1, "term", "")
    return table

"""Every published pooled and regression number beside ours, in long tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...evidence import load_published
from .models import (
    ALL_COHORTS,
    published_fits,
    published_models,
    published_regression,
    published_subgroup,
    regression_definition,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["compare_coefficients", "compare_pooled", "compare_regressions"]


def compare_pooled(data: pd.DataFrame | None = None, **options: Any) -> pd.DataFrame:
    """Put all 42 published pooled rows beside ours.

    Parameters
    ----------
    data : DataFrame, optional
        As in `subgroup_cohorts`.
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
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for analysis, part in load_published("pooled").groupby("analysis", sort=False):
        name = str(analysis)
        common = published_fits(name, data, model="common", method="likelihood")
        result = None if name == ALL_COHORTS else published_subgroup(name, data, **options)
        fits = published_fits(name, data, **options) if result is None else dict(result.groups)
        for line in part.to_dict("records"):
            if line["level"] not in fits:  # a table without this group
                continue
            fit, same = fits[line["level"]], common[line["level"]]
            ours: dict[str, float] = {
                "cohorts": fit.k, "nonrelapse_deaths": fit.events or 0, "patients": fit.n or 0,
                "common_estimate": same.estimate, "common_lower": same.ci.lower,
                "common_upper": same.ci.upper, "random_estimate": fit.estimate,
                "random_lower": fit.ci.lower, "random_upper": fit.ci.upper,
            }  # fmt: skip
            if result is not None:
                ours["p_between"] = result.test.p
            rows += _against(line, ours, {"analysis": name, "level": line["level"]})
    return pd.DataFrame(rows).drop(columns="relation")


def _printed(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    columns = ["model", "term", "quantity", "ours", "published", "printed", "relation"]
    return pd.DataFrame(rows)[columns]


def _against(
    line: Mapping[Any, Any], ours: Mapping[str, float], head: Mapping[str, str]
) -> list[dict[str, Any]]:
    return [
        {
            **head,
            "quantity": name,
            "ours": float(value),
            "published": float(line[name]),
            "printed": str(line.get(f"{name}_printed", line[name])),
            "relation": line.get(f"{name}_relation", "="),
        }
        for name, value in ours.items()
    ]


def compare_coefficients(data: pd.DataFrame | None = None, **options: Any) -> pd.DataFrame:
    """Put all published coefficients beside ours, with the text that was printed.

    Parameters
    ----------
    data, **options
        As in `published_regression`.

    Returns
    -------
    DataFrame
        model, term, quantity (estimate, se, t, df, p, lower, upper), ours, published, printed,
        relation ("<": only a bound was printed).

    Examples
    --------
    >>> len(compare_coefficients())
    238
    """
    published = load_published("coefficients")
    rows: list[dict[str, Any]] = []
    for model in published_models():
        fit = published_regression(model, data, **options)
        table = fit.coefficients.rename(index=dict(regression_definition(model).terms))
        renamed = {"statistic": "t", "ci_lower": "lower", "ci_upper": "upper"}
        table = table.rename(columns=renamed)
        for line in published[published["model"] == model].to_dict("records"):
            mine = table.loc[line["term"], ["estimate", "se", "t", "df", "p", "lower", "upper"]]
            rows += _against(line, mine.to_dict(), {"model": model, "term": line["term"]})
    return _printed(rows)


def compare_regressions(data: pd.DataFrame | None = None, **options: Any) -> pd.DataFrame:
    """Put the published model-level numbers of the twelve regressions beside ours.

    Parameters
    ----------
    data, **options
        As in `published_regression`.

    Returns
    -------
    DataFrame
        Columns as in `compare_coefficients`; term is empty.

    Examples
    --------
    >>> len(compare_regressions())
    156
    """
    rows: list[dict[str, Any]] = []
    for line in load_published("regressions").to_dict("records"):
        fit = published_regression(line["model"], data, **options)
        test, found = fit.omnibus, fit.heterogeneity
        ours: dict[str, float] = {
            "cohorts": fit.k, "tau2": fit.tau2, "tau2_se": fit.tau2_se, "i2_percent": found.I2,
            "h2": found.H2, "r2_percent": float("nan") if fit.R2 is None else fit.R2,
            "qe": found.Q, "qe_df": found.df, "qe_p": found.p, "f": test.statistic,
            "f_df1": test.df, "f_df2": float("inf") if test.df2 is None else test.df2,
            "f_p": test.p,
        }  # fmt: skip
        rows += _against(line, ours, {"model": line["model"], "term": ""})
    return _printed(rows)

"""The reproduction report: every row of every published table, computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ... import printing
from ...engine.distributions import t_ppf, t_sf
from ...engine.effects import study_interval
from ...engine.shown import Row, Shown
from ...errors import MetaAnalysisError
from ...models.regression_result import RegressionResult
from ...shared_results import shared_in_a_build
from ..decimals import prints_as
from .models import (
    ALL_COHORTS,
    published_fits,
    published_permutation,
    published_regression,
    published_subgroup,
    regression_definition,
)
from .status import DIFFERS, NAMES, STATUSES, Comparison, Source, beside, compare
from .tests import EGGER, INFERRED, recompute
from .verdicts import claim_comparisons

CHI_SQUARED = "Pearson chi-squared"
PERMUTATION = "Permutation test"
#: Published tables, in the order of the report.
SOURCES = ("claims", "pooled", "regressions", "coefficients", "tests", "column_sums")

_STOPPED = (
    "The published software stopped before the maximum; stopped there, ours prints the "
    "published value."
)
_RECOVERED = "Our table of causes was recovered from this number, so agreement proves nothing."
_INFERRED = (
    "The cohorts left out are inferred from this test, so agreement proves nothing "
    "(the review does not name them)."
)


@dataclass(frozen=True, slots=True, repr=False)
class Reproduction(Shown):
    """All published numbers and ours."""

    comparisons: tuple[Comparison, ...]  # One a number, in published order

    def _said(self) -> Iterator[Row]:
        yield "numbers", printing.count(len(self.comparisons))
        yield from ((status, printing.count(n)) for status, n in self.counts().items())

    def counts(self) -> dict[str, int]:
        """Count the numbers by status, in the order of `STATUSES`."""
        return {
            status: sum(one.status == status for one in self.comparisons) for status in STATUSES
        }

    def evidence(self) -> Reproduction:
        """Keep the independent numbers: those that were not used to recover our data."""
        return Reproduction(tuple(one for one in self.comparisons if not one.by_construction))

    def different(self) -> tuple[Comparison, ...]:
        """Give the numbers that differ, each with its reason."""
        return tuple(one for one in self.comparisons if one.status == DIFFERS)

    def select(self, source: str) -> Reproduction:
        """Keep one published table.

        Raises
        ------
        MetaAnalysisError
            When there is no such table.
        """
        if source not in SOURCES:
            raise MetaAnalysisError(f"no published table {source!r}; there are {SOURCES}")
        return Reproduction(tuple(one for one in self.comparisons if one.source == source))

    def frame(self) -> pd.DataFrame:
        """Give the report as a table, one number per row.

        Returns
        -------
        DataFrame
            Columns ``source, analysis, level, quantity, published`` (text), ``ours, digits,
            status, note, by_construction``.
        """
        return pd.DataFrame(list(self.comparisons), columns=list(Comparison.__slots__))

    def summary_frame(self) -> pd.DataFrame:
        """Count by published table (rows) and status (columns)."""
        rows = {}
        for source in SOURCES:
            part = self.select(source)
            if part.comparisons:
                digits = sorted(one.digits for one in part.comparisons)
                rows[source] = {
                    "numbers": len(digits),
                    **part.counts(),
                    "by construction": sum(one.by_construction for one in part.comparisons),
                    "median digits": digits[len(digits) // 2],
                }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("source")

    def to_csv(self, path: Path) -> None:
        """Write the report as CSV (UTF-8); ours with the digits that a double holds."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.frame().to_csv(path, index=False, lineterminator="\n")


@lru_cache(maxsize=1)
@shared_in_a_build
def reproduction() -> Reproduction:
    """Recompute every published number from our tables.

    Raises
    ------
    UnexplainedError
        When a number is not reproduced and no reason, checked, is named.

    Examples
    --------
    >>> report = reproduction()
    >>> report.counts()["differs"] < 10 < report.counts()["identical as printed"]
    True
    """
    found: list[Comparison] = [*claim_comparisons()]
    for source, recomputed in _RECOMPUTED.items():
        for row in beside(source, recomputed):
            analysis, level = [*(str(row[name]) for name in NAMES[source]), ""][:2]
            said = _said(source, row)
            place = (source, analysis, level, row["quantity"])
            found.append(compare(*place, row["printed"], row["ours"], **said))
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise MetaAnalysisError("two published numbers have the same name")
    return Reproduction(tuple(found))


def _said(source: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Give a reason for a difference, if it can be one, or say what agreement does not prove."""
    test, ours, quantity = row.get("test"), row["ours"], row["quantity"]
    if source == "coefficients" and quantity != "df":
        # A reason is given only if the stopped fit does print what was published.
        met = prints_as(_stopped(row["model"])[quantity][row["term"]], row["printed"])
        return {"reason": _STOPPED if met else ""}
    if source == "column_sums" or test == CHI_SQUARED:
        return {"note": _RECOVERED, "by_construction": True}
    if test == EGGER and row["subset"] == INFERRED:
        return {"note": _INFERRED, "by_construction": True}
    if str(test).startswith(PERMUTATION) and quantity == "p":
        draws = int(row["line"]["draws"])
        return {"reason": monte_carlo_reason(float(row["printed"]), ours, draws)}
    return {}


@cache
def _stopped(model: str) -> dict[str, dict[str, float]]:
    """Coefficients of a regression that was stopped early: quantity, term -> number."""
    stopped = stopped_fit(_fitted(model))
    terms = regression_definition(model).terms.values()
    return {
        name: dict(zip(terms, found, strict=True))
        for name, found in stopped.items()
        if name != "tau2"
    }


@cache
def _groups(analysis: str) -> tuple[Any, Any, float | None]:
    """Fits of an analysis by level: of a common effect, of random effects; p between groups."""
    common = published_fits(analysis, model="common", method="likelihood")
    if analysis == ALL_COHORTS:
        return common, published_fits(analysis), None
    result = published_subgroup(analysis)
    return common, result.groups, result.test.p


def _pooled(line: Mapping[str, Any]) -> dict[str, float | None]:
    common, random, p = _groups(line["analysis"])
    fit, same = random[line["level"]], common[line["level"]]
    return {
        "cohorts": fit.k, "nonrelapse_deaths": fit.events, "patients": fit.n,
        "common_estimate": same.estimate, "common_lower": same.ci.lower,
        "common_upper": same.ci.upper, "random_estimate": fit.estimate,
        "random_lower": fit.ci.lower, "random_upper": fit.ci.upper, "p_between": p,
    }  # fmt: skip


_fitted = cache(published_regression)


def _regression(line: Mapping[str, Any]) -> dict[str, float | None]:
    fit = _fitted(line["model"])
    test, found = fit.omnibus, fit.heterogeneity
    return {
        "cohorts": fit.k, "tau2": fit.tau2, "tau2_se": fit.tau2_se, "i2_percent": found.I2,
        "h2": found.H2, "r2_percent": fit.R2, "qe": found.Q, "qe_df": found.df, "qe_p": found.p,
        "f": test.statistic, "f_df1": test.df, "f_df2": test.df2, "f_p": test.p,
    }  # fmt: skip


def _coefficient(line: Mapping[str, Any]) -> dict[str, float | None]:
    names = regression_definition(line["model"]).terms
    found = _fitted(line["model"]).coefficients.rename(
        index=dict(names), columns={"statistic": "t", "ci_lower": "lower", "ci_upper": "upper"}
    )
    return found.loc[line["term"], ["estimate", "se", "t", "df", "p", "lower", "upper"]].to_dict()


def _test(line: Mapping[str, Any]) -> Mapping[str, float | None]:
    if line["test"] == CHI_SQUARED:
        test = _chi_squared()[line["subset"]]
        return {"statistic": test.statistic, "df1": test.df, "p": test.p}
    if line["test"].startswith(PERMUTATION):
        return _permutation(line)
    return recompute(line)


@cache
def _chi_squared() -> dict[str, Any]:
    from ..causes import published_chi_squared

    # the Monte Carlo part is not needed here
    return {one.subset: one.test for one in published_chi_squared(draws=99)}


def _permutation(line: Mapping[str, Any]) -> dict[str, float | None]:
    """Permutation tests of one model: omnibus, or one product."""
    fit, drawn = _fitted(line["subset"]), published_permutation(line["subset"])
    product, test = line["test"].removeprefix(f"{PERMUTATION} of "), fit.omnibus
    if product == "moderators":
        return {"cohorts": fit.k, "statistic": test.statistic, "df1": test.df, "df2": test.df2,
                "p": drawn.p}  # fmt: skip
    place = fit.names.index(f"product[T.{product}]")
    statistic = fit.coefficients["statistic"].iloc[place]
    p = drawn.coefficient_p[place]
    return {"cohorts": fit.k, "statistic": statistic, "df1": test.df2, "p": p}


def _column_sum(line: Mapping[str, Any]) -> dict[str, float | None]:
    sums = _chi_squared()[line["subset"]].table.frame().sum(axis=1)
    return {"deaths": int(sums[line["level"]])}


#: Published table -> what computes the numbers of one of its rows; the claims have their own room.
_RECOMPUTED: dict[Source, Callable[[Mapping[str, Any]], Mapping[str, float | None]]] = {
    "pooled": _pooled,
    "regressions": _regression,
    "coefficients": _coefficient,
    "tests": _test,
    "column_sums": _column_sum,
}


STEP = 1e-5  # change of tau2 at which the published software stopped
LEVEL = 0.999  # of the interval that a published Monte Carlo p-value must allow


def stopped_fit(fit: RegressionResult) -> dict[str, Any]:
    """Fit once more, stopping as the published analysis did.

    Gives tau2, and estimate, se, t, p, lower and upper by Knapp-Hartung, each of shape (p,).

    The published software starts from the unweighted moment estimate of tau2 (Hedges 1983,
    doi:10.1037/0033-2909.93.2.388) and scores (Fisher) until tau2 moves by no more than 1e-5.
    Ours goes on to the maximum. Near it the last printed digit can still change.
    """
    y, v, x = fit.core.yi, fit.core.vi, fit.core.X
    k, p = x.shape
    hat = x @ np.linalg.solve(x.T @ x, x.T)
    start = float(((y - hat @ y) ** 2).sum() - ((1 - np.diagonal(hat)) * v).sum()) / (k - p)
    tau2, moved = max(start, 0.0), np.inf
    while moved > STEP:
        w = 1 / (v + tau2)
        beta = np.linalg.solve((x.T * w) @ x, (x.T * w) @ y)
        step = float((w**2 * (y - x @ beta) ** 2).sum() - w.sum()) / float((w**2).sum())
        while tau2 + step < 0 and abs(step) > STEP:
            step /= 2
        moved, tau2 = abs(step), max(tau2 + step, 0.0)
    w = 1 / (v + tau2)
    inverse = np.linalg.inv((x.T * w) @ x)
    beta = inverse @ ((x.T * w) @ y)
    scale = float((w * (y - x @ beta) ** 2).sum()) / (k - p)
    se = np.sqrt(scale * np.diagonal(inverse))
    t = beta / se
    half = t_ppf(0.975, k - p) * se
    p_values = 2 * t_sf(np.abs(t), k - p)
    found = {"estimate": beta, "se": se, "t": t, "p": p_values}
    return {"tau2": tau2, **found, "lower": beta - half, "upper": beta + half}


def monte_carlo_reason(p: float, ours: float, draws: int) -> str:
    """Give the reason why a p-value of `draws` random permutations is not met, if it can be one.

    Empty if so many draws would hardly ever (1 in 1,000) have given the published value `p`.
    """
    lower, upper = study_interval([p * draws], [draws], method="clopper-pearson", level=LEVEL)
    if not lower[0] <= ours <= upper[0]:
        return ""
    return (
        "Monte Carlo draws: the seed was not published; "
        f"ours lies in the {printing.level_text(LEVEL)} interval of the printed p."
    )

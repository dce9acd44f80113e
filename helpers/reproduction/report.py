"""The reproduction report: every row of every published table, computed again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from helpers.errors import MetaAnalysisError
from helpers.reproduction.claims import claim_comparisons
from helpers.reproduction.reasons import monte_carlo_reason, stopped_fit
from helpers.reproduction.status import DIFFERS, STATUSES, Comparison, compare

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

__all__ = ["SOURCES", "Reproduction", "reproduction"]

#: Published tables, in the order of the report.
SOURCES = ("claims", "pooled", "regressions", "coefficients", "tests", "column_sums")
PERMUTATIONS = 20_000
SEED = 20_241

_STOPPED = (
    "The published software stopped before the maximum; stopped there, ours prints the "
    "published value."
)
_RECOVERED = "Our table of causes was recovered from this number, so agreement proves nothing."
_INFERRED = (
    "The cohorts left out are inferred from this test, so agreement proves nothing "
    "(the review does not name them)."
)


@dataclass(frozen=True, slots=True)
class Reproduction:
    """All published numbers beside ours.

    Attributes
    ----------
    comparisons : tuple of Comparison
        One a number, in published order.
    """

    comparisons: tuple[Comparison, ...]

    def counts(self) -> dict[str, int]:
        """Count the numbers by status, in the order of `STATUSES`."""
        return {
            status: sum(one.status == status for one in self.comparisons) for status in STATUSES
        }

    def evidence(self) -> tuple[Comparison, ...]:
        """Give the numbers whose agreement is evidence: not used to recover our data."""
        return tuple(one for one in self.comparisons if not one.by_construction)

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
        """Give the report as a table, one number a row.

        Returns
        -------
        DataFrame
            Columns ``source, analysis, level, quantity, published`` (text), ``ours, digits,
            status, note, by_construction``.
        """
        import pandas as pd

        names = list(Comparison.__slots__)
        return pd.DataFrame(
            [[getattr(one, name) for name in names] for one in self.comparisons], columns=names
        )

    def summary_frame(self) -> pd.DataFrame:
        """Count by published table (rows) and status (columns)."""
        import pandas as pd

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
def reproduction() -> Reproduction:
    """Recompute every published number from our tables.

    Returns
    -------
    Reproduction

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
    from helpers.evidence import load_published

    found: list[Comparison] = [*claim_comparisons()]
    found += _pooled(load_published("pooled"))
    found += _regressions(load_published("regressions"))
    found += _coefficients(load_published("coefficients"))
    found += _tests(load_published("tests"))
    found += _column_sums(load_published("column_sums"))
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise MetaAnalysisError("two published numbers have the same name")
    return Reproduction(tuple(found))


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
    return rows


def _pooled(table: pd.DataFrame) -> Iterator[Comparison]:
    from helpers.published_models import ALL_COHORTS, published_fits, published_subgroup

    for analysis, rows in table.groupby("analysis", sort=False):
        name = str(analysis)
        random = published_fits(name)
        common = published_fits(name, model="common", method="likelihood")
        for row in _records(rows):
            level = row["level"]
            fit = random[level]
            counts: dict[str, Any] = {"cohorts": fit.k, "nonrelapse_deaths": fit.events}
            for quantity, count in {**counts, "patients": fit.n}.items():
                yield compare("pooled", name, level, quantity, str(row[quantity]), count)
            for kind, one in (("common", common[level]), ("random", fit)):
                values = {"estimate": one.estimate, "lower": one.ci.lower, "upper": one.ci.upper}
                for what, ours in values.items():
                    quantity = f"{kind}_{what}"
                    printed = row[f"{quantity}_printed"]
                    yield compare("pooled", name, level, quantity, printed, ours)
            if name != ALL_COHORTS:
                # The test is one for all rows of an analysis; it stands in each of them.
                p = published_subgroup(name).test.p
                yield compare("pooled", name, level, "p_between", row["p_between_printed"], p)


_MODEL_QUANTITIES: Mapping[str, str] = {
    "cohorts": "k",
    "tau2": "tau2",
    "tau2_se": "tau2_se",
    "i2_percent": "I2",
    "h2": "H2",
    "r2_percent": "R2",
    "qe": "QE",
    "qe_df": "QE_df",
    "qe_p": "QE_p",
}


def _regressions(table: pd.DataFrame) -> Iterator[Comparison]:
    from helpers.published_models import published_regression

    for row in _records(table):
        fit = published_regression(row["model"])
        values: dict[str, Any] = {
            quantity: getattr(fit, field) for quantity, field in _MODEL_QUANTITIES.items()
        }
        omnibus = fit.omnibus
        values |= {"f": omnibus.statistic, "f_df1": omnibus.df}
        values |= {"f_df2": omnibus.df2, "f_p": omnibus.p}
        for quantity, ours in values.items():
            printed = str(row.get(f"{quantity}_printed", row[quantity]))
            yield compare("regressions", row["model"], "", quantity, printed, ours)


def _coefficients(table: pd.DataFrame) -> Iterator[Comparison]:
    from helpers.published_models import published_regression, regression_definition

    columns = {
        "estimate": "estimate",
        "se": "se",
        "t": "statistic",
        "p": "p",
        "lower": "ci_lower",
        "upper": "ci_upper",
    }
    for model, rows in table.groupby("model", sort=False):
        name = str(model)
        fit = published_regression(name)
        terms = {theirs: ours for ours, theirs in regression_definition(name).terms.items()}
        stopped = stopped_fit(fit)
        for row in _records(rows):
            place = list(fit.coefficients.index).index(terms[row["term"]])
            line = fit.coefficients.iloc[place]
            for quantity, column in columns.items():
                printed = row[f"{quantity}_printed"]
                args = ("coefficients", name, row["term"], quantity, printed)
                there = float(getattr(stopped, quantity)[place])
                # A reason is given only if the stopped fit does print what was published.
                met = compare(*args, there, reason="?").status != DIFFERS
                yield compare(*args, float(line[column]), reason=_STOPPED if met else "")
            yield compare(
                "coefficients", name, row["term"], "df", str(row["df"]), fit.omnibus.df2 or 0
            )


def _tests(table: pd.DataFrame) -> Iterator[Comparison]:
    for row in _records(table):
        kind = row["test"]
        if kind == "Pearson chi-squared":
            yield from _chi_squared(row)
        elif kind.startswith("Permutation test"):
            yield from _permutation(row)
        else:
            yield from _simple_test(row)


def _printed_cells(row: Mapping[str, Any], *quantities: str) -> Iterator[tuple[str, str]]:
    """Give the cells of a row that are not empty, as text."""
    import pandas as pd

    for quantity in quantities:
        if not pd.isna(row[quantity]):
            yield quantity, str(row.get(f"{quantity}_printed", row[quantity]))


def _simple_test(row: Mapping[str, Any]) -> Iterator[Comparison]:
    from helpers.published_tests import recomputed_test

    found = recomputed_test(row["test"], row["subset"])
    ours = {
        "cohorts": found.k,
        "statistic": found.statistic,
        "df1": found.df,
        "p": found.p,
        "estimate": found.estimate,
        "estimate_se": found.estimate_se,
    }
    note = _INFERRED if found.inferred else ""
    for quantity, printed in _printed_cells(row, *ours):
        value = ours[quantity]
        if value is None:
            raise MetaAnalysisError(f"{row['test']}, {row['subset']}: no {quantity} of ours")
        yield compare(
            "tests",
            row["test"],
            row["subset"],
            quantity,
            printed,
            value,
            note=note,
            by_construction=found.inferred,
        )


def _chi_squared(row: Mapping[str, Any]) -> Iterator[Comparison]:
    test = next(one for one in _chi_squared_tests() if one.subset == row["subset"]).test
    ours = {"statistic": test.statistic, "df1": test.df, "p": test.p}
    for quantity, printed in _printed_cells(row, *ours):
        yield compare(
            "tests",
            row["test"],
            row["subset"],
            quantity,
            printed,
            ours[quantity],
            note=_RECOVERED,
            by_construction=True,
        )


@lru_cache(maxsize=1)
def _chi_squared_tests() -> tuple[Any, ...]:
    from helpers.causes import published_chi_squared

    return published_chi_squared(draws=99)  # the Monte-Carlo part is not needed here


def _permutation(row: Mapping[str, Any]) -> Iterator[Comparison]:
    """Compare the permutation tests of one model: omnibus, or one product."""
    from helpers.published_models import published_regression

    fit = published_regression(row["subset"])
    drawn = fit.permutation_test(draws=PERMUTATIONS, seed=SEED)
    product = row["test"].removeprefix("Permutation test of ")
    if product == "moderators":
        test = fit.omnibus
        ours: dict[str, Any] = {"statistic": test.statistic, "df1": test.df, "df2": test.df2}
        ours["p"] = drawn.p
    else:
        place = list(fit.coefficients.index).index(f"product[T.{product}]")
        line = fit.coefficients.iloc[place]
        ours = {"statistic": line["statistic"], "df1": fit.omnibus.df2}
        ours["p"] = drawn.coefficient_p[place]
    ours["cohorts"] = fit.k
    for quantity, printed in _printed_cells(row, "cohorts", "statistic", "df1", "df2", "p"):
        reason = ""
        if quantity == "p":
            reason = monte_carlo_reason(float(printed), float(ours["p"]), int(row["draws"]))
        args = ("tests", row["test"], row["subset"], quantity, printed)
        yield compare(*args, float(ours[quantity]), reason=reason)


def _column_sums(table: pd.DataFrame) -> Iterator[Comparison]:
    for row in _records(table):
        test = next(one for one in _chi_squared_tests() if one.subset == row["subset"]).test
        sums = test.table.frame().sum(axis=1)
        yield compare(
            "column_sums",
            row["subset"],
            row["level"],
            "deaths",
            str(row["deaths"]),
            int(sums[row["level"]]),
            note=_RECOVERED,
            by_construction=True,
        )

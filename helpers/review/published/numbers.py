"""The reproduction report: every row of every published table, computed again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ...errors import MetaAnalysisError
from ..decimals import prints_as
from ..shared_results import shared_in_a_build
from .reasons import monte_carlo_reason, stopped_fit
from .status import DIFFERS, STATUSES, Comparison, compare
from .verdicts import claim_comparisons

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

__all__ = ["SOURCES", "Reproduction", "reproduction"]

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
@shared_in_a_build
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
    from ...evidence import load_published

    found: list[Comparison] = [*claim_comparisons()]
    found += _pooled()
    found += _regressions()
    found += _coefficients()
    found += _tests(load_published("tests"))
    found += _column_sums(load_published("column_sums"))
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise MetaAnalysisError("two published numbers have the same name")
    return Reproduction(tuple(found))


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
    return rows


def _pooled() -> Iterator[Comparison]:
    from .comparison import compare_pooled

    for row in _records(compare_pooled()):
        place = (row["analysis"], row["level"], row["quantity"])
        yield compare("pooled", *place, row["printed"], row["ours"])


def _regressions() -> Iterator[Comparison]:
    from .comparison import compare_regressions

    for row in _records(compare_regressions()):
        yield compare("regressions", row["model"], "", row["quantity"], row["printed"], row["ours"])


def _coefficients() -> Iterator[Comparison]:
    from .comparison import compare_coefficients
    from .models import published_regression, regression_definition

    for model, rows in compare_coefficients().groupby("model", sort=False):
        name = str(model)
        stopped = stopped_fit(published_regression(name))
        places = {term: i for i, term in enumerate(regression_definition(name).terms.values())}
        for row in _records(rows):
            quantity, args = row["quantity"], ("coefficients", name, row["term"], row["quantity"])
            met = False
            if quantity != "df":
                # A reason is given only if the stopped fit does print what was published.
                met = prints_as(getattr(stopped, quantity)[places[row["term"]]], row["printed"])
            yield compare(*args, row["printed"], row["ours"], reason=_STOPPED if met else "")


def _tests(table: pd.DataFrame) -> Iterator[Comparison]:
    yield from _simple_tests()
    for row in _records(table):
        kind = row["test"]
        if kind == "Pearson chi-squared":
            yield from _chi_squared(row)
        elif kind.startswith("Permutation test"):
            yield from _permutation(row)


def _printed_cells(row: Mapping[str, Any], *quantities: str) -> Iterator[tuple[str, str]]:
    """Give the cells of a row that are not empty, as text."""
    import pandas as pd

    for quantity in quantities:
        if not pd.isna(row[quantity]):
            yield quantity, str(row.get(f"{quantity}_printed", row[quantity]))


def _simple_tests() -> Iterator[Comparison]:
    from .tests import recomputed_tests

    for row in _records(recomputed_tests()):
        yield compare(
            "tests",
            row["test"],
            row["subset"],
            row["quantity"],
            row["printed"],
            row["ours"],
            note=_INFERRED if row["inferred"] else "",
            by_construction=row["inferred"],
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
    from ..causes import published_chi_squared

    return published_chi_squared(draws=99)  # the Monte-Carlo part is not needed here


def _permutation(row: Mapping[str, Any]) -> Iterator[Comparison]:
    """Compare the permutation tests of one model: omnibus, or one product."""
    from .models import published_permutation, published_regression

    fit = published_regression(row["subset"])
    drawn = published_permutation(row["subset"])
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

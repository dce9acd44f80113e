"""The chi-squared tests that the review printed, computed again.

The counts by group were recovered with the help of these statistics (see ``data/README.md``). That
ours meet the printed digits checks the recovered counts and the code; it is no independent
confirmation of the review.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..decimals import prints_as
from .homogeneity import HomogeneityTest, homogeneity_test
from .table import cause_table

#: Name of the test in the review's output -> grouping and groups (None: all) of our table.
_TABLES: dict[str, tuple[str, tuple[str, ...] | None]] = {
    "known causes by entity": ("entity", None),
    "known causes by setting": ("setting", None),
    "known causes by setting without COVID-19": ("setting, without COVID-19", None),
    "known causes by product (six single products)": ("product", None),
    "known causes: axi-cel vs liso-cel vs tisa-cel": (
        "product",
        ("axi-cel", "liso-cel", "tisa-cel"),
    ),
    "known causes: axi-cel vs tisa-cel": ("product", ("axi-cel", "tisa-cel")),
    "known causes: ide-cel vs cilta-cel": ("product", ("ide-cel", "cilta-cel")),
}


@dataclass(frozen=True, slots=True)
class ChiSquaredCheck:
    """One printed test beside ours."""

    subset: str  # What was compared, in the words of ``load_published("tests")``
    test: HomogeneityTest  # Ours
    #: As the review printed them
    statistic_printed: str
    df_printed: str
    p_printed: str

    @property
    def matched(self) -> bool:
        """Whether statistic, degrees of freedom and p agree to every printed digit."""
        return (
            prints_as(self.test.statistic, self.statistic_printed)
            and prints_as(self.test.df, self.df_printed)
            and prints_as(self.test.p, self.p_printed)
        )


def published_chi_squared(*, draws: int = 49_999) -> tuple[ChiSquaredCheck, ...]:
    """Compute every chi-squared test of the review again, in the order it printed them.

    Parameters
    ----------
    draws
        As for :func:`homogeneity_test`.

    Examples
    --------
    >>> checks = published_chi_squared(draws=99)
    >>> len(checks), all(check.matched for check in checks)
    (7, True)
    """
    from ...evidence import load_published

    tests = load_published("tests")
    checks = []
    for row in tests[tests["test"] == "Pearson chi-squared"].to_dict("records"):
        grouping, groups = _TABLES[row["subset"]]
        table = cause_table(grouping)
        test = homogeneity_test(table.select(groups) if groups else table, draws=draws, seed=20_240)
        checks.append(
            ChiSquaredCheck(
                row["subset"],
                test,
                str(row["statistic_printed"]),
                str(row["df1"]),
                str(row["p_printed"]),
            )
        )
    return tuple(checks)

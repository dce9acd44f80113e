r"""Do groups die of the same causes? Chi-squared, random tables, and the cells that differ.

Pearson's statistic is :math:`X^2 = \sum (o - e)^2 / e` with :math:`e = r_i c_j / n`. Where expected
counts are small its chi-squared distribution is not to be trusted; the Monte Carlo test puts the
observed statistic among those of random tables with the same margins, drawn by the algorithm of
Patefield 1981 (doi:10.2307/2346669, in scipy). Adjusted residuals are those of Haberman 1973
(doi:10.2307/2529686), about standard normal in every cell; the same random tables give the
distribution of the largest of them, and so p-values that are valid for all cells at once.

The counts by group were recovered with the help of the statistics that the review printed (see
``data/README.md``). That ours meet the printed digits checks the recovered counts and the code; it
is no independent confirmation of the review.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from ... import printing, ties
from ...arguments import LEVEL, Array, generator, whole_number
from ...engine.distributions import chi2_isf, chi2_sf
from ...engine.effects import study_interval
from ...engine.literature import Methods, references
from ...engine.normal.intervals import Interval
from ...engine.shown import PlainResult
from ...engine.summaries import Caution
from ...errors import MetaAnalysisError
from ...evidence import load_published
from ..decimals import prints_as
from .table import CauseTable, cause_table

SMALL = 5  # Cochran's rule for expected counts


@dataclass(frozen=True, slots=True, repr=False)
class HomogeneityTest(PlainResult):
    """Whether groups share one distribution of causes."""

    table: CauseTable  # The tested table, without causes that nobody died of
    #: Pearson's chi-squared test with its large-sample p-value
    statistic: float
    df: int
    p: float
    p_monte_carlo: float  # (b + 1) / (draws + 1), with b random tables at least as extreme
    p_ci: Interval  # Clopper-Pearson interval (95%) of the exact p-value from b of the draws
    draws: int
    seed: int
    cautions: tuple[Caution, ...]
    expected: Array = field(repr=False)  # Shape (groups, causes)
    #: Adjusted residuals; positive: more deaths than if the groups did not differ, shape (groups,
    #: causes)
    residuals: Array = field(repr=False)
    #: For the largest of all absolute residuals, so that they hold for all cells at once, shape
    #: (groups, causes)
    p_residuals: Array = field(repr=False)

    @property
    def small_cells(self) -> float:
        """Fraction of cells with an expected count below five."""
        return float(np.mean(self.expected < SMALL))

    def tolerated_design_effect(self, level: float = LEVEL) -> float:
        """Design effect at which the statistic falls to the critical value of its test.

        If deaths in the same cohort resemble each other, the statistic is too large by about the
        design effect (Rao and Scott 1992, doi:10.2307/2532311). Below 1: not significant at all.
        """
        return self.statistic / float(chi2_isf(1 - level, self.df))

    def residual_frame(self) -> pd.DataFrame:
        """Cells by size of the residual: ``group, cause, deaths, expected, residual, p``."""
        rows, columns = np.indices(self.residuals.shape)
        frame = pd.DataFrame(
            {
                "group": np.array(self.table.groups, dtype=object)[rows.ravel()],
                "cause": np.array(self.table.causes, dtype=object)[columns.ravel()],
                "deaths": self.table.counts.ravel(),
                "expected": self.expected.ravel(),
                "residual": self.residuals.ravel(),
                "p": self.p_residuals.ravel(),
            }
        )
        # mirror cells of two groups are ties
        order = ties.order(np.abs(frame["residual"]), descending=True)
        return frame.iloc[order].reset_index(drop=True)

    def methods(self) -> Methods:
        """How the test was made: one sentence and its references."""
        return Methods(
            "Distributions of causes were compared with Pearson's chi-squared test, its p-value "
            f"taken from {self.draws:,} random tables with the same margins, and with adjusted "
            "residuals.",
            references("patefield1981", "phipson2010", "haberman1973"),
        )


def homogeneity_test(
    table: CauseTable | str, *, draws: int = 49_999, seed: int = 20_240
) -> HomogeneityTest:
    """Test whether groups share one distribution of causes.

    Parameters
    ----------
    table : CauseTable or str
        Groups in rows, causes in columns; a name is handed to :func:`cause_table`.
    draws : int
        Random tables.
    seed : int
        Of numpy's ``default_rng``.

    Raises
    ------
    MetaAnalysisError
        With fewer than two groups or two causes that have deaths, or without draws.

    Examples
    --------
    >>> test = homogeneity_test("setting", draws=999)
    >>> round(test.statistic, 3), test.df, round(test.p, 6)
    (18.936, 6, 0.004273)
    """
    from scipy.stats import random_table

    table = cause_table(table) if isinstance(table, str) else table
    rng, draws = generator(seed), whole_number("draws", draws, 1)
    used, dropped = _with_deaths(table)
    counts = used.counts
    rows, columns, n = counts.sum(axis=1), counts.sum(axis=0), int(counts.sum())
    expected = np.outer(rows, columns) / n
    spread = np.sqrt(expected * np.outer(1 - rows / n, 1 - columns / n))
    residuals = (counts - expected) / spread
    statistic = float(((counts - expected) ** 2 / expected).sum())
    df = (len(rows) - 1) * (len(columns) - 1)

    made = random_table(rows, columns, seed=rng).rvs(size=draws)
    away = made - expected
    drawn = (away**2 / expected).sum(axis=(1, 2))
    # Equal tables may differ in the last bit, because sums are rounded.
    slack = 1 - 1e-12
    extreme = int(np.count_nonzero(drawn >= statistic * slack))
    lower, upper = study_interval([extreme], [draws], method="clopper-pearson")
    largest = np.sort(np.abs(away / spread).max(axis=(1, 2)))
    beyond = draws - np.searchsorted(largest, np.abs(residuals) * slack, side="left")
    return HomogeneityTest(
        table=used,
        statistic=statistic,
        df=df,
        p=float(chi2_sf(statistic, df)),
        p_monte_carlo=(extreme + 1) / (draws + 1),
        p_ci=Interval(float(lower[0]), float(upper[0])),
        draws=draws,
        seed=seed,
        cautions=_cautions(expected, dropped),
        expected=expected,
        residuals=residuals,
        p_residuals=(beyond + 1) / (draws + 1),
    )


def _with_deaths(table: CauseTable) -> tuple[CauseTable, list[str]]:
    """Leave out causes that nobody died of; they say nothing about a difference."""
    empty = np.array(table.groups)[table.counts.sum(axis=1) == 0]
    if empty.size:
        raise MetaAnalysisError(f"{table.grouping}: no deaths with a cause in {', '.join(empty)}")
    keep = np.flatnonzero(table.counts.sum(axis=0))
    if len(table.groups) < 2 or len(keep) < 2:
        raise MetaAnalysisError(
            f"{table.grouping}: a comparison needs two groups and two causes with deaths"
        )
    dropped = [cause for i, cause in enumerate(table.causes) if i not in keep]
    used = replace(
        table,
        causes=tuple(table.causes[i] for i in keep),
        counts=table.counts[:, keep],
        within_one=table.within_one[:, keep],
    )
    return used, dropped


def _cautions(expected: Array, dropped: list[str]) -> tuple[Caution, ...]:
    found = []
    small = int(np.count_nonzero(expected < SMALL))
    if small > 0.2 * expected.size or expected.min() < 1:
        count = ("expected count", "expected counts", ("is", "are"))
        said = (
            f"{printing.some_of(small, expected.size, *count)} below five, so the large-sample "
            "p-value is not to be trusted; use the Monte Carlo one."
        )
        found.append(Caution("small-expected-counts", said))
    if dropped:
        said = f"No deaths at all, left out of the test: {', '.join(dropped)}."
        found.append(Caution("empty-causes", said))
    return tuple(found)


_LBCL = ("axi-cel", "liso-cel", "tisa-cel")
#: Name of the test in the review's output -> grouping and groups (None: all) of our table.
_TABLES: dict[str, tuple[str, tuple[str, ...] | None]] = {
    "known causes by entity": ("entity", None),
    "known causes by setting": ("setting", None),
    "known causes by setting without COVID-19": ("setting, without COVID-19", None),
    "known causes by product (six single products)": ("product", None),
    "known causes: axi-cel vs liso-cel vs tisa-cel": ("product", _LBCL),
    "known causes: axi-cel vs tisa-cel": ("product", ("axi-cel", "tisa-cel")),
    "known causes: ide-cel vs cilta-cel": ("product", ("ide-cel", "cilta-cel")),
}


@dataclass(frozen=True, slots=True)
class ChiSquaredCheck:
    """One printed test and ours."""

    subset: str  # What was compared, in the words of ``load_published("tests")``
    test: HomogeneityTest  # Ours
    printed: tuple[str, str, str]  # Statistic, degrees of freedom and p, as the review has them

    @property
    def matched(self) -> bool:
        """Whether statistic, degrees of freedom and p agree to every printed digit."""
        ours = (self.test.statistic, self.test.df, self.test.p)
        return all(map(prints_as, ours, self.printed))


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
    tests = load_published("tests").query("test == 'Pearson chi-squared'").set_index("subset")
    checks = []
    for subset, *row in tests[["statistic_printed", "df1", "p_printed"]].itertuples():
        grouping, groups = _TABLES[subset]
        table = cause_table(grouping)
        test = homogeneity_test(table.select(groups) if groups else table, draws=draws)
        printed, df, p = map(str, row)
        checks.append(ChiSquaredCheck(subset, test, (printed, df, p)))
    return tuple(checks)

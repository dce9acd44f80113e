"""Two groups compared per patient, per patient-year, and at every exponent in between.

Deaths of cohort i are Poisson with mean ``n_i (f_i/12)^g exp(a + b x_i + u_i)``, where f_i is the
median follow-up in months. Exponent g = 0 counts deaths per patient (all deaths come early, so
that longer follow-up adds none), g = 1 per patient-year (deaths come at a constant rate). The
offset is fixed at a chosen g; taken as a covariate instead, the data estimate g.

References
----------
Stijnen T, Hamza TH, Özdemir P (2010), doi:10.1002/sim.4040 (Poisson-normal model for rates).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ... import printing
from ...arguments import LEVEL
from ...engine.distributions import t_ppf
from ...engine.normal.intervals import Interval
from ...engine.shown import Row, Shown, listed, p_text, with_interval
from ...errors import MetaAnalysisError
from ...models.regression import meta_regression
from ...models.regression_result import RegressionResult

_GROUP, _LOG_YEARS, _OFFSET = "group", "log_years", "offset"
_PATIENTS, _MONTHS = "patients", "median_follow_up_months"
#: How each model of deaths is fitted.
_RATES: dict[str, Any] = {
    "events": "nonrelapse_deaths", "study": "cohort", "measure": "log-rate", "model": "glmm",
    "ci_method": "t",
}  # fmt: skip


@dataclass(frozen=True, slots=True, repr=False)
class TimeContrast(Shown):
    """Ratio of two groups at each exponent of follow-up."""

    by: str  # Grouping column
    levels: tuple[str, str]  # The ratio is of the first over the second
    k: dict[str, int]  # Cohorts of each level that take part
    left_out: tuple[str, ...]  # Cohorts without follow-up
    #: By exponent, in increasing order, shape (g,)
    exponents: NDArray[np.float64]
    ratio: NDArray[np.float64] = field(repr=False)
    ci_lower: NDArray[np.float64] = field(repr=False)
    ci_upper: NDArray[np.float64] = field(repr=False)
    fits: tuple[RegressionResult, ...] = field(repr=False)  # The model at each exponent
    #: The model per patient with log follow-up as covariate
    covariate: RegressionResult = field(repr=False)

    def _headline(self) -> str:
        return self.name

    def _said(self) -> Iterator[Row]:
        yield "cohorts", listed(f"{name}: {k}" for name, k in self.k.items())
        for name, ratio, lower, upper, p in self.frame().itertuples(index=False):
            text = with_interval(ratio, (lower, upper), LEVEL)
            yield name.removesuffix(" for follow-up"), f"{text}, {p_text(p)}"
        yield "left out", listed(self.left_out)

    @property
    def name(self) -> str:
        """The comparison in words."""
        return f"{self.levels[0]} versus {self.levels[1]}"

    def at(self, exponent: float) -> dict[str, float]:
        """Ratio, ci_lower, ci_upper and p at one of the exponents.

        Raises
        ------
        MetaAnalysisError
            An exponent that was not fitted.
        """
        found = np.flatnonzero(np.isclose(self.exponents, exponent, rtol=0, atol=1e-12))
        if not found.size:
            raise MetaAnalysisError(f"no fit at exponent {exponent:g}")
        return _ratio(self.fits[found[0]])

    def adjusted(self) -> dict[str, float]:
        """Ratio, ci_lower, ci_upper and p with follow-up as covariate."""
        return _ratio(self.covariate)

    def exponent(self) -> tuple[float, Interval]:
        """Exponent that the covariate model estimates, with its interval."""
        return _exponent(self.covariate)

    def frame(self) -> pd.DataFrame:
        """Three rows: per patient, adjusted for follow-up, per patient-year."""
        rows = {
            "per patient": self.at(0.0),
            "per patient, adjusted for follow-up": self.adjusted(),
            "per patient-year": self.at(1.0),
        }
        return pd.DataFrame(rows).T.rename_axis("deaths").reset_index()


def _ratio(fit: RegressionResult) -> dict[str, float]:
    row: Any = fit.coefficients.loc[_GROUP]
    low, high = float(np.exp(row["ci_lower"])), float(np.exp(row["ci_upper"]))
    ratio = {"ratio": float(np.exp(row["estimate"])), "ci_lower": low, "ci_upper": high}
    return ratio | {"p": float(row["p"])}


def _exponent(fit: RegressionResult) -> tuple[float, Interval]:
    row: Any = fit.coefficients.loc[_LOG_YEARS]
    limits = Interval(float(row["ci_lower"]), float(row["ci_upper"]))
    return float(row["estimate"]), limits


def _followed(cohorts: pd.DataFrame) -> pd.DataFrame:
    months = cohorts[_MONTHS].astype(float)
    if (months <= 0).any():
        raise MetaAnalysisError(f"{_MONTHS}: expected months above 0")
    kept = cohorts[months.notna()]
    return kept.assign(**{_LOG_YEARS: np.log(months[months.notna()] / 12.0)})


def time_contrast(
    cohorts: pd.DataFrame,
    *,
    by: str,
    levels: tuple[str, str],
    exponents: Sequence[float] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    factor: Sequence[float] | float = 1.0,
) -> TimeContrast:
    """Compare two groups of cohorts under each assumption on when deaths happen.

    Parameters
    ----------
    cohorts : DataFrame
        As `helpers.load_cohorts` gives it. Cohorts without a follow-up take no part, at any
        exponent, so that all ratios are of the same cohorts.
    by, levels
        Grouping column, and the two levels: the ratio is of the first over the second.
    exponents : sequence of float
        0 and 1 are always among them.
    factor : float or sequence of float
        Person-time really observed relative to patients times follow-up, for all rows of
        `cohorts` or each (see `simulate_person_time`). It enters as factor to the exponent.

    Raises
    ------
    MetaAnalysisError
        A level without cohorts, a missing column, follow-up or a factor not above 0.

    Notes
    -----
    Intervals are by t.

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> found = time_contrast(load_cohorts(), by="product", levels=("axi-cel", "tisa-cel"))
    >>> {name: round(found.at(g)["ratio"], 2) for name, g in (("crude", 0), ("rate", 1))}
    {'crude': 1.81, 'rate': 2.17}
    """
    share = np.broadcast_to(np.asarray(factor, dtype=float), (len(cohorts),))
    if not (np.isfinite(share) & (share > 0)).all():
        raise MetaAnalysisError("factor: expected numbers above 0")
    if by not in cohorts.columns:
        raise MetaAnalysisError(f"no column {by!r}")
    group = cohorts[by].astype(str)
    chosen = cohorts.assign(**{"share": share})[group.isin(levels)]
    rows = _followed(chosen)
    names = rows[by].astype(str)
    k = {one: int((names == one).sum()) for one in levels}
    if len(k) < 2 or not all(k.values()):
        raise MetaAnalysisError(f"{by}: expected cohorts with follow-up in both of {levels}")
    rows = rows.assign(**{_GROUP: (names == levels[0]).astype(float)})
    grid = np.unique(np.concatenate([[0.0, 1.0], np.asarray(exponents, dtype=float)]))
    years = np.exp(rows[_LOG_YEARS]) * rows["share"]
    fits = tuple(
        meta_regression(
            rows.assign(**{_OFFSET: rows[_PATIENTS] * years**g}), _GROUP, time=_OFFSET, **_RATES
        )
        for g in grid
    )
    covariate = meta_regression(rows, f"{_GROUP} + {_LOG_YEARS}", time=_PATIENTS, **_RATES)
    found = pd.DataFrame(map(_ratio, fits))
    arrays = [grid, *(found[name].to_numpy() for name in ("ratio", "ci_lower", "ci_upper"))]
    for values in arrays:
        values.flags.writeable = False
    left = tuple(chosen.loc[chosen[_MONTHS].isna(), "cohort"].astype(str))
    ratio, lower, upper = arrays[1:]
    both = (levels[0], levels[1])
    return TimeContrast(by, both, k, left, grid, ratio, lower, upper, fits, covariate)


def contrast_versions(
    versions: Mapping[str, tuple[pd.DataFrame, Sequence[float] | float]],
    *,
    by: str,
    pairs: Sequence[tuple[str, str]],
) -> pd.DataFrame:
    """Repeat comparisons on several tables, each with its factor of person-time.

    Parameters
    ----------
    versions : mapping of str to (DataFrame, factor)
        Name of each version, its cohorts, and its `factor` as in `time_contrast`.
    by : str
        Grouping column.
    pairs : sequence of (str, str)
        The `levels` of each comparison.

    Returns
    -------
    DataFrame
        One row per pair and version: ``comparison, version, k`` (cohorts), ``per_patient,
        adjusted, per_patient_year`` (ratios), ``ci_lower, ci_upper, p`` (of the last).

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> cohorts = load_cohorts()
    >>> versions = {"as published": (cohorts, 1.0)}
    >>> found = contrast_versions(versions, by="product", pairs=[("cilta-cel", "ide-cel")])
    >>> found["per_patient_year"].round(2).tolist()
    [1.54]
    """
    rows = []
    for pair in pairs:
        for name, (cohorts, factor) in versions.items():
            one = time_contrast(cohorts, by=by, levels=pair, exponents=(0.0, 1.0), factor=factor)
            last = one.at(1.0)
            row = {"comparison": one.name, "version": name, "k": sum(one.k.values())}
            row |= {"per_patient": one.at(0.0)["ratio"], "adjusted": one.adjusted()["ratio"]}
            row |= {"per_patient_year": last["ratio"]}
            rows.append(row | {key: last[key] for key in ("ci_lower", "ci_upper", "p")})
    return pd.DataFrame(rows)


def follow_up_exponent(
    cohorts: pd.DataFrame,
) -> tuple[float, Interval, RegressionResult]:
    """Estimate how deaths per patient grow with follow-up: proportional to follow-up ** g.

    Parameters
    ----------
    cohorts : DataFrame
        As in `time_contrast`.

    Returns
    -------
    exponent, interval, fit
        g = 1 if deaths came at a constant rate, 0 if all came before anyone's follow-up ended.

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> round(follow_up_exponent(load_cohorts())[0], 2)
    0.31
    """
    fit = meta_regression(_followed(cohorts), _LOG_YEARS, time=_PATIENTS, **_RATES)
    return *_exponent(fit), fit


@dataclass(frozen=True, slots=True, repr=False)
class PairedRates(Shown):
    """Reported and crude nonrelapse mortality of the same cohorts."""

    #: ``cohort, reported, crude, difference`` (crude minus reported; fractions), ``month,
    #: follow_up`` (months; treat as read-only)
    rows: pd.DataFrame = field(repr=False, compare=False)
    k: int  # Cohorts that report a value
    #: Wilcoxon signed-rank test of the differences (exact when no differences tie or are zero)
    statistic: float
    p: float
    mean_difference: float  # Of the cohorts, crude minus reported
    ci: Interval  # Of the mean difference (t)
    limits: Interval  # 95% limits of agreement, mean -/+ 1.96 standard deviations


def reported_against_crude(cohorts: pd.DataFrame) -> PairedRates:
    """Compare what publications report with deaths over patients, cohort by cohort.

    Parameters
    ----------
    cohorts : DataFrame
        Cohorts with the columns of `helpers.load_cohorts`.

    Raises
    ------
    MetaAnalysisError
        Fewer than three cohorts report a value.

    Notes
    -----
    The two values of a cohort belong together, so the test is one of the differences (Wilcoxon
    1945, doi:10.2307/3001968); limits of agreement: Bland and Altman 1986,
    doi:10.1016/S0140-6736(86)90837-8. That a test finds no difference does not show agreement;
    the limits say how far the two may differ in one cohort.

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> found = reported_against_crude(load_cohorts())
    >>> found.k, round(found.p, 3)
    (14, 0.903)
    """
    from scipy.stats import wilcoxon

    pairs = cohorts[cohorts["reported_nrm"].notna()]
    if len(pairs) < 3:
        raise MetaAnalysisError(
            f"{printing.counted(len(pairs), 'cohort')} with a reported value; expected at least 3"
        )
    crude = (pairs["nonrelapse_deaths"] / pairs["patients"]).astype(float)
    rows = pairs[["cohort"]].assign(
        reported=pairs["reported_nrm"].astype(float),
        crude=crude,
        difference=crude - pairs["reported_nrm"].astype(float),
        month=pairs["reported_nrm_month"],
        follow_up=pairs["median_follow_up_months"],
    )
    gaps = rows["difference"].to_numpy()
    test = wilcoxon(gaps)
    mean, sd, k = float(gaps.mean()), float(gaps.std(ddof=1)), len(gaps)
    half = float(t_ppf(0.975, k - 1)) * sd / k**0.5
    spread = 1.959963984540054 * sd
    return PairedRates(
        rows.reset_index(drop=True), k, float(test.statistic), float(test.pvalue), mean,
        Interval(mean - half, mean + half), Interval(mean - spread, mean + spread),
    )  # fmt: skip

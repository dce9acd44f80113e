"""Forecasts made from the 2024 table, frozen in a file, and what later reports say of them.

A forecast is the distribution of the true rate of a new, similar cohort, made from the cohorts of
the review alone: once by the prediction interval of the review's model (GLMM), once as a Bayesian
predictive distribution. `forecasts_frame` computes both; ``data/forecasts_2024.csv`` keeps what it
gave, and `frozen_forecasts` refuses a file with another checksum, so that no later report can
change a forecast. A report of `n` patients is compared with the range of deaths that the forecast
expects among `n`: the binomial distribution, mixed over the rates of the forecast.

Intervals are scored by coverage and by the interval score (Gneiting and Raftery 2007,
doi:10.1198/016214506000001437), which adds to the width of an interval a penalty for missing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import printing
from ..engine.distributions import gammaln, norm_ppf
from ..engine.normal.intervals import Interval
from ..engine.proportion_intervals import clopper_pearson
from ..errors import MetaAnalysisError
from ..evidence import data_folder, load_cohorts, load_context
from ..models.bayes import posterior
from ..models.bayes.display import EventCounts
from ..models.pooling import pool
from .choices import COLUMNS, PUBLISHED_POOLING

#: SHA-256 of ``data/forecasts_2024.csv``. It changes with no later report.
FORECAST_CHECKSUM = "96910f4b81d694c41d02fb5779bbb58c623bc9b97c4948627b28608bfe93d958"
#: Probabilities whose quantiles are kept; the outermost but two make the 95 % interval.
PROBABILITIES = (0.001, 0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.995, 0.999)
#: Cohorts that a group needs for a forecast: one fewer than for an interval that the book shows,
#: because a forecast is made to be tested.
FEWEST = 4
#: All cohorts, as a group.
ALL = "all cohorts"
LEVEL = 0.95
_POOLING: dict[str, Any] = {**COLUMNS, **PUBLISHED_POOLING}
_NODES = 1000  # equally likely rates that stand for a forecast
_DIGITS = 6  # of a kept rate


@dataclass(frozen=True, slots=True)
class Forecast:
    """Distribution of the true rate of a new, similar cohort, as kept in the file.

    `group` is all cohorts, a disease, or a product in a disease ("ide-cel, MM"), with what it was
    made from; at each of `probabilities` the true rate has the quantile of `rates` (fractions).
    """

    group: str
    method: str
    cohorts: int
    patients: int
    nonrelapse_deaths: int
    probabilities: tuple[float, ...]
    rates: tuple[float, ...]

    @property
    def interval(self) -> Interval:
        """Central 95 % interval of the true rate."""
        at = dict(zip(self.probabilities, self.rates, strict=True))
        return Interval(at[0.025], at[0.975])

    @property
    def median(self) -> float:
        """The rate that the true rate is as likely to exceed as not."""
        return dict(zip(self.probabilities, self.rates, strict=True))[0.5]

    def quantile(self, p: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rates at probabilities: the kept ones joined by straight lines.

        Lines join logits of rates over normal quantiles; beyond the ends they go straight on.

        >>> f = Forecast("all cohorts", "GLMM", 2, 9, 1, (0.025, 0.5, 0.975), (0.02, 0.07, 0.2))
        >>> f.quantile(np.array([0.5, 0.975])).round(3).tolist()
        [0.07, 0.2]
        """
        rates = np.asarray(self.rates)
        z, logit = norm_ppf(np.asarray(self.probabilities)), np.log(rates / (1.0 - rates))
        asked = np.asarray(norm_ppf(p))
        left = np.clip(np.searchsorted(z, asked) - 1, 0, len(z) - 2)
        slope = (logit[left + 1] - logit[left]) / (z[left + 1] - z[left])
        return 1.0 / (1.0 + np.exp(-(logit[left] + slope * (asked - z[left]))))

    def events(self, n: int) -> EventCounts:
        """Distribution of the deaths among `n` patients of a new, similar cohort.

        >>> f = Forecast("all cohorts", "GLMM", 2, 9, 1, (0.025, 0.5, 0.975), (0.02, 0.07, 0.2))
        >>> f.events(100).interval()
        Interval(lower=1.0, upper=22.0)
        """
        p = self.quantile((np.arange(_NODES) + 0.5) / _NODES)
        x = np.arange(n + 1.0)
        choose = gammaln(n + 1.0) - gammaln(x + 1.0) - gammaln(n - x + 1.0)
        log = choose[:, None] + x[:, None] * np.log(p) + (n - x)[:, None] * np.log1p(-p)
        return EventCounts(int(n), np.exp(log).mean(axis=1), LEVEL)


def _groups(cohorts: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Give the groups that have cohorts enough for a forecast."""
    made = {ALL: cohorts}
    made |= {str(one): part for one, part in cohorts.groupby("entity", observed=True)}
    for (product, entity), part in cohorts.groupby(["product", "entity"], observed=True):
        if "+" not in str(product) and len(part) < len(made[str(entity)]):
            made[f"{product}, {entity}"] = part
    return {name: part for name, part in made.items() if len(part) >= FEWEST}


def forecasts_frame(cohorts: pd.DataFrame | None = None) -> pd.DataFrame:
    """Make the forecasts from a table of cohorts (the review's), as the file stores them.

    >>> from helpers import load_cohorts
    >>> few = load_cohorts().query("entity == 'MCL'")
    >>> made = forecasts_frame(few).query("method == 'GLMM' and probability == 0.975")
    >>> made[["group", "rate"]].values.tolist()
    [['all cohorts', 0.17185], ['MCL', 0.17185]]
    """
    cohorts = load_cohorts() if cohorts is None else cohorts
    rows = []
    for group, part in _groups(cohorts).items():
        fit, post = pool(part, **_POOLING), posterior(part, **COLUMNS)
        size = (len(part), int(part["patients"].sum()), int(part["nonrelapse_deaths"].sum()))
        rates = {"GLMM": [], "Bayes": []}
        for p in PROBABILITIES:
            glmm = fit.estimate
            if p != 0.5:
                limits = fit.prediction_interval(level=abs(1.0 - 2.0 * p))
                glmm = limits.lower if p < 0.5 else limits.upper
            rates["GLMM"].append(glmm)
            rates["Bayes"].append(float(post.new_rate.quantile(p)))
        for method, made in rates.items():
            for p, rate in zip(PROBABILITIES, made, strict=True):
                rows.append((group, method, *size, p, round(rate, _DIGITS)))
    names = ["group", "method", "cohorts", "patients", "nonrelapse_deaths", "probability", "rate"]
    return pd.DataFrame(rows, columns=names)


def frozen_forecasts() -> tuple[Forecast, ...]:
    """Read the forecasts that were made from the 2024 table, and see that nobody changed them.

    `MetaAnalysisError` when the checksum is not the one that was written down when they were made.

    >>> frozen = frozen_forecasts()
    >>> frozen[0].group, frozen[0].method, [round(100 * x, 1) for x in frozen[0].interval]
    ('all cohorts', 'GLMM', [2.7, 16.2])
    """
    found = hashlib.sha256((data_folder() / "forecasts_2024.csv").read_bytes()).hexdigest()
    if found != FORECAST_CHECKSUM:
        raise MetaAnalysisError(
            f"data/forecasts_2024.csv is not the file that was frozen: its SHA-256 is {found}, "
            f"expected {FORECAST_CHECKSUM}. Restore it; a new forecast belongs in a new file"
        )
    made = []
    for (group, method), part in load_context("forecasts_2024").groupby(
        ["group", "method"], sort=False, observed=True
    ):
        row = part.iloc[0]
        size = (int(row["cohorts"]), int(row["patients"]), int(row["nonrelapse_deaths"]))
        quantiles = tuple(part["probability"]), tuple(part["rate"])
        made.append(Forecast(str(group), str(method), *size, *quantiles))
    return tuple(made)


def forecast_for(
    entity: str, product: str, method: str, forecasts: Iterable[Forecast]
) -> Forecast | None:
    """Give the forecast of the most specific group: the product in the disease, or the disease.

    >>> frozen = frozen_forecasts()
    >>> [forecast_for("MM", name, "GLMM", frozen).group for name in ("ide-cel", "mixed")]
    ['ide-cel, MM', 'MM']
    >>> forecast_for("mixed", "mixed", "GLMM", frozen) is None
    True
    """
    named = {one.group: one for one in forecasts if one.method == method}
    return named.get(f"{product}, {entity}", named.get(entity))


@dataclass(frozen=True, slots=True)
class ForecastCheck:
    """One later report and one forecast.

    `new` tells whether it is of another study than those of the 2024 table. Through a registry the
    two may share patients all the same.
    Deaths are one number where a count is stated, a range from `fewest` to `most` where a rounded
    rate implies it, and the rate times the patients where only a rate is stated (not `counted`).
    `expected` is the central 95% interval of the deaths among as many patients.
    """

    report: str
    evidence: str
    new: bool
    patients: int
    fewest: float
    most: float
    counted: bool
    forecast: Forecast
    expected: Interval

    @property
    def deaths(self) -> str:
        """What is known of the deaths, in words."""
        return deaths_known(self.fewest, self.most) if self.counted else "rate only"

    @property
    def inside(self) -> bool | None:
        """Whether the report lies in the interval; None where that depends on the rounding."""
        within = [self.expected.lower <= x <= self.expected.upper for x in (self.fewest, self.most)]
        return within[0] if within[0] == within[1] else None

    @property
    def near(self) -> bool:
        """Whether the share of deaths lies in the interval of the true rate, chance left aside."""
        return self.forecast.interval.lower <= self.rate <= self.forecast.interval.upper

    @property
    def rate(self) -> float:
        """Share of the patients who died, the middle of what is implied."""
        return 0.5 * (self.fewest + self.most) / self.patients

    @property
    def share(self) -> Interval:
        """The expected deaths as fractions of the patients."""
        return Interval(self.expected.lower / self.patients, self.expected.upper / self.patients)

    @property
    def score(self) -> float:
        """Interval score in percentage points; smaller is better."""
        (low, high), x = self.share, self.rate
        penalty = max(0.0, low - x) + max(0.0, x - high)
        return 100.0 * (high - low + 2.0 / (1.0 - LEVEL) * penalty)


def check_forecasts(
    later: pd.DataFrame | None = None, forecasts: Iterable[Forecast] | None = None
) -> tuple[ForecastCheck, ...]:
    """Compare each later report that can be compared with the forecasts of its group.

    A report is left out where its deaths were not seen, where it says why it is not comparable
    (`not_compared`), and where no forecast was made for its group. By default the tables of the
    book.

    >>> checks = check_forecasts()
    >>> one = next(c for c in checks if c.report == "CARTITUDE-1 later cut")
    >>> one.forecast.group, one.fewest, one.expected, one.inside
    ('cilta-cel, MM', 18.0, Interval(lower=6.0, upper=28.0), True)
    """
    later = load_context("later_cohorts") if later is None else later
    frozen = tuple(frozen_forecasts() if forecasts is None else forecasts)
    made = []
    open_ = later[later["not_compared"].isna() & later["patients"].notna()]
    for row in _records(open_):
        counted = bool(pd.notna(row["deaths_fewest"]))
        if not counted and pd.isna(row["reported_nrm"]):
            continue
        n, new = int(row["patients"]), bool(pd.isna(row["earlier_cohort"]))
        deaths = [row["reported_nrm"] * n] * 2
        if counted:
            deaths = [row["deaths_fewest"], row["deaths_most"]]
        for method in ("GLMM", "Bayes"):
            found = forecast_for(str(row["entity"]), str(row["product"]), method, frozen)
            if found is None:
                continue
            expected = found.events(n).interval()
            made.append(
                ForecastCheck(
                    str(row["report"]), str(row["evidence"]), new, n,
                    float(deaths[0]), float(deaths[1]), counted, found, expected,
                )
            )  # fmt: skip
    return tuple(made)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return frame.astype("object").to_dict("records")  # type: ignore[return-value]


def checks_frame(checks: Iterable[ForecastCheck] | None = None) -> pd.DataFrame:
    """Give the comparison as a table: one row per report, both methods side by side."""
    rows: dict[str, dict[str, Any]] = {}
    for one in check_forecasts() if checks is None else checks:
        row = rows.setdefault(
            one.report,
            {
                "report": one.report, "group": one.forecast.group, "evidence": one.evidence,
                "new": one.new, "patients": one.patients, "deaths": one.deaths,
                "rate": one.rate,
            },
        )  # fmt: skip
        key = one.forecast.method.lower()
        row[key] = printing.between(one.expected.lower, one.expected.upper, 0)
        row[f"{key}_inside"] = one.inside
        row[f"{key}_near"] = one.near
    return pd.DataFrame(list(rows.values()))


def deaths_known(fewest: float, most: float) -> str:
    """Print a number of deaths, or the range that a rounded rate implies."""
    low, high = printing.count(fewest), printing.count(most)
    between = "or" if most - fewest == 1 else "to"
    return low if low == high else f"{low} {between} {high}"


def most_on_one_side(checks: Iterable[ForecastCheck], method: str) -> tuple[str, str, int] | None:
    """Give the group whose intervals of the true rate most shares miss on one side.

    With "above" or "below", and how many; None where fewer than two lie on one side.

    >>> most_on_one_side(check_forecasts(), "GLMM")
    ('MCL', 'above', 3)
    """
    sides = Counter(
        (one.forecast.group, "above" if one.rate > one.forecast.median else "below")
        for one in checks
        if one.forecast.method == method and not one.near
    )
    if not sides or max(sides.values()) < 2:
        return None
    (group, side), count = min(sides.items(), key=lambda pair: (-pair[1], pair[0]))
    return group, side, count


@dataclass(frozen=True, slots=True)
class ForecastScore:
    """How intervals did over several reports.

    Of `reports` that were compared, `inside` the interval whatever the rounding, a coverage with
    the exact binomial interval `ci`; mean interval `score` and mean `width` in percentage points.
    """

    method: str
    reports: int
    inside: int
    ci: Interval
    score: float
    width: float


def forecast_coverage(checks: Iterable[ForecastCheck], method: str) -> ForecastScore:
    """Score the intervals of one method over the reports given, one at least."""
    own = [one for one in checks if one.forecast.method == method]
    if not own:
        raise MetaAnalysisError(f"no later report is compared with a forecast of method {method!r}")
    inside = sum(one.inside is True for one in own)
    low, high = clopper_pearson(np.array([float(inside)]), np.array([float(len(own))]))
    ci = Interval(float(low[0]), float(high[0]))
    score = float(np.mean([one.score for one in own]))
    width = float(np.mean([100.0 * (one.share.upper - one.share.lower) for one in own]))
    return ForecastScore(method, len(own), inside, ci, score, width)


def updated_cohorts(
    cohorts: pd.DataFrame | None = None,
    later: pd.DataFrame | None = None,
    *,
    most: bool = False,
) -> pd.DataFrame:
    """Put later counts into the table: a later cut replaces, a new cohort is added, never both.

    With `most`, the largest count that a rounded rate implies, instead of the smallest.

    >>> now = updated_cohorts().set_index("cohort")
    >>> len(now), int(now.loc["Martin 2023", "nonrelapse_deaths"])
    (54, 18)
    """
    cohorts = load_cohorts() if cohorts is None else cohorts
    later = load_context("later_cohorts") if later is None else later
    made = cohorts.copy()
    for column in ("entity", "product", "setting"):
        made[column] = made[column].astype("str")
    new = []
    for row in _records(later[later["update"] != "none"]):
        said = {
            "patients": int(row["patients"]),
            "nonrelapse_deaths": int(row["deaths_most" if most else "deaths_fewest"]),
            "median_follow_up_months": row["median_follow_up_months"],
        }
        if row["update"] == "replace":
            here = made["cohort"] == row["earlier_cohort"]
            for column, value in said.items():
                made[column] = made[column].mask(here, value)
        else:
            kind = {column: str(row[column]) for column in ("entity", "product", "setting")}
            new.append({"cohort": row["report"], "year": row["year"], **kind, **said})
    return pd.concat([made, pd.DataFrame(new)], ignore_index=True) if new else made


def update_effects(
    cohorts: pd.DataFrame | None = None, later: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Pool before and after the update: all cohorts, and each group whose counts have changed.

    Rates of the median cohort by the review's model; `after` takes the smallest counts that rounded
    rates imply, `after_most` the largest.
    """
    cohorts = load_cohorts() if cohorts is None else cohorts
    later = load_context("later_cohorts") if later is None else later
    fewest, most = (updated_cohorts(cohorts, later, most=top) for top in (False, True))
    used = later[later["update"] != "none"]
    touched = dict.fromkeys(str(one["entity"]) for one in _records(used))
    touched |= dict.fromkeys(f"{one['product']}, {one['entity']}" for one in _records(used))
    rows = []
    for group in (ALL, *touched):
        parts = [_part(table, group) for table in (cohorts, fewest, most)]
        if group != ALL and len(parts[0]) < FEWEST:
            continue
        if group != ALL and parts[0].shape == parts[1].shape:
            deaths = [list(part["nonrelapse_deaths"]) for part in parts[:2]]
            if deaths[0] == deaths[1]:  # a later cut without another death
                continue
        before, after, top = (pool(part, **_POOLING) for part in parts)
        rows.append(
            {
                "group": group,
                "cohorts_before": before.k, "before": before.estimate,
                "before_lower": before.ci.lower, "before_upper": before.ci.upper,
                "cohorts_after": after.k, "after": after.estimate,
                "after_lower": after.ci.lower, "after_upper": after.ci.upper,
                "after_most": top.estimate,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _part(table: pd.DataFrame, group: str) -> pd.DataFrame:
    if group == ALL:
        return table
    product, _, entity = group.rpartition(", ")
    here = table["entity"].astype("str") == entity
    return table[here & (table["product"].astype("str") == product)] if product else table[here]

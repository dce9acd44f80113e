"""How far patients times median follow-up is from the person-time really at risk, by simulation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import numpy as np

from ... import printing
from ...arguments import LEVEL, generator, level_of, one_of, whole_number
from ...arguments import AnyArray as Array
from ...engine.normal.intervals import Interval
from ...engine.shown import Row, Shown, limits_text, number
from ...errors import MetaAnalysisError

#: How a study can define its median follow-up.
FOLLOW_UP_MEDIANS: tuple[str, ...] = ("reverse-kaplan-meier", "observed", "survivors")
_BLOCK = 1_000_000  # patients simulated at once


@dataclass(frozen=True, slots=True)
class FollowUpScenario:
    """Assumptions about one cohort. Cumulative hazards are ``rate/100 (months/12)**shape``.

    Examples
    --------
    >>> FollowUpScenario(n=80).relapse_rate
    70.0
    """

    n: int = 100  # Patients
    accrual_months: float = 24.0  # Patients enter evenly over this time; 0: all at once
    minimum_follow_up_months: float = 3.0  # Time from the last entry to the data cut-off
    #: Nonrelapse deaths: cumulative hazard at 12 months in percent, and Weibull shape (below 1:
    #: most deaths are early)
    nrm_rate: float = 7.0
    nrm_shape: float = 0.7
    #: The same for relapse or progression, the competing event
    relapse_rate: float = 70.0
    relapse_shape: float = 0.7
    death_after_relapse_rate: float = 90.0  # Deaths per 100 patient-years after relapse
    dropout_rate: float = 3.0  # Losses to follow-up per 100 patient-years

    def __post_init__(self) -> None:
        if isinstance(self.n, bool) or int(self.n) != self.n or self.n < 1:
            raise MetaAnalysisError(f"n={self.n!r}: expected a whole number of at least 1")
        for name, value in asdict(self).items():
            shape = name.endswith("_shape")
            if not (np.isfinite(value) and (value > 0 if shape else value >= 0)):
                least = "above 0" if shape else "of at least 0"
                raise MetaAnalysisError(f"{name}={value!r}: expected a number {least}")
        if self.accrual_months + self.minimum_follow_up_months <= 0:
            raise MetaAnalysisError("no patient is followed up: accrual and minimum are both 0")


@dataclass(frozen=True, slots=True, repr=False)
class PersonTimeBias(Shown):
    """Simulated person-time against patients times median follow-up."""

    median: str  # Definition of the median follow-up
    #: Person-years assumed (n x median follow-up / 12) and really at risk, shape (draws,)
    assumed: Array = field(repr=False)
    observed: Array = field(repr=False)
    events: Array = field(repr=False)  # Nonrelapse deaths seen, shape (draws,)
    median_follow_up: Array = field(repr=False)  # In months, shape (draws,)

    def _headline(self) -> str:
        return f"{self.median}, until relapse"

    def _said(self) -> Iterator[Row]:
        yield "factor", f"{number(self.factor)} (Monte Carlo error {number(self.mcse, 1)})"
        yield (
            "of one cohort",
            f"{printing.level_text(LEVEL)} of draws, {limits_text(self.interval())}",
        )
        yield "draws", printing.count(len(self.assumed))

    @property
    def factor(self) -> float:
        """Person-time at risk per person-time assumed: the `factor` for `pool_rates`.

        It is also the computed rate over the true one; below 1 the computed rate is too low.
        """
        return float(self.observed.sum() / self.assumed.sum())

    @property
    def mcse(self) -> float:
        """Standard error of `factor` (ratio of means, linearised)."""
        rest = self.observed - self.factor * self.assumed
        return float(rest.std(ddof=1) / np.sqrt(rest.size) / self.assumed.mean())

    def interval(self, level: float = LEVEL) -> Interval:
        """Range of the factor over single cohorts (central `level` of the draws)."""
        outside = 0.5 * (1.0 - level_of(level))
        low, high = np.quantile(self.observed / self.assumed, [outside, 1.0 - outside])
        return Interval(float(low), float(high))

    def row(self) -> dict[str, float]:
        """Headline numbers: factor with Monte Carlo error and range, rates, follow-up."""
        limits = self.interval()
        return {
            "factor": self.factor,
            "mcse": self.mcse,
            "factor_lower": limits.lower,
            "factor_upper": limits.upper,
            "median_follow_up": float(self.median_follow_up.mean()),
            "true_rate": float(100.0 * self.events.sum() / self.observed.sum()),
            "computed_rate": float(100.0 * self.events.sum() / self.assumed.sum()),
        }


def simulate_person_time(
    scenario: FollowUpScenario | None = None,
    *,
    median: str = "reverse-kaplan-meier",
    draws: int = 2_000,
    seed: int = 1,
) -> PersonTimeBias:
    """Simulate how patients x median follow-up differs from the person-time at risk.

    Time at risk of nonrelapse death ends at relapse.

    Parameters
    ----------
    scenario : FollowUpScenario, optional
        Assumptions on entry, death, relapse and drop-out.
    median : {"reverse-kaplan-meier", "observed", "survivors"}
        How the study computed its median follow-up: potential follow-up with deaths as
        censoring (Schemper & Smith 1996, doi:10.1016/0197-2456(96)00075-X); observed time of
        all patients; observed time of those alive at last contact.
    draws : int
        Simulated cohorts, in bounded chunks.
    seed : int

    Raises
    ------
    MetaAnalysisError
        No cohort has a defined median (e.g. no survivors), or bad input.

    Notes
    -----
    A reverse Kaplan-Meier curve that stays above one half has no median; such a replicate takes
    the longest observed time, as does one without survivors.

    Examples
    --------
    >>> nobody_leaves = FollowUpScenario(n=50, accrual_months=0, minimum_follow_up_months=12,
    ...                                  nrm_rate=0, relapse_rate=0, dropout_rate=0)
    >>> simulate_person_time(nobody_leaves, draws=10).factor
    1.0
    """
    s = scenario or FollowUpScenario()
    one_of("median", median, FOLLOW_UP_MEDIANS)
    rng, draws = generator(seed), whole_number("draws", draws, 2)
    parts = []
    rows = max(1, _BLOCK // s.n)
    for begin in range(0, draws, rows):
        shape = (min(rows, draws - begin), s.n)
        parts.append(_simulate(s, rng, shape, median))
    months, at_risk, events = (np.concatenate(column) for column in zip(*parts, strict=True))
    arrays = (s.n * months / 12.0, at_risk / 12.0, events, months)
    for values in arrays:
        values.flags.writeable = False
    return PersonTimeBias(median, *arrays)


def _event_times(
    rng: np.random.Generator, shape: tuple[int, int], rate: float, power: float = 1.0
) -> Array:
    """Months until an event with cumulative hazard ``rate/100 (months/12)**power``."""
    draws = rng.exponential(size=shape)  # drawn even at rate 0: scenarios share random numbers
    if rate == 0.0:
        return np.full(shape, np.inf)
    return 12.0 * (draws * 100.0 / rate) ** (1.0 / power)


def _simulate(
    s: FollowUpScenario, rng: np.random.Generator, shape: tuple[int, int], median: str
) -> tuple[Array, Array, Array]:
    """Median follow-up, person-months at risk and nonrelapse deaths of every cohort."""
    cut_off = s.minimum_follow_up_months + s.accrual_months * rng.random(shape)
    end = np.minimum(cut_off, _event_times(rng, shape, s.dropout_rate))
    nrm = _event_times(rng, shape, s.nrm_rate, s.nrm_shape)
    relapse = _event_times(rng, shape, s.relapse_rate, s.relapse_shape)
    later = relapse + _event_times(rng, shape, s.death_after_relapse_rate)
    death = np.where(nrm < relapse, nrm, later)
    seen = np.minimum(death, end)
    alive = death > end
    at_risk = np.minimum(seen, relapse)
    events = ((nrm < relapse) & (nrm <= end)).sum(axis=1)
    if median == "observed":
        months = np.median(seen, axis=1)
    elif median == "survivors":
        months = _median_where(seen, alive)
    else:
        months = _reverse_kaplan_meier_median(seen, alive)
    return months, at_risk.sum(axis=1), events


def _median_where(values: Array, keep: Array) -> Array:
    """Median of the kept values of each row; the largest value of a row with none."""
    some = keep.any(axis=1)
    medians = values.max(axis=1)
    medians[some] = np.nanmedian(np.where(keep, values, np.nan)[some], axis=1)
    return medians


def _reverse_kaplan_meier_median(time: Array, censored: Array) -> Array:
    """First time at which the Kaplan-Meier curve of censoring is at most one half."""
    order = np.argsort(time, axis=1, kind="stable")
    sorted_time = np.take_along_axis(time, order, axis=1)
    left = np.take_along_axis(censored, order, axis=1)
    at_risk = np.arange(time.shape[1], 0, -1)
    curve = np.cumprod(1.0 - left / at_risk, axis=1)
    reached = curve <= 0.5 + 1e-12
    first = np.where(reached.any(axis=1), reached.argmax(axis=1), time.shape[1] - 1)
    return sorted_time[np.arange(len(time)), first]

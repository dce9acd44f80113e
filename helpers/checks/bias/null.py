"""What the tests do when there is nothing to find: cohorts simulated without any bias."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import pandas as pd

from ... import printing
from ...arguments import Array, level_of, whole_number
from ...engine.cost import announce
from ...engine.distributions import expit
from ...engine.effects import get_measure
from ...engine.keywords import TruthKeywords, refuse_unknown
from ...engine.literature import references
from ...engine.model.core import Progress
from ...engine.normal.inverse_variance import fit_inverse_variance
from ...engine.shown import Row, p_text, percent
from ...errors import MetaAnalysisError, UnsupportedError
from .data import funnel_data, on_measure
from .lines import Lines, egger_batch, joined, predictor_values
from .results import SmallStudyResult

if TYPE_CHECKING:
    from ...models.result import PoolResult

_CELLS = 200_000  # replicates x studies held at once
#: Tests for proportions -> measure, predictor, weights and model of a line. Egger's test and that
#: of Thompson and Sharp differ in the variance model alone; the double arcsine is there with both.
TESTS: dict[str, tuple[str, str, str, str]] = {
    "Egger (logit)": ("logit", "sei", "", "multiplicative"),
    "Thompson-Sharp (logit)": ("logit", "sei", "", "random"),
    "Peters (weights from events)": ("logit", "ninv", "events", "multiplicative"),
    "Peters (weights from size)": ("logit", "ninv", "size", "multiplicative"),
    "Macaskill": ("logit", "ni", "size", "multiplicative"),
    "Arcsine": ("arcsine", "sei", "", "random"),
    "Double arcsine (multiplicative)": ("double-arcsine", "sei", "", "multiplicative"),
    "Double arcsine": ("double-arcsine", "sei", "", "random"),
}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SimulatedTests(SmallStudyResult):
    """What the regression tests did in simulated data sets."""

    tests: tuple[str, ...]  # Their names
    rejection: tuple[float, ...]  # Share of the data sets with p below `alpha`
    mu: float  # Logit of the rate that was simulated
    tau2: float  # Between-study variance that was simulated
    draws: int
    seed: int
    alpha: float

    def _headline(self) -> str:
        return f"{printing.count(self.draws)} data sets of {self.k} studies, seed {self.seed}"

    def _said(self) -> Iterator[Row]:
        for name, share in zip(self.tests, self.rejection, strict=True):
            yield name, f"rejects in {percent(share)}"

    def _frame(self, *columns: str) -> pd.DataFrame:
        """One row per test, with the columns that are named."""
        return pd.DataFrame(
            {name: getattr(self, name) for name in columns}, index=pd.Index(self.tests, name="test")
        )


def monte_carlo_errors(shares: Sequence[float], draws: int) -> tuple[float, ...]:
    """Give the standard errors of shares of independent draws."""
    return tuple(float(np.sqrt(x * (1.0 - x) / draws)) for x in shares)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NullSimulation(SimulatedTests):
    """Behaviour of the regression tests on cohorts of the same sizes without bias.

    A test that keeps its level has `alpha` for its `rejection`.
    """

    observed_p: tuple[float, ...]  # The p-values of the tests in the data
    rejection_mcse: tuple[float, ...]  # Monte Carlo standard errors of `rejection`
    #: Share of simulated data sets (the data themselves counted in) with a statistic at least as
    #: extreme as that of the data: a p-value that holds whatever the test's own distribution
    calibrated_p: tuple[float, ...]
    #: Mean simulated slope: what the test sees as bias where there is none
    bias_mean: tuple[float, ...]

    def _said(self) -> Iterator[Row]:
        columns = zip(self.tests, self.observed_p, self.calibrated_p, self.rejection, strict=True)
        for name, observed, calibrated, share in columns:
            found = f"{p_text(observed)}, calibrated {p_text(calibrated)}"
            yield name, f"{found}; rejects in {percent(share)}"

    def summary_frame(self) -> pd.DataFrame:
        """One row per test: observed_p, rejection, rejection_mcse, calibrated_p, bias_mean."""
        return self._frame("observed_p", "rejection", "rejection_mcse", "calibrated_p", "bias_mean")


def simulate_null(
    fit: PoolResult | None = None,
    *,
    alpha: float = 0.05,
    draws: int = 2000,
    seed: int = 1,
    tests: Sequence[str] | None = None,
    progress: Progress | None = None,
    **studies: Unpack[TruthKeywords],
) -> NullSimulation:
    r"""Simulate cohorts of the observed sizes without any small-study effect and test them.

    Events are drawn from :math:`x_i \sim B(n_i, \mathrm{expit}(\mu + \tau u_i))` with standard
    normal :math:`u_i` that have nothing to do with :math:`n_i`. Every rejection is a false one.

    Parameters
    ----------
    fit : PoolResult, optional
        Its included studies; else give `events` and `n`.
    alpha : float
        Nominal level.
    draws, seed : int
        Simulated data sets and the seed of the random numbers.
    tests : sequence of str, optional
        Names of the tests to keep; all by default. The simulated sets are the same. With few
        small cohorts a test whose weights come from the events may be undefined in some set
        while the others are not.
    progress : callable, optional
        Called with (data sets done, data sets) after each part. All tests together take
        about a second for a million studies (`draws` times `k`).
    **studies
        Counts and truth, below.

    Other Parameters
    ----------------
    events, n, study, tau2_method
        As in `helpers.bias.egger`.
    mu, tau2 : float, optional
        Logit of the rate and between-study variance; default those of a fit on logits (for
        example the GLMM), else the random-effects estimate from the logits.

    Raises
    ------
    MetaAnalysisError
        No counts, a negative tau2, or a simulated or observed test that is not defined.
    UnsupportedError
        An unknown test, level or number of draws.

    References
    ----------
    Schwarzer G, Antes G, Schumacher M (2007), doi:10.1002/sim.2588 (how tests fail with sparse
    binary data).

    Examples
    --------
    >>> result = simulate_null(
    ...     events=[1, 2, 9, 12, 30, 8, 5, 11], n=[20, 60, 90, 200, 400, 150, 50, 120],
    ...     draws=200,
    ... )
    >>> result.tests[0], len(result.rejection) == len(result.tests)
    ('Egger (logit)', True)
    """
    refuse_unknown("simulate_null", studies, TruthKeywords)
    at = setting(fit, alpha, draws, **studies)
    observed = at.tested(at.events[None, :], tests)
    for name, real in observed.items():
        if not bool(real.defined.all()):
            raise MetaAnalysisError(f"{name}: not defined in the data")
    (simulated,) = at.simulate([(whole_number("seed", seed, 0), 0.0)], tests, progress)
    pairs = [(observed[name], lines) for name, lines in simulated.items()]
    rejection = tuple(float((lines.p < alpha).mean()) for _, lines in pairs)
    extreme = [np.abs(lines.statistic) >= np.abs(real.statistic) for real, lines in pairs]
    return NullSimulation(
        tests=tuple(simulated),
        observed_p=tuple(float(real.p[0]) for real, _ in pairs),
        rejection=rejection,
        rejection_mcse=monte_carlo_errors(rejection, draws),
        calibrated_p=tuple(float((1 + one.sum()) / (1 + draws)) for one in extreme),
        bias_mean=tuple(float(lines.slope.mean()) for _, lines in pairs),
        mu=at.mu,
        tau2=at.tau2,
        k=at.k,
        draws=draws,
        seed=seed,
        alpha=alpha,
        sentence=(
            f"The tests were applied to {draws:,} simulated sets of {printing.studies(at.k)} of "
            "the observed sizes whose rates do not depend on size."
        ),
        references=references("schwarzer2007"),
    )


@dataclass(frozen=True, slots=True)
class Setting:
    """Cohorts whose sizes a simulation keeps, and the truth that it draws from."""

    events: Array
    n: Array
    mu: float
    tau2: float
    tau2_method: str
    draws: int

    @property
    def k(self) -> int:
        """Cohorts."""
        return len(self.n)

    def simulate(
        self,
        runs: Sequence[tuple[int | np.random.SeedSequence, Array | float]],
        tests: Sequence[str] | None,
        progress: Progress | None,
    ) -> list[dict[str, Lines]]:
        """Draw and test data sets, in chunks, for each seed and what it adds to the true logits."""
        announce("tests", self.draws * len(runs), self.k)
        rows = max(1, _CELLS // self.k)
        sizes = [min(rows, self.draws - done) for done in range(0, self.draws, rows)]
        done, found = 0, []
        for seed, shift in runs:
            # Copies of one stream: true logits from its beginning, events from behind all of them.
            logits, events = np.random.default_rng(seed), np.random.default_rng(seed)
            for size in sizes:
                events.standard_normal((size, self.k))
            parts = []
            for size in sizes:
                noise = np.sqrt(self.tau2) * logits.standard_normal((size, self.k))
                drawn = events.binomial(self.n.astype(np.int64), expit(self.mu + shift + noise))
                parts.append(self.tested(drawn.astype(float), tests))
                done += size
                if progress is not None:
                    progress(done, self.draws * len(runs))
            found.append({name: joined([part[name] for part in parts]) for name in parts[0]})
            for name, lines in found[-1].items():
                if not bool(lines.defined.all()):
                    raise MetaAnalysisError(
                        f"{name} cannot be computed in every simulated data set"
                    )
        return found

    def tested(self, events: Array, tests: Sequence[str] | None) -> dict[str, Lines]:
        """Every regression test for proportions, or the named ones, on events of shape (R, k)."""
        if tests is not None and (not tests or any(name not in TESTS for name in tests)):
            raise UnsupportedError(f"tests={tests!r}: expected some of {', '.join(TESTS)}")
        wanted = {name: row for name, row in TESTS.items() if tests is None or name in tests}
        size = np.broadcast_to(self.n, events.shape)
        effects = {
            measure: get_measure(measure).effects(events, size)
            for measure in dict.fromkeys(row[0] for row in wanted.values())
        }
        weights = {"": None, "events": events * (size - events) / size, "size": self.n}
        found = {}
        for name, (measure, predictor, weighted, model) in wanted.items():
            yi, vi = effects[measure]
            if measure != "logit":  # the variance depends on the sizes alone
                vi = vi[:1]
            found[name] = egger_batch(
                yi,
                vi,
                predictor_values(predictor, vi, self.n),
                weights=weights[weighted],
                model=model,
                tau2_method=self.tau2_method,
            )
        return found


def setting(fit: PoolResult | None, alpha: float, draws: int, **studies: Any) -> Setting:
    """Sizes and truth of a simulation; parameters as in `simulate_null`."""
    level_of(alpha, "alpha")
    draws = whole_number("draws", draws, 1)
    mu, tau2 = studies.pop("mu", None), studies.pop("tau2", None)
    data = funnel_data(fit, **studies)
    own = fit if data.measure.name == "logit" else None
    counts = on_measure(data, "logit")
    start = fit_inverse_variance(counts.yi, counts.vi, method=counts.tau2_method)
    center = float(start.mu[0] if own is None else own.mu) if mu is None else float(mu)
    spread = float(start.tau2.tau2[0] if own is None else own.tau2) if tau2 is None else float(tau2)
    if not (np.isfinite(center) and np.isfinite(spread) and spread >= 0.0):
        raise MetaAnalysisError(f"mu={center!r}, tau2={spread!r}: expected finite, tau2 >= 0")
    return Setting(*counts.counts, center, spread, counts.tau2_method, draws)

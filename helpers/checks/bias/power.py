"""What the tests see when there is something to see: cohorts with a small-study effect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

import numpy as np
import pandas as pd

from ... import printing
from ...arguments import whole_number
from ...engine.distributions import expit
from ...engine.keywords import TruthKeywords, refuse_unknown
from ...engine.literature import references
from ...engine.model.core import Progress
from ...engine.shown import Row, percent
from ...errors import MetaAnalysisError
from .null import SimulatedTests, monte_carlo_errors, setting

if TYPE_CHECKING:
    from ...models.result import PoolResult

#: From this power on, a test that stays silent says something (the usual convention of trials).
ENOUGH_POWER = 0.8


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PowerSimulation(SimulatedTests):
    """Power of the regression tests for a small-study effect of a given size.

    For a test that does not keep its level `rejection` is no power: it rejects without an effect,
    too. `tau2` is the variance of true logits beside the effect.
    """

    #: Share of simulated data sets with a statistic beyond the critical value that holds the level
    #: in data without the effect (from as many simulated sets), and its Monte Carlo standard error
    power: tuple[float, ...]
    power_mcse: tuple[float, ...]
    slope: float  # Effect: change of the true logit for each unit of its standard error

    def _said(self) -> Iterator[Row]:
        for name, power, share in zip(self.tests, self.power, self.rejection, strict=True):
            yield name, f"power {percent(power)}; rejects in {percent(share)}"

    def of(self, test: str) -> float:
        """Power of one test at its calibrated level."""
        return self.power[self.tests.index(test)]

    def can_tell(self, test: str) -> bool:
        """Whether a silent test would be news: its power is at least `ENOUGH_POWER`."""
        return self.of(test) >= ENOUGH_POWER

    def summary_frame(self) -> pd.DataFrame:
        """One row per test: rejection, power, power_mcse."""
        return self._frame("rejection", "power", "power_mcse")


def simulate_power(
    fit: PoolResult | None = None,
    *,
    slope: float,
    alpha: float = 0.05,
    draws: int = 2000,
    seed: int = 1,
    tests: Sequence[str] | None = None,
    progress: Progress | None = None,
    **studies: Unpack[TruthKeywords],
) -> PowerSimulation:
    r"""Simulate cohorts of the observed sizes with a small-study effect and test them.

    True logits are :math:`\mu + b(s_i - \bar s) + \tau u_i` with standard normal :math:`u_i`,
    slope :math:`b` and the standard error :math:`s_i = \{n_i p(1-p)\}^{-1/2}` that a logit has at
    :math:`p = \mathrm{expit}(\mu)`: it depends on the size alone. :math:`\bar s` is its mean with
    the weights :math:`1/(s_i^2 + \tau^2)`, so that the pooled logit stays near :math:`\mu`. Events
    are binomial.

    Parameters
    ----------
    fit, alpha, draws, seed, tests, progress, **studies
        As in `helpers.bias.simulate_null`.
    slope : float
        Change of the true logit for each unit of its standard error, such as the slope (`bias`)
        of Egger's test.

    Raises
    ------
    MetaAnalysisError
        A slope that is not finite, or as `helpers.bias.simulate_null`.
    UnsupportedError
        As `helpers.bias.simulate_null`.

    References
    ----------
    Sterne JAC, Gavaghan D, Egger M (2000), doi:10.1016/S0895-4356(00)00242-0 (power of such
    tests).

    Examples
    --------
    >>> counts = {"events": [1, 2, 9, 12, 30, 8, 5, 11], "n": [20, 60, 90, 200, 400, 150, 50, 120]}
    >>> weak = simulate_power(**counts, slope=-0.5, draws=300)
    >>> strong = simulate_power(**counts, slope=-4.0, draws=300)
    >>> weak.of("Double arcsine") < strong.of("Double arcsine"), weak.can_tell("Double arcsine")
    (True, False)
    """
    if not np.isfinite(slope):
        raise MetaAnalysisError(f"slope={slope!r}: expected a finite number")
    refuse_unknown("simulate_power", studies, TruthKeywords)
    at = setting(fit, alpha, draws, **studies)
    p = float(expit(at.mu))
    se = 1.0 / np.sqrt(at.n * p * (1.0 - p))
    weight = 1.0 / (se**2 + at.tau2)
    shift = float(slope) * (se - (weight * se).sum() / weight.sum())
    streams = np.random.SeedSequence(whole_number("seed", seed, 0)).spawn(2)
    runs = list(zip(streams, (0.0, shift), strict=True))
    without, with_effect = at.simulate(runs, tests, progress)
    rejection, power = [], []
    for name, lines in with_effect.items():
        critical = float(np.quantile(np.abs(without[name].statistic), 1.0 - alpha, method="higher"))
        rejection.append(float((lines.p < alpha).mean()))
        power.append(float((np.abs(lines.statistic) > critical).mean()))
    return PowerSimulation(
        tests=tuple(with_effect),
        rejection=tuple(rejection),
        power=tuple(power),
        power_mcse=monte_carlo_errors(power, draws),
        slope=float(slope),
        mu=at.mu,
        tau2=at.tau2,
        k=at.k,
        draws=draws,
        seed=seed,
        alpha=alpha,
        sentence=(
            f"The tests were applied to {draws:,} simulated sets of {printing.studies(at.k)} of "
            f"the observed sizes whose true logits change by {slope:.2f} for each unit of their "
            "standard error, with critical values from as many sets without such an effect."
        ),
        references=references("sterne2000"),
    )

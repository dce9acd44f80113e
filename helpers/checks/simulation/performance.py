"""All methods on one simulated scenario, and how well they do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arguments import Array
from ...engine.counts.fit import fit_glmm
from ...engine.counts.inference import heterogeneity_tests
from ...engine.counts.profile import profile_ci_mu, profile_ci_tau2
from ...engine.distributions import chi2_sf
from ...engine.effects import get_measure
from ...engine.normal.intervals import (
    Limits,
    henmi_copas_limits,
    knapp_hartung_se,
    mu_limits,
    profile_mu_limits,
    symmetric_limits,
)
from ...engine.normal.inverse_variance import fit_inverse_variance
from ...engine.normal.prediction import bootstrap_prediction, prediction_df, prediction_limits
from ...engine.normal.tau2_intervals import (
    generalised_q_limits,
    profile_tau2_limits,
    q_profile_limits,
)
from ...engine.rows import take_fits
from .truth import Sample, Scenario, simulate

Flags = NDArray[np.bool_]

CELL = ("family", "sizes", "k", "proportion", "tau")

_MU = ("wald", "t", "knapp-hartung", "knapp-hartung-max1", "knapp-hartung-wider")
_PREDICTION = ("normal", "t-k-1", "t-k-2", "knapp-hartung", "knapp-hartung-k-2")
_COARSE = 1e-6  # relative precision of simulated limits, far below the Monte Carlo error


@dataclass(slots=True)
class Records:
    """Performance measures with their Monte Carlo standard errors (Morris et al. 2019)."""

    scenario: Scenario
    level: float
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self, what: tuple[str, str, str], known: Flags, numbers: dict[str, tuple[float, float]]
    ) -> None:
        """Append numbers and their errors: (quantity, estimator, method) of the draws `known`."""
        s, used = self.scenario, int(known.sum())
        cell = dict(zip(CELL, (s.family, s.label, s.k, s.proportion, s.tau), strict=True))
        cell |= dict(zip(("quantity", "estimator", "method"), what, strict=True))
        for name, (value, mcse) in numbers.items():
            row = {"performance": name, "value": value, "mcse": mcse}
            self.rows.append(cell | row | {"used": used, "failed": known.size - used})

    def estimate(self, quantity: str, estimator: str, values: Array, truth: float) -> None:
        """Bias, root mean squared error and spread of a point estimator."""
        known = np.isfinite(values)
        used = int(known.sum())
        if used < 2:
            return
        error = values[known] - truth
        sd = float(values[known].std(ddof=1))
        rmse = float(np.sqrt((error**2).mean()))
        se2 = float((error**2).std(ddof=1)) / used**0.5
        numbers = {
            "bias": (float(error.mean()), sd / used**0.5),
            "rmse": (rmse, se2 / (2.0 * rmse) if rmse > 0 else 0.0),
            "empirical se": (sd, sd / (2.0 * (used - 1)) ** 0.5),
        }
        self.add((quantity, estimator, ""), known, numbers)

    def interval(self, what: tuple[str, str, str], limits: Limits, covered: Array) -> None:
        """Coverage and median width; `covered` is a probability, NaN without an interval."""
        ok = np.isfinite(covered)
        used = int(ok.sum())
        if used < 2:
            return
        hit, width = covered[ok], (limits[1] - limits[0])[ok]
        numbers = {
            "coverage": (float(hit.mean()), float(hit.std(ddof=1)) / used**0.5),
            "median width": (float(np.median(width)), np.nan),
        }
        self.add(what, ok, numbers)

    def mu(self, estimator: str, method: str, limits: Limits) -> None:
        """Interval for the mean logit."""
        self.interval(("mu interval", estimator, method), limits, _holds(limits, self.scenario.mu))

    def tau2(self, estimator: str, method: str, limits: Limits) -> None:
        """Interval for the between-study variance."""
        self.interval(
            ("tau2 interval", estimator, method), limits, _holds(limits, self.scenario.tau2)
        )

    def tau2_set(self, method: str, limits: Limits) -> None:
        """Set of values of tau2 that may be empty (NaN limits): it then contains no value.

        An empty set is an answer, with a width of zero, and no failure; its share is reported.
        """
        empty = np.isnan(limits[0]) & np.isnan(limits[1])
        lower, upper = (np.where(empty, 0.0, limit) for limit in limits)
        covered = np.where(empty, 0.0, _holds(limits, self.scenario.tau2))
        what = ("tau2 interval", "", method)
        self.interval(what, (lower, upper), covered)
        self.add(what, np.ones(empty.shape, dtype=bool), {"empty": _share(empty)})

    def prediction(self, estimator: str, method: str, limits: Limits) -> None:
        """Interval for the true logit of a new study, with the exact probability of success."""
        lower, upper = limits
        ok = np.isfinite(lower) & np.isfinite(upper)
        probability = np.full(lower.shape, np.nan)
        probability[ok] = self.scenario.within(lower[ok], upper[ok])
        self.interval(("prediction interval", estimator, method), limits, probability)

    def test(self, estimator: str, method: str, p: Array) -> None:
        """Rejection rate of a test of homogeneity: its error rate where tau is 0, else power."""
        known = np.isfinite(p)
        if known.sum() > 1:
            rejected = _share(p[known] < 1.0 - self.level)
            self.add(("heterogeneity test", estimator, method), known, {"rejection": rejected})


def _share(flags: Flags) -> tuple[float, float]:
    share = float(flags.mean())
    return share, (share * (1.0 - share) / flags.size) ** 0.5


def _holds(limits: Limits, truth: float) -> Array:
    lower, upper = limits
    known = ~(np.isnan(lower) | np.isnan(upper))
    return np.where(known, (lower <= truth) & (truth <= upper), np.nan)


def study_scenario(
    scenario: Scenario,
    *,
    draws: int,
    seed: int,
    level: float,
    tau2_methods: Iterable[str],
    quad_points: int,
    glmm: bool,
    generalised_q: bool,
    bootstrap: int,
) -> list[dict[str, Any]]:
    """Simulate one scenario and measure every method on it, as `helpers.simulation.coverage`."""
    sample = simulate(scenario, draws, seed)
    records = Records(scenario, level)
    if sample.events is None:
        y, v = sample.yi, sample.vi
    else:
        y, v = get_measure("logit").effects(sample.events, sample.n)
    y, v = np.asarray(y), np.asarray(v)
    common = fit_inverse_variance(y, v, method="common")
    records.estimate("mu", "common", common.mu, scenario.mu)
    records.mu("common", "wald", mu_limits(common, "wald", level))
    limits = henmi_copas_limits(common.batch, level, nodes=60, rtol=_COARSE)
    records.mu("common", "henmi-copas", limits)
    records.test("common", "Q", chi2_sf(common.Q, common.df))
    records.tau2_set("q-profile", q_profile_limits(common.batch, level))
    if generalised_q:
        for weights in ("inverse-variance", "inverse-se"):
            limits = generalised_q_limits(common.batch, level, weights=weights, rtol=1e-5)
            records.tau2_set(f"generalised-q, {weights}", limits)
    for name in tau2_methods:
        _random_effects(records, y, v, name)
    if bootstrap and scenario.k > 2:
        pairs = [
            bootstrap_prediction(y[r], v[r], level, draws=5000, seed=r + 1)
            for r in range(min(bootstrap, draws))
        ]
        lower, upper = (np.array(side) for side in zip(*pairs, strict=True))
        records.prediction("DL", "bootstrap", (lower, upper))
    if glmm and sample.events is not None:
        _glmm(records, sample, quad_points)
    return records.rows


def _random_effects(records: Records, y: Array, v: Array, name: str) -> None:
    """Measure one estimator of tau2 and the intervals that rest on it."""
    scenario, level = records.scenario, records.level
    fit = fit_inverse_variance(y, v, method=name)
    records.estimate("mu", name, fit.mu, scenario.mu)
    records.estimate("tau2", name, fit.tau2.tau2, scenario.tau2)
    for method in _MU:
        records.mu(name, method, mu_limits(fit, method, level))
    if name == "ML":
        records.mu(name, "profile", profile_mu_limits(fit, level, rtol=_COARSE))
    if name in ("ML", "REML"):
        limits = profile_tau2_limits(fit, level, grid_points=80, rtol=_COARSE)
        records.tau2(name, "profile", limits)
    scaled = knapp_hartung_se(fit, "knapp-hartung", level)
    for method in _PREDICTION:
        se = scaled if method.startswith("knapp-hartung") else fit.se
        limits = _new_study(fit.mu, se, fit.tau2.tau2, fit.batch.k, method, level)
        records.prediction(name, method, limits)


def _new_study(mu: Array, se: Array, tau2: Array, k: Array, method: str, level: float) -> Limits:
    """Methods by themselves: no confidence interval bounds them."""
    return prediction_limits(mu, se, tau2, level, prediction_df(method, k), None)


def _glmm(records: Records, sample: Sample, quad_points: int) -> None:
    scenario, level = records.scenario, records.level
    events = np.asarray(sample.events)
    fit = fit_glmm(events, sample.n, quad_points=quad_points)
    good = np.flatnonzero(fit.converged)
    some = take_fits(fit, good)
    total = len(fit)

    def spread(values: Array) -> Array:
        out = np.full(total, np.nan)
        out[good] = values
        return out

    mu, se, tau2 = some.beta[:, 0], some.se[:, 0], some.tau2
    k = np.full(good.size, float(scenario.k))
    records.estimate("mu", "GLMM", spread(mu), scenario.mu)
    records.estimate("tau2", "GLMM", spread(tau2), scenario.tau2)
    # An unbounded side of a profile is infinite, and the interval then holds what it holds.
    profile, profile_tau2 = profile_ci_mu(some, level), profile_ci_tau2(some, level)
    found: dict[str, Limits] = {
        "wald": symmetric_limits(mu, se, level),
        "t": symmetric_limits(mu, se, level, k - 1.0),
        "profile": profile,
    }
    for method, (lower, upper) in found.items():
        records.mu("GLMM", method, (spread(lower), spread(upper)))
    limits = spread(profile_tau2[0]), spread(profile_tau2[1])
    records.tau2("GLMM", "profile", limits)
    for method in _PREDICTION[:3]:
        lower, upper = _new_study(mu, se, tau2, k, method, level)
        records.prediction("GLMM", method, (spread(lower), spread(upper)))
    tests = heterogeneity_tests(fit)
    records.test("GLMM", "Wald", tests.p_wald)
    records.test("GLMM", "likelihood ratio", tests.p_lrt)
    records.test("GLMM", "likelihood ratio of tau2", tests.p_tau2)

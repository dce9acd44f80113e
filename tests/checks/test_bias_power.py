"""Power of the small-study tests, against a simulation written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from helpers import load_cohorts
from helpers.checks.bias import ENOUGH_POWER, simulate_null, simulate_power
from helpers.errors import MetaAnalysisError, UnsupportedError

COHORTS = load_cohorts()
EVENTS = COHORTS["nonrelapse_deaths"].to_numpy()
N = COHORTS["patients"].to_numpy()
PETERS = "Peters (weights from size)"
TRUTH = {"mu": -2.614, "tau2": 0.225}


def by_hand(slope, draws, seed):
    """t statistics of Peters' test (weights: sizes) by statsmodels, one regression at a time."""
    rng = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(-TRUTH["mu"]))
    se = (N * p * (1 - p)) ** -0.5
    weight = 1 / (se**2 + TRUTH["tau2"])
    center = TRUTH["mu"] + slope * (se - np.average(se, weights=weight))
    found = []
    for _ in range(draws):
        logit = center + rng.normal(0, TRUTH["tau2"] ** 0.5, len(N))
        x = rng.binomial(N, 1 / (1 + np.exp(-logit))).astype(float)
        n = N.astype(float)
        edge = (x == 0) | (x == n)
        y = np.log((x + 0.5 * edge) / (n - x + 0.5 * edge))
        found.append(sm.WLS(y, sm.add_constant(1 / n), weights=n).fit().tvalues[1])
    return np.abs(found)


def test_power_is_that_of_a_simulation_by_hand():
    slope = -1.2086  # the published one
    result = simulate_power(events=EVENTS, n=N, slope=slope, tests=[PETERS], **TRUTH)
    critical = np.quantile(by_hand(0.0, 1500, 11), 0.95)
    power = (by_hand(slope, 1500, 12) > critical).mean()
    assert result.of(PETERS) == pytest.approx(power, abs=0.07)
    assert result.power_mcse[0] < 0.02


def test_the_double_arcsine_test_could_miss_the_published_slope_in_most_sets():
    result = simulate_power(events=EVENTS, n=N, slope=-1.2086, tests=["Double arcsine"], **TRUTH)
    assert 0.35 < result.of("Double arcsine") < 0.5 < ENOUGH_POWER
    assert not result.can_tell("Double arcsine")


def test_without_an_effect_the_power_is_the_level_and_it_grows_with_the_effect():
    slopes = (0.0, -2.0, -5.0)
    power = [
        simulate_power(events=EVENTS, n=N, slope=slope, tests=[PETERS], draws=1000, **TRUTH).of(
            PETERS
        )
        for slope in slopes
    ]
    assert power[0] == pytest.approx(0.05, abs=0.03)
    assert power[0] < power[1] < power[2]
    assert power[2] > 0.95


def test_scale_and_variance_model_can_be_told_apart():
    """The four combinations are there, and each is what its name says."""
    run = simulate_null(events=EVENTS, n=N, draws=20).summary_frame()["observed_p"]
    x, n = EVENTS.astype(float), N.astype(float)
    wide = 0.5 * (np.arcsin(np.sqrt(x / (n + 1))) + np.arcsin(np.sqrt((x + 1) / (n + 1))))
    variance = 1 / (4 * n + 2)
    line = sm.WLS(wide, sm.add_constant(variance**0.5), weights=1 / variance).fit()
    assert run["Double arcsine (multiplicative)"] == pytest.approx(line.pvalues[1], rel=1e-8)
    edge = (x == 0) | (x == n)
    logit = np.log((x + 0.5 * edge) / (n - x + 0.5 * edge))
    variance = 1 / (x + 0.5 * edge) + 1 / (n - x + 0.5 * edge)
    line = sm.WLS(logit, sm.add_constant(variance**0.5), weights=1 / variance).fit()
    assert run["Egger (logit)"] == pytest.approx(line.pvalues[1], rel=1e-8)


def test_errors_say_what_was_expected():
    with pytest.raises(MetaAnalysisError, match="finite"):
        simulate_power(events=EVENTS, n=N, slope=float("nan"))
    with pytest.raises(UnsupportedError, match="expected some of"):
        simulate_power(events=EVENTS, n=N, slope=1.0, tests=["Begg"], draws=5)

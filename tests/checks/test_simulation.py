"""Tests of the simulation: the truth is what it says, and exact methods reach their level."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightly import examples
from scipy import special, stats

from helpers import pool
from helpers.checks.simulation import Scenario, beta_shapes, combine, coverage, simulate
from helpers.checks.simulation.performance import Records
from helpers.engine.distributions import expit
from helpers.errors import MetaAnalysisError, UnsupportedError


def number(result, **where):
    """Value and standard error of the one row that fits."""
    frame = result.frame()
    for name, value in where.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1, frame
    return float(frame["value"].iloc[0]), float(frame["mcse"].iloc[0])


# --- the truth ------------------------------------------------------------------------------


@examples(40)
@given(mu=st.floats(-5, 5), tau=st.floats(0.05, 2.5))
def test_beta_shapes_have_the_mean_and_variance_of_the_logit(mu, tau):
    a, b = beta_shapes(mu, tau)
    assert special.digamma(a) - special.digamma(b) == pytest.approx(mu, abs=1e-9)
    assert special.polygamma(1, a) + special.polygamma(1, b) == pytest.approx(tau**2, rel=1e-9)


@pytest.mark.parametrize("family", ["binomial-normal", "beta-binomial"])
def test_true_logits_and_events_have_the_stated_moments(family):
    truth = Scenario(20, 0.1, 0.8, (30, 200), family)
    sample = simulate(truth, 3000, seed=3)
    size = sample.theta.size
    assert sample.theta.mean() == pytest.approx(truth.mu, abs=5 * truth.tau / size**0.5)
    assert sample.theta.std() == pytest.approx(truth.tau, rel=0.03)
    residual = (sample.events - sample.n * expit(sample.theta)) / np.sqrt(
        sample.n * expit(sample.theta) * expit(-sample.theta)
    )
    assert residual.mean() == pytest.approx(0, abs=5 / size**0.5)
    assert residual.std() == pytest.approx(1, rel=0.03)
    assert set(np.unique(sample.n)) == {30.0, 200.0}


def test_beta_logits_come_from_the_beta_distribution():
    truth = Scenario(10, 0.05, 1.2, family="beta-binomial")
    p = expit(simulate(truth, 400, seed=5).theta).ravel()
    a, b = beta_shapes(truth.mu, truth.tau)
    assert stats.kstest(p, stats.beta(a, b).cdf).pvalue > 1e-3


def test_normal_effects_have_known_variances():
    truth = Scenario(5, 0.2, 0.0, (40,), "normal-normal")
    sample = simulate(truth, 4000)
    assert sample.events is None
    assert sample.vi == pytest.approx(np.full((4000, 5), 1 / (40 * 0.2 * 0.8)))
    assert sample.yi.var() == pytest.approx(sample.vi[0, 0], rel=0.05)


def test_data_depend_on_seed_and_scenario_alone():
    one, two = Scenario(5, 0.1, 0.5), Scenario(6, 0.1, 0.5)
    assert (simulate(one, 10, 7).events == simulate(one, 10, 7).events).all()
    assert (simulate(one, 10, 7).events != simulate(one, 10, 8).events).any()
    together = coverage([two, one], draws=30, glmm=False).frame()
    alone = coverage([one], draws=30, glmm=False).frame()
    second = together[together["k"] == 5].reset_index(drop=True)
    assert second.equals(alone)


@pytest.mark.parametrize("family", ["binomial-normal", "beta-binomial"])
def test_probability_of_a_new_study_is_that_of_the_drawn_ones(family):
    truth = Scenario(10, 0.1, 0.7, family=family)
    theta = simulate(truth, 4000, seed=2).theta
    low, high = np.array([-3.0]), np.array([-1.8])
    inside = ((theta > low) & (theta < high)).mean()
    assert truth.within(low, high)[0] == pytest.approx(inside, abs=0.01)
    point = Scenario(10, 0.1, 0.0, family=family)
    assert point.within(np.array([-3.0, -2.0]), np.array([-1.8, -1.8])).tolist() == [1.0, 0.0]


# --- the performance measures ---------------------------------------------------------------


@pytest.fixture(scope="module")
def normal():
    """Equal, known variances: where theory says what every number must be."""
    truths = [Scenario(6, 0.2, tau, (50,), "normal-normal") for tau in (0.0, 0.6)]
    return coverage(truths, draws=3000, seed=11)


@pytest.mark.parametrize(
    ("tau", "where"),
    [
        (0.0, {"estimator": "common", "method": "wald"}),
        (0.0, {"estimator": "REML", "method": "knapp-hartung"}),
        (0.6, {"estimator": "REML", "method": "knapp-hartung"}),
        (0.6, {"estimator": "DL", "method": "knapp-hartung"}),
    ],
)
def test_exact_intervals_for_the_mean_reach_their_level(normal, tau, where):
    """With equal variances the Knapp-Hartung interval is the one-sample t interval."""
    value, mcse = number(normal, tau=tau, quantity="mu interval", performance="coverage", **where)
    assert value == pytest.approx(0.95, abs=4 * mcse)


@pytest.mark.parametrize("method", ["q-profile", "generalised-q, inverse-variance"])
def test_exact_intervals_for_tau2_reach_their_level(normal, method):
    pick = {"quantity": "tau2 interval", "performance": "coverage", "method": method}
    if method == "q-profile":
        value, mcse = number(normal, tau=0.6, **pick)
    else:
        truth = Scenario(4, 0.2, 0.6, (20, 90), "normal-normal")
        value, mcse = number(coverage([truth], draws=600, generalised_q=True), **pick)
    assert value == pytest.approx(0.95, abs=4 * mcse)


def test_the_empty_q_profile_set_does_not_cover_a_variance_of_zero(normal):
    """Without variance Q is chi-squared: too small in 2.5%, too large in 2.5% of the sets."""
    pick = {"quantity": "tau2 interval", "method": "q-profile", "tau": 0.0}
    value, mcse = number(normal, performance="coverage", **pick)
    assert value == pytest.approx(0.95, abs=4 * mcse)
    share, mcse = number(normal, performance="empty", **pick)
    assert share == pytest.approx(0.025, abs=4 * mcse)
    frame = normal.frame().query("method == 'q-profile'")
    assert (frame["used"] == 3000).all()  # an empty set is an answer, not a failure
    assert (frame["failed"] == 0).all()


def test_homogeneity_is_rejected_as_often_as_it_should(normal):
    value, mcse = number(normal, tau=0.0, quantity="heterogeneity test")
    assert value == pytest.approx(0.05, abs=4 * mcse)
    power, _ = number(normal, tau=0.6, quantity="heterogeneity test")
    v = 1 / (50 * 0.2 * 0.8)  # Q (v/(v + tau2)) is chi-squared with 5 degrees of freedom
    exact = stats.chi2.sf(stats.chi2.isf(0.05, 5) * v / (v + 0.36), 5)
    assert power == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 3000) ** 0.5)


def test_bias_and_error_are_those_of_a_plain_mean(normal):
    bias, mcse = number(normal, tau=0.6, quantity="mu", estimator="DL", performance="bias")
    assert bias == pytest.approx(0.0, abs=4 * mcse)
    exact = ((1 / 8 + 0.36) / 6) ** 0.5
    rmse, mcse = number(normal, tau=0.6, quantity="mu", estimator="DL", performance="rmse")
    assert rmse == pytest.approx(exact, abs=4 * mcse)
    spread, _ = number(normal, tau=0.6, quantity="mu", estimator="DL", performance="empirical se")
    assert rmse == pytest.approx((spread**2 * 2999 / 3000 + bias**2) ** 0.5, rel=1e-12)


def test_monte_carlo_errors_of_a_point_estimator_are_its_spread_over_repeats():
    """Beside the spread of the same numbers over 4000 sets of 60 draws, known to 1.1%."""
    rng = np.random.default_rng(2)
    records = Records(Scenario(4, 0.2, 0.5), 0.95)
    for values in rng.normal(0.7, 1.3, (4000, 60)):
        records.estimate("mu", "DL", values, 0.4)
    found = pd.DataFrame(records.rows).groupby("performance")[["value", "mcse"]]
    assert set(found.groups) == {"bias", "rmse", "empirical se"}
    for name, rows in found:
        root = np.sqrt(np.square(rows["mcse"]).mean())
        assert root == pytest.approx(rows["value"].std(), rel=0.04), name


def test_monte_carlo_errors_predict_the_spread_between_seeds():
    truth = Scenario(4, 0.2, 0.5, (40,), "normal-normal")
    pick = {"quantity": "mu interval", "estimator": "DL", "method": "wald"}
    runs = [
        number(
            coverage([truth], draws=200, seed=s, tau2_methods=["DL"]),
            performance="coverage",
            **pick,
        )
        for s in range(30)
    ]
    values, errors = np.array(runs).T
    # 30 runs: the ratio of variances is chi-squared(29)/29, inside (0.45, 1.9) in 99%
    assert 0.4 < values.var(ddof=1) / (errors**2).mean() < 2.0


@pytest.fixture(scope="module")
def counts():
    return coverage(
        [Scenario(5, 0.03, 0.0, (15,)), Scenario(8, 0.2, 0.5, (30, 90))],
        draws=150,
        seed=2,
        tau2_methods=["REML", "ML"],
        bootstrap=5,
    )


def test_every_kind_of_method_is_measured(counts):
    frame = counts.frame()
    pairs = set(zip(frame["quantity"], frame["estimator"], frame["method"], strict=True))
    for pair in (
        ("mu interval", "GLMM", "profile"),
        ("mu interval", "GLMM", "t"),
        ("mu interval", "ML", "profile"),
        ("mu interval", "common", "henmi-copas"),
        ("mu interval", "REML", "knapp-hartung-max1"),
        ("tau2 interval", "GLMM", "profile"),
        ("tau2 interval", "REML", "profile"),
        ("prediction interval", "GLMM", "t-k-2"),
        ("prediction interval", "DL", "bootstrap"),
        ("heterogeneity test", "GLMM", "likelihood ratio of tau2"),
    ):
        assert pair in pairs
    rates = frame[frame["performance"].isin(["coverage", "rejection"])]
    assert rates["value"].between(0, 1).all()
    assert (rates["mcse"] >= 0).all()


def test_replicates_without_a_result_are_counted(counts):
    """Five studies of 15 patients and 3%: about one in ten has no event at all."""
    frame = counts.frame()
    glmm = frame[(frame["estimator"] == "GLMM") & (frame["k"] == 5) & (frame["quantity"] == "mu")]
    none = (simulate(Scenario(5, 0.03, 0.0, (15,)), 150, 2).events.sum(axis=1) == 0).sum()
    assert none > 0
    assert set(glmm["failed"]) == {none}
    assert set(glmm["used"] + glmm["failed"]) == {150}


def test_simulated_intervals_of_the_glmm_are_those_of_pool():
    truth = Scenario(6, 0.2, 0.5, (40,))
    sample = simulate(truth, 9, 5)
    frame = coverage([truth], draws=9, seed=5).frame()
    for method in ("wald", "t", "profile"):
        limits = [
            pool(events=x, n=[40] * 6, ci_method=method, model="glmm").conf_int(scale="model")
            for x in sample.events
        ]
        where = {"quantity": "mu interval", "estimator": "GLMM", "method": method}
        rows = frame[(frame[list(where)] == pd.Series(where)).all(axis=1)]
        found = dict(zip(rows["performance"], rows["value"], strict=True))
        assert found["median width"] == pytest.approx(np.median(np.diff(limits)), rel=1e-6)
        held = [low <= truth.mu <= high for low, high in limits]
        assert found["coverage"] == pytest.approx(np.mean(held))


def test_summary_ranks_by_the_worst_cell(counts):
    table = counts.summary_frame("mu interval")
    assert table["lowest"].is_monotonic_decreasing
    assert (table["lowest"] <= table["mean"]).all()
    assert (table["cells"] == 2).all()
    assert (counts.summary_frame("mu interval", "tau > 0")["cells"] == 1).all()
    with pytest.raises(MetaAnalysisError, match="no coverage"):
        counts.summary_frame("mu")


def test_result_is_json_and_names_its_source(counts):
    out = json.loads(json.dumps(counts.to_dict(), allow_nan=False))
    assert len(out["rows"]) == len(counts.frame())
    assert "150 meta-analyses were simulated in each of two scenarios" in out["methods"]
    assert counts.methods().references[0].doi == "10.1002/sim.8086"


def test_processes_give_the_same_numbers():
    truths = [Scenario(3, 0.2, 0.3), Scenario(4, 0.2, 0.3)]
    options = {"draws": 20, "tau2_methods": ["DL"], "glmm": False}
    one, two = coverage(truths, **options), coverage(truths, workers=2, **options)
    assert one.frame().equals(two.frame())
    assert combine([one, two]).frame().shape[0] == 2 * one.frame().shape[0]
    with pytest.raises(MetaAnalysisError, match="combine"):
        combine([one, coverage(truths, **(options | {"draws": 21}))])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"family": "poisson"}, "family"),
        ({"k": 1}, "at least 2"),
        ({"proportion": 0.0}, "inside"),
        ({"tau": -1.0}, "at least 0"),
        ({"sizes": ()}, "at least one size"),
    ],
)
def test_impossible_scenarios_are_refused(change, message):
    with pytest.raises(UnsupportedError, match=message):
        Scenario(**({"k": 5, "proportion": 0.1, "tau": 0.5} | change))


def test_impossible_plans_are_refused():
    truth = Scenario(5, 0.1, 0.5)
    with pytest.raises(UnsupportedError, match="unknown XX"):
        coverage([truth], tau2_methods=["XX"])
    with pytest.raises(UnsupportedError, match="level"):
        coverage([truth], level=95)
    with pytest.raises(MetaAnalysisError, match="no scenario"):
        coverage([])
    with pytest.raises(UnsupportedError, match="draws"):
        simulate(truth, 0)

"""Laws that every posterior obeys, calibration, ranks, events in a new centre, and the views."""

from __future__ import annotations

import json

import numpy as np
import pytest
import reference_values
from hypothesis import given
from hypothesis import strategies as st
from nightly import examples, nightly
from scipy import special, stats

from helpers import load_cohorts, pool
from helpers.errors import ConvergenceError, MetaAnalysisError, UnsupportedError
from helpers.models.bayes import (
    Flat,
    HalfCauchy,
    HalfNormal,
    LogNormal,
    Normal,
    Uniform,
    compare,
    posterior,
    rank_probabilities,
)
from helpers.models.bayes.panels import adapt

YI, VI = np.array([-2.1, -2.9, -1.8, -3.3]), np.array([0.11, 0.23, 0.05, 0.4])
PRIORS = [HalfNormal(0.5), HalfCauchy(0.5), Uniform(5.0), LogNormal(-1.0, 0.8)]

effects = st.lists(st.tuples(st.floats(-6.0, 3.0), st.floats(1e-3, 4.0)), min_size=3, max_size=12)
counts = st.lists(
    st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    min_size=2,
    max_size=6,
)


@pytest.fixture(scope="module")
def sparse():
    """Posterior of three small studies, one of them without events."""
    return posterior(events=[3, 0, 6], n=[40, 25, 90])


@pytest.fixture(scope="module")
def four():
    """Posterior of four effects with known variances."""
    return posterior(yi=YI, vi=VI)


def _check_distribution(marginal):
    p = np.array([0.001, 0.02, 0.3, 0.5, 0.9, 0.999])
    q = marginal.quantile(p)
    assert (np.diff(q) > 0).all()
    assert marginal.cdf(q) == pytest.approx(p, abs=1e-12)
    assert marginal.probability_above(q) == pytest.approx(1.0 - p, abs=1e-11)
    assert (marginal.density(q) >= 0.0).all()
    assert float(marginal.expectation(np.ones_like)) == pytest.approx(1.0, abs=1e-11)
    for level in (0.5, 0.95):
        central, shortest = marginal.interval(level), marginal.shortest(level)
        for ends in (central, shortest):
            inside = marginal.cdf(ends.upper) - marginal.cdf(ends.lower)
            assert inside == pytest.approx(level, abs=1e-9)
        assert shortest.upper - shortest.lower <= central.upper - central.lower + 1e-9
    wide, narrow = marginal.interval(0.9), marginal.interval(0.6)
    assert wide.lower < narrow.lower < narrow.upper < wide.upper


@examples(20)
@given(effects, st.sampled_from(PRIORS), st.randoms(use_true_random=False))
def test_normal_posteriors_are_distributions_and_ignore_the_order(pairs, prior, random):
    y, v = map(np.array, zip(*pairs, strict=True))
    post = posterior(yi=y, vi=v, tau_prior=prior, tolerance=1e-7)
    for marginal in (post.mu, post.tau, post.predictive, post.study("Study 2")):
        _check_distribution(marginal)
    assert post.errors.largest <= 1e-7
    if np.isfinite(post.mu.sd):
        assert post.predictive.sd > post.mu.sd
    order = list(range(len(pairs)))
    random.shuffle(order)
    other = posterior(yi=y[order], vi=v[order], tau_prior=prior, tolerance=1e-7)
    assert other.mu.median == pytest.approx(post.mu.median, abs=1e-6)
    assert other.tau.median == pytest.approx(post.tau.median, abs=1e-6)


@examples(12)
@given(counts)
def test_binomial_posteriors_are_distributions_for_any_counts(pairs):
    x, n = map(np.array, zip(*pairs, strict=True))
    post = posterior(events=x, n=n, mu_prior=Normal(0.0, 3.0), tolerance=1e-5)
    for marginal in (post.mu, post.tau, post.predictive):
        _check_distribution(marginal)
    assert 0.0 < post.ci.lower < post.estimate < post.ci.upper < 1.0
    assert 0.0 < post.rate.mean < 1.0
    assert np.isfinite(post.studies[["mean", "sd"]].to_numpy()).all()
    assert post.errors.largest <= 1e-5


def test_shift_and_scale_of_effects_carry_over():
    post = posterior(yi=YI, vi=VI, tau_prior=HalfNormal(0.5))
    moved = posterior(yi=3.0 * YI + 7.0, vi=9.0 * VI, tau_prior=HalfNormal(1.5))
    assert moved.mu.median == pytest.approx(3.0 * post.mu.median + 7.0, abs=1e-8)
    assert moved.tau.sd == pytest.approx(3.0 * post.tau.sd, abs=1e-8)


def test_shortest_interval_has_equal_densities_at_its_ends(four):
    ends = four.mu.shortest()
    assert four.mu.density(ends.lower) == pytest.approx(four.mu.density(ends.upper), rel=1e-8)
    assert four.tau.shortest().lower == 0.0 or four.tau.mode > 0.0


def test_the_density_is_the_slope_of_the_distribution_function(sparse):
    for marginal in (sparse.mu, sparse.predictive, sparse.rate, sparse.new_rate):
        at = np.asarray(marginal.quantile([0.05, 0.4, 0.95]))
        step = 1e-5 * np.ptp(at)
        slope = (marginal.cdf(at + step) - marginal.cdf(at - step)) / (2.0 * step)
        assert marginal.density(at) == pytest.approx(slope, rel=1e-5)


def test_display_scale_transforms_quantiles_and_integrates_means(sparse):
    p = np.array([0.025, 0.5, 0.975])
    assert sparse.rate.quantile(p) == pytest.approx(special.expit(sparse.mu.quantile(p)), rel=1e-14)
    assert list(sparse.ci) == pytest.approx(special.expit(sparse.mu.interval()), rel=1e-14)
    r = np.linspace(0.0, 1.0, 200_001)[1:-1]
    mean = float((r * sparse.rate.density(r)).sum() * (r[1] - r[0]))
    assert sparse.rate.mean == pytest.approx(mean, abs=1e-6)
    # Jensen: the mean of a rate below one half exceeds the transformed mean logit
    assert sparse.rate.mean > special.expit(sparse.mu.mean)
    assert sparse.probability_above(0.0) == pytest.approx(1.0, abs=1e-14)
    assert sparse.probability_above(1.0) == 0.0


def test_density_of_rates_on_every_measure_integrates_to_one_and_to_its_moments():
    for measure, centre, top in (
        ("log", -2.0, 1.0),
        ("arcsine", 0.3, 1.0),
        ("log-rate", -2.0, 3.0),
        ("effect", 0.3, 1.0),
    ):
        post = posterior(
            yi=centre + 0.05 * YI, vi=1e-3 * VI, measure=measure, tau_prior=HalfNormal(0.03)
        )
        r = (np.arange(400_000) + 0.5) / 400_000 * top
        share = post.rate.density(r) * top / 400_000
        assert share.sum() == pytest.approx(1.0, abs=1e-5)
        mean = share @ r
        if measure == "log-rate":  # whose mean need not exist
            assert np.isnan([post.rate.mean, post.rate.sd]).all()
        else:
            assert post.rate.mean == pytest.approx(mean, abs=1e-5)
            assert post.rate.sd == pytest.approx(np.sqrt(share @ (r - mean) ** 2), rel=1e-3)


def test_events_in_a_new_centre_mix_the_binomial_over_the_predictive(sparse):
    for n in (1, 30, 400):
        got = sparse.predict_events(n)
        assert got.probabilities.sum() == pytest.approx(1.0, abs=1e-9)
        assert got.mean == pytest.approx(n * sparse.new_rate.mean, rel=1e-9)
        rate, spread = sparse.new_rate.mean, sparse.new_rate.sd
        variance = n * (rate * (1 - rate) - spread**2) + n**2 * spread**2
        assert got.sd == pytest.approx(np.sqrt(variance), rel=1e-7)
        low, high = got.interval(0.9)
        assert got.probabilities[int(low) : int(high) + 1].sum() >= 0.9 - 1e-12
    assert sparse.predict_events(1).probabilities[1] == pytest.approx(rate, rel=1e-9)
    assert sparse.predict_events(20).frame()["cumulative"].iloc[-1] == pytest.approx(1.0)
    with pytest.raises(MetaAnalysisError, match="whole number"):
        sparse.predict_events(0)


def test_ranks_agree_with_orderings_by_independent_integration():
    posts = {
        name: posterior(yi=YI[:3] + shift, vi=VI[:3], measure="logit")
        for name, shift in (("A", 0.0), ("B", 0.3), ("C", -0.4))
    }
    got = rank_probabilities(posts)
    x = np.linspace(-9.0, 4.0, 20_001)
    density = {k: p.mu.density(x) * (x[1] - x[0]) for k, p in posts.items()}
    cdf = {k: p.mu.cdf(x) for k, p in posts.items()}
    for row, name in enumerate(posts):
        one, two = (cdf[k] for k in posts if k != name)
        first = density[name] @ ((1 - one) * (1 - two))
        last = density[name] @ (one * two)
        assert got.probabilities[row, 0] == pytest.approx(first, abs=1e-8)
        assert got.probabilities[row, 2] == pytest.approx(last, abs=1e-8)
    assert got.probabilities.sum(axis=0) == pytest.approx(np.ones(3), abs=1e-9)
    assert got.probabilities.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-9)
    assert got.lower + got.lower.T + np.eye(3) == pytest.approx(np.ones((3, 3)), abs=1e-9)
    assert got.sucra.mean() == pytest.approx(0.5, abs=1e-9)
    assert got.frame().shape == (3, 5)
    assert got.error < 1e-9


def test_equal_posteriors_have_equal_ranks():
    post = posterior(yi=YI, vi=VI, measure="logit")
    ranks = rank_probabilities(dict.fromkeys("ABCD", post), of="new").probabilities
    assert ranks == pytest.approx(np.full((4, 4), 0.25), abs=1e-9)


def test_prior_comparison_orders_tau_by_the_width_of_the_prior():
    post = posterior(yi=YI, vi=VI, measure="logit")
    table = compare(
        post,
        {f"{s}": HalfNormal(s) for s in (0.1, 0.5, 2.0)},
        {"flat": Flat(), "proper": Normal(0.0, 4.0)},
        rates=(0.05,),
    )
    assert table.shape == (6, 11)
    assert table.xs("flat", level="mu_prior")["tau"].is_monotonic_increasing
    row = table.loc[("0.5", "flat")]
    assert row["estimate"] == post.estimate
    assert row["new_above_0.05"] == post.probability_above(0.05, of="new")


def test_many_studies_overrule_the_prior():
    events, n = reference_values.counts()
    post = posterior(events=events, n=n, likelihood="normal")
    table = compare(post, {"a": HalfNormal(0.5), "b": HalfCauchy(0.5), "c": Uniform(5.0)})
    assert np.ptp(table["estimate"]) < 0.0005


# --- calibration ---------------------------------------------------------------------------------


@pytest.mark.parametrize("replicates", [80, nightly(400)])
def test_simulation_based_calibration_of_the_normal_model(replicates):
    # truths drawn from the prior are uniform in their posteriors (doi:10.48550/arXiv.1804.06788)
    rng = np.random.default_rng(20240501)
    k = 6
    tau = np.abs(rng.normal(0.0, 0.5, replicates))
    mu = rng.normal(-2.0, 1.0, replicates)
    v = rng.uniform(0.03, 0.4, (replicates, k))
    theta = rng.normal(mu[:, None], tau[:, None], (replicates, k))
    y = rng.normal(theta, np.sqrt(v))
    ranks = np.empty((replicates, 4))
    for i in range(replicates):
        post = posterior(yi=y[i], vi=v[i], mu_prior=Normal(-2.0, 1.0), tolerance=1e-6)
        new = rng.normal(mu[i], tau[i])
        ranks[i] = (
            post.mu.cdf(mu[i]),
            post.tau.cdf(tau[i]),
            post.predictive.cdf(new),
            stats.norm.cdf(theta[i, 0], *post.studies.loc["Study 1", ["mean", "sd"]]),
        )
    for column in range(3):
        assert stats.kstest(ranks[:, column], "uniform").pvalue > 0.01
    # the shrunken effect is no normal variable, but close to one
    assert abs(ranks[:, 3].mean() - 0.5) < 3.5 * np.sqrt(1 / 12 / replicates)


@pytest.mark.parametrize("replicates", [15, nightly(60)])
def test_simulation_based_calibration_of_the_binomial_model(replicates):
    rng = np.random.default_rng(7)
    k = 5
    tau = np.abs(rng.normal(0.0, 0.5, replicates))
    mu = rng.normal(-2.0, 1.0, replicates)
    n = rng.integers(10, 120, (replicates, k))
    theta = rng.normal(mu[:, None], tau[:, None], (replicates, k))
    x = rng.binomial(n, special.expit(theta))
    ranks = np.empty((replicates, 3))
    for i in range(replicates):
        post = posterior(events=x[i], n=n[i], mu_prior=Normal(-2.0, 1.0), tolerance=1e-4)
        ranks[i] = post.mu.cdf(mu[i]), post.tau.cdf(tau[i]), post.study("Study 1").cdf(theta[i, 0])
    for column in range(3):
        assert stats.kstest(ranks[:, column], "uniform").pvalue > 0.01


# --- views, input, errors ------------------------------------------------------------------------


def test_a_fit_and_a_table_give_the_same_posterior():
    data = load_cohorts()
    columns = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}
    fit = pool(data, model="random", **columns)
    post = posterior(fit)
    assert post.likelihood == "normal"
    assert post.mu.mean == posterior(data, likelihood="normal", **columns).mu.mean
    assert post.studies.index.tolist() == data["cohort"].tolist()
    by_arcsine = posterior(pool(data, measure="arcsine", **columns), tau_prior=HalfNormal(0.1))
    assert 0.05 < by_arcsine.ci.lower < by_arcsine.ci.upper < 0.10


def test_excluded_studies_stay_visible_and_are_counted_in_a_caution():
    post = posterior(events=[3, None, 6], n=[40, 20, 90], study=["a", "b", "c"])
    assert post.k == 2
    assert post.studies.loc["b", "reason"] == "events missing"
    assert np.isnan(post.studies.loc["b", "mean"])
    assert {c.code for c in post.cautions} == {"few-studies", "excluded-studies"}
    assert post.shrinkage().index.tolist() == ["a", "c"]


def test_views_are_plain_and_complete(sparse):
    record = json.loads(json.dumps(sparse.to_dict(), allow_nan=False))
    assert record["estimate"] == sparse.estimate
    frame = sparse.summary_frame()
    assert frame.index.tolist() == ["mu", "tau", "new", "rate", "new_rate"]
    assert frame.loc["rate", "median"] == sparse.estimate
    methods = sparse.methods()
    assert "binomial-normal" in str(methods)
    assert {r.key for r in methods.references} >= {"rover2020", "rover2021"}
    table = sparse.shrinkage()
    assert (table["ci_lower"] < table["estimate"]).all()
    assert (table["estimate"] < table["ci_upper"]).all()


def test_shrinkage_pulls_every_study_towards_the_mean():
    events, n = reference_values.counts()
    post = posterior(events=events, n=n, likelihood="normal")
    table = post.studies
    beyond = (table["mean"] - post.mu.mean) / (table["yi"] - post.mu.mean)
    far = np.abs(table["yi"] - post.mu.mean) > 0.1
    assert beyond[far].between(0.0, 1.0).all()


def test_wrong_input_gets_one_clear_error(four):
    with pytest.raises(UnsupportedError, match="either counts"):
        posterior(events=[1], n=[2], yi=[0.1], vi=[0.1])
    with pytest.raises(UnsupportedError, match="events need n"):
        posterior(events=[1])
    with pytest.raises(MetaAnalysisError, match="level"):
        posterior(yi=YI, vi=VI, level=95)
    with pytest.raises(MetaAnalysisError, match="scale"):
        HalfNormal(0.0)
    with pytest.raises(MetaAnalysisError, match="tolerance"):
        posterior(yi=YI, vi=VI, tolerance=0.0)
    with pytest.raises(MetaAnalysisError, match="no included study"):
        four.study("Nobody 1999")
    with pytest.raises(UnsupportedError, match="proportion"):
        four.predict_events(10)
    with pytest.raises(MetaAnalysisError, match="at least two"):
        rank_probabilities({"A": four})
    with pytest.raises(MetaAnalysisError, match="between 0 and 1"):
        four.mu.quantile(1.0)


@pytest.mark.parametrize("prior", PRIORS)
def test_priors_are_normalised_and_their_medians_true(prior):
    grid = adapt(
        lambda y: prior.log_density(y / (1.0 - y)) - 2.0 * np.log1p(-y),
        np.array([0.0, 0.5, 5.0 / 6.0, 1.0]),
        tolerance=1e-9,
        tail_tolerance=1e-11,
    )
    values = np.exp(np.maximum(grid.log_values.ravel(), -745.0))
    assert grid.weights() @ values == pytest.approx(1.0, abs=1e-10)
    tau = grid.nodes / (1.0 - grid.nodes)
    assert 0.2 < (grid.weights() * values) @ (tau < prior.median) < 0.8


def test_panels_are_halved_until_the_rule_of_every_second_node_agrees() -> None:
    """By the coefficients alone, which `tail_tolerance` lets pass here, none would be halved."""
    sd, tolerance = 1e-3, 1e-8
    grid = adapt(
        lambda x: -0.5 * ((x - 0.3) / sd) ** 2,
        np.linspace(-1.0, 1.0, 5),
        tolerance=tolerance,
        tail_tolerance=1e9,
    )
    density = np.exp(grid.log_values)
    full, half = (
        (grid.weights(half=every).reshape(density.shape) * density).sum(axis=1)
        for every in (False, True)
    )
    assert full.sum() == pytest.approx(sd * np.sqrt(2.0 * np.pi), rel=1e-7)
    assert np.abs(full - half).max() <= tolerance * full.sum()


def test_panels_refuse_what_they_cannot_resolve():
    with pytest.raises(ConvergenceError, match="panels"):
        adapt(lambda x: np.sin(1e6 * x), np.array([0.0, 1.0]), tolerance=1e-9, tail_tolerance=1e-9)

"""The binomial-normal posterior against brute force, its limits, and scipy."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest
import reference_values
from densities import binomial, normal
from scipy import integrate, interpolate, special, stats

from helpers.engine.counts.studies import log_saturated, prepare
from helpers.errors import ConvergenceError, MetaAnalysisError, UnsupportedError
from helpers.models.bayes import Flat, HalfCauchy, HalfNormal, LogNormal, Normal, Uniform, posterior
from helpers.models.bayes.study_integrals import RULES, SharedGrid, integrate_studies

X, N = np.array([1.0, 0.0, 4.0, 9.0]), np.array([20.0, 31.0, 40.0, 55.0])


@cache
def _likelihood(top, size=161):
    """Likelihood of X and N on Gauss-Legendre nodes in mu and tau; effects by 400 midpoints."""
    x, n = X, N
    node, weight = np.polynomial.legendre.leggauss(size)
    mu, w_mu = 7.0 * node - 3.0, 7.0 * weight
    tau, w_tau = 0.5 * top * (node + 1.0), 0.5 * top * weight
    z = (np.arange(400) + 0.5) / 400 * 17.0 - 8.5
    phi = stats.norm.pdf(z) * 17.0 / 400
    theta = mu[:, None, None] + tau[:, None] * z
    log_p, log_q = special.log_expit(theta), special.log_expit(-theta)
    like = np.ones((size, size))
    first = np.empty((x.size, size, size))
    for i in range(x.size):
        choose = np.log(special.comb(n[i], x[i]))
        f = np.exp(choose + x[i] * log_p + (n[i] - x[i]) * log_q) * phi
        total = f.sum(axis=-1)
        first[i] = (f * theta).sum(axis=-1) / total
        like *= total
    return mu, w_mu, tau, w_tau, like, first


def _brute_force(log_prior_tau, top, log_prior_mu):
    mu, w_mu, tau, w_tau, like, first = _likelihood(top)
    joint = like * np.exp(log_prior_mu(mu))[:, None] * np.exp(log_prior_tau(tau))
    return mu, w_mu, tau, joint * w_mu[:, None] * w_tau, first


@pytest.mark.parametrize(
    ("tau_prior", "top", "mu_prior"),
    [
        (HalfNormal(0.5), 3.8, Flat()),
        (HalfNormal(0.5), 3.8, Normal(-2.0, 1.0)),
        (Uniform(2.0), 2.0, Normal(0.0, 4.0)),
        (LogNormal(-1.0, 0.5), 8.0, Normal(-2.0, 1.0)),
    ],
)
def test_agrees_with_a_brute_force_grid(tau_prior, top, mu_prior):
    post = posterior(events=X, n=N, tau_prior=tau_prior, mu_prior=mu_prior)
    mu, weight, tau, joint, first = _brute_force(tau_prior.log_density, top, mu_prior.log_density)
    total = joint.sum()
    p = joint / total
    assert np.log(total) == pytest.approx(post.log_marginal_likelihood, abs=3e-8)
    mean = p.sum(axis=1) @ mu
    assert mean == pytest.approx(post.mu.mean, abs=3e-8)
    assert np.sqrt(p.sum(axis=1) @ (mu - mean) ** 2) == pytest.approx(post.mu.sd, abs=3e-8)
    assert p.sum(axis=0) @ tau == pytest.approx(post.tau.mean, abs=3e-8)
    theta = (p * first).sum(axis=(1, 2))
    assert theta == pytest.approx(post.studies["mean"].to_numpy(), abs=3e-8)
    cut = special.logit(0.10)
    # near tau = 0 a new centre's rate is a step in mu: refine the grid of mu between its nodes
    fine = np.linspace(-9.9, 3.9, 20_001)
    log_fine = interpolate.make_interp_spline(mu, np.log(joint / weight[:, None]), k=7)(fine)
    density = np.exp(log_fine - log_fine.max(axis=0))
    density /= density.sum(axis=0)
    new = (density * p.sum(axis=0) * special.ndtr((fine[:, None] - cut) / tau)).sum()
    assert new == pytest.approx(float(post.probability_above(0.10, of="new")), abs=1e-6)


def test_all_cohorts_stay_within_the_stated_error_of_a_finer_computation():
    events, n = reference_values.counts()
    post = posterior(events=events, n=n)
    finer = posterior(events=events, n=n, tolerance=1e-10)
    assert finer.errors.largest < 1e-10 < post.errors.largest < 1e-8
    bound = post.errors
    assert abs(post.mu.mean - finer.mu.mean) <= bound.mu + finer.errors.mu
    assert abs(post.tau.sd - finer.tau.sd) <= bound.tau + finer.errors.tau
    change = np.abs(post.studies["mean"] - finer.studies["mean"]).max()
    assert change <= bound.studies + finer.errors.studies
    for rate in (0.05, 0.10, 0.15):
        for of in ("mu", "new"):
            gap = abs(post.probability_above(rate, of=of) - finer.probability_above(rate, of=of))
            assert gap <= bound.probabilities + finer.errors.probabilities
    gap = abs(post.log_marginal_likelihood - finer.log_marginal_likelihood)
    assert gap <= bound.log_marginal_likelihood + finer.errors.log_marginal_likelihood


def test_posterior_mode_of_tau_lies_near_the_maximum_likelihood_estimate():
    events, n = reference_values.counts()
    post = posterior(events=events, n=n, tau_prior=Uniform(5.0))
    exact = reference_values.load()["GLMM"]["exact_nAGQ60"]
    # integrating mu out moves the mode from ML towards REML, by far less than its sd
    assert abs(post.tau.mode - exact["tau"]) < 0.15 * post.tau.sd
    assert abs(post.mu.mode - exact["coef"]) < 0.15 * post.mu.sd


def test_large_patients_give_the_normal_model():
    rate = np.array([0.05, 0.08, 0.04, 0.11])
    n = np.full(4, 10_000_000.0)
    events = np.round(rate * n)
    yi, vi = special.logit(events / n), 1.0 / events + 1.0 / (n - events)
    counts = posterior(events=events, n=n, mu_prior=Normal(-2.0, 2.0))
    effects = posterior(yi=yi, vi=vi, mu_prior=Normal(-2.0, 2.0), measure="logit")
    # the logit of a binomial count differs from a normal variable by terms of order 1/events
    close = 1.0 / events.min()
    assert counts.mu.mean == pytest.approx(effects.mu.mean, abs=close)
    assert counts.mu.sd == pytest.approx(effects.mu.sd, abs=close)
    assert counts.tau.median == pytest.approx(effects.tau.median, abs=close)
    assert counts.studies["mean"].to_numpy() == pytest.approx(
        effects.studies["mean"].to_numpy(), abs=close
    )


def test_tau_near_zero_and_flat_mu_give_a_beta_posterior():
    # flat on the logit scale is Beta(0, 0): the posterior of the rate is Beta(sum x, sum(n - x))
    post = posterior(events=X, n=N, tau_prior=HalfNormal(1e-6))
    beta = stats.beta(X.sum(), (N - X).sum())
    p = np.array([0.01, 0.025, 0.25, 0.5, 0.75, 0.975, 0.99])
    assert post.rate.quantile(p) == pytest.approx(beta.ppf(p), rel=1e-8)
    assert post.rate.mean == pytest.approx(beta.mean(), rel=1e-8)
    assert post.rate.sd == pytest.approx(beta.std(), rel=1e-8)
    constant = np.log(special.comb(N, X)).sum() + special.betaln(X.sum(), (N - X).sum())
    assert post.log_marginal_likelihood == pytest.approx(constant, abs=1e-8)
    counts = post.predict_events(40)
    want = stats.betabinom(40, X.sum(), (N - X).sum()).pmf(np.arange(41))
    assert counts.probabilities == pytest.approx(want, abs=1e-9)


@cache
def moment(power, x, n, mu, tau):
    """Integral of a power of the logit, the likelihood and the normal, by adaptive quadrature."""

    def integrand(t):
        return t**power * binomial(x, n, t) * normal(t, mu, tau)

    ends = mu - 12 * tau, mu + 12 * tau
    return integrate.quad(integrand, *ends, epsabs=0, epsrel=1e-12, limit=400, points=[mu])[0]


@pytest.mark.parametrize("rule", range(len(RULES)))
@pytest.mark.parametrize(("x", "n"), [(0, 15), (7, 139), (12, 12), (1, 1)])
@pytest.mark.parametrize("tau", [0.05, 0.4, 1.0])
def test_every_rule_integrates_a_study(rule, x, n, tau):
    mu = -2.2
    study = prepare("binomial", np.array([float(x)]), np.array([float(n)]))
    got = integrate_studies(study, np.array([[mu]]), np.array([[tau]]), rule)
    value = float(got[0][0, 0]) + float(log_saturated("binomial", study.x, study.n)[0])
    total, first, second = (moment(power, x, n, mu, tau) for power in range(3))
    accuracy = {0: 1e-4, 1: 1e-6}.get(rule, 1e-9)
    assert value == pytest.approx(np.log(total), abs=accuracy)
    mean = first / total
    assert float(got[1][0, 0]) == pytest.approx(mean, abs=accuracy)
    assert float(got[2][0, 0]) == pytest.approx(second / total - mean**2, abs=10 * accuracy)


@pytest.mark.parametrize("tau", [5.0, 40.0, 300.0])
@pytest.mark.parametrize("mu", [-400.0, -25.0, -3.0, 0.0, "three tau"])
@pytest.mark.parametrize("n", [1, 15])
def test_the_safe_rule_holds_where_tau_is_huge(tau, mu, n):
    mu = 3.0 * tau if mu == "three tau" else mu
    study = prepare("binomial", np.array([0.0]), np.array([float(n)]))
    value = float(
        integrate_studies(study, np.array([[mu]]), np.array([[tau]]), len(RULES) - 1)[0][0, 0]
    )
    edges = np.array([mu - 12 * tau, -30.0, -10.0, -5.0, 0.0, 5.0, 40.0])
    pieces = np.unique(np.minimum(np.maximum(edges, mu - 12 * tau), mu + 12 * tau))
    total = sum(
        integrate.quad(
            lambda t: binomial(0, n, t) * normal(t, mu, tau),
            a, b, epsabs=0, epsrel=1e-11, limit=500,
        )[0]
        for a, b in itertools.pairwise(pieces)
    )  # fmt: skip
    assert value == pytest.approx(np.log(total), abs=1e-7)


@pytest.mark.parametrize("tau", [0.2, 1.0, 30.0])
def test_a_grid_shared_by_studies_integrates_each_of_them(tau):
    x, n = np.array([0.0, 7.0, 12.0, 1.0]), np.array([15.0, 139.0, 12.0, 1.0])
    studies = prepare("binomial", x, n)
    mu = np.array([-3.0, 1.5])
    grid = SharedGrid.over(studies, (-3.0, 1.5), (tau, 2.0 * tau), 1.3)
    got = grid.kernel(mu, np.full(2, tau)) @ grid.likelihoods(studies)
    for j, i in itertools.product(range(2), range(4)):

        def integrand(z, j=j, i=i):
            return binomial(x[i], n[i], mu[j] + tau * z) * normal(z)

        want, _ = integrate.quad(integrand, -9.0, 9.0, epsabs=0, epsrel=1e-12, limit=400)
        saturated = np.exp(log_saturated("binomial", x, n)[i])
        assert got[j, i] * saturated == pytest.approx(want, rel=1e-11)


@pytest.mark.parametrize("tau_prior", [HalfNormal(0.5), HalfCauchy(0.5)])
def test_the_surface_tells_the_likelihood_between_its_nodes(tau_prior):
    # what a posterior has refined where it lies, read at any mu and tau, against quadrature
    post = posterior(events=X, n=N, tau_prior=tau_prior)
    surface = post.model.surface
    tau = np.array([0.003, 0.1, 0.37, 0.6, 0.9])
    mu = np.array([-2.9, -2.3, -1.7])
    got = surface.rows(tau).read(np.broadcast_to(mu, (5, 3)))
    saturated = log_saturated("binomial", X, N).sum()
    z, w = np.polynomial.hermite_e.hermegauss(180)
    w = w / w.sum()
    theta = mu[None, :, None] + tau[:, None, None] * z
    want = sum(
        np.log(stats.binom.pmf(x, n, special.expit(theta)) @ w) for x, n in zip(X, N, strict=True)
    )
    assert got + saturated == pytest.approx(want, abs=1e-8)


def test_study_posteriors_agree_with_direct_integration():
    # two studies: theta_1's posterior by integrating the joint density on a grid
    x, n = np.array([2.0, 5.0]), np.array([25.0, 40.0])
    prior = LogNormal(-0.7, 0.2)  # away from 0, where the direct grid would need a ridge
    post = posterior(events=x, n=n, mu_prior=Normal(-2.0, 1.0), tau_prior=prior)
    marginal = post.study("Study 1")
    assert float(marginal.expectation(lambda t: t)) == pytest.approx(
        post.studies["mean"].iloc[0], abs=1e-8
    )
    second = float(marginal.expectation(lambda t: (t - marginal.mean) ** 2))
    assert np.sqrt(second) == pytest.approx(post.studies["sd"].iloc[0], abs=1e-8)
    node, weight = np.polynomial.legendre.leggauss(220)
    tau = 1.0 * (node + 1.0)
    w_tau = weight * np.exp(prior.log_density(tau))
    theta, w = 5.0 * node - 2.5, 5.0 * weight
    like = [stats.binom.pmf(a, b, special.expit(theta)) for a, b in zip(x, n, strict=True)]
    # given tau, (theta_1, theta_2) is bivariate normal: mu integrates out in closed form
    density = np.zeros(theta.size)
    for t, wt in zip(tau, w_tau, strict=True):
        cover = stats.multivariate_normal([-2.0, -2.0], np.ones((2, 2)) + t**2 * np.eye(2))
        joint = cover.pdf(np.stack(np.meshgrid(theta, theta, indexing="ij"), axis=-1))
        density += wt * like[0] * (joint @ (w * like[1]))
    density /= density @ w
    assert marginal.density(theta) == pytest.approx(density, abs=1e-6)


def test_complement_of_events_mirrors_the_posterior():
    post = posterior(events=X, n=N)
    mirror = posterior(events=N - X, n=N)
    assert mirror.mu.mean == pytest.approx(-post.mu.mean, abs=2e-8)
    assert mirror.tau.median == pytest.approx(post.tau.median, abs=2e-8)
    assert mirror.probability_above(0.9) == pytest.approx(
        1.0 - post.probability_above(0.1), abs=1e-7
    )


def test_no_events_anywhere_needs_a_proper_prior_for_mu():
    with pytest.raises(MetaAnalysisError, match="no study bounds mu from both sides"):
        posterior(events=[0, 0, 0], n=[20, 30, 40])
    post = posterior(events=[0, 0, 0], n=[20, 30, 40], mu_prior=Normal(0.0, 4.0))
    assert 0.0 < post.ci.lower < post.estimate < post.ci.upper < 0.1


def test_a_heavy_tail_and_one_study_leave_no_moments():
    post = posterior(yi=[-2.0], vi=[0.1], tau_prior=HalfCauchy(0.5), tolerance=1e-6)
    assert np.isinf(post.tau.mean)
    assert np.isnan(post.mu.mean)
    # one study says nothing about tau under a flat prior for mu: posterior = prior
    assert post.tau.quantile(0.75) == pytest.approx(stats.halfcauchy(scale=0.5).ppf(0.75), rel=1e-8)
    assert "no-moments" in [c.code for c in post.cautions]


def test_unresolved_tolerance_is_an_error_that_says_what_to_do():
    with pytest.raises(ConvergenceError, match="larger `tolerance`"):
        posterior(yi=[0.0, 1.0], vi=[1.0, 1e-9], tau_prior=HalfCauchy(0.5), tolerance=1.1e-13)


def test_the_binomial_likelihood_is_defined_for_logit_counts_only():
    with pytest.raises(UnsupportedError, match="needs counts"):
        posterior(yi=[0.1], vi=[0.1], likelihood="binomial")
    with pytest.raises(UnsupportedError, match="measure='logit'"):
        posterior(events=[1], n=[10], likelihood="binomial", measure="arcsine")

"""The mean across studies beside the median: quadrature, simulation, likelihood and posterior."""

import numpy as np
import pytest
from densities import normal
from scipy import integrate, optimize, stats
from scipy.special import expit, logit

from helpers import load_cohorts, pool, pool_effects
from helpers.errors import UnsupportedError
from helpers.models.bayes import posterior
from helpers.models.beta_binomial import pool_beta_binomial
from helpers.models.population import population_mean, solve_logit_mean
from helpers.models.subgroup_analysis import subgroups

EVENTS, N = [3, 0, 8, 12, 2], [40, 25, 60, 55, 48]


@pytest.fixture(scope="module")
def review():
    return pool(
        load_cohorts(),
        events="nonrelapse_deaths",
        n="patients",
        study="cohort",
        measure="logit",
        model="glmm",
        ci_method="wald",
    )


def by_quad(mu, tau):
    def integrand(z):
        return expit(mu + tau * z) * normal(z)

    edge = [float(np.clip(-mu / tau, -11.0, 11.0))] if tau else None
    return integrate.quad(integrand, -12, 12, points=edge, epsabs=1e-15, epsrel=1e-13, limit=400)[0]


@pytest.mark.parametrize("mu", [-8.0, -2.6, 0.0, 3.0])
@pytest.mark.parametrize("tau", [0.0, 0.05, 0.6, 0.999, 1.0, 3.0, 20.0])
def test_the_mean_of_proportions_is_the_integral(mu, tau):
    found = population_mean(mu, tau**2)
    assert float(found.value) == pytest.approx(by_quad(mu, tau), rel=1e-12)
    step = 1e-5
    slope = (by_quad(mu + step, tau) - by_quad(mu - step, tau)) / (2 * step)
    assert float(found.by_mu) == pytest.approx(slope, abs=1e-8)
    if tau > step:
        slope = (by_quad(mu, tau + step) - by_quad(mu, tau - step)) / (2 * step)
        assert float(found.by_tau) == pytest.approx(slope, abs=1e-8)


def test_the_mean_of_rates_is_that_of_the_lognormal_distribution():
    found = population_mean(-3.0, 0.49, "log-rate").value
    assert float(found) == pytest.approx(stats.lognorm(s=0.7, scale=np.exp(-3.0)).mean(), rel=1e-13)


def test_mu_is_found_from_the_mean_on_both_sides_of_one_half():
    target = np.array([-12.0, -2.0, 0.0, 0.3, 9.0])
    tau = np.array([0.4, 0.0, 2.0, 5.0, 1.0])
    mu, slope = solve_logit_mean(target, tau)
    means = [by_quad(a, b) for a, b in zip(mu, tau, strict=True)]
    assert logit(means) == pytest.approx(target, abs=1e-9)
    further, _ = solve_logit_mean(target + 1e-6, tau)
    assert slope == pytest.approx((further - mu) / 1e-6, rel=1e-3)


def test_of_the_review_six_point_eight_percent_is_the_median_and_seven_point_four_the_mean(review):
    assert review.estimate == pytest.approx(0.06822, abs=5e-6)
    assert review.mean_estimate == pytest.approx(by_quad(review.mu, review.tau2**0.5), rel=1e-12)
    assert review.mean_estimate == pytest.approx(0.07447, abs=5e-6)
    draws = expit(np.random.default_rng(7).normal(review.mu, review.tau2**0.5, 400_000))
    assert np.median(draws) == pytest.approx(review.estimate, abs=2e-4)
    assert draws.mean() == pytest.approx(review.mean_estimate, abs=2e-4)
    low, high = review.mean_conf_int()
    assert low < 574 / 7604 < high


def test_the_delta_interval_is_that_of_the_joint_information(review):
    """By hand: numerical slopes of the quadrature, and the covariance of (mu, tau)."""
    mu, tau, h = review.mu, review.tau2**0.5, 1e-5
    slopes = np.array(
        [
            (logit(by_quad(mu + h, tau)) - logit(by_quad(mu - h, tau))) / (2 * h),
            (logit(by_quad(mu, tau + h)) - logit(by_quad(mu, tau - h))) / (2 * h),
        ]
    )
    se = float(np.sqrt(slopes @ review.engine.cov[0] @ slopes))
    expected = expit(logit(by_quad(mu, tau)) + se * np.array([-1, 1]) * stats.norm.ppf(0.975))
    assert list(review.mean_conf_int()) == pytest.approx(list(expected), rel=1e-7)


GRID = np.linspace(-10, 10, 2001)
MASS = stats.norm.pdf(GRID) * (GRID[1] - GRID[0])


def summed_mean(x):
    """Logit of the mean proportion for x = (mu, tau), by brute force on a grid of deviates."""
    return logit(expit(x[0] + abs(x[1]) * GRID) @ MASS)


def glmm_loglik(mu, tau):
    """Log-likelihood of the binomial-normal model by brute force on the same grid."""
    x, n = np.array(EVENTS), np.array(N)
    t = (mu + tau * GRID)[:, None]
    return float(np.log(MASS @ np.exp(x * t - n * np.logaddexp(0.0, t))).sum())


def test_the_profile_interval_ends_where_the_likelihood_has_fallen_enough():
    fit = pool(events=EVENTS, n=N, model="glmm", quad_points=30)
    found = fit.mean_conf_int("profile")
    floor = glmm_loglik(fit.mu, fit.tau2**0.5) - 0.5 * stats.chi2.ppf(0.95, 1)
    start = np.array([fit.mu, fit.tau2**0.5])
    for sign, limit in zip((1.0, -1.0), found, strict=True):
        best = optimize.minimize(
            lambda x, sign=sign: sign * summed_mean(x),
            start,
            method="SLSQP",
            constraints={"type": "ineq", "fun": lambda x: glmm_loglik(x[0], abs(x[1])) - floor},
            options={"ftol": 1e-10},
        )
        assert limit == pytest.approx(expit(sign * best.fun), rel=1e-4)


def test_the_profile_interval_of_the_normal_model_likewise():
    rng = np.random.default_rng(3)
    v = rng.uniform(0.05, 0.4, 9)
    y = rng.normal(-2.0, np.sqrt(0.5 + v))
    fit = pool_effects(y, v, measure="logit", tau2_method="ML", ci_method="wald")

    def loglik(x):
        return stats.norm.logpdf(y, x[0], np.sqrt(v + x[1] ** 2)).sum()

    floor = loglik([fit.mu, fit.tau2**0.5]) - 0.5 * stats.chi2.ppf(0.95, 1)
    for sign, limit in zip((1.0, -1.0), fit.mean_conf_int("profile"), strict=True):
        best = optimize.minimize(
            lambda x, sign=sign: sign * summed_mean(x),
            [fit.mu, fit.tau2**0.5],
            method="SLSQP",
            constraints={"type": "ineq", "fun": lambda x: loglik(x) - floor},
            options={"ftol": 1e-10},
        )
        assert limit == pytest.approx(expit(sign * best.fun), rel=1e-4)


def test_at_the_boundary_delta_rests_on_mu_alone_and_profile_keeps_tau2_open():
    fit = pool(events=[4, 5, 6, 5, 4], n=[60, 70, 80, 75, 62], model="glmm", ci_method="wald")
    assert fit.tau2 == 0.0
    assert fit.mean_estimate == pytest.approx(fit.estimate, rel=1e-12)
    assert list(fit.mean_conf_int()) == pytest.approx(list(fit.ci), rel=1e-9)
    assert fit.mean_conf_int("profile").upper > fit.conf_int("profile").upper
    told = next(c.message for c in fit.cautions if c.code == "boundary")
    assert "delta method takes the variance as known" in told


def test_intervals_hold_the_mean_about_as_often_as_they_say():
    """Fifty cohorts like the review's, 120 tables: 95% less three standard errors is 89%."""
    rng = np.random.default_rng(11)
    n = load_cohorts()["patients"].to_numpy(dtype=int)
    truth, held = by_quad(-2.6, 0.55), []
    for _ in range(120):
        x = rng.binomial(n, expit(rng.normal(-2.6, 0.55, n.size)))
        low, high = pool(events=x, n=n, model="glmm", ci_method="wald").mean_conf_int()
        held.append((low < truth < high, low > truth, high < truth))
    inside, above, below = np.mean(held, axis=0)
    assert inside > 0.89
    assert max(above, below) < 0.08


def test_the_posterior_of_the_mean_agrees_with_draws_from_the_joint_posterior():
    post = posterior(yi=[-2.0, -1.2, -3.1, -2.4], vi=[0.1, 0.2, 0.3, 0.15], measure="logit")
    found = post.mean_rate()
    # the law of total expectation: the mean of the mean is that of a new study
    assert found.mean == pytest.approx(post.new_rate.mean, rel=1e-9)
    tau = np.linspace(1e-4, 4.0, 2001)
    y, v = np.array([-2.0, -1.2, -3.1, -2.4]), np.array([0.1, 0.2, 0.3, 0.15])
    w = 1 / (v + tau[:, None] ** 2)
    centre, info = (w @ y) / w.sum(axis=1), w.sum(axis=1)
    log_p = 0.5 * (np.log(w).sum(axis=1) - np.log(info))
    log_p -= 0.5 * (w * (y - centre[:, None]) ** 2).sum(axis=1)
    log_p += stats.halfnorm(scale=post.tau_prior.scale).logpdf(tau)
    p = np.exp(log_p - log_p.max())
    rng = np.random.default_rng(5)
    at = rng.choice(tau.size, 60_000, p=p / p.sum())
    mu = rng.normal(centre[at], info[at] ** -0.5)
    draws = population_mean(mu, tau[at] ** 2).value
    assert np.median(draws) == pytest.approx(post.mean_estimate, rel=0.01)
    assert np.quantile(draws, [0.025, 0.975]) == pytest.approx(list(post.mean_conf_int()), rel=0.03)


def test_the_posterior_of_the_review_has_the_same_mean(review):
    post = posterior(review)
    assert post.mean_rate().mean == pytest.approx(post.new_rate.mean, rel=1e-9)
    assert post.mean_estimate == pytest.approx(review.mean_estimate, abs=5e-4)
    assert list(post.mean_conf_int()) == pytest.approx(list(review.mean_conf_int()), abs=2e-3)


def test_the_beta_binomial_mean_has_a_profile_interval_of_its_own():
    fit = pool_beta_binomial(events=EVENTS, n=N)
    assert fit.mean_estimate == fit.estimate

    def held(mean):
        def lack(phi):
            size = np.exp(phi)
            return -stats.betabinom.logpmf(EVENTS, N, mean * size, (1 - mean) * size).sum()

        return -optimize.minimize_scalar(lack, bounds=(-3, 12), method="bounded").fun

    floor = fit.loglik - 0.5 * stats.chi2.ppf(0.95, 1)
    low, high = fit.mean_conf_int("profile")
    for limit in (low, high):
        assert held(limit) == pytest.approx(floor, abs=1e-4)
    assert low < fit.estimate < high


def test_views_hold_median_and_mean():
    fit = pool(events=EVENTS, n=N, model="glmm")
    row = fit.row()
    assert row["estimate"] < row["mean_estimate"] < row["mean_upper"]
    assert fit.to_dict()["mean_ci"] == list(fit.mean_conf_int())
    assert fit.summary_frame()["mean_lower"].iloc[0] == fit.mean_conf_int().lower
    arcsine = pool(events=EVENTS, n=N, measure="arcsine", model="random")
    assert arcsine.to_dict()["mean_estimate"] is None
    with pytest.raises(UnsupportedError, match="no mean across studies"):
        arcsine.mean_conf_int()


def test_groups_that_share_tau2_have_means():
    table = load_cohorts().query("entity in ['LBCL', 'MM']")
    groups = subgroups(
        table,
        by="entity",
        events="nonrelapse_deaths",
        n="patients",
        study="cohort",
        model="glmm",
        ci_method="wald",
        group_tau2="common",
    )
    for fit in groups.groups.values():
        assert fit.mean_estimate == pytest.approx(by_quad(fit.mu, fit.tau2**0.5), rel=1e-10)
        joint, delta = fit.mean_conf_int("profile"), fit.mean_conf_int()
        assert list(joint) == pytest.approx(list(delta), rel=0.05)


@pytest.mark.parametrize("method", ["delta", "profile"])
def test_rates_have_a_mean_above_the_median(method):
    fit = pool(
        events=[3, 9, 1, 14], time=[40.0, 50.0, 35.0, 61.0], measure="log-rate", model="glmm"
    )
    assert fit.mean_estimate == pytest.approx(np.exp(fit.mu + fit.tau2 / 2), rel=1e-12)
    low, high = fit.mean_conf_int(method)
    assert low < fit.estimate < fit.mean_estimate < high


def test_unknown_methods_and_levels_are_named():
    fit = pool(events=EVENTS, n=N, model="glmm")
    with pytest.raises(UnsupportedError, match="delta, profile"):
        fit.mean_conf_int("wald")
    with pytest.raises(UnsupportedError, match="between 0 and 1"):
        fit.mean_conf_int(level=95)


@pytest.mark.parametrize("events", [[3], [3, 6, 4]])
def test_a_given_variance_is_taken_as_known_also_with_one_study(events):
    fit = pool(events=events, n=[40] * len(events), model="random", tau2=0.3, ci_method="wald")
    h = 1e-5
    slope = logit(by_quad(fit.mu + h, 0.3**0.5)) - logit(by_quad(fit.mu - h, 0.3**0.5))
    half = stats.norm.ppf(0.975) * fit.se * slope / (2 * h)
    expected = expit(logit(by_quad(fit.mu, 0.3**0.5)) + np.array([-half, half]))
    assert list(fit.mean_conf_int()) == pytest.approx(list(expected), rel=1e-7)


def test_without_events_there_is_no_second_number_beside_the_exact_limit():
    fit = pool(events=[0, 0, 0], n=[40, 35, 20], model="glmm")
    row = fit.row()
    assert row["mean_estimate"] == row["estimate"] == 0.0
    assert (row["mean_lower"], row["mean_upper"]) == (row["ci_lower"], row["ci_upper"])

"""The beta-binomial model against scipy's distribution and direct sums."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from nightly import examples
from reference_values import PATH

from helpers.engine.counts.beta_binomial import BetaBinomialVariation, _rising, fit_beta_binomial
from helpers.engine.counts.fit import fit_glmm
from helpers.engine.counts.optimise import FitStatus
from helpers.engine.counts.studies import log_saturated, prepare

REFERENCE = json.loads((PATH).read_text(encoding="utf-8"))
EVENTS = np.array(REFERENCE["data"]["deaths"], dtype=float)
N = np.array(REFERENCE["data"]["Patient_number"], dtype=float)


@pytest.mark.parametrize("m", [0, 1, 2, 5, 30, 400, 1300])
def test_products_and_derivatives_are_the_direct_sums(m: int) -> None:
    c, phi = np.meshgrid(
        [1e-6, 0.01, 0.3, 0.99, 1.0], [0.0, 1e-12, 1e-6, 1e-4, 3e-3, 0.05, 1.0, 30.0, 1e4]
    )
    c, phi = c.ravel(), phi.ravel()
    ours = _rising(c, np.full(c.shape, float(m)), phi)
    j = np.arange(m, dtype=np.longdouble)[:, None]
    d = c + j * phi.astype(np.longdouble)
    direct = (
        np.log1p(j * phi / c).sum(axis=0),
        (1 / d).sum(axis=0),
        (j / d).sum(axis=0),
        -(1 / d**2).sum(axis=0),
        -(j / d**2).sum(axis=0),
        -(j**2 / d**2).sum(axis=0),
    )
    for mine, exact in zip(ours, direct, strict=True):
        np.testing.assert_allclose(mine, exact.astype(float), rtol=2e-12, atol=1e-300)


def test_likelihood_is_scipys() -> None:
    s = prepare("binomial", EVENTS, N)
    for beta, rho in ((-2.5, 0.015), (-1.0, 0.4), (-4.0, 1e-4)):
        phi = rho / (1 - rho)
        terms = BetaBinomialVariation().terms(s, np.full(52, beta), np.full(52, phi))
        pi = scipy.special.expit(beta)
        exact = scipy.stats.betabinom.logpmf(EVENTS, N, pi / phi, (1 - pi) / phi)
        ours = terms.value + log_saturated("binomial", EVENTS, N)
        np.testing.assert_allclose(ours, exact, rtol=1e-8, atol=1e-8)


def test_the_score_without_variation_is_the_slope_of_the_probability_itself() -> None:
    """The product that defines the distribution goes on below zero: a central difference."""
    x, n, eta = np.array([0.0, 3.0, 7.0, 12.0]), np.array([9.0, 40.0, 8.0, 31.0]), -0.8
    pi = 1 / (1 + np.exp(-eta))

    def log_probability(phi: float) -> np.ndarray:
        def product(first: float, factors: float) -> float:
            return float(np.log(first + phi * np.arange(factors)).sum())

        rows = zip(x, n, strict=True)
        return np.array(
            [product(pi, a) + product(1 - pi, m - a) - product(1.0, m) for a, m in rows]
        )

    step = 1e-5
    slope = (log_probability(step) - log_probability(-step)) / (2 * step)
    ours = BetaBinomialVariation().score(
        prepare("binomial", x, n), x - n * pi, n * pi * (1 - pi), np.full(4, eta)
    )
    np.testing.assert_allclose(np.ravel(ours), slope, rtol=1e-6)


def test_fit_is_the_maximum_that_a_general_optimiser_finds() -> None:
    def minus(theta: np.ndarray) -> float:
        pi, rho = scipy.special.expit(theta)
        return -float(
            scipy.stats.betabinom.logpmf(
                EVENTS, N, pi * (1 - rho) / rho, (1 - pi) * (1 - rho) / rho
            ).sum()
        )

    best = scipy.optimize.minimize(
        minus, [-2.5, -4.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}
    )
    fit = fit_beta_binomial(EVENTS, N)
    assert fit.converged[0]
    assert fit.loglik[0] == pytest.approx(-best.fun, abs=1e-8)
    assert fit.loglik[0] >= -best.fun - 1e-9
    assert fit.beta[0, 0] == pytest.approx(best.x[0], abs=1e-6)
    assert fit.rho[0] == pytest.approx(scipy.special.expit(best.x[1]), rel=1e-5)


def test_covariance_is_the_inverse_of_a_numerical_hessian() -> None:
    X = np.array(REFERENCE["meta_regression"]["setting"]["X"])
    fit = fit_beta_binomial(EVENTS, N, X)
    s = prepare("binomial", EVENTS, N)
    best = np.append(fit.beta[0], fit.rho[0])
    sizes = np.array([1e-3, 1e-3, 1e-4])

    def loglik(theta: np.ndarray) -> float:
        phi = np.full(52, theta[-1] / (1 - theta[-1]))
        return float(BetaBinomialVariation().terms(s, X @ theta[:-1], phi).value.sum())

    d = np.diag(sizes)
    hessian = np.array(
        [
            [
                (
                    loglik(best + d[i] + d[j])
                    - loglik(best + d[i] - d[j])
                    - loglik(best - d[i] + d[j])
                    + loglik(best - d[i] - d[j])
                )
                / (4 * sizes[i] * sizes[j])
                for j in range(3)
            ]
            for i in range(3)
        ]
    )
    np.testing.assert_allclose(fit.cov[0], np.linalg.inv(-hessian), rtol=2e-3)
    assert fit.gradient_max[0] < 1e-8


def test_no_overdispersion_is_the_binomial_model() -> None:
    fit, glm = fit_beta_binomial([5, 10, 20], [50, 100, 200]), fit_glmm([5, 10, 20], [50, 100, 200])
    assert fit.boundary[0]
    assert fit.rho[0] == 0.0
    assert fit.beta[0, 0] == pytest.approx(glm.beta[0, 0], rel=1e-12)
    assert fit.se[0, 0] == pytest.approx(glm.se[0, 0], rel=1e-12)
    assert fit.loglik[0] == pytest.approx(glm.loglik_tau0[0], rel=1e-12)


def test_leave_one_out_is_one_batch() -> None:
    fit = fit_beta_binomial(EVENTS, N, mask=~np.eye(52, dtype=bool))
    assert fit.converged.all()
    for row in (0, 22, 51):
        keep = np.arange(52) != row
        alone = fit_beta_binomial(EVENTS[keep], N[keep])
        assert fit.beta[row, 0] == pytest.approx(alone.beta[0, 0], rel=1e-9)
        assert fit.rho[row] == pytest.approx(alone.rho[0], rel=1e-7)


def test_extremes_are_fitted_or_flagged() -> None:
    large = fit_beta_binomial([10**6, 1_200_000, 900_000, 1_100_000], [10**7] * 4)
    assert large.converged[0]
    assert fit_beta_binomial([0, 0], [4, 5]).status[0] == FitStatus.SEPARATION
    assert fit_beta_binomial([0, 10, 0], [10] * 3).status[0] == FitStatus.TAU_UNBOUNDED
    assert fit_beta_binomial([1, 0, 1], [1] * 3).status[0] == FitStatus.TAU_UNIDENTIFIED
    assert fit_beta_binomial([3], [10]).boundary[0]


@examples(30)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=2, max_size=8))
def test_counting_nonevents_flips_the_sign(pairs: list[tuple[int, int]]) -> None:
    x = np.array([a for a, _ in pairs])
    n = np.array([a + b for a, b in pairs])
    a, b = fit_beta_binomial(x, n), fit_beta_binomial(n - x, n)
    assert a.status[0] == b.status[0]
    if a.converged[0]:
        assert a.loglik[0] == pytest.approx(b.loglik[0], rel=1e-9, abs=1e-9)
        assert abs(a.beta[0, 0] + b.beta[0, 0]) < 1e-6 * a.se[0, 0]

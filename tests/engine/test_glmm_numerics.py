"""The GLMM against second computations: extended precision, integration, statsmodels, scipy."""

from __future__ import annotations

import json
import math
from decimal import Decimal, getcontext
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.optimize
import scipy.special
import scipy.stats
import statsmodels.api as sm
from densities import binomial, log_binomial, normal, poisson
from reference_values import PATH

from helpers.engine.counts.fit import fit_glmm
from helpers.engine.counts.inference import quadrature_error
from helpers.engine.counts.kernel import gauss_hermite, study_mode, study_terms
from helpers.engine.counts.optimise import _inverse_information
from helpers.engine.counts.profile import profile_loglik
from helpers.engine.counts.studies import Family, log_saturated, prepare, relative_value
from helpers.models.pooling import pool

REFERENCE = json.loads((PATH).read_text(encoding="utf-8"))
EVENTS = np.array(REFERENCE["data"]["deaths"], dtype=float)
N = np.array(REFERENCE["data"]["Patient_number"], dtype=float)
Long = np.longdouble


def long_hermite(points: int) -> tuple[Any, Any]:
    """Gauss-Hermite rule in extended precision, polished by Newton's method."""
    z = np.polynomial.hermite_e.hermegauss(points)[0].astype(Long)
    for _ in range(6):
        before, now = np.ones(points, Long), z.copy()
        for j in range(1, points):
            before, now = now, z * now - j * before
        z = z - now / (points * before)
    w = 1 / before**2
    return z, w / w.sum()


def long_loglik(theta: Any, X: Any, x: Any, n: Any, points: int) -> Any:
    """Textbook adaptive quadrature of the binomial GLMM in extended precision (no constant)."""
    z, w = long_hermite(points) if points > 1 else (np.zeros(1, Long), np.ones(1, Long))
    beta, tau = theta[:-1], theta[-1]
    eta = X @ beta
    u = np.zeros_like(eta)
    for _ in range(60):
        p = 1 / (1 + np.exp(-(eta + tau * u)))
        u = u + (tau * (x - n * p) - u) / (tau**2 * n * p * (1 - p) + 1)
    p = 1 / (1 + np.exp(-(eta + tau * u)))
    scale = 1 / np.sqrt(1 + tau**2 * n * p * (1 - p))
    U = u[:, None] + scale[:, None] * z
    T = eta[:, None] + tau * U
    f = x[:, None] * T - n[:, None] * np.log1p(np.exp(T)) - U * U / 2 + z * z / 2
    top = f.max(axis=1)
    return (top + np.log(scale) + np.log((w * np.exp(f - top[:, None])).sum(axis=1))).sum()


def long_gradient(theta: Any, *data: Any) -> Any:
    """Sixth-order central differences in extended precision: good to about 1e-14."""
    theta = np.asarray(theta, dtype=Long)
    out = []
    for j in range(len(theta)):
        step = Long("1e-3")
        total = Long(0)
        for m, c in ((1, Long(3) / 4), (2, -Long(3) / 20), (3, Long(1) / 60)):
            shift = np.zeros(len(theta), Long)
            shift[j] = step * m
            total += c * (long_loglik(theta + shift, *data) - long_loglik(theta - shift, *data))
        out.append(total / step)
    return np.array(out)


@pytest.mark.skipif(
    np.finfo(np.longdouble).eps > 1e-18, reason="needs a long double wider than a double"
)
@pytest.mark.parametrize("case", ["1", "7", "20", "inclusion", "product", "setting_plus_entity"])
def test_gradient_in_extended_precision_vanishes_at_our_maximum(case: str) -> None:
    """Ours is stationary to 1e-10 standard errors; R's exact entry stops further away."""
    if case.isdigit():
        points, X, rows = int(case), np.ones((52, 1)), np.arange(52)
        entry = REFERENCE["GLMM"][f"exact_nAGQ{case}"]
    else:
        regression = REFERENCE["meta_regression"][case]
        points, X, rows = 7, np.array(regression["X"]), np.array(regression["rows"]) - 1
        entry = regression["GLMM_exact"]
    fit = fit_glmm(EVENTS[rows], N[rows], X, quad_points=points)
    data = (X.astype(Long), EVENTS[rows].astype(Long), N[rows].astype(Long), points)
    se = np.append(fit.se[0], fit.tau_se[0])
    ours = np.abs(long_gradient(np.append(fit.beta[0], fit.tau[0]), *data) * se).max()
    theirs = np.abs(long_gradient(np.append(entry["coef"], entry["tau"]), *data) * se).max()
    assert ours < 1e-10
    assert ours < theirs
    assert theirs < 1e-7


@pytest.mark.parametrize("family", ["binomial", "poisson"])
@pytest.mark.parametrize("points", [1, 2, 3, 7, 20, 61])
def test_derivatives_are_those_of_the_quadrature_itself(family: Family, points: int) -> None:
    rng = np.random.default_rng(points)
    x = np.array([0, 5, 5, 24, 0, 93, 500, 1, 12, 3], dtype=float)
    n = np.array([5, 5, 30, 900, 43, 1297, 1000, 10_000, 12, 8], dtype=float)
    s, nodes = prepare(family, x, n), gauss_hermite(points)
    for tau2 in (1e-3, 0.05, 0.3, 2.0, 9.0, 150.0):
        omega = np.full(10, tau2)
        eta = rng.normal(-1.5, 1.0, 10)
        at = study_terms(s, eta, omega, nodes)
        for kind in ("eta", "omega"):
            h = 1e-4 if kind == "eta" else 1e-4 * tau2
            value, first = np.zeros(10), [np.zeros(10), np.zeros(10)]
            for m, c in ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60)):
                for sign in (1, -1):
                    d = sign * m * h
                    moved = (eta + d, omega) if kind == "eta" else (eta, omega + d)
                    near = study_terms(s, *moved, nodes)
                    value += sign * c / h * near.value
                    first[0] += sign * c / h * near.eta
                    first[1] += sign * c / h * near.omega
            size = 1.0 if kind == "eta" else tau2
            pairs = (
                (value, at.eta if kind == "eta" else at.omega),
                (first[0], at.eta_eta if kind == "eta" else at.eta_omega),
                (first[1], at.eta_omega if kind == "eta" else at.omega_omega),
            )
            for numeric, exact in pairs:
                # rounding of values of the order of x * eps, divided by the step
                scale = np.abs(exact) * size + np.maximum(x, 1.0)
                assert (np.abs(numeric - exact) * size / scale).max() < 1e-9


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_quadrature_converges_to_the_integral(family: Family) -> None:
    x = np.array([0, 1, 3, 12, 40, 93], dtype=float)
    n = np.array([16, 24, 27, 150, 225, 1297], dtype=float)
    eta = np.array([-2.6, -2.0, -3.0, -2.6, -1.0, -2.6])
    s = prepare(family, x, n)
    for tau2 in (0.01, 0.2252, 1.0):
        tau = np.sqrt(tau2)
        terms = study_terms(s, eta, np.full(6, tau2), gauss_hermite(80))
        ours = terms.value + log_saturated(family, x, n)
        for i in range(6):

            def integrand(u: float, i: int = i, tau: float = tau) -> float:
                t = eta[i] + tau * u
                if family == "binomial":
                    return binomial(x[i], n[i], t) * normal(u)
                return poisson(x[i], n[i] * math.exp(t)) * normal(u)

            centre = (terms.mode[i] - eta[i]) / tau
            value, _ = scipy.integrate.quad(
                integrand, centre - 9, centre + 9, points=[centre], epsabs=0, epsrel=1e-12
            )
            assert ours[i] == pytest.approx(np.log(value), abs=3e-10)


def test_brute_force_grid_integration_and_optimiser_reach_the_same_maximum() -> None:
    """A plain trapezoid over 4,001 points and Nelder-Mead know nothing of modes or derivatives."""
    u = np.linspace(-9, 9, 4001)
    weight = scipy.stats.norm.pdf(u) * (u[1] - u[0])

    def minus(theta: np.ndarray) -> float:
        t = theta[0] + np.exp(theta[1]) * u[:, None]
        return -float(np.log(weight @ np.exp(log_binomial(EVENTS, N, t))).sum())

    best = scipy.optimize.minimize(
        minus, [-2.5, -0.5], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-11}
    )
    fit = fit_glmm(EVENTS, N, quad_points=40)
    assert fit.loglik[0] == pytest.approx(-best.fun, abs=1e-9)
    assert fit.beta[0, 0] == pytest.approx(best.x[0], abs=1e-5)
    assert fit.tau[0] == pytest.approx(np.exp(best.x[1]), abs=1e-5)


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_fit_at_tau_zero_is_the_glm_of_statsmodels(family: Family) -> None:
    year = np.array(REFERENCE["data"]["year"], dtype=float)
    X = np.column_stack([np.ones(52), year - 2022, np.log(N)])
    if family == "binomial":
        glm = sm.GLM(np.column_stack([EVENTS, N - EVENTS]), X, family=sm.families.Binomial())
    else:
        glm = sm.GLM(EVENTS, X, family=sm.families.Poisson(), offset=np.log(N))
    glm = glm.fit(tol=1e-14)
    fit = fit_glmm(EVENTS, N, X, family=family)
    assert fit.loglik_tau0[0] == pytest.approx(glm.llf, rel=1e-12)

    # homogeneous counts: the maximum itself lies at tau = 0
    counts = np.round(N * 0.08)
    if family == "binomial":
        glm = sm.GLM(np.column_stack([counts, N - counts]), X, family=sm.families.Binomial())
    else:
        glm = sm.GLM(counts, X, family=sm.families.Poisson(), offset=np.log(N))
    glm = glm.fit(tol=1e-14)
    fit = fit_glmm(counts, N, X, family=family)
    assert fit.boundary[0]
    assert fit.converged[0]
    np.testing.assert_allclose(fit.beta[0], glm.params, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(fit.vcov[0], glm.cov_params(), rtol=1e-8, atol=1e-12)
    assert np.isnan(fit.cov[0, -1]).all()
    assert np.isnan(fit.tau_se[0])


def test_covariance_is_the_inverse_of_a_numerical_hessian() -> None:
    X = np.array(REFERENCE["meta_regression"]["setting"]["X"])
    fit = fit_glmm(EVENTS, N, X)
    s, nodes = prepare("binomial", EVENTS, N), gauss_hermite(7)
    best = np.append(fit.beta[0], fit.tau[0])

    def loglik(theta: np.ndarray) -> float:
        return float(study_terms(s, X @ theta[:-1], theta[-1:] ** 2, nodes).value.sum())

    h, p = 2e-3, len(best)
    steps = np.eye(p) * h

    def second(step: float) -> np.ndarray:
        d = steps * step
        return np.array(
            [
                [
                    loglik(best + d[i] + d[j])
                    - loglik(best + d[i] - d[j])
                    - loglik(best - d[i] + d[j])
                    + loglik(best - d[i] - d[j])
                    for j in range(p)
                ]
                for i in range(p)
            ]
        ) / (4 * (h * step) ** 2)

    hessian = (4 * second(1.0) - second(2.0)) / 3
    np.testing.assert_allclose(fit.cov[0], np.linalg.inv(-hessian), rtol=1e-5)


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_saturated_loglik_keeps_its_digits(family: Family) -> None:
    x = np.array([0, 1, 1, 2, 7, 15, 16, 17, 93, 1000, 50, 20, 7])
    n = np.array([9, 1, 2, 3, 9, 31, 30, 40, 1297, 9999, 50, 21, 14])
    getcontext().prec = 60

    def exact(a: int, m: int) -> float:
        """Sixty-digit arithmetic on whole numbers."""
        if family == "binomial":
            value = Decimal(math.comb(m, a)).ln()
            for part in (a, m - a):
                value += part * (Decimal(part) / Decimal(m)).ln() if part else 0
        else:
            value = a * Decimal(a).ln() - a - Decimal(math.factorial(a)).ln() if a else Decimal(0)
        return float(value)

    expected = [exact(int(a), int(m)) for a, m in zip(x, n, strict=True)]
    np.testing.assert_allclose(log_saturated(family, x, n), expected, rtol=3e-15, atol=1e-16)
    # where log-gamma of 10**7 would lose nine digits: against rational arithmetic's leading terms
    value = log_saturated("binomial", np.array([5e6]), np.array([1e7]))
    series = -0.5 * np.log(np.pi * 5e6) - 1 / (8 * 5e6)
    assert value[0] == pytest.approx(series, rel=1e-14)


def test_certain_outcomes_cost_no_digits_however_far_the_predictor() -> None:
    """A study with only events (or none) was once evaluated as log(0) before being replaced."""
    x = np.array([0, 1, 5, 10_000_000, 0, 0], dtype=float)
    n = np.array([1, 1, 5, 10_000_000, 10_000_000, 0], dtype=float)
    s = prepare("binomial", x, n)
    for t in (-650.0, -60.0, -37.5, -5.0, 0.0, 5.0, 37.5, 60.0, 650.0):
        certain = np.where(x > 0, scipy.special.log_expit(t), scipy.special.log_expit(-t))
        np.testing.assert_allclose(relative_value(s, np.full(6, t)), n * certain, rtol=1e-15)


def test_profile_limits_of_single_patients_beside_huge_studies_need_no_warning() -> None:
    """The lower limit is far below the logit -37, where 1 - exp(-logit) rounds to a whole."""
    fit = pool(events=[0, 1, 0, 0, 1], n=[1, 1, 10**7, 10**7, 10**7], model="glmm")
    low, high = fit.conf_int("profile", scale="model")
    assert low < -37 < fit.mu < high
    drop = 0.5 * scipy.stats.chi2.ppf(0.95, 1)
    curve = profile_loglik(fit.engine, mu=[low, high])[0]
    np.testing.assert_allclose(curve, fit.loglik - drop, rtol=1e-9)


def test_modes_solve_their_equation_to_rounding() -> None:
    x = np.array([0, 0, 5, 10, 1e6, 3, 10_000_000], dtype=float)
    n = np.array([10, 10_000_000, 10, 10, 1e7, 9, 10_000_000], dtype=float)
    s = prepare("binomial", x, n)
    for tau2 in (1e-10, 1e-3, 1.0, 400.0, 2500.0):
        for shift in (-30.0, -8.0, 0.0, 8.0, 30.0):
            t = study_mode(s, np.full(7, shift), np.full(7, tau2))
            p, q = scipy.special.expit(t), scipy.special.expit(-t)
            slope = 1.0 + tau2 * n * p * q
            # x - n p without cancellation on either side
            pull = np.where(t <= 0, x - n * p, n * q - (n - x))
            residual = np.abs(t - shift - tau2 * pull) / slope
            assert (residual < 4e-15 * (1.0 + np.abs(t))).all()


@pytest.mark.parametrize("points", [1, 2, 3, 4, 7, 20])
def test_value_is_the_textbook_quadrature(points: int) -> None:
    constant = np.sum(scipy.special.gammaln(N + 1) - scipy.special.gammaln(EVENTS + 1))
    constant -= np.sum(scipy.special.gammaln(N - EVENTS + 1))
    s = prepare("binomial", EVENTS, N)
    for beta, tau in ((-2.6, 0.47), (-1.0, 2.0), (-4.0, 0.05)):
        terms = study_terms(s, np.full(52, beta), np.array(tau**2), gauss_hermite(points))
        ours = float((terms.value + log_saturated("binomial", EVENTS, N)).sum())
        theta = np.array([beta, tau], dtype=Long)
        textbook = long_loglik(theta, np.ones((52, 1), Long), EVENTS, N, points)
        assert ours == pytest.approx(float(textbook) + constant, rel=1e-12)


@pytest.mark.parametrize(("beta", "event"), [(-5.0, 0.0), (5.0, 1.0), (-300.0, 0.0)])
def test_nodes_beyond_the_range_of_exp_are_the_textbooks_too(beta: float, event: float) -> None:
    """One patient and a variance of 2500: the last of 100 nodes lies 900 logits away."""
    x, n = np.array([event]), np.ones(1)
    value = study_terms(prepare("binomial", x, n), n * beta, np.array(2500.0), gauss_hermite(100))
    theta = np.array([beta, 50.0], dtype=Long)
    textbook = long_loglik(theta, np.ones((1, 1), Long), x, n, 100)
    ours = value.value + log_saturated("binomial", x, n)
    assert ours[0] == pytest.approx(float(textbook), rel=1e-12, abs=1e-14)


def test_quadrature_error_shrinks_with_the_points() -> None:
    errors = [
        abs(quadrature_error(fit_glmm(EVENTS, N, quad_points=q), 80)[0]) for q in (1, 7, 12, 20)
    ]
    assert errors[0] > errors[1] > errors[2] > errors[3]
    assert errors[1] < 1e-4
    assert errors[3] < 1e-9


def test_the_default_likelihood_is_that_of_seven_adaptive_nodes() -> None:
    x, n = np.array([0, 1, 4, 9, 0]), np.array([12, 30, 25, 40, 8])
    fit = pool(events=x, n=n)
    mu, tau2 = fit.mu, fit.tau2
    by_hand = {}
    for nodes in (6, 7):
        z, w = np.polynomial.hermite.hermgauss(nodes)
        by_hand[nodes] = 0.0
        for events, size in zip(x, n, strict=True):
            mode = scipy.optimize.brentq(
                lambda t, e=events, m=size: e - m * scipy.special.expit(t) - (t - mu) / tau2,
                -20.0,
                20.0,
                xtol=1e-13,
            )
            p = scipy.special.expit(mode)
            step = np.sqrt(2.0 / (size * p * (1.0 - p) + 1.0 / tau2))
            t = mode + step * z
            density = scipy.stats.binom.pmf(events, size, scipy.special.expit(t))
            density = density * scipy.stats.norm.pdf(t, mu, np.sqrt(tau2)) * np.exp(z * z)
            by_hand[nodes] += np.log(step * (w @ density))
    assert fit.loglik == pytest.approx(by_hand[7], abs=1e-10)
    assert abs(by_hand[7] - by_hand[6]) > 1e-6


@pytest.mark.parametrize("p", [2, 3, 4])
def test_there_is_a_covariance_where_the_information_has_a_cholesky_factor(p: int) -> None:
    random = np.random.default_rng(p)
    turned = np.linalg.qr(random.standard_normal((p, p)))[0]
    for least in (2.0, 0.1, -0.1, -0.9, -3.0):
        information = turned @ np.diag([least, *range(1, p)]) @ turned.T
        ours = _inverse_information(-information[None])[0]
        try:
            factor = scipy.linalg.cho_factor(information)
        except scipy.linalg.LinAlgError:
            assert np.isnan(ours).all(), least
            assert least < 0
        else:
            np.testing.assert_allclose(ours, scipy.linalg.cho_solve(factor, np.eye(p)), rtol=1e-9)
            assert least > 0

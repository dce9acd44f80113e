"""The normal-normal posterior against R's quadrature, nested integration and bayesmeta."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import reference_values
from scipy import integrate, optimize, special, stats

from helpers.models.bayes import Flat, HalfCauchy, HalfNormal, Normal, Uniform, posterior

REFERENCE = reference_values.load()["bayesian"]
PLO = reference_values.load()["effect_sizes"]["PLO"]
YI, VI = np.array(PLO["yi"]), np.array(PLO["vi"])
MM = np.array(reference_values.load()["data"]["Entity"]) == "MM"
ALL = np.ones_like(MM)
CASES = {
    "exact_half_normal_0.5": (HalfNormal(0.5), Flat(), ALL),
    "exact_half_normal_1": (HalfNormal(1.0), Flat(), ALL),
    "exact_half_cauchy_0.5": (HalfCauchy(0.5), Flat(), ALL),
    "exact_uniform_0_5": (Uniform(5.0), Flat(), ALL),
    "exact_half_normal_0.5_mu_N0_4": (HalfNormal(0.5), Normal(0.0, 4.0), ALL),
    "exact_half_normal_0.5_MM": (HalfNormal(0.5), Flat(), MM),
    "exact_half_cauchy_0.5_MM": (HalfCauchy(0.5), Flat(), MM),
}


@cache
def _fit(name):
    tau_prior, mu_prior, rows = CASES[name]
    return posterior(
        yi=YI[rows], vi=VI[rows], measure="logit", tau_prior=tau_prior, mu_prior=mu_prior
    )


def _pairs(name):
    """Our value and R's, by name of the quantity; modes apart."""
    post, ref = _fit(name), REFERENCE[name]
    pairs = [("log_ml", post.log_marginal_likelihood, ref["log_marginal_likelihood"])]
    for key, marginal in (("mu", post.mu), ("tau", post.tau), ("predictive", post.predictive)):
        want = ref[key]
        pairs.append((f"{key} mean", marginal.mean, want["mean"]))
        pairs.append((f"{key} sd", marginal.sd, want["sd"]))
        got = marginal.quantile(want["probs"])
        pairs += [
            (f"{key} q{p}", g, w)
            for p, g, w in zip(want["probs"], got, want["quantiles"], strict=True)
        ]
        if "prob_gt_minus2.5" in want:
            above = marginal.probability_above(-2.5)
            pairs.append((f"{key} above -2.5", above, want["prob_gt_minus2.5"]))
    table = post.studies
    pairs += list(
        zip(["shrunken mean"] * post.k, table["mean"], ref["shrinkage_mean"], strict=True)
    )
    pairs += list(zip(["shrunken sd"] * post.k, table["sd"], ref["shrinkage_sd"], strict=True))
    return pairs


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_r_quadrature_to_eleven_digits(name):
    for what, got, want in _pairs(name):
        assert got == pytest.approx(want, rel=1e-10, abs=1e-11), what


def test_the_set_of_compared_values_does_not_shrink():
    assert set(CASES) == {key for key in REFERENCE if key.startswith("exact_")}
    compared = sum(len(_pairs(name)) for name in CASES)
    held = sum(
        1
        + sum(len(np.ravel(v)) for part in ("mu", "tau", "predictive") for k, v in ref[part].items()
              if k not in ("probs", "mode"))
        + len(ref["shrinkage_mean"]) * 2
        for ref in (REFERENCE[name] for name in CASES)
    )  # fmt: skip
    assert compared == held


@pytest.mark.parametrize("name", CASES)
def test_mode_of_tau_is_where_the_derivative_vanishes(name):
    # R found the mode by comparing densities, which stops near 1e-8; the root of the analytic
    # score does not
    post = _fit(name)
    tau_prior, mu_prior, rows = CASES[name]
    y, v, prior = YI[rows], VI[rows], mu_prior.precision

    def score(tau):
        w = 1.0 / (v + tau**2)
        total = w.sum() + prior
        mu = (w @ y + prior * mu_prior.mean) / total
        dw = -2.0 * tau * w**2
        value = 0.5 * (w * 2.0 * tau) @ (-np.ones_like(w)) - 0.5 * dw.sum() / total
        value -= 0.5 * dw @ (y - mu) ** 2
        step = 1e-6
        ends = tau_prior.log_density(np.array([tau - step, tau + step]))
        return value + float(ends[1] - ends[0]) / (2.0 * step)

    exact = optimize.brentq(score, 0.1, 1.0, xtol=1e-14)
    assert post.tau.mode == pytest.approx(exact, rel=1e-9)
    assert post.tau.mode == pytest.approx(REFERENCE[name]["tau"]["mode"], abs=2e-8)


@pytest.mark.parametrize("case", ["", "_MM"])
def test_shortest_intervals_agree_with_bayesmeta(case):
    post = _fit(f"exact_half_normal_0.5{case}")
    ref = REFERENCE[f"bayesmeta_half_normal_0.5{case}"]
    # tau's marginal is exact in bayesmeta up to its root finding
    limits = [ref["tau"]["ci.lb"], ref["tau"]["ci.ub"]]
    assert list(post.tau.shortest()) == pytest.approx(limits, abs=5e-5)
    # bayesmeta's own grid for mu is good to 3e-5 on the density, about 1e-3 in tail quantiles
    for marginal, key in ((post.mu, "mu"), (post.predictive, "theta")):
        assert list(marginal.shortest()) == pytest.approx(
            [ref[key]["ci.lb"], ref[key]["ci.ub"]], abs=3e-3
        )


def test_agrees_with_bayesmeta_log_marginal_likelihood():
    post = posterior(yi=YI[MM], vi=VI[MM], mu_prior=Normal(0.0, 4.0), measure="logit")
    ref = REFERENCE["bayesmeta_half_normal_0.5_MM_mu_N0_4"]
    assert post.log_marginal_likelihood == pytest.approx(ref["log_marginal_likelihood"], rel=1e-8)
    assert post.tau.mean == pytest.approx(ref["tau"]["mean"], rel=1e-8)


@pytest.mark.parametrize(
    ("tau_prior", "scipy_prior"),
    [
        (HalfNormal(0.7), stats.halfnorm(scale=0.7)),
        (HalfCauchy(0.3), stats.halfcauchy(scale=0.3)),
        (Uniform(2.0), stats.uniform(0.0, 2.0)),
    ],
)
def test_agrees_with_nested_adaptive_integration(tau_prior, scipy_prior):
    y, v = np.array([-2.1, -2.9, -1.8, -3.3]), np.array([0.11, 0.23, 0.05, 0.4])
    post = posterior(yi=y, vi=v, tau_prior=tau_prior, mu_prior=Normal(-2.0, 1.5))

    def density(x, mean, variance):  # of the normal; `stats.norm` takes most of the time otherwise
        return np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)

    def over_mu(tau, function):
        spread = v + tau**2

        def joint(mu):
            return density(y, mu, spread).prod() * density(mu, -2.0, 1.5**2) * function(mu)

        return integrate.quad(joint, -12.0, 8.0, points=[-2.5], epsrel=1e-11, limit=200)[0]

    def over_both(function):
        end = tau_prior.upper
        pieces = [(0.0, 1.0), (1.0, end)]
        return sum(
            integrate.quad(
                lambda t: scipy_prior.pdf(t) * over_mu(t, lambda mu: function(mu, t)),
                *piece,
                epsrel=1e-10,
            )[0]
            for piece in pieces
        )

    total = over_both(lambda mu, tau: 1.0)
    assert np.log(total) == pytest.approx(post.log_marginal_likelihood, abs=1e-8)
    assert over_both(lambda mu, tau: mu) / total == pytest.approx(post.mu.mean, rel=1e-8)
    new = over_both(lambda mu, tau: special.ndtr((mu + 2.0) / max(tau, 1e-12))) / total
    assert new == pytest.approx(float(post.predictive.probability_above(-2.0)), rel=1e-7)


def test_tau_prior_near_zero_gives_the_common_effect():
    post = posterior(yi=YI, vi=VI, tau_prior=HalfNormal(1e-5))
    w = 1.0 / VI
    assert post.mu.mean == pytest.approx((w @ YI) / w.sum(), abs=1e-7)
    assert post.mu.sd == pytest.approx(w.sum() ** -0.5, rel=1e-7)

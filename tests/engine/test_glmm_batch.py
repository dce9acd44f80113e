"""Whatever replicates share or have of their own, each is fitted as it is alone."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from helpers.engine.counts.fit import fit_glmm
from helpers.engine.counts.inference import heterogeneity_tests
from helpers.engine.counts.profile import glmm_profile, profile_ci_mu, profile_ci_tau2
from helpers.engine.counts.weights import empirical_bayes, information_weights
from helpers.errors import MetaAnalysisError

RNG = np.random.default_rng(31)
ROWS, K = 5, 12
N = RNG.integers(20, 200, (ROWS, K)).astype(float)
N[:, 3] = N[3:, 5] = 0.0  # a place that nobody uses, and one that some do not
EVENTS = RNG.binomial(N.astype(int), 0.15 + 0.1 * RNG.random((ROWS, K)))
EVENTS[:, 5] = 0
MASK = RNG.random((ROWS, K)) < 0.55
COUNTS = RNG.integers(0, 3, (ROWS, K))
X = np.dstack([np.ones((ROWS, K)), RNG.standard_normal((ROWS, K))])
OFFSET = 0.3 * RNG.standard_normal((ROWS, K))
OWN: dict[str, Any] = {"events": EVENTS, "n": N}
#: A size that holds the events of every replicate.
SHARED: dict[str, Any] = {"events": EVENTS[0], "n": np.maximum(N[0], EVENTS.max(axis=0))}


@pytest.mark.parametrize(
    "mask",
    [None, MASK, MASK[0], COUNTS, COUNTS[0]],
    ids=["none", "masks", "mask", "counts", "count"],
)
def test_each_replicate_is_fitted_as_it_is_alone(mask: Any) -> None:
    for events, n, design, offset in product(
        ("own", "shared"), ("own", "shared"), (None, X, X[0], X[:, :, 1:]), (None, OFFSET)
    ):
        given = {
            "events": (OWN if events == "own" else SHARED)["events"],
            "n": SHARED["n"] if n == "shared" else np.maximum(N, EVENTS[0]),
            "design": design,
            "mask": mask,
            "offset": offset,
        }
        together = fit_glmm(**given)
        row = len(together) - 1
        own = {"events": 2, "n": 2, "design": 3, "mask": 2, "offset": 2}
        alone = fit_glmm(
            **{
                name: a[row] if a is not None and a.ndim == own[name] else a
                for name, a in given.items()
            }
        )
        assert together.status[row] == alone.status[0]
        assert together.k[row] == alone.k[0]
        np.testing.assert_allclose(together.loglik[row], alone.loglik[0], rtol=1e-11)
        np.testing.assert_allclose(together.beta[row], alone.beta[0], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_a_constant_offset_moves_the_mean_and_nothing_else(family: Any) -> None:
    x, n = EVENTS[0], np.where(N[0] > 0, N[0], 30.0)
    plain = fit_glmm(x, n, family=family)
    moved = fit_glmm(x, n, offset=np.full(K, 0.7), family=family)
    assert plain.tau2[0] > 0
    np.testing.assert_allclose(moved.beta + 0.7, plain.beta, rtol=1e-7)
    np.testing.assert_allclose(profile_ci_tau2(moved, 0.95), profile_ci_tau2(plain, 0.95), 1e-6)
    limits, shifted = (np.array(profile_ci_mu(f, 0.95)) for f in (plain, moved))
    np.testing.assert_allclose(shifted + 0.7, limits, rtol=1e-7)
    a, b = heterogeneity_tests(plain), heterogeneity_tests(moved)
    for name in ("Q_wald", "p_wald", "Q_lrt", "p_lrt"):
        np.testing.assert_allclose(getattr(b, name), getattr(a, name), rtol=1e-8)
    for got, want in zip(empirical_bayes(moved), empirical_bayes(plain), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)
    np.testing.assert_allclose(information_weights(moved), information_weights(plain), rtol=1e-6)


def test_the_wald_test_of_homogeneity_takes_the_offset_off_by_hand() -> None:
    x, n = np.maximum(EVENTS[0], 1.0), np.where(N[0] > 0, N[0], 30.0)
    shift = OFFSET[0]
    logit, w = np.log(x / (n - x)) - shift, x * (n - x) / n
    found = heterogeneity_tests(fit_glmm(x, n, offset=shift))
    assert found.Q_wald[0] == pytest.approx(w @ (logit - (w @ logit) / w.sum()) ** 2, rel=1e-10)
    assert found.df_wald[0] == K - 1


def test_without_a_fit_there_are_no_weights_and_no_limits() -> None:
    none = fit_glmm([0, 0, 0], [10, 20, 30])
    assert not none.converged[0]
    assert np.isnan(information_weights(none)).all()
    assert np.isnan(empirical_bayes(none)).all()
    assert np.isnan(profile_ci_tau2(none, 0.95)).all()
    for parameter in ("mu", "tau2"):
        with pytest.raises(MetaAnalysisError, match="did not converge; there is nothing to prof"):
            glmm_profile(none, parameter, 0.95)


def test_studies_of_replicates_with_designs_of_their_own_are_told_as_alone() -> None:
    n = np.maximum(N, 20.0)
    together = fit_glmm(EVENTS, n, X)
    assert together.converged.all()
    for row in range(ROWS):
        alone = fit_glmm(EVENTS[row], n[row], X[row])
        for told in (
            lambda fit: information_weights(fit, 1),
            lambda fit: np.concatenate(empirical_bayes(fit), axis=1),
        ):
            np.testing.assert_allclose(told(together)[row], told(alone)[0], rtol=1e-4, atol=1e-6)

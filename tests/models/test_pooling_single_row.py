"""A batch of one row takes a shorter way; it must lead to the same place."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from nightly import examples
from numpy.testing import assert_allclose

from helpers.engine.normal.inverse_variance import fit_inverse_variance
from helpers.engine.normal.weighted import Moments, moments, moments_of_one, prepare


@given(st.integers(0, 10_000), st.integers(2, 30), st.booleans())
@examples(60)
def test_one_row_and_the_same_row_twice_are_fitted_alike(seed: int, k: int, masked: bool) -> None:
    rng = np.random.default_rng(seed)
    vi = 10.0 ** rng.uniform(-3, 1, k)
    yi = rng.normal(0.0, np.sqrt(vi + 10.0 ** rng.uniform(-3, 1)))
    counts = np.ones(k) if not masked else np.maximum(rng.integers(0, 3, k), np.arange(k) < 2)
    for method in ("REML", "ML"):
        one = fit_inverse_variance(yi, vi, counts, method=method)
        two = fit_inverse_variance(
            np.tile(yi, (2, 1)), np.tile(vi, (2, 1)), np.tile(counts, (2, 1)), method=method
        )
        assert one.tau2.converged[0]
        assert two.tau2.converged.all()
        scale = max(float(one.tau2.tau2[0]), float(vi.min()))
        assert abs(one.tau2.tau2[0] - two.tau2.tau2[1]) <= 1e-11 * scale
        for name in ("mu", "se", "Q", "vt", "loglik", "loglik_restricted"):
            assert_allclose(getattr(one, name)[0], getattr(two, name)[1], rtol=1e-9, atol=1e-12)


def test_moments_of_one_are_the_first_row_of_the_moments() -> None:
    yi, vi, counts = [0.3, -0.1, 0.9, 0.2], [0.2, 1e-9, 0.4, 0.1], [1.0, 2.0, 0.0, 3.0]
    pair = prepare(np.tile(yi, (2, 1)), np.tile(vi, (2, 1)), np.tile(counts, (2, 1)))
    one = moments_of_one(prepare(yi, vi, counts), 0.05)
    row = moments(prepare(yi, vi, counts), np.array([0.05]))
    both = moments(pair, np.full(2, 0.05))
    for name in Moments._fields:
        expected = getattr(both, name)
        assert getattr(row, name).shape == expected[:1].shape
        assert_allclose(getattr(row, name), expected[:1], rtol=1e-13)
        assert_allclose(getattr(one, name), expected[0], rtol=1e-13)


def test_the_single_row_settles_a_likelihood_with_a_flat_or_a_steep_bracket() -> None:
    # equal variances: the estimate is known in closed form, var(yi) - vi
    for spread in (1.0000001, 1.5, 1e3, 1e6):
        yi = np.array([-1.0, 0.0, 1.0]) * spread
        fit = fit_inverse_variance(yi, np.ones(3), method="REML")
        assert fit.tau2.converged[0]
        assert_allclose(fit.tau2.tau2[0], spread**2 - 1.0, rtol=1e-9)

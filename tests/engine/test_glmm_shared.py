"""The shared scan of selections of the same studies against each replicate's own."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.engine.counts.batch import check_data
from helpers.engine.counts.fit import fit_glmm
from helpers.engine.counts.kernel import gauss_hermite
from helpers.engine.counts.shared import scan_shared
from helpers.engine.counts.start import maximise_beta
from helpers.engine.counts.variation import NormalVariation

K = 30
RNG = np.random.default_rng(11)
SIZES = RNG.integers(15, 300, K)
EVENTS = RNG.binomial(SIZES, 1.0 / (1.0 + np.exp(2.4 - 0.8 * RNG.standard_normal(K))))
SELECTIONS = {
    "leave-one-out": ~np.eye(K, dtype=bool),
    "halves": RNG.random((120, K)) < 0.5,
    "case resamples": RNG.multinomial(K, np.ones(K) / K, 120),
}


@pytest.mark.parametrize("name", SELECTIONS)
@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_interpolated_profile_is_the_maximised_likelihood(name: str, family: str) -> None:
    data = check_data(EVENTS, SIZES, None, SELECTIONS[name], None, family)  # type: ignore[arg-type]
    problem = data.chunk(np.arange(data.rows))
    model = NormalVariation(gauss_hermite(7))
    tau2 = np.geomspace(0.01, 3.0, 9)
    assert problem.pool is not None
    found = scan_shared(problem.pool, tau2, model, K)
    assert found is not None
    value, gamma, sound = found
    assert sound.mean() > 0.9
    for column, t in enumerate(tau2):
        best, at = maximise_beta(problem, np.full(problem.rows, t), model)
        np.testing.assert_allclose(value[sound, column], best[sound], rtol=0, atol=1e-7)
        np.testing.assert_allclose(gamma[sound, column], at[sound, 0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", SELECTIONS)
def test_batch_agrees_with_fits_one_by_one(name: str) -> None:
    together = fit_glmm(EVENTS, SIZES, mask=SELECTIONS[name])
    assert together.certified.all()
    for row in range(0, len(together), 7):
        alone = fit_glmm(EVENTS, SIZES, mask=SELECTIONS[name][row])
        assert together.tau2[row] == pytest.approx(float(alone.tau2[0]), rel=1e-8, abs=1e-12)
        assert together.loglik[row] == pytest.approx(float(alone.loglik[0]), rel=1e-13)


def test_small_selections_are_scanned_one_by_one() -> None:
    few = np.array([RNG.permutation(K) < 2 for _ in range(20)])
    data = check_data(EVENTS, SIZES, None, few, None, "binomial")
    pool = data.chunk(np.arange(20)).pool
    assert pool is not None
    model = NormalVariation(gauss_hermite(7))
    assert scan_shared(pool, np.geomspace(0.01, 3.0, 9), model, 2) is None

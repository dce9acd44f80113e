"""Large tables: the same numbers as by the definition, in bounded memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from helpers.checks.bias import begg
from helpers.checks.bias.rank import kendall_score
from helpers.engine.normal.prediction import bootstrap_prediction
from helpers.engine.normal.tau2_intervals import generalised_q_interval
from helpers.engine.quadratic import generalised_q_sf, quadratic_sf

MB = 2**20


def peak(call: Callable[[], object]) -> float:
    """Megabytes that a call holds at most, beyond what is held before."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1] / MB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_kendalls_score_counts_every_pair(levels: int) -> None:
    rng = np.random.default_rng(levels)
    for k in (2, 3, 17, 64, 65, 200):
        a, b = rng.integers(0, levels, k) / 7.0, rng.integers(0, levels, k) * 3.0
        pairs = [(i, j) for i in range(k) for j in range(i)]
        expected = sum(np.sign(a[i] - a[j]) * np.sign(b[i] - b[j]) for i, j in pairs)
        score, _, _, ties = kendall_score(a, b)
        assert score == expected
        assert ties == (len(set(a)) < k or len(set(b)) < k)


def test_begg_of_ten_thousand_studies_needs_no_table_of_pairs() -> None:
    rng = np.random.default_rng(3)
    yi, vi = rng.normal(size=10_000), rng.uniform(0.01, 1.0, 10_000)
    assert peak(lambda: begg(yi, vi)) < 20.0


@pytest.mark.parametrize("power", [-1.0, -0.5, 0.0])
@pytest.mark.parametrize("spread", [0.0, 0.3, 3.0])
def test_generalised_q_needs_no_eigenvalues(power: float, spread: float) -> None:
    rng = np.random.default_rng(5)
    for k in (2, 3, 9, 40):
        v = np.exp(spread * rng.normal(size=k))
        a, tau2 = v**power, np.array([0.0, 0.01, 1.0, 30.0])
        root = np.sqrt(v + tau2[:, None])
        matrix = np.diag(a) - np.outer(a, a) / a.sum()
        lambdas = np.linalg.eigvalsh(root[:, :, None] * matrix * root[:, None, :])[:, 1:]
        for share in (0.05, 0.7, 1.3, 3.0):
            q = share * lambdas.sum(axis=1)
            expected = quadratic_sf(lambdas, q)
            assert generalised_q_sf(v, a, tau2, q) == pytest.approx(expected, rel=1e-8, abs=2e-12)


def test_intervals_of_two_thousand_studies_hold_no_square_matrix() -> None:
    rng = np.random.default_rng(7)
    vi = rng.uniform(0.02, 0.5, 2000)
    yi = rng.normal(0.0, np.sqrt(vi + 0.1))
    assert peak(lambda: generalised_q_interval(yi, vi, "inverse-variance", 0.95)) < 20.0
    assert peak(lambda: bootstrap_prediction(yi, vi, 0.95)) < 20.0

"""Tails of quadratic forms and bracketed roots, where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from helpers.engine.quadratic import generalised_q_sf
from helpers.engine.roots import bracketed_root
from helpers.errors import ConvergenceError


@pytest.mark.parametrize("k", [2, 3, 6, 40])
@pytest.mark.parametrize("share", [0.01, 0.3, 1.0, 3.0, 30.0])
def test_with_weights_of_inverse_variance_it_is_chi_squared(k: int, share: float) -> None:
    vi = np.geomspace(0.05, 0.5, k)
    found = generalised_q_sf(vi, 1.0 / vi, np.zeros(1), share * (k - 1))
    assert found[0] == pytest.approx(stats.chi2.sf(share * (k - 1), k - 1), rel=1e-11)


def test_a_tail_below_the_smallest_number_is_0() -> None:
    vi = np.full(6, 0.2)
    assert generalised_q_sf(vi, 1.0 / vi, np.zeros(1), 2000.0)[0] == 0.0
    assert generalised_q_sf(vi, 1.0 / vi, np.zeros(1), 0.0)[0] == 1.0


@pytest.mark.parametrize(
    ("low", "high"), [([0.0, 2.0], [1.0, 3.0]), ([0.0, 2.0], [2.0, 3.0]), ([np.nan], [2.0])]
)
def test_a_bracket_without_a_change_of_sign_is_refused(low: list, high: list) -> None:
    with pytest.raises(ConvergenceError, match="does not change sign in its bracket"):
        bracketed_root(lambda x: x * x - 2.0, low, high)
    assert bracketed_root(lambda x: x * x - 2.0, [0.0], [2.0])[0] == pytest.approx(2.0**0.5)

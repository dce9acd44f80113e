"""The intervals of one proportion are those of statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from helpers.engine import proportion_intervals as ours


@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
@pytest.mark.parametrize(
    ("name", "theirs"),
    [("wilson", "wilson"), ("agresti_coull", "agresti_coull"), ("clopper_pearson", "beta")],
)
def test_limits_are_those_of_statsmodels(name, theirs, level):
    n = np.repeat([1.0, 2.0, 7.0, 40.0, 1297.0], 5)
    x = np.floor(n * np.tile([0.0, 0.1, 0.5, 0.9, 1.0], 5))
    low, high = getattr(ours, name)(x, n, level)
    expected = np.array(proportion_confint(x, n, alpha=1 - level, method=theirs))
    if name == "agresti_coull":  # statsmodels cuts at 0 and 1, as `study_interval` does
        low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
    np.testing.assert_allclose(np.array([low, high]), expected, rtol=1e-11, atol=1e-15)

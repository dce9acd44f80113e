"""PyMARE as a second computation of what it has: tau2 and the mean by four estimators.

Its standard errors are not compared: in version 0.0.13 they are not the inverse root of the sum
of weights 1 / (vi + tau2), which is what ours, metafor's and statsmodels' are.
"""

from __future__ import annotations

import numpy as np
import pytest

from helpers import load_cohorts, pool_effects
from helpers.engine.effects import get_measure

# the package leaves a file of its own open when it is imported
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def estimators():
    from pymare.estimators import DerSimonianLaird, Hedges, VarianceBasedLikelihoodEstimator

    # closed forms agree to rounding; its optimiser stops at about 1e-5 in tau2
    return {
        "DL": (DerSimonianLaird(), 1e-10),
        "HE": (Hedges(), 1e-10),
        "ML": (VarianceBasedLikelihoodEstimator("ml"), 2e-4),
        "REML": (VarianceBasedLikelihoodEstimator("reml"), 2e-4),
    }


def data_sets():
    data = load_cohorts()
    yield get_measure("logit").effects(data["nonrelapse_deaths"], data["patients"])
    for seed in range(5):
        rng = np.random.default_rng(seed)
        yield rng.normal(0.0, 0.8, 12), rng.uniform(0.01, 0.3, 12)


@pytest.mark.parametrize("method", ["DL", "HE", "ML", "REML"])
def test_tau2_and_mean_agree_with_pymare(method):
    from pymare import Dataset

    estimator, tolerance = estimators()[method]
    compared = 0
    for y, v in data_sets():
        theirs = estimator.fit_dataset(Dataset(y, v)).summary()
        ours = pool_effects(y, v, tau2_method=method)
        assert ours.tau2 == pytest.approx(np.ravel(theirs.tau2)[0], rel=tolerance, abs=1e-12)
        assert ours.mu == pytest.approx(np.ravel(theirs.fe_params)[0], abs=tolerance)
        compared += 1
    assert compared == 6

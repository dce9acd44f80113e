"""Meta-regression: moderators in inverse-variance models and in the GLMM."""

from __future__ import annotations

from helpers.regression.core import RegressionFit, fit_counts, fit_regression
from helpers.regression.model import meta_regression
from helpers.regression.permutation import PermutationTest
from helpers.regression.result import RegressionResult
from helpers.regression.robust import RobustCovariance
from helpers.regression.wald import ModelTest

__all__ = [
    "ModelTest",
    "PermutationTest",
    "RegressionFit",
    "RegressionResult",
    "RobustCovariance",
    "fit_counts",
    "fit_regression",
    "meta_regression",
]

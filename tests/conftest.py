"""What tests of several rooms share: the review's cohorts and the fit that it published."""

import pandas as pd
import pytest

from helpers import load_cohorts, pool
from helpers.models.result import PoolResult


@pytest.fixture(scope="session")
def cohorts() -> pd.DataFrame:
    """The 52 cohorts of the review. Every test reads the same table: none may change it."""
    return load_cohorts()


@pytest.fixture(scope="session")
def whole(cohorts: pd.DataFrame) -> PoolResult:
    """All cohorts pooled by the model that the review chose."""
    return pool(
        cohorts,
        events="nonrelapse_deaths",
        n="patients",
        study="cohort",
        measure="logit",
        model="glmm",
    )

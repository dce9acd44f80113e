"""What patients without relapse died of: shares, differences between groups, absolute size.

The causes are known as sums over cohorts (`helpers.load_causes`), not cohort by cohort. So this
room counts deaths as single observations, says where that is an assumption, and measures what
happens when it fails (`death_weights`).
"""

from .homogeneity import ChiSquaredCheck, HomogeneityTest, homogeneity_test, published_chi_squared
from .shares import (
    CauseRate,
    CauseShare,
    DeathWeights,
    ShareBounds,
    cause_rates,
    cause_share,
    death_weights,
    infection_share,
    share_bounds,
)
from .table import SPECIFIC, CauseTable, cause_table
from .tables import bounds_table, chi_squared_table, rates_table, weights_table

__all__ = [
    "SPECIFIC",
    "CauseRate",
    "CauseShare",
    "CauseTable",
    "ChiSquaredCheck",
    "DeathWeights",
    "HomogeneityTest",
    "ShareBounds",
    "bounds_table",
    "cause_rates",
    "cause_share",
    "cause_table",
    "chi_squared_table",
    "death_weights",
    "homogeneity_test",
    "infection_share",
    "published_chi_squared",
    "rates_table",
    "share_bounds",
    "weights_table",
]

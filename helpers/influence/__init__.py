"""What single studies do to a pooled result: deletion, accumulation, all subsets.

Everything takes a `PoolResult` of any model (inverse variance with any tau2 estimator, common
effect, GLMM) and fits its replicates in batches.
"""

from __future__ import annotations

from helpers.influence.deletion import cumulative, leave_one_out
from helpers.influence.diagnostics import InfluenceResult, Rule, baujat, influence
from helpers.influence.gosh import GoshResult, gosh

__all__ = [
    "GoshResult",
    "InfluenceResult",
    "Rule",
    "baujat",
    "cumulative",
    "gosh",
    "influence",
    "leave_one_out",
]

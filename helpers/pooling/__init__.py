"""Pooling: common effect and random effects by inverse variance, and the GLMM.

`pool` and `pool_effects` are the calls, `PoolResult` is what they return.
"""

from __future__ import annotations

from helpers.pooling.api import pool, pool_effects
from helpers.pooling.references import Methods, Reference
from helpers.pooling.result import Caution, Heterogeneity, Interval, Options, PoolResult

__all__ = [
    "Caution",
    "Heterogeneity",
    "Interval",
    "Methods",
    "Options",
    "PoolResult",
    "Reference",
    "pool",
    "pool_effects",
]

"""Pooling: common effect and random effects by inverse variance, and the GLMM.

`pool` and `pool_effects` are the calls, `PoolResult` is what they return.
"""

from __future__ import annotations

from helpers.pooling.api import pool, pool_effects
from helpers.pooling.intervals import Interval
from helpers.pooling.parts import Caution, EffectTest, Heterogeneity, Options
from helpers.pooling.references import Methods, Reference
from helpers.pooling.result import PoolResult

__all__ = [
    "Caution",
    "EffectTest",
    "Heterogeneity",
    "Interval",
    "Methods",
    "Options",
    "PoolResult",
    "Reference",
    "pool",
    "pool_effects",
]

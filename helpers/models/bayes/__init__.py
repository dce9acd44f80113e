"""Bayesian random-effects meta-analysis without sampling.

`posterior` is the call, `Posterior` is what it returns; `compare` shows how much the priors
matter, `rank_probabilities` ranks several posteriors.
"""

from __future__ import annotations

from .api import posterior
from .comparisons import Ranking, compare, rank_probabilities
from .display import DisplayMarginal, EventCounts
from .engine import ErrorBounds
from .marginal import Marginal
from .priors import Flat, HalfCauchy, HalfNormal, LogNormal, Normal, Uniform
from .result import Posterior

__all__ = [
    "DisplayMarginal",
    "ErrorBounds",
    "EventCounts",
    "Flat",
    "HalfCauchy",
    "HalfNormal",
    "LogNormal",
    "Marginal",
    "Normal",
    "Posterior",
    "Ranking",
    "Uniform",
    "compare",
    "posterior",
    "rank_probabilities",
]

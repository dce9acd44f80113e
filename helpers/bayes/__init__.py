"""Bayesian random-effects meta-analysis without sampling.

`posterior` is the call, `Posterior` is what it returns; `compare` shows how much the priors
matter, `rank_probabilities` ranks several posteriors.
"""

from __future__ import annotations

from helpers.bayes.api import posterior
from helpers.bayes.display import DisplayMarginal
from helpers.bayes.engine import ErrorBounds
from helpers.bayes.events import EventCounts
from helpers.bayes.marginal import Marginal
from helpers.bayes.priors import Flat, HalfCauchy, HalfNormal, LogNormal, Normal, Uniform
from helpers.bayes.ranking import Ranking, rank_probabilities
from helpers.bayes.result import Posterior
from helpers.bayes.sensitivity import compare

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

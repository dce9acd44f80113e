"""What single studies and chance do to a result: deletion, accumulation, subsets, resampling.

Everything takes a result of any model with one mean (inverse variance with any tau2 estimator,
common effect, GLMM, beta-binomial, three levels) or a meta-regression (of three levels too), and
fits its replicates in batches; permutation of a meta-regression is its own `permutation_test`. A
comparison of groups is asked by methods of its own (`helpers.models.subgroup_aftercare`).
"""

from __future__ import annotations

from .all_subsets import GoshResult, gosh
from .deletion import cumulative, leave_one_out
from .diagnostics import InfluenceResult, Rule, baujat, influence
from .resampled import BootstrapResult, bootstrap
from .sign_flips import SignFlipTest, permutation_test

#: What is asked of single studies, by the name of its call.
DELETIONS = ("baujat", "cumulative", "gosh", "influence", "leave_one_out")
#: How chance is asked.
RESAMPLING = ("bootstrap", "permutation_test")

__all__ = [
    "DELETIONS",
    "RESAMPLING",
    "BootstrapResult",
    "GoshResult",
    "InfluenceResult",
    "Rule",
    "SignFlipTest",
    "baujat",
    "bootstrap",
    "cumulative",
    "gosh",
    "influence",
    "leave_one_out",
    "permutation_test",
]

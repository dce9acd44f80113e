"""Small-study effects: tests, sensitivity analyses and what they cannot tell.

==========================  =====================================================================
call                        question
==========================  =====================================================================
`egger`                     do effects change with their standard error (or another predictor)?
`thompson_sharp`            the same with an additive between-study variance
`peters`, `macaskill`       do logits change with the sample size?
`arcsine_test`              the same on a scale whose variance depends on the size alone
`begg`                      rank correlation of effects and variances
`trim_and_fill`             how many studies would make the funnel symmetric?
`limit_meta_analysis`       what would infinitely precise studies show?
`pet_peese`                 the same by regression on the standard error or the variance
`selection_model`           what if significant results are seen more often?
`excess_significance`       are there more significant studies than their power allows?
`fail_safe_n`               how many null studies would overturn the result?
`simulate_null`             how often do the tests find bias in cohorts that have none?
`simulate_power`            how often do they find an effect of a given size?
==========================  =====================================================================

All of them take a fit (`helpers.pool`, `helpers.pool_effects`), effects with variances, or
events with sample sizes, and return a frozen result. An asymmetric funnel is not publication
bias: heterogeneity, chance and, for logits, arithmetic make funnels asymmetric too (Sterne et
al. 2011, doi:10.1136/bmj.d4002).
"""

from __future__ import annotations

from .file_drawer import (
    ExcessSignificance,
    FailSafeN,
    excess_significance,
    fail_safe_n,
)
from .limit import LimitMetaAnalysis, limit_meta_analysis
from .lines import PREDICTORS
from .null import NullSimulation, simulate_null
from .power import ENOUGH_POWER, PowerSimulation, simulate_power
from .precision_effect import PetPeese, pet_peese
from .rank import begg
from .regression import arcsine_test, egger, macaskill, peters, thompson_sharp
from .results import BiasTest
from .selection import SelectionModel, selection_model
from .trim_fill import TrimAndFill, trim_and_fill

__all__ = [
    "ENOUGH_POWER",
    "PREDICTORS",
    "BiasTest",
    "ExcessSignificance",
    "FailSafeN",
    "LimitMetaAnalysis",
    "NullSimulation",
    "PetPeese",
    "PowerSimulation",
    "SelectionModel",
    "TrimAndFill",
    "arcsine_test",
    "begg",
    "egger",
    "excess_significance",
    "fail_safe_n",
    "limit_meta_analysis",
    "macaskill",
    "pet_peese",
    "peters",
    "selection_model",
    "simulate_null",
    "simulate_power",
    "thompson_sharp",
    "trim_and_fill",
]

"""The public door: whatever a chapter, a report, a lesson or a user's own code calls.

Functions stand here by their own names (``from helpers import pool``), rooms by theirs
(``from helpers import plots``). Each loads when it is first used, so that ``import helpers`` stays
fast and the engine needs numpy alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .door import lazy, show_strings_as_read
from .version import __version__ as __version__

if TYPE_CHECKING:
    from .checks import bias, interval_coverage, simulation
    from .checks.multiverse import multiverse
    from .engine import aftercare, distributions
    from .engine.counts.fit import fit_glmm
    from .engine.counts.inference import quadrature_error
    from .engine.effects import get_measure
    from .evidence import (
        EvidenceError,
        codebook,
        data_folder,
        load_audit,
        load_causes,
        load_cohorts,
        load_context,
        load_corrections,
        load_inferred_overlap,
        load_published,
        load_related_reviews,
        load_sources,
        read_cohorts,
    )
    from .models import bayes
    from .models.bayes import posterior
    from .models.beta_binomial import pool_beta_binomial
    from .models.multilevel import pool_multilevel
    from .models.pooling import pool, pool_effects
    from .models.rates import pool_rates, rate_sensitivity, with_person_time
    from .models.regression import meta_regression
    from .models.subgroup_analysis import subgroups
    from .reporting import report
    from .views import interactive, plots, tables
    from .views.prose import facts
    from .views.subgroup_sentences import between_verdict
    from .views.subject import Subject

#: Name -> module that defines it.
HOMES = {
    "EvidenceError": ".evidence",
    "Subject": ".views.subject",
    "between_verdict": ".views.subgroup_sentences",
    "codebook": ".evidence",
    "data_folder": ".evidence",
    "facts": ".views.prose",
    "fit_glmm": ".engine.counts.fit",
    "get_measure": ".engine.effects",
    "load_audit": ".evidence",
    "load_causes": ".evidence",
    "load_cohorts": ".evidence",
    "load_corrections": ".evidence",
    "load_context": ".evidence",
    "load_inferred_overlap": ".evidence",
    "load_published": ".evidence",
    "load_related_reviews": ".evidence",
    "load_sources": ".evidence",
    "meta_regression": ".models.regression",
    "multiverse": ".checks.multiverse",
    "pool": ".models.pooling",
    "pool_beta_binomial": ".models.beta_binomial",
    "pool_effects": ".models.pooling",
    "pool_multilevel": ".models.multilevel",
    "pool_rates": ".models.rates",
    "posterior": ".models.bayes",
    "quadrature_error": ".engine.counts.inference",
    "rate_sensitivity": ".models.rates",
    "read_cohorts": ".evidence",
    "report": ".reporting",
    "subgroups": ".models.subgroup_analysis",
    "with_person_time": ".models.rates",
}
#: Name -> room that is meant by it.
ROOMS = {
    "aftercare": ".engine.aftercare",
    "bayes": ".models.bayes",
    "bias": ".checks.bias",
    "distributions": ".engine.distributions",
    "evidence": ".evidence",
    "interactive": ".views.interactive",
    "interval_coverage": ".checks.interval_coverage",
    "plots": ".views.plots",
    "printing": ".printing",
    "reference": ".reference",
    "review": ".review",
    "simulation": ".checks.simulation",
    "tables": ".views.tables",
    "teaching": ".teaching",
}

__all__ = [
    "EvidenceError",
    "Subject",
    "aftercare",
    "bayes",
    "between_verdict",
    "bias",
    "codebook",
    "data_folder",
    "distributions",
    "evidence",
    "facts",
    "fit_glmm",
    "get_measure",
    "interactive",
    "interval_coverage",
    "load_audit",
    "load_causes",
    "load_cohorts",
    "load_context",
    "load_corrections",
    "load_inferred_overlap",
    "load_published",
    "load_related_reviews",
    "load_sources",
    "meta_regression",
    "multiverse",
    "plots",
    "pool",
    "pool_beta_binomial",
    "pool_effects",
    "pool_multilevel",
    "pool_rates",
    "posterior",
    "printing",
    "quadrature_error",
    "rate_sensitivity",
    "read_cohorts",
    "reference",
    "report",
    "review",
    "simulation",
    "subgroups",
    "tables",
    "teaching",
    "with_person_time",
]

__getattr__, __dir__ = lazy(__name__, HOMES, ROOMS)

show_strings_as_read()

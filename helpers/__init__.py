"""The public door: whatever a chapter, a report, a lesson or a user's own code calls.

Functions are offered here under their own names (``from helpers import pool``), rooms by theirs
(``from helpers import plots``). Each loads when it is first used, so that ``import helpers`` stays
fast and the engine needs numpy alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .door import homes, lazy, show_strings_as_read
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
HOMES = homes(
    {
        ".checks.multiverse": "multiverse",
        ".engine.counts.fit": "fit_glmm",
        ".engine.counts.inference": "quadrature_error",
        ".engine.effects": "get_measure",
        ".evidence": (
            "EvidenceError codebook data_folder load_audit load_causes load_cohorts load_context "
            "load_corrections load_inferred_overlap load_published load_related_reviews "
            "load_sources read_cohorts"
        ),
        ".models.bayes": "posterior",
        ".models.beta_binomial": "pool_beta_binomial",
        ".models.multilevel": "pool_multilevel",
        ".models.pooling": "pool pool_effects",
        ".models.rates": "pool_rates rate_sensitivity with_person_time",
        ".models.regression": "meta_regression",
        ".models.subgroup_analysis": "subgroups",
        ".reporting": "report",
        ".views.prose": "facts",
        ".views.subgroup_sentences": "between_verdict",
        ".views.subject": "Subject",
    }
)
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

__all__ = sorted([*HOMES, *ROOMS])

__getattr__, __dir__ = lazy(__name__, HOMES, ROOMS)

show_strings_as_read()

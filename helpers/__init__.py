"""Helpers of the book: evidence, effects, pooling, pictures, tables and prose.

The public names below load their module when first used, so that ``import helpers``
stays fast and the engine's core needs numpy alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from helpers.bayes import posterior
    from helpers.beta_binomial import pool_beta_binomial
    from helpers.evidence import (
        EvidenceError,
        codebook,
        load_audit,
        load_causes,
        load_cohorts,
        load_corrections,
        load_inferred_overlap,
        load_published,
        load_related_reviews,
        load_sources,
        read_cohorts,
    )
    from helpers.multilevel import pool_multilevel
    from helpers.pooling import pool, pool_effects
    from helpers.rates import pool_rates
    from helpers.regression import meta_regression
    from helpers.subgroups import subgroups

_HOME = {
    "EvidenceError": "helpers.evidence",
    "codebook": "helpers.evidence",
    "load_audit": "helpers.evidence",
    "load_causes": "helpers.evidence",
    "load_cohorts": "helpers.evidence",
    "load_corrections": "helpers.evidence",
    "load_inferred_overlap": "helpers.evidence",
    "load_published": "helpers.evidence",
    "load_related_reviews": "helpers.evidence",
    "load_sources": "helpers.evidence",
    "meta_regression": "helpers.regression",
    "pool": "helpers.pooling",
    "pool_beta_binomial": "helpers.beta_binomial",
    "pool_effects": "helpers.pooling",
    "pool_multilevel": "helpers.multilevel",
    "pool_rates": "helpers.rates",
    "posterior": "helpers.bayes",
    "read_cohorts": "helpers.evidence",
    "subgroups": "helpers.subgroups",
}

__all__ = [
    "EvidenceError",
    "codebook",
    "load_audit",
    "load_causes",
    "load_cohorts",
    "load_corrections",
    "load_inferred_overlap",
    "load_published",
    "load_related_reviews",
    "load_sources",
    "meta_regression",
    "pool",
    "pool_beta_binomial",
    "pool_effects",
    "pool_multilevel",
    "pool_rates",
    "posterior",
    "read_cohorts",
    "subgroups",
]


def __getattr__(name: str) -> Any:
    """Load the module of a public name when the name is first used."""
    if name not in _HOME:
        raise AttributeError(f"module 'helpers' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

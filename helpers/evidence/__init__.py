"""The facts: load the book's tables, or read your own, with every bad cell named at once.

A table is read as text, checked against a description of its columns and only then turned into
numbers; nothing is guessed and nothing is repaired. The book's tables are described in
``data/datapackage.json``, a reader's own by the arguments of :func:`read_cohorts`.
"""

from .corrections import apply_corrections, audit_trail, checked_against_sources
from .package import codebook, data_folder
from .problems import CellProblem, EvidenceError
from .reader import read_cohorts
from .tables import (
    is_published,
    load_audit,
    load_causes,
    load_cohorts,
    load_context,
    load_corrections,
    load_inferred_overlap,
    load_published,
    load_related_reviews,
    load_sources,
)

__all__ = [
    "CellProblem",
    "EvidenceError",
    "apply_corrections",
    "audit_trail",
    "checked_against_sources",
    "codebook",
    "data_folder",
    "is_published",
    "load_audit",
    "load_causes",
    "load_cohorts",
    "load_context",
    "load_corrections",
    "load_inferred_overlap",
    "load_published",
    "load_related_reviews",
    "load_sources",
    "read_cohorts",
]

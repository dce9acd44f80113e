"""The tables of this review: the toolkit's, with its words, and those of its evidence."""

from __future__ import annotations

from ..views.tables import Table, comparison_table, table
from ..views.tables import pooled_table as any_pooled_table
from .evidence_tables import (
    coverage_table,
    definitions_table,
    forecasts_table,
    later_table,
    reporting_items_table,
    review_methods_table,
    rules_table,
    studies_table,
    update_table,
)
from .subject import worded

__all__ = [
    "Table",
    "comparison_table",
    "coverage_table",
    "definitions_table",
    "forecasts_table",
    "later_table",
    "pooled_table",
    "reporting_items_table",
    "review_methods_table",
    "rules_table",
    "studies_table",
    "table",
    "update_table",
]

pooled_table = worded(any_pooled_table)

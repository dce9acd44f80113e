"""The audit's findings as corrections of the cohort table, and what they do to the results.

`apply_corrections` changes a copy of the table, cell by cell, and says what it changed;
`correction_effects` recomputes the results with each correction alone, with the facts and with
all; `audit_trail` says what became of each finding of the audit.
"""

from __future__ import annotations

from helpers.corrections.apply import Change, CorrectedCohorts, apply_corrections
from helpers.corrections.effects import (
    AS_PUBLISHED,
    EVERY,
    FACTS,
    CorrectionEffects,
    correction_effects,
)
from helpers.corrections.trail import audit_trail, checked_against_sources

__all__ = [
    "AS_PUBLISHED",
    "EVERY",
    "FACTS",
    "Change",
    "CorrectedCohorts",
    "CorrectionEffects",
    "apply_corrections",
    "audit_trail",
    "checked_against_sources",
    "correction_effects",
]

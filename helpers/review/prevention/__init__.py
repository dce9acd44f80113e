"""Preventing infection deaths: how many there are, when, of what, and what guidance says.

Numbers come from the causes and cohorts of the review; what other sources say is kept in two tables
of its own (`helpers.load_context`). Nothing here
estimates the effect of a prophylaxis: no trial of one is in the evidence.
"""

from .burden import Burden, Prevented, infection_burden, prevented_deaths, what_if
from .tables import (
    burden_table,
    guidance_table,
    pathogen_table,
    prevented_table,
    report_table,
    syntheses_table,
    timing_table,
)

__all__ = [
    "Burden",
    "Prevented",
    "burden_table",
    "guidance_table",
    "infection_burden",
    "pathogen_table",
    "prevented_deaths",
    "prevented_table",
    "report_table",
    "syntheses_table",
    "timing_table",
    "what_if",
]

"""Deaths per 100 patient-years: pooled rates, and what their person-time is worth.

`pool_rates` pools, `with_person_time` prepares a table for `subgroups` and `meta_regression`,
`rate_sensitivity` and `simulate_person_time` say how much person-time could be wrong.
`time_contrast` compares two groups per patient, per patient-year and in between.
"""

from __future__ import annotations

from helpers.rates.contrast import (
    TimeContrast,
    contrast_versions,
    follow_up_exponent,
    time_contrast,
)
from helpers.rates.paired import PairedRates, reported_against_crude
from helpers.rates.pooled import person_time, pool_rates, rate_sensitivity, with_person_time
from helpers.rates.simulation import (
    FOLLOW_UP_MEDIANS,
    FollowUpScenario,
    PersonTimeBias,
    simulate_person_time,
)

__all__ = [
    "FOLLOW_UP_MEDIANS",
    "FollowUpScenario",
    "PairedRates",
    "PersonTimeBias",
    "TimeContrast",
    "contrast_versions",
    "follow_up_exponent",
    "person_time",
    "pool_rates",
    "rate_sensitivity",
    "reported_against_crude",
    "simulate_person_time",
    "time_contrast",
    "with_person_time",
]

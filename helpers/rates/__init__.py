"""Deaths per 100 patient-years: pooled rates, and what their person-time is worth.

`pool_rates` pools, `with_person_time` prepares a table for `subgroups` and `meta_regression`,
`rate_sensitivity` and `simulate_person_time` say how much person-time could be wrong.
"""

from __future__ import annotations

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
    "PersonTimeBias",
    "person_time",
    "pool_rates",
    "rate_sensitivity",
    "simulate_person_time",
    "with_person_time",
]

"""How the review pooled and regressed: every call that reproduces it names these choices."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

#: Columns of the cohort table that every published analysis pools.
COLUMNS: Mapping[str, Any] = MappingProxyType(
    {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}
)
#: How the review pooled; its intervals are Wald-type whatever the number of cohorts.
PUBLISHED_POOLING: Mapping[str, Any] = MappingProxyType(
    {"measure": "logit", "model": "glmm", "ci_method": "wald"}
)
#: How the review regressed.
PUBLISHED_REGRESSION: Mapping[str, Any] = MappingProxyType(
    {"measure": "logit", "model": "random", "tau2_method": "ML", "ci_method": "knapp-hartung"}
)

"""Results that several questions ask about, each computed once."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

    from ..models.result import PoolResult
    from ..models.subgroup_analysis import SubgroupResult

__all__ = ["COLUMNS", "cohorts", "fit", "groups"]

COLUMNS: dict[str, Any] = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}


@cache
def _cohorts() -> pd.DataFrame:
    from ..evidence import load_cohorts

    return load_cohorts()


def cohorts() -> pd.DataFrame:
    """Give a copy of the table of cohorts."""
    return _cohorts().copy()


@cache
def fit(model: str = "glmm", **options: Any) -> PoolResult:
    """All cohorts, pooled; as the review did where the options leave it."""
    from ..review.published.models import published_fits

    return published_fits("all cohorts", _cohorts(), model=model, **options)["all"]


@cache
def groups(
    by: str = "entity", disease: str = "", tau2: Literal["separate", "common"] = "separate"
) -> SubgroupResult:
    """Subgroups of all cohorts or of one disease, by the binomial model."""
    from ..models.subgroup_analysis import subgroups
    from ..review.choices import PUBLISHED_POOLING

    data = _cohorts()
    chosen = data[data["entity"] == disease] if disease else data
    return subgroups(chosen, by=by, **COLUMNS, **PUBLISHED_POOLING, tau2=tau2)

"""Intervals by resampling through `conf_int`, and results that must not be fitted again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from helpers import load_cohorts, pool, pool_effects, subgroups
from helpers.engine.aftercare import baujat, gosh, influence, leave_one_out
from helpers.engine.aftercare.resampled import bootstrap
from helpers.engine.aftercare.sign_flips import permutation_test
from helpers.errors import UnsupportedError
from helpers.models.result import PoolResult

COUNTS: dict[str, Any] = {"events": [3, 8, 6, 9, 4, 7], "n": [40, 60, 90, 70, 50, 70]}


@pytest.fixture(params=["common", "random", "glmm"])
def fit(request: pytest.FixtureRequest) -> PoolResult:
    return pool(**COUNTS, model=request.param, ci_method="wald")


@pytest.mark.parametrize("scale", ["display", "model"])
def test_the_bootstrap_interval_is_that_of_the_bootstrap(fit: PoolResult, scale: Any) -> None:
    drawn = bootstrap(fit, 300, "nonparametric", seed=5)
    for interval in ("percentile", "basic", "bca"):
        found = fit.conf_int(
            "bootstrap", scale, 0.9, draws=300, kind="nonparametric", seed=5, interval=interval
        )
        assert found == drawn.conf_int("mu", interval, scale=scale, level=0.9)
    assert fit.conf_int("bootstrap", scale, draws=300) == bootstrap(fit, 300).conf_int(scale=scale)


@pytest.mark.parametrize("scale", ["display", "model"])
def test_the_permutation_interval_is_that_of_the_test_of_any_mean(
    fit: PoolResult, scale: Any
) -> None:
    found = fit.conf_int("permutation", scale, 0.9, draws="exact")
    for null in (0.05, 0.3):
        test = permutation_test(fit, null, draws="exact", level=0.9)
        assert found == (test.ci if scale == "display" else test.ci_model)


def test_effects_have_resampling_intervals_too() -> None:
    effects = pool_effects([0.1, 0.5, 0.3, 0.9, 0.4], [0.02, 0.05, 0.01, 0.04, 0.02])
    for method in ("bootstrap", "permutation"):
        low, high = effects.conf_int(method, draws=200, level=0.8)
        assert low < effects.mu < high


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("wald", {"draws": 10}, "no options: draws"),
        ("permutation", {"kind": "parametric"}, "no option kind"),
        ("bootstrap", {"sead": 1}, "no option sead"),
        ("permutation", {"scale": "percent"}, "expected one of display, model"),
        ("bootstrap", {"level": 2.0}, "between 0 and 1"),
        ("jackknife", {}, "bootstrap, permutation"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    method: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UnsupportedError, match=message):
        pool(**COUNTS).conf_int(method, **options)


@pytest.mark.parametrize(
    "again",
    [
        lambda group: group.core.fit(),
        leave_one_out,
        influence,
        baujat,
        gosh,
        bootstrap,
        lambda group: permutation_test(group, 0.05),
        lambda group: group.conf_int("bootstrap"),
        lambda group: group.conf_int("permutation"),
    ],
)
def test_one_group_of_a_joint_fit_is_not_fitted_again(again: Callable[[Any], object]) -> None:
    cohorts = load_cohorts()
    result = subgroups(
        cohorts,
        by="setting",
        events="nonrelapse_deaths",
        n="patients",
        study="cohort",
        model="glmm",
        group_tau2="common",
    )
    group = next(iter(result.groups.values()))
    with pytest.raises(UnsupportedError, match="belongs to all groups together"):
        again(group)

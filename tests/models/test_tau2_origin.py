"""A result knows whether its tau2 was estimated, given or shared by all groups.

Intervals of a common variance are computed here by root finding on the sums of squares within
groups, with scipy.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import chi2, norm

from helpers import pool, pool_effects, subgroups
from helpers.errors import UnsupportedError

X = np.array([3, 12, 16, 2, 9, 30, 11])
N = np.array([40, 60, 50, 90, 70, 95, 80])
BY = np.array(list("aaabbbb"))
Y, V = np.log(X / (N - X)), 1 / X + 1 / (N - X)
GIVEN = 0.7


def within(tau2: float) -> float:
    """Generalised Q around the mean of each group."""
    total = 0.0
    for level in "ab":
        y, w = Y[level == BY], 1 / (V[level == BY] + tau2)
        total += float((w * (y - np.average(y, weights=w)) ** 2).sum())
    return total


def restricted(tau2: float) -> float:
    """Minus the restricted log-likelihood of a mean for each group, without constants."""
    total = 0.5 * within(tau2)
    for level in "ab":
        w = 1 / (V[level == BY] + tau2)
        total += 0.5 * (np.log(w.sum()) - np.log(w).sum())
    return total


def grouped(**options: Any) -> Any:
    given = {"model": "random", "group_tau2": "common"} | options
    return subgroups(events=X, n=N, by=BY, **given)


def test_a_given_variance_is_never_called_estimated() -> None:
    for fit in (
        pool(events=X, n=N, model="random", tau2=GIVEN),
        pool_effects(Y, V, tau2=GIVEN),
        pool(events=X, n=N, model="random", tau2_method="DL", tau2=0.0),
    ):
        said = str(fit.methods())
        assert f"fixed at {fit.tau2:g}" in said
        assert "estimat" not in said
        assert fit.tau2_method is None
        assert (fit.options.tau2, fit.options.tau2_source) == (fit.tau2, "given")
        plain = json.loads(json.dumps(fit.to_dict()))
        assert (plain["tau2"], plain["tau2_source"]) == (fit.tau2, "given")
        assert plain["tau2_method"] is None
        codes = [caution.code for caution in fit.cautions]
        assert "boundary" not in codes
        assert "few-studies" not in codes
    estimated = pool(events=X, n=N, model="random")
    assert (estimated.options.tau2, estimated.options.tau2_source) == (None, "estimated")
    assert "estimated by" in str(estimated.methods())


def test_what_needs_an_estimate_refuses_a_given_variance() -> None:
    fit = pool(events=X, n=N, model="random", tau2_method="ML", tau2=GIVEN)
    for method in (None, "q-profile", "generalised-q", "profile"):
        with pytest.raises(UnsupportedError, match=r"given as 0.7, not estimated"):
            fit.tau2_ci(method)
    with pytest.raises(UnsupportedError, match="given tau2"):
        fit.conf_int("profile")
    with pytest.raises(UnsupportedError, match="given tau2"):
        fit.prediction_interval("bootstrap")
    with pytest.raises(UnsupportedError, match="given tau2"):
        pool(events=X, n=N, model="random", tau2_method="ML", ci_method="profile", tau2=GIVEN)


def test_the_same_variance_given_and_estimated_are_told_apart() -> None:
    """The old code compared values: a given variance equal to the estimate was estimated anew."""
    estimated = pool_effects(Y, V, ci_method="wald")
    fit = pool_effects(Y, V, ci_method="wald", tau2=estimated.tau2)
    assert estimated.core.options.tau2 is None
    assert fit.core.options.tau2 == estimated.tau2
    assert (fit.leave_one_out()["tau2"] == estimated.tau2).all()
    assert (estimated.leave_one_out()["tau2"] != estimated.tau2).any()


def test_everything_that_fits_again_keeps_a_given_variance() -> None:
    fit = pool_effects(Y, V, ci_method="wald", tau2=GIVEN)
    keep = np.arange(7) != 2
    w = 1 / (V[keep] + GIVEN)
    out = fit.leave_one_out()
    assert out["mu"].iloc[2] == pytest.approx(np.average(Y[keep], weights=w))
    assert out["se"].iloc[2] == pytest.approx(w.sum() ** -0.5)
    assert (fit.cumulative()["tau2"] == GIVEN).all()
    assert (fit.gosh(min_size=3).tau2 == GIVEN).all()
    assert (fit.influence().tau2_deleted == GIVEN).all()
    draws = fit.bootstrap(200, seed=1)
    assert set(np.unique(draws.drawn["tau2"])) == {GIVEN}
    assert draws.quantities == ("mu",)
    # a mean with known variances is normal: the parametric bootstrap finds its standard error
    assert draws.drawn["mu"].std() == pytest.approx(fit.se_model, rel=0.15)


def test_the_interval_of_a_shared_variance_is_that_of_all_groups() -> None:
    result = grouped()
    tau2 = minimize_scalar(restricted, bounds=(0, 20), method="bounded", options={"xatol": 1e-12}).x
    df = len(Y) - 2
    limits = [
        brentq(lambda t, q=q: within(t) - q, 0.0, 1e4)
        for q in (chi2.isf(0.025, df), chi2.ppf(0.025, df))
    ]
    for _, fit in result:
        assert fit.tau2 == pytest.approx(tau2, rel=1e-5)
        assert fit.tau2_ci() == pytest.approx(limits, rel=1e-9)
        assert fit.options.tau2_source == "shared"
        assert "from all groups by restricted maximum likelihood" in str(fit.methods())
    drop = 0.5 * norm.isf(0.025) ** 2
    best = restricted(tau2)
    profile = [
        brentq(lambda t: restricted(t) - best - drop, 1e-9, tau2)
        if restricted(0) > best + drop
        else 0.0,
        brentq(lambda t: restricted(t) - best - drop, tau2, 1e4),
    ]
    assert result.groups["a"].tau2_ci("profile") == pytest.approx(profile, rel=1e-6)
    with pytest.raises(UnsupportedError, match="shared by groups"):
        result.groups["a"].tau2_ci("generalised-q")
    assert result.groups["a"].tau2_se == result.groups["b"].tau2_se > 0


def test_a_group_of_one_study_has_the_interval_of_the_shared_variance() -> None:
    for model in ("random", "glmm"):
        result = subgroups(
            events=X, n=N, by=list("abbbbbb"), model=model, group_tau2="common", ci_method="wald"
        )
        one, many = result.groups["a"], result.groups["b"]
        assert one.k == 1
        assert one.tau2_ci() == pytest.approx(many.tau2_ci(), rel=1e-9)


def test_a_group_keeps_the_shared_variance_when_studies_are_left_out() -> None:
    fit = grouped().groups["b"]
    assert (fit.leave_one_out()["tau2"] == fit.tau2).all()
    assert fit.core.options.tau2 == fit.tau2


def test_separate_variances_stay_estimates() -> None:
    for _, fit in grouped(group_tau2="separate"):
        assert fit.options.tau2_source == "estimated"
        assert "from all groups" not in str(fit.methods())

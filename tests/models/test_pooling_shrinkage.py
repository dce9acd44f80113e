"""Shrunken study-level estimates."""

from __future__ import annotations

import numpy as np
import pytest
from reference_values import load
from scipy import integrate, stats

from helpers import load_cohorts, pool, pool_effects, subgroups
from helpers.errors import UnsupportedError

COLUMNS = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}


def test_inverse_variance_agrees_with_blup_of_metafor() -> None:
    fit = pool(load_cohorts(), **COLUMNS, model="random", ci_method="wald")
    ours, theirs = fit.shrunken_estimates(), load()["PLO_blup"]
    z = stats.norm.ppf(0.975)
    pairs = {
        "pred": ours["mu"],
        "se": ours["se"],
        "pi.lb": ours["mu"] - z * ours["se"],
        "pi.ub": ours["mu"] + z * ours["se"],
    }
    compared = 0
    for name, values in pairs.items():
        np.testing.assert_allclose(values, theirs[name], rtol=1e-8)
        compared += len(theirs[name])
    assert compared == 4 * 52


def test_glmm_agrees_with_integration_study_by_study() -> None:
    fit = pool(load_cohorts(), **COLUMNS, model="glmm")
    ours = fit.shrunken_estimates()
    tau = fit.tau2**0.5
    for x, n, mean, sd in zip(
        fit.studies["events"], fit.studies["n"], ours["mu"], ours["se"], strict=True
    ):
        grid = np.linspace(fit.mu - 9 * tau, fit.mu + 9 * tau, 4001)
        log = x * grid - n * np.logaddexp(0, grid) - 0.5 * ((grid - fit.mu) / tau) ** 2
        weight = np.exp(log - log.max())
        total = integrate.simpson(weight, x=grid)
        first = integrate.simpson(weight * grid, x=grid) / total
        second = integrate.simpson(weight * (grid - first) ** 2, x=grid) / total
        assert mean == pytest.approx(first, abs=1e-8)
        assert sd == pytest.approx(second**0.5, rel=1e-7)


@pytest.mark.parametrize("model", ["random", "glmm"])
def test_every_study_moves_towards_the_mean_the_more_the_smaller_it_is(model: str) -> None:
    fit = pool(events=[4, 40, 2, 30], n=[100, 1000, 10, 150], model=model)
    table = fit.shrunken_estimates()
    own, mean = fit.studies["estimate"], fit.estimate
    between = np.minimum(own, mean) - 1e-9 <= table["estimate"]
    assert (between & (table["estimate"] <= np.maximum(own, mean) + 1e-9)).all()
    assert table["shrinkage"].between(0, 100).all()
    assert table["shrinkage"].iloc[0] > table["shrinkage"].iloc[1]


def test_a_common_effect_draws_every_study_to_the_mean() -> None:
    fit = pool_effects([0.1, 0.4, 0.9], [0.1, 0.2, 0.1], model="common")
    assert (fit.shrunken_estimates()["mu"] == fit.mu).all()
    assert (fit.shrunken_estimates()["shrinkage"] == 100).all()


def test_excluded_studies_stay_without_values() -> None:
    table = pool(events=[3, None, 16, 9], n=[40, 60, 50, 70], model="glmm").shrunken_estimates()
    assert table["mu"].isna().tolist() == [False, True, False, False]
    assert table.loc["Study 2", "reason"]


def test_one_group_of_a_joint_fit_is_refused() -> None:
    groups = subgroups(load_cohorts(), by="setting", **COLUMNS, model="glmm", group_tau2="common")
    with pytest.raises(UnsupportedError, match="belongs to all groups"):
        groups.groups["trial"].shrunken_estimates()

"""Deletion diagnostics by integration, by regression and in the limit of large studies."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from densities import binomial, normal
from reference_values import counts
from scipy import integrate, optimize, stats

from helpers.engine.aftercare import baujat, influence
from helpers.engine.aftercare.deviance import study_deviance
from helpers.engine.normal.weighted import moments, prepare
from helpers.models.multilevel import pool_multilevel
from helpers.models.pooling import pool
from helpers.models.regression import meta_regression


def test_deviance_of_a_study_by_integration_and_search() -> None:
    x, n = np.array([3.0, 0.0, 20.0, 9.0]), np.array([40.0, 25.0, 20.0, 60.0])
    mu, omega = np.array([-1.0, -2.0, 0.5, -2.2]), np.array([0.4, 0.2, 0.3, 0.9])
    ours, sign = study_deviance(x, n, mu, omega, "binomial", 40)

    def marginal(i: int, eta: float) -> float:
        def integrand(u: float) -> float:
            return binomial(x[i], n[i], eta + np.sqrt(omega[i]) * u) * normal(u)

        return np.log(integrate.quad(integrand, -9, 9, epsabs=1e-14, epsrel=1e-12)[0])

    for i in range(4):
        best = 0.0
        if 0 < x[i] < n[i]:
            found = optimize.minimize_scalar(
                lambda eta, i=i: -marginal(i, eta), bounds=(-8, 8), options={"xatol": 1e-9}
            )
            best = -found.fun
            assert sign[i] == np.sign(found.x - mu[i])
        assert ours[i] == pytest.approx(2 * (best - marginal(i, mu[i])), rel=1e-7)
    assert list(sign[1:3]) == [-1.0, 1.0]


def test_diagnostics_of_large_studies_do_not_depend_on_the_model_family() -> None:
    # With many events the binomial likelihood is normal: the GLMM's analogues must agree with
    # those of ML on logits.
    rng = np.random.default_rng(2)
    n = np.full(15, 10**6)
    x = rng.binomial(n, 1 / (1 + np.exp(1.5 - 0.4 * rng.standard_normal(15))))
    a = influence(pool(events=x, n=n, model="glmm")).frame()
    b = influence(pool(events=x, n=n, tau2_method="ML", ci_method="wald")).frame()
    for column in ("rstudent", "dffits", "cook_d", "dfbetas", "leverage", "tau2_deleted"):
        assert a[column].to_numpy() == pytest.approx(b[column].to_numpy(), rel=2e-3, abs=2e-4)
    # the standard error of the GLMM is from the joint information, hence looser
    assert a["cov_ratio"].to_numpy() == pytest.approx(b["cov_ratio"].to_numpy(), rel=2e-2)
    assert (a["flagged"] == b["flagged"]).all()


def test_studentised_residuals_are_tests_of_one_shifted_study() -> None:
    # rstudent^2 is the Wald test of a dummy for the study (tau2 is that without it).
    x, n = counts()
    fit = pool(events=x[:10], n=n[:10], tau2_method="REML", ci_method="wald")
    result = influence(fit)
    y, v = fit.data.yi, fit.data.vi
    for i in range(10):
        design = np.column_stack([np.ones(10), np.arange(10) == i])
        tau2 = result.tau2_deleted[i]
        m = moments(prepare(y, v, design=design), np.array([tau2]))
        wald = m.beta[0, 1] / np.sqrt(m.cov[0, 1, 1])
        assert result.rstudent[i] == pytest.approx(wald, rel=1e-9)


def test_a_planted_outlier_is_found_in_both_families() -> None:
    n = [80] * 12
    x = [8, 7, 9, 6, 8, 10, 7, 9, 8, 7, 9, 40]
    for options in ({}, {"model": "glmm"}, {"model": "common", "method": "likelihood"}):
        result = influence(pool(events=x, n=n, **options))
        frame = result.frame()
        assert frame["rstudent"].abs().idxmax() == "Study 12"
        assert frame["cook_d"].idxmax() == "Study 12"
        assert bool(frame.loc["Study 12", "flagged"])
        assert int(result.flagged.sum()) == 1
        assert list(result.summary_frame().index) == ["Study 12"]
        table = baujat(pool(events=x, n=n, **options))
        assert table["influence"].idxmax() == "Study 12"
        assert result.to_dict()["studies"][11]["flagged"] is True
        # of Viechtbauer and Cheung (2010), for 12 studies and one coefficient
        limits = {rule.statistic: rule.threshold for rule in result.rules}
        expected = [3 * (1 / 11) ** 0.5, stats.chi2.ppf(0.5, 1), 3 / 12, 1]
        named = ["dffits", "cook_d", "leverage", "dfbetas"]
        assert [limits[name] for name in named] == pytest.approx(expected, rel=1e-9)
        over = (frame[named].abs() > expected).any(axis=1)
        assert frame["flagged"].tolist() == over.tolist()


def test_baujat_contributions_add_up_to_the_heterogeneity_statistic() -> None:
    x, n = counts()
    fit = pool(events=x, n=n, model="common")
    assert baujat(fit)["contribution"].sum() == pytest.approx(fit.heterogeneity.Q, rel=1e-12)
    fit = pool(events=x, n=n, model="common", method="likelihood")
    assert baujat(fit)["contribution"].sum() == pytest.approx(fit.heterogeneity.Q, rel=1e-12)


def test_studies_without_events_have_the_deviance_of_an_infinite_logit() -> None:
    n, mu = np.array([20.0, 35.0]), np.full(2, -2.0)
    deviance, sign = study_deviance(np.zeros(2), n, mu, np.zeros(2), "binomial", 7)
    np.testing.assert_allclose(deviance, 2.0 * n * np.log1p(np.exp(mu)), rtol=1e-12)
    assert (sign == -1.0).all()


def test_fits_that_failed_are_counted_where_there_are_any() -> None:
    x, n = counts()
    table = pd.DataFrame({"e": x[:10], "n": n[:10], "last": [0.0] * 9 + [1.0]})
    fit = meta_regression(table, "last", events="e", n="n", model="random")
    assert repr(influence(fit)).splitlines()[-1].split() == ["not", "converged", "1"]
    assert "not converged" not in repr(influence(pool(events=x[:10], n=n[:10], model="random")))


def test_the_information_of_a_rate_of_three_levels_by_hand() -> None:
    x, n = (a[:10].astype(float) for a in counts())
    table = pd.DataFrame({"e": x, "t": n, "c": list("aabbccadbd")})
    given = {"cluster": "c", "events": "e", "model": "glmm"}
    rate = pool_multilevel(table, time="t", measure="log-rate", **given)
    share = pool_multilevel(table.rename(columns={"t": "n"}), n="n", **given)
    p = 1.0 / (1.0 + np.exp(2.0))
    for fit, expected in ((rate, n * np.exp(-2.0)), (share, n * p * (1.0 - p))):
        found = fit.core.information(np.array([-2.0]), 0.1)
        np.testing.assert_allclose(found, 1.0 / (1.0 / expected + 0.1), rtol=1e-12)

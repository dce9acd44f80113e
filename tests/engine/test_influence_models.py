"""Influence, Baujat plot and GOSH of three-level and beta-binomial results, by dense matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from densities import log_beta_binomial, signed_root
from scipy import optimize, special

from helpers import pool_beta_binomial, pool_multilevel

X = np.array([1, 3, 9, 14, 2, 4, 6, 5, 12, 17, 4, 3])
N = np.array([60, 80, 70, 90, 50, 45, 75, 70, 66, 80, 75, 40])
CLUSTER = np.array(list("aaabbcccddee"))
TABLE = pd.DataFrame(
    {"study": [f"S{i}" for i in range(12)], "events": X, "n": N, "cluster": CLUSTER}
)
COUNTS: dict[str, Any] = {"events": "events", "n": "n", "study": "study"}
SAME = (CLUSTER[:, None] == CLUSTER).astype(float)
THREE = {
    "normal": {"tau2_method": "REML", "to": "all"},
    "robust": {"tau2_method": "REML", "to": "all", "robust": "CR2"},
    "binomial": {"model": "glmm"},
}


def three(name: str, rows: pd.DataFrame = TABLE) -> Any:
    return pool_multilevel(rows, **COUNTS, cluster="cluster", **THREE[name])


def sampling(fit: Any, name: str, mu: float) -> np.ndarray:
    """Variances of all twelve cohorts (full fit), given a mean."""
    if name != "binomial":
        return np.asarray(fit.data.vi)
    p = special.expit(mu)
    return 1.0 / (N * p * (1.0 - p))


@pytest.mark.parametrize("name", THREE)
def test_influence_in_three_levels_is_generalised_least_squares(name: str) -> None:
    fit = three(name)
    frame, moved = fit.influence().frame(), fit.baujat()
    here = fit.sigma2_between * SAME + np.diag(sampling(fit, name, fit.mu) + fit.sigma2_within)
    hat = np.linalg.inv(here).sum(axis=0) / np.linalg.inv(here).sum()
    assert min(fit.sigma2_between, fit.sigma2_within) > 0.0  # else clusters would say nothing
    for i, study in enumerate(TABLE["study"]):
        rest, row = three(name, TABLE.drop(index=i)), frame.loc[study]
        v = sampling(fit, name, rest.mu)
        matrix = rest.sigma2_between * SAME + np.diag(v + rest.sigma2_within)
        others = np.arange(12) != i
        inverse = np.linalg.inv(matrix[np.ix_(others, others)])
        pull, variance = inverse.sum(axis=0) / inverse.sum(), rest.se_model**2
        covariance = pull @ matrix[others, i]
        shift, full = fit.mu - rest.mu, np.linalg.inv(matrix).sum()
        if name == "binomial":
            # the mean's variance is from the observed information, shares from the expected one
            omega = rest.tau2 + variance - 2.0 * rest_share(rest, v, others, i) * variance
            residual = signed_root(X[i], N[i], rest.mu, omega)
        else:
            assert 1.0 / inverse.sum() == pytest.approx(variance, rel=1e-6)
            residual = (fit.data.yi[i] - rest.mu) / np.sqrt(
                matrix[i, i] + variance - 2.0 * covariance
            )
        assert row["rstudent"] == pytest.approx(residual, rel=2e-5, abs=1e-5)
        assert row["leverage"] == pytest.approx(hat[i], rel=1e-6)
        assert row["dffits"] == pytest.approx(shift / np.sqrt(hat[i] * matrix[i, i]), rel=1e-5)
        assert row["dfbetas"] == pytest.approx(shift * np.sqrt(full), rel=1e-5)
        assert row["cook_d"] == pytest.approx(shift**2 / fit.se_model**2, rel=1e-5)
        assert row["cov_ratio"] == pytest.approx(variance / fit.se_model**2, rel=1e-5)
        assert row["tau2_deleted"] == pytest.approx(rest.tau2, rel=1e-4, abs=1e-8)
        assert moved.loc[study, "influence"] == pytest.approx(shift**2 / variance, rel=1e-5)
        if name == "binomial":
            part = signed_root(X[i], N[i], fit.mu, fit.tau2) ** 2
        else:
            part = (fit.data.yi[i] - fit.mu) ** 2 / here[i, i]
        # seven nodes leave a few units in the sixth digit
        assert moved.loc[study, "contribution"] == pytest.approx(part, rel=1e-5, abs=1e-6)


def rest_share(rest: Any, v: np.ndarray, others: np.ndarray, i: int) -> float:
    """Covariance of a cohort's effect with the mean of the others, over the variance of that."""
    matrix = rest.sigma2_between * SAME + np.diag(v + rest.sigma2_within)
    return float((np.linalg.inv(matrix[np.ix_(others, others)]) @ matrix[others, i]).sum())


@pytest.mark.parametrize("name", THREE)
def test_a_cluster_of_three_levels_is_left_out_as_a_whole(name: str) -> None:
    fit = three(name)
    frame, moved = fit.influence("cluster").frame(), fit.baujat("cluster")
    assert list(frame.index) == list("abcde")
    alone = fit.baujat()["contribution"].to_numpy()
    for unit in "abcde":
        rest, inside = three(name, TABLE[unit != CLUSTER]), unit == CLUSTER
        matrix = rest.sigma2_between * SAME
        matrix = matrix + np.diag(sampling(fit, name, rest.mu) + rest.sigma2_within)
        shift = fit.mu - rest.mu
        expected = shift * np.sqrt(np.linalg.inv(matrix).sum())
        assert frame.loc[unit, "dfbetas"] == pytest.approx(expected, rel=1e-4)
        assert frame.loc[unit, "leverage"] == pytest.approx(fit.weights[inside].sum() / 100.0)
        assert np.isnan(frame.loc[unit, "rstudent"])
        assert moved.loc[unit, "contribution"] == pytest.approx(alone[inside].sum())


def beta_binomial(x: np.ndarray, n: np.ndarray) -> tuple[float, float, float]:
    """Logit of the mean, its standard error and the intraclass correlation, by scipy alone."""

    def negative(at: np.ndarray) -> float:
        p, size = special.expit(at[0]), np.exp(-at[1])  # size = 1/rho - 1
        return -float(log_beta_binomial(x, n, p * size, (1.0 - p) * size).sum())

    best = optimize.minimize(
        negative, [-2.5, -3.0], method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-13, "maxiter": 4000},
    ).x  # fmt: skip
    h, hessian = 1e-4, np.empty((2, 2))
    for a in range(2):
        for b in range(2):
            ea, eb = h * np.eye(2)[a], h * np.eye(2)[b]
            hessian[a, b] = (
                negative(best + ea + eb) - negative(best + ea - eb)
                - negative(best - ea + eb) + negative(best - ea - eb)
            ) / (4.0 * h * h)  # fmt: skip
    return best[0], float(np.sqrt(np.linalg.inv(hessian)[0, 0])), 1.0 / (1.0 + np.exp(-best[1]))


def test_influence_in_the_beta_binomial_model_is_that_of_pearsons_residuals() -> None:
    fit = pool_beta_binomial(TABLE, **COUNTS)
    frame, moved = fit.influence().frame(), fit.baujat()
    mu, se, rho = beta_binomial(X, N)
    p = special.expit(mu)
    variance = N * p * (1.0 - p) * (1.0 + (N - 1.0) * rho)
    parts = (X - N * p) ** 2 / variance
    assert moved["contribution"].to_numpy() == pytest.approx(parts, rel=1e-5)
    hat = N / (1.0 + (N - 1.0) * rho)
    hat = hat / hat.sum()
    for i, study in enumerate(TABLE["study"]):
        others, row = np.arange(12) != i, frame.loc[study]
        mu_i, se_i, rho_i = beta_binomial(X[others], N[others])
        q = special.expit(mu_i)
        of_count = N * q * (1.0 - q) * (1.0 + (N - 1.0) * rho_i)
        slope = N * q * (1.0 - q)  # of the expected count in the logit
        spread = (of_count / slope**2)[i]
        residual = (X[i] - N[i] * q) / np.sqrt(of_count[i] + slope[i] ** 2 * se_i**2)
        assert row["rstudent"] == pytest.approx(residual, rel=1e-4)
        assert row["dffits"] == pytest.approx((mu - mu_i) / np.sqrt(hat[i] * spread), rel=1e-3)
        information = (slope**2 / of_count).sum()
        assert row["dfbetas"] == pytest.approx((mu - mu_i) * np.sqrt(information), rel=1e-3)
        assert row["cook_d"] == pytest.approx((mu - mu_i) ** 2 / se**2, rel=2e-3)
        assert row["leverage"] == pytest.approx(hat[i], rel=1e-5)
        assert moved.loc[study, "influence"] == pytest.approx(((mu - mu_i) / se_i) ** 2, rel=2e-3)


def test_every_subset_is_fitted_by_its_own_model() -> None:
    """GOSH of both models against the public call on the same studies."""
    some = TABLE.iloc[:7]
    fits = {
        "three": lambda rows: pool_multilevel(rows, **COUNTS, cluster="cluster", to="all",
                                              tau2_method="REML"),
        "beta": lambda rows: pool_beta_binomial(rows, **COUNTS),
    }  # fmt: skip
    for name, call in fits.items():
        result = call(some).gosh(min_size=5)
        assert len(result) == 29  # 21 of five, 7 of six, all
        for row in (0, 11, 25, 28):
            alone = call(some[result.member[row]])
            assert result.mu[row] == pytest.approx(alone.mu, rel=1e-6)
            assert result.tau2[row] == pytest.approx(alone.tau2, rel=1e-5, abs=1e-7), name

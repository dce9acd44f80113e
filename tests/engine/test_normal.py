"""Normal models refuse what cannot be computed, and take what is known as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from helpers.engine.normal import fit as regression
from helpers.engine.normal.fit import fit_regression
from helpers.engine.normal.inverse_variance import fit_inverse_variance, fit_without_each
from helpers.engine.normal.prediction import bootstrap_prediction
from helpers.engine.normal.weighted import prepare
from helpers.engine.wald import coefficient_table, wald_test
from helpers.errors import MetaAnalysisError, UnsupportedError

RNG = np.random.default_rng(31)
Y, V = RNG.normal(0.3, 0.5, 9), RNG.uniform(0.02, 0.2, 9)
NO_STUDY = "counts must be finite and at least 0, and every replicate needs a study"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], [1.0, 2.0, 3.0]), "disagree in their number of studies: 2, 3, 2"),
        (([1.0, 2.0], [1.0, 1.0], [1.0]), "disagree in their number of studies: 2, 2, 1"),
        (
            ([[1.0, 2.0], [1.0, np.nan]], [1.0, 2.0]),
            r"study 2 \(replicate 2\): .*, found nan and 2.0",
        ),
        (([1.0, 2.0], [0.0, 1.0]), r"study 1 \(replicate 1\): .*, found 1.0 and 0.0"),
        (([1.0, 2.0], [1.0, np.inf]), r"study 2 \(replicate 1\): .*, found 2.0 and inf"),
        (([], []), NO_STUDY),
        (([1.0, 2.0], [1.0, 1.0], [1.0, -1.0]), NO_STUDY),
        (([1.0, 2.0], [1.0, 1.0], [1.0, np.inf]), NO_STUDY),
        (([1.0, 2.0], [1.0, 1.0], [1.0, np.nan]), NO_STUDY),
        (([1.0, 2.0], [1.0, 1.0], [[1.0, 1.0], [0.0, 0.0]]), NO_STUDY),
    ],
)
def test_a_batch_that_is_none_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(MetaAnalysisError, match=message):
        prepare(*arguments)


def test_a_study_that_takes_no_part_may_have_no_effect() -> None:
    fit = fit_inverse_variance([*Y, np.nan], [*V, 0.0], [1] * 9 + [0])
    assert fit.mu[0] == pytest.approx(fit_inverse_variance(Y, V).mu[0], rel=1e-12)


@pytest.mark.parametrize("tau2", [-0.1, np.nan, np.inf])
def test_a_known_variance_is_a_number_of_at_least_0(tau2: float) -> None:
    with pytest.raises(MetaAnalysisError, match="tau2 must be finite and at least 0"):
        fit_inverse_variance(Y, V, tau2=tau2)


@pytest.mark.parametrize("tau2", [0.0, 0.3])
def test_leaving_each_study_out_at_a_known_variance_is_the_weighted_mean_of_the_others(
    tau2: float,
) -> None:
    fit = fit_without_each(Y, V, tau2=tau2)
    assert (fit.tau2.tau2 == tau2).all()
    for gone in range(len(Y)):
        y, w = np.delete(Y, gone), 1.0 / (np.delete(V, gone) + tau2)
        assert fit.mu[gone] == pytest.approx((w @ y) / w.sum(), rel=1e-12)
        assert fit.se[gone] == pytest.approx(w.sum() ** -0.5, rel=1e-12)


@pytest.mark.parametrize("X", [np.ones((2, 1)), np.ones(9), np.ones((1, 1, 9, 1))])
def test_a_design_of_another_shape_is_refused(X: Any) -> None:
    with pytest.raises(MetaAnalysisError, match=r"expected \(k, p\) or \(R, k, p\) with k = 9"):
        fit_regression(Y, V, X)


@pytest.mark.parametrize("tau2", [None, 0.2, np.linspace(0.0, 0.4, 7)], ids=["fit", "one", "each"])
def test_chunks_of_a_regression_keep_what_is_known(
    tau2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = np.column_stack([np.ones(9), np.arange(9.0)]), Y + RNG.normal(0, 0.1, (7, 9))
    whole = fit_regression(y, V, X, tau2=tau2)
    monkeypatch.setattr(regression, "_CELLS", 2 * 9 * 12)  # two replicates at once
    parts = fit_regression(y, V, X, tau2=tau2)
    np.testing.assert_allclose(parts.beta, whole.beta, rtol=1e-12)
    for row, known in enumerate(np.broadcast_to(np.nan if tau2 is None else tau2, 7)):
        if tau2 is not None:
            w = 1.0 / (V + known)
            beta = np.linalg.solve(X.T @ (w[:, None] * X), X.T @ (w * y[row]))
            np.testing.assert_allclose(parts.beta[row], beta, rtol=1e-10)


def test_a_bootstrap_prediction_interval_needs_three_studies() -> None:
    with pytest.raises(UnsupportedError, match="needs at least 3 studies"):
        bootstrap_prediction(Y[:2], V[:2], 0.95, draws=100)
    low, high = bootstrap_prediction(Y[:3], V[:3], 0.95, draws=100)
    assert low < high


def test_tests_and_tables_of_coefficients_refuse_a_variance_of_0() -> None:
    with pytest.raises(MetaAnalysisError, match="slope: a variance is 0"):
        wald_test(np.ones(2), np.diag([1.0, 0.0]), np.eye(2), None, "slope")
    with pytest.raises(MetaAnalysisError, match="a standard error is 0"):
        coefficient_table(np.ones(2), np.array([1.0, 0.0]), np.full(2, np.inf), 0.95)

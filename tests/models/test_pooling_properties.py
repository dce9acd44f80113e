"""What must hold whatever the data: symmetry, order, extremes. Never a silent wrong answer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from nightly import examples

from helpers.engine.normal.prediction import PREDICTION_METHODS
from helpers.engine.options import MU_METHODS, TAU2_METHODS
from helpers.errors import ConvergenceError, MetaAnalysisError
from helpers.models.pooling import pool, pool_effects
from helpers.models.result import PoolResult

PROPORTIONS = ("raw", "log", "logit", "arcsine", "double-arcsine")
RATES = ("raw-rate", "log-rate", "sqrt-rate", "freeman-tukey-rate")


@st.composite
def counts(draw: st.DrawFn, smallest: int = 1, largest: int = 8) -> tuple[list[int], list[int]]:
    """Studies of any size, with zero and full cells."""
    k = draw(st.integers(smallest, largest))
    sizes = st.one_of(st.integers(1, 40), st.integers(1, 2000), st.just(10**7))
    n = [draw(sizes) for _ in range(k)]
    shape = draw(st.sampled_from(["any", "none", "all", "extreme"]))
    choose = {
        "any": lambda m: st.integers(0, m),
        "none": lambda m: st.just(0),
        "all": lambda m: st.just(m),
        "extreme": lambda m: st.sampled_from(sorted({0, min(1, m), m - 1, m})),
    }[shape]
    return [draw(choose(m)) for m in n], n


@st.composite
def effects(
    draw: st.DrawFn, smallest: int = 2, largest: int = 7
) -> tuple[list[float], list[float]]:
    k = draw(st.integers(smallest, largest))
    scale = 10.0 ** draw(st.integers(-3, 3))
    y = [scale * draw(st.floats(-5, 5)) for _ in range(k)]
    v = [10.0 ** draw(st.floats(-5, 3)) for _ in range(k)]
    return y, v


def fit_or_skip(**given: Any) -> PoolResult:
    """Fit, or discard data for which the GLMM has no finite maximum (and says so)."""
    try:
        return pool(**given)
    except ConvergenceError as error:
        assume("no finite maximum" not in str(error))
        raise


def check(fit: PoolResult) -> None:
    """Every number of a result is finite and in its range."""
    inside = (0.0, 1.0) if fit.scale.kind == "proportion" else (0.0, math.inf)
    for value in (fit.mu, fit.se, fit.tau2, fit.estimate, fit.loglik):
        assert math.isfinite(value)
    assert fit.se > 0
    assert fit.tau2 >= 0
    assert inside[0] <= fit.estimate <= inside[1]
    het = fit.heterogeneity
    assert 0 <= het.p <= 1
    assert het.Q >= 0
    assert 0 <= het.I2 <= 100
    assert fit.weights.sum() == pytest.approx(100.0)
    assert (fit.weights >= 0).all()
    for method in MU_METHODS[fit.model]:
        try:
            low, high = fit.conf_int(method)
        except MetaAnalysisError:
            continue
        assert inside[0] <= low <= high <= inside[1], method
        if method != "henmi-copas":
            assert low <= fit.estimate <= high, method
    for method in PREDICTION_METHODS[fit.model]:
        if method == "bootstrap":
            continue
        try:
            low, high = fit.prediction_interval(method)
        except MetaAnalysisError:
            continue
        assert inside[0] <= low <= high <= inside[1], method


@pytest.mark.parametrize("measure", PROPORTIONS)
@examples(25)
@given(data=counts(), method=st.sampled_from(TAU2_METHODS))
def test_random_effects_never_leave_the_valid_range(
    measure: str, data: tuple[list[int], list[int]], method: str
) -> None:
    events, n = data
    check(
        pool(
            events=events,
            n=n,
            measure=measure,
            tau2_method=method,
            ci_method="knapp-hartung-max1",
        )
    )


@pytest.mark.parametrize("measure", PROPORTIONS)
@examples(15)
@given(data=counts())
def test_common_effects_never_leave_the_valid_range(
    measure: str, data: tuple[list[int], list[int]]
) -> None:
    check(pool(events=data[0], n=data[1], measure=measure, model="common"))


@pytest.mark.parametrize("model", ["glmm", "common"])
@examples(40)
@given(data=counts())
def test_likelihood_models_give_a_valid_result_or_a_clear_error(
    model: str, data: tuple[list[int], list[int]]
) -> None:
    events, n = data
    if sum(events) in (0, sum(n)):  # none or all, with the limit of Clopper and Pearson
        fit = pool(events=events, n=n, model=model, method="likelihood")
        edge = 0.025 ** (1 / sum(n))
        limits = (0.0, 1 - edge) if sum(events) == 0 else (edge, 1.0)
        assert fit.estimate == sum(events) / sum(n)
        assert fit.ci == pytest.approx(limits, rel=1e-9)
        return
    check(fit_or_skip(events=events, n=n, model=model, method="likelihood"))


@pytest.mark.parametrize("measure", RATES)
@examples(20)
@given(
    events=st.lists(st.integers(0, 500), min_size=1, max_size=6),
    time=st.lists(st.floats(0.01, 1e5), min_size=6, max_size=6),
)
def test_pooled_rates_are_never_negative(
    measure: str, events: list[int], time: list[float]
) -> None:
    check(
        pool(
            events=events,
            time=time[: len(events)],
            measure=measure,
            model="random",
            ci_method="wald",
        )
    )


@pytest.mark.parametrize("model", ["common", "random", "glmm"])
@examples(20)
@given(data=counts(2), seed=st.integers(0, 1000))
def test_the_order_of_studies_does_not_matter(
    model: str, data: tuple[list[int], list[int]], seed: int
) -> None:
    events, n = np.array(data[0]), np.array(data[1])
    assume(0 < events.sum() < n.sum())
    order = np.random.default_rng(seed).permutation(events.size)
    a = fit_or_skip(events=events, n=n, model=model, ci_method="wald")
    b = pool(events=events[order], n=n[order], model=model, ci_method="wald")
    assert b.mu == pytest.approx(a.mu, rel=1e-8, abs=1e-8)
    assert b.se_model == pytest.approx(a.se_model, rel=1e-6)
    assert b.tau2 == pytest.approx(a.tau2, rel=1e-6, abs=1e-9)
    assert b.weights == pytest.approx(a.weights[order], rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(
    ("measure", "model"),
    [("logit", "common"), ("logit", "random"), ("logit", "glmm"), ("arcsine", "random")],
)
@examples(25)
@given(data=counts(2))
def test_complements_give_complementary_estimates(
    measure: str, model: str, data: tuple[list[int], list[int]]
) -> None:
    events, n = np.array(data[0]), np.array(data[1])
    assume(0 < events.sum() < n.sum())
    a = fit_or_skip(events=events, n=n, measure=measure, model=model, ci_method="wald")
    b = pool(events=n - events, n=n, measure=measure, model=model, ci_method="wald")
    assert b.estimate == pytest.approx(1 - a.estimate, rel=1e-7, abs=1e-7)
    assert b.tau2 == pytest.approx(a.tau2, rel=1e-5, abs=1e-9)
    assert b.ci.lower == pytest.approx(1 - a.ci.upper, abs=1e-7)


@pytest.mark.parametrize("method", TAU2_METHODS)
@examples(40)
@given(data=effects(), shift=st.floats(-10, 10), power=st.integers(-3, 3))
def test_shifting_and_scaling_effects_shifts_and_scales_the_result(
    method: str, data: tuple[list[float], list[float]], shift: float, power: int
) -> None:
    y, v = np.array(data[0]), np.array(data[1])
    c = 2.0**power
    a = pool_effects(y, v, tau2_method=method, ci_method="wald")
    b = pool_effects(c * (y + shift), c**2 * v, tau2_method=method, ci_method="wald")
    spread = np.ptp(y) + np.abs(y).max() + abs(shift) + 1e-6
    # tau2 loses the digits that the squared effects have above the variances.
    noise = 1e-9 * (spread**2 + v.max())
    assert b.tau2 / c**2 == pytest.approx(a.tau2, rel=1e-5, abs=noise)
    assert b.mu / c - shift == pytest.approx(a.mu, rel=1e-5, abs=1e-5 * spread)


@pytest.mark.parametrize("method", TAU2_METHODS)
def test_identical_studies_have_no_between_study_variance(method: str) -> None:
    fit = pool_effects([0.3] * 6, [0.02] * 6, tau2_method=method, ci_method="wald")
    assert fit.tau2 == 0.0
    assert fit.mu == pytest.approx(0.3)
    assert "boundary" in [c.code for c in fit.cautions]


def test_identical_effects_have_no_knapp_hartung_interval() -> None:
    fit = pool_effects([0.3, 0.3], [0.02, 0.01], ci_method="wald")
    with pytest.raises(MetaAnalysisError, match="all effects are identical"):
        fit.conf_int("knapp-hartung")
    with pytest.raises(MetaAnalysisError, match="all effects are identical"):
        fit.prediction_interval("knapp-hartung")
    with pytest.raises(MetaAnalysisError, match="all effects are identical"):
        pool_effects([0.3, 0.3], [0.02, 0.01], ci_method="knapp-hartung")
    assert pool_effects([0.3, 0.3], [0.02, 0.01]).se == fit.se
    assert fit.conf_int("knapp-hartung-wider") == fit.conf_int("wald")


@pytest.mark.parametrize("method", ["DL", "REML", "ML", "PM", "HE", "SJ", "HS"])
def test_duplicated_studies_equal_studies_that_count_twice(method: str) -> None:
    from helpers.engine.normal.inverse_variance import fit_inverse_variance

    y, v = np.array([0.1, 0.9, 0.4, 1.4]), np.array([0.02, 0.05, 0.01, 0.08])
    twice = fit_inverse_variance(np.tile(y, 2), np.tile(v, 2), method=method)
    counted = fit_inverse_variance(y, v, [2, 2, 2, 2], method=method)
    for name in ("mu", "se", "Q", "I2", "loglik", "loglik_restricted"):
        assert getattr(counted, name) == pytest.approx(getattr(twice, name), rel=1e-10), name
    assert counted.tau2.tau2 == pytest.approx(twice.tau2.tau2, rel=1e-9)
    assert counted.tau2.se == pytest.approx(twice.tau2.se, rel=1e-9)


@pytest.mark.parametrize("method", TAU2_METHODS)
def test_a_masked_batch_equals_separate_fits(method: str) -> None:
    from helpers.engine.normal.inverse_variance import fit_inverse_variance

    rng = np.random.default_rng(5)
    y, v = rng.normal(0, 0.8, 12), rng.uniform(0.01, 0.5, 12)
    mask = rng.random((40, 12)) < 0.5
    mask[:, :2] = True
    batch = fit_inverse_variance(y, v, mask, method=method)
    for row in range(40):
        alone = fit_inverse_variance(y[mask[row]], v[mask[row]], method=method)
        assert batch.mu[row] == pytest.approx(alone.mu[0], rel=1e-9)
        assert batch.tau2.tau2[row] == pytest.approx(alone.tau2.tau2[0], rel=1e-8, abs=1e-12)
        assert batch.Q[row] == pytest.approx(alone.Q[0], rel=1e-10)


@pytest.mark.parametrize(("cells", "rounding"), [(9 * 64 * 7, 0.0), (1, 1e-13)])
def test_a_large_batch_in_chunks_equals_its_rows(cells: int, rounding: float) -> None:
    from helpers.engine.normal import likelihood as tau2_likelihood
    from helpers.engine.normal.weighted import prepare

    rng = np.random.default_rng(6)
    y, v = rng.normal(0, 0.5, (300, 9)), rng.uniform(0.01, 0.5, (300, 9))
    whole = tau2_likelihood.likelihood_maximum(prepare(y, v), restricted=True)
    original = tau2_likelihood._CELLS
    try:
        tau2_likelihood._CELLS = cells  # 1: rows one by one
        parts = tau2_likelihood.likelihood_maximum(prepare(y, v), restricted=True)
    finally:
        tau2_likelihood._CELLS = original
    np.testing.assert_allclose(whole.tau2, parts.tau2, rtol=rounding)
    assert whole.scan is not None
    assert parts.scan is not None
    np.testing.assert_array_equal(whole.scan.maxima, parts.scan.maxima)


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("model", ["common", "random", "glmm"])
def test_one_and_two_studies_give_finite_results(k: int, model: str) -> None:
    fit = pool(events=[3, 9][:k], n=[40, 50][:k], model=model)
    check(fit)
    codes = [c.code for c in fit.cautions]
    if k == 1:
        assert "single-study" in codes
        assert fit.estimate == pytest.approx(3 / 40)
        assert fit.ci_method == "wald"
    elif model != "common":
        assert "few-studies" in codes


@pytest.mark.parametrize("measure", PROPORTIONS)
def test_tiny_and_huge_studies_can_be_pooled_together(measure: str) -> None:
    check(pool(events=[0, 1, 400_000, 3], n=[1, 1, 10**7, 50], measure=measure, model="random"))


@pytest.mark.parametrize("scale", [1e-8, 1e8])
@pytest.mark.parametrize("method", TAU2_METHODS)
def test_huge_and_tiny_tau2_are_found(method: str, scale: float) -> None:
    y = np.array([-1.0, 0.2, 0.4, 1.3, -0.6]) * scale**0.5
    v = np.full(5, 1e-3 * scale)
    fit = pool_effects(y, v, tau2_method=method)
    assert fit.tau2 == pytest.approx(0.75 * scale, rel=0.3)


@pytest.mark.parametrize("measure", [*PROPORTIONS, *RATES])
def test_a_study_is_corrected_if_its_counts_are(measure: str) -> None:
    """Even with as many events as non-events, where the logit does not show it."""
    size: dict[str, Any] = {"time" if measure in RATES else "n": [20, 20, 20, 20]}
    given: dict[str, Any] = {"events": [10, 0, 3, None], "measure": measure, "model": "random"}
    every = pool(**given, **size, to="all").data.corrected
    empty = pool(**given, **size, to="only0").data.corrected
    none = pool(**given, **size, to="all", add=0.0).data.corrected
    assert every.tolist() == [True, True, True, False]
    assert empty.tolist() == [False, True, False, False]
    assert not none.any()


def test_cautions_name_what_is_wrong() -> None:
    def codes(**given: Any) -> list[str]:
        return [c.code for c in pool(**given).cautions]

    assert "zero-cells-corrected" in codes(events=[0, 3, 5, 6, 8], n=[20] * 5, model="random")
    assert "zero-cells-corrected" not in codes(events=[0, 3, 5, 6, 8], n=[20] * 5)
    assert "sparse-cells" in codes(events=[1, 2, 1, 3, 2], n=[30] * 5, model="random")
    assert "few-studies" in codes(events=[5, 9, 14], n=[30] * 3)
    assert "excluded-studies" in codes(events=[5, None, 14], n=[30] * 3)
    assert "double-arcsine" in codes(events=[5, 9, 14], n=[30] * 3, measure="double-arcsine")
    narrow = codes(events=[5, 5, 6], n=[30] * 3, ci_method="knapp-hartung")
    assert "knapp-hartung-narrow" in narrow
    assert "knapp-hartung-narrow" not in codes(events=[5, 5, 6], n=[30] * 3, model="random")
    wald = codes(events=[5, 5, 6], n=[30] * 3, model="random", ci_method="wald")
    assert "knapp-hartung-narrow" not in wald

"""Properties that every small-study method must have, and input that none may accept."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from nightly import examples

from helpers import pool, pool_effects
from helpers.checks.bias import (
    TrimAndFill,
    arcsine_test,
    begg,
    egger,
    excess_significance,
    fail_safe_n,
    limit_meta_analysis,
    macaskill,
    pet_peese,
    peters,
    selection_model,
    simulate_null,
    thompson_sharp,
    trim_and_fill,
)
from helpers.checks.bias.lines import egger_batch
from helpers.errors import ConvergenceError, MetaAnalysisError, UnsupportedError

TESTS = {
    "egger": egger,
    "egger random": lambda y, v, **a: egger(y, v, model="random", **a),
    "egger vi": lambda y, v, **a: egger(y, v, predictor="vi", **a),
    "thompson": lambda y, v, **a: thompson_sharp(y, v, tau2_method="DL", **a),
    "begg": begg,
}


@st.composite
def studies(draw: st.DrawFn, least: int = 4) -> tuple[np.ndarray, np.ndarray]:
    k = draw(st.integers(least, 12))
    thousandths = st.integers(-3000, 3000)
    yi = draw(st.lists(thousandths, min_size=k, max_size=k, unique=True))
    log_v = draw(st.lists(st.integers(-4000, 1000), min_size=k, max_size=k, unique=True))
    return np.array(yi) / 1000.0, np.exp(np.array(log_v) / 1000.0)


@pytest.mark.parametrize("name", TESTS)
@given(data=studies(), seed=st.integers(0, 99))
@examples(20)
def test_order_of_studies_does_not_matter(
    name: str, data: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    y, v = data
    order = np.random.default_rng(seed).permutation(y.size)
    one, two = TESTS[name](y, v), TESTS[name](y[order], v[order])
    assert two.bias == pytest.approx(one.bias, rel=1e-7, abs=1e-9)
    assert two.p == pytest.approx(one.p, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", TESTS)
@given(data=studies())
@examples(20)
def test_changing_the_sign_of_effects_mirrors_the_result(
    name: str, data: tuple[np.ndarray, np.ndarray]
) -> None:
    y, v = data
    one, two = TESTS[name](y, v), TESTS[name](-y, v)
    assert two.bias == pytest.approx(-one.bias, rel=1e-7, abs=1e-9)
    assert two.p == pytest.approx(one.p, rel=1e-6, abs=1e-9)
    assert {one.small_studies, two.small_studies} in ({"lower", "higher"}, {"equal"})


@pytest.mark.parametrize("name", TESTS)
@given(data=studies(), shift=st.floats(-2, 2), scale=st.sampled_from([0.01, 0.5, 3.0, 1000.0]))
@examples(20)
def test_units_and_origin_of_effects_do_not_change_the_p_value(
    name: str, data: tuple[np.ndarray, np.ndarray], shift: float, scale: float
) -> None:
    y, v = data
    one, two = TESTS[name](y, v), TESTS[name](scale * (y + shift), scale**2 * v)
    if name == "begg":  # rounding may part or join effects whose standardised values agree
        assume(abs(one.bias - two.bias) < 1e-9)
    assert two.p == pytest.approx(one.p, rel=1e-5, abs=1e-9)


@given(data=studies())
@examples(20)
def test_numbers_are_finite_and_p_values_are_probabilities(
    data: tuple[np.ndarray, np.ndarray],
) -> None:
    for test in TESTS.values():
        result = test(*data)
        assert 0.0 <= result.p <= 1.0
        assert np.isfinite([result.bias, result.se, result.statistic]).all()
        assert result.se > 0


def outcome(y: np.ndarray, v: np.ndarray, side: str, options: dict[str, Any]) -> TrimAndFill | str:
    """Result, or the name of the error."""
    try:
        return trim_and_fill(y, v, side=side, **options)
    except (ConvergenceError, MetaAnalysisError) as error:
        return type(error).__name__


@pytest.mark.parametrize("estimator", ["L0", "R0", "Q0"])
@pytest.mark.parametrize("model", ["common", "random"])
@given(data=studies())
@examples(20)
def test_trim_and_fill_of_mirrored_effects_is_mirrored(
    model: str, estimator: str, data: tuple[np.ndarray, np.ndarray]
) -> None:
    y, v = data
    options: dict[str, Any] = {"model": model, "estimator": estimator, "tau2_method": "DL"}
    left, right = (outcome(s * y, v, side, options) for s, side in ((1, "left"), (-1, "right")))
    if isinstance(left, str) or isinstance(right, str):
        # Refused alike: Q0 has no solution, or the rounds go in a circle.
        assert left == right
        assert estimator == "Q0" or left == "ConvergenceError"
        return
    assert left.k0 == right.k0
    assert left.mu == pytest.approx(-right.mu, rel=1e-9, abs=1e-9)
    assert 0 <= left.k0 < y.size
    assert sum(left.filled) == left.k0
    assert len(left.studies) == y.size + left.k0


@given(data=studies(), seed=st.integers(0, 99))
@examples(20)
def test_trim_and_fill_does_not_depend_on_order(
    data: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    y, v = data
    order = np.random.default_rng(seed).permutation(y.size)
    one = trim_and_fill(y, v, side="left", model="common")
    two = trim_and_fill(y[order], v[order], side="left", model="common")
    assert (one.k0, one.mu) == (two.k0, pytest.approx(two.mu, rel=1e-9, abs=1e-9))


@given(data=studies(), scale=st.sampled_from([0.01, 5.0]))
@examples(20)
def test_limit_meta_analysis_is_equivariant(
    data: tuple[np.ndarray, np.ndarray], scale: float
) -> None:
    y, v = data
    one = limit_meta_analysis(y, v, tau2_method="DL")
    two = limit_meta_analysis(-scale * y, scale**2 * v, tau2_method="DL")
    assert two.mu == pytest.approx(-scale * one.mu, rel=1e-6, abs=1e-8 * scale)
    assert two.se == pytest.approx(scale * one.se, rel=1e-6)
    assert 0.0 <= two.G2 <= 100.0
    assert one.Q_small >= 0


def test_selection_model_is_mirrored_and_scaled() -> None:
    rng = np.random.default_rng(8)
    v = rng.uniform(0.02, 0.3, 60)
    y = rng.normal(0.3, np.sqrt(v + 0.05))
    one = selection_model(y, v, alternative="greater")
    mirrored = selection_model(-y, v, alternative="less")
    scaled = selection_model(10 * y, 100 * v, alternative="greater")
    assert mirrored.mu == pytest.approx(-one.mu, rel=1e-6)
    assert scaled.mu == pytest.approx(10 * one.mu, rel=1e-6)
    assert scaled.tau2 == pytest.approx(100 * one.tau2, rel=1e-5)
    assert scaled.delta[1] == pytest.approx(mirrored.delta[1], rel=1e-5)
    assert scaled.lrt == pytest.approx(one.lrt, rel=1e-6)


def test_selection_model_without_heterogeneity_is_flagged() -> None:
    v = np.linspace(0.05, 0.4, 30)
    y = 0.6 + 0.3 * np.sqrt(v) * np.tile([-1.0, 1.0], 15)
    result = selection_model(y, v)
    assert result.boundary
    assert result.tau2 == 0.0
    assert result.tau2_se is None
    assert result.lrt_tau2 == 0.0
    assert "boundary" in {c.code for c in result.cautions}


def test_complement_of_events_mirrors_tests_for_proportions() -> None:
    x, n = np.array([2.0, 0, 9, 12, 30, 7]), np.array([20.0, 31, 90, 200, 400, 80])
    for test in (peters, macaskill, arcsine_test):
        one, two = test(events=x, n=n), test(events=n - x, n=n)
        assert two.bias == pytest.approx(-one.bias, rel=1e-7)
        assert two.p == pytest.approx(one.p, rel=1e-7)


# --- few, identical and impossible studies ---------------------------------------------------


@pytest.mark.parametrize(
    "method", [egger, thompson_sharp, begg, trim_and_fill, limit_meta_analysis, pet_peese]
)
def test_two_studies_are_refused(method: Any) -> None:
    with pytest.raises(MetaAnalysisError, match="at least 3"):
        method([0.1, 0.5], [0.01, 0.04])


@pytest.mark.parametrize("method", [egger, thompson_sharp, begg])
def test_three_studies_work_with_a_caution(method: Any) -> None:
    result = method([0.1, 0.5, 0.4], [0.01, 0.04, 0.09])
    assert "few-studies-test" in {c.code for c in result.cautions}
    assert 0 <= result.p <= 1


@pytest.mark.parametrize(
    "method", [egger, thompson_sharp, begg, trim_and_fill, limit_meta_analysis, pet_peese]
)
@pytest.mark.parametrize("k", [3, 4, 5, 12])  # their sums round up or down
def test_identical_studies_are_refused(method: Any, k: int) -> None:
    with pytest.raises(MetaAnalysisError, match=r"same standard error|are equal"):
        method([0.3] * k, [0.04] * k)


def test_identical_effects_lie_on_a_line() -> None:
    y, v = [0.3] * 5, [0.01, 0.02, 0.05, 0.09, 0.2]
    with pytest.raises(MetaAnalysisError, match="exactly on a line"):
        egger(y, v)
    with pytest.raises(MetaAnalysisError, match="are equal"):
        begg(y, v)
    random = egger(y, v, model="random")
    assert random.tau2 == 0.0
    assert random.p == pytest.approx(1.0)
    filled = trim_and_fill(y, v, side="left")
    assert (filled.k0, filled.mu) == (0, pytest.approx(0.3))
    limit = limit_meta_analysis(y, v)
    assert limit.mu == pytest.approx(0.3)


def test_q0_without_a_solution_is_refused() -> None:
    with pytest.raises(MetaAnalysisError, match="Q0 estimator is not defined"):
        trim_and_fill(
            [0.0, 0.001, -0.001, 0.002],
            [1.0, 1.001, 0.999, 1.002],
            model="common",
            side="left",
            estimator="Q0",
        )


def test_same_sizes_cannot_show_small_study_effects() -> None:
    x, n = [2.0, 5, 9, 1], [40.0] * 4
    for test in (peters, macaskill, arcsine_test):
        with pytest.raises(MetaAnalysisError, match="all studies have the same"):
            test(events=x, n=n)


def test_no_events_at_all_is_refused() -> None:
    x, n = [0.0] * 4, [10.0, 20, 30, 40]
    with pytest.raises(MetaAnalysisError, match="positive weight"):
        peters(events=x, n=n, weights="events")
    with pytest.raises(MetaAnalysisError, match="no study has events"):
        peters(events=x, n=n)
    with pytest.raises(MetaAnalysisError, match="no study has events"):
        macaskill(events=x, n=n)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: egger([0.1, 0.2, 0.3], [0.1, 0.2, -0.3]), "positive variance"),
        (lambda: egger([0.1, 0.2, np.inf], [0.1, 0.2, 0.3]), "finite effect"),
        (lambda: egger([0.1, 0.2, 0.3], [0.1, 0.2]), "same number of studies"),
        (lambda: egger([0.1, 0.2, 0.3]), "sampling variances"),
        (lambda: egger(), "expected a fit"),
        (lambda: egger([0.1, 0.2, 0.4], [0.1, 0.2, 0.3], predictor="ni"), "sample sizes"),
        (lambda: peters(events=[5, 3, 2], n=[4, 10, 10]), "exceed"),
        (lambda: peters([0.1, 0.2, 0.4], [0.1, 0.2, 0.3]), "made from counts"),
        (lambda: selection_model([0.1] * 5, [0.1] * 5, cutpoints=(0.5, 0.1)), "increasing"),
    ],
)
def test_impossible_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(MetaAnalysisError, match=message):
        call()


Y, V = [0.1, 0.5, 0.4, 0.9], [0.01, 0.04, 0.09, 0.16]


@pytest.mark.parametrize(
    "call",
    [
        lambda: egger(Y, V, predictor="size"),
        lambda: egger(Y, V, model="fixed"),
        lambda: egger(Y, V, ci_method="wald"),
        lambda: egger(Y, V, model="random", ci_method="profile"),
        lambda: egger(Y, V, model="random", tau2_method="XX"),
        lambda: egger(Y, V, level=1.5),
        lambda: begg(Y, V, method="permutation"),
        lambda: begg(Y, V, method="exact", continuity=True),
        lambda: trim_and_fill(Y, V, estimator="L1"),
        lambda: trim_and_fill(Y, V, side="up"),
        lambda: trim_and_fill(Y, V, model="glmm"),
        lambda: selection_model(Y, V, alternative="up"),
        lambda: selection_model(Y, V, null="median"),
        lambda: fail_safe_n(Y, V, method="sum"),
        lambda: fail_safe_n(Y, V, alpha=0.7),
        lambda: peters(events=[1, 2, 3], n=[10, 20, 30], weights="equal"),
        lambda: arcsine_test(events=[1, 2, 3], n=[10, 20, 30], measure="logit"),
    ],
)
def test_undefined_combinations_are_unsupported(call: Any) -> None:
    with pytest.raises(UnsupportedError):
        call()


def test_undefined_replicates_of_a_batch_are_marked() -> None:
    y = np.array([Y, [0.3] * 4, Y])
    v = np.array([V, V, [0.1] * 4])
    for model, expected in (("multiplicative", [1, 0, 0]), ("random", [1, 1, 0])):
        lines = egger_batch(y, v, model=model)
        assert lines.defined.tolist() == [bool(e) for e in expected]
        assert np.isnan(lines.p[~lines.defined]).all()
        assert np.isfinite(lines.p[lines.defined]).all()


# --- fits and results ------------------------------------------------------------------------

EVENTS = [2, 5, 0, 12, 30, 8, 4, 6, 15, 9, 3, 7]
N = [20, 60, 31, 200, 400, 90, 75, 110, 130, 160, 55, 64]


@pytest.mark.parametrize("model", ["common", "random", "glmm"])
def test_a_fit_gives_the_same_as_its_counts(model: str) -> None:
    fit = pool(events=EVENTS, n=N, measure="logit", model=model)
    assert egger(fit).bias == egger(events=EVENTS, n=N).bias
    assert egger(fit, predictor="ninv").p == egger(events=EVENTS, n=N, predictor="ninv").p
    assert peters(fit).p == peters(events=EVENTS, n=N).p
    assert arcsine_test(fit, tau2_method="REML").p == arcsine_test(events=EVENTS, n=N).p
    filled = trim_and_fill(fit)
    assert filled.model == ("common" if model == "common" else "random")
    assert ("inverse-variance" in {c.code for c in filled.cautions}) is (model == "glmm")
    assert 0 < filled.ci.lower < filled.estimate < filled.ci.upper < 1


def test_excluded_studies_stay_out() -> None:
    fit = pool(events=[*EVENTS, None], n=[*N, 50], measure="logit", model="random")
    assert egger(fit).k == len(EVENTS)
    assert egger(fit).bias == egger(events=EVENTS, n=N).bias


def test_a_fit_of_effects_works_without_counts() -> None:
    fit = pool_effects(Y, V)
    assert egger(fit).bias == egger(Y, V).bias
    with pytest.raises(MetaAnalysisError, match="made from counts"):
        peters(fit)
    with pytest.raises(UnsupportedError, match="brings its own studies"):
        egger(fit, V)


def test_proportions_need_a_null_where_comparative_effects_have_one() -> None:
    fit = pool(events=EVENTS, n=N, measure="logit", model="random")
    for method in (selection_model, fail_safe_n, excess_significance):
        with pytest.raises(UnsupportedError, match="give null="):
            method(fit)
    both = pet_peese(fit)
    assert both.selected is None
    assert "no-null" in {c.code for c in both.cautions}
    assert pet_peese(Y, V).selected in ("PET", "PEESE")
    assert "assumed-null" in {c.code for c in fail_safe_n(fit, null=0.0).cautions}
    assert "fail-safe" in {c.code for c in fail_safe_n(Y, V).cautions}


def test_results_are_frozen_and_have_views() -> None:
    fit = pool(events=EVENTS, n=N, measure="logit", model="random")
    results = [
        egger(fit),
        begg(fit),
        arcsine_test(fit),
        trim_and_fill(fit),
        limit_meta_analysis(fit),
        pet_peese(fit),
        selection_model(fit, null="pooled", cutpoints=(0.5,)),
        fail_safe_n(fit, null=0.0),
        excess_significance(fit, null="pooled"),
        simulate_null(fit, draws=50),
    ]
    for result in results:
        with pytest.raises(FrozenInstanceError):
            result.sentence = ""
        methods = result.methods()
        assert str(methods).endswith(".")
        assert methods.references
        assert all(r.doi.startswith("10.") for r in methods.references)
        json.dumps(result.to_dict(), allow_nan=False)
    for result in (*results[:6], results[6], results[9]):
        if hasattr(result, "summary_frame"):
            assert len(result.summary_frame())


def test_published_columns_of_the_test_are_in_the_summary() -> None:
    frame = egger(Y, V).summary_frame()
    assert frame.index.name == "test"
    columns = list(frame.columns)
    assert columns[:7] == ["k", "bias", "se", "statistic", "df", "p", "dispersion"]
    assert frame.loc["Egger regression test", "df"] == 2


def test_the_sentence_names_what_was_regressed() -> None:
    counts = pool(events=[3, 8, 6, 12], n=[40, 60, 50, 99], model="random")
    assert "by regression of the logit proportions on the" in egger(counts).sentence
    effects = pool_effects([0.1, 0.4, 0.3, 0.9], [0.1, 0.2, 0.05, 0.15])
    assert "by regression of the effects on the" in egger(effects).sentence

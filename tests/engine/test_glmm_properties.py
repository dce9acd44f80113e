"""What must hold for any data: symmetries, batches, masks, extremes and clear refusals."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightly import examples
from scipy import special, stats

from helpers.engine.counts.common import count_limits
from helpers.engine.counts.fit import GLMMFit, fit_glmm
from helpers.engine.counts.inference import heterogeneity_tests
from helpers.engine.counts.optimise import FitStatus
from helpers.engine.counts.weights import empirical_bayes, information_weights
from helpers.errors import ConvergenceError, MetaAnalysisError, UnsupportedError

quick = examples(40)


@st.composite
def counts(draw: st.DrawFn, smallest: int = 1, largest: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Studies of very different sizes, with some events and some nonevents among them."""
    k = draw(st.integers(smallest, largest))
    n = np.array([draw(st.sampled_from([1, 2, 7, 30, 150, 1300, 10**5])) for _ in range(k)])
    x = np.array([draw(st.integers(0, int(size))) for size in n])
    return x, n


def same(a: GLMMFit, b: GLMMFit, *, sign: float = 1.0, tol: float = 1e-7) -> None:
    """Same maximum: equal log-likelihood, and equal parameters in units of standard errors."""
    assert a.status.tolist() == b.status.tolist()
    if not a.converged.all():
        return
    np.testing.assert_allclose(a.loglik, b.loglik, rtol=1e-10, atol=1e-10)
    assert a.boundary.tolist() == b.boundary.tolist()
    assert (np.abs(a.beta - sign * b.beta) <= tol * a.se).all()
    np.testing.assert_allclose(a.tau, b.tau, rtol=1e-6, atol=1e-9)


def single_maximum(fit: GLMMFit) -> bool:
    """Two equally high maxima may swap under rounding; properties speak of the others."""
    return bool((np.abs(fit.loglik - fit.loglik_tau0) > 1e-8).all() or fit.boundary.all())


@quick
@given(counts(), st.randoms(use_true_random=False))
def test_order_of_studies_does_not_matter(data, random) -> None:
    x, n = data
    order = list(range(len(x)))
    random.shuffle(order)
    a = fit_glmm(x, n)
    if single_maximum(a):
        same(a, fit_glmm(x[order], n[order]))


@quick
@given(counts())
def test_counting_nonevents_flips_the_sign(data) -> None:
    x, n = data
    a, b = fit_glmm(x, n), fit_glmm(n - x, n)
    if a.converged[0] and single_maximum(a):
        same(a, b, sign=-1.0)
    elif not a.converged[0]:
        assert a.status[0] == b.status[0]


@quick
@given(counts(smallest=3), st.integers(0, 2**20))
def test_a_mask_equals_dropping_the_studies(data, seed) -> None:
    x, n = data
    rng = np.random.default_rng(seed)
    mask = rng.random((4, len(x))) < 0.6
    batch = fit_glmm(x, n, mask=mask)
    for row in range(4):
        if not mask[row].any():
            assert batch.status[row] == FitStatus.NO_STUDIES
            continue
        alone = fit_glmm(x[mask[row]], n[mask[row]])
        assert batch.status[row] == alone.status[0]
        assert batch.k[row] == mask[row].sum()
        if alone.converged[0] and single_maximum(alone):
            assert batch.loglik[row] == pytest.approx(alone.loglik[0], rel=1e-10, abs=1e-10)
            gap = abs(batch.beta[row, 0] - alone.beta[0, 0])
            assert gap <= 1e-7 * alone.se[0, 0]


@quick
@given(counts(smallest=2, largest=5), st.integers(0, 2**20))
def test_whole_number_masks_equal_repeating_the_studies(data, seed) -> None:
    x, n = data
    times = np.random.default_rng(seed).integers(0, 4, len(x))
    if not times.any():
        return
    a = fit_glmm(x, n, mask=times)
    b = fit_glmm(np.repeat(x, times), np.repeat(n, times))
    if single_maximum(a):
        same(a, b)
        assert a.k[0] == times.sum()


@quick
@given(counts(smallest=2))
def test_an_n_of_zero_takes_no_part(data) -> None:
    x, n = data
    a = fit_glmm(x, n)
    b = fit_glmm(np.append(x, 0), np.append(n, 0))
    if single_maximum(a):
        same(a, b)
    assert a.k[0] + 0 == b.k[0]


@quick
@given(counts(smallest=2))
def test_results_are_finite_or_flagged(data) -> None:
    x, n = data
    fit = fit_glmm(x, n)
    if fit.converged[0]:
        assert np.isfinite(fit.beta).all()
        assert np.isfinite(fit.se).all()
        assert fit.tau2[0] >= 0
        assert fit.gradient_max[0] < 1e-8
        assert fit.certified[0]
        assert fit.loglik[0] >= fit.loglik_tau0[0] - 1e-9
        assert fit.loglik_saturated[0] >= fit.loglik_tau0[0] - 1e-9
        assert bool(fit.boundary[0]) == (fit.tau2[0] == 0) == bool(np.isnan(fit.tau_se[0]))
        weights = information_weights(fit)
        assert weights.min() >= 0
        assert weights.sum() == pytest.approx(100.0, rel=1e-10)
        assert np.isfinite(empirical_bayes(fit)).all()
        test = heterogeneity_tests(fit)
        for p in (test.p_wald, test.p_lrt, test.p_tau2):
            assert 0 <= p[0] <= 1
    else:
        assert fit.status[0] != FitStatus.CONVERGED
        with pytest.raises(ConvergenceError):
            fit.raise_for_status()


def test_replicates_do_not_depend_on_their_neighbours() -> None:
    rng = np.random.default_rng(7)
    n = rng.integers(5, 300, 20)
    x = rng.binomial(n, 0.1, (600, 20))
    whole = fit_glmm(x, n)
    order = rng.permutation(600)
    shuffled = fit_glmm(x[order], n)
    np.testing.assert_allclose(shuffled.beta, whole.beta[order], rtol=0, atol=1e-9)
    np.testing.assert_allclose(shuffled.tau2, whole.tau2[order], rtol=1e-7, atol=1e-12)
    for row in (0, 299, 599):
        same(fit_glmm(x[row], n), GLMMRow(whole, row))


def GLMMRow(fit: GLMMFit, row: int) -> GLMMFit:  # noqa: N802
    """One replicate of a batch as a batch of one."""
    from dataclasses import fields, replace

    arrays = {
        f.name: getattr(fit, f.name)[row : row + 1]
        for f in fields(fit)
        if isinstance(getattr(fit, f.name), np.ndarray)
    }
    return replace(fit, **arrays)


def test_designs_may_differ_between_replicates() -> None:
    rng = np.random.default_rng(3)
    n = rng.integers(20, 200, 15)
    x = rng.binomial(n, 0.15)
    z = rng.normal(size=15)
    X = np.stack([np.column_stack([np.ones(15), rng.permutation(z)]) for _ in range(30)])
    mask = rng.random((30, 15)) < 0.8
    batch = fit_glmm(x, n, X, mask)
    assert batch.converged.all()
    for row in range(30):
        keep = mask[row]
        alone = fit_glmm(x[keep], n[keep], X[row][keep])
        np.testing.assert_allclose(batch.beta[row], alone.beta[0], rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(batch.vcov[row], alone.vcov[0], rtol=1e-6, atol=1e-10)
        assert batch.tau2[row] == pytest.approx(alone.tau2[0], rel=1e-7, abs=1e-12)


def test_offset_shifts_the_intercept_and_person_time_is_a_log_offset() -> None:
    x, n = np.array([3, 0, 8, 12, 2]), np.array([40.5, 25.0, 60.2, 55.1, 48.9])
    plain = fit_glmm(x, n, family="poisson")
    shifted = fit_glmm(x, n, offset=np.full(5, 0.7), family="poisson")
    assert shifted.beta[0, 0] == pytest.approx(plain.beta[0, 0] - 0.7, abs=1e-10)
    assert shifted.tau2[0] == pytest.approx(plain.tau2[0], rel=1e-9)
    unit = fit_glmm(x, np.ones(5), offset=np.log(n), family="poisson")
    assert unit.beta[0, 0] == pytest.approx(plain.beta[0, 0], abs=1e-10)
    assert unit.loglik[0] == pytest.approx(plain.loglik[0], rel=1e-12)


def test_coefficients_survive_a_change_of_origin_and_unit() -> None:
    rng = np.random.default_rng(5)
    n = rng.integers(20, 200, 25)
    x = rng.binomial(n, 0.12)
    year = rng.integers(2018, 2025, 25)
    raw = fit_glmm(x, n, np.column_stack([np.ones(25), year]))
    centred = fit_glmm(x, n, np.column_stack([np.ones(25), (year - 2021) / 100]))
    assert raw.converged[0]
    assert raw.beta[0, 1] == pytest.approx(centred.beta[0, 1] / 100, rel=1e-8)
    assert raw.se[0, 1] == pytest.approx(centred.se[0, 1] / 100, rel=1e-8)
    assert raw.loglik[0] == pytest.approx(centred.loglik[0], rel=1e-12)


@pytest.mark.parametrize(
    ("x", "limit"), [([0, 0, 0], -np.inf), ([10, 20, 30], np.inf)], ids=["none", "all"]
)
def test_no_events_at_all_is_flagged_as_infinite(x: list[int], limit: float) -> None:
    fit = fit_glmm(x, [10, 20, 30])
    assert fit.status[0] == FitStatus.SEPARATION
    assert fit.beta[0, 0] == limit
    assert fit.loglik[0] == 0.0
    assert not fit.converged[0]
    with pytest.raises(ConvergenceError, match="no finite maximum"):
        fit.raise_for_status()


def test_separation_by_a_covariate_is_flagged() -> None:
    x, n = [0, 0, 0, 5, 7, 3], [10, 20, 30, 40, 50, 60]
    for column in ([1, 1, 1, 0, 0, 0], [3, 2, 1, 0, 0, 0]):
        fit = fit_glmm(x, n, np.column_stack([np.ones(6), column]))
        assert fit.status[0] == FitStatus.SEPARATION
    mixed = fit_glmm(x, n, np.column_stack([np.ones(6), [3, 2, 1, 0, -1, -2]]))
    assert mixed.converged[0]


def test_studies_with_no_or_only_events_have_no_finite_tau() -> None:
    fit = fit_glmm([0, 10, 0, 20], [10, 10, 15, 20])
    assert fit.status[0] == FitStatus.TAU_UNBOUNDED


def test_single_patients_cannot_identify_tau() -> None:
    fit = fit_glmm([0, 1, 1, 0, 0], [1] * 5)
    assert fit.status[0] == FitStatus.TAU_UNIDENTIFIED
    assert fit.converged[0]
    assert fit.boundary[0]
    assert fit.beta[0, 0] == pytest.approx(np.log(2 / 3), rel=1e-12)


def test_one_study_is_the_binomial_model() -> None:
    fit = fit_glmm([3], [10])
    assert fit.converged[0]
    assert fit.boundary[0]
    assert fit.beta[0, 0] == pytest.approx(np.log(3 / 7), rel=1e-14)
    assert fit.se[0, 0] == pytest.approx(np.sqrt(1 / 3 + 1 / 7), rel=1e-14)
    assert fit.loglik[0] == pytest.approx(fit.loglik_saturated[0], rel=1e-14)


def test_identical_studies_have_no_variance_between_them() -> None:
    for n in (5, 500, 10**7):
        fit = fit_glmm([n // 5] * 6, [n] * 6)
        assert fit.converged[0]
        assert fit.tau2[0] == 0.0
        assert fit.beta[0, 0] == pytest.approx(np.log(1 / 4), rel=1e-12)


@pytest.mark.parametrize("tau", [1e-3, 0.1, 1.0, 3.0])
def test_large_studies_reduce_to_normal_theory(tau: float) -> None:
    """With n = 10**7 a study's logit is known: the fit is that of a normal sample."""
    n = 10**7
    logits = -1.0 + tau * np.array([-1.6, -0.7, -0.2, 0.1, 0.6, 1.8])
    x = np.round(n / (1 + np.exp(-logits)))
    fit = fit_glmm(x, [n] * 6)
    y = np.log(x / (n - x))
    v = n / (x * (n - x))
    assert fit.converged[0]
    # the normal-normal maximum, found by its own fixed-point iteration
    t2 = np.var(y)
    for _ in range(500):
        w = 1 / (v + t2)
        mu = (w * y).sum() / w.sum()
        t2 = max((w**2 * ((y - mu) ** 2 - v)).sum() / (w**2).sum(), 0.0)
    assert fit.beta[0, 0] == pytest.approx(mu, abs=1e-5 * max(tau, 0.1))
    assert fit.tau2[0] == pytest.approx(t2, rel=2e-3)


def test_huge_heterogeneity_still_converges() -> None:
    fit = fit_glmm([1, 9_999_999, 5_000_000, 100, 9_999_970], [10**7] * 5)
    assert fit.converged[0]
    assert fit.tau[0] > 10
    rates = fit_glmm([0, 1000, 3, 0, 50], [100, 1.0, 10, 1000, 5], family="poisson")
    assert rates.converged[0]
    assert rates.tau[0] > 5


def test_rank_deficient_subsets_and_empty_replicates_are_flagged() -> None:
    X = np.column_stack([np.ones(3), [0, 1, 0]])
    fit = fit_glmm([1, 2, 3], [10, 20, 30], X, [[True, False, True], [False] * 3, [True] * 3])
    assert fit.status.tolist() == [
        FitStatus.RANK_DEFICIENT,
        FitStatus.NO_STUDIES,
        FitStatus.CONVERGED,
    ]
    assert np.isnan(fit.beta[:2]).all()
    assert "linearly dependent" in fit.message(0)
    assert fit.message(1) == "no study takes part"
    assert len({status.message for status in FitStatus}) == 8  # one sentence for each outcome


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"events": [3.5], "n": [4]}, "replicate 0, study 0: expected a whole number"),
        ({"events": [1, 5], "n": [9, 4]}, "replicate 0, study 1: expected events <= n"),
        ({"events": [-1], "n": [4]}, "events >= 0"),
        ({"events": [np.nan], "n": [4]}, "finite"),
        ({"events": [1, 2], "n": [4]}, "2 studies, n has 1"),
        ({"events": [1, 2], "n": [4, 4.5]}, "a whole number n"),
        ({"events": [1, 2], "n": [4, 4], "design": np.ones((2, 2))}, "linearly dependent"),
        ({"events": [1, 2], "n": [4, 4], "design": np.ones((3, 1))}, "design must have shape"),
        ({"events": [1, 2], "n": [4, 4], "design": np.ones((2, 0))}, "design must have shape"),
        ({"events": [1, 2], "n": [4, 4], "mask": [[0.5, 1.0]]}, "booleans or whole numbers"),
        ({"events": [1, 2], "n": [4, 4], "mask": [[-1, 1]]}, "whole numbers >= 0"),
        ({"events": [1, 2], "n": [4, 4], "mask": [True]}, "mask must have shape"),
        ({"events": [1, 2], "n": [4, 4], "mask": np.ones((1, 2, 2), bool)}, "mask must have shape"),
        ({"events": [1, 2], "n": [4, 4], "offset": [np.inf, 0]}, "offset must be finite"),
        ({"events": [1, 2], "n": [4, 4], "offset": [1, 0, 0]}, "offset must be finite with 2"),
        ({"events": [1, 2], "n": [4, 4], "offset": np.zeros((1, 2, 1))}, "offset must have shape"),
        ({"events": np.ones((1, 2, 2)), "n": [4, 4]}, "events must have shape"),
        ({"events": [], "n": []}, "with k >= 1"),
        (
            {"events": [1, 2], "n": [4, 4], "design": np.ones((1, 1, 2, 1))},
            "design must have shape",
        ),
        ({"events": [1, 2], "n": [4, 4], "design": [[1.0], [np.nan]]}, "design contains a value"),
        ({"events": [[1, 2]] * 3, "n": [[4, 4]] * 2}, "replicates"),
        ({"events": [1], "n": [0], "family": "poisson"}, "person-time > 0"),
        ({"events": [1, 2], "n": [4, 4], "design": np.eye(2)[:, [0, 1, 1]]}, "3 coefficients"),
    ],
)
def test_impossible_input_is_refused_with_its_place(arguments: dict, message: str) -> None:
    with pytest.raises(MetaAnalysisError, match=message):
        fit_glmm(**arguments)


def test_unknown_options_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="family"):
        fit_glmm([1], [2], family="gamma")  # type: ignore[arg-type]
    for points in (0, 101):
        with pytest.raises(UnsupportedError, match="quad_points"):
            fit_glmm([1], [2], quad_points=points)


def test_batches_need_bounded_memory() -> None:
    """20,000 masks over 52 studies: the work space stays far below one array per node."""
    rng = np.random.default_rng(1)
    n = rng.integers(20, 400, 52)
    x = rng.binomial(n, 0.1)
    mask = rng.random((3000, 52)) < 0.5
    fit_glmm(x, n, mask=mask[:10])
    tracemalloc.start()
    fit = fit_glmm(x, n, mask=mask)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert fit.converged.mean() > 0.99
    assert peak < 60e6


def test_a_study_without_time_and_without_events_is_no_error() -> None:
    both = fit_glmm([3, 5, 0], [30.0, 40.0, 0.0], family="poisson")
    alone = fit_glmm([3, 5], [30.0, 40.0], family="poisson")
    assert both.converged[0]
    np.testing.assert_allclose(both.beta, alone.beta, rtol=1e-9)


def test_an_error_names_the_replicate_where_there_are_several() -> None:
    x, n = np.array([[3, 8, 6], [0, 0, 0]]), np.array([[40, 60, 50]] * 2)
    with pytest.raises(ConvergenceError, match=r"^GLMM, replicate 1: "):
        fit_glmm(x, n).raise_for_status()
    with pytest.raises(ConvergenceError, match=r"^GLMM, (?!replicate)"):
        fit_glmm(x[1], n[1]).raise_for_status()


@pytest.mark.parametrize(("kind", "n"), [("proportion", [300.0, 40.0]), ("rate", [81.5, 12.0])])
def test_the_likelihood_of_a_sum_falls_by_half_the_quantile_at_its_limits(
    kind: str, n: list[float]
) -> None:
    x, size = np.array([14.0, 3.0]), np.array(n)
    low, high = count_limits(x, size, kind, np.array(["profile"] * 2), 0.9)

    def height(at: np.ndarray) -> np.ndarray:
        if kind == "rate":
            return stats.poisson.logpmf(x, size * np.exp(at))
        return stats.binom.logpmf(x, size, special.expit(at))

    top = height(np.log(x / size) if kind == "rate" else special.logit(x / size))
    for limit in (low, high):
        fall = 2.0 * (top - height(limit))
        np.testing.assert_allclose(fall, stats.chi2.ppf(0.9, 1), rtol=1e-9)
    wald = count_limits(x, size, kind, np.array(["wald", "profile"]), 0.9)
    assert wald[1][0] != pytest.approx(high[0], rel=1e-3)
    assert wald[1][1] == pytest.approx(high[1], rel=1e-12)

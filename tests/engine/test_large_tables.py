"""Large tables: the same numbers as by the definition, in bounded memory."""

from __future__ import annotations

import platform
import subprocess
import sys
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from quadratic_forms import quadratic_sf

from helpers import pool, pool_multilevel
from helpers.checks.bias import begg
from helpers.checks.bias.rank import kendall_score
from helpers.engine.aftercare.all_subsets import choose_subsets
from helpers.engine.aftercare.deletion import cumulative, leave_one_out
from helpers.engine.aftercare.diagnostics import baujat, influence
from helpers.engine.counts import kernel
from helpers.engine.counts.fit import fit_glmm
from helpers.engine.counts.nearby import fit_nearby, values_without_random_effect
from helpers.engine.counts.shared import FirstOnes, WithoutEach
from helpers.engine.counts.studies import prepare
from helpers.engine.model import counts as fast
from helpers.engine.normal.nested import prepare_nested, solve_nested
from helpers.engine.normal.prediction import bootstrap_prediction
from helpers.engine.normal.tau2_intervals import generalised_q_limits
from helpers.engine.normal.weighted import prepare as prepare_effects
from helpers.engine.quadratic import generalised_q_sf
from helpers.errors import UnsupportedError
from helpers.models.result import PoolResult

MB = 2**20


def peak(call: Callable[[], object]) -> float:
    """Megabytes that a call holds at most, beyond what is held before."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1] / MB
    finally:
        tracemalloc.stop()


def test_a_batch_gets_the_memory_of_the_one_before() -> None:
    """A page fault for every 4 kB of every temporary array takes as long as the computation."""
    code = (
        "import resource, numpy as np\n"
        "import helpers.engine.counts.batch\n"
        "def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "[np.ones(300_000) for _ in range(3)]; before = faults()\n"
        "for _ in range(100): a = np.ones(300_000); b = a + a; del a, b\n"
        "print(faults() - before)"
    )
    if platform.libc_ver()[0] == "glibc":  # others keep what they want
        plain = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert int(plain.stdout) < 5_000  # of 117,000 without


def test_limits_of_no_table_are_none() -> None:
    none = prepare_effects(np.ones((2, 3)), np.ones((2, 3))).rows(slice(0, 0))
    assert [limit.tolist() for limit in generalised_q_limits(none, 0.95)] == [[], []]


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_kendalls_score_counts_every_pair(levels: int) -> None:
    rng = np.random.default_rng(levels)
    for k in (2, 3, 17, 64, 65, 200):
        a, b = rng.integers(0, levels, k) / 7.0, rng.integers(0, levels, k) * 3.0
        pairs = [(i, j) for i in range(k) for j in range(i)]
        expected = sum(np.sign(a[i] - a[j]) * np.sign(b[i] - b[j]) for i, j in pairs)
        score, _, _, ties = kendall_score(a, b)
        assert score == expected
        assert ties == (len(set(a)) < k or len(set(b)) < k)


def test_begg_of_ten_thousand_studies_needs_no_table_of_pairs() -> None:
    rng = np.random.default_rng(3)
    yi, vi = rng.normal(size=10_000), rng.uniform(0.01, 1.0, 10_000)
    assert peak(lambda: begg(yi, vi)) < 20.0


@pytest.mark.parametrize("power", [-1.0, -0.5, 0.0])
@pytest.mark.parametrize("spread", [0.0, 0.3, 3.0])
def test_generalised_q_needs_no_eigenvalues(power: float, spread: float) -> None:
    rng = np.random.default_rng(5)
    for k in (2, 3, 9, 40):
        v = np.exp(spread * rng.normal(size=k))
        a, tau2 = v**power, np.array([0.0, 0.01, 1.0, 30.0])
        root = np.sqrt(v + tau2[:, None])
        matrix = np.diag(a) - np.outer(a, a) / a.sum()
        lambdas = np.linalg.eigvalsh(root[:, :, None] * matrix * root[:, None, :])[:, 1:]
        for share in (0.05, 0.7, 1.3, 3.0):
            q = share * lambdas.sum(axis=1)
            expected = quadratic_sf(lambdas, q)
            assert generalised_q_sf(v, a, tau2, q) == pytest.approx(expected, rel=1e-8, abs=2e-12)


def test_intervals_of_two_thousand_studies_hold_no_square_matrix() -> None:
    rng = np.random.default_rng(7)
    vi = rng.uniform(0.02, 0.5, 2000)
    yi = rng.normal(0.0, np.sqrt(vi + 0.1))
    assert peak(lambda: generalised_q_limits(prepare_effects(yi, vi), 0.95)) < 20.0
    assert peak(lambda: bootstrap_prediction(yi, vi, 0.95)) < 20.0


def counts(k: int, tau: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Events and sizes of a binomial-normal model."""
    rng = np.random.default_rng(seed)
    n = rng.integers(20, 300, k)
    return rng.binomial(n, 1.0 / (1.0 + np.exp(2.6 - tau * rng.standard_normal(k)))), n


@pytest.mark.parametrize("family", ["binomial", "poisson"])
@pytest.mark.parametrize("tau", [0.0, 0.6, 1.2])
def test_fits_without_each_study_are_those_of_the_others(family: str, tau: float) -> None:
    x, n = counts(150, tau)
    studies = prepare(family, x[None], n[None])
    gone = fit_nearby(WithoutEach(studies), fit_glmm(x, n, family=family))
    assert gone.done.all()
    for i in (0, int(np.argmax(x / n)), int(np.argmax(n)), 149):
        keep = np.arange(150) != i
        again = fit_glmm(x[keep], n[keep], family=family)
        assert gone.mu[i] == pytest.approx(again.beta[0, 0], abs=1e-11)
        assert gone.tau2[i] == pytest.approx(again.tau2[0], abs=1e-11)
        assert gone.se[i] == pytest.approx(again.se[0, 0], abs=1e-11)
        assert gone.loglik[i] == pytest.approx(again.loglik[0], rel=1e-12)


def test_a_variance_below_the_grid_is_found_where_the_profile_rises_at_zero() -> None:
    """Leaving out one of these 110 studies leaves a variance of less than 0.001, or none."""
    rng = np.random.default_rng(226)
    n = rng.integers(30, 60, 110)
    x = rng.binomial(n, 0.2)
    gone = fit_nearby(WithoutEach(prepare("binomial", x[None], n[None])), fit_glmm(x, n))
    rate = (x.sum() - x) / (n.sum() - n)
    excess = (x - n * rate[:, None]) ** 2 - n * (rate * (1.0 - rate))[:, None]
    np.fill_diagonal(excess, 0.0)  # one study is left out in each row
    rises = excess.sum(axis=1) > 0.0  # twice the score of the variance at zero
    assert 40 < rises.sum() < 70
    assert (gone.tau2 > 0.0).tolist() == rises.tolist()
    least = int(np.argmin(np.where(rises, gone.tau2, 1.0)))
    keep = np.arange(110) != least
    assert gone.tau2[least] == pytest.approx(fit_glmm(x[keep], n[keep]).tau2[0], abs=1e-11)


@pytest.mark.parametrize("family", ["binomial", "poisson"])
@pytest.mark.parametrize("tau", [0.0, 0.6, 1.2])
def test_fits_to_the_first_studies_are_those_of_no_others(family: str, tau: float) -> None:
    x, n = counts(150, tau)
    some = fit_nearby(
        FirstOnes(prepare(family, x[None], n[None]), 120), fit_glmm(x, n, family=family)
    )
    assert some.done.all()
    for step, m in ((0, 120), (1, 121), (17, 137), (30, 150)):
        again = fit_glmm(x[:m], n[:m], family=family)
        assert some.mu[step] == pytest.approx(again.beta[0, 0], abs=1e-10)
        assert some.tau2[step] == pytest.approx(again.tau2[0], abs=1e-10)
        assert some.se[step] == pytest.approx(again.se[0, 0], abs=1e-10)
        assert some.loglik[step] == pytest.approx(again.loglik[0], rel=1e-12)


@pytest.mark.parametrize("how", ["glmm", "common"])
@pytest.mark.parametrize("order", ["given", "by size", "by proportion"])
def test_the_quick_cumulative_table_is_the_batch_of_all_fits(
    how: str, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, n = counts(180, 0.5)
    x[:3] = 0  # no estimate before an event
    by = {"given": None, "by size": n, "by proportion": x / n}[order]
    fit = pool(events=x, n=n, model=how, **({"method": "likelihood"} if how == "common" else {}))
    quick = cumulative(fit, by)
    monkeypatch.setattr("helpers.engine.model.core.ONE_BY_ONE", 1000)
    slow = cumulative(fit, by)
    for name in quick.columns:
        if quick[name].dtype == float:
            a, b = quick[name].to_numpy(), slow[name].to_numpy()
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg=name)
        else:
            assert (quick[name] == slow[name]).all(), name


def test_a_cumulative_table_of_counts_takes_steps_not_squares(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Studies that are evaluated, counted: doubling the studies may not make them four times."""
    seen: list[int] = []
    plain = kernel.study_terms

    def counting(s: object, eta: np.ndarray, *rest: object) -> object:
        seen.append(eta.size)
        return plain(s, eta, *rest)

    monkeypatch.setattr("helpers.engine.counts.variation.study_terms", counting)
    work = []
    for k in (500, 1000):
        x, n = counts(k, 0.5)
        fit = pool(events=x, n=n, model="glmm", ci_method="wald")
        seen.clear()
        assert cumulative(fit)["converged"].all()
        work.append(sum(seen))
    assert work[1] < 3.0 * work[0]


def test_one_rate_without_each_study_is_that_of_the_summed_counts() -> None:
    x, n = counts(12, 0.8)
    found = values_without_random_effect(WithoutEach(prepare("binomial", x[None], n[None])))
    for i in range(12):
        a, m = np.delete(x, i), np.delete(n, i)
        p, own = a.sum() / m.sum(), a / m
        terms = a * np.log(p) + (m - a) * np.log1p(-p)
        terms -= np.where(a > 0, a * np.log(np.where(a > 0, own, 1.0)), 0.0)
        terms -= np.where(a < m, (m - a) * np.log1p(-np.where(a < m, own, 0.0)), 0.0)
        assert found[i] == pytest.approx(terms.sum(), rel=1e-12)


@pytest.mark.parametrize("how", ["glmm", "common"])
def test_the_quick_leave_one_out_is_the_batch_of_all_fits(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, n = counts(130, 0.5)
    method = {"method": "likelihood"} if how == "common" else {}
    fit = pool(events=x, n=n, model=how, ci_method="wald", **method)
    tables = [leave_one_out(fit), baujat(fit), influence(fit).frame()]
    monkeypatch.setattr("helpers.engine.model.core.ONE_BY_ONE", 1000)
    others = [leave_one_out(fit), baujat(fit), influence(fit).frame()]
    for quick, slow in zip(tables, others, strict=True):
        for name in quick.columns:
            if quick[name].dtype == float:
                error = np.abs(quick[name] - slow[name]) / np.maximum(1.0, np.abs(slow[name]))
                assert error.max() < 1e-9, name
            else:
                assert (quick[name] == slow[name]).all(), name


def test_fits_that_the_quick_way_leaves_are_made_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, n = counts(110, 0.5)
    fit = pool(events=x, n=n, model="glmm", ci_method="t")
    expected = leave_one_out(fit)

    def some(*given: object) -> object:
        found = fit_nearby(*given)
        found.done[::10] = False
        found.mu[::10] = np.nan
        return found

    monkeypatch.setattr(fast, "fit_nearby", some)
    left = leave_one_out(fit)
    assert left["converged"].all()
    for name in ("mu", "se", "tau2", "ci_lower", "ci_upper"):
        assert left[name].to_numpy() == pytest.approx(expected[name].to_numpy(), abs=1e-10)


@pytest.mark.parametrize("call", [leave_one_out, influence, baujat])
def test_leaving_out_each_of_three_thousand_studies_holds_no_square(
    call: Callable[[PoolResult], object],
) -> None:
    x, n = counts(3000, 0.5)
    fit = pool(events=x, n=n, model="glmm", ci_method="wald")
    assert peak(lambda: call(fit)) < 60.0  # a square of numbers would hold 72


def test_selections_are_made_when_asked_for() -> None:
    x, n = counts(3000, 0.5)
    fit = pool(events=x, n=n, model="common")
    assert peak(lambda: cumulative(fit)) < 60.0


def test_a_sample_of_subsets_is_drawn_in_parts() -> None:
    held = peak(lambda: choose_subsets(2000, 20_000, 2, 1))
    assert held < 100.0  # the subsets are 38 MB; all the numbers behind them at once are 305
    every = np.random.default_rng(3).random((9000, 300)) < 0.5
    assert np.array_equal(choose_subsets(300, 9000, 2, 3)[0], every)


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("variances", [(0.0, 0.0), (0.4, 0.0), (0.3, 1.1)])
def test_sums_within_clusters_are_the_three_level_model(
    restricted: bool, variances: tuple[float, float]
) -> None:
    rng = np.random.default_rng(11)
    k, codes = 14, rng.integers(0, 5, 14)
    y, v = rng.normal(size=k), rng.uniform(0.05, 2.0, k)
    x = np.linalg.qr(np.column_stack([np.ones(k), rng.normal(size=k)]))[0]
    at = np.array(variances)
    found = solve_nested(prepare_nested(y, v, x, codes), at, restricted=restricted)
    # by the definition, with k by k matrices
    same = (codes[:, None] == codes).astype(float)
    sigma = at[0] * same + np.diag(v + at[1])
    inverse = np.linalg.inv(sigma)
    cov = np.linalg.inv(x.T @ inverse @ x)
    projection = inverse - inverse @ x @ cov @ x.T @ inverse
    py = projection @ y
    value = -0.5 * (np.linalg.slogdet(sigma)[1] + y @ py)
    value += 0.5 * np.linalg.slogdet(cov)[1] if restricted else 0.0
    assert found.value == pytest.approx(value, rel=1e-12)
    assert found.cov == pytest.approx(cov, rel=1e-11, abs=1e-13)
    assert found.beta == pytest.approx(cov @ x.T @ inverse @ y, rel=1e-11)
    trace_of = projection if restricted else inverse
    for i, first in enumerate((same, np.eye(k))):
        slope = 0.5 * (py @ first @ py - np.trace(trace_of @ first))
        assert found.gradient[i] == pytest.approx(slope, rel=1e-10)
        for j, second in enumerate((same, np.eye(k))):
            expected = 0.5 * np.trace(trace_of @ first @ trace_of @ second)
            bend = expected - py @ first @ projection @ second @ py
            assert found.expected[i, j] == pytest.approx(expected, rel=1e-10)
            assert found.hessian[i, j] == pytest.approx(bend, rel=1e-10)


def test_a_three_level_model_of_two_thousand_cohorts_holds_no_square_matrix() -> None:
    rng = np.random.default_rng(13)
    vi, cluster = rng.uniform(0.02, 0.5, 2000), rng.integers(0, 600, 2000)
    yi = rng.normal(0.0, np.sqrt(vi + 0.1)) + rng.normal(0.0, 0.3, 600)[cluster]
    arguments = {"yi": yi, "vi": vi, "cluster": cluster.tolist()}
    pool_multilevel(**arguments)  # what it imports is not counted
    assert peak(lambda: pool_multilevel(**arguments)) < 25.0


def test_a_fit_of_many_studies_goes_through_them_in_parts() -> None:
    x, n = counts(30_000, 0.5)
    whole = fit_glmm(x, n)
    assert peak(lambda: fit_glmm(x, n)) < 90.0  # nodes of all studies at once hold over 400
    # the same studies thirty times are one set of studies that counts thirty times
    few = fit_glmm(np.tile(x[:1000], 30), np.tile(n[:1000], 30))
    once = fit_glmm(x[:1000], n[:1000])
    assert few.beta[0, 0] == pytest.approx(once.beta[0, 0], abs=1e-11)
    assert few.tau2[0] == pytest.approx(once.tau2[0], abs=1e-11)
    assert few.loglik[0] == pytest.approx(30.0 * once.loglik[0], rel=1e-12)
    assert whole.converged[0]
    assert whole.certified[0]


def test_what_would_take_hours_is_said_before_it_starts() -> None:
    x, n = counts(70_000, 0.5)
    fit = pool(events=x, n=n, model="random", tau2_method="DL", ci_method="wald")
    with pytest.raises(UnsupportedError, match=r"70,000 fits.*63,245 studies"):
        cumulative(fit)

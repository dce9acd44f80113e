"""GOSH: subsets against fits of their own, the batch against the engine, clouds."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from reference_values import counts
from scipy import optimize, special, stats

from helpers.engine.aftercare import gosh
from helpers.engine.aftercare.all_subsets import MAX_ALL, choose_subsets, number_of_subsets
from helpers.engine.aftercare.mixture import fit_mixtures
from helpers.engine.normal.likelihood import log_likelihood
from helpers.engine.normal.tau2 import estimate_tau2
from helpers.engine.normal.weighted import moments, prepare
from helpers.errors import ConvergenceError, MetaAnalysisError, UnsupportedError
from helpers.models.pooling import pool, pool_effects
from helpers.models.result import PoolResult

MODELS: dict[str, dict[str, Any]] = {
    "REML": {"ci_method": "wald"},
    "ML": {"tau2_method": "ML", "ci_method": "wald"},
    "DL": {"tau2_method": "DL", "ci_method": "wald"},
    "PM": {"tau2_method": "PM", "ci_method": "wald"},
    "common": {"model": "common"},
    "common rate": {"model": "common", "method": "likelihood"},
    "GLMM": {"model": "glmm"},
}


def drop(keep: np.ndarray, **options: Any) -> PoolResult:
    x, n = counts()
    return pool(events=x[keep], n=n[keep], **options)


@pytest.mark.parametrize("name", ["REML", "ML", "DL", "PM", "common", "common rate", "GLMM"])
def test_every_subset_equals_a_fit_of_its_own(name: str) -> None:
    fit = drop(np.arange(6), **MODELS[name])
    result = gosh(fit)
    seen = set()
    for size in range(2, 7):
        for subset in combinations(range(6), size):
            member = np.isin(np.arange(6), subset)
            at = np.flatnonzero((result.member == member).all(axis=1))
            assert len(at) == 1
            seen.add(int(at[0]))
            own = drop(np.array(subset), **MODELS[name])
            assert result.mu[at[0]] == pytest.approx(own.mu, rel=1e-10)
            assert result.tau2[at[0]] == pytest.approx(own.tau2, rel=1e-8, abs=1e-13)
            assert result.I2[at[0]] == pytest.approx(own.heterogeneity.I2, rel=1e-8, abs=1e-9)
            assert result.estimate[at[0]] == pytest.approx(own.estimate, rel=1e-10)
    assert len(seen) == len(result) == 57


def test_replicates_do_not_depend_on_chunks_or_company(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {name: gosh(drop(np.arange(8), **MODELS[name])) for name in ("REML", "GLMM")}
    monkeypatch.setattr("helpers.engine.model.core._CELLS", 100)
    seen = []
    for name, before in whole.items():
        after = gosh(
            drop(np.arange(8), **MODELS[name]),
            progress=lambda done, all_: seen.append((done, all_)),
        )
        assert after.mu == pytest.approx(before.mu, rel=1e-9)
        assert after.tau2 == pytest.approx(before.tau2, rel=1e-7, abs=1e-12)
    assert seen[-1] == (247, 247)
    assert len(seen) == 2 * -(-247 // (100 // 8))


def test_global_maximum_in_batches_equals_the_engine_on_rugged_likelihoods() -> None:
    # Precise studies in groups far apart give likelihoods with several maxima.
    rng = np.random.default_rng(11)
    rugged = 0
    for restricted in (True, False):
        for _ in range(40):
            k = int(rng.integers(3, 9))
            vi = 10.0 ** rng.uniform(-3, 2, k)
            yi = rng.normal(0, 1, (50, k)) * np.sqrt(vi) * rng.choice([0.2, 1.0, 3.0], (50, 1))
            batch = prepare(yi, np.tile(vi, (50, 1)))
            method = "REML" if restricted else "ML"
            best = estimate_tau2(prepare(yi, vi[None]), method)  # one scan for all
            ours, converged = best.tau2, best.converged
            engine = estimate_tau2(batch, method)
            assert converged.all()
            assert engine.scan is not None
            rugged += int((engine.scan.maxima > 1).sum())
            heights = [
                log_likelihood(batch, moments(batch, t), restricted=restricted)
                for t in (ours, engine.tau2)
            ]
            # never a lower maximum than the engine's, and the same tau2 unless two are level
            assert (heights[0] >= heights[1] - 1e-10).all()
            level = engine.scan.gap < 1e-9
            assert ours[~level] == pytest.approx(engine.tau2[~level], rel=1e-7, abs=1e-9 * vi.min())
    assert rugged > 100


def test_subsets_are_all_listed_or_drawn_evenly() -> None:
    member, sampled = choose_subsets(5, "all", 3, seed=1)
    assert not sampled
    assert len(member) == number_of_subsets(5, 3) == 16
    assert len({tuple(row) for row in member}) == 16
    few, sampled = choose_subsets(22, "all", 20, seed=1)  # more studies, few subsets
    assert not sampled
    assert len(few) == number_of_subsets(22, 20) == len({tuple(row) for row in few})
    assert (few.sum(axis=1) >= 20).all()
    part, sampled = choose_subsets(5, 7, 2, seed=1)
    assert sampled
    assert len({tuple(row) for row in part}) == 7
    many, sampled = choose_subsets(30, 20_000, 2, seed=1)
    assert sampled
    # each study in half of the subsets, within five standard errors
    assert np.abs(many.mean(axis=0) - 0.5).max() < 5 * 0.5 / np.sqrt(20_000)
    assert np.array_equal(many, choose_subsets(30, 20_000, 2, seed=1)[0])
    for bad in ((3, "some", 2), (3, 0, 2), (3, "all", 1), (3, "all", 4)):
        with pytest.raises(UnsupportedError):
            choose_subsets(*bad, seed=1)  # type: ignore[arg-type]


def test_sampled_subsets_agree_with_all_of_them() -> None:
    fit = drop(np.arange(12))
    every, some = gosh(fit), gosh(fit, 1500, seed=3)
    assert some.sampled
    assert some.total == len(every) == number_of_subsets(12)
    a, b = every.summary_frame(), some.summary_frame()
    assert a["estimate_with"].to_numpy() == pytest.approx(b["estimate_with"].to_numpy(), rel=0.03)


def test_a_study_apart_makes_two_clouds() -> None:
    n = [200] * 9
    x = [20, 19, 21, 18, 22, 20, 19, 21, 120]
    result = gosh(pool(events=x, n=n, model="common"))
    table = result.summary_frame()
    assert table["separation"].abs().idxmax() == "Study 9"
    assert table["difference"].idxmax() == "Study 9"
    clouds = result.clouds()
    assert len(clouds) > 1
    assert clouds["Study 9"].iloc[0] < 0.01
    assert clouds["Study 9"].iloc[-1] > 0.99
    others = table["separation"].drop("Study 9").abs()
    assert others.max() < 0.3 * table["separation"]["Study 9"]


def test_gosh_summary_by_hand() -> None:
    result = gosh(drop(np.arange(5), ci_method="wald"))
    table = result.summary_frame()
    for i, label in enumerate(result.labels):
        inside = result.member[:, i]
        assert table.loc[label, "subsets"] == inside.sum()
        assert table.loc[label, "estimate_with"] == pytest.approx(result.estimate[inside].mean())
        assert table.loc[label, "I2_without"] == pytest.approx(result.I2[~inside].mean())
        ours = result.mu[inside], result.mu[~inside]
        pooled = np.sqrt(sum(((m - m.mean()) ** 2).sum() for m in ours) / len(result))
        assert table.loc[label, "separation"] == pytest.approx(
            (ours[0].mean() - ours[1].mean()) / pooled
        )
    assert result.to_dict()["subsets"] == len(result.frame()) == 26


def test_mixtures_of_normals() -> None:
    rng = np.random.default_rng(4)
    one = fit_mixtures(rng.normal(2.0, 3.0, 4000))
    assert min(one, key=lambda m: m.bic) is one[0]
    assert one[0].means[0] == pytest.approx(2.0, abs=0.2)
    assert one[0].sds[0] == pytest.approx(3.0, rel=0.05)
    values = np.concatenate([rng.normal(-2, 1, 1000), rng.normal(4, 0.5, 3000)])
    two = fit_mixtures(values)[1]
    assert two.weights == pytest.approx([0.25, 0.75], abs=0.01)
    assert two.means == pytest.approx([-2, 4], abs=0.1)
    exact = stats.norm.logpdf(values[:, None], two.means, two.sds) + np.log(two.weights)
    total = float(np.logaddexp.reduce(exact, axis=1).sum())
    assert two.loglik == pytest.approx(total, rel=1e-4)  # binned
    assert two.bic == pytest.approx(5 * np.log(4000) - 2 * total, rel=1e-4)
    share = two.weights * stats.norm.pdf(1.7, two.means, two.sds)
    assert two.membership([1.7])[0] == pytest.approx(share / share.sum(), rel=1e-9)
    assert two.membership([-2.0, 4.0]) == pytest.approx(np.eye(2), abs=1e-3)
    with pytest.raises(MetaAnalysisError, match="two different"):
        fit_mixtures([1.0, 1.0])


@pytest.mark.parametrize("unit", [0.001, 1.0, 1000.0])
def test_a_mixture_is_at_its_maximum_in_any_unit(unit: float) -> None:
    """In small units densities are large and the log-likelihood is positive."""
    rng = np.random.default_rng(4)
    values = np.concatenate([rng.normal(-1, 1, 300), rng.normal(1.5, 0.5, 700)]) * unit
    two = fit_mixtures(values)[1]
    assert two.converged

    def minus(theta: np.ndarray) -> float:
        weights = [special.expit(theta[0]), special.expit(-theta[0])]
        each = stats.norm.logpdf(values[:, None], theta[1:3] * unit, np.exp(theta[3:]) * unit)
        return -float(np.logaddexp.reduce(each + np.log(weights), axis=1).sum())

    start = [0.0, -1.0, 1.5, 0.0, -0.5]
    options = {"maxiter": 4000, "maxfev": 4000, "xatol": 1e-6, "fatol": 1e-8}
    best = optimize.minimize(minus, start, method="Nelder-Mead", options=options)
    ours = [
        np.log(two.weights[0] / two.weights[1]), *(two.means / unit), *np.log(two.sds / unit)
    ]  # fmt: skip
    assert minus(np.array(ours)) == pytest.approx(best.fun, abs=0.05)  # binned
    assert ours == pytest.approx(best.x, abs=0.05)


def test_a_mixture_of_equal_estimates_is_refused() -> None:
    result = gosh(pool_effects([1.0, 1.0, 1.0], [0.1, 0.1, 0.1], ci_method="wald"))
    with pytest.raises((MetaAnalysisError, ConvergenceError)):
        result.clouds()


def test_as_many_subsets_as_are_ever_listed_are_listed_once_each() -> None:
    member, sampled = choose_subsets(21, "all", 11, seed=1)
    assert not sampled
    assert len(member) == MAX_ALL
    assert member.sum(axis=1).min() == 11
    codes = member @ (1 << np.arange(21))
    assert len(np.unique(codes)) == MAX_ALL
    assert choose_subsets(21, "all", 10, seed=1)[1]


def test_a_mixture_begins_with_equal_shares_of_the_sorted_values() -> None:
    """The same steps on every value, one by one, from the start that the docstring names."""
    values = np.repeat(
        [0.0, 1.0, 2.0, 7.0, 9.0, 20.0], [3, 28, 26, 2, 22, 9]
    )  # the middle lies within one
    two = fit_mixtures(values, most=2)[1]
    first = {v: (np.flatnonzero(values == v) + 0.5).mean() / len(values) < 0.5 for v in {*values}}
    share = np.array([[0.99, 0.01] if first[v] else [0.01, 0.99] for v in values])
    before = -np.inf
    for _ in range(2000):
        weights = share.mean(axis=0)
        means = (share * values[:, None]).sum(axis=0) / share.sum(axis=0)
        spread = (share * (values[:, None] - means) ** 2).sum(axis=0) / share.sum(axis=0)
        density = weights * stats.norm.pdf(values[:, None], means, np.sqrt(spread))
        share = density / density.sum(axis=1, keepdims=True)
        loglik = np.log(density.sum(axis=1)).sum()
        if loglik - before < 1e-7 * len(values):
            break
        before = loglik
    assert two.means == pytest.approx(means, rel=1e-9)
    assert two.weights == pytest.approx(weights, rel=1e-9)
    assert two.sds == pytest.approx(np.sqrt(spread), rel=1e-9)


def test_a_mixture_of_values_that_are_no_numbers_is_refused() -> None:
    for bad in (np.nan, np.inf):
        with pytest.raises(MetaAnalysisError, match="at least two different finite values"):
            fit_mixtures([1.0, bad, 2.0])


@pytest.mark.parametrize("subsets", [["all"], True, 0, 2.5, "some"])
def test_subsets_that_are_no_number_are_refused(subsets: Any) -> None:
    with pytest.raises(UnsupportedError, match="expected 'all' or a whole number above 0"):
        choose_subsets(5, subsets, 2, 1)


def test_subsets_without_any_fit_are_shown_with_a_dash() -> None:
    found = gosh(pool_effects([0.1, 0.2, 0.3], [0.1, 0.1, 0.1]))
    assert repr(found).splitlines()[3:] == [
        "  estimates         0.15 to 0.25",
        "  without estimate  0",
    ]
    none = replace(found, converged=np.zeros(len(found), dtype=bool))
    assert repr(none).splitlines()[3:] == ["  estimates         –", "  without estimate  4"]

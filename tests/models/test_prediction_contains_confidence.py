"""The true effect of a new study is never better known than the mean of all studies.

Whatever the model, the estimator of tau2 and the interval method: where a prediction interval and
a confidence interval are defined, the first contains the second at the same level.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import strategies as st
from nightly import examples
from scipy.stats import norm, t

from helpers import meta_regression, multiverse, pool, pool_multilevel, subgroups
from helpers.engine.normal.prediction import PREDICTION_METHODS
from helpers.engine.options import MU_METHODS, TAU2_METHODS
from helpers.errors import MetaAnalysisError
from helpers.models.beta_binomial import pool_beta_binomial
from helpers.models.result import PoolResult

X, N = [14, 3, 12, 19, 23], [156, 91, 105, 204, 192]
SLACK = 1e-12


def holds(outer: Any, inner: Any) -> bool:
    return bool(outer[0] <= inner[0] + SLACK and inner[1] <= outer[1] + SLACK)


def logits() -> tuple[np.ndarray, np.ndarray]:
    x, n = np.array(X, dtype=float), np.array(N, dtype=float)
    return np.log(x / (n - x)), 1 / x + 1 / (n - x)


def test_the_table_of_the_issue() -> None:
    """REML gives tau2 = 0 here; both intervals then rest on one standard error (max1)."""
    fit = pool(events=X, n=N, model="random", ci_method="knapp-hartung-max1")
    y, v = logits()
    w = 1 / v
    mu = np.average(y, weights=w)
    factor = max(1.0, float((w * (y - mu) ** 2).sum() / 4))
    se = (factor / w.sum()) ** 0.5
    assert fit.tau2 == 0.0
    assert fit.ci == pytest.approx(1 / (1 + np.exp(-mu - t.ppf([0.025, 0.975], 4) * se)))
    new = fit.prediction_interval()
    assert new == pytest.approx(1 / (1 + np.exp(-mu - t.ppf([0.025, 0.975], 3) * se)))
    assert holds(new, fit.ci)


@pytest.mark.parametrize("tau2_method", TAU2_METHODS)
@pytest.mark.parametrize("ci_method", ["wald", "t", "knapp-hartung", "knapp-hartung-wider"])
def test_the_standard_error_is_the_one_behind_the_confidence_interval(
    tau2_method: str, ci_method: str
) -> None:
    x, n = [3, 8, 16, 9, 1], [40, 60, 50, 70, 55]
    fit = pool(events=x, n=n, model="random", tau2_method=tau2_method, ci_method=ci_method)
    a, b = np.array(x, dtype=float), np.array(n, dtype=float)
    y, v = np.log(a / (b - a)), 1 / a + 1 / (b - a)
    w = 1 / (v + fit.tau2)
    mu, plain = np.average(y, weights=w), w.sum() ** -0.5
    scaled = plain * ((w * (y - mu) ** 2).sum() / 4) ** 0.5
    se = {"wald": plain, "t": plain, "knapp-hartung": scaled}.get(
        ci_method, plain if 1.96 * plain > t.ppf(0.975, 4) * scaled else scaled
    )
    half = t.ppf(0.975, 3) * (fit.tau2 + se**2) ** 0.5
    new = fit.prediction_interval(scale="model")
    assert new == pytest.approx((mu - half, mu + half), rel=1e-9)


def test_a_profile_interval_hands_each_side_its_own_standard_error() -> None:
    x, n = [3, 8, 16, 9, 1], [40, 60, 50, 70, 55]
    for options in ({"model": "glmm"}, {"model": "random", "tau2_method": "ML"}):
        fit = pool(events=x, n=n, ci_method="profile", **options)
        mean, new = fit.conf_int(scale="model"), fit.prediction_interval(scale="model")
        for limit, confidence in zip(new, mean, strict=True):
            se = abs(confidence - fit.mu) / norm.ppf(0.975)
            half = t.ppf(0.975, 3) * (fit.tau2 + se**2) ** 0.5
            assert abs(limit - fit.mu) == pytest.approx(half, rel=1e-9)


def choices() -> st.SearchStrategy[dict[str, Any]]:
    random = st.fixed_dictionaries(
        {
            "model": st.just("random"),
            "tau2_method": st.sampled_from(TAU2_METHODS),
            "ci_method": st.sampled_from(
                [m for m in MU_METHODS["random"] if m not in ("profile", "henmi-copas")]
            ),
            "measure": st.sampled_from(["logit", "log", "raw", "arcsine"]),
        }
    )
    likely = st.fixed_dictionaries(
        {
            "model": st.just("random"),
            "tau2_method": st.just("ML"),
            "ci_method": st.just("profile"),
        }
    )
    counts = st.fixed_dictionaries(
        {"model": st.just("glmm"), "ci_method": st.sampled_from(MU_METHODS["glmm"])}
    )
    return st.one_of(random, likely, counts)


studies = st.lists(
    st.tuples(st.integers(0, 12), st.integers(13, 120)), min_size=3, max_size=9
).filter(lambda rows: any(x for x, _ in rows))


def pooled(rows: list[tuple[int, int]], options: dict[str, Any]) -> PoolResult:
    try:
        fit = pool(events=[x for x, _ in rows], n=[n for _, n in rows], **options)
        fit.conf_int()
    except MetaAnalysisError:  # no interval to compare: identical effects, an unbounded profile
        assume(False)
    return fit


@examples(150, suppress_health_check=list(HealthCheck))
@given(rows=studies, options=choices(), level=st.sampled_from([0.5, 0.8, 0.95]))
def test_prediction_contains_confidence(
    rows: list[tuple[int, int]], options: dict[str, Any], level: float
) -> None:
    fit = pooled(rows, options)
    try:
        mean = fit.conf_int(scale="model", level=level)
    except MetaAnalysisError:
        assume(False)
    for method in PREDICTION_METHODS[fit.model]:
        try:
            new = fit.prediction_interval(method, scale="model", level=level, draws=500)
        except MetaAnalysisError:  # too few studies, or identical effects for Knapp and Hartung
            assert method != "t-k-2" or fit.k < 3
            continue
        assert holds(new, mean), method
    if fit.k > 2:
        assert holds(fit.prediction_interval(level=level), fit.conf_int(level=level))


@examples(30, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(st.tuples(st.integers(1, 12), st.integers(13, 120)), min_size=8, max_size=12),
    model=st.sampled_from(["random", "glmm"]),
    test=st.sampled_from(["wald", "t", "knapp-hartung", "knapp-hartung-max1", "CR1", "CR2"]),
)
def test_predictions_of_regressions_contain_their_means(
    rows: list[tuple[int, int]], model: str, test: str
) -> None:
    data = pd.DataFrame(rows, columns=["x", "n"]).assign(
        study=[f"S{i}" for i in range(len(rows))],
        year=range(len(rows)),
        place=[i // 2 for i in range(len(rows))],
    )
    options: dict[str, Any] = {"ci_method": test}
    if test.startswith("CR"):
        options = {"cluster": "place", "robust": test}
    if model == "glmm" and (test == "CR2" or test.startswith("knapp")):
        return
    try:
        fit = meta_regression(
            data, "year", events="x", n="n", study="study", model=model, **options
        )
    except MetaAnalysisError as error:  # a perfect fit leaves some tests without a variance
        if "perfectly" not in str(error):
            raise
        return
    methods = [None, "normal", "t-k-p", "t-k-p-1"]
    for method in methods:
        frame = fit.predict(prediction_method=method)
        low, high = frame["mu_prediction_lower"], frame["mu_prediction_upper"]
        assert (low <= frame["mu_lower"] + SLACK).all(), method
        assert (high >= frame["mu_upper"] - SLACK).all(), method


def test_predictions_of_nested_cohorts_contain_their_mean() -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        n = rng.integers(40, 90, 8)
        for robust in (None, "CR2"):
            fit = pool_multilevel(
                events=rng.binomial(n, 0.15), n=n, cluster=list("aabbccdd"), robust=robust
            )
            assert holds(fit.prediction_interval("model"), fit.conf_int("model"))


def test_predictions_of_groups_and_specifications_contain_their_means() -> None:
    for tau2 in ("separate", "common"):
        for model, ci in (("random", "knapp-hartung-max1"), ("glmm", "t"), ("glmm", "profile")):
            result = subgroups(
                events=[*X, 4, 3, 8, 2],
                n=[*N, 50, 41, 99, 30],
                by=list("aaaaabbbb"),
                model=model,
                ci_method=ci,
                group_tau2=tau2,
            )
            for _, fit in result:
                assert holds(fit.prediction_interval(), fit.ci)
    grid = multiverse(
        None,
        {
            "model": ["random"],
            "tau2_method": list(TAU2_METHODS),
            "ci_method": [m for m in MU_METHODS["random"] if m not in ("profile", "henmi-copas")],
        },
        events=X,
        n=N,
    )
    frame = grid.frame()
    assert len(frame) == len(TAU2_METHODS) * 5
    for _, row in frame.iterrows():
        one = pool(
            events=X,
            n=N,
            model="random",
            tau2_method=row["tau2_method"],
            ci_method=row["ci_method"],
        )
        new = (row["prediction_lower"], row["prediction_upper"])
        assert holds(new, (row["ci_lower"], row["ci_upper"]))
        assert new == pytest.approx(one.prediction_interval(), rel=1e-9)


def test_a_profile_specification_predicts_like_pool() -> None:
    frame = multiverse(
        None, {"model": ["glmm"], "ci_method": ["wald", "t", "profile"]}, events=X, n=N
    ).frame()
    for _, row in frame.iterrows():
        one = pool(events=X, n=N, model="glmm", ci_method=row["ci_method"])
        new = (row["prediction_lower"], row["prediction_upper"])
        assert new == pytest.approx(one.prediction_interval(), rel=1e-7)


def test_predictions_of_the_beta_binomial_contain_its_mean() -> None:
    rng = np.random.default_rng(5)
    seen = 0
    for _ in range(40):
        n = rng.integers(20, 150, 6)
        rate = rng.beta(6, 60, 6) if rng.random() < 0.7 else rng.beta(0.3, 3, 6)
        x = rng.binomial(n, rate)
        if x.sum() == 0:
            continue
        fit = pool_beta_binomial(events=x, n=n)
        if fit.rho > 0:
            seen += 1
            for level in (0.5, 0.95):
                mean = fit.mean_conf_int(level=level)
                assert holds(fit.prediction_interval(level), mean)
    assert seen > 15

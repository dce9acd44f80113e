"""What a call says or refuses on the rarer side of each of its conditions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers import (
    meta_regression,
    pool,
    pool_beta_binomial,
    pool_effects,
    pool_multilevel,
    pool_rates,
    rate_sensitivity,
    subgroups,
)
from helpers.errors import MetaAnalysisError
from helpers.models.bayes import posterior, rank_probabilities

DATA = pd.DataFrame(
    {
        "e": [3, 8, 6, 12, 2],
        "n": [40, 60, 50, 90, 45],
        "time": [30.0, 40.0, 55.0, 61.0, 20.0],
        "group": list("aabbb"),
        "cluster": list("uuvvw"),
        "x": [1, 2, 3, 4, 6],
        "y": [0.1, 0.3, 0.2, 0.5, 0.4],
        "v": [0.1, 0.2, 0.1, 0.3, 0.2],
    }
)
COUNTS: dict[str, Any] = {"events": "e", "n": "n"}
EFFECTS: dict[str, Any] = {"yi": "y", "vi": "v"}
RATES: dict[str, Any] = {"events": "e", "time": "time", "measure": "log-rate"}
RANDOM: dict[str, Any] = COUNTS | {"model": "random"}
MANY = pd.concat([DATA] * 4, ignore_index=True).assign(
    factor=list("pqrst") * 4, x=range(20), cluster=list("uvwxy") * 4
)
STEEP = MANY.assign(y=MANY["x"] / 9 + np.sin(MANY["x"]), v=0.01)
WIDE = DATA.assign(weight=DATA["x"], Intercept=[1.0, 2.0, 3.0, 4.0, 9.0])


def regression(formula: str = "x", data: pd.DataFrame = DATA, **options: Any) -> Any:
    return meta_regression(data, formula, **(RANDOM | options))


SAID: list[tuple[Callable[[], Any], str]] = [
    (lambda: meta_regression(MANY, "x + factor", **COUNTS), "3 more in .coefficients"),
    (lambda: pool(events=[3, 8, None], n=[40, 60, 50]), "events 11 of 100; 1 left out"),
    (lambda: subgroups(DATA, by="group", **COUNTS, group_tau2="common"), "one τ² for all"),
    (
        lambda: pool_multilevel(MANY, "x", cluster="cluster", **COUNTS),
        "\n  x                 0.",
    ),
    (
        lambda: meta_regression(MANY.assign(y=MANY["x"] / 9, v=0.01, x=range(20)), "x", **EFFECTS),
        "; R² ",
    ),
]

METHODS: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: pool_effects([0.1, 0.4, 0.3], [0.1, 0.2, 0.05], measure="log-ratio"),
        "^Ratios of three studies were pooled on the log scale",
    ),
    (
        lambda: pool(events=[0, 0], time=[40, 30], measure="log-rate"),
        "^Events and person-time of two studies were added up",
    ),
    (lambda: pool(DATA, **COUNTS, model="glmm", quad_points=1), "the Laplace approximation"),
    (
        lambda: pool(DATA, **RANDOM, measure="double-arcsine", back_transform="inverse-variance"),
        "back-transformed with the sample size implied by the standard error",
    ),
    (
        lambda: pool_multilevel(DATA, cluster="cluster", **RANDOM, robust="CR1"),
        r"cluster-robust \(CR1\) covariance",
    ),
    (
        lambda: pool_multilevel(DATA, cluster="cluster", **RATES),
        "three-level Poisson-normal generalised linear mixed model",
    ),
    (
        lambda: meta_regression(DATA, "x", **RATES, model="glmm"),
        "a Poisson-normal generalised linear mixed model",
    ),
]

REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: pool_beta_binomial(DATA, **COUNTS).mean_conf_int("t"), "expected delta or profile"),
    (lambda: regression("`y y` + x"), "no column 'y y'; the columns are e, n, time"),
    (
        lambda: regression(data=pd.concat([DATA, DATA[["x"]]], axis=1)),
        "the table has several columns named 'x'; rename them",
    ),
    (
        lambda: pool_multilevel(DATA, cluster="cluster", **COUNTS, model="glmm", robust="CR2"),
        "robust='CR2' needs model='random'",
    ),
    (lambda: pool_multilevel(DATA, cluster="cluster", **EFFECTS, model="glmm"), "likelihood model"),
    (lambda: meta_regression(DATA, "x", **EFFECTS, model="glmm"), "likelihood model"),
    (lambda: pool(events=[3, 8], measure="logit"), "is a proportion: give `n`"),
    (lambda: pool_rates(DATA, **COUNTS, follow_up="time", per=np.inf), "per=inf: expected"),
    (lambda: pool_rates(DATA, **COUNTS, follow_up="time", per=0), "per=0: expected"),
    (
        lambda: rate_sensitivity(pool_rates(DATA, **COUNTS, follow_up="time"), factors=[1, 0]),
        r"factors=\[1, 0\]: expected numbers above 0",
    ),
    (lambda: meta_regression(DATA, "x", n="n"), "needs events and n"),
    (lambda: meta_regression(DATA, "x", events="e", time="time"), "measure='logit' needs .* and n"),
    (lambda: regression(cluster=[1, 2]), "cluster has 2 values for 5 rows"),
    (
        lambda: regression().likelihood_ratio_test(regression("1", DATA.iloc[:4])),
        "not fitted to the same studies",
    ),
    (
        lambda: regression().likelihood_ratio_test(regression("1", model="common")),
        "not fitted to the same studies in one way",
    ),
    (lambda: regression().likelihood_ratio_test("x"), "'x' is not nested in 'x'"),
    (
        lambda: regression("x + time").likelihood_ratio_test(regression("v")),
        "'v' is not nested in 'x",
    ),
    (lambda: subgroups(DATA, by="group", yi="y"), "both yi and vi"),
    (lambda: subgroups(DATA, by="group", yi="y", vi="v", events="e"), "both yi and vi"),
    (lambda: subgroups(DATA.assign(group="a"), by="group", **COUNTS), r"there is 1 \(a\)"),
    (lambda: subgroups(by="group", events=[3, 8], n=[40, 60]), "but no data were given"),
    (
        lambda: subgroups(pd.concat([DATA, DATA[["group"]]], axis=1), by="group", **COUNTS),
        "several columns 'group'; rename them",
    ),
]


@pytest.mark.parametrize(("call", "words"), SAID)
def test_a_result_shows(call: Callable[[], Any], words: str) -> None:
    assert words in str(call()).replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(("call", "words"), METHODS)
def test_a_method_is_told(call: Callable[[], Any], words: str) -> None:
    assert re.search(words, str(call().methods()))


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_a_call_is_refused(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(MetaAnalysisError, match=words):
        call()


def test_columns_with_the_names_of_a_result_stay_apart() -> None:
    fit = regression("weight", WIDE)
    assert fit.studies["weight (moderator)"].tolist() == DATA["x"].tolist()
    assert fit.studies["weight"].sum() == pytest.approx(100.0)


def test_a_column_may_be_called_intercept() -> None:
    fit, other = (
        regression("Intercept + x", WIDE),
        regression("z + x", WIDE.assign(z=WIDE.Intercept)),
    )
    assert len(fit.names) == 3
    np.testing.assert_allclose(fit.estimates, other.estimates)
    without = regression("0 + Intercept + x", WIDE)
    assert without.p == 2


def test_effects_may_bring_the_time_that_they_rest_on() -> None:
    fit = meta_regression(DATA, "x", **EFFECTS, time="time")
    assert fit.data.size.tolist() == DATA["time"].tolist()


def test_the_mean_of_three_levels_has_the_interval_of_the_fit() -> None:
    wald = pool_multilevel(DATA, cluster="cluster", **RANDOM, ci_method="wald")
    usual = pool_multilevel(DATA, cluster="cluster", **RANDOM)
    wide, narrow = (np.log(fit.mean_conf_int()) for fit in (usual, wald))
    ratio = stats.t.ppf(0.975, 4) / stats.norm.ppf(0.975)
    logits = [np.diff(np.log(fit.ci) - np.log1p(-np.array(fit.ci)))[0] for fit in (usual, wald)]
    assert logits[0] / logits[1] == pytest.approx(ratio, rel=1e-9)
    assert np.diff(wide)[0] > np.diff(narrow)[0]
    flat = pool_multilevel(events=[4, 6, 5, 9], n=[40, 60, 50, 90], cluster=list("aabb"))
    assert flat.tau2 == 0.0
    np.testing.assert_allclose(flat.mean_conf_int(), flat.ci, rtol=1e-9)


def test_one_variance_belongs_to_a_common_comparison_alone() -> None:
    common = subgroups(MANY, by="group", **COUNTS, group_tau2="common")
    assert common.tau2 == common.groups["a"].tau2 == common.groups["b"].tau2
    assert subgroups(MANY, by="group", **COUNTS).tau2 is None


def test_a_series_names_its_groups() -> None:
    kinds = pd.Series(list("aabbb"), name="kind")
    assert subgroups(events=DATA["e"], n=DATA["n"], by=kinds).by == "kind"
    assert subgroups(events=DATA["e"], n=DATA["n"], by=kinds.rename(None)).by == "group"


def test_a_limit_of_the_beta_binomial_model_on_its_own_scale() -> None:
    fit = pool_beta_binomial(events=[3, 0, 8, 12, 2], n=[40, 25, 60, 55, 48])
    shown, own = fit.prediction_interval(), fit.prediction_interval(scale="model")
    np.testing.assert_allclose(1.0 / (1.0 + np.exp(-np.array(own))), shown, rtol=1e-12)


@pytest.mark.parametrize("spread", [0.05, 1.0])
def test_the_wider_of_two_intervals_brings_its_own_test(spread: float) -> None:
    effects, variances = spread * np.array([0.3, 0.9, 1.4, 0.2, 1.1]), [0.04] * 5
    wider = pool_effects(effects, variances, ci_method="knapp-hartung-wider")
    found = wider.effect_test()
    tau2, mean = wider.tau2, effects.mean()  # equal variances: the plain mean
    wald = (0.04 + tau2) / 5
    ours = effects.var(ddof=1) / 5
    reach = stats.norm.ppf(0.975) * wald**0.5, stats.t.ppf(0.975, 4) * ours**0.5
    by_wald = reach[0] > reach[1]
    assert by_wald == (spread == 0.05)
    expected = (
        2 * stats.norm.sf(abs(mean) / wald**0.5)
        if by_wald
        else 2 * stats.t.sf(abs(mean) / ours**0.5, 4)
    )
    assert found.p == pytest.approx(expected, rel=1e-8)
    assert wider.ci.upper - mean == pytest.approx(max(reach), rel=1e-8)


@pytest.mark.parametrize("ci_method", ["profile", "henmi-copas"])
def test_an_interval_without_a_standard_error_has_no_test(ci_method: str) -> None:
    own = (
        {"model": "random", "tau2_method": "ML"} if ci_method == "profile" else {"model": "common"}
    )
    fit = pool(DATA, **COUNTS, **own, ci_method=ci_method)
    with pytest.raises(MetaAnalysisError, match=f"belongs to ci_method='{ci_method}'"):
        fit.effect_test()


BAYES: list[tuple[Callable[[], Any], str]] = [
    (lambda: posterior(pool(DATA, **COUNTS), n=[1] * 5), "leave out n"),
    (lambda: posterior(pool(DATA, **COUNTS), measure="logit"), "leave out measure"),
    (lambda: posterior(DATA, **COUNTS, time="time"), "not both"),
    (
        lambda: posterior(DATA, **COUNTS, measure="log-rate", likelihood="normal"),
        "is no proportion of n patients",
    ),
    (lambda: posterior(DATA, events="e", time="time", measure="logit"), "is no rate of events"),
    (lambda: posterior(DATA, **EFFECTS, measure="double-arcsine"), "needs counts for its inverse"),
    (lambda: posterior(DATA, **COUNTS, tolerance=np.inf), "tolerance=inf: expected"),
    (
        lambda: rank_probabilities(
            {"A": posterior(DATA, **COUNTS), "B": posterior(DATA, events="e", time="time")}
        ),
        "different measures cannot be ranked",
    ),
    (lambda: posterior(DATA, **COUNTS).predict_events(2.5), "n=2.5: expected a whole number"),
    (lambda: posterior(DATA, **COUNTS).predict_events(True), "n=True: expected a whole number"),
]


@pytest.mark.parametrize(("call", "words"), BAYES)
def test_a_posterior_is_refused(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(MetaAnalysisError, match=words):
        call()


def test_the_mean_of_a_posterior_follows_the_scale() -> None:
    rates = posterior(DATA, events="e", time="time")
    square = rates.tau.sd**2 + rates.tau.mean**2
    mean = rates.mean_rate().model.mean  # of the logarithm of a lognormal mean
    assert mean == pytest.approx(rates.mu.mean + square / 2.0, rel=1e-6)
    plain = posterior(DATA, **COUNTS, measure="raw", likelihood="normal")
    assert plain.mean_rate().median == plain.rate.median

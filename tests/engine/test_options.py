"""The same words mean the same in every call, and each default has one home."""

from __future__ import annotations

import ast
import inspect
import json
import re
from pathlib import Path
from typing import Any, get_args

import browser_engine
import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from helpers import pool, pool_effects, printing
from helpers.checks.bias import egger, peters
from helpers.checks.multiverse.analysis import multiverse
from helpers.checks.simulation import coverage
from helpers.engine import options as defaults
from helpers.engine.effects import MEASURES, get_measure
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.evidence.given import SCALES
from helpers.models.bayes import HalfCauchy, HalfNormal, posterior
from helpers.models.multilevel import pool_multilevel
from helpers.models.rates import pool_rates
from helpers.models.regression import meta_regression
from helpers.models.result import PoolResult
from helpers.models.subgroup_analysis import GroupTau2, subgroups
from helpers.reporting.analysis import ColumnNames
from helpers.reporting.analysis import analyse as analyse_for_report
from helpers.reporting.in_browser import analyse as analyse_in_browser
from helpers.reporting.in_browser import analyse_json

ROOT = Path(__file__).resolve().parents[2]
EVENTS = [3, 3, 3, 4, 3, 9, 1, 7, 6, 5, 2, 8]
N = [40, 41, 39, 52, 40, 60, 35, 55, 48, 50, 44, 61]
#: Few studies and enough of them, on both sides of the threshold.
SIZES = (4, 9, 10, 12)


def table(k: int) -> pd.DataFrame:
    return pd.DataFrame(
        {"study": [f"s{i}" for i in range(k)], "events": EVENTS[:k], "n": N[:k], "g": ["a"] * k}
    )


def numbers(fit: PoolResult) -> list[float]:
    return [fit.estimate, *fit.ci]


# --- the numbers themselves, by hand -------------------------------------------------------------


def test_the_default_of_counts_is_the_binomial_model_and_its_interval_by_hand() -> None:
    """Likelihood by quadrature on a grid, maximised by scipy; t below ten studies, Wald above."""
    points, weights = np.polynomial.hermite_e.hermegauss(80)
    for k in SIZES:
        x, n = np.array(EVENTS[:k], float), np.array(N[:k], float)

        def minus(at: Any, x: Any = x, n: Any = n) -> float:
            p = 1 / (1 + np.exp(-(at[0] + np.exp(at[1]) * points)))
            each = stats.binom.pmf(x[:, None], n[:, None], p) @ weights
            return -float(np.log(each / np.sqrt(2 * np.pi)).sum())

        fit = pool(events=EVENTS[:k], n=N[:k])
        assert (fit.model, fit.ci_method) == ("glmm", "t" if k < 10 else "wald")
        found = optimize.minimize(minus, [-2.3, -1.0], method="Nelder-Mead", tol=1e-10)
        assert -found.fun == pytest.approx(fit.loglik, abs=1e-5)
        q = stats.t.ppf(0.975, k - 1) if k < 10 else stats.norm.ppf(0.975)
        low, high = fit.conf_int(scale="model")
        assert (high - low) / 2 == pytest.approx(q * fit.se_model, rel=1e-10)


@pytest.mark.parametrize("name", [n for n in MEASURES if get_measure(n).kind == "effect"])
def test_measures_of_effects_take_no_counts(name: str) -> None:
    with pytest.raises(UnsupportedError, match=f"measure='{name}' has no counts; use pool_effects"):
        pool(events=EVENTS, n=N, measure=name)


@pytest.mark.parametrize("name", [n for n in MEASURES if get_measure(n).kind != "effect"])
def test_measures_without_a_likelihood_are_pooled_by_inverse_variance(name: str) -> None:
    size = {"n": N} if get_measure(name).kind == "proportion" else {"time": N}
    fit = pool(events=EVENTS, **size, measure=name)
    likelihood = name in ("logit", "log-rate")
    assert fit.model == ("glmm" if likelihood else "random")
    assert fit.ci_method == ("wald" if likelihood else "knapp-hartung-max1")


@pytest.mark.parametrize(
    "words",
    [
        {"tau2_method": "DL"},
        {"tau2": 0.1},
        {"ci_method": "knapp-hartung"},
        {"ci_method": "knapp-hartung-wider"},
        {"method": "inverse-variance"},
        {"add": 0.1},
        {"to": "all"},
    ],
)
def test_a_word_of_inverse_variance_chooses_it(words: dict[str, Any]) -> None:
    named = pool(events=EVENTS, n=N, model="random", **words)
    assert numbers(pool(events=EVENTS, n=N, **words)) == numbers(named)


# --- one rule, every call ------------------------------------------------------------------------


WORDS: tuple[dict[str, Any], ...] = (
    {},
    {"model": "random"},
    {"model": "glmm"},
    {"model": "common"},
    {"model": "common", "method": "likelihood"},
    {"measure": "arcsine"},
    {"tau2_method": "DL"},
    {"ci_method": "wald"},
    {"ci_method": "t"},
    {"ci_method": "knapp-hartung"},
    {"model": "random", "ci_method": "wald"},
    {"level": np.float32(0.9)},
    {"model": "random", "add": 0.25, "to": "all"},
)


def _by_multiverse(data: pd.DataFrame, words: dict[str, Any]) -> list[float]:
    level = {"level": words["level"]} if "level" in words else {}
    one = {name: [value] for name, value in words.items() if name != "level"}
    one = one or {"measure": ["logit"]}
    result = multiverse(data, one, events="events", n="n", study="study", **level)
    row = result.frame().iloc[0]
    return [row["estimate"], row["ci_lower"], row["ci_upper"]]


def _by_group(data: pd.DataFrame, words: dict[str, Any]) -> list[float]:
    other = pd.DataFrame({"study": ["x", "y"], "events": [5, 9], "n": [40, 70], "g": ["b"] * 2})
    both = pd.concat([other, data], ignore_index=True)
    result = subgroups(both, by="g", events="events", n="n", study="study", **words)
    return numbers(result.groups["a"])


def _by_browser(data: pd.DataFrame, words: dict[str, Any]) -> list[float]:
    made = analyse_in_browser(data.to_csv(index=False).encode(), **words)["fit"]
    return [made["estimate"], *made["ci"]]


@pytest.mark.parametrize("call", [_by_multiverse, _by_group, _by_browser])
@pytest.mark.parametrize("words", WORDS, ids=str)
def test_every_call_with_the_same_words_gives_the_numbers_of_a_plain_pool(
    call: Any, words: dict[str, Any]
) -> None:
    for k in SIZES:
        data = table(k)
        plain = numbers(pool(data, events="events", n="n", study="study", **words))
        assert call(data, words) == pytest.approx(plain, rel=1e-9), k


@pytest.mark.parametrize(
    "words",
    [{}, {"model": "random"}, {"model": "glmm"}, {"measure": "arcsine"}, {"tau2_method": "DL"}],
    ids=str,
)
def test_a_regression_without_moderators_is_a_plain_pool(words: dict[str, Any]) -> None:
    for k in SIZES:
        data = table(k)
        plain = pool(data, events="events", n="n", study="study", **words)
        fit = meta_regression(data, "1", events="events", n="n", study="study", **words)
        row = fit.coefficients.iloc[0]
        want = [plain.mu, *plain.conf_int(scale="model")]
        found = [row["estimate"], row["ci_lower"], row["ci_upper"]]
        assert found == pytest.approx(want, rel=1e-6), k
    y, v = MEASURES["logit"].effects(EVENTS, N)
    effects = pd.DataFrame({"y": y, "v": v})
    row = meta_regression(effects, "1", yi="y", vi="v").coefficients.iloc[0]
    want = [pool_effects(y, v).mu, *pool_effects(y, v).ci]
    assert [row["estimate"], row["ci_lower"], row["ci_upper"]] == pytest.approx(want, rel=1e-9)


def test_a_model_with_clusters_and_no_variance_between_them_is_a_pool_with_t() -> None:
    """No scale factor of Knapp and Hartung exists there; t is what is left of the rule."""
    y = np.array([0.1, 0.9, 0.2, 0.8, 0.15, 0.85, 0.3, 0.7])
    v = np.full(8, 0.01)
    fit = pool_multilevel(yi=y, vi=v, cluster=list("aabbccdd"))
    assert fit.sigma2_between == 0.0
    row = fit.coefficients.iloc[0]
    want = pool_effects(y, v).conf_int("t")
    assert [row["ci_lower"], row["ci_upper"]] == pytest.approx(list(want), rel=1e-6)


def test_rates_report_and_simulation_follow_the_same_rule() -> None:
    for k in SIZES:
        data = table(k).assign(months=12.0)
        rate = pool_rates(data, events="events", n="n", follow_up="months", study="study", per=1.0)
        plain = pool(data, events="events", time="n", measure="log-rate")
        assert numbers(rate) == pytest.approx(numbers(plain), rel=1e-9)
        made = analyse_for_report(data, ColumnNames(covariates=("months",)), draws=10)
        assert numbers(made.fit) == numbers(pool(data, events="events", n="n", study="study"))
    for name in ("level", "quad_points"):
        values = {
            inspect.signature(call).parameters[name].default
            for call in (pool, multiverse, meta_regression, coverage)
            if name in inspect.signature(call).parameters
        }
        assert values == {getattr(defaults, name.upper())}


def test_the_tests_for_small_studies_take_the_defaults() -> None:
    y, v = MEASURES["logit"].effects(EVENTS, N)
    assert egger(y, v, measure="logit").p == egger(events=EVENTS, n=N).p
    assert egger(pool(events=EVENTS, n=N, model="random")).p == egger(events=EVENTS, n=N).p


# --- the number of studies decides, when it is known ---------------------------------------------


def test_the_default_interval_of_a_glmm_follows_the_number_of_included_studies() -> None:
    events: list[Any] = [*EVENTS[:9], None, None]
    nine = pool(events=events, n=N[:11])
    assert (nine.k, nine.ci_method) == (9, "t")
    assert pool(events=EVENTS[:10], n=N[:10]).ci_method == "wald"
    assert pool(events=[3], n=[40]).ci_method == "wald"
    assert pool(events=events, n=N[:11], ci_method="wald").ci_method == "wald"
    groups = subgroups(events=EVENTS, n=N, by=["a"] * 3 + ["b"] * 9)
    assert groups.overall.ci_method == "wald"
    assert {fit.ci_method for _, fit in groups} == {"t"}
    shared = subgroups(events=EVENTS, n=N, by=["a"] * 3 + ["b"] * 9, group_tau2="common")
    assert {fit.ci_method for _, fit in shared} == {"t"}
    named = subgroups(events=EVENTS, n=N, by=["a"] * 3 + ["b"] * 9, ci_method="wald")
    assert {fit.ci_method for _, fit in named} == {"wald"}


def test_refits_keep_the_interval_of_the_result_that_they_question() -> None:
    """Ten studies have Wald limits; without one of them nine are left, with Wald limits too."""
    fit = pool(events=EVENTS[:10], n=N[:10])
    row = fit.leave_one_out().iloc[0]
    rest = pool(events=EVENTS[1:10], n=N[1:10], ci_method="wald")
    assert [row["ci_lower"], row["ci_upper"]] == pytest.approx(list(rest.ci), rel=1e-6)
    assert pool(events=EVENTS[1:10], n=N[1:10]).ci_method == "t"


def test_moderators_count_as_studies_in_the_threshold() -> None:
    data = table(12).assign(x=np.arange(12.0), z=np.arange(12.0) ** 2 % 7, w=[0.0, 1.0] * 6)
    columns = {"events": "events", "n": "n", "study": "study"}
    tests = {
        formula: meta_regression(data, formula, **columns).ci_method
        for formula in ("1", "x", "x + z", "x + z + w")
    }
    assert tests == {"1": "wald", "x": "wald", "x + z": "wald", "x + z + w": "t"}


def test_a_grid_has_one_model_unless_the_model_is_a_choice() -> None:
    result = multiverse(
        None, {"ci_method": ["wald", "knapp-hartung"]}, events=EVENTS[:5], n=N[:5]
    ).frame()
    for name, row in zip(("wald", "knapp-hartung"), result.to_dict("records"), strict=True):
        plain = pool(events=EVENTS[:5], n=N[:5], model="random", ci_method=name)
        assert [row["estimate"], row["ci_lower"]] == pytest.approx([plain.estimate, plain.ci[0]])


# --- one check for each argument -----------------------------------------------------------------


def _calls(**words: Any) -> list[Any]:
    data = table(6)
    columns = {"events": "events", "n": "n", "study": "study"}
    return [
        lambda: pool(data, **columns, **words),
        lambda: subgroups(data.assign(g=list("aaabbb")), by="g", **columns, **words),
        lambda: meta_regression(data, "1", **columns, **words),
        lambda: multiverse(data, {"measure": ["logit"]}, **columns, **words),
    ]


@pytest.mark.parametrize(
    "words",
    [
        {"level": 95},
        {"level": "0.95"},
        {"level": True},
        {"level": np.nan},
        {"quad_points": 7.5},
        {"quad_points": 0},
        {"quad_points": "7"},
        {"add": -0.5},
        {"add": np.inf},
        {"add": "half"},
        {"model": "fixed"},
        {"tau2_method": "XX"},
        {"to": "zero"},
        {"measure": "odds"},
    ],
    ids=str,
)
def test_all_calls_refuse_the_same_values_in_the_same_words(words: dict[str, Any]) -> None:
    name = next(iter(words))
    calls = _calls(**words)
    if name == "measure":
        calls = calls[:3]
    said = set()
    for call in calls:
        with pytest.raises(UnsupportedError) as caught:
            call()
        said.add(str(caught.value))
    assert len(said) == 1
    assert name in said.pop()


def test_a_level_in_single_precision_is_the_level_that_it_prints() -> None:
    fit = pool(events=EVENTS, n=N, level=np.float32(0.95))
    assert fit.level == 0.95
    assert fit.ci == pool(events=EVENTS, n=N).ci


# --- thresholds and limits -----------------------------------------------------------------------


def test_identical_effects_are_refused_alike_by_every_call() -> None:
    """Differences of a billionth beside a standard error of 0.3 are rounding, in every call."""
    y, v = [0.0, 1e-9, 2e-9], [0.1, 0.1, 0.1]
    data = pd.DataFrame({"y": y, "v": v})
    with pytest.raises(MetaAnalysisError, match="identical"):
        pool_effects(y, v, ci_method="knapp-hartung")
    with pytest.raises(MetaAnalysisError, match="perfectly"):
        meta_regression(data, "1", yi="y", vi="v", ci_method="knapp-hartung")


def test_a_variance_without_an_upper_limit_has_the_limit_infinity_in_every_call() -> None:
    """Two studies, one without events and one full: no tau2 is too large for them."""
    data = pd.DataFrame({"study": ["a", "b"], "events": [1, 9], "n": [10, 10]})
    columns = {"events": "events", "n": "n", "study": "study"}
    alone = pool(data, **columns, level=0.999).tau2_ci()
    fit = meta_regression(data, "1", **columns, level=0.999)
    assert alone.upper == fit.tau2_ci().upper == np.inf
    assert alone.lower == fit.tau2_ci().lower == 0.0
    shown = json.loads(
        analyse_json(json.dumps({"content": data.to_csv(index=False), "level": 0.999}))
    )
    assert shown["ok"]
    assert shown["fit"]["tau2_ci"] == [0.0, None]
    assert any("no upper limit" in str(row) for row in shown["rows"])


def test_peters_weights_by_size_and_the_events_when_asked() -> None:
    x, n = np.array(EVENTS, float), np.array(N, float)
    logit = np.log(x / (n - x))
    for weights, w in (({}, n), ({"weights": "events"}, x * (n - x) / n)):
        root = np.sqrt(w)
        design = np.column_stack([np.ones(n.size), 1 / n]) * root[:, None]
        want = np.linalg.lstsq(design, root * logit, rcond=None)[0]
        assert peters(events=x, n=n, **weights).bias == pytest.approx(want[1], rel=1e-9)


def test_a_prior_that_the_data_contradict_is_named() -> None:
    x, n = [1, 30, 2, 55, 0, 48, 3, 40, 58, 1, 50, 20], [60] * 12
    for scale, rare in ((0.5, True), (1.0, False)):
        post = posterior(events=x, n=n, tau_prior=HalfNormal(scale))
        beyond = 2 * stats.norm.sf(post.tau.median / scale)
        assert beyond < 0.05
        assert (beyond < 0.001) == rare
        (said,) = [c.message for c in post.cautions if c.code == "prior-data-conflict"]
        share = "less than 0.1%" if rare else f"{100 * beyond:.1f}%"
        assert f"a probability of {share} to values" in said.replace("\u00a0", "").replace(
            " %", "%"
        )
    wide = posterior(events=x, n=n, tau_prior=HalfCauchy(2.5))
    assert 2 / np.pi * np.arctan(2.5 / wide.tau.median) > 0.05
    mild = posterior(events=EVENTS, n=N)
    for calm in (wide, mild):
        assert "prior-data-conflict" not in {c.code for c in calm.cautions}


def test_the_page_in_the_browser_offers_the_defaults_first(monkeypatch) -> None:
    """A select without a chosen option starts with its first one."""
    page = browser_engine.form()
    first = dict(re.findall(r'<select name="(\w+)"><option value="([^"]+)"', page))
    fit = pool(events=EVENTS, n=N)
    assert first == {
        "model": fit.model,
        "measure": fit.measure,
        "tau2_method": pool(events=EVENTS, n=N, model="random").tau2_method,
        "level": str(fit.level),
        "group_tau2": subgroups(events=EVENTS, n=N, by=list("ab" * (len(N) // 2))).group_tau2,
        "per": str(printing.PER[0]),
    }
    assert "selected" not in page
    # the form is made from the home of the defaults: another default there, another one here
    monkeypatch.setattr(defaults, "TAU2_METHOD", "PM")
    monkeypatch.setattr(defaults, "LEVEL", 0.9)
    other = dict(re.findall(r'<select name="(\w+)"><option value="([^"]+)"', browser_engine.form()))
    assert (other["tau2_method"], other["level"]) == ("PM", "0.9")


def test_every_choice_of_the_page_in_the_browser_is_one_of_the_engine() -> None:
    page = browser_engine.form()
    for name, words in browser_engine.CHOICES.items():
        (body,) = re.findall(rf'<select name="{name}">(.*?)</select>', page)
        assert sorted(re.findall('value="([^"]*)"', body)) == sorted(words)
        if name == "scale":
            assert sorted(words) == sorted(["", *SCALES])
            continue
        if name == "group_tau2":
            assert sorted(words) == sorted(get_args(GroupTau2))
            continue
        for value in words:
            defaults.check_option(name, float(value) if name == "level" else value)


def test_no_default_level_or_prediction_is_written_a_second_time():
    """The level of a signature is LEVEL, and the name of the default prediction stands twice."""
    written, named = [], []
    for path in sorted((ROOT / "helpers").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        place = path.relative_to(ROOT).as_posix()
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                both = [*node.args.posonlyargs, *node.args.args]
                pairs = list(zip(both[::-1], node.args.defaults[::-1], strict=False))
                pairs += list(zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True))
                written += [
                    f"{place}: {node.name}"
                    for given, default in pairs
                    if given.arg == "level"
                    and isinstance(default, ast.Constant)
                    and default.value == 0.95
                ]
            if isinstance(node, ast.Constant) and node.value == "t-k-2":
                named.append(place)
    assert written == []
    assert set(named) == {
        "helpers/engine/options.py",
        "helpers/engine/normal/prediction.py",
        "helpers/checks/simulation/performance.py",
    }


@pytest.mark.parametrize("model", ["random", "glmm"])
def test_the_default_prediction_has_two_degrees_of_freedom_less_than_studies(model):
    fit = pool(events=[3, 8, 16, 2], n=[40, 60, 50, 70], model=model, ci_method="wald")
    half = stats.t.ppf(0.975, 2) * (fit.tau2 + fit.se**2) ** 0.5
    assert fit.prediction_interval(scale="model") == pytest.approx((fit.mu - half, fit.mu + half))


@pytest.mark.parametrize("model", ["random", "glmm"])
@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_a_prediction_with_few_degrees_of_freedom_says_so(model, k):
    counts = {"events": [3, 8, 16, 2, 5][:k], "n": [40, 60, 50, 70, 90][:k]}
    said = {c.code: c.message for c in pool(**counts, model=model).cautions}
    assert ("few-prediction-df" in said) == (k in (3, 4))
    if k in (3, 4):
        assert f"quantile {stats.t.ppf(0.975, k - 2):.1f}; " in said["few-prediction-df"]
        assert f"studies {stats.norm.ppf(0.975):.2f})" in said["few-prediction-df"]
    common = pool(**counts, model="common")
    assert "few-prediction-df" not in {c.code for c in common.cautions}


def test_a_group_has_its_caution_below_five_studies():
    for k, expected in ((4, True), (5, False)):
        counts = {"events": [3, 8, 6, 16, 2][:k] * 2, "n": [40, 60, 90, 50, 70][:k] * 2}
        by = ["a"] * k + ["b"] * k
        codes = {c.code for c in subgroups(**counts, by=by, model="glmm").cautions}
        assert ("few-studies-group" in codes) == expected


@pytest.mark.parametrize(
    ("k", "quantile"), [(9, stats.t.ppf(0.975, 8)), (10, stats.norm.ppf(0.975))]
)
def test_a_glmm_of_fewer_than_ten_studies_has_the_t_distribution(k, quantile):
    events, n = [3, 8, 16, 5, 9, 2, 7, 11, 4, 6], [40, 60, 50, 70, 33, 58, 41, 90, 64, 72]
    fit = pool(events=events[:k], n=n[:k], model="glmm")
    limits = fit.conf_int(scale="model")
    assert (limits.upper - limits.lower) / 2 == pytest.approx(quantile * fit.se_model)

"""Tables and groups without an event, or with nothing else: a result with exact limits."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
import scipy.stats
from densities import log_binomial

from helpers import meta_regression, printing
from helpers.checks.multiverse.analysis import multiverse
from helpers.errors import ConvergenceError, UnsupportedError
from helpers.models.pooling import pool
from helpers.models.result import PoolResult
from helpers.models.subgroup_analysis import SubgroupResult, subgroups
from helpers.reporting.in_browser.analysis import analyse
from helpers.review import plots, tables
from helpers.views.subgroup_sentences import between_line

#: Limits for 0 of 75 and for 0 events in 75.5 of person-time, where 2.5% is left for 0 events.
UPPER = 1 - 0.025 ** (1 / 75)
UPPER_RATE = -np.log(0.025) / 75.5
MODELS: tuple[dict[str, Any], ...] = (
    {"model": "glmm"},
    {"model": "glmm", "ci_method": "profile"},
    {"model": "common", "method": "likelihood"},
)


def binomial(events: tuple[int, ...], **options: Any) -> PoolResult:
    return pool(events=events, n=[30, 45], **options)


@pytest.mark.parametrize("options", MODELS)
def test_no_event_is_none_with_the_limit_at_which_none_is_rare(options: dict[str, Any]) -> None:
    fit = binomial((0, 0), **options)
    assert (fit.estimate, fit.ci.lower) == (0.0, 0.0)
    assert fit.ci.upper == pytest.approx(UPPER, rel=1e-12)
    assert round(100 * fit.ci.upper, 1) == 4.8
    assert scipy.stats.binom.pmf(0, 75, fit.ci.upper) == pytest.approx(0.025)
    low, high = fit.conf_int(scale="model", level=0.9)
    assert low == -np.inf
    assert high == pytest.approx(np.log((1 - 0.05 ** (1 / 75)) / 0.05 ** (1 / 75)))
    assert (fit.mean_estimate, fit.mean_conf_int()) == (0.0, fit.ci)
    message = {c.code: c.message for c in fit.cautions}["no-events"]
    assert "0 of 75" in message
    assert "4.8" in message
    assert "arcsine" not in message
    assert "is the exact one" in message
    other = {c.code: c.message for c in binomial((0, 0), model="random").cautions}["no-events"]
    assert "estimate and interval depend on how such studies are handled" in other
    assert "4.8" in other
    assert fit.one_sided
    assert fit.loglik == 0.0
    assert "Clopper and Pearson" in str(fit.methods())


@pytest.mark.parametrize("options", MODELS)
def test_nothing_but_events_mirrors_no_event(options: dict[str, Any]) -> None:
    fit, none = binomial((30, 45), **options), binomial((0, 0), **options)
    assert fit.estimate == 1.0
    assert fit.ci == pytest.approx((1 - none.ci.upper, 1.0))
    assert "only-events" in [c.code for c in fit.cautions]


@pytest.mark.parametrize("options", MODELS)
def test_no_event_in_person_time_has_the_limit_of_a_poisson_count(options: dict[str, Any]) -> None:
    fit = pool(events=[0, 0], time=[30, 45.5], measure="log-rate", **options)
    assert fit.estimate == 0.0
    assert fit.ci == pytest.approx((0.0, UPPER_RATE))
    assert scipy.stats.poisson.pmf(0, 75.5 * fit.ci.upper) == pytest.approx(0.025)
    assert not any("arcsine" in c.message for c in fit.cautions)
    # every follow-up time is full of nothing: as many events as units of time are no edge
    assert not pool(events=[3, 4], time=[3, 4], measure="log-rate", **options).one_sided


def test_one_study_without_an_event_is_a_result_too() -> None:
    fit = pool(events=[0], n=[75], model="glmm")
    assert fit.ci == pytest.approx((0.0, UPPER))


def test_inverse_variance_says_what_the_exact_interval_is() -> None:
    fit = binomial((0, 0), model="random")
    assert not fit.one_sided
    assert "0.0 to 4.8" in {c.code: c.message for c in fit.cautions}["no-events"]


@pytest.mark.parametrize("options", MODELS)
@pytest.mark.parametrize("events", [(0, 0), (30, 45)])
def test_every_view_shows_a_one_sided_result_or_says_why_not(
    options: dict[str, Any], events: tuple[int, int]
) -> None:
    fit = binomial(events, **options)
    assert json.loads(json.dumps(fit.to_dict(), allow_nan=False))["mu"] is None
    assert fit.summary_frame()["estimate"].tolist() == [fit.estimate]
    assert len(fit.studies) == 2
    printed = "0.0 to 4.8" if events[0] == 0 else "95.2 to 100.0"
    assert printed in printing.estimate(fit)
    assert printed in tables.pooled_table({"all": fit}).text
    for layout in ("book", "jama", "bmj", "revman"):
        plots.forest(fit, layout=layout)  # type: ignore[arg-type]
    plots.leave_one_out_forest(fit)
    asked = ["influence", "baujat", "gosh", "bootstrap", "shrunken_estimates", "effect_test"]
    asked += [] if fit.model == "common" else ["tau2_ci", "prediction_interval"]
    for ask in asked:
        with pytest.raises(UnsupportedError, match="is not defined where"):
            getattr(fit, ask)()
    with pytest.raises(UnsupportedError, match="method='wald' is not defined where"):
        fit.conf_int("wald")
    for draw in (plots.funnel, plots.radial, plots.drapery):
        with pytest.raises(UnsupportedError, match="is not defined where"):
            draw(fit)


def test_the_engine_page_shows_it() -> None:
    made = analyse(b"study,events,n\nA,0,30\nB,0,45\n", model="glmm")
    assert "0.0 to 4.8" in json.dumps(made, ensure_ascii=False)


@pytest.mark.parametrize("model", [{"model": "glmm"}, {"model": "common", "method": "likelihood"}])
def test_leaving_out_the_only_study_with_events_leaves_none(model: dict[str, Any]) -> None:
    fit = pool(events=[0, 5, 0], n=[30, 40, 45], study=["a", "b", "c"], **model)
    table = fit.leave_one_out()
    row = table.loc["b"]
    assert row["estimate"] == row["ci_lower"] == 0.0
    assert row["ci_upper"] == pytest.approx(UPPER)
    assert "no event is left" in row["note"]
    assert np.isfinite(table.loc[["a", "c"], "estimate"]).all()
    first = fit.cumulative().iloc[0]
    assert (first["estimate"], first["ci_upper"]) == pytest.approx((0.0, 1 - 0.025 ** (1 / 30)))
    plots.leave_one_out_forest(fit)
    plots.cumulative_forest(fit, {"a": 1, "b": 2, "c": 3})


# --- groups ----------------------------------------------------------------------------------

X, N = [0, 0, 3, 9, 4, 6, 10, 3], [40, 35, 50, 50, 40, 60, 50, 40]
BY = list("aabbbccc")
WAYS: tuple[dict[str, Any], ...] = (
    {"model": "glmm"},
    {"model": "glmm", "group_tau2": "common"},
    {"model": "common", "method": "likelihood"},
)


def groups(events: list[int] = X, **options: Any) -> SubgroupResult:
    return subgroups(events=events, n=N, by=BY, **options)


@pytest.mark.parametrize("options", WAYS)
def test_a_group_without_events_is_left_out_of_the_test_and_named(options: dict[str, Any]) -> None:
    result = groups(**options)
    assert result.groups["a"].ci == pytest.approx((0.0, UPPER))
    assert result.compared == ("b", "c")
    assert result.test.df == 1
    rest = subgroups(events=X[2:], n=N[2:], by=BY[2:], **options)
    assert pytest.approx(rest.test.statistic, rel=1e-9) == result.test.statistic
    message = {c.code: c.message for c in result.cautions}["no-events-group"]
    assert message.startswith("a (no events): left out of the test")
    assert between_line(result).endswith("(without a)")
    assert result.overall.events == sum(X)
    assert json.dumps(result.to_dict(), allow_nan=False)
    assert result.summary_frame().loc["a", "estimate"] == 0.0
    assert "0.0 to 4.8" in tables.pooled_table(result.groups).text
    plots.subgroup_forest({"Group": result})


@pytest.mark.parametrize("layout", ["book", "jama", "bmj", "revman"])
def test_a_group_without_events_is_drawn_in_every_layout(layout: Any) -> None:
    plots.forest(groups(**WAYS[0]), layout=layout)


def test_an_empty_group_adds_nothing_to_the_joint_likelihood() -> None:
    """Its mean far out, the joint likelihood is that of the others, by quadrature."""
    result = groups(model="glmm", group_tau2="common")
    nodes, weights = np.polynomial.hermite_e.hermegauss(61)

    def minus_loglik(theta: np.ndarray) -> float:
        total = 0.0
        for x, n, g in zip(X, N, BY, strict=True):
            mean = -40.0 if g == "a" else theta["bc".index(g)]
            seen = np.exp(log_binomial(x, n, mean + np.exp(theta[2]) * nodes))
            total += np.log(weights @ seen / weights.sum())
        return -total

    best = scipy.optimize.minimize(minus_loglik, [-2.0, -2.0, -1.5], method="Nelder-Mead",
                                   options={"xatol": 1e-7, "fatol": 1e-11})  # fmt: skip
    assert [result.groups[g].mu for g in "bc"] == pytest.approx(best.x[:2], abs=2e-3)
    assert sum(fit.loglik for _, fit in result) == pytest.approx(-best.fun, abs=2e-3)
    test = result.likelihood_ratio_test()
    assert test.df == 2
    assert "no-events-group" in [c.code for c in test.cautions]


def test_one_group_with_events_leaves_no_test_and_says_so() -> None:
    for tau2 in ("separate", "common"):
        result = subgroups(
            events=[0, 0, 3, 9], n=N[:4], by=list("aabb"), model="glmm", group_tau2=tau2
        )
        assert result.test.df == 0
        assert "fewer than two of them have a finite mean" in result.test.kind
        assert result.common_test() is None or tau2 == "common"
        assert result.to_dict()["test"]["p"] is None
        with pytest.raises(UnsupportedError, match="no test to calibrate"):
            result.calibrated_test()
        plots.forest(result)
        plots.subgroup_forest({"Group": result})
    none = subgroups(events=[0] * 4, n=N[:4], by=list("aabb"), model="glmm")
    assert none.overall.ci.upper == pytest.approx(1 - 0.025 ** (1 / 175))
    assert [fit.ci.upper for _, fit in none] == pytest.approx([UPPER, 1 - 0.025 ** (1 / 100)])
    plots.forest(none)


def test_a_group_whose_studies_lack_what_is_needed_is_named() -> None:
    result = subgroups(
        events=[3, 4, 5, 6, None], n=[40, 50, 60, 50, 30], by=list("aabbc"), model="glmm"
    )
    assert list(result.groups) == ["a", "b"]
    assert "c: no study" in {c.code: c.message for c in result.cautions}["left-out-group"]


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("full", [False, True])
def test_a_multiverse_without_events_is_none_with_the_exact_limit(k: int, full: bool) -> None:
    n = [30, 45, 60][:k]
    for model, options in (("common", {"method": "likelihood"}), ("glmm", {})):
        made = multiverse(
            None,
            {"ci_method": ["wald", "profile"]},
            events=n if full else [0] * k,
            n=n,
            model=model,
            **options,
        )
        frame = made.frame()
        assert set(frame["status"]) == {"ok"}
        upper = 1 - 0.025 ** (1 / sum(n))
        expected = [1.0, 1 - upper, 1.0] if full else [0.0, 0.0, upper]
        for row in frame[["estimate", "ci_lower", "ci_upper"]].to_numpy():
            assert row == pytest.approx(expected, abs=1e-12)
        assert np.isinf(frame["mu"]).all()
        assert frame[["se", "prediction_lower"]].isna().all(axis=None)
        assert (frame["k"] == k).all()
        assert json.dumps(made.to_dict(), allow_nan=False)
        assert made.share("ci_upper < 0.5").count == (0 if full else len(frame))


def test_a_multiverse_of_rates_without_events_has_the_limit_of_a_poisson_count() -> None:
    made = multiverse(
        None, {"level of all": {"kept": None}}, events=[0, 0], time=[30, 45.5], measure="log-rate"
    )
    row = made.frame().iloc[0]
    assert [row["estimate"], row["ci_upper"]] == pytest.approx([0.0, UPPER_RATE])


@pytest.mark.parametrize("tau2", ["separate", "common"])
@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([0, 0, 0, 5, 6, 7], "a: no study has an event"),
        ([5, 6, 7, 0, 0, 0], "b: no study has an event"),
        ([0, 0, 0, 0, 0, 0], "a: no study has an event"),
        ([30, 40, 50, 5, 6, 7], "a: every patient has an event"),
    ],
)
def test_no_difference_from_a_group_without_a_finite_mean(
    tau2: str, events: list[int], words: str
) -> None:
    made = multiverse(
        None,
        {"group_tau2": [tau2], "ci_method": ["wald", "t", None]},
        events=events,
        n=[30, 40, 50, 44, 55, 66],
        model="glmm",
        contrast={"by": list("aaabbb"), "levels": ("a", "b")},
    )
    frame = made.frame()
    assert set(frame["status"]) == {"undefined"}
    assert frame["reason"].str.startswith(words).all()
    assert frame[["difference", "se", "p"]].isna().all(axis=None)


def test_groups_whose_effects_are_alike_have_no_knapp_hartung_test() -> None:
    made = multiverse(
        None,
        {"ci_method": ["knapp-hartung", "knapp-hartung-max1", "wald"]},
        events=[0] * 6,
        n=[30] * 6,
        measure="arcsine",
        group_tau2="common",
        contrast={"by": list("aaabbb"), "levels": ("a", "b")},
    )
    frame = made.frame()
    assert frame["status"].tolist() == ["undefined", "ok", "ok"]
    assert "Knapp-Hartung standard error is zero" in frame["reason"].iloc[0]
    assert frame["difference"].iloc[1:].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("formula", "events", "words"),
    [
        ("arm", [0, 0, 3, 4, 5, 9], "arm = a no study has an event (0 of 75)"),
        ("arm", [3, 4, 0, 0, 5, 9], "arm = b no study has an event (0 of 90)"),
        ("0 + arm", [0, 0, 3, 4, 5, 9], "arm = a no study has an event (0 of 75)"),
        ("arm", [30, 45, 3, 4, 5, 9], "arm = a every patient has an event (75 of 75)"),
        ("late", [3, 4, 5, 9, 0, 0], "late = 1 no study has an event (0 of 130)"),
        (
            "C(late)",
            [0, 0, 0, 0, 4, 5],
            "the first level of C(late) no study has an event (0 of 16",
        ),
    ],
)
def test_a_regression_names_the_level_without_events_and_the_way_on(
    formula: str, events: list[int], words: str
) -> None:
    table = pd.DataFrame(
        {
            "events": events,
            "n": [30, 45, 40, 50, 60, 70],
            "arm": list("aabbcc"),
            "late": [0, 0, 0, 0, 1, 1],
        }
    )
    with pytest.raises(ConvergenceError) as raised:
        meta_regression(table, formula, events="events", n="n", model="glmm", ci_method="wald")
    assert words in str(raised.value)
    column = "late" if "late" in formula else "arm"
    assert f"subgroups(by='{column}', ...)" in str(raised.value)
    # what the message advises works, and gives the limits of Clopper and Pearson
    shown = subgroups(table, by=column, events="events", n="n", model="glmm").groups
    one = [fit for fit in shown.values() if fit.one_sided]
    assert len(one) == 1
    edge = 1 - 0.025 ** (1 / one[0].n)
    assert np.ptp(one[0].ci) == pytest.approx(edge)

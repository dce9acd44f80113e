"""Subgroup results and tests agree with R, and follow from their definition."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference_values as ref

from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.models.subgroup_analysis import SubgroupResult, subgroups

OWN = ("entity", "product", "setting", "line", "inclusion")


def blocks() -> dict[str, dict[str, Any]]:
    """The five groupings of all cohorts and the fourteen published tables."""
    r = ref.load()["subgroups"]
    published = {f"published/{name}": block for name, block in r["published"].items()}
    return {name: r[name] for name in OWN} | published


def run(block: dict[str, Any], **options: Any) -> SubgroupResult:
    levels = block["levels"]
    events = [x for level in levels for x in np.atleast_1d(block["group_xi"][level])]
    n = [x for level in levels for x in np.atleast_1d(block["group_ni"][level])]
    by = [lv for lv in levels for _ in np.atleast_1d(block["group_xi"][lv])]
    return subgroups(events=events, n=n, by=by, **options)


def compare_test(
    agree: ref.Agreement, result: SubgroupResult, r: dict[str, Any], kind: str, path: str
) -> None:
    agree.close(result.test.statistic, r["Q_between"], kind, f"{path}/Q_between")
    agree.close(result.test.df, r["df"], kind, f"{path}/df")
    agree.close(result.test.p, r["p"], kind, f"{path}/p")


@pytest.mark.parametrize(("method", "expected"), [("REML", 647), ("ML", 647), ("DL", 647)])
def test_separate_fits_and_their_test_agree_with_metafor(method: str, expected: int) -> None:
    agree = ref.Agreement()
    kind = "closed" if method == "DL" else "tight"
    for name, block in blocks().items():
        r = block[f"{method}_separate_tau2"]
        result = run(block, tau2_method=method, ci_method="wald")
        for level, fit in result:
            one, path = r["groups"][level], f"{name}/{level}"
            low, high = fit.conf_int(scale="model")
            values = {
                "coef": fit.mu,
                "se": fit.se,
                "ci.lb": low,
                "ci.ub": high,
                "tau2": fit.tau2,
                "QE": fit.heterogeneity.Q,
                "QE.df": fit.heterogeneity.df,
                "QE.p": fit.heterogeneity.p,
                "I2": fit.heterogeneity.I2,
                "H2": fit.heterogeneity.H2,
            }
            for key, value in values.items():
                agree.close(value, one[key], kind, f"{path}/{key}")
        compare_test(agree, result, r["test"], kind, name)
    agree.finish(expected)


def test_knapp_hartung_in_groups_agrees_with_metafor() -> None:
    agree = ref.Agreement()
    for name, block in blocks().items():
        r = block["REML_knha_separate_tau2"]["groups"]
        for level, fit in run(block, ci_method="knapp-hartung"):
            low, high = fit.conf_int(scale="model")
            values = {"coef": fit.mu, "se": fit.se, "ci.lb": low, "ci.ub": high}
            for key, value in values.items():
                agree.close(value, r[level][key], "tight", f"{name}/{level}/{key}")
    agree.finish(236)


def test_common_tau2_agrees_with_metafor() -> None:
    agree = ref.Agreement()
    for name, block in blocks().items():
        r = block["REML_common_tau2"]
        result = run(block, group_tau2="common", model="random", ci_method="wald")
        fits = list(result.groups.values())
        limits = [fit.conf_int(scale="model") for fit in fits]
        agree.close([f.tau2 for f in fits], [r["tau2"]] * len(fits), "tight", f"{name}/tau2")
        agree.close([f.mu for f in fits], r["groups"]["coef"], "tight", f"{name}/coef")
        agree.close([f.se for f in fits], r["groups"]["se"], "tight", f"{name}/se")
        agree.close([lim[0] for lim in limits], r["groups"]["ci.lb"], "tight", f"{name}/lb")
        agree.close([lim[1] for lim in limits], r["groups"]["ci.ub"], "tight", f"{name}/ub")
        agree.close(result.test.statistic, r["QM"], "tight", f"{name}/QM")
        agree.close(result.test.df, r["QM.df"], "tight", f"{name}/QM.df")
        agree.close(result.test.p, r["QM.p"], "tight", f"{name}/QM.p")
    agree.finish(352)


def test_common_effect_by_inverse_variance_agrees_with_metafor() -> None:
    agree = ref.Agreement()
    for name, block in blocks().items():
        r = block["common_effect_inverse_variance"]
        result = run(block, model="common")
        fits = list(result.groups.values())
        agree.close([f.mu for f in fits], r["coef"], "closed", f"{name}/coef")
        agree.close([f.se for f in fits], r["se"], "closed", f"{name}/se")
        within = [f.heterogeneity.Q for f in fits]
        agree.close(within, r["Q_within"], "closed", f"{name}/Q_within")
        compare_test(agree, result, r["test"], "closed", name)
    agree.finish(234)


def test_glmm_groups_agree_with_the_exact_maxima() -> None:
    agree = ref.Agreement()
    for name, block in blocks().items():
        r = block["GLMM_exact"]
        result = run(block, model="glmm", ci_method="wald")
        fits = list(result.groups.values())
        at_zero = False
        for level, fit in result:
            one, path = r["groups"][level], f"{name}/{level}"
            zero = fit.tau2 == 0.0
            at_zero |= zero
            agree.close(fit.mu, one["coef"], "glmm", f"{path}/coef")
            agree.close(fit.se, one["se"], "boundary" if zero else "glmm", f"{path}/se")
            agree.close(fit.tau2, one["tau2"], "glmm", f"{path}/tau2")
            if "loglik" in one:
                agree.close(fit.loglik, one["loglik"], "glmm", f"{path}/loglik")
            if zero:
                x, n = fit.events, fit.n
                agree.close(fit.se, (1 / x + 1 / (n - x)) ** 0.5, "closed", f"{path}/closed form")
        kind = "boundary" if at_zero else "glmm"
        agree.close([f.estimate for f in fits], r["proportion"], "glmm", f"{name}/proportion")
        agree.close([f.ci[0] for f in fits], r["proportion.lb"], kind, f"{name}/lb")
        agree.close([f.ci[1] for f in fits], r["proportion.ub"], kind, f"{name}/ub")
        compare_test(agree, result, r["test"], kind, name)
    agree.finish(495)


def test_common_effect_likelihood_agrees_with_the_closed_form() -> None:
    agree = ref.Agreement()
    for name, block in blocks().items():
        r = block["common_effect_binomial"]
        result = run(block, model="common", method="likelihood")
        fits = list(result.groups.values())
        limits = [fit.ci for fit in fits]
        agree.close([f.mu for f in fits], r["coef"], "closed", f"{name}/coef")
        agree.close([f.se for f in fits], r["se"], "closed", f"{name}/se")
        agree.close([f.estimate for f in fits], r["proportion"], "closed", f"{name}/proportion")
        agree.close([ci.lower for ci in limits], r["proportion.lb"], "closed", f"{name}/lb")
        agree.close([ci.upper for ci in limits], r["proportion.ub"], "closed", f"{name}/ub")
        compare_test(agree, result, r["test"], "closed", name)
    agree.finish(352)


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cohort": list("abcdefg"),
            "deaths": [3, 8, 16, 2, 5, 9, 1],
            "patients": [40, 60, 50, 90, 70, 80, 30],
            "entity": pd.Categorical(
                ["y", "x", "x", "y", None, "y", "x"], categories=["x", "empty", "y"]
            ),
        }
    )


def of_table(**options: Any) -> SubgroupResult:
    return subgroups(table(), by="entity", events="deaths", n="patients", study="cohort", **options)


def test_groups_follow_the_order_of_the_categories_and_empty_ones_are_dropped() -> None:
    result = of_table(model="glmm")
    assert list(result.groups) == ["x", "y"]
    assert result.by == "entity"
    frame = result.summary_frame()
    assert frame.index.name == "entity"
    assert frame["k"].tolist() == [3, 3]
    assert frame["events"].tolist() == [25, 14]
    assert {"n", "estimate", "ci_lower", "ci_upper", "tau2", "I2"} <= set(frame.columns)


def test_a_study_without_a_group_stays_visible_with_the_reason() -> None:
    result = of_table()
    row = result.overall.studies.loc["e"]
    assert not row["included"]
    assert row["reason"] == "entity missing"
    assert result.overall.k == 6


def test_groups_of_the_test_are_the_fits_of_their_studies_alone() -> None:
    from helpers.models.pooling import pool

    data = table().loc[lambda d: d["entity"] == "x"]
    alone = pool(data, events="deaths", n="patients", study="cohort", model="glmm")
    assert of_table(model="glmm").groups["x"].mu == pytest.approx(alone.mu, rel=1e-12)


def test_a_group_of_one_study_keeps_its_own_estimate_with_a_caution() -> None:
    for model in ("glmm", "random", "common"):
        result = subgroups(
            events=[3, 8, 16], n=[40, 60, 50], by=["a", "b", "b"], model=model, measure="logit"
        )
        one = result.groups["a"]
        assert one.mu == pytest.approx(np.log(3 / 37))
        assert one.se == pytest.approx((1 / 3 + 1 / 37) ** 0.5)
        assert one.tau2 == 0.0
        assert "single-study" in [c.code for c in one.cautions]
        assert "single-study-group" in [c.code for c in result.cautions]


def test_groups_are_read_only() -> None:
    result = of_table()
    with pytest.raises(TypeError):
        result.groups["x"] = result.overall  # type: ignore[index]


def test_impossible_comparisons_are_refused() -> None:
    with pytest.raises(MetaAnalysisError, match="at least 2 groups"):
        subgroups(events=[1, 2], n=[9, 9], by=["a", "a"])
    with pytest.raises(MetaAnalysisError, match="no column 'disease'"):
        subgroups(table(), by="disease", events="deaths", n="patients")
    with pytest.raises(MetaAnalysisError, match="3 values for 2 studies"):
        subgroups(events=[1, 2], n=[9, 9], by=["a", "b", "b"])
    with pytest.raises(UnsupportedError, match="separate, common"):
        of_table(group_tau2="pooled")
    with pytest.raises(UnsupportedError, match="tau2='common': a fixed"):
        of_table(tau2="common", model="random")
    with pytest.raises(UnsupportedError, match=r"tau2=0\.1 was given to each"):
        of_table(tau2=0.1, model="random", group_tau2="common")
    with pytest.raises(UnsupportedError, match="no meaning for model='common'"):
        of_table(group_tau2="common", model="common")


def test_a_variance_may_be_given_to_all_groups() -> None:
    result = of_table(tau2=0.1, model="random")
    assert {fit.tau2 for _, fit in result} == {0.1}
    assert result.common_test() is None
    mu = np.array([fit.mu for _, fit in result])
    w = np.array([1 / np.sum(1 / (f.data.vi[f.data.included] + 0.1)) for _, f in result]) ** -1
    assert result.test.statistic == pytest.approx(float(w @ (mu - w @ mu / w.sum()) ** 2))


def test_the_door_gives_the_function_whatever_was_imported_before() -> None:
    code = (
        "from helpers import subgroups\n"
        "print(subgroups(events=[1, 2], n=[9, 9], by=['a', 'b']).test.df)\n"
        "import helpers, helpers.models.subgroup_analysis as module\n"
        "print(helpers.subgroups is module.subgroups is subgroups)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "True"]

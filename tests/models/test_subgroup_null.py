"""The test between groups is calibrated by data without a difference, and words follow it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.special
import scipy.stats

from helpers import load_cohorts, printing, shared_results
from helpers.engine.options import resolve
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.models import subgroup_null
from helpers.models.pooling import pool, pool_effects
from helpers.models.subgroup_analysis import SubgroupResult, subgroups
from helpers.review import plots
from helpers.views.plots.note import note_of
from helpers.views.subgroup_sentences import between_line, between_verdict

COLUMNS = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}


def of_book(by: str = "entity", **options: str) -> SubgroupResult:
    choices = {"model": "glmm", "ci_method": "wald", **options}
    return subgroups(load_cohorts(), by=by, **COLUMNS, **choices)


def test_the_published_test_rejects_too_often_and_its_calibrated_p_is_far_larger() -> None:
    """A second simulation, of 100 tables by single fits and its own random numbers, agrees.

    Within four standard errors of both together; the chi-squared test rejects in 16.6% of 2,000.
    """
    result = of_book()
    found = result.calibrated_test()
    assert result.test.p == pytest.approx(0.0259, abs=5e-5)
    data = load_cohorts()
    rng = np.random.default_rng(77)
    n = data["patients"].to_numpy()
    draws, pooled = 100, pool(data, **COLUMNS, model="glmm", ci_method="wald")
    p = np.empty(draws)
    for i in range(draws):
        theta = pooled.mu + pooled.tau2**0.5 * rng.standard_normal(n.size)
        x = rng.binomial(n, scipy.special.expit(theta))
        fits = [
            pool(events=x[rows], n=n[rows], model="glmm", ci_method="wald")
            for rows in (data["entity"] == level for level in result.groups)
        ]
        mu, w = np.array([f.mu for f in fits]), np.array([f.se**-2 for f in fits])
        finite = np.isfinite(mu)
        mu, w = mu[finite], w[finite]
        p[i] = scipy.stats.chi2.sf(w @ (mu - w @ mu / w.sum()) ** 2, finite.sum() - 1)
    for share, ours, error in (
        ((p < 0.05).mean(), found.rejection, found.rejection_mcse),
        ((p <= result.test.p).mean(), found.p, found.p_mcse),
    ):
        assert share == pytest.approx(
            ours, abs=4 * np.hypot(error, (ours * (1 - ours) / draws) ** 0.5)
        )
    assert found.rejection - 4 * found.rejection_mcse > 0.1
    assert found.p - 4 * found.p_mcse > 0.05 > result.test.p
    assert (found.draws, found.failed) == (1000, 0)
    assert found.p == (1 + found.extreme) / 1001
    for ours, error in ((found.rejection, found.rejection_mcse), (found.p, found.p_mcse)):
        assert error == pytest.approx(scipy.stats.binom(1000, ours).std() / 1000)


def test_all_who_ask_about_the_same_groups_share_one_simulation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the interval, the level, the order of the groups, and in whichever process."""
    monkeypatch.setenv(shared_results.FOLDER, str(tmp_path))
    monkeypatch.setenv(shared_results.STATE, "this test")
    cohorts = load_cohorts()
    last_first = cohorts["entity"].cat.reorder_categories(cohorts["entity"].cat.categories[::-1])
    turned = cohorts.assign(entity=last_first)
    found = []
    for data, options in (
        (cohorts, {"ci_method": "wald"}),
        (cohorts, {"ci_method": "t"}),
        (turned, {"level": 0.9}),
    ):
        subgroup_null.null_p_values.cache_clear()  # as in another process
        result = subgroups(data, by="entity", model="glmm", **COLUMNS, **options)
        found.append(result.calibrated_test(40))
    assert len(list(tmp_path.glob("*.pickle"))) == 1
    assert len({(one.p, one.rejection, one.extreme) for one in found}) == 1
    result.calibrated_test(40, seed=2)
    assert len(list(tmp_path.glob("*.pickle"))) == 2


def test_the_calibrated_test_keeps_its_level() -> None:
    """200 null tables with groups of 9, 3 and 3: at 10% within four standard errors.

    The chi-squared p-values of the same tables reject too often.
    """
    rng = np.random.default_rng(5)
    vi, by = rng.uniform(0.02, 0.2, 15), ["a"] * 9 + ["b"] * 3 + ["c"] * 3
    plain, own, tables, level = [], [], 200, 0.1
    for _ in range(tables):
        yi = rng.normal(-2.5, np.sqrt(vi + 0.25))
        result = subgroups(yi=yi, vi=vi, by=by, tau2_method="DL", ci_method="wald")
        plain.append(result.test.p)
        own.append(result.calibrated_test(200).p)
    band = 4 * (level * (1 - level) / tables) ** 0.5
    assert np.mean(np.array(own) < level) == pytest.approx(level, abs=band)
    assert np.mean(np.array(plain) < level) > level + band / 2


def test_the_order_of_groups_does_not_matter_to_the_draws() -> None:
    x, n, by = [3, 8, 5, 16, 2, 9], [40, 60, 50, 70, 90, 70], list("ababab")
    first, turned = (
        subgroups(
            events=x, n=n, by=pd.Categorical(by, categories=order), model="glmm"
        ).calibrated_test(300)
        for order in (["a", "b"], ["b", "a"])
    )
    assert (first.p, first.rejection) == (turned.p, turned.rejection)


def test_with_many_studies_a_group_the_two_p_values_agree() -> None:
    rng = np.random.default_rng(11)
    v = rng.uniform(0.05, 0.2, 120)
    y = rng.normal(0, np.sqrt(v + 0.1)) + 0.15 * np.repeat([0, 1], 60)
    result = subgroups(yi=y, vi=v, by=["a"] * 60 + ["b"] * 60, ci_method="wald")
    found = result.calibrated_test()
    assert found.p == pytest.approx(result.test.p, abs=4 * found.p_mcse)
    assert found.rejection == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / 1000) ** 0.5)


@pytest.mark.parametrize(
    "options",
    [
        {"model": "random", "measure": "raw"},
        {"model": "random", "measure": "double-arcsine"},
        {"model": "random", "to": "if0all"},
        {"model": "common"},
        {"model": "common", "method": "likelihood"},
        {"model": "glmm"},
    ],
)
def test_every_model_has_a_calibrated_test(options: dict[str, str]) -> None:
    x, n = [3, 8, 5, 16, 2, 9, 4, 0], [40, 60, 50, 70, 90, 70, 50, 40]
    for kind in ("proportion", "rate"):
        if kind == "rate" and options.get("measure"):
            continue
        size = {"n": n} if kind == "proportion" else {"time": n, "measure": "log-rate"}
        result = subgroups(events=x, by=list("aaaabbbb"), **{**size, **options})
        again = result.calibrated_test(200)
        assert 1 / 201 <= again.p <= 1
        assert again == result.calibrated_test(200)
        assert again.failed < 20
        plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
        assert 0 < plain["calibrated_test"]["p"] <= 1
        assert (plain["common_test"] is None) == (options["model"] == "common")


def test_the_test_with_one_variance_is_that_of_a_joint_fit() -> None:
    result = of_book()
    common = of_book(group_tau2="common")
    assert result.common_test() == common.test
    assert common.common_test() == common.test
    assert result.with_group_tau2("common").summary_frame().equals(common.summary_frame())
    assert common.with_group_tau2("separate").test == result.test
    line = between_line(result)
    own = printing.p_value(result.calibrated_test().p)
    for words in ("p\xa0=\xa00.026", f"calibrated {own}", "for all groups p\xa0=\xa00.15"):
        assert words in line
    with pytest.raises(UnsupportedError, match="draws=0"):
        result.calibrated_test(0)
    with pytest.raises(UnsupportedError, match="alpha=2"):
        result.calibrated_test(alpha=2)


def test_more_than_chance_is_said_of_strong_tests_of_sound_groups_only() -> None:
    """Whoever has fewer than five studies, or tau2 at zero, is named instead."""
    rng = np.random.default_rng(4)
    v = np.full(24, 0.02)

    def verdict(gap: float, sizes: tuple[int, int], noise: float) -> str:
        k = sum(sizes)
        first = np.arange(k) < sizes[0]
        y = np.where(first, 0.0, gap) + noise * np.resize([-1.0, 1.0], k)
        y = y + 1e-3 * rng.standard_normal(k)
        by = np.where(first, "a", "b")
        return between_verdict(subgroups(yi=y, vi=v[:k], by=by, ci_method="wald"))

    assert "more than chance would explain" in verdict(2.0, (12, 12), 0.4)
    assert "more than chance" not in verdict(0.01, (12, 12), 0.4)
    few = verdict(2.0, (12, 4), 0.4)
    assert "more than chance" not in few
    assert "b has fewer than five studies" in few
    zero = verdict(2.0, (12, 12), 0.001)
    assert "more than chance" not in zero
    assert "estimated as zero, its boundary" in zero


@pytest.mark.parametrize("by", ["entity", "product"])
def test_no_figure_of_small_groups_says_more_than_chance(by: str) -> None:
    result = of_book(by)
    note = note_of(plots.forest(result))
    found = result.calibrated_test()
    for text in (note.alt, note.caption):
        assert "more than chance" not in text
        assert f"in {found.extreme} of 1,000 simulated" in text
    assert "calibrated" in note.table.html
    assert "calibrated" in note_of(plots.subgroup_forest({"Group": result})).caption


# --- effects, and groups by two columns ----------------------------------------------------------


def test_effects_are_compared_like_the_counts_they_come_from() -> None:
    x, n = np.array([3, 8, 5, 16, 2, 9]), np.array([40, 60, 50, 70, 90, 70])
    y, v, by = np.log(x / (n - x)), 1 / x + 1 / (n - x), list("aaabbb")
    table = pd.DataFrame({"y": y, "v": v, "g": by, "name": list("uvwxyz")})
    result = subgroups(table, by="g", yi="y", vi="v", study="name", ci_method="wald")
    counts = subgroups(events=x, n=n, by=by, model="random", ci_method="wald")
    assert pytest.approx(counts.test.statistic) == result.test.statistic
    assert result.groups["b"].mu == pytest.approx(counts.groups["b"].mu)
    alone = pool_effects(y[:3], v[:3], ci_method="wald")
    assert result.groups["a"].ci == pytest.approx(alone.ci)
    assert result.overall.data.labels == tuple("uvwxyz")
    plots.forest(result)
    for wrong in ({"yi": y}, {"yi": y, "vi": v, "events": x}, {}):
        with pytest.raises(MetaAnalysisError, match="yi and vi"):
            subgroups(by=by, **wrong)


def test_two_columns_group_by_their_combinations() -> None:
    data = load_cohorts()
    result = subgroups(data, by=["entity", "setting"], **COLUMNS, model="glmm", ci_method="wald")
    counted = data.groupby(["entity", "setting"], observed=True)["nonrelapse_deaths"].sum()
    assert {name: fit.events for name, fit in result} == {
        f"{a} × {b}": float(x) for (a, b), x in counted.items()
    }
    assert result.by == "entity × setting"
    assert list(result.groups)[:2] == ["LBCL × trial", "LBCL × real-world"]
    gone = data.assign(setting=data["setting"].where(data["cohort"] != data["cohort"].iloc[3]))
    left = subgroups(gone, by=["entity", "setting"], **COLUMNS, model="common")
    assert left.overall.k == len(data) - 1
    with pytest.raises(MetaAnalysisError, match="several columns"):
        subgroups(by=data[["entity", "setting"]], events=[1] * 52, n=[9] * 52)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"model": "random"}, "groups of effects"),
        ({"model": "glmm", "group_tau2": "separate"}, "groups of counts"),
    ],
)
def test_the_cost_that_is_said_is_that_of_the_model(options, kind, monkeypatch) -> None:
    said = []
    monkeypatch.delenv(shared_results.FOLDER, raising=False)  # an earlier run may have computed it
    monkeypatch.setattr(subgroup_null, "announce", lambda *words: said.append(words))
    result = subgroups(
        events=[3, 8, 5, 9, 2, 7], n=[40, 61, 50, 70, 33, 58], by=list("aabbab"), **options
    )  # fmt: skip
    result.calibrated_test(21, seed=5)
    assert said == [(kind, 21, 6)]


@pytest.mark.parametrize(
    ("measure", "transform"), [("logit", scipy.special.logit), ("log-rate", np.log)]
)
def test_simulated_studies_are_draws_of_the_one_model(measure, transform) -> None:
    """Studies so large that chance within them is nothing show the normal distribution itself."""
    mu, tau, size = -2.0, 0.4, 1e8
    setting = subgroup_null._Setting(
        codes=(0, 0, 1), size=(size,) * 3, vi=None, options=resolve(measure=measure, model="glmm"),
        shared=False, mu=mu, tau2=tau**2, draws=2000, seed=1,
    )  # fmt: skip
    theta = transform(subgroup_null._draw_counts(setting) / size)
    assert theta.shape == (2000, 3)
    for study in theta.T:
        assert scipy.stats.kstest(study, scipy.stats.norm(mu, tau).cdf).pvalue > 0.001
    assert np.abs(np.corrcoef(theta.T) - np.eye(3)).max() < 4 / 2000**0.5

"""What is asked of subgroups after the fit: R, regressions on indicators, single public refits."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from reference_values import COLUMNS, Agreement, load, study_table

from helpers import meta_regression, pool, subgroups
from helpers.engine.counts.optimise import FitStatus
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.models.subgroup_result import SubgroupResult

TABLE = pd.DataFrame(
    {
        "study": [f"S{i}" for i in range(12)],
        "x": [1, 3, 9, 14, 2, 4, 6, 5, 12, 17, 4, 3],
        "n": [60, 80, 70, 90, 50, 45, 75, 70, 66, 80, 75, 40],
        "group": list("bababbabbaba"),
        "place": list("aaabbcccddee"),
        "pair": list("aabbcfcdedge"),  # at most one study of each group
        "year": [2018, 2019, 2018, 2021, 2022, 2020, 2021, 2019, 2023, 2022, 2020, 2021],
    }
)
COUNTS: dict[str, Any] = {"events": "x", "n": "n", "study": "study"}
RATES: dict[str, Any] = {"events": "x", "time": "n", "study": "study", "measure": "log-rate"}
#: Every way to fit groups that can have a variance in common, by the columns that it takes.
WAYS: dict[str, dict[str, Any]] = {
    "REML": {**COUNTS, "model": "random", "ci_method": "wald"},
    "DL, t": {**COUNTS, "model": "random", "tau2_method": "DL", "ci_method": "t"},
    "Knapp-Hartung": {**COUNTS, "model": "random", "ci_method": "knapp-hartung"},
    "by default": {**COUNTS, "model": "random"},
    "binomial": {**COUNTS, "model": "glmm"},
    "rates": {**RATES, "model": "glmm"},
    "rates, inverse variance": {**RATES, "model": "random", "ci_method": "wald"},
}
COMMON_EFFECTS: dict[str, dict[str, Any]] = {
    "common effect": {**COUNTS, "model": "common"},
    "common rate": {**COUNTS, "model": "common", "method": "likelihood"},
}
WAYS_APART = WAYS | COMMON_EFFECTS


def split(name: str, table: pd.DataFrame = TABLE, **more: Any) -> SubgroupResult:
    return subgroups(table, by="group", **{**WAYS_APART[name], **more})


def indicators(name: str, table: pd.DataFrame = TABLE) -> Any:
    return meta_regression(table, "C(group) - 1", **WAYS[name])


def named(table: pd.DataFrame) -> pd.DataFrame:
    """A table of the regression with the names of the groups."""
    return table.rename(columns=lambda c: c.replace("C(group)[", "").replace("])", ")").rstrip("]"))


# --- one variance for all groups: the regression on indicators -----------------------------------


def in_order(table: pd.DataFrame = TABLE) -> pd.DataFrame:
    """The same studies with the groups as categories, in the order that formulas take."""
    return table.assign(group=pd.Categorical(table["group"]))


@pytest.mark.parametrize("name", WAYS)
def test_with_a_common_variance_everything_is_of_the_regression_on_indicators(name: str) -> None:
    groups = split(name, in_order(), group_tau2="common")
    regression = indicators(name)
    for by in (None, TABLE["place"].to_list()):
        ours, theirs = groups.influence(by), regression.influence(by)
        pd.testing.assert_frame_equal(ours.frame(), named(theirs.frame()))
        assert ours.rules == theirs.rules
        pd.testing.assert_frame_equal(groups.baujat(by), regression.baujat(by))
    clouds, whole = groups.gosh(200), regression.gosh(200)
    for kind in ("parametric", "nonparametric"):
        drawn, as_regression = groups.bootstrap(60, kind), regression.bootstrap(60, kind)
        assert list(drawn.drawn) == ["a", "b", "tau2"]
        assert drawn.failures == as_regression.failures
        for own, other in zip(drawn.drawn.values(), as_regression.drawn.values(), strict=True):
            np.testing.assert_array_equal(own, other)
        for group in "ab":
            for way in ("percentile", "studentised"):
                theirs = as_regression.conf_int(f"C(group)[{group}]", way)
                assert drawn.conf_int(group, way) == theirs
    for group in "ab":
        cloud = whole.coefficient(f"C(group)[{group}]")
        np.testing.assert_array_equal(clouds[group].mu, cloud.mu)
        np.testing.assert_array_equal(clouds[group].tau2, cloud.tau2)


@pytest.mark.parametrize(
    ("model", "ci_method"), [("glmm", "profile"), ("random", "knapp-hartung-wider")]
)
def test_an_interval_that_no_regression_has_leaves_the_errors_of_the_model(
    model: str, ci_method: str
) -> None:
    asked, plain = (
        subgroups(TABLE, by="group", **COUNTS, model=model, ci_method=way, group_tau2="common")
        for way in (ci_method, "wald")
    )
    pd.testing.assert_frame_equal(asked.influence().frame(), plain.influence().frame())


# --- a variance for each group -------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["common", "separate"])
def test_influence_is_that_of_r(kind: str) -> None:
    agree, theirs = Agreement(), load("influence_r.json")["subgroups"][kind]
    groups = subgroups(
        study_table().iloc[24:40].assign(Setting=lambda table: pd.Categorical(table["Setting"])),
        by="Setting",
        model="random",
        ci_method="wald",
        group_tau2=kind,
        **COLUMNS,
    )
    result, close = groups.influence(), "tight" if kind == "common" else "rma.mv"
    rows = {"rstudent": "rstudent", "cook.d": "cook_d", "hat": "leverage"}
    if kind == "common":
        rows |= {"dffits": "dffits", "cov.r": "cov_ratio", "tau2.del": "tau2_deleted"}
        rows |= {"QE.del": "Q_deleted", "weight": "weights"}
        moved = groups.baujat()
        for column in ("contribution", "influence"):
            agree.close(moved[column], theirs[column], close, column)
    for name, ours in rows.items():
        agree.close(getattr(result, ours), np.array(theirs[name], dtype=float), close, name)
    for group, values in zip(result.coefficients, result.dfbetas.T, strict=True):
        agree.close(values, theirs["dfbs"][f"Setting{group}"], close, f"dfbs {group}")
    agree.finish(16 * (12 if kind == "common" else 5))


@pytest.mark.parametrize("name", WAYS_APART)
def test_the_diagnostics_of_a_study_are_those_in_its_own_group(name: str) -> None:
    groups = split(name)
    result, moved = groups.influence(), groups.baujat()
    frame = result.frame()
    assert list(frame.index) == list(TABLE["study"]) == list(moved.index)
    assert (result.model, result.k, result.unit) == (groups.options.model, 12, "study")
    assert result.coefficients == ("b", "a")
    by_place = pd.Series(TABLE["place"].to_numpy(), index=TABLE["study"], name="place")
    assert (
        groups.influence(by_place).frame().index.name
        == "place"
        == groups.baujat(by_place).index.name
    )
    for group, other in ("ab", "ba"):
        own = groups.groups[group].influence().frame()
        rows = frame.loc[own.index]
        same = "rstudent dffits cook_d cov_ratio tau2_deleted Q_deleted leverage".split()
        pd.testing.assert_frame_equal(rows[same], own[same])
        np.testing.assert_array_equal(rows[f"dfbetas({group})"], own["dfbetas"])
        assert (rows[f"dfbetas({other})"] == 0.0).all()
        pd.testing.assert_frame_equal(moved.loc[own.index], groups.groups[group].baujat())
    assert frame["leverage"].sum() == pytest.approx(2.0)
    information = {name: fit.se_model**-2.0 for name, fit in groups}
    share = TABLE["group"].map(information).to_numpy() / sum(information.values())
    np.testing.assert_allclose(frame["weight"], 100.0 * share * frame["leverage"])
    if not name.startswith(("binomial", "rates", "common rate")):
        tau2 = TABLE["group"].map({name: fit.tau2 for name, fit in groups}).to_numpy()
        inverse = 1.0 / (groups.overall.data.vi + tau2)
        np.testing.assert_allclose(frame["weight"], 100.0 * inverse / inverse.sum())
    assert [rule.threshold for rule in result.rules][::2] == pytest.approx([3 * 0.2**0.5, 0.5])


@pytest.mark.parametrize("name", WAYS_APART)
@pytest.mark.parametrize("by", [None, "place", "pair"])
def test_distances_are_those_of_the_refits_of_both_groups(name: str, by: str | None) -> None:
    """From the groups fitted anew without each study, or each cluster of studies of both groups."""
    groups, clusters = split(name), TABLE["study" if by is None else by]
    frame = groups.influence(clusters.to_list()).frame()
    moved = groups.baujat(clusters.to_list())
    for unit in clusters.unique():
        rest = split(name, TABLE[clusters != unit])
        distance, influence, ratio = 0.0, 0.0, 1.0
        for group in "ab":
            all_of, some = groups.groups[group], rest.groups[group]
            # with the interval of all, as leave-one-out has it: the number of studies decides it
            if some.ci_method != all_of.ci_method:
                some = split(name, TABLE[clusters != unit], ci_method=all_of.ci_method)
                some = some.groups[group]
            distance += ((all_of.mu - some.mu) / all_of.se) ** 2
            influence += ((all_of.mu - some.mu) / some.se_model) ** 2
            ratio *= (some.se / all_of.se) ** 2
        assert frame.loc[unit, "cook_d"] == pytest.approx(distance, rel=1e-6, abs=1e-9)
        assert frame.loc[unit, "cov_ratio"] == pytest.approx(ratio, rel=1e-6)
        assert moved.loc[unit, "influence"] == pytest.approx(influence, rel=1e-6, abs=1e-9)
        touched = TABLE.loc[clusters == unit, "group"].unique()
        q = sum(rest.groups[group].heterogeneity.Q for group in touched)
        assert frame.loc[unit, "Q_deleted"] == pytest.approx(q, rel=1e-7)
        if len(touched) == 1:
            tau2 = rest.groups[touched[0]].tau2
            assert frame.loc[unit, "tau2_deleted"] == pytest.approx(tau2, rel=1e-5, abs=1e-8)
        else:
            assert np.isnan(frame.loc[unit, "tau2_deleted"])
    for column in ("rstudent", "dffits"):
        assert frame[column].notna().to_list() == [by is None] * len(frame)
    alone = groups.baujat()["contribution"].groupby(clusters.to_numpy()).sum()
    pd.testing.assert_series_equal(
        moved["contribution"], alone[moved.index], check_names=False, rtol=1e-12
    )


@pytest.mark.parametrize("group_tau2", ["separate", "common"])
def test_neither_the_order_of_the_studies_nor_of_the_groups_matters(group_tau2: Any) -> None:
    mixed = TABLE.iloc[::-1]
    for name in ("REML", "binomial"):
        ours, turned = (split(name, table, group_tau2=group_tau2) for table in (TABLE, mixed))
        frame, other = ours.influence().frame(), turned.influence().frame()
        pd.testing.assert_frame_equal(
            frame, other.loc[frame.index, frame.columns], check_exact=False, rtol=1e-6
        )


@pytest.mark.parametrize("group_tau2", ["separate", "common"])
@pytest.mark.parametrize("name", ["REML", "binomial", "rates"])
def test_a_group_of_one_study_has_no_diagnostics_but_a_flag(name: str, group_tau2: Any) -> None:
    table = TABLE.assign(group=["c", *TABLE["group"][1:]])
    groups = split(name, table, group_tau2=group_tau2)
    frame, moved = groups.influence().frame(), groups.baujat()
    first = frame.iloc[0]
    lost = "rstudent dffits cook_d cov_ratio tau2_deleted Q_deleted dfbetas(c)".split()
    assert first[lost].isna().all()
    assert not first["converged"]
    assert first["leverage"] == pytest.approx(1.0)
    assert frame.iloc[1:].notna().all(axis=None)
    assert list(moved["influence"].isna()) == [True, *[False] * 11]
    assert moved["contribution"].notna().all()


@pytest.mark.parametrize("group_tau2", ["separate", "common"])
@pytest.mark.parametrize("name", ["REML", "binomial"])
def test_a_cluster_that_is_a_whole_group_has_a_contribution_alone(
    name: str, group_tau2: Any
) -> None:
    table = TABLE.assign(group=["c", "d", "d", *TABLE["group"][3:]])
    groups = split(name, table, group_tau2=group_tau2)
    frame, moved = (ask(table["group"].to_list()) for ask in (groups.influence, groups.baujat))
    assert not frame.frame()["converged"].any()
    np.testing.assert_allclose(frame.leverage, 1.0)
    assert not moved["converged"].any()
    assert moved["influence"].isna().all()
    each = groups.baujat()["contribution"].groupby(table["group"].to_numpy()).sum()
    np.testing.assert_allclose(moved["contribution"], each[moved.index], atol=1e-9)


def test_a_study_that_has_all_events_of_its_group_is_flagged() -> None:
    x = np.where(TABLE["group"] == "b", 0, TABLE["x"])
    x[2] = 9
    groups = split("binomial", TABLE.assign(x=x))
    for table in (groups.influence().frame(), groups.baujat()):
        assert list(table.index[~table["converged"].to_numpy(bool)]) == ["S2"]


def without_events() -> pd.DataFrame:
    """Three studies without an event are a group of their own."""
    quiet = pd.DataFrame({"study": list("pqr"), "x": 0, "n": [20, 30, 25], "group": "none"})
    return pd.concat([TABLE, quiet], ignore_index=True)


@pytest.mark.parametrize("group_tau2", ["separate", "common"])
@pytest.mark.parametrize("name", ["binomial", "rates"])
def test_a_group_without_events_is_left_out(name: str, group_tau2: Any) -> None:
    groups = split(name, without_events(), group_tau2=group_tau2)
    bare = split(name, group_tau2=group_tau2)
    assert groups.compared == ("b", "a")
    pd.testing.assert_frame_equal(groups.influence().frame(), bare.influence().frame())
    pd.testing.assert_frame_equal(groups.baujat(), bare.baujat())
    # the clusters are those of all studies given
    clusters = [*TABLE["place"], "e", "f", "f"]
    by_place = bare.influence(TABLE["place"].to_list()).frame()
    pd.testing.assert_frame_equal(groups.influence(clusters).frame(), by_place)
    assert list(groups.gosh(50)) == ["b", "a"]
    drawn, other = groups.bootstrap(40), bare.bootstrap(40)
    assert list(drawn.drawn) == list(other.drawn)
    for values, same in zip(drawn.drawn.values(), other.drawn.values(), strict=True):
        np.testing.assert_array_equal(values, same)
    test, same_test = groups.permutation_test(40), bare.permutation_test(40)
    np.testing.assert_array_equal(test.omnibus_statistics, same_test.omnibus_statistics)


def test_one_group_with_events_is_as_a_pooled_result() -> None:
    one = without_events().assign(group=["all"] * 12 + ["none"] * 3)
    pooled = pool(TABLE, **COUNTS, model="glmm")
    groups = split("binomial", one)
    frame = groups.influence().frame()
    np.testing.assert_array_equal(frame.to_numpy(), pooled.influence().frame().to_numpy())
    pd.testing.assert_frame_equal(groups.baujat(), pooled.baujat())
    np.testing.assert_array_equal(groups.gosh(30)["all"].mu, pooled.gosh(30).mu)
    assert groups.bootstrap(50).conf_int("all") == pooled.bootstrap(50).conf_int(scale="model")
    with pytest.raises(UnsupportedError, match="nothing to permute: no test between groups"):
        groups.permutation_test()


def test_without_a_finite_mean_there_is_nothing_to_ask() -> None:
    groups = split("binomial", TABLE.assign(x=0))
    for ask in ("influence", "baujat", "gosh", "bootstrap", "permutation_test"):
        with pytest.raises(UnsupportedError, match="needs a finite mean"):
            getattr(groups, ask)()
    assert groups.cumulative()["note"].iloc[0] == "no study is yet in a"


def test_a_group_that_did_not_converge_is_refused() -> None:
    groups = split("REML")
    failed = {**groups.groups, "a": replace(groups.groups["a"], converged=False)}
    for ask in ("influence", "baujat", "gosh", "bootstrap", "permutation_test"):
        with pytest.raises(UnsupportedError, match="needs a fit that converged; this one did not"):
            getattr(replace(groups, groups=failed), ask)()


def test_where_each_group_is_one_study_none_can_be_left_out() -> None:
    alone = split("REML", TABLE.assign(group=TABLE["study"]))
    for ask in (alone.influence, alone.baujat, alone.gosh):
        with pytest.raises(UnsupportedError, match="a group with at least 2 studies; each has one"):
            ask()
    assert alone.bootstrap(30).failed == 0
    assert alone.permutation_test(19).p == 1.0
    table = alone.cumulative()
    assert table["df"].to_list() == list(range(12))
    assert table["estimate(S3)"].isna().to_list() == [True] * 3 + [False] * 9


# --- accumulation --------------------------------------------------------------------------------


@pytest.mark.parametrize("group_tau2", ["separate", "common"])
@pytest.mark.parametrize("name", WAYS)
def test_every_step_of_an_accumulation_is_a_comparison_of_its_own(
    name: str, group_tau2: Any
) -> None:
    groups = split(name, group_tau2=group_tau2)
    table = groups.cumulative(TABLE["year"].to_list(), ascending=False)
    ordered = TABLE.sort_values("year", ascending=False, kind="stable")
    assert list(table.index) == list(ordered["study"])
    assert list(table["k"]) == list(range(1, 13))
    for step in (3, 6, 11):
        row, some = table.iloc[step], ordered.iloc[: step + 1]
        own = split(name, some, group_tau2=group_tau2)
        assert row["p"] == pytest.approx(own.test.p, rel=1e-6)
        for group, fit in own:
            method = groups.groups[group].ci_method
            low, high = fit.conf_int(method if fit.k > 1 else None)
            found = row[[f"estimate({group})", f"ci_lower({group})", f"ci_upper({group})"]]
            np.testing.assert_allclose(found.astype(float), [fit.estimate, low, high], rtol=1e-6)
    pd.testing.assert_series_equal(
        table.iloc[-1].drop("note"), groups.cumulative().iloc[-1].drop("note"), check_names=False
    )
    assert table["df"].iloc[0] == 0
    assert table["note"].iloc[0] != ""
    assert (table["note"].iloc[4:] == "").all()
    with pytest.raises(MetaAnalysisError, match="not a column of the studies"):
        groups.cumulative("country")


# --- subsets and the bootstrap -------------------------------------------------------------------


def test_subsets_of_a_group_are_those_of_its_own_result() -> None:
    table = TABLE.assign(group=["c", *TABLE["group"][1:]])
    groups = split("binomial", table)
    clouds = groups.gosh()
    assert {name: len(cloud) for name, cloud in clouds.items()} == {"b": 57, "a": 26}
    for name, cloud in clouds.items():
        own = groups.groups[name].gosh()
        pd.testing.assert_frame_equal(cloud.frame(), own.frame())


@pytest.mark.parametrize("kind", ["parametric", "nonparametric"])
@pytest.mark.parametrize("name", WAYS_APART)
def test_the_bootstrap_draws_each_group_from_its_own_fit(name: str, kind: Any) -> None:
    groups = split(name)
    result = groups.bootstrap(80, kind, seed=3)
    first, second = groups.groups["b"], groups.groups["a"]
    alone = first.bootstrap(80, kind, seed=3)
    if not result.failed:
        np.testing.assert_array_equal(result.drawn["b"], alone.drawn["mu"])
        np.testing.assert_array_equal(result.drawn["tau2(b)"], alone.drawn["tau2"])
        assert result.conf_int("b") == alone.conf_int(scale="model")
        assert result.conf_int("b", "studentised") == alone.conf_int(
            "mu", "studentised", scale="model"
        )
        if kind == "nonparametric":
            assert result.conf_int("b", "bca") == alone.conf_int("mu", "bca", scale="model")
    assert result.observed["a"] == second.mu
    np.testing.assert_allclose(result.fit.covariance, np.diag([first.se**2, second.se**2]))
    assert abs(np.corrcoef(result.drawn["a"], result.drawn["b"])[0, 1]) < 0.35
    expected = {"a", "b"}
    if first.model != "common":
        expected |= {"tau2(a)", "tau2(b)", "I2(a)", "I2(b)"}
        low, high = result.conf_int("tau2(a)", "basic")
        assert 0.0 <= low <= high
        assert "τ²(a)" in repr(result)
    assert set(result.quantities) == expected
    assert set(result.summary_frame().index.get_level_values(0)) == expected


def test_replicates_without_events_in_a_group_are_counted() -> None:
    rare = TABLE.assign(x=np.where(TABLE["group"] == "a", TABLE["x"], [0, 0, 1] * 4))
    groups, seen = split("binomial", rare), []
    result = groups.bootstrap(100, progress=lambda done, of: seen.append((done, of)))
    assert 0 < result.failed < 80
    assert result.failed == sum(result.failures.values())
    assert list(result.failures) == [FitStatus.SEPARATION.message]
    assert all(len(values) == 100 - result.failed for values in result.drawn.values())
    assert seen == [(50, 100), (100, 100)]


def test_a_group_of_one_study_has_no_variance_to_be_drawn() -> None:
    table = TABLE.assign(group=["c", *TABLE["group"][1:]])
    result = split("REML", table).bootstrap(60, "nonparametric")
    assert "tau2(c)" not in result.drawn
    assert result.drawn["c"].std() == 0.0
    with pytest.raises(UnsupportedError, match="no study can be left out"):
        result.conf_int("c", "bca")
    drawn = split("REML", table).bootstrap(400)
    fit = split("REML", table).groups["c"]
    assert drawn.drawn["c"].std() == pytest.approx(fit.se, rel=0.15)


@pytest.mark.parametrize("group_tau2", ["separate", "common"])
def test_a_group_may_not_be_called_as_a_quantity_is(group_tau2: Any) -> None:
    groups = split("REML", TABLE.assign(group=TABLE["group"].replace("a", "tau2")))
    with pytest.raises(UnsupportedError, match="a column 'tau2' of its own"):
        groups.with_group_tau2(group_tau2).bootstrap(20)
    with pytest.raises(UnsupportedError, match="draws"):
        split("REML", group_tau2=group_tau2).bootstrap(5)
    with pytest.raises(UnsupportedError, match="kind"):
        split("REML", group_tau2=group_tau2).bootstrap(20, "smooth")  # type: ignore[arg-type]


# --- permutation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("group_tau2", ["separate", "common"])
@pytest.mark.parametrize("name", WAYS)
def test_every_arrangement_is_a_comparison_of_its_own(name: str, group_tau2: Any) -> None:
    """All 20 ways to make two groups of three of six studies."""
    six = TABLE.iloc[[1, 2, 3, 5, 8, 11]].assign(group=list("ababba"))
    groups = split(name, six, group_tau2=group_tau2)
    test = groups.permutation_test("exact")
    statistics = []
    for chosen in combinations(range(6), 3):
        labels = np.where(np.isin(np.arange(6), chosen), "a", "b")
        dealt = split(name, six.assign(group=labels), group_tau2=group_tau2)
        statistics.append(dealt.test.statistic)
    np.testing.assert_allclose(
        np.sort(test.omnibus_statistics), np.sort(statistics), rtol=1e-6, atol=1e-7
    )
    as_large = np.mean(np.array(statistics) >= groups.test.statistic * (1 - 1e-6) - 1e-9)
    assert test.p == pytest.approx(as_large)
    assert (test.exact, test.draws, test.failed, test.p_mcse) == (True, 20, 0, 0.0)
    assert list(test.summary_frame().index) == [("omnibus", "between groups")]
    assert "between groups" in repr(test)


@pytest.mark.parametrize("name", ["REML", "binomial"])
def test_random_arrangements_are_those_of_the_regression_on_indicators(name: str) -> None:
    groups = split(name, group_tau2="common")
    test = groups.permutation_test(99, seed=5)
    options = {**WAYS[name], "ci_method": "wald"}
    other = meta_regression(TABLE, "group", **options).permutation_test(99, seed=5)
    # the observed arrangement comes first, and counts
    assert test.omnibus_statistics[0] == pytest.approx(groups.test.statistic, rel=1e-8)
    np.testing.assert_allclose(test.omnibus_statistics, other.omnibus_statistics, rtol=1e-6)
    assert (test.p, test.draws, test.seed) == (other.p, 100, 5)
    assert other.tested == "all moderators"


def test_arrangements_that_leave_a_group_without_events_are_counted() -> None:
    quiet = TABLE.assign(x=[0, 0, 0, 9, 0, 4, 0, 5, 8, 0, 0, 3], group=list("aaab" * 3))
    test = split("binomial", quiet).permutation_test(200)
    assert test.failed > 0
    assert test.failed + test.draws == 201
    assert np.isfinite(test.omnibus_statistics).all()

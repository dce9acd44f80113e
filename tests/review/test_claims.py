"""The multiverse of the book's claims: its analyses, its shares, its choices."""

from dataclasses import fields

import numpy as np
import pytest
import scipy.stats

from helpers import load_causes, load_published, pool
from helpers.checks.multiverse.analysis import multiverse
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.evidence import load_corrections, load_inferred_overlap
from helpers.evidence.corrections import apply_corrections
from helpers.review.claim_analyses import (
    CLAIMS,
    PUBLISHED,
    claim_multiverse,
    judge,
    multiverse_frame,
)
from helpers.review.claim_choices import without_idle

COLUMNS = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}
NO_COVID = "setting, without COVID-19"


@pytest.fixture(scope="module")
def every(cohorts):
    return {key: claim_multiverse(cohorts, key) for key in CLAIMS}


def by_hand(cohorts, row):
    """Make the table behind a specification again, from the tables of evidence alone."""
    listed = load_corrections()
    cells = listed[listed["kind"] != "exclude"]
    certainty = {
        "as published": [],
        "facts": ["fact"],
        "facts and inferences": ["fact", "inference"],
    }
    known = apply_corrections(
        cohorts, cells.loc[cells["certainty"].isin(["fact", "inference"]), "id"].unique()
    ).data
    ids = cells.loc[cells["certainty"].isin(certainty[row["corrections"]]), "id"].unique()
    table = apply_corrections(cohorts, ids).data
    subsets = table["cohort"].str.startswith("Rejeski") & (table["cohort"] != "Rejeski 2023 B")
    reports = table["cohort"] == "Dores 2021"
    out = {
        "as published": reports & False,
        "no spontaneous reports": reports,
        "no reports, no unexplained subsets": reports | subsets,
        "at least 20 patients": cohorts["patients"] < 20,
    }[row["eligibility"]]
    if row["follow-up"] != "any":
        months = known["median_follow_up_months"].astype(float)
        out = out | ~(months >= float(row["follow-up"].split()[2]))
    out = (
        out
        | {
            "all kept": reports & False,
            "inferred overlap left out": table["cohort"].isin(load_inferred_overlap()["cohort"]),
            "registry overlap left out": table["cohort"] == "Nastoupil 2020",
        }[row["overlap"]]
    )
    return table[~out]


def test_analyses_are_those_of_pool_on_a_table_changed_by_hand(cohorts, every):
    result = every["overall"]
    code = result.multiverse.frame()
    options = ("measure", "model", "tau2_method", "ci_method")
    for place in np.random.default_rng(3).choice(np.flatnonzero(result.ok), 25, replace=False):
        row, names = result.frame().iloc[place], code.iloc[place]
        given = {name: names[name] for name in options if names[name] == names[name]}
        given = {name: value for name, value in given.items() if value is not None}
        fit = pool(by_hand(cohorts, row), **COLUMNS, **given)
        assert row["value"] == pytest.approx(fit.estimate, rel=1e-9)
        assert [row["lower"], row["upper"]] == pytest.approx(list(fit.ci), rel=1e-8)


def test_the_published_analysis_is_one_of_them(every):
    published = load_published("pooled").set_index("analysis")
    result = every["overall"]
    value = result.frame().loc[result.find(PUBLISHED), "value"]
    rate = float(published.loc["all cohorts", "random_estimate"])
    assert value == pytest.approx(rate, rel=1e-5)
    entity = published.loc["entity"].set_index("level")["random_estimate"].astype(float)
    result = every["mcl-lbcl"]
    value = result.frame().loc[result.find(PUBLISHED), "value"]
    assert value == pytest.approx(entity["MCL"] / entity["LBCL"], rel=1e-5)
    for key in ("infection", "infection-half"):
        assert every[key].find(PUBLISHED) == 1
    result = every["infection-half"]
    with pytest.raises(MetaAnalysisError, match="no level 'raw'"):
        result.find({"setting": "raw"})
    with pytest.raises(MetaAnalysisError, match="expected exactly 1"):
        result.find({"setting": "all"})


def test_a_multiverse_of_ones_own_can_be_judged(cohorts):
    own = multiverse(cohorts, {"model": ["common", "random", "glmm"]}, **COLUMNS)
    judged = judge(own, CLAIMS["overall"])
    assert judged.value == pytest.approx(own.frame()["estimate"].to_numpy())
    assert len(judged) == 3
    assert judged.choices["model"][0] == "common effect"
    with pytest.raises(MetaAnalysisError, match="needs a multiverse with a contrast"):
        judge(own, CLAIMS["mcl-lbcl"])


@pytest.mark.parametrize("key", ["mcl-lbcl", "axi-tisa", "cilta-ide"])
def test_the_interval_of_a_ratio_holds_one_when_the_test_does_not_reject(every, key):
    result = every[key]
    columns = result.multiverse.columns
    ok = result.ok
    holds = (result.lower[ok] <= 1) & (result.upper[ok] >= 1)
    assert np.array_equal(holds, columns["p"][ok] >= 0.05)
    ratio = columns["estimate_1"][ok] / columns["estimate_2"][ok]
    assert result.value[ok] == pytest.approx(ratio, rel=1e-12)
    assert np.all((result.lower[ok] < ratio) & (ratio < result.upper[ok]))


def test_axi_cel_against_tisa_cel_in_lymphoma_alone(cohorts, every):
    frame, code = every["axi-tisa"].frame(), every["axi-tisa"].multiverse.frame()
    plain = (frame["corrections"] == "as published") & (frame["overlap"] == "all kept")
    plain &= (frame["eligibility"] == "as published") & (frame["follow-up"] == "any")
    plain &= (code["model"] == "glmm") & (code["measure"] == "logit")
    plain &= (code["ci_method"] == "wald") & (code["group_tau2"] == "separate")
    lymphoma = cohorts[cohorts["entity"] == "LBCL"]
    for name, table in (("LBCL alone", lymphoma), ("with indolent lymphoma", cohorts)):
        groups = [
            pool(table[table["product"] == product], **COLUMNS, model="glmm").estimate
            for product in ("axi-cel", "tisa-cel")
        ]
        row = frame[plain & (frame["disease"] == name)]
        assert row["value"].item() == pytest.approx(groups[0] / groups[1], rel=1e-9)


def infections_by_hand():
    """Deaths from infection and from every other specific cause, from the file alone."""
    deaths = load_causes().groupby(["grouping", "level", "cause"], observed=True)["deaths"].sum()
    table = {}
    for covid, grouping in (("counted as infection", "setting"), ("left out", NO_COVID)):
        for place, parts in (
            ("trial", ["trial"]),
            ("real-world", ["real-world"]),
            ("all", ["trial", "real-world"]),
        ):
            table[covid, place] = sum(deaths[grouping, part] for part in parts)
    return table


def test_covid_19_is_an_infection_in_every_analysis(every):
    for key in ("infection", "infection-half"):
        result = every[key]
        assert result.choices["COVID-19 deaths"] == ("counted as infection", "left out")
        text = " ".join(level for levels in result.choices.values() for level in levels)
        assert "not an infection" not in text


def test_the_share_of_infection_is_a_ratio_of_counts(cohorts, every):
    causes = load_causes()
    whole = causes[causes["grouping"] == "all, eleven causes"].set_index("cause")["deaths"]
    named = infections_by_hand()
    frame = every["infection-half"].frame()
    frame = frame[(frame["interval of the share"] == "Wilson") & (frame["setting"] == "all")]
    value = frame.set_index(["deaths counted", "COVID-19 deaths"])["value"]
    died = cohorts["nonrelapse_deaths"].sum()
    counted, left_out = (named[c, "all"] for c in ("counted as infection", "left out"))
    assert counted["infection"] == whole["infection"]
    covid = counted["infection"] - left_out["infection"]
    assert covid == counted.sum() - left_out.sum() > 0
    assert value["all nonrelapse deaths", "counted as infection"] == whole["infection"] / died
    assert value["without unknown", "counted as infection"] == whole["infection"] / (
        whole.sum() - whole["unknown"]
    )
    assert (
        value["without unknown, organ failure, other", "left out"]
        == left_out["infection"] / left_out.sum()
    )
    # COVID-19 deaths leave the numerator and the denominator together.
    assert value["all nonrelapse deaths", "left out"] == left_out["infection"] / (died - covid)


def test_infection_is_compared_with_the_next_most_frequent_cause(every):
    frame = (
        every["infection"]
        .frame()
        .set_index(["other causes", "COVID-19 deaths", "setting", "interval of the share"])
    )
    together = "CAR T-cell-specific effects together"
    for (covid, place), deaths in infections_by_hand().items():
        others = deaths.drop("infection")
        specific = others[["CRS", "HLH", "neurotoxicity or ICANS"]].sum()
        rest = others.drop(["CRS", "HLH", "neurotoxicity or ICANS"]).max()
        for name, rival in (
            ("each cause by itself", others.max()),
            (together, max(specific, rest)),
        ):
            both = deaths["infection"] + rival
            exact = scipy.stats.binomtest(int(deaths["infection"]), int(both)).proportion_ci()
            row = frame.loc[name, covid, place, "Clopper-Pearson"]
            assert row["value"] == pytest.approx(deaths["infection"] / rival, rel=1e-12)
            assert [row["lower"], row["upper"]] == pytest.approx(
                [limit / (1 - limit) for limit in exact], rel=1e-7
            )
    assert every["infection"].share_certain.fraction == 1.0


def test_what_cannot_be_counted_keeps_its_reason(every):
    frame = every["infection-half"].frame()
    missing = frame[frame["reason"] != ""]
    assert set(missing["deaths counted"]) == {"without unknown"}
    assert set(missing["setting"]) == {"trial", "real-world"}
    assert missing["value"].isna().all()
    assert every["infection-half"].share_supporting.left_out == len(missing)


def test_more_than_half_is_less_sure_than_leading(every):
    half, leading = every["infection-half"], every["infection"]
    assert half.share_supporting.fraction < 1.0
    assert leading.share_supporting.fraction == leading.share_certain.fraction == 1.0


@pytest.mark.parametrize("key", list(CLAIMS))
def test_shares_are_counts_over_the_analyses_with_a_result(every, key):
    result = every[key]
    frame = result.frame()[result.ok]
    null = CLAIMS[key].null
    assert result.share_supporting.fraction == pytest.approx((frame["value"] > null).mean())
    assert result.share_certain.fraction == pytest.approx((frame["lower"] > null).mean())
    assert result.share_opposing.fraction == pytest.approx((frame["upper"] < null).mean())
    assert not np.any(result.certain & ~result.supports)
    assert 0 < result.distinct <= len(result) <= len(frame)
    levels = result.by_choice()
    whole = levels.groupby("choice")["analyses"].sum()
    assert (whole <= len(result)).all()
    assert whole["interval of the share" if key.startswith("infection") else "interval"] == len(
        result
    )


def test_another_threshold_changes_the_support_but_no_estimate(cohorts, every):
    strict = claim_multiverse(cohorts, "overall", null=0.07)
    assert np.array_equal(strict.value, every["overall"].value, equal_nan=True)
    assert strict.share_supporting.count < every["overall"].share_supporting.count
    assert strict.share_supporting.count == int((strict.value[strict.ok] > 0.07).sum())


def test_the_interval_moves_the_limit_but_not_the_estimate(every):
    result = every["mcl-lbcl"]
    assert result.influence().loc["interval", "share"] == 0.0
    assert result.influence("lower").loc["interval", "share"] > 0.0


def test_choices_that_touch_no_cohort_of_a_contrast_are_not_counted(every):
    assert set(every["cilta-ide"].choices) < set(every["mcl-lbcl"].choices)
    assert "overlap" not in every["cilta-ide"].choices
    levels = {"a": {"kept": None, "left out": ["A"]}, "b": {"no": None, "yes": {"B": {"n": 9.0}}}}
    labels = ["A", "B"]
    assert set(without_idle(levels, labels, np.array([True, True]))) == {"a", "b"}
    assert set(without_idle(levels, labels, np.array([False, True]))) == {"b"}
    assert without_idle(levels, labels, np.array([False, False])) == {}


def test_sentence_never_rounds_to_all_or_none(every):
    for result in every.values():
        for share in (result.share_supporting, result.share_certain):
            if 0 < share.count < share.of:
                assert "100%" not in result.sentence or share.fraction < 0.9995
    assert every["overall"].sentence.startswith("is supported by the estimate in 100% of ")


def test_frame_of_claims_holds_what_the_claims_say(cohorts, every):
    frame = multiverse_frame(cohorts, ["infection", "cilta-ide"])
    assert frame.index.tolist() == ["infection", "cilta-ide"]
    for key, row in frame.iterrows():
        assert row["sentence"] == every[key].sentence
        assert row["supporting"] == every[key].share_supporting.fraction


def test_results_cannot_be_changed(every):
    one = every["overall"]
    arrays = [a for f in fields(one) if isinstance(a := getattr(one, f.name), np.ndarray)]
    assert len(arrays) == 7
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = array


def test_errors_say_what_was_expected(cohorts, every):
    with pytest.raises(UnsupportedError, match="expected one of overall"):
        claim_multiverse(cohorts, "MCL")
    with pytest.raises(MetaAnalysisError, match="above 0"):
        claim_multiverse(cohorts, "overall", null=float("nan"))
    with pytest.raises(MetaAnalysisError, match="'value' or 'lower'"):
        every["overall"].influence("upper")
    with pytest.raises(MetaAnalysisError, match="nothing to summarise"):
        multiverse_frame(cohorts, [])


def test_a_claim_computed_again_is_equal_though_its_arrays_are_others(cohorts, every):
    again = claim_multiverse(cohorts, "cilta-ide")
    assert again.value is not every["cilta-ide"].value
    assert again == every["cilta-ide"]

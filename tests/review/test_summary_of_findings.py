import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import expit

from helpers import load_cohorts, pool
from helpers.engine.normal.intervals import Interval
from helpers.review.causes import cause_rates
from helpers.review.findings import (
    DOMAINS,
    LEVELS,
    RULES,
    Finding,
    Judgement,
    _imprecision,
    _inconsistency,
    findings_frame,
    judgements_frame,
    new_cohort,
    new_cohort_words,
    summary_of_findings,
)
from helpers.review.published.models import published_fits


@pytest.fixture(scope="module")
def found():
    return summary_of_findings()


def mean_of(fit):
    tau = fit.tau2**0.5
    return integrate.quad(lambda z: expit(fit.mu + tau * z) * stats.norm.pdf(z), -12, 12)[0]


def test_the_numbers_of_patients_are_means_over_cohorts_of_the_models_of_the_book(found):
    fits = published_fits("entity") | {"all diseases": published_fits("all cohorts")["all"]}
    pooled = [row for row in found if row.outcome == "nonrelapse death"]
    assert {row.group for row in pooled} == set(fits)
    for row in pooled:
        fit = fits[row.group]
        assert (row.cohorts, row.patients, row.deaths) == (fit.k, fit.n, fit.events)
        assert row.estimate == pytest.approx(mean_of(fit), rel=1e-7)
        assert row.ci.lower < row.estimate < row.ci.upper
    # 574 of 7,604 died: the mean is near, the median cohort is not
    whole, crude = pooled[0], 1000 * 574 / 7604
    assert abs(1000 * whole.estimate - crude) < 2 < abs(68.2 - crude)
    assert findings_frame(found)["per_1000"].iloc[0].startswith("74 (")


def test_infection_deaths_are_those_of_the_causes_room(found):
    row = next(row for row in found if row.outcome == "death from infection")
    rate = cause_rates()["all"]
    assert row.estimate == pytest.approx(rate.estimate, rel=1e-12)
    assert row.ci == pytest.approx(rate.ci, rel=1e-12)
    assert row.prediction is None


def test_risk_of_bias_is_never_rated(found):
    for row in found:
        assert [one.domain for one in row.judgements] == list(DOMAINS) == list(RULES)
        assert row.judgements[0].down is None
        assert "no study-level rating" in row.judgements[0].reason


def finding(*downs):
    judged = tuple(Judgement(d, down, "") for d, down in zip(DOMAINS, downs, strict=True))
    return Finding("o", "g", 1, 1, 1, 0.1, None, None, judged)


@pytest.mark.parametrize(
    ("downs", "certainty"),
    [
        ((0, 0, 0, 0, 0), "high"),
        ((None, 0, 0, 0, 0), "at most high"),
        ((None, 1, 0, 0, 0), "at most moderate"),
        ((0, 1, 1, 0, 0), "low"),
        ((None, 2, 1, 0, 0), "very low"),
        ((None, 2, 1, 1, 1), "very low"),
    ],
)
def test_certainty_counts_what_was_judged_and_bounds_what_was_not(downs, certainty):
    assert finding(*downs).certainty == certainty
    assert certainty.removeprefix("at most ") in LEVELS


def span_of(fit, tau2):
    low, high = expit(fit.mu + np.array([-1, 1]) * stats.norm.ppf(0.975) * tau2**0.5)
    return high / low


def test_inconsistency_is_judged_from_tau2_and_not_from_the_number_of_cohorts(found):
    whole = found[0]
    by_domain = {one.domain: one for one in whole.judgements}
    fit = published_fits("all cohorts")["all"]
    span = span_of(fit, fit.tau2)
    assert 3 < span < 6
    assert by_domain["inconsistency"].down == 1
    months = load_cohorts()["median_follow_up_months"]
    assert by_domain["indirectness"].down == int(months.max() > 3 * months.min())
    assert by_domain["imprecision"].down == 0
    # the same table twice has the same spread of true rates but twice as many cohorts
    x = np.array([4, 9, 16, 2, 30, 11, 21, 6, 13, 3] * 2)
    once = pool(events=x[:10], n=[150] * 10, model="glmm", ci_method="wald")
    twice = pool(events=x, n=[150] * 20, model="glmm", ci_method="wald")
    assert span_of(once, once.tau2) == pytest.approx(span_of(twice, twice.tau2), rel=0.1)
    assert _inconsistency(once).down == _inconsistency(twice).down


def test_where_tau2_cannot_be_judged_there_is_neither_judgement_nor_prediction_interval(found):
    three = pool(events=[9, 4, 2], n=[146, 97, 22], model="glmm", ci_method="wald")
    assert three.tau2_ci().lower == 0.0
    assert span_of(three, three.tau2_ci().upper) > 6
    judged = _inconsistency(three)
    assert judged.down is None
    assert "from no difference to a very large one" in judged.reason
    row = next(row for row in found if row.group == "IL")
    assert row.prediction is None
    assert "new, similar cohort" not in row.meaning
    assert "new, similar cohort" in found[0].meaning


def test_missing_information_never_raises_a_rating(found):
    """What a finding cannot judge counts as in the worst-judged pooled finding, or as the total."""
    whole = {one.domain: one for one in found[0].judgements}
    worst = {
        domain: max(
            (one.down or 0)
            for row in found
            for one in row.judgements
            if one.domain == domain and not one.source and row.outcome == "nonrelapse death"
        )
        for domain in DOMAINS
    }
    borrowed = 0
    for row in found:
        for one in row.judgements:
            if not one.source:
                continue
            borrowed += 1
            part = row.outcome != "nonrelapse death"
            assert one.down == (whole[one.domain].down if part else worst[one.domain])
    assert borrowed > 4

    def rank(row):
        return LEVELS.index(row.certainty.removeprefix("at most "))

    by = {(row.outcome, row.group): row for row in found}
    # infection is part of the total; 36 deaths of five cohorts know less than 420 of 31
    infection = by["death from infection", "all diseases"]
    assert rank(infection) <= rank(found[0])
    small, large = by["nonrelapse death", "MCL"], by["nonrelapse death", "LBCL"]
    assert (small.deaths, large.deaths) == (36, 420)
    assert rank(small) <= rank(large)


@pytest.mark.parametrize(
    ("ratio", "close"), [(1.5, False), (1.83, True), (1.999, True), (2.1, True), (2.4, False)]
)
def test_a_rating_that_hangs_on_a_threshold_says_so(ratio, close):
    one = _imprecision(400, Interval(0.05, 0.05 * ratio))
    assert one.down == int(ratio > 2)
    assert one.reason.endswith("close to the threshold of 2") is close


def test_the_spread_of_all_cohorts_is_close_to_the_threshold_and_said_to_be(found):
    inconsistency = next(one for one in found[0].judgements if one.domain == "inconsistency")
    fit = published_fits("all cohorts")["all"]
    assert 6 / span_of(fit, fit.tau2) < 1.1
    assert "close to the threshold of 6" in inconsistency.reason


def test_other_cohorts_have_no_findings_about_causes_which_are_not_theirs(found):
    fewer = load_cohorts().iloc[1:]
    rows = summary_of_findings(fewer)
    assert rows[0].deaths == fewer["nonrelapse_deaths"].sum()
    assert {row.outcome for row in rows} == {"nonrelapse death"}
    assert len({row.outcome for row in found}) == 4


def test_a_disease_that_the_review_does_not_have_gets_its_row():
    table = load_cohorts()
    table = table.assign(entity=table["entity"].astype(str).replace("IL", "CLL"))
    assert [row.group for row in summary_of_findings(table)][1:5] == ["LBCL", "MM", "MCL", "CLL"]


def test_one_cohort_is_not_called_cohorts():
    only = summary_of_findings(load_cohorts().head(1))[0]
    assert all("1 cohorts" not in one.reason for one in only.judgements)


def test_tables_say_it_in_whole_patients(found):
    frame = findings_frame(found)
    assert list(frame) == ["part", "outcome", "per_1000", "evidence", "certainty", "meaning"]
    myeloma = frame[frame["outcome"] == "Multiple myeloma (MM)"].iloc[0]
    assert myeloma["evidence"] == "13\xa0cohorts, 1,193\xa0patients, 103\xa0deaths"
    assert myeloma["per_1000"] == "86 (63 to 116)"
    assert frame["part"].nunique() == 2
    assert (frame["part"].value_counts() == [5, 3]).all()
    for row, said in zip(found, frame["certainty"], strict=True):
        assert said.startswith(f"{row.symbols} {row.certainty}: ")
        for one in row.judgements:
            assert (one.domain in said) is bool(one.down)
    reasons = judgements_frame(found)
    assert list(reasons.columns) == ["finding", *DOMAINS]
    assert reasons["risk of bias"].str.startswith("not judged").all()


@pytest.mark.parametrize(
    ("events", "n", "given"),
    [
        ([7, 19, 30, 2], [100, 100, 100, 100], False),  # four cohorts, however different
        ([2, 2, 3, 2, 3, 2], [25] * 6, False),  # from no difference to a very large one
        ([2, 19, 30, 2, 9, 12, 25, 4], [100] * 8, True),
    ],
)
def test_a_new_cohort_gets_an_interval_only_where_tau2_can_be_judged(events, n, given):
    fit = pool(events=events, n=n, model="glmm", ci_method="wald")
    words = new_cohort_words(fit)
    assert (new_cohort(fit) is not None) is given
    assert ("no prediction interval is given" in words) is not given
    if given:
        # k - 2 = 6 degrees of freedom, by hand on the logit scale
        half = 2.4469118511 * (fit.tau2 + fit.se_model**2) ** 0.5
        low, high = (1 / (1 + np.exp(-(fit.mu + sign * half))) for sign in (-1, 1))
        assert f"{100 * low:.1f} to {100 * high:.1f}" in words
        assert "the 95% prediction interval" in words  # its limits are no bounds
        assert new_cohort_words(fit, name=True).startswith("the 95%")


def myeloma_finding(*down, prediction=None, outcome="nonrelapse death", group="MM"):
    judged = tuple(Judgement(domain, one, "") for domain, one in zip(DOMAINS, down, strict=True))
    ends = Interval(0.05, 0.1)
    return Finding(outcome, group, 1, 100, 1, 0.07, ends, prediction, judged)


@pytest.mark.parametrize(
    ("down", "symbols", "certainty", "verb", "doubt"),
    [
        ((0, 0, 0, 0, 0), "⊕⊕⊕⊕", "high", "about 70 of 1,000 die without", False),
        ((0, 1, 0, 0, 0), "⊕⊕⊕◯", "moderate", "about 70 of 1,000 probably die without", False),
        ((None, 1, 1, 0, 0), "⊕⊕◯◯", "at most low", "about 70 of 1,000 may die without", False),
        ((None, 2, 1, 0, 0), "⊕◯◯◯", "very low", "about 70 of 1,000 may die without", True),
        ((0, 2, 1, 1, 1), "⊕◯◯◯", "very low", "about 70 of 1,000 may die without", True),
    ],
)
def test_symbols_and_plain_words_follow_the_certainty(down, symbols, certainty, verb, doubt):
    row = myeloma_finding(*down)
    assert (row.symbols, row.certainty) == (symbols, certainty)
    assert verb in row.meaning.replace("About", "about")
    assert row.meaning.startswith("Very uncertain: ") is doubt


def test_what_lowered_the_certainty_is_named_with_its_levels():
    assert (
        myeloma_finding(None, 2, 1, 0, 0).lowered == "inconsistency (two levels) and indirectness"
    )
    assert myeloma_finding(0, 0, 0, 0, 0).lowered == "no domain lowered it"
    said = findings_frame([myeloma_finding(None, 0, 0, 0, 1)]).iloc[0]
    assert said["certainty"] == "⊕⊕⊕◯ at most moderate: small-study effects"
    assert said["evidence"] == "1\xa0cohort, 100\xa0patients, 1\xa0death"
    assert said["meaning"].startswith("About 70 of 1,000 probably die ")
    elsewhere = myeloma_finding(0, 0, 0, 0, 0, prediction=Interval(0.02, 0.2)).meaning
    assert elsewhere.endswith("; in 95 of 100 new, similar cohorts, 20 to 200.")

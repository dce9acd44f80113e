import pytest

from helpers import load_cohorts, prose
from helpers.causes import cause_rates
from helpers.published_models import published_fits
from helpers.summary_of_findings import (
    DOMAINS,
    LEVELS,
    RULES,
    Finding,
    Judgement,
    findings_frame,
    judgements_frame,
    summary_of_findings,
)


@pytest.fixture(scope="module")
def found():
    return summary_of_findings()


def test_diseases_are_the_pooled_results_of_the_book(found):
    fits = published_fits("entity") | {"all diseases": published_fits("all cohorts")["all"]}
    pooled = [row for row in found if row.outcome == "nonrelapse death"]
    assert {row.group for row in pooled} == set(fits)
    for row in pooled:
        fit = fits[row.group]
        assert (row.cohorts, row.patients, row.deaths) == (fit.k, fit.n, fit.events)
        assert row.estimate == pytest.approx(fit.estimate, rel=1e-10)
        assert row.ci == pytest.approx(fit.ci, rel=1e-9)
        assert row.prediction == pytest.approx(fit.prediction_interval(), rel=1e-9)


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


def test_rules_look_at_the_numbers_they_name(found):
    whole = found[0]
    by_domain = {one.domain: one for one in whole.judgements}
    ratio = whole.prediction.upper / whole.prediction.lower
    assert by_domain["inconsistency"].down == (2 if ratio > 6 else int(ratio > 3))
    months = load_cohorts()["median_follow_up_months"]
    assert by_domain["indirectness"].down == int(months.max() > 3 * months.min())
    assert by_domain["imprecision"].down == 0


def test_tables_say_it_in_whole_patients(found):
    frame = findings_frame()
    assert frame["per_1000"].iloc[0] == prose.number(1000 * found[0].estimate, 0)
    assert frame["certainty"].tolist() == [row.certainty for row in found]
    reasons = judgements_frame()
    assert list(reasons.columns) == ["finding", *DOMAINS]
    assert reasons["risk of bias"].str.startswith("not judged").all()

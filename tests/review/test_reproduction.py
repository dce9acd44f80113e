import pandas as pd
import pytest

from helpers import load_published
from helpers.review.published import (
    STATUSES,
    VERDICTS,
    UnexplainedError,
    claims,
    claims_frame,
    compare,
    reproduction,
)
from helpers.review.published.models import published_regression
from helpers.review.published.numbers import SOURCES, monte_carlo_reason, stopped_fit


@pytest.fixture(scope="module")
def report():
    return reproduction()


@pytest.fixture(scope="module")
def found():
    return {claim.key: claim for claim in claims()}


# Columns that say what a number is, and are no numbers of a result themselves.
NOT_COMPARED = {
    "pooled": {"analysis", "level"},
    "regressions": {"model", "entity"},
    "coefficients": {"model", "term", "factor", "reference"},
    "tests": {"test", "subset", "draws", "statistic_name", "estimate_name"},
    "column_sums": {"test", "subset", "level"},
    "claims": {"claim", "statement", "unit"},
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_published_number_is_in_the_report(report, source):
    """Every filled cell of a published table has its line: the report cannot shrink."""
    table = load_published(source)
    numbers = [
        c
        for c in table.columns
        if c not in NOT_COMPARED[source] and not c.endswith(("_printed", "_relation"))
    ]
    filled = int(table[numbers].notna().to_numpy().sum())
    assert len(report.select(source).comparisons) == filled


def test_the_report_has_about_nine_hundred_numbers(report):
    assert sum(report.counts().values()) == len(report.comparisons) > 900


def test_what_differs_is_exactly_this_and_each_has_its_reason(report):
    assert [one.name for one in report.different()] == [
        "claims / real-world / studies",
        "coefficients / LBCL: all factors / intercept / t",
        "coefficients / LBCL: all factors / liso-cel / lower",
        "coefficients / LBCL: all factors / before 2020 / p",
        "tests / Permutation test of moderators / MM: all factors / p",
        "tests / Permutation test of ide-cel / MM: all factors / p",
    ]
    assert all(one.note for one in report.different())


@pytest.mark.parametrize("nudge", [-1e-13, 1e-13])
def test_no_status_depends_on_the_last_bits(report, nudge):
    """Which differ from processor to processor; a tie that is exact may be rounded to either."""
    moved = [
        (one.name, one.published, one.ours)
        for one in report.comparisons
        if compare("s", "a", "", "q", one.published, one.ours * (1 + nudge), reason="r").status
        != one.status
    ]
    assert moved == []


def test_full_digits_agree_to_four_and_estimates_to_five(report):
    frame = report.frame()
    long = frame[frame["status"] == "same to rounding"]
    assert long["digits"].min() >= 4
    assert long.loc[long["quantity"].str.contains("estimate"), "digits"].min() >= 5
    assert set(long["source"]) == {"pooled"}


def test_numbers_that_our_data_were_recovered_from_are_no_evidence(report):
    circular = {one.analysis for one in report.comparisons if one.by_construction}
    assert "Pearson chi-squared" in circular
    assert any(o.level == "no potential overlap" and o.by_construction for o in report.comparisons)
    assert len(report.evidence().comparisons) + sum(
        o.by_construction for o in report.comparisons
    ) == len(report.comparisons)


def test_the_csv_has_every_line_and_comes_back(report, tmp_path):
    path = tmp_path / "downloads" / "reproduction.csv"
    report.to_csv(path)
    back = pd.read_csv(path, dtype={"published": str}, keep_default_na=False)
    assert list(back.columns)[:9] == [
        "source", "analysis", "level", "quantity", "published", "ours", "digits", "status", "note",
    ]  # fmt: skip
    assert back["published"].tolist() == [one.published for one in report.comparisons]
    assert back["ours"].tolist() == [one.ours for one in report.comparisons]


@pytest.mark.parametrize(
    ("published", "ours", "status"),
    [
        ("0.0045", 0.00449, "identical as printed"),
        ("-2.98", -2.9849, "identical as printed"),
        ("0.0580", 0.05804, "identical as printed"),
        ("<.0001", 0.00009, "identical as printed"),
        ("0.0566037735849056", 0.05660378, "same to rounding"),
        ("0.0566037735849056", 0.0567, "differs"),
        ("0.0045", 0.0044, "differs"),
        ("<.0001", 0.0002, "differs"),
        ("52", 51, "differs"),
    ],
)
def test_statuses_follow_the_printed_digits(published, ours, status):
    assert compare("s", "a", "l", "q", published, ours, reason="why").status == status


def test_a_difference_without_a_reason_is_an_error():
    with pytest.raises(UnexplainedError, match=r"s / a / q: published 0\.5, ours 0\.6"):
        compare("s", "a", "", "q", "0.5", 0.6)


def test_a_half_rounds_either_way():
    assert compare("s", "a", "", "q", "0.2", 0.25).status == "identical as printed"
    assert compare("s", "a", "", "q", "0.3", 0.25).status == "identical as printed"


def test_the_stopping_rule_moves_only_the_last_digits():
    fit = published_regression("LBCL: all factors")
    stopped = stopped_fit(fit)
    assert 0 < abs(stopped["tau2"] - fit.tau2) < 1e-5
    assert stopped["se"] == pytest.approx(fit.coefficients["se"].to_numpy(), rel=1e-4)


def test_a_published_p_that_draws_could_not_give_gets_no_reason():
    assert monte_carlo_reason(0.061, 0.055, 1000)
    assert not monte_carlo_reason(0.061, 0.2, 1000)


def test_every_claim_has_a_verdict_and_a_page(found):
    assert list(found) == load_published("claims")["claim"].tolist()
    assert {claim.verdict for claim in found.values()} <= set(VERDICTS)
    assert all(".ipynb" in claim.where for claim in found.values())
    assert len(claims_frame()) == len(found)


def test_a_claim_is_fragile_exactly_if_a_check_fails(found):
    for claim in found.values():
        fragile = claim.verdict == "reproduced, but fragile"
        assert fragile == (bool(claim.failed) and claim.verdict != VERDICTS[2])


def test_verdicts_as_they_stand(found):
    fragile = {key for key, claim in found.items() if claim.verdict == VERDICTS[1]}
    assert fragile == {"mcl", "axi-cel", "cilta-cel", "infection"}
    assert {key for key, claim in found.items() if claim.verdict == VERDICTS[2]} == {"real-world"}
    assert found["infection"].ours == found["infection"].published


def test_statuses_are_counted_by_table(report):
    summary = report.summary_frame()
    assert summary[list(STATUSES)].sum(axis=1).tolist() == summary["numbers"].tolist()
    assert summary["numbers"].sum() == len(report.comparisons)

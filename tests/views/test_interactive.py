"""Interactive pictures: what they hold equals the results, in a form that pages can carry."""

from __future__ import annotations

import json
import re
from functools import cache

import numpy as np
import pytest

from helpers import load_audit, load_cohorts, load_sources, pool, ties
from helpers.errors import MetaAnalysisError
from helpers.review import interactive, prevention
from helpers.review.claim_analyses import CLAIMS, PUBLISHED, claim_multiverse
from helpers.teaching import lab, labs
from helpers.views import interactive as toolkit
from helpers.views.interactive.live_picture import ASSETS, KINDS
from helpers.views.interactive.packed_curve import DIGITS, VERDICTS

COLUMNS = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}


@cache
def whole():
    return pool(load_cohorts(), **COLUMNS, measure="logit", model="glmm")


@cache
def made(kind):
    if kind == "forest":
        return interactive.forest(whole(), load_cohorts(), load_sources(), name="cohorts")
    if kind == "laboratory":
        return interactive.laboratory(whole(), name="lab")
    if kind == "lab":
        return lab("i2", labs.i2_lab((50, 500), (0.3,), draws=50))
    if kind == "whatif":
        burden = prevention.infection_burden()["all", "mean"]
        return prevention.what_if(burden, whole(), name="supposed")
    return interactive.curve(
        {key: claims(key) for key in CLAIMS}, name="all", first="mcl-lbcl", published=PUBLISHED
    )


@cache
def claims(key):
    return claim_multiverse(load_cohorts(), key)


kinds = pytest.mark.parametrize("kind", sorted(KINDS))


@kinds
def test_the_page_gets_the_fixed_picture_and_the_data_as_json(kind):
    html = made(kind)._repr_html_()
    found = re.search(r'<script type="application/json">(.*?)</script>', html, flags=re.S)
    data = json.loads(found[1])
    assert data["title"] == made(kind).title
    assert made(kind).still._repr_html_() in html
    assert f'data-interactive="{kind}"' in html
    assert made(kind)._repr_mimebundle_()["text/plain"] == made(kind).still.alt == repr(made(kind))


@kinds
def test_the_scripts_of_a_kind_exist(kind):
    assert all((ASSETS / name).is_file() for name in KINDS[kind])


@kinds
def test_the_same_results_give_the_same_bytes(kind):
    first = made(kind)._repr_html_()
    made.cache_clear()
    assert made(kind)._repr_html_() == first


def test_the_data_cannot_close_their_script():
    still = made("forest").still
    html = toolkit.Interactive("forest", "</script><b>", still, {})._repr_html_()
    assert html.count("</script>") == 1


def test_an_unknown_kind_and_a_missing_number_are_refused():
    still = made("forest").still
    with pytest.raises(MetaAnalysisError, match="expected one of"):
        toolkit.Interactive("pie", "T", still, {})
    with pytest.raises(ValueError, match="JSON"):
        _ = toolkit.Interactive("forest", "T", still, {"x": float("nan")}).json


# -- the forest plot ------------------------------------------------------------------------------


def test_every_cohort_is_there_with_its_counts_and_its_source():
    cohorts, sources = load_cohorts(), load_sources().set_index("cohort")
    rows = {row["name"]: row for row in made("forest").data["rows"]}
    assert list(rows) == cohorts["cohort"].tolist()
    for row in cohorts.itertuples():
        mine, source = rows[row.cohort], sources.loc[row.cohort]
        assert (mine["deaths"], mine["patients"]) == (row.nonrelapse_deaths, row.patients)
        assert mine["at"][0] == pytest.approx(row.nonrelapse_deaths / row.patients, abs=5e-5)
        assert mine["doi"] == (None if source.isna()["doi"] else source["doi"])
        assert mine["verified"] == (source["doi_status"] == "confirmed")


def test_the_page_has_the_quantiles_that_it_pools_with():
    from scipy import stats

    rule, added = made("forest").data["rule"], made("forest").data["added"]
    assert rule["z"] == pytest.approx(stats.norm.ppf(0.975), rel=1e-12)
    expected = stats.t.ppf(0.975, np.arange(1, 52 + added))
    assert rule["t"] == pytest.approx(expected.tolist(), rel=1e-11)
    assert (rule["few"], rule["prediction"], rule["tail"]) == (10, 5, 0.025)


def test_audit_and_trial_stand_with_their_cohort():
    rows = {row["name"]: row for row in made("forest").data["rows"]}
    assert rows["Abramson 2020"]["trial"] == "TRANSCEND NHL 001"
    assert made("forest").data["audit"] == {}
    audit = load_audit()
    with_notes = interactive.forest(
        whole(), load_cohorts(), load_sources(), name="x", audit=audit
    ).data["audit"]
    assert sum(map(len, with_notes.values())) == audit["cohort"].isin(list(rows)).sum()
    assert any("59 deaths of which 45" in note for note in with_notes["Neelapu 2023"])


@pytest.mark.parametrize("other", [{"model": "random"}, {"model": "glmm", "ci_method": "wald"}])
def test_a_fit_that_the_page_cannot_repeat_is_refused(other):
    cohorts = load_cohorts()
    fit = pool(cohorts, **COLUMNS, measure="logit", **other)
    with pytest.raises(MetaAnalysisError, match="the page pools by the GLMM"):
        interactive.forest(fit, cohorts, load_sources(), name="x")


def test_a_cohort_of_a_reader_has_a_card_without_a_source():
    cohorts, sources = load_cohorts(), load_sources()
    rows = interactive.forest(whole(), cohorts, sources.iloc[1:], name="x").data["rows"]
    first, *others = sorted(rows, key=lambda row: row["name"] != sources["cohort"].iloc[0])
    assert [first[key] for key in ("title", "doi", "verified")] == [None, None, None]
    assert {row["verified"] for row in others} <= {True, False}


def test_a_fit_of_other_cohorts_is_refused():
    cohorts, sources = load_cohorts(), load_sources()
    with pytest.raises(MetaAnalysisError, match="of these cohorts"):
        interactive.forest(whole(), cohorts.iloc[1:], sources, name="x")


# -- the laboratory -------------------------------------------------------------------------------


def test_a_draw_follows_its_settings():
    """Over many studies, logits and log sizes have the asked-for median and spread."""
    one = toolkit.draw(0.6, 4000, 400, 0.1, spread=0.8, seed=7)
    logits = np.log(one.rates) - np.log1p(-np.array(one.rates))
    assert np.median(logits) == pytest.approx(np.log(0.1 / 0.9), abs=0.04)
    assert logits.std() == pytest.approx(0.6, abs=0.03)
    assert np.log(one.n).std() == pytest.approx(0.8, abs=0.04)
    assert np.median(one.n) == pytest.approx(400, rel=0.05)
    standard = (np.array(one.events) - np.array(one.n) * one.rates) / np.sqrt(
        np.array(one.n) * one.rates * (1 - np.array(one.rates))
    )
    assert standard.mean() == pytest.approx(0, abs=0.05)
    assert standard.std() == pytest.approx(1, abs=0.05)


def test_more_studies_leave_the_first_ones_alone_and_another_seed_does_not():
    few, many = (toolkit.draw(0.5, k, 100, 0.07, spread=1.0, seed=3) for k in (5, 50))
    assert few.events == many.events[:5]
    assert toolkit.draw(0.5, 50, 100, 0.07, spread=1.0, seed=4).events != many.events


def test_without_spread_all_studies_are_alike():
    one = toolkit.draw(0.0, 6, 120, 0.07, spread=0.0, seed=1)
    assert set(one.n) == {120}
    assert one.rates == pytest.approx((0.07,) * 6, rel=1e-12)


def test_larger_studies_raise_i2_and_leave_the_prediction_interval():
    """The first thing that the page asks its reader to try."""
    fits = []
    for size in (100, 2000):
        drawn = [toolkit.draw(0.45, 52, size, 0.07, spread=1.0, seed=s) for s in range(1, 21)]
        fits.append([pool(events=d.events, n=d.n, tau2_method="DL") for d in drawn])
    small, large = ([fit.heterogeneity.I2 for fit in group] for group in fits)
    assert np.median(large) > np.median(small) + 20
    small, large = ([fit.prediction_interval("t-k-2")[1] for fit in group] for group in fits)
    assert np.median(large) == pytest.approx(np.median(small), abs=0.02)


@pytest.mark.parametrize("change", [{"tau": -1}, {"studies": 0}, {"size": 0}, {"rate": 1}])
def test_settings_without_meaning_are_refused(change):
    settings = {"tau": 0.5, "studies": 5, "size": 100, "rate": 0.1, "spread": 1.0}
    with pytest.raises(MetaAnalysisError, match="nothing can be drawn"):
        toolkit.draw(**settings | change)


def test_the_laboratory_opens_with_studies_like_ours():
    data = made("laboratory").data
    start = data["start"]
    assert start["studies"] == whole().k
    assert start["tau"] == pytest.approx(np.sqrt(whole().tau2), abs=0.026)
    assert start["rate"] == pytest.approx(whole().estimate, abs=0.006)
    assert len(data["t"]) >= data["ranges"]["studies"][1] - 1


def test_the_laboratory_needs_logits():
    cohorts = load_cohorts()
    with pytest.raises(MetaAnalysisError, match="logit"):
        interactive.laboratory(pool(cohorts, **COLUMNS, measure="arcsine"), name="x")


# -- the curve ------------------------------------------------------------------------------------


def unpacked(claim):
    """Read the characters of a claim: one row per analysis, as whole numbers."""
    place = {digit: i for i, digit in enumerate(DIGITS)}
    letters = iter(claim["packed"])
    rows = []
    for _ in range(len(claim["packed"]) // sum(claim["widths"])):
        row = []
        for width in claim["widths"]:
            total = 0
            for _ in range(width):
                total = 64 * total + place[next(letters)]
            row.append(total)
        rows.append(row)
    code, more, down, up = np.array(rows).T
    value = claim["start"] + np.cumsum(more)
    return code, np.stack([value, value - down, value + up])


@pytest.mark.parametrize("key", list(CLAIMS))
def test_every_analysis_comes_back_from_its_characters(key):
    result, claim = claims(key), made("curve").data["claims"][key]
    order = np.flatnonzero(result.ok)
    order = order[ties.order(result.value[order])]
    code, numbers = unpacked(claim)
    assert len(code) == len(result)
    for mine, column in zip(numbers, (result.value, result.lower, result.upper), strict=True):
        assert np.abs(mine - claim["scale"] * column[order]).max() <= 0.5 + 1e-6
    code, side = np.divmod(code, VERDICTS)
    assert np.array_equal(np.arange(len(order)) >= claim["against"], result.supports[order])
    assert np.array_equal(side == 2, result.certain[order])
    assert np.array_equal(side == 0, result.opposes[order])
    for d in reversed(range(len(claim["choices"]))):
        about = claim["choices"][d]
        code, level = np.divmod(code, len(about["levels"]) + about["absent"])
        assert np.array_equal(level - about["absent"], result.levels[order, d])
    assert order[claim["mark"]] == result.find(PUBLISHED) - 1


def test_all_analyses_together_stay_light():
    assert len(made("curve").json.encode()) < 250_000


def test_an_unknown_first_claim_is_refused():
    with pytest.raises(MetaAnalysisError, match="expected one of infection"):
        interactive.curve({"infection": claims("infection")}, name="x", first="overall")

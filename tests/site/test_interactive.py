"""Interactive pictures in a real browser: keyboard, numbers, words; and the page's engine."""

from __future__ import annotations

import io
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from built import SITE
from waits import settled

from helpers import load_audit, load_cohorts, load_sources, pool, printing
from helpers.engine.distributions import norm_ppf, t_ppf
from helpers.engine.effects import study_interval
from helpers.review import prevention
from helpers.review.claim_analyses import claim_multiverse
from helpers.views import interactive
from helpers.views.interactive.drawn_studies import SMALLEST
from helpers.views.interactive.live_picture import ASSETS

PAGE = "explore.html"


def near(seen, kind):
    """Go to a picture: one with many numbers reads them when it comes near the window."""
    seen.page.locator(f'[data-interactive="{kind}"]').scroll_into_view_if_needed()


@pytest.fixture
def explore(visit):
    def open_page(kind, **options):
        seen = visit(PAGE, **options)
        near(seen, kind)
        panel = seen.page.locator(f'[data-interactive="{kind}"][data-ready] .interactive-panel')
        panel.wait_for()
        return seen, panel

    return open_page


@pytest.fixture
def explored(stay):
    """Give a picture of a page that stays open, with all settings as at the start.

    A test of what a page forgets or shows only once (a focus, an open part, an address before
    this one) opens its own, by `explore`.
    """

    def take_back(kind):
        seen = stay(PAGE)
        page = seen.page
        if not hasattr(seen, "start"):
            near(seen, "curve")
            page.locator("[data-ready]").nth(2).wait_for()
            seen.start = shown(page)
        page.evaluate(
            """() => new Promise((done) => {
                if (location.hash === "#~") { done(); return; }
                addEventListener("popstate", () => setTimeout(done), { once: true });
                location.hash = "#~";
            })"""
        )
        assert shown(page) == seen.start
        seen.complaints.clear()
        near(seen, kind)
        return seen, page.locator(f'[data-interactive="{kind}"][data-ready] .interactive-panel')

    return take_back


def names(panel):
    return panel.locator("tbody .interactive-row").all_inner_texts()


def said(panel):
    """What the page announces, after the pause of its reader."""
    status = panel.locator("[role=status]:not([data-waiting])")
    status.wait_for(state="attached")
    return status.inner_text()


# -- the page -------------------------------------------------------------------------------------


def test_scripts_are_loaded_where_they_are_needed_alone():
    for path in SITE.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert ('src="interactive/' in text) == ('data-interactive="' in text), path.name
    assert not list((SITE / "_static").glob("curve.js"))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_the_page_works_from_a_disk_without_complaint_and_fits(explore, theme, width):
    seen, _ = explore("curve", theme=theme, width=width)
    assert seen.page.locator("[data-ready]").count() == 3
    assert seen.foreign == seen.failed == seen.complaints == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    inside = "e => e.scrollWidth - e.clientWidth"
    for panel in seen.page.locator(".interactive-panel").all():
        assert panel.evaluate(inside) <= 0


def test_without_a_script_the_fixed_pictures_are_there(browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((SITE / PAGE).as_uri())
    pictures = page.locator(".interactive > figure.picture svg[role=img]")
    assert pictures.count() == 3
    assert all(picture.is_visible() for picture in pictures.all())
    context.close()


def test_with_a_script_the_fixed_picture_stays_within_reach(explore):
    seen, _ = explore("forest")
    still = seen.page.locator('[data-interactive="forest"] > details')
    assert not still.locator("figure").is_visible()
    still.locator("> summary").focus()
    seen.page.keyboard.press("Enter")
    assert still.locator("figure").is_visible()


def test_ids_of_the_controls_are_their_own(explored):
    seen, _ = explored("curve")
    everywhere = seen.page.locator("[id]").evaluate_all("all => all.map(e => e.id)")
    mine = seen.page.locator(".interactive-panel [id]").evaluate_all("all => all.map(e => e.id)")
    assert len(mine) == 8
    assert [name for name in mine if everywhere.count(name) != 1] == []


def test_every_control_has_a_name(explored):
    seen, _ = explored("curve")
    unnamed = seen.page.locator(".interactive-panel :is(select, input, button)").evaluate_all(
        "all => all.filter(e => !(e.tagName === 'BUTTON' && e.textContent.trim()))"
        ".filter(e => !e.labels?.length).map(e => e.outerHTML)"
    )
    assert unnamed == []


CONTROLS = """all => all.map(e => [
  e.labels[0].textContent, e.type === "checkbox" ? String(e.checked) : e.value, e.disabled])"""


def shown(page):
    """Every control with its value, and what is drawn and said beside it."""
    controls = page.locator(".interactive-panel :is(select, input)").evaluate_all(CONTROLS)
    rest = page.locator(".interactive-panel :is(output, .interactive-summary, [data-result])")
    return controls, rest.all_inner_texts(), names(page)


@pytest.mark.parametrize("way", ["reload", "back"])
def test_a_page_that_is_shown_again_has_controls_that_agree_with_its_pictures(explore, way):
    seen, _ = explore("curve")
    page = seen.page
    start = shown(page)
    forest, laboratory, curve = (
        page.locator(f'[data-interactive="{kind}"] .interactive-panel')
        for kind in ("forest", "laboratory", "curve")
    )
    forest.get_by_label("Sort by").select_option("patients")
    forest.get_by_label("Largest first").uncheck()
    forest.get_by_label("Disease").select_option("MM")
    laboratory.get_by_label("Estimator of τ²").select_option("PM")
    laboratory.get_by_label("Studies", exact=True).fill("20")
    curve.get_by_label("Claim").select_option("overall")
    curve.get_by_label("Measure").select_option(label="arcsine")
    curve.get_by_label("Analysis, from the smallest").fill("3")
    changed = shown(page)
    assert [one != other for one, other in zip(start, changed, strict=True)] == [True] * 3
    if way == "reload":
        page.reload()
    else:
        page.goto((SITE / "glossary.html").as_uri())
        page.go_back()
    settled(page)
    page.locator("[data-ready]").nth(2).wait_for()
    assert shown(page) == changed  # all as it was left: the address has it


def test_controls_are_set_from_the_state_when_the_page_is_shown_again(explore):
    seen, _ = explore("curve")
    before = shown(seen.page)
    seen.page.evaluate(
        """() => {
          for (const e of document.querySelectorAll(".interactive-panel :is(select, input)")) {
            if (e.type === "checkbox") e.checked = !e.checked;
            else if (e.type === "range") e.value = e.max;
            else if (e.tagName === "INPUT") e.value = "7";
            else e.selectedIndex = e.options.length - 1;
          }
        }"""
    )
    assert shown(seen.page) != before
    seen.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    assert shown(seen.page) == before


def test_colours_follow_the_theme(explore):
    colour = "e => getComputedStyle(e).color"
    found = {explore("forest", theme=theme)[1].evaluate(colour) for theme in ("light", "dark")}
    assert len(found) == 2


def test_nothing_moves_by_itself(explored):
    """No transition and no animation, so that there is nothing to reduce."""
    seen, _ = explored("curve")
    moving = seen.page.locator(".interactive-panel, .interactive-panel *").evaluate_all(
        "all => all.filter(e => getComputedStyle(e).transitionDuration.split(', ')"
        ".some(d => parseFloat(d) > 0.05) || getComputedStyle(e).animationName !== 'none').length"
    )
    assert moving == 0


# -- the forest plot ------------------------------------------------------------------------------


def test_rows_are_sorted_and_filtered_and_the_change_is_announced(explored):
    cohorts = load_cohorts()
    _, panel = explored("forest")
    panel.get_by_label("Sort by").select_option("patients")
    assert names(panel)[0] == cohorts.loc[cohorts["patients"].idxmax(), "cohort"]
    panel.get_by_label("Largest first").uncheck()
    assert names(panel)[0] == cohorts.loc[cohorts["patients"].idxmin(), "cohort"]
    panel.get_by_label("Disease").select_option("MM")
    panel.get_by_label("Setting").select_option("trial")
    mine = cohorts[(cohorts["entity"] == "MM") & (cohorts["setting"] == "trial")]
    assert sorted(names(panel)) == sorted(mine["cohort"])
    fit = pool(
        mine,
        events="nonrelapse_deaths",
        n="patients",
        study="cohort",
        measure="logit",
        model="glmm",
    )
    told = said(panel)
    assert f"{len(mine)} of {len(cohorts)} cohorts" in told
    assert printing.estimate(fit) in told
    panel.get_by_role("button", name="Show all").click()
    assert len(names(panel)) == len(cohorts)


def test_cohorts_without_follow_up_come_last_in_both_directions(explored):
    cohorts = load_cohorts()
    missing = set(cohorts.loc[cohorts["median_follow_up_months"].isna(), "cohort"])
    _, panel = explored("forest")
    panel.get_by_label("Sort by").select_option("follow_up")
    for _ in range(2):
        assert set(names(panel)[-len(missing) :]) == missing
        panel.get_by_label("Largest first").click()


def test_names_begin_with_the_first_letter(explored):
    _, panel = explored("forest")
    panel.get_by_label("Sort by").select_option("name")
    assert names(panel)[0] == min(load_cohorts()["cohort"])


def test_arrow_keys_walk_through_the_cohorts_and_show_their_sources(explore):
    seen, panel = explore("forest")
    keys, card = seen.page.keyboard, panel.locator(".interactive-card")
    assert panel.locator('.interactive-row[tabindex="0"]').count() == 1
    panel.locator('.interactive-row[tabindex="0"]').focus()
    order = names(panel)
    for key, place in (("ArrowDown", 1), ("End", -1), ("ArrowUp", -2), ("Home", 0)):
        keys.press(key)
        focused = seen.page.evaluate("document.activeElement.innerText")
        assert focused == order[place]
        assert card.inner_text().startswith(focused)
    panel.locator(".interactive-row", has_text="Abramson 2020").focus()
    keys.press("Tab")
    link = seen.page.evaluate("document.activeElement.href")
    assert link == "https://doi.org/10.1016/S0140-6736(20)31366-0"


def test_pointing_shows_a_cohort_and_leaving_returns_to_the_chosen_one(explore):
    _, panel = explore("forest")
    rows, card = panel.locator("tbody tr"), panel.locator(".interactive-card")
    order = names(panel)
    rows.nth(2).click()
    rows.nth(4).hover()
    assert card.inner_text().startswith(order[4])
    panel.locator(".interactive-summary").hover()
    assert card.inner_text().startswith(order[2])


def test_the_card_lies_over_the_page_only_once_a_cohort_was_asked_for(explore):
    _, panel = explore("forest")
    place = "card => getComputedStyle(card).position"
    card = panel.locator(".interactive-card")
    assert card.evaluate(place) == "static"
    panel.get_by_label("Disease").hover()
    assert card.evaluate(place) == "static"
    panel.locator("tbody tr").nth(2).hover()
    assert card.evaluate(place) == "sticky"


def test_choices_that_leave_nothing_say_so(explored):
    _, panel = explored("forest")
    panel.get_by_label("Disease").select_option("MCL")
    panel.get_by_label("Product").select_option("ide-cel")
    assert names(panel) == []
    assert "No cohort" in panel.locator(".interactive-card").inner_text()
    assert "0 of 52 cohorts" in said(panel)


# -- one selection in four pictures, pooled in the page --------------------------------------------

RULE = {
    "z": float(norm_ppf(0.975)),
    "t": t_ppf(0.975, np.arange(1, 80)).tolist(),
    "few": 10,
    "prediction": 5,
    "tail": 0.025,
}
GLMM = """([sets, rule]) => sets.map(([x, n]) => {
  const { studies, ...fit } = window.interactive.glmm.pool(x, n, rule);
  if (fit.status !== "fitted") return fit;
  return { ...fit, weights: window.interactive.glmm.weights({ ...fit, studies }) };
})"""


def in_page(bare, sets):
    pairs = [([int(x) for x in events], [int(x) for x in n]) for events, n in sets]
    return bare.evaluate(GLMM, [pairs, RULE])


def same_fit(found, events, n):
    """The page's fit is the engine's: to 1e-6, and by the same rules for intervals."""
    fit = pool(events=events, n=n, measure="logit", model="glmm")
    if found["status"] == "wide":  # the page says that it gives no result
        assert fit.tau2 > 4
        return fit
    assert fit.converged == (found["status"] == "fitted"), (events, n)
    if not fit.converged:
        return fit
    assert found["boundary"] == (fit.tau2 == 0.0)
    close = {"rel": 1e-6, "abs": 1e-6}
    numbers = [found["mu"], found["se"], found["tau2"], found["estimate"], *found["ci"]]
    expected = [fit.mu, fit.se_model, fit.tau2, fit.estimate, *fit.ci]
    assert numbers == pytest.approx(expected, **close), (events, n)
    assert found["weights"] == pytest.approx(fit.studies["weight"].tolist(), rel=1e-5, abs=1e-5)
    if fit.k >= 3:
        assert found["prediction"] == pytest.approx(list(fit.prediction_interval()), **close)
        assert found["shows"] == (fit.k >= 5)
    return fit


def test_the_page_fits_the_glmm_of_any_cohorts_as_the_engine_does(bare):
    cohorts = load_cohorts()
    events, n = (cohorts[name].to_numpy() for name in ("nonrelapse_deaths", "patients"))
    rng = np.random.default_rng(17)
    chosen = [np.arange(52)]
    for k in [2, 3, 4, 5, 7, 9, 10, 15, 30, 45] * 6:
        chosen.append(rng.choice(52, size=k, replace=False))
    sets = [(events[some], n[some]) for some in chosen]
    fits = [same_fit(found, *one) for found, one in zip(in_page(bare, sets), sets, strict=True)]
    assert {fit.tau2 == 0.0 for fit in fits} == {True, False}


def test_the_page_fits_sparse_tables_as_the_engine_does(bare):
    """Zeros among the counts, none to much heterogeneity: as when a reader adds cohorts."""
    rng = np.random.default_rng(5)
    sets = []
    for tau in (0.0, 0.4, 1.0, 2.0):
        for k in (4, 8, 20):
            n = rng.integers(8, 150, size=k)
            rate = 1 / (1 + np.exp(3.0 - tau * rng.standard_normal(k)))
            sets.append((rng.binomial(n, rate), n))
    assert any((events == 0).any() for events, _ in sets)
    for found, one in zip(in_page(bare, sets), sets, strict=True):
        same_fit(found, *one)


def test_tables_without_a_maximum_have_an_exact_interval_or_say_so(bare):
    none, every, single, empty = in_page(
        bare, [([0, 0, 0], [10, 20, 30]), ([4, 6], [4, 6]), ([3], [30]), ([], [])]
    )
    # Clopper and Pearson: nobody of 60, everybody of 10
    assert (none["status"], none["estimate"]) == ("none", 0)
    assert none["ci"] == pytest.approx([0, 1 - 0.025 ** (1 / 60)], rel=1e-12)
    assert (every["status"], every["estimate"]) == ("all", 1)
    assert every["ci"] == pytest.approx([0.025 ** (1 / 10), 1], rel=1e-12)
    assert (single["status"], empty["status"]) == ("single", "empty")


def test_the_place_of_a_centre_is_that_of_the_predictive_distribution(bare):
    cohorts = load_cohorts()
    columns = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}
    fit = pool(cohorts, **columns, measure="logit", model="glmm")
    events, n = (cohorts[name].tolist() for name in ("nonrelapse_deaths", "patients"))
    found = bare.evaluate(
        """([x, n, rule, died, treated]) => {
          const { pool, place, predictive, shrunken, baujat } = window.interactive.glmm;
          const fit = pool(x, n, rule);
          return {
            place: place(fit, died, treated), all: [...predictive(fit, treated)],
            shrunken: x.map((one, i) => shrunken(fit, one, n[i])),
            baujat: baujat(fit).map(({ contribution, influence }) => [contribution, influence()]),
          };
        }""",
        [events, n, RULE, 9, 60],
    )
    # by simulation: a logit from t with k - 2 degrees of freedom, deaths from it
    rng = np.random.default_rng(3)
    logit = fit.mu + np.sqrt(fit.tau2 + fit.se_model**2) * rng.standard_t(fit.k - 2, 400_000)
    deaths = rng.binomial(60, 1 / (1 + np.exp(-logit)))
    assert sum(found["all"]) == pytest.approx(1, abs=1e-10)
    for x in (0, 2, 4, 9, 15):
        assert found["all"][x] == pytest.approx((deaths == x).mean(), abs=0.003)
    assert found["place"]["below"] == pytest.approx((deaths < 9).mean(), abs=0.003)
    assert found["place"]["above"] == pytest.approx((deaths > 9).mean(), abs=0.003)
    total = np.cumsum(found["all"])
    assert found["place"]["range"] == [int(np.argmax(total >= p)) for p in (0.025, 0.975)]
    ours = fit.shrunken_estimates()
    for key, column in (("logit", "mu"), ("se", "se"), ("towards", "shrinkage")):
        mine = [one[key] for one in found["shrunken"]]
        assert mine == pytest.approx(ours[column].tolist(), rel=1e-6)
    expected = fit.baujat()
    mine = np.array(found["baujat"])
    assert mine[:, 0] == pytest.approx(expected["contribution"].to_numpy(), rel=1e-6, abs=1e-8)
    assert mine[:, 1] == pytest.approx(expected["influence"].to_numpy(), abs=1e-4)


def part(names=None, mask=None):
    cohorts = load_cohorts()
    mine = cohorts[cohorts["cohort"].isin(names) if mask is None else mask(cohorts)]
    return pool(
        mine,
        events="nonrelapse_deaths",
        n="patients",
        study="cohort",
        measure="logit",
        model="glmm",
    )


def ticked(panel):
    """Names of the cohorts whose box is ticked, of those in the table."""
    return (
        panel.locator("tbody tr:has(.interactive-tick input:checked)")
        .locator(".interactive-row")
        .all_inner_texts()
    )


def drawn(panel, title):
    """What a picture draws strongly and what it fades."""
    marks = panel.locator(f'.interactive-chart:has-text("{title}") circle')
    return {
        faded: set(
            marks.evaluate_all(
                "(all, faded) => all"
                ".filter(e => e.classList.contains('interactive-faded') === faded)"
                ".map(e => e.dataset.cohort)",
                faded,
            )
        )
        for faded in (False, True)
    }


PICTURES = ("Study map", "Funnel plot", "Baujat plot")


def test_a_rectangle_in_one_picture_selects_in_all_and_pools_again(explore):
    seen, panel = explore("forest")
    frame = panel.locator('.interactive-chart:has-text("Study map") svg')
    frame.scroll_into_view_if_needed()
    box, mouse = frame.bounding_box(), seen.page.mouse
    mouse.move(box["x"] + 60, box["y"] + 26)
    mouse.down()
    mouse.move(box["x"] + 100, box["y"] + 150, steps=4)
    mouse.up()
    chosen = ticked(panel)
    assert 2 <= len(chosen) < 52
    fit = part(chosen)
    assert printing.estimate(fit) in panel.locator(".interactive-summary").first.inner_text()
    assert f"{52 - len(chosen)} of these are ticked off" in said(panel)
    without_follow_up = load_cohorts().set_index("cohort")["median_follow_up_months"].isna()
    for title in PICTURES[:2]:
        strong = drawn(panel, title)
        assert strong[False] == set(chosen)
        assert strong[True] | strong[False] >= set(without_follow_up.index[~without_follow_up])
    # the keyboard takes it back
    panel.locator('.interactive-row[tabindex="0"]').focus()
    seen.page.keyboard.press("Escape")
    assert len(ticked(panel)) == 52
    assert drawn(panel, "Funnel plot")[True] == set()


@pytest.mark.parametrize("where", ["row", "picture"])
def test_the_keyboard_ticks_off_and_brushes(explore, where):
    seen, panel = explore("forest")
    keys = seen.page.keyboard
    if where == "row":
        panel.locator('.interactive-row[tabindex="0"]').focus()
        forward = "ArrowDown"
    else:
        panel.locator(".interactive-chart").nth(1).focus()
        forward = "ArrowLeft"  # the first row has the highest rate
    keys.press(forward)
    current = panel.locator(".interactive-card strong").first.inner_text()
    keys.press("Space")
    assert set(names(panel)) - set(ticked(panel)) == {current}
    rest = [name for name in names(panel) if name != current]
    assert printing.estimate(part(rest)) in said(panel)
    keys.press("Space")
    for _ in range(4):
        keys.press(f"Shift+{forward}")
    chosen = ticked(panel)
    assert len(chosen) == 5
    assert current in chosen
    assert printing.estimate(part(chosen)) in said(panel)
    keys.press("Escape")
    assert len(ticked(panel)) == 52


def test_thresholds_leave_the_cohorts_beyond_them(explored):
    _, panel = explored("forest")
    panel.get_by_label("Follow-up, at least").fill("12")
    panel.get_by_label("Patients, at least").fill("60")
    fit = part(
        mask=lambda table: (table["median_follow_up_months"] >= 12) & (table["patients"] >= 60)
    )
    told = said(panel)
    assert told.startswith(f"{fit.k} of 52 cohorts")
    assert printing.estimate(fit) in told
    assert printing.prediction(fit) in told
    assert "1 without a reported follow-up is left out" in told
    panel.get_by_label("Published from").fill("2024")
    mine = load_cohorts().set_index("cohort").loc[names(panel)]
    assert set(mine["year"]) == {2024}


def test_few_cohorts_show_no_prediction_interval_in_the_forest(explored):
    cohorts = load_cohorts()
    _, panel = explored("forest")
    sizes = cohorts.groupby("entity", observed=True).size()
    assert sizes["IL"] < 5 <= sizes["MCL"]
    for disease, shows in (("IL", False), ("MCL", True)):
        panel.get_by_label("Disease").select_option(disease)
        told = panel.locator(".interactive-summary").first.inner_text()
        fit = part(mask=lambda table, disease=disease: table["entity"] == disease)
        assert printing.estimate(fit) in told
        assert ("prediction interval" in told) == shows
        assert panel.locator("tfoot line.interactive-prediction").count() == shows


def test_a_variance_of_zero_is_said(explored):
    _, panel = explored("forest")
    panel.get_by_label("Disease").select_option("IL")
    fit = part(mask=lambda table: table["entity"] == "IL")
    assert fit.tau2 == 0
    assert "variance between cohorts is estimated as zero" in said(panel)


def test_the_card_has_counts_trial_doi_and_audit(explore):
    _, panel = explore("forest")
    card = panel.locator(".interactive-card")
    panel.locator(".interactive-row", has_text="Neelapu 2023").click()
    text = card.inner_text()
    cohorts, sources = (
        frame.set_index("cohort").loc["Neelapu 2023"] for frame in (load_cohorts(), load_sources())
    )
    assert f"{cohorts['nonrelapse_deaths']} nonrelapse deaths among" in text
    assert sources["registration"] in text
    assert sources["doi"] in text
    (note,) = load_audit().query("cohort == 'Neelapu 2023'")["note"]
    assert note in text
    weight = part(mask=lambda table: table["year"] > 0).studies.loc["Neelapu 2023", "weight"]
    assert f"Weight {printing.number(weight, 1)}%" in text
    # tapping a row on a phone leaves its card in view
    assert card.evaluate(
        "e => { const b = e.getBoundingClientRect(); return b.bottom <= innerHeight + 1 }"
    )


def test_a_row_that_is_walked_to_is_spoken_with_weight_and_verdict(explore):
    seen, panel = explore("forest")
    panel.locator('.interactive-row[tabindex="0"]').focus()
    seen.page.keyboard.press("End")
    fit = part(mask=lambda table: table["year"] > 0)
    last = names(panel)[-1]
    row = fit.studies.loc[last]
    place = (
        "whole interval lies above"
        if row["ci_lower"] > fit.estimate
        else "whole interval lies below"
        if row["ci_upper"] < fit.estimate
        else "interval contains"
    )
    told = said(panel)
    assert told.startswith(f"{last}: {printing.percent(row['estimate'])}")
    assert f"weight {printing.number(row['weight'], 1)}%; its {place} the pooled rate." in told


def test_tones_are_off_rise_with_the_rate_and_last_with_the_width(explore):
    seen, panel = explore("forest")
    page = seen.page
    page.evaluate(
        """() => {
          window.heard = 0;
          const play = AudioContext.prototype.createOscillator;
          AudioContext.prototype.createOscillator = function () {
            window.heard += 1;
            return play.call(this);
          };
        }"""
    )
    panel.locator('.interactive-row[tabindex="0"]').focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("window.heard") == 0
    page.keyboard.press("p")  # asked for: one tone for the rate, one for the interval
    assert page.evaluate("window.heard") == 2
    panel.get_by_label("Tones for each row").check()
    panel.locator('.interactive-row[tabindex="0"]').focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("window.heard") == 4
    tones = """at => window.interactive.sound.tones({ at }, 0.6)"""
    low, high, wide = (
        page.evaluate(tones, at)
        for at in ([0.05, 0.03, 0.08], [0.2, 0.18, 0.23], [0.05, 0.01, 0.3])
    )
    assert low[0]["from"] < high[0]["from"] <= 4 * 220
    assert low[1]["length"] == pytest.approx(high[1]["length"])
    assert low[1]["length"] < wide[1]["length"]
    assert low[1]["from"] < low[1]["to"]


def test_my_centre_is_placed_shrunken_and_added(explore):
    seen, panel = explore("forest")
    panel.locator("summary", has_text="My centre").click()
    result = panel.locator('[data-result="centre"]')
    panel.get_by_label("Treated at my centre").fill("60")
    panel.get_by_label("Died without relapse").fill("61")
    assert "from 0 to the number of patients" in result.inner_text()
    add = panel.get_by_role("button", name="Add to the cohorts")
    assert add.is_disabled()
    panel.get_by_label("Died without relapse").fill("9")
    text = result.inner_text()
    low, high = (float(x[0]) for x in study_interval([9], [60], method="wilson"))
    assert f"{printing.percent(9 / 60)} ({printing.interval((low, high), 0.95)})" in text
    # as an additional cohort would be drawn towards the others at these estimates
    fit = part(mask=lambda table: table["year"] > 0)
    z = np.linspace(-9, 9, 4001)
    eta = fit.mu + np.sqrt(fit.tau2) * z
    log = 9 * eta - 60 * np.log1p(np.exp(eta)) - z**2 / 2
    weight = np.exp(log - log.max())
    mean = (weight * eta).sum() / weight.sum()
    assert f"your estimate is {printing.percent(1 / (1 + np.exp(-mean)))} (" in text
    panel.get_by_role("spinbutton", name="Median follow-up").fill("14")
    panel.get_by_label("Name", exact=True).fill("Ours")
    remove = panel.locator("button", has_text="Take out what was added")
    top = "button.getBoundingClientRect().top + scrollY"
    said, before = remove.evaluate(
        f"(button, add) => {{ add.click(); return [document.body.innerText, {top}]; }}",
        add.element_handle(),
    )
    assert len(names(panel)) == 53
    # what is computed meanwhile, above it, does not move the button under a finger
    assert "Computing …" in said
    panel.get_by_text("Computing …").wait_for(state="detached")
    assert remove.evaluate(f"(button) => {top}") == before
    cohorts = load_cohorts()
    events = [*cohorts["nonrelapse_deaths"], 9]
    with_ours = pool(events=events, n=[*cohorts["patients"], 60], measure="logit", model="glmm")
    summary = panel.locator(".interactive-summary").first
    assert (
        f"{printing.estimate(with_ours)}; {printing.prediction(with_ours)}" in summary.inner_text()
    )
    assert "Ours" in drawn(panel, "Study map")[False]
    assert add.is_disabled()  # the name is taken
    remove.click()
    assert len(names(panel)) == 52
    # an interval beyond the axis makes it longer
    axis = panel.locator("thead svg text")
    assert axis.all_text_contents()[-1] == "60"
    panel.get_by_label("Treated at my centre").fill("5")
    panel.get_by_label("Died without relapse").fill("3")
    add.click()
    assert axis.all_text_contents()[-1] == "80"
    assert seen.complaints == []


@pytest.mark.parametrize("width", [320, 390])
def test_all_parts_fit_a_phone(explore, width):
    seen, panel = explore("forest", width=width)
    for summary in panel.locator("details > summary").all():
        summary.click()
    panel.get_by_label("First to compare").select_option("axi-cel")
    panel.get_by_label("Second to compare").select_option("tisa-cel")
    panel.get_by_label("Treated at my centre").fill("1234")
    panel.get_by_label("Died without relapse").fill("99")
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    inside = "all => all.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.className)"
    boxes = ":scope, details, .interactive-scroll, .interactive-chart, table"
    parts = panel.locator(f"{boxes}, p:not(.interactive-hidden)")
    assert parts.evaluate_all(inside) == []


def test_two_products_stand_beside_what_else_differs(explore):
    _, panel = explore("forest")
    panel.locator("summary", has_text="Compare two products").click()
    panel.get_by_label("First to compare").select_option("axi-cel")
    panel.get_by_label("Second to compare").select_option("cilta-cel")
    rows = {
        line[0]: line[1:]
        for line in panel.locator(".interactive-compared tbody tr").evaluate_all(
            "all => all.map(row => [...row.children].map(cell => cell.innerText))"
        )
    }
    cohorts = load_cohorts()
    for place, product in enumerate(("axi-cel", "cilta-cel")):
        mine = cohorts[cohorts["product"] == product]
        fit = part(mine["cohort"])
        assert rows["Pooled rate"][place] == printing.estimate(fit)
        assert rows["Cohorts"][place] == str(len(mine))
        trials = (mine["setting"] == "trial").mean()
        assert f"trial {printing.percent(trials)}" in rows["Setting, share of cohorts"][place]
        months = mine["median_follow_up_months"].median()
        assert rows["Median follow-up, months: middle (range)"][place].startswith(
            printing.number(months, 1)
        )
    assert rows["Disease, share of cohorts"][1] == "MM 100%"


def test_back_undoes_forward_redoes_and_a_copied_address_shows_the_same(explore, visit):
    seen, _ = explore("curve")  # the last picture to be there
    page = seen.page
    panel = page.locator('[data-interactive="forest"] .interactive-panel')
    states = [shown(page)]
    panel.get_by_label("Disease").select_option("MM")
    states.append(shown(page))
    panel.locator("tbody tr").nth(1).locator(".interactive-tick").click()
    states.append(shown(page))
    page.locator('[data-interactive="curve"] .interactive-panel').get_by_label(
        "Claim"
    ).select_option("overall")
    states.append(shown(page))
    assert len({str(state) for state in states}) == 4
    for before in reversed(states[:-1]):
        page.go_back()
        assert shown(page) == before
    for after in states[1:]:
        page.go_forward()
        assert shown(page) == after
    other = visit(f"{PAGE}#{page.url.partition('#')[2]}")
    other.page.locator("[data-ready]").nth(2).wait_for()
    assert shown(other.page) == states[-1]
    assert seen.complaints == other.complaints == []


def test_many_numbers_are_read_when_their_picture_is_near_or_the_address_sets_it(visit):
    page = visit(PAGE).page
    asked = "[...document.scripts].filter((one) => one.src.includes('data-')).length"
    panel = page.locator('[data-interactive="curve"] .interactive-panel')
    page.wait_for_timeout(300)
    assert page.evaluate(asked) == panel.count() == 0
    set_by_address = visit(f"{PAGE}#~curve.claim=overall").page
    panel = set_by_address.locator('[data-interactive="curve"] .interactive-panel')
    panel.wait_for()
    assert panel.get_by_label("Claim").input_value() == "overall"
    assert set_by_address.url.endswith("#~curve.claim=overall")


def test_a_link_to_a_section_is_no_change_of_the_state(explore):
    seen, panel = explore("forest")
    panel.get_by_label("Disease").select_option("MM")
    mine = names(panel)
    seen.page.evaluate("location.hash = '#the-analyses'")
    assert names(panel) == mine
    seen.page.go_back()
    assert names(panel) == mine
    seen.page.go_back()
    assert len(names(panel)) == 52


def test_an_address_with_unknown_parts_says_what_was_left_out(visit):
    seen = visit(f"{PAGE}#~forest.entity=XYZ&forest.without=Nobody+1999&forest.months=ten")
    panel = seen.page.locator('[data-interactive="forest"] .interactive-panel')
    told = panel.locator(".interactive-summary").first.inner_text()
    for part_of in ("entity=XYZ", "Nobody 1999", "months=ten"):
        assert part_of in told
    assert len(names(panel)) == len(ticked(panel)) == 52
    assert seen.complaints == []


def test_picture_and_table_are_taken_away_as_they_are(explored):
    seen, panel = explored("forest")
    panel.get_by_label("Disease").select_option("MCL")
    panel.locator("tbody tr").first.locator(".interactive-tick").click()
    chosen = ticked(panel)
    fit = part(chosen)
    files = {}
    for kind in ("SVG", "PNG", "CSV"):
        with seen.page.expect_download() as got:
            # by keyboard: the pictures above, drawn anew, may move the button
            panel.get_by_role("button", name=f"Download the cohorts as {kind}").press("Enter")
        files[got.value.suggested_filename] = Path(got.value.path()).read_bytes()
    table = pd.read_csv(io.BytesIO(files["cohorts.csv"])).set_index("cohort")
    assert list(table.index[table["pooled"] == "yes"]) == chosen
    assert table.loc["Pooled (GLMM)", ["rate", "lower", "upper"]].tolist() == pytest.approx(
        [fit.estimate, *fit.ci], abs=1e-6
    )
    ours = load_cohorts().set_index("cohort").loc[chosen]
    assert table.loc[chosen, "deaths"].tolist() == ours["nonrelapse_deaths"].tolist()
    svg = ElementTree.fromstring(files["cohorts.svg"])
    words = " ".join(svg.itertext())
    assert all(name in words for name in names(panel))
    assert "var(" not in files["cohorts.svg"].decode()
    assert files["cohorts.png"].startswith(b"\x89PNG")


# -- the laboratory -------------------------------------------------------------------------------

ENGINE = """([settings, method, t]) => {
  const { draw, pool } = window.interactive.statistics;
  const drawn = draw(settings);
  return { drawn, fit: pool(drawn.events, drawn.n, method, t) };
}"""


@pytest.fixture(scope="module")
def bare(browser):
    """Give a page with nothing but the scripts that compute."""
    page = browser.new_page()
    for name in ("common.js", "statistics.js", "glmm.js"):
        page.add_script_tag(content=(ASSETS / name).read_text(encoding="utf-8"))
    yield page
    page.close()


@pytest.fixture(scope="module")
def engine(bare):
    """Run the page's own draw and pool."""
    t = t_ppf(0.975, np.arange(1, 60)).tolist()
    return lambda method="DL", **settings: bare.evaluate(ENGINE, [settings, method, t])


@pytest.mark.parametrize("method", ["DL", "PM"])
@pytest.mark.parametrize(
    ("tau", "studies", "size", "rate", "seed"),
    [
        (0.45, 52, 100, 0.07, 1),
        (0.0, 20, 100, 0.07, 2),
        (1.5, 12, 30, 0.02, 3),
        (0.8, 3, 1000, 0.4, 4),
        (0.3, 60, 2000, 0.1, 5),
        (0.0, 3, 10, 0.01, 6),
    ],
)
def test_the_page_draws_and_pools_like_the_engine(engine, method, tau, studies, size, rate, seed):
    settings = {"tau": tau, "studies": studies, "size": size, "rate": rate, "spread": 1.0}
    made = engine(method, **settings, seed=seed, smallest=SMALLEST)
    drawn, fit = made["drawn"], made["fit"]
    ours = interactive.draw(**settings, seed=seed)
    assert (tuple(drawn["n"]), tuple(drawn["events"])) == (ours.n, ours.events)
    assert drawn["rates"] == pytest.approx(ours.rates, rel=1e-12)
    expected = pool(events=ours.events, n=ours.n, model="random", tau2_method=method)
    assert expected.converged
    close = {"rel": 1e-8, "abs": 1e-10}
    het = expected.heterogeneity
    assert [fit["mu"], fit["tau2"]] == pytest.approx([expected.mu, expected.tau2], **close)
    assert [fit["Q"], fit["df"], fit["p"], fit["I2"]] == pytest.approx(
        [het.Q, het.df, het.p, het.I2], **close
    )
    assert fit["estimate"] == pytest.approx(expected.estimate, **close)
    assert fit["ci"] == pytest.approx(expected.ci, **close)
    assert fit["prediction"] == pytest.approx(expected.prediction_interval(), **close)
    assert fit["weights"] == pytest.approx(expected.studies["weight"].tolist(), **close)


def test_intervals_of_single_studies_are_those_of_the_engine(bare):
    events, n = [0, 3, 40, 9], [12, 50, 40, 300]
    found = bare.evaluate(
        "([x, n, z]) => x.map((e, i) => window.interactive.statistics.wilson(e, n[i], z))",
        [events, n, float(norm_ppf(0.975))],
    )
    low, high = study_interval(events, n, method="wilson")
    assert np.array(found) == pytest.approx(np.column_stack([low, high]), rel=1e-9, abs=1e-12)


def test_numbers_are_printed_as_in_the_book(bare):
    values = [0.0, -0.001, -1.5, 7.25, 999.4, 1624.06, 1234567.891]
    found = bare.evaluate("all => all.map(x => window.interactive.number(x, 1))", values)
    assert found == [printing.number(value, 1) for value in [0.0, 0.0, -1.5, 7.25, *values[4:]]]
    # halves go up in the decimal form, not in the binary one
    halves = [12.95, 1.005, 0.285, 2.675, 1e-9, 1234567.891]
    found = bare.evaluate("all => all.map(x => window.interactive.number(x))", halves)
    assert found == [printing.number(value) for value in halves]
    rates = [0.0295, 0.1235, 0.0005, 0.285, 1.0]
    found = bare.evaluate("all => all.map(x => window.interactive.percent(x))", rates)
    assert found == [printing.percent(value) for value in rates]


def results(panel):
    return {
        item.get_attribute("data-result"): item.inner_text()
        for item in panel.locator("[data-result]").all()
    }


def test_sliders_answer_to_the_keyboard_and_print_what_the_engine_finds(explored):
    seen, panel = explored("laboratory")
    page = json.loads(
        seen.page.locator('[data-interactive="laboratory"] > script').first.inner_text()
    )
    start, before = page["start"], results(panel)
    panel.get_by_label("Studies", exact=True).focus()
    for _ in range(12):
        seen.page.keyboard.press("ArrowLeft")
    panel.get_by_label("Patients in a typical study").focus()
    seen.page.keyboard.press("End")
    after = results(panel)
    assert after != before
    drawn = interactive.draw(
        start["tau"],
        start["studies"] - 12,
        page["ranges"]["size"][-1],
        start["rate"],
        spread=page["spread"],
        seed=start["seed"],
    )
    fit = pool(events=drawn.events, n=drawn.n, model="random", tau2_method="DL")
    assert after["I2"] == printing.percent(fit.heterogeneity.I2 / 100, 0)
    assert after["Q"].startswith(f"{printing.number(fit.heterogeneity.Q, 1)} on {fit.k - 1} df")
    assert after["pooled"] == printing.estimate(fit)
    assert after["prediction"] == printing.percent_range(fit.prediction_interval())
    assert f"I² {after['I2']}" in said(panel)


def test_few_drawn_studies_show_no_prediction_interval(explored):
    seen, panel = explored("laboratory")
    panel.get_by_label("Studies", exact=True).focus()
    seen.page.keyboard.press("Home")
    assert results(panel)["prediction"] == "none shown below 5 studies"
    assert panel.locator("line.interactive-prediction").count() == 0
    for _ in range(2):
        seen.page.keyboard.press("ArrowRight")
    assert " to " in results(panel)["prediction"]
    assert panel.locator("line.interactive-prediction").count() == 1


def test_the_estimator_and_another_draw_change_the_numbers_and_the_start_returns(explored):
    _, panel = explored("laboratory")
    before = results(panel)
    panel.get_by_label("Estimator of τ²").select_option("PM")
    other = results(panel)
    assert other["tau"] != before["tau"]
    assert other["Q"] == before["Q"]
    panel.get_by_role("button", name="Draw again").click()
    assert results(panel)["Q"] != before["Q"]
    panel.get_by_role("button", name="Back to the start").click()
    assert results(panel) == before


# -- the curve ------------------------------------------------------------------------------------


def test_a_choice_picks_its_analyses_out_and_tells_their_support(explored):
    result = claim_multiverse(load_cohorts(), "axi-tisa")
    row = result.by_choice().set_index("level").loc["at least 12 months"]
    _, panel = explored("curve")
    panel.get_by_label("Follow-up").select_option(label="at least 12 months")
    told = said(panel)
    assert told.startswith(f"{printing.count(row['analyses'])} of {printing.count(len(result))}")
    assert f"{printing.percent(row['certain'])} with the whole" in told
    assert f"median {printing.number(row['median'])}" in told
    assert panel.locator(".interactive-picked-point").get_attribute("d")
    panel.get_by_role("button", name="Take back all choices").click()
    assert said(panel).startswith(f"All {printing.count(len(result))} analyses")


def test_the_slider_walks_through_the_picked_analyses_by_keyboard(explored):
    seen, panel = explored("curve")
    panel.get_by_label("Measure").select_option(label="arcsine")
    walk = panel.get_by_label("Analysis, from the smallest")
    walk.focus()
    seen.page.keyboard.press("Home")
    texts = set()
    for _ in range(5):
        card = panel.locator(".interactive-card").inner_text()
        assert "arcsine" in card
        texts.add(walk.get_attribute("aria-valuetext"))
        seen.page.keyboard.press("ArrowRight")
    assert len(texts) == 5


def test_pointing_at_the_curve_looks_and_a_click_stays(explore):
    """A mouse on its way elsewhere does not lose the place of the slider."""
    _, panel = explore("curve")
    place, card = panel.locator("output"), panel.locator(".interactive-card")
    before, slider = (place.inner_text(), card.inner_text()), panel.get_by_role("slider")
    value = slider.input_value()
    drawing = panel.locator("svg.interactive-curve")
    drawing.scroll_into_view_if_needed()
    drawing.hover(position={"x": 400, "y": 60})
    assert (place.inner_text(), card.inner_text()) != before
    assert slider.input_value() == value
    panel.get_by_label("Claim").hover()
    assert (place.inner_text(), card.inner_text()) == before
    drawing.click(position={"x": 400, "y": 60})
    assert slider.input_value() != value
    panel.get_by_label("Claim").hover()
    assert (place.inner_text(), card.inner_text()) != before


def test_a_choice_is_called_as_in_the_book(explored):
    """Greek letters keep their case: the capital of τ is another symbol."""
    result = claim_multiverse(load_cohorts(), "axi-tisa")
    _, panel = explored("curve")
    labels = panel.locator(".interactive-choices label > span").all_inner_texts()
    assert [label.lower() for label in labels] == [name.lower() for name in result.choices]
    symbols = [name for name in result.choices if not name[0].isascii()]
    assert symbols
    assert set(symbols) <= set(labels)


def test_intervals_that_leave_the_frame_are_counted_and_marked(explored):
    _, panel = explored("curve")
    said_so = panel.locator(".interactive-legend").inner_text()
    assert "intervals reach beyond the frame" in said_so
    walk = panel.get_by_label("Analysis, from the smallest")
    height = "e => { const b = e.getBBox(); return b.y + b.height }"
    marked = 0
    for place in (1, int(walk.get_attribute("max"))):
        walk.fill(str(place))
        for arrow in panel.locator(".interactive-beyond").all():
            assert arrow.evaluate(height) <= 260
            marked += 1
    assert marked


def test_shares_are_whole_for_all_and_none_alone(bare):
    shares = [(0, 9), (9, 9), (1, 3), (99999, 100000), (1, 100000)]
    found = bare.evaluate("all => all.map(([a, b]) => window.interactive.share(a, b))", shares)
    assert found == ["0%", "100%", "33.3%", "99.999%", "0.001%"]


def test_another_width_of_the_curve_is_no_news(explore):
    seen, panel = explore("curve")
    panel.get_by_label("Measure").select_option(label="arcsine")
    said(panel)
    panel.locator("[role=status]").evaluate("e => { e.textContent = 'old' }")
    seen.page.set_viewport_size({"width": 700, "height": 900})
    seen.page.wait_for_timeout(900)
    assert panel.locator("[role=status]").inner_text() == "old"


def test_the_published_analysis_is_found_from_anywhere(explored):
    _, panel = explored("curve")
    panel.get_by_label("Claim").select_option("overall")
    panel.get_by_label("Measure").select_option(label="arcsine")
    panel.get_by_role("button", name="Go to the published analysis").click()
    card = panel.locator(".interactive-card").inner_text()
    assert "This is the published analysis" in card
    assert "binomial or Poisson GLMM" in card


def test_choices_that_exclude_each_other_say_so(explored):
    seen, panel = explored("curve")
    panel.get_by_label("Model").select_option(label="binomial or Poisson GLMM")
    panel.get_by_label("Measure").select_option(label="arcsine")
    assert "No analysis" in said(panel)
    walk = panel.get_by_label("Analysis, from the smallest")
    assert walk.is_disabled()
    assert walk.get_attribute("aria-valuetext") == "no analysis"
    assert seen.complaints == []


# -- the what-if ----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [390, 1280])
def test_the_slider_counts_as_the_helpers_do(visit, width):
    seen = visit("preventing_infection.html", width=width)
    panel = seen.page.locator('[data-interactive="whatif"][data-ready] .interactive-panel')
    panel.wait_for()
    slider = panel.get_by_role("slider")
    result = {key: panel.locator(f'[data-result="{key}"]') for key in ("left", "fewer", "treated")}
    whole = prevention.infection_burden()["all", "mean"]
    for part in (0.25, 0.5, 1.0):
        slider.fill(str(part))
        (expected,) = prevention.prevented_deaths(whole, [part])
        assert result["left"].inner_text() == f"{1000 * expected.left:.0f}"
        low, high = (f"{1000 * limit:.0f}" for limit in expected.fewer_ci)
        assert result["fewer"].inner_text() == f"{1000 * expected.fewer:.0f} ({low} to {high})"
        assert result["treated"].inner_text().startswith(f"{expected.treated_per_death:.0f} (")
    slider.fill("0")
    assert result["treated"].inner_text() == "\u2013"
    assert seen.failed == seen.complaints == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width

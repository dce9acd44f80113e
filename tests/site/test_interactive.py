"""Interactive pictures in a real browser: keyboard, numbers, words; and the page's engine."""

from __future__ import annotations

import json

import numpy as np
import pytest
from built import SITE

from helpers import load_cohorts, pool, printing
from helpers.engine.distributions import norm_ppf, t_ppf
from helpers.engine.effects import study_interval
from helpers.review import prevention
from helpers.review.claim_analyses import claim_multiverse
from helpers.views import interactive
from helpers.views.interactive.drawn_studies import SMALLEST
from helpers.views.interactive.live_picture import ASSETS

PAGE = "explore.html"


@pytest.fixture
def explore(visit):
    def open_page(kind, **options):
        seen = visit(PAGE, **options)
        panel = seen.page.locator(f'[data-interactive="{kind}"][data-ready] .interactive-panel')
        panel.wait_for()
        return seen, panel

    return open_page


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


def test_ids_of_the_controls_are_their_own(explore):
    seen, _ = explore("curve")
    everywhere = seen.page.locator("[id]").evaluate_all("all => all.map(e => e.id)")
    mine = seen.page.locator(".interactive-panel [id]").evaluate_all("all => all.map(e => e.id)")
    assert len(mine) == 6
    assert [name for name in mine if everywhere.count(name) != 1] == []


def test_every_control_has_a_name(explore):
    seen, _ = explore("curve")
    unnamed = seen.page.locator(".interactive-panel :is(select, input, button)").evaluate_all(
        "all => all.filter(e => !(e.tagName === 'BUTTON' && e.innerText.trim()))"
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
    page.wait_for_load_state("networkidle")
    page.locator("[data-ready]").nth(2).wait_for()
    # all as it was left (kept in memory by the browser) or all as at the start, and no mixture
    assert shown(page) in (start, changed)


def test_controls_are_set_from_the_state_when_the_page_is_shown_again(explore):
    seen, _ = explore("curve")
    before = shown(seen.page)
    seen.page.evaluate(
        """() => {
          for (const e of document.querySelectorAll(".interactive-panel :is(select, input)")) {
            if (e.type === "checkbox") e.checked = !e.checked;
            else if (e.type === "range") e.value = e.max;
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


def test_nothing_moves_by_itself(explore):
    """No transition and no animation, so that there is nothing to reduce."""
    seen, _ = explore("curve")
    moving = seen.page.locator(".interactive-panel, .interactive-panel *").evaluate_all(
        "all => all.filter(e => getComputedStyle(e).transitionDuration.split(', ')"
        ".some(d => parseFloat(d) > 0.05) || getComputedStyle(e).animationName !== 'none').length"
    )
    assert moving == 0


# -- the forest plot ------------------------------------------------------------------------------


def test_rows_are_sorted_and_filtered_and_the_change_is_announced(explore):
    cohorts = load_cohorts()
    _, panel = explore("forest")
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


def test_cohorts_without_follow_up_come_last_in_both_directions(explore):
    cohorts = load_cohorts()
    missing = set(cohorts.loc[cohorts["median_follow_up_months"].isna(), "cohort"])
    _, panel = explore("forest")
    panel.get_by_label("Sort by").select_option("follow_up")
    for _ in range(2):
        assert set(names(panel)[-len(missing) :]) == missing
        panel.get_by_label("Largest first").click()


def test_names_begin_with_the_first_letter(explore):
    _, panel = explore("forest")
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


def test_choices_that_leave_nothing_say_so(explore):
    _, panel = explore("forest")
    panel.get_by_label("Disease").select_option("MCL")
    panel.get_by_label("Product").select_option("ide-cel")
    assert names(panel) == []
    assert "No cohort" in panel.locator(".interactive-card").inner_text()
    assert "0 of 52 cohorts" in said(panel)


# -- the laboratory -------------------------------------------------------------------------------

ENGINE = """([settings, method, t]) => {
  const { draw, pool } = window.interactive.statistics;
  const drawn = draw(settings);
  return { drawn, fit: pool(drawn.events, drawn.n, method, t) };
}"""


@pytest.fixture(scope="module")
def bare(browser):
    """Give a page with nothing but the scripts of the laboratory."""
    page = browser.new_page()
    for name in ("common.js", "statistics.js"):
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


def results(panel):
    return {
        item.get_attribute("data-result"): item.inner_text()
        for item in panel.locator("[data-result]").all()
    }


def test_sliders_answer_to_the_keyboard_and_print_what_the_engine_finds(explore):
    seen, panel = explore("laboratory")
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


def test_few_drawn_studies_show_no_prediction_interval(explore):
    seen, panel = explore("laboratory")
    panel.get_by_label("Studies", exact=True).focus()
    seen.page.keyboard.press("Home")
    assert results(panel)["prediction"] == "none shown below 5 studies"
    assert panel.locator("line.interactive-prediction").count() == 0
    for _ in range(2):
        seen.page.keyboard.press("ArrowRight")
    assert " to " in results(panel)["prediction"]
    assert panel.locator("line.interactive-prediction").count() == 1


def test_the_estimator_and_another_draw_change_the_numbers_and_the_start_returns(explore):
    _, panel = explore("laboratory")
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


def test_a_choice_picks_its_analyses_out_and_tells_their_support(explore):
    result = claim_multiverse(load_cohorts(), "axi-tisa")
    row = result.by_choice().set_index("level").loc["at least 12 months"]
    _, panel = explore("curve")
    panel.get_by_label("Follow-up").select_option(label="at least 12 months")
    told = said(panel)
    assert told.startswith(f"{printing.count(row['analyses'])} of {printing.count(len(result))}")
    assert f"{printing.percent(row['certain'])} with the whole" in told
    assert f"median {printing.number(row['median'])}" in told
    assert panel.locator(".interactive-picked-point").get_attribute("d")
    panel.get_by_role("button", name="Take back all choices").click()
    assert said(panel).startswith(f"All {printing.count(len(result))} analyses")


def test_the_slider_walks_through_the_picked_analyses_by_keyboard(explore):
    seen, panel = explore("curve")
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


def test_pointing_at_the_curve_shows_an_analysis(explore):
    _, panel = explore("curve")
    before = panel.locator("output").inner_text()
    drawing = panel.locator("svg.interactive-curve")
    drawing.scroll_into_view_if_needed()
    drawing.hover(position={"x": 400, "y": 60})
    assert panel.locator("output").inner_text() != before


def test_the_published_analysis_is_found_from_anywhere(explore):
    _, panel = explore("curve")
    panel.get_by_label("Claim").select_option("overall")
    panel.get_by_label("Measure").select_option(label="arcsine")
    panel.get_by_role("button", name="Go to the published analysis").click()
    card = panel.locator(".interactive-card").inner_text()
    assert "This is the published analysis" in card
    assert "binomial or Poisson GLMM" in card


def test_choices_that_exclude_each_other_say_so(explore):
    seen, panel = explore("curve")
    panel.get_by_label("Model").select_option(label="binomial or Poisson GLMM")
    panel.get_by_label("Measure").select_option(label="arcsine")
    assert "No analysis" in said(panel)
    assert panel.get_by_label("Analysis, from the smallest").is_disabled()
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

"""The engine in the reader's browser gives the numbers of `pool`, and nothing leaves the page.

The site must have the engine. Where the npm registry cannot be reached on purpose, say so with
WITHOUT_ENGINE=1: then the tests check that the page explains its absence.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import openpyxl
import pytest
from built import SITE
from nightly import nightly
from playwright.sync_api import Browser, BrowserContext, Page, expect
from waits import settled

from helpers import load_cohorts, pool

WITHOUT = os.environ.get("WITHOUT_ENGINE") == "1"
ROLES = {"study": "cohort", "events": "nonrelapse_deaths", "n": "patients"}
PAGE = "in_your_browser.html"
SECONDS = 120_000
START = """(form) => {
    for (const name of ["model", "measure", "tau2_method", "level", "per"]) {
        form.elements[name].selectedIndex = 0;
        form.elements[name].dispatchEvent(new Event("change"));
    }
}"""

needs_engine = pytest.mark.skipif(WITHOUT, reason="WITHOUT_ENGINE=1 was set")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(SITE))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """Give a tab of its own: what was typed stays in a tab."""
    made = context.new_page()
    yield made
    made.close()


def load(page: Page) -> None:
    page.locator("#engine-load").press("Enter")
    page.wait_for_selector(
        "#engine-pool:not([disabled]), #engine-errors:not([hidden])", timeout=SECONDS
    )
    assert page.locator("#engine-errors").is_hidden(), page.inner_text("#engine-errors")


@dataclass
class Started:
    """A page with the engine, and how it came there: to start Python takes seconds."""

    page: Page
    asked: list[str] = field(default_factory=list)
    without: str = ""  # what it said where a part of the engine did not arrive
    before: list[str] = field(default_factory=list)  # asked for before the engine was
    offered: str = ""  # words of the button
    focus: str = ""  # where the focus was when the engine was there


LOST = "03.js"


def started(context: BrowserContext, address: str, *, loses: bool) -> Started:
    """Open the page and load the engine; at the first attempt a part of it may get lost."""
    made = Started(context.new_page())
    page = made.page
    page.on("request", lambda request: made.asked.append(request.url))
    if loses:
        page.route(f"**/engine/runtime-*-{LOST}", lambda route: route.abort())
    page.goto(address)
    settled(page)
    made.before, made.offered = list(made.asked), page.inner_text("#engine-load")
    if loses:
        page.locator("#engine-load").click()
        page.wait_for_selector("#engine-errors:not([hidden])")
        made.without = page.inner_text("#engine-errors")
        page.unroute_all()
    load(page)
    made.focus = page.evaluate("document.activeElement.id")
    return made


@pytest.fixture(scope="module")
def engines(context: BrowserContext, address: str) -> Iterator[Callable[[str], Started]]:
    """Pages with the engine loaded, one for each scheme; from the disk a part of it gets lost."""
    made: dict[str, Started] = {}

    def of(scheme: str) -> Started:
        if scheme not in made:
            place = (address if scheme == "http" else f"{SITE.as_uri()}/") + PAGE
            made[scheme] = started(context, place, loses=scheme == "file")
        elif made[scheme].page.locator("#engine-load").is_enabled():  # a test stopped it
            load(made[scheme].page)
        return made[scheme]

    yield of
    for one in made.values():
        one.page.close()


@pytest.fixture
def with_engine(engines: Callable[[str], Started]) -> Callable[[str], Page]:
    """Give the loaded page of a scheme with the table, choices, width and theme of the start."""

    def of(scheme: str = "http") -> Page:
        page = engines(scheme).page
        page.set_viewport_size({"width": 1280, "height": 900})
        page.emulate_media(color_scheme="light")
        page.get_by_role("button", name="Our 52 cohorts").click()
        page.locator("#engine-form").evaluate(START)
        return page

    return of


def pooled(page: Page) -> dict:
    page.locator("#engine-pool").press("Enter")
    page.wait_for_selector("#engine-pool:not([disabled])", timeout=SECONDS)
    assert page.locator("#engine-errors").is_hidden(), page.inner_text("#engine-errors")
    return json.loads(page.evaluate("JSON.stringify(engineResult().fit)"))


def numbers(value: object) -> Iterator[float]:
    """Every number of nested plain data, in order; None counts as missing."""
    if isinstance(value, dict):
        for key in sorted(value):
            yield from numbers(value[key])
    elif isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif value is None:
        yield np.nan
    elif isinstance(value, (int, float)):
        yield float(value)


def native(**options: object) -> dict:
    fit = pool(load_cohorts(), **ROLES, **options)
    plain = fit.to_dict()
    has = plain["model"] != "common"
    plain["prediction_interval"] = list(fit.prediction_interval()) if has else None
    plain["tau2_ci"] = list(fit.tau2_ci()) if has else None
    return json.loads(json.dumps(plain))


def test_the_site_has_the_engine_or_the_page_says_why_not(page, address):
    page.goto(address + PAGE)
    available = page.evaluate("engineManifest.available")
    if WITHOUT:
        assert not available
        assert "does not have the engine" in page.inner_text("#engine-missing")
        assert page.locator("#engine-load").is_disabled()
    else:
        reason = page.evaluate("engineManifest.reason")
        assert available, f"{reason}; set WITHOUT_ENGINE=1 to build without it on purpose"


@needs_engine
@pytest.mark.parametrize("scheme", ["http", "file"])
def test_numbers_are_those_of_pool_to_ten_decimals(with_engine, scheme):
    page = with_engine(scheme)
    for model, more in (("glmm", {}), ("random", {"tau2_method": "REML"}), ("common", {})):
        page.select_option("select[name=model]", model)
        theirs, ours = pooled(page), native(model=model, **more)
        assert theirs.keys() == ours.keys()
        there, here = (np.array(list(numbers(fit))) for fit in (theirs, ours))
        assert len(here) > 52 * 8
        np.testing.assert_allclose(there, here, rtol=1e-10, atol=1e-10)
        assert theirs["methods"] == ours["methods"]
        assert theirs["cautions"] == ours["cautions"]


def rows_of(k: int) -> str:
    return "study,events,n\n" + "".join(f"S{i},{i % 20},{50 + i % 300}\n" for i in range(k))


def open_rows(page: Page, k: int, folder: Path) -> None:
    (folder / "rows.csv").write_text(rows_of(k))
    page.set_input_files("#engine-file", folder / "rows.csv")
    page.wait_for_function(
        f"document.getElementById('engine-csv').value.length == {len(rows_of(k))}"
    )


MANY = rows_of(2000)


@needs_engine
@pytest.mark.parametrize("scheme", ["http", "file"])
def test_a_table_of_two_thousand_rows_is_pooled(with_engine, scheme, tmp_path):
    """From 391 rows on NumPy looks for a C function that a browser does not have."""
    page = with_engine(scheme)
    (tmp_path / "many.csv").write_text(MANY)
    page.set_input_files("#engine-file", tmp_path / "many.csv")
    page.wait_for_function("document.getElementById('engine-csv').value.length > 20000")
    counts = np.array([line.split(",")[1:] for line in MANY.splitlines()[1:]], dtype=int)
    for model in ("glmm", "random", "common"):
        page.select_option("select[name=model]", model)
        theirs = pooled(page)
        here = pool(events=counts[:, 0], n=counts[:, 1], model=model)
        assert theirs["k"] == 2000
        found = [theirs["estimate"], *theirs["ci"], theirs["tau2"]]
        expected = [here.estimate, *here.ci, here.tau2]
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-12)
    # the common effect is the inverse-variance mean of logits, 0.5 added where a count is 0
    x, n = counts.T + 0.5 * (counts[:, 0] == 0) * np.array([[1], [2]])
    weight = 1 / (1 / x + 1 / (n - x))
    mean = np.average(np.log(x / (n - x)), weights=weight)
    assert theirs["estimate"] == pytest.approx(1 / (1 + np.exp(-mean)), rel=1e-10)


def choices(page: Page) -> dict[str, str]:
    return page.locator("#engine-form select").evaluate_all(
        "all => Object.fromEntries(all.map(e => [e.name, `${e.value} ${e.disabled}`]))"
    )


@pytest.mark.parametrize("way", ["reload", "back"])
def test_what_was_typed_and_chosen_is_kept_in_the_tab(page, address, way):
    page.goto(address + PAGE)
    settled(page)
    page.fill("#engine-csv", "study,bad,worse,n\nA,5,2,40\n")
    page.select_option("select[name=model]", "random")
    page.select_option("select[name=measure]", "arcsine")
    page.select_option("select[name=level]", "0.99")
    page.select_option("select[name=events]", "worse")
    made, table = choices(page), page.input_value("#engine-csv")
    if way == "reload":
        page.reload()
    else:
        page.goto(address + "ways_to_run.html")
        page.go_back()
    settled(page)
    assert page.evaluate("document.readyState") == "complete"
    assert choices(page) == made
    assert made["events"] == "worse false"
    assert page.input_value("#engine-csv") == table
    # it is gone with the tab, and the button brings the table of the book back
    other = page.context.new_page()
    other.goto(address + PAGE)
    start = other.input_value("#engine-csv")
    assert start.startswith("cohort,")
    assert other.input_value("select[name=events]") == "nonrelapse_deaths"
    page.get_by_role("button", name="Our 52 cohorts").click()
    assert page.input_value("#engine-csv") == start


def test_table_and_choices_can_be_saved_and_restored(page, address, tmp_path):
    page.goto(address + PAGE)
    page.fill("#engine-csv", "study,bad,worse,n\nÄ,5,2,40\n")
    page.select_option("select[name=model]", "common")
    page.select_option("select[name=per]", "1000")
    page.select_option("select[name=events]", "bad")
    made, table = choices(page), page.input_value("#engine-csv")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save table and choices").click()
    saved = tmp_path / "mine.json"
    download.value.save_as(saved)
    page.get_by_role("button", name="Our 52 cohorts").click()
    page.select_option("select[name=model]", "glmm")
    page.set_input_files("#engine-file", saved)
    page.wait_for_function("document.getElementById('engine-csv').value.length < 100")
    assert choices(page) == made
    assert page.input_value("#engine-csv") == table
    (tmp_path / "other.json").write_text('{"format": "something else", "csv": 1}')
    page.set_input_files("#engine-file", tmp_path / "other.json")
    page.wait_for_selector("#engine-errors:not([hidden])")
    assert page.input_value("#engine-csv") == table


@needs_engine
@pytest.mark.parametrize(
    ("head", "found"),
    [
        ("Author,Cases,Total", ("Author", "Cases", "Total", "")),  # case 14
        ("Author,Mild,Severe,Total", ("Author", "", "Total", "")),
        ("Autor;Fälle;Gesamt", ("Autor", "Fälle", "Gesamt", "")),
        ("trial\tdeaths\tperson_years", ("trial", "deaths", "", "person_years")),
        ("slab,yi,vi", ("slab", "", "", "")),
    ],
)
def test_columns_are_found_by_their_names_or_left_open(with_engine, head, found):
    page = with_engine()
    mark = next(one for one in ",;\t" if one in head)
    page.fill("#engine-csv", f"{head}\n{mark.join(['A', *'3456'][: head.count(mark) + 1])}\n")
    for name, column in zip(("study", "events", "n", "time"), found, strict=True):
        expect(page.locator(f"select[name={name}]")).to_have_value(column)


def test_before_the_engine_runs_a_column_can_be_chosen_and_none_is_guessed(page, address):
    page.goto(address + PAGE)
    page.fill("#engine-csv", "Author;Cases;Total\nA;3;40\n")
    page.select_option("select[name=n]", "Total")
    values = {name: page.input_value(f"select[name={name}]") for name in ("study", "events", "n")}
    assert values == {"study": "", "events": "", "n": "Total"}


@needs_engine
def test_a_column_that_nobody_can_guess_is_asked_for(with_engine):
    page = with_engine()
    page.fill("#engine-csv", "Author,Mild,Severe,Total\nA,3,4,40\nB,5,6,50\n")
    page.locator("#engine-pool").press("Enter")
    page.wait_for_selector("#engine-errors:not([hidden])", timeout=SECONDS)
    assert "a column of events (choose it)" in page.inner_text("#engine-errors")
    page.select_option("select[name=events]", "Severe")
    assert pooled(page)["events"] == 10
    # case 16: the choice stays when a column is added
    page.fill("#engine-csv", "Author,Mild,Severe,Total,note\nA,3,4,40,\nB,5,6,50,\n")
    assert pooled(page)["events"] == 10


@needs_engine
@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16"])
def test_a_table_of_a_german_spreadsheet_is_read_as_the_command_reads_it(
    with_engine, encoding, tmp_path
):
    page = with_engine()
    text = "Autor;Fälle;Gesamt;Alter\nMüller 2019;12;100;61,5\n;;;\nLi;NR;50;58,0\nÖz;9;90;60\n"
    (tmp_path / "mine.csv").write_bytes(text.encode(encoding))
    page.set_input_files("#engine-file", tmp_path / "mine.csv")
    page.wait_for_function("document.getElementById('engine-csv').value.startsWith('Autor')")
    page.wait_for_function("document.getElementById('engine-understood').textContent")
    said = "Read as: semicolons; decimal commas; one blank row skipped."
    assert page.inner_text("#engine-understood") == said
    fit = pooled(page)
    assert (fit["k"], fit["events"], fit["n"]) == (2, 21, 190)
    assert [row["study"] for row in fit["studies"]] == ["Müller 2019", "Li", "Öz"]
    assert "left out: Li (row 4): events missing" in page.inner_text("#engine-results")


@needs_engine
def test_a_spreadsheet_is_opened_and_its_sheet_chosen(with_engine, tmp_path):
    page = with_engine()
    book = openpyxl.Workbook()
    book.active.title = "2020"
    for row in (["Table 1"], ["Author", "Cases", "Total"], ["A", 3, 40], ["B", 5, 50]):
        book.active.append(row)
    for row in (["study", "events", "n"], ["C", 7, 70]):
        (book["2021"] if "2021" in book.sheetnames else book.create_sheet("2021")).append(row)
    book.save(tmp_path / "mine.xlsx")
    page.set_input_files("#engine-file", tmp_path / "mine.xlsx")
    page.wait_for_function("document.getElementById('engine-csv').value.startsWith('Table 1')")
    assert pooled(page)["events"] == 8
    page.select_option("select[name=sheet]", "2021")
    page.wait_for_function("document.getElementById('engine-csv').value.startsWith('study')")
    assert pooled(page)["events"] == 7


@needs_engine
def test_groups_and_effects_are_offered_and_found(with_engine):
    page = with_engine()
    page.fill("#engine-csv", "study,events,n,arm\nA,3,40,x\nB,8,60,x\nC,5,50,y\nD,9,60,y\n")
    page.eval_on_selector("#engine-more", "e => { e.open = true; }")
    page.select_option('[name="by"]', "arm")
    page.select_option('[name="group_tau2"]', "common")
    pooled(page)
    rows = page.eval_on_selector_all(
        "#engine-results table", "all => all.find(t => t.caption.textContent === 'arm').rows.length"
    )
    assert rows == 3
    page.fill("#engine-csv", "study,OR,lower,upper\nA,0.5,0.25,1\nB,2,1,4\nC,1,0.5,2\n")
    for role, column in {"effect": "OR", "lower": "lower", "events": "", "variance": ""}.items():
        expect(page.locator(f'[name="{role}"]')).to_have_value(column)
    fit = pooled(page)
    assert (fit["measure"], round(fit["estimate"], 9)) == ("log-ratio", 1.0)
    page.fill("#engine-csv", "slab,yi,vi,w\nA,0.5,0.25,1\nB,0.7,0.25,1\nC,0.6,0.25,1\n")
    fit = pooled(page)  # at once: what the engine takes the columns for is known before it pools
    assert (fit["measure"], round(fit["estimate"], 9)) == ("effect", 0.6)
    expect(page.locator('[name="variance"]')).to_have_value("vi")
    page.select_option('[name="se"]', "w")  # in place of the variance
    expect(page.locator('[name="variance"]')).to_have_value("")


@needs_engine
def test_person_years_give_rates(with_engine):
    page = with_engine()
    page.fill("#engine-csv", "study,events,person_years\nA,13,904\nB,16,2375\nC,38,1847\n")
    page.select_option("select[name=per]", "1000")
    fit = pooled(page)
    here = pool(events=[13, 16, 38], time=[0.904, 2.375, 1.847], measure="log-rate", model="glmm")
    np.testing.assert_allclose([fit["estimate"], *fit["ci"]], [here.estimate, *here.ci], rtol=1e-8)
    assert "per 1,000 person-years" in page.inner_text("#engine-results .answer")


@needs_engine
def test_a_saved_table_has_no_formula(with_engine):
    page = with_engine()
    page.fill("#engine-csv", "study,events,n\n=1+1,2,40\n@B,3,30\n")
    pooled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Studies (CSV)").click()
    lines = download.value.path().read_text(encoding="utf-8").splitlines()
    assert [line[:3] for line in lines[1:]] == ["'=1", "'@B"]


@needs_engine
@pytest.mark.parametrize("k", [1, 2, 390, 391, nightly(20_000)])
def test_any_number_of_rows_is_pooled(with_engine, k, tmp_path):
    page = with_engine()
    open_rows(page, k, tmp_path)
    theirs = pooled(page)
    counts = np.array([line.split(",")[1:] for line in rows_of(k).splitlines()[1:]], dtype=int)
    here = pool(events=counts[:, 0], n=counts[:, 1], model="glmm")
    found, expected = [theirs["estimate"], *theirs["ci"]], [here.estimate, *here.ci]
    assert theirs["k"] == k
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-12)


@needs_engine
def test_a_column_that_the_reader_chose_stays_while_the_table_has_it(with_engine):
    page = with_engine()
    events = page.locator("select[name=events]")
    page.fill("#engine-csv", "study,events,severe_events,n\nA,5,2,40\nB,6,1,50\n")
    expect(events).to_have_value("events")
    events.select_option("severe_events")
    page.fill("#engine-csv", "study,events,severe_events,n,note\nA,5,2,40,\nB,6,1,50,\n")
    expect(events).to_have_value("severe_events")
    page.wait_for_timeout(1000)  # the engine has looked again
    expect(events).to_have_value("severe_events")
    page.fill("#engine-csv", "study,events,n\nA,5,40\nB,6,50\n")
    expect(events).to_have_value("events")


@needs_engine
def test_a_result_of_other_choices_says_so(with_engine):
    page = with_engine()
    pooled(page)
    note = page.locator("#engine-stale")
    assert note.is_hidden()
    page.select_option("select[name=model]", "common")
    assert note.is_visible()
    assert "Pool the table again" in page.inner_text("#engine-status")
    page.select_option("select[name=model]", "glmm")
    assert note.is_hidden()
    page.locator("#engine-csv").press_sequentially(" ")
    assert note.is_visible()
    page.get_by_role("button", name="Our 52 cohorts").click()
    assert note.is_hidden()
    page.select_option("select[name=model]", "common")
    pooled(page)
    assert note.is_hidden()


@needs_engine
def test_nothing_is_loaded_before_the_click_and_nothing_is_asked_after_it(
    engines, with_engine, address
):
    page, start = with_engine(), engines("http")
    assert not any("runtime" in url for url in start.before)
    assert {urlsplit(url).netloc for url in start.asked if not url.startswith("blob:")} == {
        urlsplit(address).netloc
    }
    loaded = [url for url in start.asked if "/engine/runtime" in url or "/engine/book" in url]
    size = sum((SITE / "engine" / url.rpartition("/")[2]).stat().st_size for url in loaded)
    assert start.offered == f"Load the engine ({size / 1e6:.1f} MB)"
    # the page that compares the ways to run the book says it without a decimal
    assert f"loads {size / 1e6:.0f} MB once" in (SITE / "ways_to_run.html").read_text("utf-8")
    before = len(start.asked)
    page.context.set_offline(True)
    try:
        assert pooled(page)["k"] == 52
    finally:
        page.context.set_offline(False)
    assert [url for url in start.asked[before:] if not url.startswith("blob:")] == []


@needs_engine
def test_the_keyboard_is_enough_and_focus_goes_to_the_result(engines, with_engine):
    page = with_engine()
    assert engines("http").focus == "engine-pool"  # after Enter on the button that loads
    assert page.locator("#engine-status").get_attribute("aria-live") == "polite"
    page.locator("#engine-pool").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#engine-pool:not([disabled])", timeout=SECONDS)
    assert page.evaluate("document.activeElement.id") == "engine-results"
    assert "Pooled estimate (median study) 6.8" in page.inner_text("#engine-status")


@needs_engine
def test_mistakes_in_a_table_are_listed_with_their_places(with_engine):
    page = with_engine()
    page.fill("#engine-csv", "study,events,n\nA,5,4\nA,x,3\n")
    page.locator("#engine-pool").press("Enter")
    page.wait_for_selector("#engine-errors:not([hidden])", timeout=SECONDS)
    rows = page.locator("#engine-errors tbody tr").all_inner_texts()
    assert [row.split("\t")[:3] for row in rows] == [
        ["2", "events", "5"],
        ["3", "events", "x"],
    ]
    assert page.evaluate("document.activeElement.id") == "engine-errors"
    page.fill("#engine-csv", "study,events,n\nA,2,40\nB,3,30\n")
    assert pooled(page)["k"] == 2


@needs_engine
def test_a_file_is_read_and_the_results_can_be_saved(with_engine, tmp_path):
    page = with_engine()
    mine = tmp_path / "mine.csv"
    mine.write_text(
        'who,dead,all\n"Ä, <b>1</b>",2,40\nB,3,30\nC,0,55\n', encoding="utf-8", newline="\r\n"
    )
    page.set_input_files("#engine-file", mine)
    for role, column in (("study", "who"), ("events", "dead"), ("n", "all")):
        page.select_option(f"select[name={role}]", column)
    fit = pooled(page)
    assert fit["studies"][0]["study"] == "Ä, <b>1</b>"
    saved = {}
    for label in ("Studies (CSV)", "Result (JSON)", "Forest plot (SVG)"):
        with page.expect_download() as download:
            page.get_by_role("button", name=label).click()
        saved[label] = download.value.path().read_text(encoding="utf-8")
    assert json.loads(saved["Result (JSON)"]) == fit
    assert saved["Studies (CSV)"].splitlines()[2].startswith("B,3,30,")
    assert saved["Forest plot (SVG)"].startswith("<svg")
    assert "var(" not in saved["Forest plot (SVG)"]
    assert page.locator("#engine-results b").count() == 0


@needs_engine
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_form_and_result_fit_a_narrow_screen(with_engine, theme):
    page = with_engine()
    page.set_viewport_size({"width": 320, "height": 800})
    page.emulate_media(color_scheme=theme)
    page.wait_for_function(f"document.documentElement.dataset.theme === '{theme}'")
    pooled(page)
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    colours = page.evaluate(
        "['#engine-results', '#engine-results svg text'].map((s, i) => "
        "getComputedStyle(document.querySelector(s))[i ? 'fill' : 'color'])"
    )
    light = [sum(map(int, c.strip("rgba()").split(",")[:3])) > 384 for c in colours]
    assert light == [theme == "dark"] * 2


@needs_engine
@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("delete window.WebAssembly", "does not run WebAssembly"),
        ("delete window.DecompressionStream", "cannot unpack"),
        ("window.Worker = undefined", "no web workers"),
    ],
)
def test_a_browser_that_cannot_run_it_is_told_why(page, address, broken, words):
    page.add_init_script(broken)
    page.goto(address + PAGE)
    assert words in page.inner_text("#engine-missing")
    assert page.locator("#engine-load").is_disabled()


@needs_engine
def test_a_part_that_does_not_arrive_is_named_and_can_be_asked_for_again(engines, with_engine):
    assert f"-{LOST} could not be loaded" in engines("file").without
    assert pooled(with_engine("file"))["k"] == 52


@needs_engine
def test_too_little_memory_is_said_in_words(page, address):
    page.add_init_script(
        "window.Worker = class { terminate() {} postMessage() { setTimeout(() => this.onmessage("
        "{data: {failed: 'RangeError: WebAssembly.Memory(): could not allocate memory'}})) } }"
    )
    page.goto(address + PAGE)
    page.locator("#engine-load").click()
    page.wait_for_selector("#engine-errors:not([hidden])", timeout=SECONDS)
    assert "did not give the engine enough memory" in page.inner_text("#engine-errors")


def with_manifest(page: Page, address: str, **manifest: object) -> Page:
    """Open the page as of a build with another engine, or none."""
    text = f"engineManifest = {json.dumps({'tables': {'cohorts': 'a'}, **manifest})};"
    page.route(
        "**/engine/manifest.js",
        lambda route: route.fulfill(body=text, content_type="text/javascript"),
    )
    page.goto(address + PAGE)
    return page


#: A worker that is ready, and answers about a spreadsheet, when the test says so.
BY_HAND = """window.Worker = class {
    constructor() { window.byHand = this; this.sheets = []; }
    terminate() {}
    isReady() { this.onmessage({ data: { ready: "by hand" } }); }
    postMessage(asked) {
        if (asked.packs) return;
        if ("base64" in JSON.parse(asked.request)) this.sheets.push(asked);
        else setTimeout(() => this.answer(asked, { ok: false, message: "None.", problems: [] }));
    }
    answer({ kind, of }, found) {
        this.onmessage({ data: { kind, of, answer: JSON.stringify(found) } });
    }
}"""


@pytest.fixture
def by_hand(page: Page, address: str) -> Page:
    """Give a page whose engine is loaded and answers by hand."""
    page.add_init_script(BY_HAND)
    with_manifest(page, address, available=True, bytes=1, parts=[], packs={})
    page.locator("#engine-load").press("Enter")
    page.wait_for_function("window.byHand !== undefined")
    return page


def test_who_writes_while_the_engine_works_keeps_the_keyboard(by_hand):
    page = by_hand
    focus = "document.activeElement.id"
    page.fill("#engine-csv", "study,events,n\nA,5,40\n")
    page.evaluate("byHand.isReady()")
    expect(page.locator("#engine-status")).to_contain_text("The engine is ready")
    assert page.evaluate(focus) == "engine-csv"
    page.evaluate("document.getElementById('engine-form').requestSubmit()")
    expect(page.locator("#engine-errors")).to_have_text("None.")
    assert page.evaluate(focus) == "engine-csv"


def sheet(page: Page, name: str) -> None:
    """Open a spreadsheet, which the engine is asked to read."""
    many = page.evaluate("byHand.sheets.length")
    content = {"name": name, "mimeType": "application/zip", "buffer": b"PK\x03\x04" + name.encode()}
    page.set_input_files("#engine-file", content)
    page.wait_for_function("(many) => byHand.sheets.length > many", arg=many)


READ = """(name) => byHand.answer(byHand.sheets.shift(),
    { ok: true, text: `sheet of ${name}`, sheets: ["1", "2"] })"""


def test_a_file_that_is_read_late_takes_the_place_of_nothing(by_hand):
    page, faults = by_hand, []
    page.on("pageerror", lambda fault: faults.append(fault))
    box = page.locator("#engine-csv")
    page.evaluate("byHand.isReady()")
    sheet(page, "first.xlsx")
    box.fill("typed meanwhile")
    page.evaluate(READ, "first.xlsx")
    assert box.input_value() == "typed meanwhile"
    sheet(page, "second.xlsx")
    sheet(page, "third.xlsx")
    page.evaluate(READ, "second.xlsx")
    assert box.input_value() == "typed meanwhile"
    page.evaluate(READ, "third.xlsx")
    assert box.input_value().strip() == "sheet of third.xlsx"
    assert page.inner_text("#engine-status").startswith("third.xlsx: sheet “1”")
    for name in ("2", "1"):  # of the sheet that was chosen last
        page.select_option("select[name=sheet]", name)
    page.evaluate(READ, "2")
    page.evaluate(READ, "1")
    assert box.input_value().strip() == "sheet of 1"
    assert faults == []


def test_the_form_is_not_open_before_its_script_hears(page, address):
    """What a reader on a slow line typed before it would be gone."""
    held = []
    page.route("**/engine/engine.js", lambda route: held.append(route))
    page.goto(address + PAGE, wait_until="commit")
    box = page.locator("#engine-csv")
    box.wait_for()
    assert box.evaluate("(e) => { e.focus(); return document.activeElement === e }") is False
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    page.wait_for_load_state("load")
    assert box.evaluate("(e) => { e.focus(); return document.activeElement === e }")


def test_a_build_without_the_engine_explains_itself(page, address):
    with_manifest(page, address, available=False, reason="the registry was away")
    text = page.inner_text("#engine-missing")
    assert "does not have the engine: the registry was away" in text
    assert page.locator("#engine-load").is_disabled()


def test_without_javascript_the_page_says_what_to_do(browser, address):
    plain = browser.new_context(java_script_enabled=False)
    page = plain.new_page()
    page.goto(address + PAGE)
    assert page.locator("noscript a[href='ways_to_run.html']").count() == 1
    assert page.locator("#engine").is_hidden()
    plain.close()


@needs_engine
def test_a_long_computation_can_be_stopped(with_engine, tmp_path):
    page = with_engine("file")
    open_rows(page, 20_000, tmp_path)
    page.locator("#engine-pool").press("Enter")
    # by the page itself, because the engine may be done before the test could ask for it
    page.wait_for_function(
        """() => {
            const works = document.getElementById("engine-status").textContent.startsWith("Pool");
            if (works) document.getElementById("engine-stop").click();
            return works;
        }""",
        timeout=SECONDS,
    )
    assert "Stopped" in page.inner_text("#engine-status")
    assert page.locator("#engine-load").is_enabled()
    assert page.input_value("#engine-csv") == rows_of(20_000)

"""The labs in a real browser: after each prescribed edit, what is said is what was drawn.

No page of the site is needed: a lab brings its data, and the scripts are read from their folder.
"""

from __future__ import annotations

import json
import re
from functools import cache

import numpy as np
import pytest

from helpers import load_cohorts
from helpers.engine.counts.fit import fit_glmm
from helpers.engine.normal.inverse_variance import fit_inverse_variance
from helpers.teaching import came_out, lab
from helpers.teaching.lab_pages import LAB_PAGES
from helpers.views.interactive.live_picture import ASSETS, KINDS

SIZES = load_cohorts()["patients"]
EVENTS = load_cohorts()["nonrelapse_deaths"]
DRAWS = 345
RUNS = 340  # of the page: both as many, which finds a difference with the least work
every = pytest.mark.parametrize("key", LAB_PAGES)


@cache
def found(key, edited, draws=DRAWS, seed=7):
    page = LAB_PAGES[key]
    given = {"egger": (EVENTS, SIZES), "coverage": (SIZES,)}.get(key, ())
    edit = {page.task.key: page.task.value} if edited else {}
    return page.lab(*given, draws=draws, seed=seed, **edit)


def scripts():
    return "".join(
        f"<script>{(ASSETS / name).read_text('utf-8')}</script>" for name in KINDS["lab"]
    )


@pytest.fixture(scope="module")
def context(browser):
    made = browser.new_context()
    yield made
    made.close()


def tab(context):
    page = context.new_page()
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    return page


@pytest.fixture(scope="module")
def lasting(context):
    """The first page of every test: to make a new one takes longer than to load a lab."""
    return tab(context)


@pytest.fixture
def room(context, lasting, tmp_path):
    """Open labs as a page from a disk, at an address, and record its complaints."""
    opened = []

    def open_page(*keys, address="", width=1100, theme="light"):
        body = "".join(
            lab(key, found(key, False, 20, 1), sizes=SIZES)._repr_html_() for key in keys
        )
        style = (ASSETS / "interactive.css").read_text("utf-8")
        file = tmp_path / "labs.html"
        file.write_text(
            f"<!doctype html><html lang=en><meta charset=utf-8><title>Labs</title>"
            f"<style>{style}</style><body>{body}{scripts()}",
            encoding="utf-8",
        )
        page = tab(context) if opened else lasting
        opened.append(page)
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme)
        page.complaints.clear()
        page.goto(file.as_uri() + address)
        return page

    yield open_page
    lasting.goto("about:blank")
    for page in opened[1:]:
        page.close()


def settled(page):
    page.wait_for_function("!document.querySelector('[data-running]')", timeout=120_000)


TABLE = """() => {
    const table = document.querySelector(".interactive-scroll table");
    const texts = (cells) => [...cells].map((cell) => cell.innerText);
    return {
        curves: texts(table.querySelectorAll("thead th")).slice(1),
        rows: [...table.querySelectorAll("tbody tr")].map((row) =>
            [Number(row.dataset.x), texts(row.querySelectorAll("td"))]),
    };
}"""


def numbers(page):
    """Value and standard error by curve and value across, from the table."""
    table = page.evaluate(TABLE)
    seen = {}
    for at, cells in table["rows"]:
        for curve, cell in zip(table["curves"], cells, strict=True):
            if part := re.fullmatch(r"([\d.]+)% \(±([\d.]+)\)", cell):
                seen[curve, at] = float(part[1]) / 100, float(part[2]) / 196
    return seen


@every
@pytest.mark.parametrize("edited", [False, True], ids=["start", "prescribed"])
def test_what_a_lab_says_is_true_and_python_finds_the_same(room, key, edited):
    page = room(key, address="" if edited else f"#~{key}.runs={RUNS}")
    if edited:
        page.locator("[data-task]").click()
        assert f"{key}.{LAB_PAGES[key].task.key}=" in page.url
        page.evaluate(f"location.hash += '&{key}.runs={RUNS}'")
        page.reload()
    settled(page)
    assert page.complaints == []
    seen, theirs = numbers(page), found(key, edited)
    x = theirs.columns[0]
    rows = {(c, at): (v, e) for at, c, v, e in theirs[[x, "curve", "value", "mcse"]].to_numpy()}
    shared = rows.keys() & seen.keys()
    assert len(shared) >= 0.7 * len(rows)
    for at in shared:
        (v, e), (u, f) = seen[at], rows[at]
        # few of a kind show no error of their own: one draw in `RUNS` is allowed for
        assert abs(v - u) < 4.5 * np.hypot(e, f) + 0.0006 + 3 / RUNS * (min(e, f) == 0), at
    said = page.locator("[data-verdicts] li").all_inner_texts()
    curves = [c for c in dict.fromkeys(theirs["curve"]) if any(c == one for one, _ in seen)]
    assert len(said) == len(curves)
    for curve, text in zip(curves, said, strict=True):
        across = sorted(at for one, at in seen if one == curve)
        (a, e), (b, f) = seen[curve, across[0]], seen[curve, across[-1]]
        error = np.hypot(e, f) + 1e-9
        if " goes " in text:
            assert f" goes {'up' if b > a else 'down'} from " in text
            assert abs(b - a) > 2.5 * error - 0.001
        elif "a difference within" in text:
            assert abs(b - a) < 3.5 * error + 0.001
        else:
            assert a == b
        if known := re.search(r"(above|below) the [a-z ]+ \(([\d.]+)%\)", text):
            assert (b > float(known[2]) / 100) == (known[1] == "above")
            assert abs(b - float(known[2]) / 100) > 2.5 * f - 0.001
        elif known := re.search(r"is off the [a-z ]+ \(([\d.]+)%\) by no more than three", text):
            assert abs(b - float(known[1]) / 100) < 3.5 * f + 0.001


@every
def test_page_and_chapter_say_the_same_of_the_same_numbers(room, key):
    page = room(key)
    for edited in (False, True):
        rows = found(key, edited)
        data = json.loads(lab(key, rows, sizes=SIZES).json)
        now = {**data["start"], **rows.attrs}
        given = rows.set_axis(["x", "curve", "value", "mcse"], axis=1).to_dict("records")
        said = page.evaluate(
            "([data, rows, now]) => window.interactive.lab.verdicts(data, rows, now)",
            [data, given, now],
        )
        assert " ".join(said) == came_out(key, rows)


def test_a_thousand_repetitions_leave_the_page_free_and_can_be_stopped(room):
    page = room("coverage")
    page.evaluate("""() => { window.looks = 0;
        const look = () => { looks += 1; setTimeout(look, 0) }; look() }""")
    before = page.evaluate("looks")
    page.get_by_role("button", name="Run 1,000 repetitions").click()
    # by the page itself, because the run may be over before the test could ask for it
    page.wait_for_function(
        """() => {
            const done = parseInt(document.querySelector('[data-progress]').textContent);
            if (!(done > 20)) return false;
            const buttons = [...document.querySelectorAll('button')];
            buttons.find((one) => one.textContent === 'Stop').click();
            return true;
        }""",
        timeout=60_000,
    )
    done = page.locator("[data-progress]").inner_text()
    assert page.evaluate("looks") - before > 2  # others had their turn between the slices
    assert 20 < int(done.split(" ")[0]) < 1000
    assert page.url.endswith(f"coverage.runs={done.split(' ')[0]}")
    page.locator("[role=status]:not([data-waiting])").wait_for(state="attached")
    assert page.locator("[role=status]").inner_text().startswith("Stopped after ")
    assert page.locator("[data-progress]").inner_text() == done
    assert page.get_by_role("progressbar").count() == 1


def test_another_thousand_may_be_asked_for_while_one_runs(room):
    """A finger that is not sure whether it was felt taps again: the run goes on to its end."""
    page = room("coverage", address="#~coverage.runs=1000")
    settled(page)
    seen = page.evaluate(
        """() => {
            const run = [...document.querySelectorAll("button")]
                .find((one) => one.textContent === "Run 1,000 repetitions");
            run.click();
            run.click();
            return document.querySelector("[data-progress]").textContent;
        }"""
    )
    assert seen == "1,000 of 2,000 repetitions"
    settled(page)
    assert page.locator("[data-progress]").inner_text() == "2,000 of 2,000 repetitions"


def test_parts_add_up_to_the_same_as_all_at_once_and_an_address_repeats_it(room):
    page = room("back")
    for _ in range(3):
        page.get_by_role("button", name="Draw one").click()
        settled(page)
    parts = numbers(page)
    assert page.url.endswith("#~back.runs=3")
    assert numbers_at(room("back", address="#~back.runs=3")) == parts
    page.get_by_role("button", name="Draw again").click()
    settled(page)
    assert numbers(page) != parts
    page.go_back()
    settled(page)
    assert numbers(page) == parts


def numbers_at(page):
    settled(page)
    return numbers(page)


def test_keyboard_guess_worksheet_and_its_file(room):
    page = room("i2", "back")
    first = page.locator('[data-interactive="lab"]').first
    guess = first.get_by_label("Guess first.")
    guess.focus()
    page.keyboard.press("ArrowDown")  # go up
    slider = first.get_by_label("Studies", exact=True)
    slider.focus()
    page.keyboard.press("Home")
    assert slider.get_attribute("aria-valuetext") == "3"
    first.get_by_role("button", name="Run 1,000 repetitions").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('[data-progress]').textContent[0] !== '0'")
    settled(page)
    assert first.locator("[data-guess]").inner_text() == "Your guess came out: it goes up."
    first.get_by_label("What did you see?").fill("It rose.")
    first.get_by_label("What did you see?").blur()
    assert all(part in page.url for part in ("i2.k=3", "i2.runs=1000", "i2.guess=up", "i2.saw=It"))
    with page.expect_download() as file:
        first.get_by_role("button", name="Save the worksheet").click()
    text = file.value.path().read_text("utf-8")
    assert file.value.suggested_filename == "worksheet-i2.txt"
    assert all(part in text for part in ("Studies: 3", "It rose.", "goes up", "i2.runs=1000"))
    first.locator("[data-task]").click()
    assert first.locator("[data-progress]").inner_text() == "Nothing drawn yet"
    first.get_by_role("button", name="Run 1,000 repetitions").click()
    settled(page)
    assert "Against the run before (Studies 5 instead of 3): " in first.inner_text()


def test_the_run_before_is_compared_as_the_numbers_are(room):
    page = room("i2")
    within = "three standard errors of the simulation"
    data = {"curves": ["a", "b"], "errors": 3, "within": within}
    rows = [{"curve": c, "x": x, "value": v, "mcse": 0.01} for c, x, v in
            [("a", 1, 0.5), ("a", 2, 0.7), ("b", 1, 0.2), ("b", 2, 0.2)]]  # fmt: skip
    before = [{**row, "value": row["value"] - (0.1 if row["curve"] == "a" else 0)} for row in rows]
    said = page.evaluate(
        "([d, r, b]) => window.interactive.lab.against(d, r, b)", [data, rows, before]
    )
    assert said == [
        "“a” is on average 10.00 percentage points higher.",
        f"“b” differs on average by no more than {within}.",
    ]


@pytest.mark.parametrize(("width", "theme"), [(320, "dark"), (320, "light"), (1280, "dark")])
def test_labs_fit_and_every_control_has_a_name(room, width, theme):
    page = room("coverage", "correction", width=width, theme=theme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    unnamed = page.locator(":is(select, input, textarea, progress)").evaluate_all(
        "all => all.filter(e => !e.labels?.length && !e.ariaLabel).map(e => e.outerHTML)"
    )
    assert unnamed == []
    ids = page.locator("[id]").evaluate_all("all => all.map(e => e.id)")
    assert len(set(ids)) == len(ids)


def test_an_address_that_no_control_can_hold_is_left_out(room):
    page = room("i2", address="#~i2.k=7&i2.runs=x&i2.guess=sideways&i2.proportion=0.3")
    assert page.locator("output").all_inner_texts() == ["20", "30%"]
    assert page.locator("[data-progress]").inner_text() == "Nothing drawn yet"


@pytest.fixture
def bare(room):
    return room("i2")


def drawn(seed, k=12, rate=0.07, tau=0.45, sets=40):
    rng = np.random.default_rng(seed)
    n = rng.choice(SIZES.to_numpy(), (sets, k))
    x = rng.binomial(n, 1 / (1 + np.exp(-rng.normal(np.log(rate / (1 - rate)), tau, (sets, k)))))
    return x, n


def test_reml_of_the_page_is_that_of_the_engine(bare):
    x, n = drawn(1)
    y, v = np.log((x + 0.5) / (n - x + 0.5)), 1 / (x + 0.5) + 1 / (n - x + 0.5)
    s = np.sqrt(v)
    code = "all => all.map(([y, v, x]) => window.interactive.statistics.reml(y, v, x))"
    mean = bare.evaluate(code, [[a.tolist(), b.tolist(), None] for a, b in zip(y, v, strict=True)])
    assert mean == pytest.approx(fit_inverse_variance(y, v).tau2.tau2, rel=1e-5, abs=1e-7)
    line = bare.evaluate(code, np.stack([y, v, s], axis=1).tolist())
    design = np.stack([np.ones_like(s), s], axis=2)
    ours = fit_inverse_variance(y, v, design=design).tau2.tau2
    assert line == pytest.approx(ours, rel=1e-4, abs=1e-6)


def test_the_quick_glmm_is_the_engines_where_there_is_one_maximum(bare):
    x, n = drawn(2, k=20, sets=100)
    fit = fit_glmm(x, n, quad_points=7)
    quick = bare.evaluate(
        "all => all.map(([x, n]) => window.interactive.glmm.quick(x, n))",
        np.stack([x, n], axis=1).tolist(),
    )
    found = np.array([[one["mu"], one["tau2"], one["se"]] for one in quick])
    ours = np.column_stack([fit.beta[:, 0], fit.tau2, fit.se[:, 0]])
    close = (np.abs(found - ours) < [1e-3, 2e-3, 2e-3]).all(axis=1)
    assert close.mean() >= 0.97

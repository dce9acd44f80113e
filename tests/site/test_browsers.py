"""Firefox and WebKit: what Chromium is asked elsewhere, the pages are asked in these in short.

One session a browser: every page in a frame 320 and 390 pixels wide; search, explore, engine and
slides by keyboard, from a host and from a disk. The pages are copies in which a script keeps what
the browser complains of, because WebKit's driver does not tell.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from audit import served
from browser import FINDERS, find_browser, how, missing, wanted
from built import REFERENCE, SITE, page_names
from drivers import DRIVERS, Driver
from nightly import nightly
from waits import THERE

from helpers import load_cohorts, pool, printing

WIDTHS = [320, 390]
ROLES = {"study": "cohort", "events": "nonrelapse_deaths", "n": "patients"}
SCHEMES = ["http", "file"]
RECORDER = """<script>window.complained = [];
addEventListener("error", (event) => complained.push(event.message
  || `${event.target.src ?? event.target.href} was not loaded`), true);
addEventListener("unhandledrejection", (event) => complained.push(String(event.reason)));
for (const kind of ["error", "warn"]) {
  const said = console[kind];
  console[kind] = (...all) => { complained.push(all.join(" ")); said.apply(console, all); };
}</script>"""
FRAME = """<!DOCTYPE html><html lang="en"><title>Frame</title><body style="margin: 0">
<iframe id="frame" style="border: 0; height: 900px"></iframe></body></html>"""
# what of each page sticks out at each width, which titles are cut or hyphenated, and complaints
LOOK = (
    f"const allOf = {THERE};"
    + """
const frame = document.getElementById("frame");
const inBox = (element, root) => {
  for (let one = element.parentElement; one && one !== root; one = one.parentElement)
    if (getComputedStyle(one).overflowX !== "visible") return true;
  return false;
};
const name = (e) =>
  `${e.localName}.${e.getAttribute("class") ?? ""} ${e.textContent.trim().slice(0, 40)}`;
frame.style.width = `${b[0]}px`;
await new Promise((loaded) => { frame.onload = loaded; frame.src = a; });
const { document: there, complained } = frame.contentWindow;
const root = there.documentElement;
const faults = [];
for (const width of b) {
  frame.style.width = `${width}px`;
  await allOf(there);
  if (root.scrollWidth > root.clientWidth) {
    const out = [...there.body.querySelectorAll("*")].filter((e) => e.checkVisibility()
      && e.getBoundingClientRect().right > root.clientWidth + 0.5 && !inBox(e, root));
    faults.push(`${width}: ${root.scrollWidth} wide: ${out.slice(0, 3).map(name).join("; ")}`);
  }
  for (const title of there.querySelectorAll("h1, h2, h3"))
    if (frame.contentWindow.getComputedStyle(title).hyphens === "auto")
      faults.push(`${width}: hyphenated: ${name(title)}`);
}
return [...faults, ...complained];"""
)


@pytest.fixture(scope="session")
def recorded() -> Iterator[Path]:
    """Copy the site; its pages keep their complaints. All other files are the same files."""
    made = Path(tempfile.mkdtemp(prefix="recorded-", dir=SITE.parent))
    for folder, _, names in os.walk(SITE):
        there = made / Path(folder).relative_to(SITE)
        there.mkdir(exist_ok=True)
        for name in names:
            source = Path(folder, name)
            if source.suffix == ".html" and "_static" not in source.relative_to(SITE).parts:
                text = source.read_text(encoding="utf-8")
                head = text.index("<head>") + len("<head>")
                (there / name).write_text(text[:head] + RECORDER + text[head:], encoding="utf-8")
            else:
                os.link(source, there / name)
    (made / "frame.html").write_text(FRAME, encoding="utf-8")
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="session")
def host(recorded: Path) -> Iterator[str]:
    with served(recorded) as origin:
        yield origin


@pytest.fixture(scope="module", params=[name for name in wanted() if name in DRIVERS])
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    if not FINDERS[request.param]():
        pytest.fail(how(request.param))  # $BROWSERS names it
    with DRIVERS[request.param]() as one:
        yield one


@pytest.fixture(scope="module")
def at(request: pytest.FixtureRequest, recorded: Path, host: str) -> str:
    """Address of the site on a host and on a disk."""
    return host if request.param == "http" else recorded.as_uri()


def complaints(driver: Driver) -> list[str]:
    return driver.run("return window.complained")


@pytest.mark.parametrize(
    "pages",
    [
        # the others of the reference come from the template of these two
        pytest.param([n for n in page_names() if not n.startswith("reference/") or n in REFERENCE]),
        nightly(page_names()),
    ],
    ids=["one of a kind", "all"],
)
def test_every_page_fits_a_phone_and_the_browser_does_not_complain(driver, host, pages):
    driver.go(f"{host}/frame.html")
    found = {page: driver.run(LOOK, page, WIDTHS) for page in pages}
    assert len(found) > 40
    assert {page: faults for page, faults in found.items() if faults} == {}


def test_the_look_sees_what_it_looks_for(driver, host, recorded):
    """An empty result says something only because this one is not empty."""
    (recorded / "faulty.html").write_text(
        f'<!DOCTYPE html><html lang="en"><head>{RECORDER}<title>Faulty</title></head><body>'
        '<h1 style="hyphens: auto">Title</h1><p style="width: 350px">Wide</p>'
        '<script>console.error("one"); missing.call()</script><img src="none.png" alt=""></body>'
    )
    driver.go(f"{host}/frame.html")
    found = driver.run(LOOK, "faulty.html", WIDTHS)
    said = " ".join(found)
    assert "320: " in said
    assert "p. Wide" in said
    assert "390: 3" not in said
    assert "hyphenated: h1. Title" in said
    assert {"one"} < set(found)
    assert "missing" in said
    assert "none.png was not loaded" in said


SHOWN = """
return [...document.querySelectorAll("section h1, section h2")].filter((e) => {
  const box = e.getBoundingClientRect();
  return e.checkVisibility({ opacityProperty: true, visibilityProperty: true })
    && box.width && box.bottom > 0 && box.top < innerHeight
    && box.right > 0 && box.left < innerWidth;
}).map((e) => e.textContent.trim())"""


def test_an_arrow_key_goes_to_the_next_slide_and_nothing_overflows(driver, recorded):
    driver.go(f"{recorded.as_uri()}/downloads/slides/question.html")
    driver.wait("window.Reveal?.isReady()")
    first = driver.run(SHOWN)
    assert first
    driver.press("ArrowRight")
    driver.wait(f"(() => {{ {SHOWN} }})()[0] !== {first[0]!r}")
    size = "document.documentElement.{0}Width <= document.documentElement.{1}Width"
    assert driver.run(f"return {size.format('scroll', 'client')}")
    driver.press("ArrowLeft")
    driver.wait(f"(() => {{ {SHOWN} }})()[0] === {first[0]!r}")
    assert complaints(driver) == []


#: Each browser does these from one place a day; Chromium does them from both (`test_search.py`,
#: `test_interactive.py`, `test_engine.py`).
DAILY = {("firefox", "http"), ("webkit", "file")}
from_a_place = pytest.mark.parametrize(
    ("driver", "at"),
    [
        (name, scheme) if (name, scheme) in DAILY else nightly(name, scheme)
        for name in wanted()
        if name in DRIVERS
        for scheme in SCHEMES
    ],
    indirect=True,
    scope="module",  # browser by browser, not test by test: to start one takes seconds
)


@from_a_place
def test_the_search_finds_by_keyboard(driver, at):
    driver.go(f"{at}/reference/pooling.html")
    driver.press("Control+k", *"predicton interval")
    wanted_place = "glossary.html#term-prediction-interval"
    links = "[...document.querySelectorAll('#pst-search-dialog .found a')].slice(0, 3)"
    driver.wait(f"{links}.some((link) => link.href.endsWith({wanted_place!r}))")
    driver.press("ArrowDown")
    address = driver.run("return document.activeElement.href")
    assert address in driver.run(f"return {links}.map((link) => link.href)")
    assert complaints(driver) == []
    driver.press("Enter")
    driver.wait(f"location.href === {address!r} && document.readyState === 'complete'")
    assert complaints(driver) == []


@from_a_place
def test_explore_pools_again_by_keyboard(driver, at):
    driver.go(f"{at}/explore.html")
    panel = "document.querySelector('[data-interactive=\"forest\"][data-ready] .interactive-panel')"
    driver.wait(panel)
    driver.run(f"{panel}.querySelector('.interactive-row[tabindex=\"0\"]').focus()")
    driver.press("ArrowDown")
    current = driver.run(
        f"return {panel}.querySelector('.interactive-card strong').textContent.trim()"
    )
    driver.press(" ")
    cohorts = load_cohorts()
    rest = cohorts[cohorts["cohort"] != current]
    assert len(rest) == len(cohorts) - 1
    pooled = printing.estimate(pool(rest, **ROLES))
    driver.wait(f"{panel}.querySelector('.interactive-summary').textContent.includes({pooled!r})")
    assert complaints(driver) == []


@from_a_place
def test_the_engine_pools_as_python_does(driver, at):
    driver.go(f"{at}/in_your_browser.html")
    driver.wait("document.readyState === 'complete'")
    driver.run("document.getElementById('engine-load').focus()")
    driver.press("Enter")
    driver.wait(
        "document.querySelector('#engine-pool:not([disabled]), #engine-errors:not([hidden])')", 240
    )
    driver.run("document.getElementById('engine-pool').focus()")
    driver.press("Enter")
    driver.wait(
        "document.querySelector('#engine-results:not([hidden]), #engine-errors:not([hidden])')", 120
    )
    assert driver.run("return document.getElementById('engine-errors').textContent") == ""
    there = driver.run("return JSON.parse(JSON.stringify(engineResult().fit))")
    here = pool(load_cohorts(), **ROLES)
    np.testing.assert_allclose(
        [there["estimate"], *there["ci"], there["tau2"]],
        [here.estimate, *here.ci, here.tau2],
        rtol=1e-8,
    )
    assert complaints(driver) == []


def test_a_browser_that_is_not_tested_is_named(monkeypatch):
    monkeypatch.setenv("BROWSERS", "chromium")
    assert [line.split(":")[0] for line in missing()] == [
        "NOT TESTED in firefox",
        "NOT TESTED in webkit",
    ]
    monkeypatch.setenv("BROWSERS", "chromium firefox webkit")
    assert missing() == []
    monkeypatch.setenv("BROWSERS", "chromium opera")
    with pytest.raises(SystemExit, match="opera"):
        wanted()


def test_a_chromium_without_windows_comes_before_a_whole_one(monkeypatch, tmp_path):
    """Each context of a whole one costs a second of the processor: it draws its own bars."""
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("chromium", "chromium-headless-shell"):
        (tmp_path / name).touch(mode=0o755)
        assert find_browser() == str(tmp_path / name)

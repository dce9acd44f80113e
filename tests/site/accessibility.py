"""What axe-core finds on an open page: used by the tests and by ``make audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page
from waits import LAID_OUT, resized, settled

WIDTHS = (320, 1280)
THEMES = ("light", "dark")
OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
_AXE = Axe()
CONTRAST = ("color-contrast", "link-in-text-block")
LOOKS = (Path(__file__).parent / "looks.js").read_text(encoding="utf-8")
# A look is decided when axe passes one of its elements, or sees a picture below: it never judges
# words on a picture.
ASK = """async ({ looks, whole }) => {
    const of = {}, asked = new Set();
    for (const [rule, names] of Object.entries(looks)) {
        of[rule] = new Map();
        for (const name of names) {
            const all = window.looks[rule].get(name);
            const elements = whole[rule].includes(name) ? all : all.slice(0, 1);
            for (const element of elements) { of[rule].set(element, name); asked.add(element); }
        }
    }
    if (!asked.size) return { asked: 0, decided: {}, violations: [] };
    const { passes, incomplete, violations } = await axe.run([...asked], {
        runOnly: { type: "rule", values: Object.keys(looks) }, elementRef: true, preload: false,
        resultTypes: ["passes", "incomplete", "violations"] });
    const onPicture = (node) => node.any.some((check) =>
        ["imgNode", "bgImage", "bgGradient"].includes(check.data?.messageKey));
    const decided = {};
    for (const [results, isSure] of [[passes, () => true], [incomplete, onPicture]]) {
        for (const { id, nodes } of results) {
            const names = nodes.filter(isSure).map((node) => of[id].get(node.element));
            decided[id] = [...(decided[id] ?? []), ...names.filter(Boolean)];
        }
    }
    for (const { nodes } of violations) for (const node of nodes) delete node.element;
    return { asked: asked.size, decided, violations };
}"""
# the theme lets the keyboard reach what scrolls, a moment after the page has changed; what opens or
# changes its colours does so in some frames
SETTLED = (
    f"{LAID_OUT} && "
    + """[...document.querySelectorAll("pre, .cell_output > .output")].every((e) =>
    (e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight) === (e.tabIndex === 0))
    && document.getAnimations().every((one) => one.playState !== "running")"""
)


# axe judges no words on a picture, and of a picture asks for its name alone, but looks at each line
EMPTY = """document.querySelectorAll("figure.picture svg[role=img]").forEach((picture) => {
    for (const part of [...picture.children]) {
        const meant = "a, [role], [tabindex], [aria-label], title, desc";
        if (!part.matches(meant) && !part.querySelector(meant)) part.remove();
    }
})"""
# Rows, entries and paragraphs repeat themselves: of neighbours of a kind the first two and the last
# stay, and each that holds a kind of element which the page has not shown twice. A kind is what axe
# tells apart: name, place, look, attributes, and whether there are words. Cells stay, because a
# table without some of them is another table; so does what an element elsewhere names by its id.
THIN = """() => {
    const all = [...document.body.querySelectorAll("*")];
    // of most attributes axe asks whether they are there, and whether they are empty
    const asked = ({ name, value }) => ["class", "role", "style", "tabindex", "type"].includes(name)
        || ["true", "false", ""].includes(value.trim()) ? `${name}=${value.trim()}` : name;
    const kinds = new Map(all.map((e) => {
        const { color, fill, backgroundColor, fontSize, fontWeight, display } = getComputedStyle(e);
        const hasWords = [...e.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
        return [e, [e.localName, e.parentNode.localName, [...e.attributes].map(asked).sort(),
            hasWords, color, fill, backgroundColor, fontSize, fontWeight, display].join()];
    }));
    const naming = ["for", "headers", "aria-controls", "aria-describedby", "aria-labelledby",
        "aria-owns"];
    const namers = new Map();
    for (const e of all)
        for (const id of naming.flatMap((name) => e.getAttribute(name)?.split(" ") ?? []))
            namers.set(id, [...(namers.get(id) ?? []), e]);
    const isNamed = (e) => [e, ...e.querySelectorAll("[id]")].some((one) =>
        namers.get(one.id)?.some((other) => !e.contains(other)));
    const shown = new Map();
    const isKnown = (e) => shown.get(kinds.get(e)) >= 2;
    function thin(e) {
        shown.set(kinds.get(e), (shown.get(kinds.get(e)) ?? 0) + 1);
        const last = new Map([...e.children].map((one) => [kinds.get(one), one]));
        const before = new Map();
        for (const one of [...e.children]) {
            const kind = kinds.get(one), count = before.get(kind) ?? 0;
            before.set(kind, count + 1);
            const isOver = count >= 2 && one !== last.get(kind) && isKnown(one)
                && [...one.querySelectorAll("*")].every(isKnown) && !isNamed(one);
            if (isOver && !e.matches("tr, colgroup, select")) one.remove();
            else thin(one);
        }
    }
    thin(document.body);
}"""


class Colours:
    """What axe says of colours: text that its ground swallows, links that words swallow.

    These two rules take four fifths of axe's time, and the pages of a book repeat themselves: axe
    is asked for one element of each look (``looks.js``), on the first page that has it. What it
    did not decide by colours alone (a word of one letter, a place half covered) it is asked for
    on every page. `make audit` asks for every element.
    """

    def __init__(self) -> None:
        self.known: dict[str, set[str]] = {rule: set() for rule in CONTRAST}
        self.undecided: dict[str, set[str]] = {rule: set() for rule in CONTRAST}
        self.asked = 0  # elements, over all pages

    def faults(self, page: Page, width: int) -> dict[str, list[str]]:
        """Elements with too little contrast at a width, in the theme and state of the page."""
        resized(page, width)
        looks = page.evaluate(LOOKS)
        found: dict[str, list[str]] = {}
        done: dict[str, set[str]] = {rule: set() for rule in CONTRAST}
        for _ in range(2):  # where one element of a look did not decide, all are asked
            new = {rule: sorted(set(names) - self.known[rule]) for rule, names in looks.items()}
            if not any(set(names) - done[rule] for rule, names in new.items()):
                break
            _inject(page)
            whole = {rule: sorted(self.undecided[rule].intersection(new[rule])) for rule in new}
            answer = page.evaluate(ASK, {"looks": new, "whole": whole})
            self.asked += answer["asked"]
            for rule, lines in _lines(answer["violations"], width).items():
                found[rule] = list(dict.fromkeys([*found.get(rule, []), *lines]))
            for rule, names in new.items():
                self.known[rule].update(answer["decided"].get(rule, []))
                self.undecided[rule].update(set(names) - self.known[rule])
                done[rule].update(whole[rule])
        return found


def _inject(page: Page) -> None:
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(_AXE.axe_script)


def unfold(page: Page) -> None:
    """Open every disclosure of the text, show the code that a phone leaves out, and wait."""
    page.evaluate("""() => {
        document.documentElement.dataset.code = "method";
        for (const one of document.querySelectorAll("article details")) one.open = true;
    }""")
    settled(page)


def faults(
    page: Page, *, widths: tuple[int, ...] = WIDTHS, colours: Colours | None = None
) -> dict[str, list[str]]:
    """Elements that break a rule at a width, with every disclosure of the text open.

    Parameters
    ----------
    page : Page
        Open in the theme that is asked about.
    widths : tuple of int
        Of the window, in CSS pixels.
    colours : Colours, optional
        Judges the colours in place of axe's look at every element.

    Returns
    -------
    dict
        Of each broken rule, a line for each element: width, place, and what axe says of it.
    """
    unfold(page)
    found: dict[str, list[str]] = {}
    for width in widths:
        resized(page, width)
        page.wait_for_function(SETTLED)
        rules = {rule: {"enabled": colours is None} for rule in CONTRAST}
        _inject(page)
        broken = page.evaluate("(options) => axe.run(options)", {**OPTIONS, "rules": rules})
        lines = _lines(broken["violations"], width)
        if colours is not None:
            lines |= colours.faults(page, width)
        for rule, each in lines.items():
            found.setdefault(rule, []).extend(each)
    return found


def _lines(violations: list[dict[str, Any]], width: int) -> dict[str, list[str]]:
    return {
        violation["id"]: [
            f"{width} px, {node['target']}: {' '.join(node['failureSummary'].split())}"
            for node in violation["nodes"]
        ]
        for violation in violations
    }

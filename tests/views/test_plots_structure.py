"""What holds for every kind of plot, whatever it shows and however much of it there is.

What a kind shows, and where, is proved in its own tests; here is what a reader may expect of all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from plot_cases import CASES, cohorts, fit
from plot_tools import assert_all_words_inside, assert_no_words_collide, word_boxes
from stored_pictures import inlined

from helpers import review
from helpers.errors import MetaAnalysisError
from helpers.review import SUBJECT, plots
from helpers.views.plots import style
from helpers.views.plots.frame import figure_of, size_of
from helpers.views.plots.picture import Picture

ROOT = Path(__file__).resolve().parents[2]
KINDS = sorted({*plots.__all__, *review.plots.__all__} - {"Note", "Picture", "annotate", "show"})
SMALLEST = 13.0  # CSS pixels at full width
PHONE = 345.0  # CSS pixels that a phone of 360 leaves a picture
#: What holds too much for a phone; the table behind has the numbers.
WIDE_ONLY = {("causes_heatmap", "many"), ("causes_heatmap", "awkward")}
#: Characters of pictures on one page of the site. Each picture is drawn twice: of the 1,038,000 of
#: the heavier page of the gallery, 425,000 are the drawings for phones.
PAGE = 1_100_000

EVERY = [
    (kind, variant)
    for kind, case in CASES.items()
    for variant in case.draw
    if not (variant == "one" and case.refuses)
]
# plot by plot, not question by question: workers of a parallel run draw each plot once between them
every = pytest.mark.parametrize(("kind", "variant"), EVERY, ids=lambda v: v, scope="module")


@dataclass(frozen=True)
class Drawn:
    """A picture and what was measured before its figure was closed."""

    picture: Picture
    words: dict[Any, Any]
    ax: Any
    drawable: list[np.ndarray]
    phone: Any
    phone_words: dict[Any, Any]
    phone_width: float


@cache
def of(kind: str, variant: str) -> Drawn:
    """Draw once for all tests."""
    ax = CASES[kind].draw[variant]()
    axes = [part for one in ax.get_figure(root=True).axes for part in (one, *one.child_axes)]
    marks = [np.asarray(c.get_offsets()) for one in axes for c in one.collections]
    marks += [np.column_stack(line.get_data()) for one in axes for line in one.lines]
    phone = style.phone_form(ax)
    picture = plots.show(ax, "structure", narrow=phone)
    words = word_boxes(ax, whole=True, drawn=True)
    small, wide = {}, 0.0
    if phone is not None:
        small, wide = word_boxes(phone, whole=True, drawn=True), size_of(figure_of(phone))[0]
    return Drawn(picture, words, ax, marks, phone, small, wide)


@pytest.fixture(autouse=True, scope="module")
def _closed():
    yield
    of.cache_clear()
    plt.close("all")


def test_every_kind_is_here_and_in_a_test_of_its_own():
    assert {kind.partition("-")[0] for kind in CASES} == set(KINDS)
    own = "\n".join(
        path.read_text()
        for path in Path(__file__).parents[1].rglob("test_*.py")
        if path != Path(__file__)
    )
    assert not [kind for kind in KINDS if not re.search(rf"\b{kind}\b", own)]


@pytest.mark.parametrize("kind", [kind for kind, case in CASES.items() if case.refuses])
def test_too_little_is_refused_with_the_reason(kind):
    with pytest.raises(MetaAnalysisError, match=CASES[kind].refuses):
        CASES[kind].draw["one"]()


@every
def test_words_lie_inside_and_apart(kind, variant):
    found = of(kind, variant)
    assert_all_words_inside(found.ax, found.words)
    assert_no_words_collide(found.ax, found.words)


@every
def test_a_phone_gets_a_form_without_scrolling_in_letters_that_can_be_read(kind, variant):
    found = of(kind, variant)
    given_up = bool({(kind, ""), (kind, variant)} & WIDE_ONLY)
    if found.phone is None:
        assert given_up or size_of(figure_of(found.ax))[0] <= PHONE
        return
    assert not given_up
    assert found.phone_width <= PHONE
    assert_all_words_inside(found.phone, found.phone_words)
    assert_no_words_collide(found.phone, found.phone_words)
    # A phone of 360 pixels leaves a picture 328 of its 340.
    assert min(text.get_fontsize() for text in found.phone_words) * 328 / 340 >= 12
    html = found.picture._repr_html_()
    assert found.picture.narrow in html
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("kind", [kind for kind, case in CASES.items() if "real" in case.draw])
def test_no_word_of_a_real_picture_is_cut_or_covered(kind):
    found = of(kind, "real")
    for ax, words in ((found.ax, found.words), (found.phone, found.phone_words)):
        assert not [text.get_text() for text in words if "…" in text.get_text()]
        squares = [
            patch.get_window_extent().extents * 72 / patch.figure.dpi
            for patch in ([] if ax is None else ax.patches)
            if str(patch.get_gid()).startswith("cell-")
        ]
        if kind == "confounding":
            for text, (left, low, right, high) in words.items():
                assert not any(
                    left < s[2] and s[0] < right and low < s[3] and s[1] < high for s in squares
                ), text.get_text()


@every
def test_it_says_what_it_shows_and_brings_its_numbers(kind, variant):
    picture = of(kind, variant).picture
    assert len(picture.alt) > 30
    assert len(picture.caption) > (20 if kind != "lines" else 1)
    assert picture.alt.rstrip().endswith((".", "…", ")"))
    for text in (picture.alt, picture.caption, picture.title):
        assert "nan" not in re.findall(r"\w+", text.lower()), text
        assert not re.search(r"[{}]|\binf\b|  ", text), text
    assert picture.table is not None
    assert len(picture.table.text.splitlines()) > 1


@pytest.mark.parametrize("kind", [kind for kind in CASES if "real" in CASES[kind].draw])
def test_the_alt_text_holds_the_main_values(kind):
    alt = of(kind, "real").picture.alt
    for value in CASES[kind].main():
        assert value in alt
    assert re.search(r"\d", alt)


@every
def test_axes_with_numbers_have_a_name_and_the_unit_is_told(kind, variant):
    found = of(kind, variant)
    texts = " ".join(text.get_text() for text in found.words)
    assert CASES[kind].unit in texts
    for part in found.ax.get_figure(root=True).axes:
        if not part.axison:
            continue
        for axis, (low, high) in ((part.xaxis, part.get_xlim()), (part.yaxis, part.get_ylim())):
            low, high = sorted((low, high))
            ticks = zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=True)
            shown = [t.get_text() for at, t in ticks if low <= at <= high and t.get_visible()]
            plain = [t for t in shown if re.fullmatch(r"[−-]?[\d.,]+", t)]
            if len(plain) > 1:
                named = axis.label.get_text() or part.get_title() or part.get_title("left")
                assert named or any(t.get_text() for t in part.texts), (kind, shown)


@every
def test_marks_stand_at_finite_places(kind, variant):
    for marks in of(kind, variant).drawable:
        if marks.size:
            # A gap in a line is drawn with nan; a mark that is nowhere is not.
            values = np.ma.filled(np.ma.asarray(marks, dtype=float), np.nan)
            assert not np.isinf(values).any()
            assert np.isfinite(values).any() or len(values) == 0


def foreign_colours(svg: str) -> list[str]:
    """Give the colours of a drawing that do not come from a variable of the theme."""
    outside = re.sub(r"var\((?:[^()]|\([^()]*\))*\)", "", svg)
    rules = re.findall(r"(?:fill|stroke|stop-color|color)(?:: |=\")([^;\"]*)", outside)
    return [rule for rule in rules if rule.strip() not in ("", "none")]


@every
def test_every_colour_follows_the_page(kind, variant):
    svg = of(kind, variant).picture.svg
    assert not foreign_colours(svg)
    names = set(re.findall(r"var\((--picture-[\w-]+)", svg)) - {"--picture-font"}
    assert names
    assert names <= set(SUBJECT.variables())


@pytest.mark.parametrize("colour", ["#ff0000", "red", "rgb(1, 2, 3)", "black"])
def test_a_colour_of_its_own_is_seen(colour):
    figure, ax = plt.subplots()
    ax.plot([0, 1], [0, 1], color=style.INK.light)
    svg = plots.show(figure, "own", alt="A line.", caption="A line.").svg
    assert f"stroke: {colour}" not in svg
    painted = re.sub(r"stroke: var\(--picture-ink[^;]*", f"stroke: {colour}", svg, count=1)
    assert colour in foreign_colours(painted)


@every
def test_type_is_large_enough_and_labels_are_text(kind, variant):
    svg = of(kind, variant).picture.svg
    sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", svg)]
    assert sizes
    assert min(sizes) >= SMALLEST
    root = ElementTree.fromstring(svg)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("kind", CASES)
def test_drawn_twice_it_has_the_same_bytes(kind):
    # what differs from time to time is in the drawing, however little there is to draw
    variant = next(v for v in ("one", "real", "many") if (kind, v) in EVERY)
    once = of(kind, variant).picture
    again = plots.show(CASES[kind].draw[variant](), "structure")
    assert once._repr_html_() == again._repr_html_()


# --- marks and weights -------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["book", "jama", "bmj", "revman"])
@pytest.mark.parametrize("k", [2, 60])
def test_squares_are_ordered_by_weight_in_every_layout(layout, k):
    ax = plots.forest(fit(k), layout=layout, order="input")
    areas = next(c for c in ax.collections if c.get_gid() == "studies").get_sizes()
    weight = fit(k).studies.query("included")["weight"].to_numpy()
    assert np.all(np.diff(areas[np.argsort(weight, kind="stable")]) >= 0)
    plt.close(ax.get_figure(root=True))


def test_circles_of_follow_up_grow_with_the_patients():
    table = cohorts(200)
    ax = review.plots.follow_up(table)
    marks = [c for c in ax.collections if (c.get_gid() or "").startswith("marks-")]
    areas = np.sort(np.concatenate([c.get_sizes() for c in marks]))
    patients = np.sort(table.dropna(subset=["median_follow_up_months"])["patients"].to_numpy(float))
    slopes = np.polyfit(patients, areas, 1)
    assert slopes[0] > 0
    assert np.polyval(slopes, patients) == pytest.approx(areas)
    plt.close(ax.get_figure(root=True))


# --- the gallery -------------------------------------------------------------------------------


@cache
def gallery() -> dict[str, Any]:
    """Give the pages as the site has them: stored drawings are inline again."""
    return {
        path.stem: inlined(nbformat.read(path, as_version=4))
        for path in sorted((ROOT / "book").glob("gallery*.ipynb"))
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_gallery_has_every_kind_with_code_picture_and_a_sentence(kind):
    cells = [cell for page in gallery().values() for cell in page.cells]
    code = [c for c in cells if c.cell_type == "code" and f"plots.{kind}(" in c.source]
    assert code, f"{kind} is missing in the gallery"
    html = "".join(o.get("data", {}).get("text/html", "") for c in code for o in c.outputs)
    assert "<svg" in html
    heads = [c.source for c in cells if c.cell_type == "markdown" and f"`{kind}`" in c.source]
    assert any(re.search(rf"^### .*`{kind}`", head, flags=re.M) for head in heads)


def test_pages_of_the_gallery_are_light():
    assert gallery()
    for name, page in gallery().items():
        outputs = [o for c in page.cells if c.cell_type == "code" for o in c.outputs]
        weight = sum(len(o.get("data", {}).get("text/html", "")) for o in outputs)
        assert weight < PAGE, name

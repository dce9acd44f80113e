import re
from html import unescape
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest

from helpers.errors import MetaAnalysisError
from helpers.review import SUBJECT, palette
from helpers.views.plots import Note, annotate, show, style
from helpers.views.plots.note import note_of, numbers


@style.themed
def drawing():
    _, ax = plt.subplots(figsize=(4, 3))
    rng = np.random.default_rng(1)
    ax.scatter(rng.random(20), rng.random(20), c=palette.ENTITY["MCL"].light)
    ax.plot([0, 1], [0, 2], clip_on=True)
    ax.set_title("τ² < 3 & more")
    return ax


def picture(name="a-picture", **changes):
    usual = {
        "subject": SUBJECT,
        "alt": "What it shows.",
        "caption": "What was found.",
        "title": "Kind",
    }
    return show(drawing(), name, **usual | changes)


def ids(html):
    return re.findall(r'\bid="([^"]*)"', html)


def test_the_same_drawing_has_the_same_bytes():
    assert picture()._repr_html_() == picture()._repr_html_()


def test_ids_are_unique_over_the_pictures_of_a_page_and_all_references_resolve():
    html = "".join(picture(name)._repr_html_() for name in ("one", "two"))
    found = ids(html)
    assert len(found) == len(set(found))
    asked = re.findall(r'(?:href="#|url\(#)([^")]*)', html)
    asked += " ".join(re.findall(r'aria-labelledby="([^"]*)"', html)).split()
    assert asked
    assert set(asked) <= set(found)


def test_a_reader_who_does_not_see_it_gets_title_and_alt_text():
    made = picture(alt='A "quoted" <alt> & text.')
    root = ElementTree.fromstring(made.svg)
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "a-picture-title a-picture-desc"
    assert root.find(f"{space}title").text == "Kind"
    assert root.find(f"{space}desc").text == 'A "quoted" <alt> & text.'
    assert made._repr_mimebundle_()["text/plain"] == 'A "quoted" <alt> & text.'


def test_the_figure_has_caption_scroll_box_and_the_table_behind():
    ax = drawing()
    table = numbers({"name": ["x"], "value": [1.5]}, "Numbers", {"name": "", "value": ""})
    annotate(ax, Note("Kind", "An alt.", "a < b", table))
    html = show(ax, "a-picture")._repr_html_()
    assert html.startswith('<figure class="picture" id="a-picture">')
    assert "<figcaption>a &lt; b</figcaption>" in html
    assert 'role="region" tabindex="0" aria-label="Kind (a-picture)"' in html
    assert "<details" in html
    assert 'id="a-picture-table"' in html
    assert ">1.50</td>" in html


def test_a_picture_without_numbers_has_no_empty_drawer():
    assert "<details" not in picture()._repr_html_()


def test_colours_of_the_theme_become_variables_with_the_light_colour_as_fallback():
    svg = picture().svg
    assert f"var(--picture-mcl, {palette.ENTITY['MCL'].light})" in svg
    assert f"var(--picture-ink, var(--jp-content-font-color1, {style.INK.light}))" in svg


def test_text_stays_text_in_the_font_of_the_page():
    svg = picture().svg
    assert "τ² &lt; 3 &amp; more</text>" in svg
    assert svg.count("font-family") == 1
    assert f"'{style.FAMILY}'" in svg


def test_nothing_reaches_beyond_the_drawing():
    svg = picture().svg
    assert "<style" not in svg
    assert "<metadata" not in svg
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", svg)


def test_coordinates_have_two_decimals_at_most():
    svg = re.sub(r'style="[^"]*"', "", picture().svg)
    assert not re.search(r"\d\.\d{3}", svg)


def test_the_picture_keeps_a_least_width_and_scrolls_below_it():
    made = picture()
    assert (made.width, made.height) == (288, 216)
    assert made.min_width == pytest.approx(0.8 * 288)
    assert "min-width: 230.4px; max-width: 288px" in made.svg


def test_the_figure_is_closed():
    before = plt.get_fignums()
    picture()
    assert plt.get_fignums() == before


def test_a_plot_speaks_for_itself_and_the_author_may_overrule():
    ax = drawing()
    annotate(ax, Note("Own title", "Own alt.", "Own caption.", None))
    made = show(ax, "own", caption="Better.")
    assert (made.title, made.alt, made.caption) == ("Own title", "Own alt.", "Better.")


def test_the_only_note_of_a_figure_is_the_notes_of_the_figure():
    ax = drawing()
    note = Note("Own title", "Own alt.", "Own caption.", None)
    annotate(ax, note)
    assert note_of(ax.figure) is note
    other = ax.figure.add_axes((0, 0, 0.1, 0.1))
    annotate(other, note)
    assert note_of(ax.figure) is None
    plt.close(ax.figure)


@pytest.mark.parametrize("given", [{"alt": ""}, {"caption": " "}])
def test_a_figure_without_words_is_an_error(given):
    with pytest.raises(MetaAnalysisError, match="needs alt text and a caption"):
        picture(**given)
    plt.close("all")


@pytest.mark.parametrize("name", ["", "Two words", "1st", "a--b", 'x"', "ä"])
def test_a_name_that_is_no_plain_id_is_an_error(name):
    with pytest.raises(MetaAnalysisError, match="lower-case words"):
        picture(name)
    plt.close("all")


def test_forms_for_slides_are_hidden_and_have_captions_of_their_own():
    short = drawing()
    annotate(short, Note("Short", "A part of it.", 'Part < whole, "said" so.'))
    html = picture(slides=[short])._repr_html_()
    form = re.search(
        r'<div class="picture-slide" style="display: none" data-caption="(.*?)">', html
    )
    assert unescape(form[1]) == 'Part < whole, "said" so.'
    assert "A part of it." in html[form.end() :]
    assert len(ids(html)) == len(set(ids(html)))
    assert "picture-slide" not in picture()._repr_html_()

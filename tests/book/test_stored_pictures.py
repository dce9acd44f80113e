"""Stored drawings are images, which show before the first run; the site has them inline.

In plain notebooks they are PNG.
"""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ET
from urllib.parse import unquote

import chapter_pages
import chapters
import nbformat
import notebooks
import pytest
import stored_pictures
from bs4 import BeautifulSoup
from PIL import Image

PATHS = chapters.chapter_paths()
IDS = [path.stem for path in PATHS]
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" style="max-width: 480px"><title>50% &amp; "a" > b'
    "</title><desc>τ² &lt; 1.</desc><path fill=\"url(#g)\" d='M0,0'/></svg>"
)


def pages_of(notebook):
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "text/html" in output.get("data", {}):
                yield output.data["text/html"]


def made_up(page):
    output = nbformat.v4.new_output("display_data", data={"text/html": page, "text/plain": "x"})
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("1", outputs=[output], id="a")]
    )


@pytest.mark.parametrize("path", PATHS, ids=IDS)
def test_no_stored_output_has_an_inline_drawing(path):
    """Otherwise JupyterLab shows its labels as a wall of text: `make refresh` mends it."""
    stored = nbformat.read(path, as_version=4)
    for kind in (lambda chapter: chapter, notebooks.teacher, notebooks.plain):
        for page in pages_of(kind(stored)):
            assert "<svg" not in page
            for image in BeautifulSoup(page, "html.parser")("img"):
                start, _, drawing = image["src"].partition(",")
                if "svg+xml" in start:
                    assert ET.fromstring(unquote(drawing)).tag.endswith("svg")
                    assert image["alt"]
                    assert "background: white" in image["style"]


@pytest.mark.parametrize("path", PATHS, ids=IDS)
def test_the_site_has_every_drawing_inline(path):
    stored = nbformat.read(path, as_version=4)
    drawings = sum(page.count("data:image/svg+xml") for page in pages_of(stored))
    site = list(pages_of(chapter_pages.for_the_site(stored)))
    assert sum(page.count("<svg") for page in site) == drawings
    assert not any("data:image/svg+xml" in page for page in site)


@pytest.mark.parametrize("around", ["{}", "<figure>{}<p>1 < 2</p></figure>{}", "no drawing"])
def test_a_drawing_comes_back_as_it_was(around):
    page = around.format(SVG, SVG)
    image = stored_pictures.as_images(page)
    assert "<svg" not in image
    assert "#" not in image
    assert stored_pictures.as_images(image) == image
    assert stored_pictures.inline(image) == page
    shown = BeautifulSoup(image, "html.parser")("img")
    assert [i["alt"] for i in shown] == ['50% & "a" > b. τ² < 1'] * page.count("<svg")
    assert all("max-width: 480px" in i["style"] for i in shown)


def test_other_images_and_texts_stay():
    page = '<img src="data:image/png;base64,AAAA" alt="a"><p>%3Csvg</p>'
    assert stored_pictures.as_images(page) == page == stored_pictures.inline(page)


def test_the_notebook_itself_is_changed_for_storing_and_not_for_the_site():
    notebook = made_up(SVG)
    stored = stored_pictures.store(notebook)
    assert stored is notebook
    (page,) = pages_of(notebook)
    assert "<img" in page
    assert list(pages_of(stored_pictures.inlined(notebook))) == [SVG]
    assert list(pages_of(notebook)) == [page]


def test_a_run_is_stored_with_images_whatever_the_cache_holds(tmp_path, monkeypatch):
    path = tmp_path / "a.ipynb"
    path.write_text(chapters.dumps(made_up(SVG)), encoding="utf-8")
    monkeypatch.setattr(chapters, "CACHE", tmp_path)
    monkeypatch.setattr(chapters, "dependency_hash", lambda: "x")
    monkeypatch.setattr(chapters, "share_results", lambda *_: None)
    key = chapters.run_key(made_up(SVG), "x")
    (tmp_path / f"a-{key}.ipynb").write_text(chapters.dumps(made_up(SVG)), encoding="utf-8")
    ((_, run),) = chapters.executed([path])
    assert "<svg" not in next(pages_of(run))


# -- plain notebooks ------------------------------------------------------------------------------


def png_of(notebook):
    """Each PNG of the outputs, with its metadata."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                picture = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
                yield picture.convert("RGB"), output.metadata["image/png"]


@pytest.mark.parametrize("path", PATHS, ids=IDS)
def test_a_plain_notebook_has_each_picture_as_png_and_no_svg(path):
    stored = nbformat.read(path, as_version=4)
    wide = [
        unquote(image["src"])
        for page in pages_of(stored)
        for image in BeautifulSoup(page, "html.parser")("img")
        if not image.find_parent(class_=["picture-narrow", "picture-slide"])
    ]
    plain = notebooks.plain(stored)
    assert not any(re.search("svg|picture-(narrow|slide)", page) for page in pages_of(plain))
    made = list(png_of(plain))
    assert len(made) == len(wide)
    for drawing, (picture, told) in zip(wide, made, strict=True):
        width, height = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawing)[0]
        assert told["width"] == pytest.approx(float(width), abs=1)
        assert told["height"] == pytest.approx(float(height), abs=1)
        assert picture.width > 1.4 * told["width"]
        assert told["alt"]
        assert picture.getextrema() != ((255, 255),) * 3  # something is drawn


def drawn(inner):
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 80 20" style="font-family: '
        f"var(--picture-font, 'Cohort Sans', sans-serif)\">{inner}</svg>"
    )
    return Image.open(io.BytesIO(stored_pictures.png(svg))).convert("RGB")


def test_words_and_colours_of_a_drawing_are_in_its_png(tmp_path, monkeypatch):
    monkeypatch.setattr(stored_pictures, "PNG", tmp_path / "png")
    words = drawn('<text x="2" y="15">M</text>').convert("L")
    assert words.getextrema()[0] < 60  # the letters of the book were found: none is left out
    assert words.crop((60, 0, 120, 30)).getextrema() == (255, 255)
    ink = "var(--picture-ink, var(--jp-content-font-color1, #b84a04))"
    red = drawn(f'<rect width="80" height="20" style="fill: {ink}" />')
    assert red.getpixel((10, 10)) == (0xB8, 0x4A, 0x04)


def test_a_drawing_is_made_once(tmp_path, monkeypatch):
    monkeypatch.setattr(stored_pictures, "PNG", tmp_path / "png")
    for _ in range(2):
        drawn('<rect width="8" height="8" />')
    (file,) = (tmp_path / "png").iterdir()
    assert file.suffix == ".png"

"""Files beside the page: figures for print, the archive, tables and results."""

from __future__ import annotations

import csv
import json
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from report_tools import EDGE, Page, content, edge

from helpers.reporting import make


def test_each_figure_is_beside_the_page_in_four_formats_and_linked(folder):
    made, place = folder
    wanted = {"forest", "subgroup-forest", "funnel", "regression-1", "influence", "without-each"}
    assert wanted <= set(made.pictures)
    links = Page((place / "report.html").read_text(encoding="utf-8")).links
    for name in made.pictures:
        for kind in ("svg", "pdf", "png", "tiff"):
            assert f"figure-{name}.{kind}" in links
            assert (place / f"figure-{name}.{kind}").stat().st_size > 1000
    local = {link for link in links if not link.startswith(("#", "https://doi.org/"))}
    assert local <= {path.name for path in place.iterdir()}
    assert "figure-forest.svg" not in made.html  # the page alone promises no files


def test_figures_for_print_have_300_pixels_per_inch_their_size_and_white_paper(folder):
    made, place = folder
    for name in ("forest", "influence"):
        picture = made.pictures[name]
        for kind in ("png", "tiff"):
            with Image.open(place / f"figure-{name}.{kind}") as image:
                assert [round(float(one)) for one in image.info["dpi"]] == [300, 300]
                inches = [pixels / 300 for pixels in image.size]
                assert inches == pytest.approx([picture.width / 72, picture.height / 72], abs=0.01)
                pixels = np.asarray(image.convert("L"))
                assert pixels[0, 0] == 255
                assert pixels.min() < 60
        with (
            Image.open(place / f"figure-{name}.png") as one,
            Image.open(place / f"figure-{name}.tiff") as other,
        ):
            assert one.mode == other.mode == "RGB"
            assert np.array_equal(np.asarray(one), np.asarray(other))
        pdf = (place / f"figure-{name}.pdf").read_bytes()
        assert pdf.startswith(b"%PDF")
        assert b"CreationDate" not in pdf
        assert b"/FontFile2" in pdf  # TrueType: words stay words
        root = ElementTree.parse(place / f"figure-{name}.svg").getroot()
        assert float(root.get("width")) == pytest.approx(picture.width, rel=1e-3)
        assert "var(" not in (place / f"figure-{name}.svg").read_text(encoding="utf-8")


def test_the_archive_holds_every_other_file_byte_by_byte(folder):
    place = folder[1]
    files = content(place)
    with zipfile.ZipFile(place / "report.zip") as archive:
        assert set(archive.namelist()) == set(files) - {"report.zip", "manifest.json"}
        for name in archive.namelist():
            assert archive.read(name) == files[name]


def test_no_cell_of_a_table_is_a_formula(folder):
    place = folder[1]
    for path in place.glob("*.csv"):
        for row in csv.reader(path.read_text(encoding="utf-8").splitlines()):
            for cell in row:
                formula = cell.lstrip().startswith(("=", "+", "-", "@")) and not re.fullmatch(
                    r"-(\d+\.?\d*(e[+-]?\d+)?|inf)", cell
                )
                assert not formula, (path.name, cell)
    studies = pd.read_csv(place / "studies.csv")
    assert studies["study"].tolist()[:2] == ["'=HYPERLINK(1)", "'+b"]


@pytest.mark.parametrize("name", ["ours", *EDGE])
def test_results_keep_to_their_schema(name, ours):
    schema = json.loads((Path(make.__file__).parent / "results.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    result = (ours if name == "ours" else edge(name)).to_dict()
    jsonschema.Draft202012Validator(schema).validate(result)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(result | {"unknown": 1})

"""The palettes are measured, not believed: contrast, colour-vision deficiency, greyscale."""

import ast
import re
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from fontTools.ttLib import TTFont

from helpers.review import SUBJECT, palette
from helpers.views.plots import lettering, style

ROOT = Path(__file__).parents[2]
#: Rooms of plots, without the files that all plots share.
PLOTS = [
    path
    for room in ("views/plots", "views/plots/forest", "review/plots")
    for path in sorted((ROOT / "helpers" / room).glob("*.py"))
    if room.endswith("forest")
    or path.stem not in {"frame", "lettering", "note", "picture", "style", "__init__"}
]
#: What the shared files do for all plots.
SHARED = {"FixedLocator", "FuncFormatter", "MaxNLocator", "NullLocator", "get_size_inches"}
#: The only figure of two panels.
PANELS = {"construction_plot"}
STATIC = Path(__file__).parents[2] / "book" / "_static"
PAGES = {"light": ("#ffffff",), "dark": ("#121212", "#14181e")}

# Machado, Oliveira and Fernandes 2009, doi:10.1109/TVCG.2009.113, severity 1, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def linear(colour):
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def luminance(colour):
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    """WCAG 2.2 contrast ratio."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def lightness(colour):
    """CIE L* from 0 to 100."""
    y = luminance(colour)
    return 116 * np.cbrt(y) - 16 if y > 216 / 24389 else y * 24389 / 27


def lab(rgb):
    """CIE L*a*b* (D65) of linear RGB."""
    to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    ratio = to_xyz @ rgb / to_xyz.sum(axis=1)
    f = np.where(
        ratio > 216 / 24389, np.cbrt(np.maximum(ratio, 0)), (24389 / 27 * ratio + 16) / 116
    )
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def difference(one, other, vision):
    seen = [lab(np.clip(np.asarray(VISION[vision]) @ linear(c), 0, 1)) for c in (one, other)]
    return float(np.linalg.norm(seen[0] - seen[1]))


def test_the_measures_are_right():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
    assert lightness("#ffffff") == pytest.approx(100)
    assert lab(linear("#ff0000")) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)
    for matrix in VISION.values():
        assert np.asarray(matrix).sum(axis=1) == pytest.approx([1, 1, 1], abs=2e-6)


PALETTES = [("entity", palette.ENTITY), ("product", palette.PRODUCT)]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("name", "palette"), PALETTES)
def test_marks_have_contrast_three_to_one_against_the_page(name, palette, theme):
    for level, colour in palette.items():
        for page in PAGES[theme]:
            assert contrast(getattr(colour, theme), page) >= 3, (level, page)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_contrast_four_and_a_half_to_one(theme):
    for colour in (style.INK, style.QUIET, style.ACCENT):
        for page in PAGES[theme]:
            assert contrast(getattr(colour, theme), page) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_in_a_cell_of_residuals_has_contrast_four_and_a_half_to_one(theme):
    from helpers.review.plots.causes_heatmap_plot import OPACITY

    def channels(colour):
        return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])

    ink = getattr(style.INK, theme)
    for colour in style.RESIDUAL.values():
        for page in PAGES[theme]:
            for opacity in OPACITY:
                top, under = channels(getattr(colour, theme)), channels(page)
                mixed = np.round(opacity * top + (1 - opacity) * under).astype(int)
                assert contrast("#{:02x}{:02x}{:02x}".format(*mixed), ink) >= 4.5


# CIE76 distance: 2.3 is just noticeable; marks as small as ours need several times that.
LEAST = {"entity": 20, "product": 10}
LEAST_GREY = {"entity": 10, "product": 4.5}


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("name", "palette"), PALETTES)
def test_colours_differ_for_every_kind_of_colour_vision(name, palette, theme, vision):
    closest = min(
        difference(getattr(one, theme), getattr(other, theme), vision)
        for one, other in combinations(palette.values(), 2)
    )
    assert closest >= LEAST[name]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("name", "palette"), PALETTES)
def test_colours_differ_in_greyscale(name, palette, theme):
    levels = sorted(lightness(getattr(colour, theme)) for colour in palette.values())
    assert np.diff(levels).min() >= LEAST_GREY[name]


def test_every_disease_has_its_own_shape():
    assert len({palette.MARKER[level] for level in palette.ENTITY}) == len(palette.ENTITY)


def test_no_two_roles_share_a_colour_because_the_page_tells_them_apart_by_it():
    named = SUBJECT.variables()
    assert len({colour.light for colour in named.values()}) == len(named)


def test_the_data_hold_no_disease_or_product_without_a_colour():
    from helpers import load_cohorts

    cohorts = load_cohorts()
    assert list(cohorts["entity"].cat.categories) == list(palette.ENTITY)
    assert set(cohorts["product"].cat.categories) == set(palette.PRODUCT)


def test_levels_of_another_kind_are_drawn_in_ink():
    assert set(SUBJECT.colours(["LBCL", "axi-cel"]).values()) == {style.INK}


def test_the_stylesheet_of_the_site_holds_these_colours():
    sheet = (STATIC / "figures.css").read_text("utf-8")
    held = sheet.partition("/* colours: begin */")[2].partition("/* colours: end */")[0]
    assert held.strip() == SUBJECT.stylesheet().strip()


def test_the_theme_leaves_no_trace():
    before = dict(mpl.rcParams)
    with style.theme():
        assert mpl.rcParams["font.family"] == [style.FAMILY, "DejaVu Sans"]
    assert dict(mpl.rcParams) == before


FACES = ["CohortSans-Regular", "CohortSans-Semibold"]


@pytest.mark.parametrize("face", FACES)
def test_figures_are_tabular_and_every_sign_we_print_exists(face):
    font = TTFont(style.FONTS / f"{face}.ttf")
    glyphs, widths = font.getBestCmap(), font["hmtx"]
    assert len({widths[glyphs[ord(digit)]][0] for digit in "0123456789\N{FIGURE SPACE}−"}) == 1
    signs = "²≤≥≈τμχ×–—…\u202f\u00a0\u2007\u2009⁻⁰⁹<>%±"
    assert [sign for sign in signs if ord(sign) not in glyphs] == []


@pytest.mark.parametrize("face", FACES)
def test_page_and_drawing_use_the_same_font(face):
    drawn = TTFont(style.FONTS / f"{face}.ttf")
    paged = TTFont(STATIC / "fonts" / f"{face}.woff2")
    assert drawn.getBestCmap() == paged.getBestCmap()
    assert drawn["hmtx"].metrics == paged["hmtx"].metrics


def test_the_faces_of_the_text_are_told_apart_by_their_letters():
    """A page fetches the file that has its letters: each has those that the sheet says, no more."""
    sheet = (STATIC / "book.css").read_text(encoding="utf-8")
    faces = re.findall(r"fonts/(CohortSerif[\w-]+)\.woff2.*unicode-range: ([^;]+);", sheet)
    assert len(faces) == len(list((STATIC / "fonts").glob("CohortSerif*"))) == 6
    for face, ranges in faces:
        said: set[int] = set()
        for part in ranges.split(", "):
            first, _, last = part.removeprefix("U+").partition("-")
            said |= set(range(int(first, 16), int(last or first, 16) + 1))
        glyphs = set(TTFont(STATIC / "fonts" / f"{face}.woff2").getBestCmap())
        unassigned = {0x3A2}  # between the Greek capitals
        assert said - unassigned == glyphs, face


def test_fonts_are_small_licensed_and_do_not_use_the_reserved_name():
    files = [*style.FONTS.glob("*.ttf"), *(STATIC / "fonts").glob("CohortSans*.woff2")]
    assert sum(file.stat().st_size for file in files) < 150_000
    for folder in (style.FONTS, STATIC / "fonts"):
        assert "SIL OPEN FONT LICENSE" in (folder / "LICENSE.txt").read_text("utf-8").upper()
    for file in files:
        names = {record.nameID: str(record) for record in TTFont(file)["name"].names}
        assert not any("Source" in names.get(i, "") for i in (1, 3, 4, 6))


@pytest.mark.parametrize("path", PLOTS, ids=lambda path: path.stem)
def test_a_plot_states_data_marks_and_finding_and_leaves_the_rest_to_its_frame(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = {getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            used |= {name.name for name in node.names}
    assert used & SHARED == set()
    assert "subplots" not in used or path.stem in PANELS
    # Headings, units and formats of the table behind a picture are given to `numbers`.
    assert "table" not in {
        name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("tables")
        for name in node.names
    }


@pytest.mark.parametrize("dpi", [72, 150])
def test_a_name_is_cut_to_the_longest_beginning_that_fits(dpi):
    """Looked at letter by letter, in the widths that Matplotlib gives the words of a figure."""
    with style.theme():
        figure = plt.figure(dpi=dpi)
        for bold, weight in ((False, "normal"), (True, "bold")):
            look = {"fontsize": style.size("small"), "fontweight": weight}

            def wide(text, look=look):
                return figure.text(0, 0, text, **look).get_window_extent().width * 72 / dpi

            for name in ("AVAVA to Ta. fi fl", "Žluťoučký kůň  two blanks", "iiii....,,,llll", "x"):
                shown = lettering.measure(figure, name, bold=bold, size="small")
                assert shown == pytest.approx(wide(name), abs=0.02)
                for most in (8, 25.5, 60, wide(name), 300):
                    cut = [f"{name[:end].rstrip()}…" for end in range(len(name), 0, -1)]
                    fits = [text for text in (name, *cut) if wide(text) <= most] or [cut[-1]]
                    found = lettering.fit_text(figure, name, most, bold=bold, size="small")
                    assert found == fits[0]

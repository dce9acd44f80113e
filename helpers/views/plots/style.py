"""One look for every picture: type, spacing, and one colour per disease, product and cause.

A colour is a pair: one for a light page, one for a dark page. Drawing always uses the light one;
`helpers.views.plots.picture` replaces it in the SVG by a CSS variable that carries the dark one
when the page is dark. `stylesheet` prints those variables; `book/_static/figures.css` holds its
text.

The palettes were found by a search in OKLCH around fixed hues that maximised the smallest
distance between any two colours for normal vision, for simulated protanopia, deuteranopia and
tritanopia, and in greyscale; `tests/test_plots_style.py` measures what came out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

from ...errors import UnsupportedError
from ..ids import slug

__all__ = [
    "CAUSE",
    "ENTITY",
    "FAMILIES",
    "FAMILY",
    "GRID",
    "INK",
    "MARKER",
    "PRODUCT",
    "QUIET",
    "RESIDUAL",
    "SURFACE",
    "Colour",
    "colours_for",
    "marker_for",
    "size",
    "stylesheet",
    "theme",
    "themed",
    "variables",
]

FAMILY = "Cohort Sans"
FAMILIES = [FAMILY, "DejaVu Sans"]  # the second has Cyrillic and more, for a reader's own labels
FALLBACK = f"'{FAMILY}', 'Source Sans 3', 'Source Sans Pro', 'Segoe UI', Roboto, sans-serif"
FONTS = Path(__file__).parent / "fonts"


class Colour(NamedTuple):
    """A colour on a light page and its partner on a dark page."""

    light: str
    dark: str


# Text, lines and background. QUIET keeps 4.5:1, because it carries text.
INK = Colour("#1a1c20", "#e8eaee")
QUIET = Colour("#5c6370", "#a3abb8")
GRID = Colour("#dfe2e7", "#333a45")
SURFACE = Colour("#ffffff", "#121212")

ENTITY: Mapping[str, Colour] = {
    "LBCL": Colour("#0b51a8", "#58a9f5"),
    "MCL": Colour("#5a9e89", "#a5f2dc"),
    "MM": Colour("#b85004", "#f9b26a"),
    "IL": Colour("#5b1a66", "#b457b0"),
}
PRODUCT: Mapping[str, Colour] = {
    "axi-cel": Colour("#971a02", "#fea54b"),
    "brexu-cel": Colour("#b78937", "#f7d765"),
    "tisa-cel": Colour("#4d61c4", "#509df9"),
    "liso-cel": Colour("#398bbc", "#85d7d7"),
    "ide-cel": Colour("#333289", "#8d67d2"),
    "cilta-cel": Colour("#571253", "#cf6988"),
    "tisa-cel + axi-cel": Colour("#465f56", "#dfedd5"),
    "ide-cel + cilta-cel": Colour("#837463", "#b9a78f"),
}
# Fills carry text in SURFACE, so they keep 4.5:1 against the page. Order and words say the same.
CAUSE: Mapping[str, Colour] = {
    "infection": Colour("#1d54d0", "#85ccfc"),
    "other malignancy": Colour("#420160", "#e889d4"),
    "cardiovascular or respiratory": Colour("#bc5904", "#d4770e"),
    "neurotoxicity or ICANS": Colour("#162d9b", "#5d76fb"),
    "CRS": Colour("#364d01", "#f3f10f"),
    "haemorrhage": Colour("#a5003b", "#fec5af"),
    "HLH": Colour("#023a00", "#6acd40"),
    "organ failure, other or unknown": Colour("#6e686e", "#939e9e"),
}
# Cells with more or fewer events than expected; laid on thinly, under text in INK.
RESIDUAL: Mapping[str, Colour] = {
    "more": Colour("#d9730d", "#e07a1f"),
    "fewer": Colour("#2f7fc1", "#3b8fd6"),
}
# Shape says the same as colour, for readers who see none.
MARKER: Mapping[str, str] = {"LBCL": "o", "MCL": "s", "MM": "D", "IL": "^"}

# Sizes in units of the SVG, which are CSS pixels at full width.
_SIZES = {"small": 11.5, "text": 12.5, "title": 14.0}


def size(role: str) -> float:
    """Give the type size of a role: "small", "text" or "title".

    Examples
    --------
    >>> size("text")
    12.5
    """
    return _SIZES[role]


def colours_for(levels: list[str]) -> dict[str, Colour]:
    """Give each disease, product or cause of death its colour.

    Parameters
    ----------
    levels : list of str
        All of one kind. Levels that are none of them are drawn in ink, because a colour that
        means nothing elsewhere would mislead.

    Examples
    --------
    >>> colours_for(["LBCL", "MM"])["MM"].light
    '#b85004'
    >>> colours_for(["trial", "real-world"])["trial"] == INK
    True
    """
    for palette in (ENTITY, PRODUCT, CAUSE):
        if levels and all(level in palette for level in levels):
            return {level: palette[level] for level in levels}
    return dict.fromkeys(levels, INK)


def marker_for(level: str) -> str:
    """Give a disease its marker shape.

    Raises
    ------
    UnsupportedError
        For an unknown disease.

    Examples
    --------
    >>> marker_for("MM")
    'D'
    """
    if level not in MARKER:
        raise UnsupportedError(f"no marker for {level!r}; there are {', '.join(MARKER)}")
    return MARKER[level]


def variables() -> dict[str, Colour]:
    """Name every colour as a CSS variable.

    Examples
    --------
    >>> variables()["--picture-lbcl"].dark
    '#58a9f5'
    """
    named = {"ink": INK, "quiet": QUIET, "grid": GRID, "surface": SURFACE}
    named |= {**ENTITY, **PRODUCT, **CAUSE, **RESIDUAL}
    return {f"--picture-{slug(name)}": colour for name, colour in named.items()}


def stylesheet() -> str:
    """Print the colour variables of both themes as CSS, for the site's stylesheet."""
    light = "\n".join(f"  {name}: {colour.light};" for name, colour in variables().items())
    dark = "\n".join(f"  {name}: {colour.dark};" for name, colour in variables().items())
    return f":root {{\n{light}\n}}\n\nhtml[data-theme='dark'] {{\n{dark}\n}}\n"


@cache
def _load_fonts() -> None:
    from matplotlib import font_manager

    for path in sorted(FONTS.glob("*.ttf")):
        font_manager.fontManager.addfont(path)


def _settings() -> dict[str, Any]:
    return {
        # One point is one unit of the SVG, so that sizes read as CSS pixels.
        "figure.dpi": 72,
        "savefig.dpi": 72,
        "figure.facecolor": "none",
        "savefig.facecolor": "none",
        "axes.facecolor": "none",
        "font.family": FAMILIES,
        "font.size": _SIZES["text"],
        "text.parse_math": False,
        "text.color": INK.light,
        "axes.edgecolor": QUIET.light,
        "axes.labelcolor": INK.light,
        "axes.labelsize": _SIZES["text"],
        "axes.titlesize": _SIZES["title"],
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.unicode_minus": True,
        "grid.color": GRID.light,
        "grid.linewidth": 0.8,
        "xtick.color": QUIET.light,
        "ytick.color": QUIET.light,
        "xtick.labelcolor": INK.light,
        "ytick.labelcolor": INK.light,
        "xtick.labelsize": _SIZES["small"],
        "ytick.labelsize": _SIZES["small"],
        "legend.fontsize": _SIZES["small"],
        "legend.frameon": False,
        "lines.linewidth": 1.4,
        "svg.fonttype": "none",
        "svg.hashsalt": "picture",
        # A user's own settings must not change how a page looks.
        "figure.autolayout": False,
        "figure.constrained_layout.use": False,
    }


@contextmanager
def theme() -> Iterator[None]:
    """Draw in the look of the book; matplotlib's settings return to what they were.

    Examples
    --------
    >>> import matplotlib
    >>> with theme():
    ...     matplotlib.rcParams["font.family"][0]
    'Cohort Sans'
    """
    import matplotlib

    _load_fonts()
    settings: Any = _settings()  # the stubs want the keys as literals
    with matplotlib.rc_context(settings):
        yield


_P = ParamSpec("_P")
_R = TypeVar("_R")


def themed(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make a drawing function draw in the look of the book."""

    @wraps(function)
    def inside(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with theme():
            return function(*args, **kwargs)

    return inside

"""One look for every picture: type and spacing, in the colours of `helpers.views.colours`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from ..colours import ACCENT, GRID, INK, QUIET, RESIDUAL, SURFACE, Colour

__all__ = [
    "ACCENT",
    "FAMILIES",
    "FAMILY",
    "GRID",
    "INK",
    "QUIET",
    "RESIDUAL",
    "SURFACE",
    "Colour",
    "size",
    "theme",
    "themed",
]

FAMILY = "Cohort Sans"
FAMILIES = [FAMILY, "DejaVu Sans"]  # the second has Cyrillic and more, for a reader's own labels
FALLBACK = f"'{FAMILY}', 'Source Sans 3', 'Source Sans Pro', 'Segoe UI', Roboto, sans-serif"
FONTS = Path(__file__).parent / "fonts"


# Sizes in units of the SVG, which are CSS pixels at full width.
_SIZES = {"small": 11.5, "text": 12.5, "title": 14.0}


def size(role: str) -> float:
    """Give the type size of a role: "small", "text" or "title"."""
    return _SIZES[role]


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
    """Draw in the look of the book; matplotlib's settings return to what they were."""
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

"""One look for every picture: type and spacing, in the colours of `helpers.views.colours`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial, wraps
from inspect import signature
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from ..colours import ACCENT as ACCENT
from ..colours import GRID as GRID
from ..colours import INK as INK
from ..colours import QUIET as QUIET
from ..colours import RESIDUAL as RESIDUAL
from ..colours import SURFACE as SURFACE
from ..colours import Colour as Colour
from .frame import Axes, figure_of, size_of

FAMILY = "Cohort Sans"
FAMILIES = [FAMILY, "DejaVu Sans"]  # the second has Cyrillic and more, for a reader's own labels
FALLBACK = f"'{FAMILY}', 'Source Sans 3', 'Source Sans Pro', 'Segoe UI', Roboto, sans-serif"
FONTS = Path(__file__).parent / "fonts"

PHONE = 340.0  # CSS pixels: what a phone of 360 leaves a picture
NARROW = 480.0  # below this width labels and values are above the marks

# Sizes in units of the SVG, which are CSS pixels at full width.
_SIZES = {"small": 13.0, "text": 13.5, "title": 15.0}


def size(role: str) -> float:
    """Give the type size of a role: "small", "text" or "title"."""
    return _SIZES[role]


@cache
def load_fonts() -> None:
    """Tell Matplotlib of the book's letters, once."""
    from matplotlib import font_manager

    for path in sorted(FONTS.glob("*.ttf")):
        font_manager.fontManager.addfont(path)


_SETTINGS: Any = {  # the stubs want the keys as literals
    # One point is one unit of the SVG, so that sizes read as CSS pixels.
    **dict.fromkeys(("figure.dpi", "savefig.dpi"), 72),
    **dict.fromkeys(("figure.facecolor", "savefig.facecolor", "axes.facecolor"), "none"),
    **dict.fromkeys(("font.size", "axes.labelsize"), _SIZES["text"]),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), _SIZES["small"]),
    "axes.titlesize": _SIZES["title"],
    "font.family": FAMILIES,
    "text.parse_math": False,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), INK.light
    ),
    **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), QUIET.light),
    "grid.color": GRID.light,
    **dict.fromkeys(("axes.linewidth", "grid.linewidth"), 0.8),
    "lines.linewidth": 1.4,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.unicode_minus": True,
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
    "svg.fonttype": "none",
    "svg.hashsalt": "picture",
    # A user's own settings must not change how a page looks.
    **dict.fromkeys(("figure.autolayout", "figure.constrained_layout.use"), False),
}


@contextmanager
def theme() -> Iterator[None]:
    """Draw in the look of the book; matplotlib's settings return to what they were."""
    import matplotlib

    load_fonts()
    with matplotlib.rc_context(_SETTINGS):
        yield


_P = ParamSpec("_P")
_R = TypeVar("_R")
_AGAIN: WeakKeyDictionary[Any, Callable[[], Axes]] = WeakKeyDictionary()
_WIDE: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def themed(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make a drawing function draw in the look of the book.

    One that takes a `width` and made its own figure can be drawn again for a phone.
    """
    any_width = "width" in signature(function).parameters

    @wraps(function)
    def inside(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with theme():
            drawn = function(*args, **kwargs)
        if any_width:
            _AGAIN.pop(drawn, None)  # what a plot inside this one said of itself
            if kwargs.get("ax") is None and drawn not in _WIDE:
                again: Any = inside  # any of them: the types of its arguments are its own
                _AGAIN[drawn] = partial(again, *args, **(kwargs | {"width": PHONE}))
        return drawn

    return inside


def wide_only(ax: Axes) -> None:
    """Say of a plot that it has no narrow form, because it holds too much."""
    _WIDE[ax] = True


def phone_form(drawn: Any) -> Axes | None:
    """Draw a plot again as wide as a phone; None if it is that narrow or has no such form."""
    from matplotlib.figure import Figure

    axes = drawn.axes if isinstance(drawn, Figure) else [drawn]
    found = [_AGAIN[ax] for ax in axes if ax in _AGAIN]
    if len(found) != 1 or size_of(figure_of(drawn))[0] <= PHONE:
        return None
    before = _FORM.set("phone")
    try:
        return found[0]()
    finally:
        _FORM.reset(before)


_FORM: ContextVar[str] = ContextVar("form", default="")


def shares_the_note() -> bool:
    """Whether a plot is drawn again for a picture that has its note, with its table, already."""
    return bool(_FORM.get())

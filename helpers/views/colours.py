"""The colours that every picture shares: ink, lines, background, and two accents.

A colour is a pair: one for a light page, one for a dark page. Drawing always uses the light one;
`helpers.views.plots.picture` replaces it in the SVG by a CSS variable that carries the dark one
when the page is dark.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Colour(NamedTuple):
    """A colour on a light page and its partner on a dark page."""

    light: str
    dark: str


# Text, lines and background. QUIET keeps 4.5:1, because it carries text.
INK = Colour("#1a1c20", "#e8eaee")
QUIET = Colour("#5c6370", "#a3abb8")
GRID = Colour("#dfe2e7", "#333a45")
SURFACE = Colour("#ffffff", "#121212")
#: What the text is about, where everything else is grey.
ACCENT = Colour("#b4472e", "#f09a80")
# More or fewer events than expected; laid on thinly, under text in INK.
RESIDUAL: Mapping[str, Colour] = {
    "more": Colour("#d9730d", "#e07a1f"),
    "fewer": Colour("#2f7fc1", "#3b8fd6"),
}
#: What a picture may use, whatever its subject.
BASE: Mapping[str, Colour] = {
    "ink": INK, "quiet": QUIET, "grid": GRID, "surface": SURFACE, "accent": ACCENT, **RESIDUAL,
}  # fmt: skip

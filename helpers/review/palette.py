"""One colour per disease, product and cause of death of this review.

The palettes were found by a search in OKLCH around fixed hues that maximised the smallest
distance between any two colours for normal vision, for simulated protanopia, deuteranopia and
tritanopia, and in greyscale; `tests/views/test_plots_style.py` measures what came out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..views.colours import SURFACE, Colour

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
# Shape says the same as colour, for readers who see none.
MARKER: Mapping[str, str] = {"LBCL": "o", "MCL": "s", "MM": "D", "IL": "^"}


def filled_if(solid: bool, colour: str) -> dict[str, Any]:
    """Give the look of a mark: filled for one setting (trials), open for the others.

    An edge in the colour of the page keeps filled marks apart that lie on each other.
    """
    if solid:
        return {"facecolors": colour, "edgecolors": SURFACE.light, "linewidths": 0.7}
    return {"facecolors": "none", "edgecolors": colour, "linewidths": 1.5}

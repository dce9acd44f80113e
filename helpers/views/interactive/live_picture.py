"""How an interactive picture reaches the page: a fixed picture, and its data beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from ...arguments import one_of
from ..plots.picture import Picture

#: Scripts and style of the site.
ASSETS = Path(__file__).parent / "assets"

#: Kind -> scripts that it needs, in order.
KINDS: Mapping[str, Sequence[str]] = {
    kind: [f"{name}.js" for name in names.split()]
    for kind, names in {
        "forest": "common statistics glmm linked centre sound takeaway forest",
        "laboratory": "common statistics laboratory",
        "curve": "common curve",
        "whatif": "common whatif",
        "lab": "common statistics glmm kernels lab",
    }.items()
}


@dataclass(frozen=True, slots=True)
class Interactive:
    """An interactive picture: shown by a notebook as HTML, by a terminal as its alt text.

    Examples
    --------
    >>> from helpers.views.plots import Picture
    >>> still = Picture("a", "<svg></svg>", "T", "What it shows.", "It is.", 9, 9, 9, None)
    >>> Interactive("forest", "Rows", still, {"rows": [1]})
    What it shows.
    """

    kind: str  # {"forest", "laboratory", "curve", "whatif", "lab"}: Which script takes it over
    title: str  # What it is called on the page
    still: Picture  # What a page without a script shows; with one it stays within reach
    data: Mapping[str, Any] = field(repr=False)  # What the script draws; everything that JSON knows

    def __post_init__(self) -> None:
        one_of("kind", self.kind, KINDS)

    def __repr__(self) -> str:
        return self.still.alt

    @property
    def json(self) -> str:
        """The data as JSON that may stand inside HTML."""
        # NaN is no JSON: a number that is missing must have been written as null.
        text = json.dumps(
            {"title": self.title, "name": self.still.name, **self.data},
            ensure_ascii=False,
            allow_nan=False,
            separators=(",", ":"),
        )
        return text.replace("<", "\\u003c")

    def _repr_html_(self) -> str:
        return "\n".join(
            [
                f'<div class="interactive" data-interactive="{escape(self.kind, quote=True)}">',
                f'<script type="application/json">{self.json}</script>',
                self.still._repr_html_(),
                "</div>",
            ]
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self._repr_html_(), "text/plain": self.still.alt}

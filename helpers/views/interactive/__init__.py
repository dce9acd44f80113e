"""Pictures that answer a reader's hand: a small laboratory, a curve of analyses.

Each takes results, keeps a fixed picture for pages without a script, and shows itself in a chapter
as HTML. The script in ``assets`` is our own: two thousand lines (100 KB) of plain JavaScript on
native controls (select, range, checkbox, button), a table and SVG. Libraries of charts were weighed
and left out. The Vega-Lite bundle alone is 832 KB, most of what a page of this book may weigh;
lighter ones such as Observable Plot would draw the marks, which is the small part here, because
lines and squares stand at places that were computed in Python. The large part would be ours in any
case: rows that a keyboard walks through, filters that announce what they did, words and sources
beside the marks, and statistics that are held to the engine by tests.

``book/_ext/interactive.py`` puts the script on the pages that need it.
"""

from .drawn_studies import Draw, draw, laboratory
from .live_picture import ASSETS, Interactive
from .packed_curve import curve

__all__ = ["ASSETS", "Draw", "Interactive", "curve", "draw", "laboratory"]

"""Pictures that answer a reader's hand: a forest plot, a small laboratory, a curve of analyses.

Each takes results, keeps a fixed picture for pages without a script, and shows itself in a chapter
as HTML. The script in ``assets`` is our own: some five hundred lines of plain JavaScript on native
controls (select, range, checkbox, button) and SVG. The libraries that draw such pictures were
weighed and left out: the Vega-Lite bundle is 832 KB for a page, Plot and D3 a tenth of that, and
all of them draw marks that a keyboard cannot reach and a screen reader does not name, so that the
part that is work (rows to walk through, filters that announce what they did, words beside the
marks) would be ours in any case. What is left, lines and squares at places that were computed
here, needs no library; and pages that are opened from a disk load scripts but neither modules nor
data files, for which most libraries are packed.

``book/_ext/interactive.py`` puts the script on the pages that need it.
"""

from helpers.interactive.curve import curve
from helpers.interactive.element import ASSETS, Interactive
from helpers.interactive.forest import forest
from helpers.interactive.laboratory import Draw, draw, laboratory

__all__ = ["ASSETS", "Draw", "Interactive", "curve", "draw", "forest", "laboratory"]

"""A table in, a report out: checks, models, figures and sentences on one page.

``report("my.csv")`` reads and checks a table with one row per study, computes what the chapters of
the book compute, and gives a :class:`Report`; its `write` makes a folder with one self-contained
HTML page, the results as JSON and every table as CSV.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..door import homes, lazy

if TYPE_CHECKING:
    from .analysis import Analysis, ColumnNames, NotComputed, analyse
    from .cautions import ADVICE, ListedCaution
    from .make import Report, report

_HOMES = homes(
    {
        ".analysis": "Analysis ColumnNames NotComputed analyse",
        ".cautions": "ADVICE ListedCaution",
        ".make": "Report report",
    }
)
__all__ = sorted(_HOMES)

# the page in which the engine runs in a browser imports a room of this one with numpy alone
__getattr__, __dir__ = lazy(__name__, _HOMES, {})

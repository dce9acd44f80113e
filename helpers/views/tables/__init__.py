"""Tables of the page: one look, readable by everyone.

A table is a real HTML table with a caption and header cells, inside a box that scrolls (long and
wide tables keep their header in view) and that the keyboard reaches. Colours and spacing come from
the site's stylesheet, so that a table follows the page into the dark. The bytes depend on the data
alone.
"""

from __future__ import annotations

from .frames import numbers as numbers
from .frames import of_rows as of_rows
from .frames import table
from .markup import CARDS as CARDS
from .markup import MISSING as MISSING
from .markup import Link, Table
from .markup import as_cards as as_cards
from .markup import named_cells as named_cells
from .results import comparison_table, pooled_table

__all__ = ["Link", "Table", "comparison_table", "pooled_table", "table"]

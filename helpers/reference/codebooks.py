"""The codebook of all tables, as a page shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..evidence import codebook
from ..evidence.package import described
from ..views.prose import Sentence
from ..views.tables import Table, table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["codebook_views"]


def codebook_views() -> list[Sentence | Table]:
    """Give heading, description and columns of each table of the book, in the order of the package.

    Examples
    --------
    >>> views = codebook_views()
    >>> print(str(views[0]).splitlines()[0])
    ### Cohorts of the review
    """
    views: list[Sentence | Table] = []
    for one in described()["resources"]:
        views.append(
            Sentence(f"### {one['title']}\n\n{one['description']}\n\nFile: `data/{one['path']}`.")
        )
        views.append(
            table(
                _narrow(codebook(one["name"])),
                caption=f"Columns of {one['path']}",
                formats=dict.fromkeys(("column", "type", "meaning", "allowed"), "text"),
                name=f"codebook-{one['name'].replace('_', '-')}",
                long=False,
            )
        )
    return views


def _narrow(frame: pd.DataFrame) -> pd.DataFrame:
    """Write type and unit in one column."""
    unit = frame["unit"].fillna("").map(lambda text: f", {text}" if text else "")
    return frame.assign(type=frame["type"] + unit).drop(columns="unit")

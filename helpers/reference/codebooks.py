"""The codebook of all tables, as a page shows it."""

from __future__ import annotations

from helpers.evidence import codebook
from helpers.evidence.package import described
from helpers.prose import Sentence
from helpers.tables import Table, table

__all__ = ["codebook_views"]


def codebook_views() -> list[Sentence | Table]:
    """Give heading, description and columns of each table of the book, in the order of the package.

    Returns
    -------
    list
        For each table a text and a table, to be shown below each other.

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
                codebook(one["name"]),
                caption=f"Columns of {one['path']}",
                formats=dict.fromkeys(("column", "type", "unit", "meaning", "allowed"), "text"),
                name=f"codebook-{one['name'].replace('_', '-')}",
                long=False,
            )
        )
    return views

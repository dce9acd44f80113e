"""The codebook of all tables, as a page shows it."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ..evidence import codebook
from ..evidence.package import data_folder, described
from ..views.prose import Sentence
from ..views.tables import Link, Table, table

__all__ = ["codebook_views", "data_files"]

FILES = "downloads/data"
"""Where the site has the tables as files, under the names that they have in ``data/``."""


def data_files() -> Table:
    """List the tables of the book with their sizes, each with its file and its codebook.

    Examples
    --------
    >>> 'href="downloads/data/cohorts.csv"' in data_files().html
    True
    """
    rows = [
        {
            "table": one["title"],
            "file": Link(one["path"], f"{FILES}/{one['path']}"),
            "rows": _rows(one),
            "columns": Link(str(len(one["schema"]["fields"])), f"#{_name(one)}"),
        }
        for one in described()["resources"]
    ]
    return table(
        pd.DataFrame(rows).astype({"file": object, "columns": object}),
        caption="The tables of the book and their files",
        formats={"table": "text", "file": "text", "rows": "count", "columns": "text"},
        name="data-files",
        long=False,
    )


def codebook_views() -> list[Sentence | Table]:
    """Give heading, description, file and columns of each table, in the order of the package.

    Examples
    --------
    >>> views = codebook_views()
    >>> print(str(views[0]).splitlines()[0])
    ### Cohorts of the review
    """
    views: list[Sentence | Table] = []
    for one in described()["resources"]:
        path, checksum = one["path"], one["hash"].removeprefix("sha256:")
        views.append(
            Sentence(
                f"### {one['title']}\n\n{one['description']}\n\n"
                f'File: <a href="{FILES}/{path}" download>{path}</a>, {_rows(one):,} rows, '
                f"{one['bytes']:,} bytes, in a checkout `data/{path}`. "
                f'SHA-256: <code class="checksum">{checksum}</code>.'
            )
        )
        views.append(
            table(
                _narrow(codebook(one["name"])),
                caption=f"Columns of {path}",
                formats=dict.fromkeys(("column", "type", "meaning", "allowed"), "text"),
                name=_name(one),
                long=False,
            )
        )
    return views


def _name(one: Mapping[str, Any]) -> str:
    """Id of a table's codebook on the page."""
    return f"codebook-{one['name'].replace('_', '-')}"


def _rows(one: Mapping[str, Any]) -> int:
    """Count the rows of a table below its heading."""
    with (data_folder() / one["path"]).open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def _narrow(frame: pd.DataFrame) -> pd.DataFrame:
    """Write type and unit in one column."""
    unit = frame["unit"].fillna("").map(lambda text: f", {text}" if text else "")
    return frame.assign(type=frame["type"] + unit).drop(columns="unit")

"""The data folder and its Frictionless description, ``data/datapackage.json``."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..door import pd
from .columns import ColumnSchema
from .problems import CellProblem, EvidenceError

_DESCRIPTION = "datapackage.json"
_PRINTED = "a number as printed, for a p value also a bound such as <.0001"
_KINDS: dict[str, Any] = {"integer": "integer", "number": "number", "string": "text"}


def data_folder() -> Path:
    """Return the folder of the book's tables.

    Returns
    -------
    pathlib.Path
        ``data/`` inside an installed package, or beside ``helpers`` in the repository.

    Raises
    ------
    EvidenceError
        If it is not there, such as in a copy of the package alone.

    Examples
    --------
    >>> (data_folder() / "cohorts.csv").is_file()
    True
    """
    package = Path(__file__).resolve().parents[1]
    inside = package / "data"
    folder = inside if inside.is_dir() else package.parent / "data"
    if not (folder / _DESCRIPTION).is_file():
        expected = (
            "the folder data/ of the repository beside the package helpers: "
            "clone the book and install it with 'pip install -e .'"
        )
        raise EvidenceError(
            [CellProblem(f"data/{_DESCRIPTION}", None, "", "no such file", expected)]
        )
    return folder


def described() -> dict[str, Any]:
    """Return the content of ``data/datapackage.json``."""
    return json.loads(_text())


def _text() -> str:
    return (data_folder() / _DESCRIPTION).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _resources(text: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in json.loads(text)["resources"]}


def resource(table: str) -> dict[str, Any]:
    """Return the Frictionless descriptor of a table, to read; `EvidenceError` if there is none."""
    resources = _resources(_text())
    if table not in resources:
        expected = "one of " + " | ".join(resources)
        raise EvidenceError([CellProblem(f"data/{_DESCRIPTION}", None, "", str(table), expected)])
    return resources[table]


def columns_of(table: str) -> list[ColumnSchema]:
    """Return the columns of one table as its description has them."""
    columns = []
    for field in resource(table)["schema"]["fields"]:
        limits = field["constraints"]
        columns.append(
            ColumnSchema(
                name=field["name"],
                kind=_KINDS[field["type"]],
                required=limits.get("required", False),
                unique=limits.get("unique", False),
                minimum=limits.get("minimum"),
                maximum=limits.get("maximum"),
                allowed=tuple(limits.get("enum", ())),
                pattern=limits.get("pattern", ""),
                wording=_PRINTED if field.get("printed") else "",
            )
        )
    return columns


def codebook(table: str) -> pd.DataFrame:
    """Return the codebook of one table.

    Parameters
    ----------
    table : str
        Name of a table in ``data/``, its file without the ending; another one is refused with the
        list of all.

    Returns
    -------
    pandas.DataFrame
        One row per column of the table, in its order: ``column, type, unit, meaning, allowed``.
        ``unit`` is empty for a pure number, a label or text.

    Examples
    --------
    >>> book = codebook("cohorts").set_index("column")
    >>> book.loc["median_follow_up_months", "unit"]
    'months'
    >>> book.loc["setting", "allowed"]
    'one of trial | real-world'
    """
    fields = resource(table)["schema"]["fields"]
    rows = [
        {
            "column": field["name"],
            "type": "printed number" if field.get("printed") else _KINDS[field["type"]],
            "unit": field["unit"],
            "meaning": field["description"],
            "allowed": column.expected() + ("; used once" if column.unique else ""),
        }
        for field, column in zip(fields, columns_of(table), strict=True)
    ]
    return pd.DataFrame(rows, dtype="str")


def refresh(*, write: bool) -> list[str]:
    """Compare size and SHA-256 of every table with ``datapackage.json``; `write` mends them.

    Returns the names of the tables whose entry was out of date.
    """
    folder = data_folder()
    description = described()
    stale = []
    for one in description["resources"]:
        content = (folder / one["path"]).read_bytes()
        now = {"hash": f"sha256:{hashlib.sha256(content).hexdigest()}", "bytes": len(content)}
        if now != {"hash": one["hash"], "bytes": one["bytes"]}:
            stale.append(one["name"])
            one.update(now)
    if stale and write:
        text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
        (folder / _DESCRIPTION).write_text(text, encoding="utf-8", newline="\n")
    return stale

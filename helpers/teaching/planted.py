"""A table with planted errors, for an exercise in extraction: what a reader finds and cannot find.

``data/teaching/planted_errors.csv`` is made from the first cohorts of the book's table and from
the key beside it; run ``python -m helpers.teaching`` after an edit of either.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from ..door import pd
from ..errors import MetaAnalysisError

__all__ = ["planted_file", "planted_key", "planted_table", "verdict", "without_found_errors"]

COLUMNS = {
    "study": "cohort",
    "events": "nonrelapse_deaths",
    "n": "patients",
    "group": "entity",
    "follow_up": "median_follow_up_months",
    "reported_rate": "reported_nrm",
}
ROWS = 32
_ROLES = {"by": "group", "follow_up": "follow_up", "reported_rate": "reported_rate"}
_FINDS, _CANNOT = "finds", "cannot find"


def planted_file() -> Path:
    """Path of the table with the errors.

    Examples
    --------
    >>> planted_file().name
    'planted_errors.csv'
    """
    from ..evidence import data_folder

    return data_folder() / "teaching" / "planted_errors.csv"


def planted_key() -> pd.DataFrame:
    """Load the key: one row per planted error.

    Returns
    -------
    DataFrame
        Text columns ``cohort, column, original, planted, kind, loader, hint``. ``loader`` is
        "finds" or "cannot find". An error in ``study`` without an original is a row entered
        a second time, under the planted label.

    Examples
    --------
    >>> sorted(planted_key()["loader"].unique())
    ['cannot find', 'finds']
    """
    path = planted_file().with_name("planted_errors_key.csv")
    key = pd.read_csv(path, dtype=str, keep_default_na=False)
    unknown = sorted(set(key["loader"]) - {_FINDS, _CANNOT})
    if unknown:
        raise MetaAnalysisError(
            f"{path.name}, column 'loader': found {', '.join(unknown)}, "
            f"expected {_FINDS!r} or {_CANNOT!r}"
        )
    return key


def planted_table(errors: pd.DataFrame | None = None) -> str:
    """Make the table: the first cohorts of the book with errors planted.

    Parameters
    ----------
    errors : DataFrame, optional
        Rows of `planted_key`; all of them by default, none for an empty frame.

    Returns
    -------
    str
        The content of a CSV file.

    Raises
    ------
    MetaAnalysisError
        The key names a cohort that is not in the table, or an original that is not its value.
    """
    from ..evidence import data_folder

    key = planted_key() if errors is None else errors
    source = (data_folder() / "cohorts.csv").read_text(encoding="utf-8")
    records = list(csv.DictReader(io.StringIO(source)))[:ROWS]
    rows = [{name: record[column] for name, column in COLUMNS.items()} for record in records]
    place = {row["study"]: row for row in rows}
    wanted = ["cohort", "column", "original", "planted"]
    for cohort, column, original, planted in key[wanted].to_numpy(str).tolist():
        if cohort not in place:
            raise MetaAnalysisError(f"the key names {cohort!r}, which is not in the table")
        row = place[cohort]
        if column == "study" and not original:
            rows.append({**row, "study": planted})
        elif row[column] != original:
            raise MetaAnalysisError(
                f"{cohort}, column {column!r}: the key has {original!r}, the table {row[column]!r}"
            )
        else:
            row[column] = planted
    content = io.StringIO()
    writer = csv.DictWriter(content, fieldnames=list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return content.getvalue()


def verdict() -> pd.DataFrame:
    """Read the table with `helpers.read_cohorts` and compare what it finds with the key.

    Returns
    -------
    DataFrame
        Rows of the key with ``row`` (line of the file), ``found`` (bool) and ``message`` (what
        the reader expected; "" if it found nothing).

    Raises
    ------
    MetaAnalysisError
        The reader names a cell in which no error was planted.

    Examples
    --------
    >>> found = verdict()
    >>> bool((found["found"] == (found["loader"] == "finds")).all())
    True
    """
    from ..evidence import EvidenceError, read_cohorts

    named: dict[tuple[int | None, str], str] = {}
    try:
        read_cohorts(planted_file(), **_ROLES)
    except EvidenceError as error:
        named = {(p.row, p.column): p.expected for p in error.problems}
    lines = list(csv.DictReader(io.StringIO(planted_file().read_text(encoding="utf-8"))))
    key = planted_key()
    places = []
    for cohort, column, planted in key[["cohort", "column", "planted"]].to_numpy(str).tolist():
        label = planted if column == "study" else cohort
        at = [i for i, line in enumerate(lines, start=2) if line["study"] == label]
        if not at:
            raise MetaAnalysisError(f"{planted_file().name}: no row {label!r}; make it again")
        places.append(at[-1])
    key.insert(0, "row", places)
    cells = list(zip(key["row"], key["column"], strict=True))
    extra = [f"row {row}, column {column!r}" for row, column in named if (row, column) not in cells]
    if extra:
        raise MetaAnalysisError(f"found where nothing was planted: {'; '.join(extra)}")
    key["found"] = [cell in named for cell in cells]
    key["message"] = [named.get(cell, "") for cell in cells]
    return key


def without_found_errors() -> pd.DataFrame:
    """Read the table after every error that the reader names has been mended.

    Returns
    -------
    DataFrame
        As `helpers.read_cohorts` gives it, without complaint: the silent errors are still in it.

    Examples
    --------
    >>> "Dores et al. 2021" in set(without_found_errors()["study"])
    True
    """
    from ..evidence import read_cohorts

    key = planted_key()
    silent = key[key["loader"] == _CANNOT]
    return read_cohorts(planted_table(silent).encode(), **_ROLES)

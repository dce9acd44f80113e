"""A table with planted errors, for an exercise in extraction: what a reader finds and cannot find.

``data/teaching/planted_errors.csv`` is made from the first cohorts of the book's table and from
the key beside it; run ``python -m helpers.teaching`` after an edit of either.
"""

from __future__ import annotations

from pathlib import Path

from ..door import pd
from ..errors import MetaAnalysisError
from ..evidence import EvidenceError, data_folder, read_cohorts

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


def planted_file() -> Path:
    """Path of the table with the errors."""
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
    return pd.read_csv(path, dtype=str, keep_default_na=False)


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
    key = planted_key() if errors is None else errors
    source = data_folder() / "cohorts.csv"
    cohorts = pd.read_csv(source, dtype=str, keep_default_na=False, nrows=ROWS)
    table = cohorts[[*COLUMNS.values()]].set_axis([*COLUMNS], axis=1).set_axis(cohorts["cohort"])
    again = []
    wanted = ["cohort", "column", "original", "planted"]
    for cohort, column, original, planted in key[wanted].to_numpy(str).tolist():
        if cohort not in table.index:
            raise MetaAnalysisError(f"the key names {cohort!r}, which is not in the table")
        if column == "study" and not original:
            again.append(table.loc[[cohort]].assign(study=planted))
        elif (found := table.at[cohort, column]) != original:
            raise MetaAnalysisError(
                f"{cohort}, column {column!r}: the key has {original!r}, the table {found!r}"
            )
        else:
            table.at[cohort, column] = planted
    return pd.concat([table, *again]).to_csv(index=False, lineterminator="\n")


def verdict() -> pd.DataFrame:
    """Read the table with `helpers.read_cohorts` and compare what it finds with the key.

    Returns
    -------
    DataFrame
        Rows of the key with ``row`` (line of the file), ``found`` (bool) and ``message`` (what
        the reader expected; "" if it found nothing).

    Examples
    --------
    >>> found = verdict()
    >>> bool((found["found"] == (found["loader"] == "finds")).all())
    True
    """
    named: dict[tuple[int | None, str], str] = {}
    try:
        read_cohorts(planted_file(), **_ROLES)
    except EvidenceError as error:
        named = {(p.row, p.column): p.expected for p in error.problems}
    studies = pd.read_csv(planted_file(), dtype=str, keep_default_na=False)["study"]
    key = planted_key()
    last = {study: row for row, study in enumerate(studies, start=2)}
    labels = key["planted"].where(key["column"] == "study", key["cohort"])
    key.insert(0, "row", labels.map(last))
    cells = list(zip(key["row"], key["column"], strict=True))
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
    key = planted_key()
    silent = key[key["loader"] == "cannot find"]
    return read_cohorts(planted_table(silent).encode(), **_ROLES)

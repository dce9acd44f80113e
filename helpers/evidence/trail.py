"""What was checked against the sources, and what became of each finding of the audit."""

from __future__ import annotations

from typing import Any

from ..door import pd
from .tables import load_audit, load_corrections, load_sources

_CONFIRMED = ("confirmed", "consistent")


def audit_trail(cohorts: pd.DataFrame | None = None) -> pd.DataFrame:
    """Say of each finding of the audit whether it changes the table, and on what that rests.

    Parameters
    ----------
    cohorts : DataFrame, optional
        Findings on its cohorts alone; all findings by default.

    Returns
    -------
    DataFrame
        The columns of `helpers.load_audit`, and ``correction`` (its name; empty where there is
        none), ``certainty`` (of the correction, empty where there is none) and ``outcome``:
        "corrected" or "left out" when a correction exists, "confirmed" when the value agreed in the
        end, and "open" when no other value is known.

    Examples
    --------
    >>> audit_trail()["outcome"].value_counts().to_dict()
    {'corrected': 9, 'open': 6, 'confirmed': 3, 'left out': 2}
    """
    audit, corrections = load_audit(), load_corrections()
    if cohorts is not None:
        audit = audit[audit["cohort"].isin(cohorts["cohort"])].reset_index(drop=True)
    names, certainty, outcome = [], [], []
    excluded = corrections[corrections["kind"] == "exclude"]
    rows: list[dict[Any, Any]] = audit.to_dict("records")
    for row in rows:
        if row["field"] in ("design", "overlap"):
            # which of two overlapping cohorts is left out is the correction's choice
            named = [
                row["cohort"] == cohort or cohort in row["note"] for cohort in excluded["cohort"]
            ]
            found = excluded[named]
        else:
            same = (corrections["cohort"] == row["cohort"]) & (
                corrections["column"].astype("object") == row["field"]
            )
            found = corrections[same]
        names.append("" if found.empty else found["id"].iloc[0])
        certainty.append("" if found.empty else str(found["certainty"].iloc[0]))
        if found.empty:
            outcome.append("confirmed" if row["kind"] in _CONFIRMED else "open")
        else:
            outcome.append("left out" if found["kind"].iloc[0] == "exclude" else "corrected")
    return audit.assign(correction=names, certainty=certainty, outcome=outcome)


def checked_against_sources(cohorts: pd.DataFrame | None = None) -> pd.DataFrame:
    """Count for how many cohorts the review's figures were seen in a public text.

    Parameters
    ----------
    cohorts : DataFrame, optional
        The cohorts to count, one of the reader's own as not checked; the review's by default.

    Returns
    -------
    DataFrame
        Index: patients, nonrelapse_deaths; columns: confirmed, differs, not checked (cohorts).

    Examples
    --------
    >>> checked_against_sources().loc["nonrelapse_deaths", "confirmed"].item()
    2
    """
    sources = load_sources()
    if cohorts is not None:
        sources = sources.set_index("cohort").reindex(cohorts["cohort"])
        checks = ["patients_check", "deaths_check"]
        sources[checks] = sources[checks].astype(object).fillna("not checked")
    columns = {"patients": "patients_check", "nonrelapse_deaths": "deaths_check"}
    levels = ["confirmed", "differs", "not checked"]
    return pd.DataFrame(
        {level: [(sources[c] == level).sum() for c in columns.values()] for level in levels},
        index=pd.Index(list(columns), name="figure"),
    )

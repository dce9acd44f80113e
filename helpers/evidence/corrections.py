"""Corrections of single cells, applied to a copy of the cohort table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from ..door import pd
from ..errors import MetaAnalysisError
from .tables import load_audit, load_corrections, load_sources

Absent = Literal["refuse", "pass over"]


@dataclass(frozen=True, slots=True)
class Change:
    """One cell that was changed, or one cohort that was left out."""

    id: str  # of the correction
    cohort: str
    column: str  # of the cohorts; empty when the cohort was left out
    before: float | None  # in the table given; None for a cohort left out
    after: float | None  # None for a value taken for missing, and for a cohort left out
    kind: str  # "replace", "remove" or "exclude"
    certainty: str  # "fact", "inference" or "unverified"


@dataclass(frozen=True, slots=True)
class CorrectedCohorts:
    """A corrected copy of the cohort table, and what became of each correction."""

    data: pd.DataFrame = field(repr=False, compare=False)  # treat as read-only
    changes: tuple[Change, ...]  # in the order of ``data/corrections.csv``
    ids: tuple[str, ...]  # of the corrections applied
    absent: tuple[str, ...] = ()  # cohorts that a correction concerns and the table does not hold

    def changes_frame(self) -> pd.DataFrame:
        """Table with one row per change."""
        columns = list(Change.__dataclass_fields__)
        frame = pd.DataFrame(list(self.changes), columns=columns)
        return frame.astype({"before": "float64", "after": "float64"})


def apply_corrections(
    cohorts: pd.DataFrame, ids: Iterable[str] | None = None, *, absent: Absent | None = None
) -> CorrectedCohorts:
    """Correct a copy of the cohort table as ``data/corrections.csv`` says.

    Parameters
    ----------
    cohorts : DataFrame
        As `helpers.load_cohorts` gives it: a correction is refused when the cell does not hold
        the published value.
    ids : iterable of str, optional
        Names of corrections; all by default. An empty one gives an unchanged copy.
    absent : {"refuse", "pass over"}, optional
        What becomes of a row whose cohort is not in the table: named corrections refuse it, all
        of them (a table of some of the cohorts) pass over it and name it in the result.
        All of them also pass over a cell that holds the corrected value.

    Returns
    -------
    CorrectedCohorts
        Rows in the order given, without those left out; dtypes as given.

    Raises
    ------
    MetaAnalysisError
        An unknown name, a cohort that is not in the table (unless passed over) or stands there
        twice, a cell with another value.

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> corrected = apply_corrections(load_cohorts(), ["kamdar-infused"])
    >>> corrected.changes[0].before, corrected.changes[0].after
    (92.0, 89.0)
    >>> len(apply_corrections(load_cohorts()).data)
    50
    """
    corrections = load_corrections()
    known = list(dict.fromkeys(corrections["id"]))
    if isinstance(ids, str):
        raise MetaAnalysisError(f"ids={ids!r}: expected a list of names, such as [{ids!r}]")
    wanted = known if ids is None else list(ids)
    absent = absent or ("pass over" if ids is None else "refuse")
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise MetaAnalysisError(
            f"no correction {', '.join(map(repr, unknown))}; there are {', '.join(known)}"
        )
    data = cohorts.copy()
    changes, gone, lacking = [], [], []
    rows: list[dict[Any, Any]] = corrections[corrections["id"].isin(wanted)].to_dict("records")
    for row in rows:
        place = data.index[data["cohort"] == row["cohort"]]
        if absent == "pass over" and not len(place):
            lacking.append(str(row["cohort"]))
            continue
        if len(place) != 1:
            raise MetaAnalysisError(
                f"{row['id']}: cohort {row['cohort']} occurs {len(place)} times in the table, "
                "expected 1; leave this correction out, or give a table with the cohort"
            )
        common = {"id": row["id"], "cohort": row["cohort"]}
        common |= {"kind": row["kind"], "certainty": row["certainty"]}
        if row["kind"] == "exclude":
            gone.append(place[0])
            changes.append(Change(column="", before=None, after=None, **common))
            continue
        column: str = row["column"]
        before = float(data[column].loc[place[0]])
        if ids is None and before == row["corrected"]:
            continue  # the reader corrected it
        if before != row["as_published"]:
            raise MetaAnalysisError(
                f"{row['id']}: {row['cohort']}, {column} is {before:g}, "
                f"expected the published {row['as_published']:g}; put it back, or name the "
                "corrections to apply without this one"
            )
        after = None if row["kind"] == "remove" else float(row["corrected"])
        values = data[column].astype("float64")
        values.loc[place[0]] = float("nan") if after is None else after
        data[column] = values.astype(data[column].dtype)
        changes.append(Change(column=column, before=before, after=after, **common))
    done = {change.id for change in changes}
    ordered = tuple(name for name in known if name in done)
    return CorrectedCohorts(data.drop(index=gone), tuple(changes), ordered, tuple(lacking))


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
    excluded = corrections[corrections["kind"] == "exclude"]
    made = []
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
        if found.empty:
            made.append(("", "", "confirmed" if row["kind"] in _CONFIRMED else "open"))
        else:
            first = found.iloc[0]
            outcome = "left out" if first["kind"] == "exclude" else "corrected"
            made.append((first["id"], str(first["certainty"]), outcome))
    columns = ["correction", "certainty", "outcome"]
    return audit.join(pd.DataFrame(made, columns=columns, index=audit.index))


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

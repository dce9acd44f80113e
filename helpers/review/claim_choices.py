"""The choices behind the book's claims: which cohorts, which counts, which method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..evidence import load_audit, load_corrections, load_inferred_overlap
from ..evidence.corrections import apply_corrections
from ..evidence.pages import page_content
from ..models.rates import person_time

#: Levels of the methods that every analysis of cohorts shares.
METHODS: dict[str, list[Any]] = {
    "model": ["random", "glmm"],
    "tau2_method": ["DL", "PM", "REML"],
}
_ADJUSTED = ("knapp-hartung", "knapp-hartung-max1")
#: Cohorts below this size are left out in one level of the eligibility.
LEAST_PATIENTS = 20
#: Shortest median follow-up, in months, in the levels of the follow-up.
SHORTEST = (6, 12)
#: Words of the claims and of their choices.
WORDS: dict[str, Any] = page_content("", Path(__file__).with_name("claims.toml"))

_SPREAD = "median_follow_up_months"
_FIELDS = {"patients": "n", "nonrelapse_deaths": "events"}


def method_choices(contrast: bool) -> dict[str, Any]:
    """Give the choices of the method; see the notes of `claim_multiverse` for what is left out."""
    last, tau2, ci = "double-arcsine", {}, ["wald", "t", *_ADJUSTED, "profile"]
    if contrast:
        last, tau2, ci = "log-rate", {"group_tau2": ["separate", "common"]}, ["wald", *_ADJUSTED]
    return {"measure": ["logit", "arcsine", last], **METHODS, **tau2, "ci_method": ci}


def data_choices(cohorts: pd.DataFrame) -> dict[str, Any]:
    """Give the choices of the data, as `helpers.multiverse` takes them: "time" is patient-years.

    What is left out or corrected concerns the cohorts that are there.
    """
    facts, every = (_corrected(cohorts, certain) for certain in (("fact",), ("fact", "inference")))
    audit, corrections, overlap = (
        listed[listed["cohort"].isin(cohorts["cohort"])]
        for listed in (load_audit(), load_corrections(), load_inferred_overlap())
    )
    reports, parts = (
        audit.loc[audit["kind"] == kind, "cohort"].tolist() for kind in ("eligibility", "subset")
    )
    excluded = corrections[corrections["kind"] == "exclude"]
    registry = excluded.loc[excluded["id"] == "registry-overlap", "cohort"].tolist()
    small = cohorts["patients"].to_numpy(dtype=float) < LEAST_PATIENTS
    return {
        "eligibility": {
            "as published": None,
            "no spontaneous reports": reports,
            "no reports, no unexplained subsets": [*reports, *parts],
            f"at least {LEAST_PATIENTS} patients": small,
        },
        "follow-up": {
            "any": None,
            **{f"at least {m} months": _short(cohorts, every, m) for m in SHORTEST},
        },
        "corrections": {
            "as published": None,
            "facts": _replacements(cohorts, facts),
            "facts and inferences": _replacements(cohorts, every),
        },
        "overlap": {
            "all kept": None,
            "inferred overlap left out": overlap["cohort"].tolist(),
            "registry overlap left out": registry,
        },
    }


def without_idle(
    choices: dict[str, Any], labels: list[str], relevant: NDArray[np.bool_]
) -> dict[str, Any]:
    """Drop levels that change nothing among the relevant `labels`, and choices of one level.

    >>> idle = {"small": {"kept": None, "left out": ["B"]}, "late": {"kept": None, "out": ["A"]}}
    >>> list(without_idle(idle, ["A", "B"], np.array([True, False])))
    ['late']
    """
    inside = {label for label, taken in zip(labels, relevant, strict=True) if taken}
    kept: dict[str, Any] = {}
    for name, levels in choices.items():
        seen: dict[Any, str] = {}
        for label, level in levels.items():
            if isinstance(level, dict):  # other values of cells
                changes = [
                    (study, *new) for study in inside & {*level} for new in level[study].items()
                ]
            elif level is None:
                changes = []
            else:  # studies that are left out, by label or by place
                out = level if isinstance(level, list) else np.asarray(labels)[level].tolist()
                changes = [(study,) for study in inside & {*out}]
            seen.setdefault(tuple(sorted(changes)), label)
        if len(seen) > 1:
            kept[name] = {label: levels[label] for label in seen.values()}
    return kept


def _corrected(cohorts: pd.DataFrame, certainty: tuple[str, ...]) -> pd.DataFrame:
    """Table with the corrections of cells (not the exclusions) of this certainty."""
    listed = load_corrections()
    wanted = listed[listed["certainty"].isin(certainty) & (listed["kind"] != "exclude")]
    ids = list(dict.fromkeys(wanted["id"]))
    return apply_corrections(cohorts, ids, absent="pass over").data


def patient_years(cohorts: pd.DataFrame) -> NDArray[np.float64]:
    """Patients times median follow-up, in years; NaN without a follow-up."""
    return person_time(
        cohorts["patients"].to_numpy(dtype=float),
        cohorts[_SPREAD].to_numpy(dtype=float, na_value=np.nan),
        study=cohorts["cohort"].tolist(),
    )


def _replacements(cohorts: pd.DataFrame, corrected: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Cells that differ, as a correction of the multiverse."""
    both = (cohorts, corrected)
    columns = {
        field: [table[name].to_numpy(dtype=float, na_value=np.nan) for table in both]
        for name, field in _FIELDS.items()
    }
    columns["time"] = [patient_years(table) for table in both]
    new: dict[str, dict[str, float]] = {}
    for field, (before, after) in columns.items():
        changed = ~np.isclose(before, after, rtol=1e-12, atol=0.0, equal_nan=True)
        for i in np.flatnonzero(changed):
            new.setdefault(str(cohorts["cohort"].iloc[i]), {})[field] = float(after[i])
    return new


def _short(cohorts: pd.DataFrame, corrected: pd.DataFrame, months: int) -> NDArray[np.bool_]:
    """Cohorts whose follow-up, as far as known after the corrections, is too short or unknown."""
    known = corrected[_SPREAD].to_numpy(dtype=float, na_value=np.nan)
    if len(known) != len(cohorts):
        raise AssertionError("corrections of cells leave no cohort out")
    return ~(known >= months)

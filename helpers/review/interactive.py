"""Interactive pictures of this review; the cohorts of its forest plot are pooled in the page."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .. import printing
from ..engine.distributions import norm_ppf, t_ppf
from ..engine.options import FEW_IN_GROUP, FEW_STUDIES
from ..errors import MetaAnalysisError
from ..models.result import PoolResult
from ..views.interactive import Interactive, curve
from ..views.interactive import laboratory as any_laboratory
from .subject import SUBJECT, worded

__all__ = ["curve", "forest", "laboratory"]

laboratory = worded(any_laboratory)

FILTERS = {"entity": "Disease", "product": "Product", "setting": "Setting"}
PLACES = 4  # decimals of a place on the axis
ADDED = 20  # cohorts that a reader may add


def forest(
    fit: PoolResult,
    cohorts: pd.DataFrame,
    sources: pd.DataFrame,
    *,
    name: str,
    audit: pd.DataFrame | None = None,
) -> Interactive:
    """Make a forest plot that the reader can sort, filter, brush and pool again.

    `fit` is of these cohorts, by the GLMM of logits with the default interval: the page pools what
    its reader chooses in the same way (``assets/glmm.js``; the tests hold it to the engine). `name`
    is the id of its fixed picture; notes of `audit` stand on the cards of their cohorts.
    The card of a cohort that `sources` does not know says so. `MetaAnalysisError` for a fit of
    other studies, or one that the page cannot repeat.

    >>> from helpers import load_cohorts, load_sources, pool
    >>> cohorts = load_cohorts().head(6)
    >>> columns = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}
    >>> fit = pool(cohorts, **columns, measure="logit", model="glmm")
    >>> made = forest(fit, cohorts, load_sources(), name="six")
    >>> [row["name"] for row in made.data["rows"]][:2]
    ['Abramson 2020', 'Akthar 2023']
    """
    from . import plots

    labels = cohorts["cohort"].tolist()
    if fit.n is None or fit.studies.index.tolist() != labels:
        raise MetaAnalysisError("an interactive forest plot needs a fit of counts of these cohorts")
    if (fit.model, fit.measure) != ("glmm", "logit") or fit.options.ci_named:
        raise MetaAnalysisError(
            "the page pools by the GLMM of logits with its default interval: give a fit of "
            "measure='logit', model='glmm' without ci_method"
        )
    told = ["title", "journal", "doi", "doi_status", "trial_or_registry", "registration"]
    table = cohorts.merge(
        sources.reindex(columns=["cohort", *told]),
        on="cohort",
        how="left",
        validate="one_to_one",
    ).set_index("cohort")
    table = table.join(fit.studies[["estimate", "ci_lower", "ci_upper"]]).loc[labels]
    most = float(np.ceil(10 * table["ci_upper"].max()) / 10)
    data = {
        "axis": {
            "limit": most,
            "ticks": [round(x, 1) for x in np.arange(0, most + 0.05, 0.2).tolist()],
            "label": f"{SUBJECT.outcome}, %",
            "interval": f"% ({printing.percent(fit.level, 0)} CI)",
        },
        "filters": [
            {
                "key": key,
                "label": label,
                "levels": [str(level) for level, n in cohorts[key].value_counts().items() if n],
            }
            for key, label in FILTERS.items()
        ],
        "rows": [_row(str(label), row, fit.level) for label, row in table.iterrows()],
        "audit": {} if audit is None else _audit(audit, labels),
        "rule": _rule(fit.level, len(labels) + ADDED),
        "level": printing.percent(fit.level, 0),
        "added": ADDED,
    }
    return Interactive(
        "forest", "Cohorts, to sort, filter and pool", plots.show(plots.forest(fit), name), data
    )


def _rule(level: float, most: int) -> dict[str, Any]:
    """Give what turns estimates into intervals in the page, for at most so many studies."""
    upper = 0.5 + 0.5 * level
    return {
        "z": float(f"{norm_ppf(upper):.13g}"),
        # of the t distribution with 1, 2, ... degrees of freedom
        "t": [float(f"{t_ppf(upper, df):.13g}") for df in range(1, most)],
        "tail": round(1.0 - upper, 10),
        "few": FEW_STUDIES,  # below, the interval is that of the t distribution
        "prediction": FEW_IN_GROUP,  # below, no display shows a prediction interval
    }


def _audit(audit: pd.DataFrame, labels: list[str]) -> dict[str, list[str]]:
    """Give the notes of the audit by cohort."""
    mine = audit[audit["cohort"].isin(labels)]
    return {
        str(cohort): [
            f"{field}: {note}" for field, note in zip(part["field"], part["note"], strict=True)
        ]
        for cohort, part in mine.groupby("cohort", sort=True, observed=True)
    }


def _text(value: Any) -> str | None:
    return None if value is None or value != value else str(value)


def _short(estimate: float, bounds: tuple[float, float]) -> str:
    """Print percentages of a column whose head names the unit."""
    low, high = (100 * bound for bound in bounds)
    return f"{printing.number(100 * estimate, 1)} ({printing.between(low, high)})"


def _row(label: str, row: pd.Series, level: float) -> dict[str, Any]:
    follow_up = float(row["median_follow_up_months"])
    known = np.isfinite(follow_up)
    bounds = (float(row["ci_lower"]), float(row["ci_upper"]))
    return {
        "name": label,
        **{key: str(row[key]) for key in FILTERS},
        "year": int(row["year"]),
        "patients": int(row["patients"]),
        "deaths": int(row["nonrelapse_deaths"]),
        "follow_up": follow_up if known else None,
        "follow_up_text": printing.months(follow_up) if known else None,
        "estimate": printing.percent(float(row["estimate"])),
        "interval": printing.interval(bounds, level),
        "short": _short(float(row["estimate"]), bounds),
        "at": [round(float(row[key]), PLACES) for key in ("estimate", "ci_lower", "ci_upper")],
        **{key: _text(row[key]) for key in ("title", "journal", "doi")},
        "trial": _text(row["trial_or_registry"]),
        "registration": _text(row["registration"]),
        # a cohort of a reader's own table has no row among the sources
        "verified": None if pd.isna(row["doi_status"]) else row["doi_status"] == "confirmed",
    }

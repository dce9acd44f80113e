"""Interactive pictures of this review; in its forest plot cohorts have filters and sources."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from .. import printing
from ..engine.normal.prediction import displayed_prediction
from ..errors import MetaAnalysisError
from ..models.pooling import pool
from ..models.result import PoolResult
from ..views.interactive import Interactive, curve
from ..views.interactive import laboratory as any_laboratory
from .subject import SUBJECT, worded

__all__ = ["curve", "forest", "laboratory"]

laboratory = worded(any_laboratory)

FILTERS = {"entity": "Disease", "product": "Product", "setting": "Setting"}
PLACES = 4  # decimals of a place on the axis


def forest(
    fit: PoolResult, cohorts: pd.DataFrame, sources: pd.DataFrame, *, name: str
) -> Interactive:
    """Make a forest plot that the reader can sort and filter.

    Parameters
    ----------
    fit : PoolResult
        Of these cohorts; a proportion. The cohorts that a filter leaves are pooled in the same
        way, here and not in the page.
    cohorts : DataFrame
        As `helpers.load_cohorts` gives it.
    sources : DataFrame
        As `helpers.load_sources` gives it.
    name : str
        Id of its fixed picture.

    Returns
    -------
    Interactive

    Raises
    ------
    MetaAnalysisError
        A cohort without a source, or a fit of other studies or without counts.

    Examples
    --------
    >>> from helpers import load_cohorts, load_sources
    >>> cohorts = load_cohorts().head(6)
    >>> fit = pool(cohorts, events="nonrelapse_deaths", n="patients", study="cohort")
    >>> made = forest(fit, cohorts, load_sources(), name="six")
    >>> [row["name"] for row in made.data["rows"]][:2]
    ['Abramson 2020', 'Akthar 2023']
    """
    from . import plots

    labels = cohorts["cohort"].tolist()
    if fit.n is None or fit.studies.index.tolist() != labels:
        raise MetaAnalysisError("an interactive forest plot needs a fit of counts of these cohorts")
    missing = sorted(set(labels) - set(sources["cohort"]))
    if missing:
        named = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if missing[3:] else "")
        raise MetaAnalysisError(
            f"no source for {named}; give a row for each, with cohort, title, journal, doi and "
            "doi_status"
        )
    table = cohorts.merge(
        sources[["cohort", "title", "journal", "doi", "doi_status"]],
        on="cohort",
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
            {"key": key, "label": label, "levels": _levels(cohorts[key])}
            for key, label in FILTERS.items()
        ],
        "rows": [_row(str(label), row, fit.level) for label, row in table.iterrows()],
        "pooled": _pooled(fit, cohorts),
    }
    return Interactive(
        "forest", "Cohorts, to sort and to filter", plots.show(plots.forest(fit), name), data
    )


def _levels(column: pd.Series) -> list[str]:
    return [str(level) for level in column.value_counts().index if (column == level).any()]


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
        "entity": str(row["entity"]),
        "product": str(row["product"]),
        "setting": str(row["setting"]),
        "year": int(row["year"]),
        "patients": int(row["patients"]),
        "deaths": int(row["nonrelapse_deaths"]),
        "follow_up": follow_up if known else None,
        "follow_up_text": printing.months(follow_up) if known else None,
        "estimate": printing.percent(float(row["estimate"])),
        "interval": printing.interval(bounds, level),
        "short": _short(float(row["estimate"]), bounds),
        "at": [round(float(row[key]), PLACES) for key in ("estimate", "ci_lower", "ci_upper")],
        "title": _text(row["title"]),
        "journal": _text(row["journal"]),
        "doi": _text(row["doi"]),
        "verified": row["doi_status"] == "confirmed",
    }


def _pooled(fit: PoolResult, cohorts: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Pool what each combination of filters leaves."""
    options = fit.options
    settings: dict[str, Any] = {"measure": fit.measure, "model": fit.model, "level": fit.level}
    if fit.model == "random":
        settings |= {"tau2_method": options.tau2_method, "tau2": options.tau2}
    if options.ci_named:
        settings["ci_method"] = options.ci_method
    found: dict[str, dict[str, Any]] = {}
    for levels in product(*([None, *_levels(cohorts[key])] for key in FILTERS)):
        mine = np.ones(len(cohorts), dtype=bool)
        for key, level in zip(FILTERS, levels, strict=True):
            if level is not None:
                mine &= (cohorts[key] == level).to_numpy(dtype=bool)
        k = int(mine.sum())
        if k < 2:  # one cohort is its own row
            continue
        part = (
            fit
            if mine.all()
            else pool(
                cohorts[mine], events="nonrelapse_deaths", n="patients", study="cohort", **settings
            )
        )
        if not part.converged:
            continue
        at = [part.estimate, *part.ci]
        text = f"{printing.estimate(part)}"
        limits, _ = displayed_prediction(part)
        if limits is not None:
            at += limits
            text += f"; {printing.prediction(part)}"
        found["|".join(level or "" for level in levels)] = {
            "text": text,
            "at": [round(float(x), PLACES) for x in at],
            "flat": part.tau2 == 0,
        }
    return found

"""Forest plots whose rows are pooled results: without each study, and up to each date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from .... import printing, ties
from ....errors import MetaAnalysisError
from ...subject import NEUTRAL, Subject
from ...tables import Table
from .. import style
from ..accepted import pooled_of
from ..frame import Axes
from ..note import Note, annotate, drawn_of
from .forest_plot import draw_rows
from .layouts import BOOK
from .note import rows_table, shown
from .rows import NAN, Row, all_of, size_of, total

LAYOUT = replace(BOOK, heads=BOOK.heads | {"label": "Pooled"}, aside="I², %")


@style.themed
def leave_one_out_forest(
    fit: Any,
    *,
    ax: Axes | None = None,
    most: int | None = None,
    subject: Subject = NEUTRAL,
    width: float = 760.0,
) -> Axes:
    """Draw the pooled estimate without each study in turn.

    Parameters
    ----------
    fit : PoolResult
        Any model; at least 2 included studies.
    most : int, optional
        Draw only so many studies: those without which the estimate moves most. The caption counts
        the others.
    ax, subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Rows of ``fit.leave_one_out()``; counts are those of the studies left. The last column is I2
        without the study, where the model has one.

    Raises
    ------
    MetaAnalysisError
        When no deletion leaves an estimate.

    Examples
    --------
    >>> from helpers import pool
    >>> from helpers.views.plots import show
    >>> fit = pool(events=[3, 8, 16], n=[40, 60, 50], study=["A", "B", "C"], model="glmm")
    >>> show(leave_one_out_forest(fit), "without-each")  # doctest: +ELLIPSIS
    Leave-one-out forest plot of proportion in three studies. ...
    """
    subject = subject.of_measure(pooled_of(fit, "leave_one_out_forest").measure)
    every = fit.leave_one_out()
    moved = np.nan_to_num(np.abs(every["estimate"].to_numpy(float) - fit.estimate), nan=np.inf)
    frame = every.iloc[np.sort(ties.order(moved, descending=True)[:most])]
    frame = frame.iloc[ties.order(frame["estimate"])]
    studies = fit.studies.set_axis(fit.studies.index.astype(str)).loc[frame.index.astype(str)]
    counts = _totals(fit, studies)
    labels = [f"without {label}" for label in frame.index]
    rows = _rows(frame, labels, counts.sum(axis=0) - counts)
    ax = _forest(fit, rows, frame, subject, ax, width)
    annotate(ax, _deletion_note(fit, every, rows, subject))
    return ax


@style.themed
def cumulative_forest(
    fit: Any,
    by: Mapping[str, Any],
    *,
    ax: Axes | None = None,
    subject: Subject = NEUTRAL,
    width: float = 700.0,
) -> Axes:
    """Draw the pooled estimate as studies are added in order.

    Parameters
    ----------
    fit : PoolResult
        Any model.
    by : mapping of study label to year or another ordered value
        What orders the studies. Studies of one value enter together: their order among
        themselves means nothing, and so the steps between them are not shown.
    ax, subject, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        A row for each value, from ``fit.cumulative()``. The last column is I2 so far, where the
        model has one.

    Raises
    ------
    MetaAnalysisError
        A study without a value in `by`.

    Examples
    --------
    >>> from helpers import pool
    >>> from helpers.views.plots import show
    >>> fit = pool(events=[3, 8, 16], n=[40, 60, 50], study=["A", "B", "C"], model="glmm")
    >>> year = {"A": 2021, "B": 2019, "C": 2021}
    >>> show(cumulative_forest(fit, year), "by-year")  # doctest: +ELLIPSIS
    Cumulative forest plot of proportion in three studies. ...
    """
    subject = subject.of_measure(pooled_of(fit, "cumulative_forest").measure)
    table = fit.studies[fit.studies["included"]]
    table = table.set_axis(table.index.astype(str))
    missing = [label for label in table.index if label not in by]
    if missing:
        raise MetaAnalysisError(f"by= has no value for {printing.listing(missing)}")
    values = pd.Series([by[label] for label in table.index], index=table.index)
    steps = fit.cumulative(by=values)
    held = values.loc[steps.index.astype(str)]
    last = (~held.duplicated(keep="last")).to_numpy()
    counts = np.cumsum(_totals(fit, table.loc[held.index]), axis=0)[last]
    frame, held = steps[last], held[last]
    numbers = [printing.counted(int(k), *subject.noun) for k in frame["k"]]
    sizes = [printing.counted(int(k), *subject.noun, label=True) for k in frame["k"]]
    labels = [f"to {value}, {size}" for value, size in zip(held, sizes, strict=True)]
    rows = _rows(frame, labels, counts)
    ax = _forest(fit, rows, frame, subject, ax, width)
    annotate(ax, _cumulative_note(fit, rows, numbers, held.to_list(), subject))
    return ax


def _totals(fit: Any, studies: pd.DataFrame) -> np.ndarray:
    """Give events and size of each study, nan where effects alone were given."""
    if size_of(fit) is None:
        return np.full((len(studies), 2), NAN)
    return studies[["events", "n" if fit.time is None else "time"]].to_numpy(dtype=float)


def _rows(frame: pd.DataFrame, labels: list[str], counts: np.ndarray) -> list[Row]:
    rows = []
    for label, line, (events, n) in zip(labels, frame.to_dict("records"), counts, strict=True):
        failed = not np.isfinite(line["estimate"])
        known = not (failed or line["k"] < 2 or np.isnan(line.get("I2", NAN)))
        rows.append(
            Row(
                "excluded" if failed else "study", label, "", events, n, line["estimate"],
                line["ci_lower"], line["ci_upper"],
                aside=printing.number(line["I2"], 0) if known else "",
                reason=line.get("note", "") if failed else "",
                colour=style.QUIET if failed else style.INK,
            )
        )  # fmt: skip
    if all(row.kind == "excluded" for row in rows):
        raise MetaAnalysisError("no subset of the studies has an estimate: nothing to draw")
    return rows


def _forest(
    fit: Any, rows: list[Row], frame: pd.DataFrame, subject: Subject, ax: Axes | None, width: float
) -> Axes:
    shows = "I2" in frame and fit.shows_heterogeneity and not np.isnan(fit.heterogeneity.I2)
    I2 = printing.number(fit.heterogeneity.I2, 0) if shows else ""
    rows.append(total(fit, "overall", all_of(fit.k), weight=NAN, aside=I2))
    # Not from zero, as for single studies: the differences are what is to be seen.
    low = float(np.nanmin([*frame["ci_lower"], fit.ci.lower]))
    high = float(np.nanmax([*frame["ci_upper"], fit.ci.upper]))
    pad = 0.05 * (high - low) or 0.05
    xlim = (low - pad if fit.n is None else max(0.0, low - pad), high + pad)
    layout = LAYOUT if any(row.aside for row in rows) else replace(LAYOUT, right=("estimate",))
    return draw_rows(rows, [], fit, subject, ax, xlim, width, layout)


def _deletion_note(fit: Any, frame: pd.DataFrame, rows: list[Row], subject: Subject) -> Note:
    what = printing.lower(subject.outcome)
    known = frame["estimate"][np.isfinite(frame["estimate"])]
    low, high = (known.index[pick(known)] for pick in (ties.smallest, ties.largest))
    ends = (float(known.min()), float(known.max()))
    unit = subject.unit(fit)
    span = printing.value_range(ends, unit)
    finding = (
        f"Whichever {subject.study} is left out, {what} is {span} (with all "
        f"{shown(fit.estimate, fit, subject)}): lowest without {low}, highest without {high}."
    )
    title = f"Leave-one-out forest plot of {what}"
    part = drawn_of(len(rows) - 1, len(frame), subject, "without which the estimate moves most")
    return Note(
        title,
        f"{title} in {printing.counted(fit.k, *subject.noun)}. {finding} Pooled estimate of all "
        f"{printing.estimate(fit, unit=subject.unit(fit))}.",
        f"{finding} Each row is the estimate without one {subject.study}; the diamond is that of "
        f"all.{part}",
        _table(rows, fit, subject, "without each one"),
    )


def _cumulative_note(
    fit: Any, rows: list[Row], numbers: list[str], values: list[Any], subject: Subject
) -> Note:
    first = next(i for i, row in enumerate(rows) if np.isfinite(row.estimate))
    finding = (
        f"{subject.outcome} was {shown(rows[first].estimate, fit, subject)} in the "
        f"{numbers[first]} up to {values[first]} and {shown(fit.estimate, fit, subject)} in all "
        f"{printing.count(fit.k)}"
    )
    title = f"Cumulative forest plot of {printing.lower(subject.outcome)}"
    return Note(
        title,
        f"{title} in {printing.counted(fit.k, *subject.noun)}. {finding}.",
        f"{finding}. Each row pools all {subject.studies} up to its date, without correction for "
        f"repeated analyses; a trend may also be due to a changing mix of {subject.studies}.",
        _table(rows, fit, subject, "step by step"),
    )


def _table(rows: list[Row], fit: Any, subject: Subject, how: str) -> Table:
    columns = {"label": ("Pooled", "")}
    if any(row.aside for row in rows):
        columns["aside"] = (f"I²{printing.IN_PERCENT}", "")
    caption = f"{subject.outcome} pooled {how}"
    return rows_table(rows, fit, subject, caption, columns, "CI")

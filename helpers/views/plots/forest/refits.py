"""Forest plots whose rows are pooled results: without each study, and up to each date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .... import printing, ties
from ....errors import MetaAnalysisError, UnsupportedError
from ...subject import NEUTRAL, Subject
from .. import style
from ..note import Note, annotate
from .forest_plot import draw_rows
from .layouts import BOOK
from .rows import NAN, Row, printed_size, size_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from ...tables import Table

__all__ = ["cumulative_forest", "leave_one_out_forest"]

LAYOUT = replace(BOOK, heads=BOOK.heads | {"label": "Pooled"}, aside="I², %")


@style.themed
def leave_one_out_forest(
    fit: Any,
    *,
    ax: Axes | None = None,
    order: Literal["estimate", "input"] = "estimate",
    subject: Subject = NEUTRAL,
    xlim: tuple[float, float] | None = None,
    width: float = 760.0,
) -> Axes:
    """Draw the pooled estimate without each study in turn.

    Parameters
    ----------
    fit : PoolResult
        Any model; at least 2 included studies.
    order : {"estimate", "input"}
        Smallest result first, or as given.
    ax, subject, xlim, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        Rows of ``fit.leave_one_out()``; counts are those of the studies left. The last column is
        I2 without the study. With a note that ``show`` picks up.

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
    if order not in ("estimate", "input"):
        raise UnsupportedError(f"order is 'estimate' or 'input', not {order!r}")
    subject = subject.of_measure(fit.measure)
    frame = fit.leave_one_out()
    if order == "estimate":
        frame = frame.iloc[ties.order(frame["estimate"])]
    studies = fit.studies.set_axis(fit.studies.index.astype(str)).loc[frame.index.astype(str)]
    counts = _totals(fit, studies)
    rows = _rows(
        frame,
        [f"without {label}" for label in frame.index],
        [counts[column].sum() - counts[column] for column in ("events", "n")],
    )
    ax = _forest(fit, rows, frame, subject, ax, xlim, width)
    annotate(ax, _deletion_note(fit, frame, rows, subject))
    return ax


@style.themed
def cumulative_forest(
    fit: Any,
    by: Mapping[str, Any],
    *,
    ax: Axes | None = None,
    subject: Subject = NEUTRAL,
    xlim: tuple[float, float] | None = None,
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
    ax, subject, xlim, width
        As in :func:`helpers.plots.forest`.

    Returns
    -------
    Axes
        A row for each value, from ``fit.cumulative()``. The last column is I2 so far. With a
        note that ``show`` picks up.

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
    import pandas as pd

    subject = subject.of_measure(fit.measure)
    table = fit.studies[fit.studies["included"]]
    table = table.set_axis(table.index.astype(str))
    missing = [label for label in table.index if label not in by]
    if missing:
        raise MetaAnalysisError(f"by= has no value for {printing.listing(missing)}")
    values = pd.Series([by[label] for label in table.index], index=table.index)
    steps = fit.cumulative(by=values)
    held = values.loc[steps.index.astype(str)]
    last = (~held.duplicated(keep="last")).to_numpy()
    sums = {key: np.cumsum(column) for key, column in _totals(fit, table.loc[held.index]).items()}
    frame = steps[last]
    rows = _rows(
        frame,
        [
            f"to {value}, {printing.counted(int(k), *subject.noun)}"
            for value, k in zip(held[last], frame["k"], strict=True)
        ],
        [sums["events"][last], sums["n"][last]],
    )
    ax = _forest(fit, rows, frame, subject, ax, xlim, width)
    annotate(ax, _cumulative_note(fit, frame, held[last].to_list(), rows, subject))
    return ax


def _totals(fit: Any, studies: pd.DataFrame) -> dict[str, np.ndarray]:
    """Give the counts of each study, nan where effects alone were given."""
    none = np.full(len(studies), NAN)
    size = "n" if fit.time is None else "time"
    return {
        name: none if size_of(fit) is None else studies[column].to_numpy(dtype=float)
        for name, column in (("events", "events"), ("n", size))
    }


def _rows(frame: pd.DataFrame, labels: list[str], counts: list[Any]) -> list[Row]:
    rows = []
    for i, (label, line) in enumerate(zip(labels, frame.to_dict("records"), strict=True)):
        failed = not np.isfinite(line["estimate"])
        rows.append(
            Row(
                "excluded" if failed else "study",
                label,
                events=float(counts[0][i]),
                n=float(counts[1][i]),
                estimate=line["estimate"],
                lower=line["ci_lower"],
                upper=line["ci_upper"],
                aside=""
                if failed or line["k"] < 2 or np.isnan(line["I2"])
                else printing.number(line["I2"], 0),
                reason=line["note"] if failed else "",
                colour=style.QUIET if failed else style.INK,
            )
        )
    if all(row.kind == "excluded" for row in rows):
        raise MetaAnalysisError("no subset of the studies has an estimate: nothing to draw")
    return rows


def _forest(
    fit: Any,
    rows: list[Row],
    frame: pd.DataFrame,
    subject: Subject,
    ax: Axes | None,
    xlim: tuple[float, float] | None,
    width: float,
) -> Axes:
    size = size_of(fit)
    whole = Row(
        "overall",
        f"All {printing.count(fit.k)}",
        events=NAN if size is None else fit.events,
        n=NAN if size is None else size,
        estimate=fit.estimate,
        lower=fit.ci.lower,
        upper=fit.ci.upper,
        aside=printing.number(fit.heterogeneity.I2, 0) if fit.shows_heterogeneity else "",
    )
    rows.append(whole)
    if xlim is None:
        # Not from zero, as for single studies: the differences are what is to be seen.
        low = float(np.nanmin([*frame["ci_lower"], fit.ci.lower]))
        high = float(np.nanmax([*frame["ci_upper"], fit.ci.upper]))
        pad = 0.05 * (high - low) or 0.05
        xlim = (low - pad, high + pad)
        if fit.n is not None:
            xlim = (max(0.0, xlim[0]), xlim[1])
    return draw_rows(rows, [], fit, subject, ax, xlim, width, LAYOUT)


def _value(value: float, fit: Any) -> str:
    return printing.number(value, 2) if fit.n is None else printing.percent(value)


def _span(low: float, high: float, fit: Any) -> str:
    return printing.between(low, high, 2) if fit.n is None else printing.percent_range((low, high))


def _deletion_note(fit: Any, frame: pd.DataFrame, rows: list[Row], subject: Subject) -> Note:
    what = printing.lower(subject.outcome)
    known = frame[np.isfinite(frame["estimate"])]
    low, high = (known.index[pick(known["estimate"])] for pick in (ties.smallest, ties.largest))
    bounds = (float(known["estimate"].min()), float(known["estimate"].max()))
    finding = (
        f"Whichever {subject.study} is left out, {what} lies from "
        f"{_span(*bounds, fit)} (all together {_value(fit.estimate, fit)}): lowest without "
        f"{low}, highest without {high}."
    )
    number = printing.counted(fit.k, *subject.noun)
    return Note(
        title=f"Leave-one-out forest plot of {what}",
        alt=f"Leave-one-out forest plot of {what} in {number}. {finding} "
        f"Pooled estimate of all {printing.estimate(fit)}.",
        caption=f"{finding} Each row is pooled anew without one {subject.study}; "
        "the diamond is all.",
        table=_table(rows, fit, subject, "without each one"),
    )


def _cumulative_note(
    fit: Any, frame: pd.DataFrame, values: list[Any], rows: list[Row], subject: Subject
) -> Note:
    first = next(i for i, row in enumerate(rows) if np.isfinite(row.estimate))
    begin = printing.counted(int(frame["k"].iloc[first]), *subject.noun)
    finding = (
        f"{subject.outcome} was {_value(rows[first].estimate, fit)} in the {begin} up to "
        f"{values[first]} and {_value(fit.estimate, fit)} in all {printing.count(fit.k)}"
    )
    number = printing.counted(fit.k, *subject.noun)
    return Note(
        title=f"Cumulative forest plot of {printing.lower(subject.outcome)}",
        alt=f"Cumulative forest plot of {printing.lower(subject.outcome)} in {number}. {finding}.",
        caption=f"{finding}. Each row pools everything up to its date, without a correction for "
        f"looking again and again; a trend may also come from a changing mix of {subject.studies}.",
        table=_table(rows, fit, subject, "step by step"),
    )


def _table(rows: list[Row], fit: Any, subject: Subject, how: str) -> Table:
    import pandas as pd

    from ...tables import table

    frame = pd.DataFrame({"pooled": [row.label for row in rows]})
    counts, percent = size_of(fit) is not None, fit.n is not None
    if counts:
        frame["events"] = [row.events for row in rows]
        frame["n"] = [row.n for row in rows]
    for column in ("estimate", "lower", "upper"):
        frame[column] = [getattr(row, column) for row in rows]
    frame["I2"] = [row.aside for row in rows]
    value: Any = "percent" if percent else "number"
    formats: dict[str, Any] = dict.fromkeys(("estimate", "lower", "upper"), value)
    labels = {
        "estimate": f"{subject.outcome},{printing.HARD}%" if percent else subject.outcome,
        "lower": f"{printing.level_text(fit.level)} CI from",
        "upper": "to",
        "I2": f"I²,{printing.HARD}%",
    }
    if counts:
        formats |= {"events": "count", "n": printed_size}
        labels |= {"events": subject.events, "n": subject.n if percent else subject.time}
    return table(frame, caption=f"{subject.outcome} pooled {how}", formats=formats, labels=labels)

"""Layouts of a forest plot: which columns stand where, what they are called, how totals read.

``book`` is ours. The others follow the manner of figures in JAMA, in The BMJ and in Review
Manager 5: order and headings of the columns, the form of intervals and p-values, the line on
heterogeneity. Their sources are figures as published there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .... import printing
from ....engine.summaries import COCHRAN
from ....evidence.pages import page_content
from .. import style
from .note import heterogeneity
from .rows import NAN, Row, is_grouped, whole_of

Cell = Literal["label", "counts", "events", "n", "estimate", "weight"]
LayoutName = Literal["book", "jama", "bmj", "revman"]


@dataclass(frozen=True, slots=True)
class Layout:
    """What one manner of drawing a forest plot fixes."""

    name: str
    #: Columns on either side of the plotting area, from left to right.
    left: tuple[Cell, ...]
    right: tuple[Cell, ...]
    #: Headings; templates may name ``one, events, n, Events, N, quantity, level, method``. A line
    #: break makes a heading of two lines.
    heads: dict[Cell, str]
    interval: str = "({low} to {high})"
    weight: str = "{}"
    aside: str = ""  # heading of the last column where it is none of weights; rows bring its cells
    total: str = ""  # label of the pooled rows; empty for ours, which count the studies
    subtotal: str = ""
    above: str = ""  # heading over the plotting area
    #: Lines on heterogeneity and on subgroups; `q1` and `q2` are the statistic with one and two
    #: decimals.
    statistics: str = "Heterogeneity: τ² = {tau2}; {lr}χ² = {q1} (df = {df}), {p}; I² = {square}%"
    between: str = "Test for subgroup differences: χ² = {q2} (df = {df}), {p}; calibrated {own}"
    p: str = "P {sign} {value}"
    plain: bool = True  # ink alone: no colours of groups, no grid
    open_diamond: bool = False
    line: bool = True  # a dashed one, at the pooled estimate


def _layouts() -> dict[str, Layout]:
    """Read the layouts, lists as tuples."""
    made = {}
    for name, said in page_content("", Path(__file__).with_name("layouts.toml")).items():
        fields: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in said.items()
        }
        made[name] = Layout(name, **fields)
    return made


LAYOUTS = _layouts()
BOOK = LAYOUTS["book"]


def statistics(fit: Any, layout: Layout) -> str:
    """Write the line on heterogeneity as the layout does; empty where studies show none.

    Of a result without I2 (beta-binomial), or with two variances, it is that of the book.

    >>> from helpers import pool
    >>> fit = pool(events=[3, 8, 16], n=[40, 60, 50], model="random")
    >>> statistics(fit, LAYOUTS["bmj"])
    'Test for heterogeneity: τ²=0.61, χ²=9.5, df=2, P=0.009, I²=79%'
    >>> statistics(fit, LAYOUTS["jama"])
    'Heterogeneity: τ² = 0.61; χ² = 9.5 (df = 2), P = .009; I² = 79%'
    >>> statistics(fit, LAYOUTS["revman"])
    'Heterogeneity: Tau² = 0.61; Chi² = 9.50, df = 2 (P = 0.009); I² = 79%'
    >>> statistics(pool(events=[3, 8, 16], n=[40, 60, 50], model="glmm"), LAYOUTS["bmj"])
    'Test for heterogeneity: τ²=0.38, likelihood-ratio χ²=10.3, df=2, P=0.006, I²=69%'
    """
    if not fit.shows_heterogeneity:
        return ""
    found = fit.heterogeneity
    if np.isnan(found.I2) or hasattr(fit, "sigma2_between"):
        return heterogeneity(fit)
    return layout.statistics.format(
        tau2=printing.number(fit.tau2, 2),
        # These journals mean Cochran's Q by their χ²; another test is named.
        lr="" if found.test == COCHRAN else "likelihood-ratio ",
        q1=printing.number(found.Q, 1),
        q2=printing.number(found.Q, 2),
        df=found.df,
        p=_p(found.p, layout),
        square=printing.number(found.I2, 0),
    )


def _p(p: float, layout: Layout) -> str:
    """Print a p-value: JAMA without the zero before the point, RevMan down to five decimals."""
    least = 5 if layout.name == "revman" else 3
    if p < 10.0**-least:
        sign, value = "<", f"{10.0**-least:.{least}f}"
    else:
        digits = next(d for d in (2, 3, 4, 5) if p >= 10.0**-d)
        sign, value = "=", f"{p:.{digits}f}"
    if layout.name == "jama" and value.startswith("0."):
        value = value[1:]
    return layout.p.format(sign=sign, value=value)


def dressed(rows: list[Row], result: Any, layout: Layout) -> list[Row]:
    """Give rows the labels of the layout, and a row of kind "note" for every line of statistics.

    A plain layout has no colours.
    """
    if layout.name == "book":
        return rows
    whole = whole_of(result)
    level = f"{100 * whole.level:g}%"
    fits = {str(name): fit for name, fit in result.groups.items()} if is_grouped(result) else {}
    made: list[Row] = []
    last: list[Row] = []
    for row in rows:
        if row.kind == "overall":
            last = list(_lines(whole, result, layout, row))
        elif row.kind != "prediction" and last:
            made, last = made + last, []
        label = {"pooled": layout.subtotal, "overall": layout.total}.get(row.kind, "")
        made.append(
            replace(
                row,
                label=label.format(level=level) or row.label,
                # Without colours a heading has no swatch.
                group="" if layout.plain and row.kind == "heading" else row.group,
                colour=style.INK if layout.plain and row.kind != "excluded" else row.colour,
            )
        )
        if row.kind == "pooled":
            made += _lines(fits[row.group], result, layout, row)
    return made + last


def _lines(fit: Any, result: Any, layout: Layout, row: Row) -> Iterator[Row]:
    if layout.name == "revman" and fit.n is not None:
        yield Row("note", "Total events", group=row.group, events=fit.events, n=NAN)
    lines = [statistics(fit, layout)]
    if row.kind == "overall" and is_grouped(result) and result.test.df:
        test, own = result.test, _p(result.calibrated_test().p, layout)
        q2, p = printing.number(test.statistic, 2), _p(test.p, layout)
        lines.append(layout.between.format(q2=q2, df=test.df, p=p, own=own))
    for line in filter(None, lines):
        # A symbol and its value stay on one line when the line is broken.
        for sign in "=<":
            line = line.replace(f" {sign} ", f"{printing.HARD}{sign}{printing.HARD}")
        yield Row("note", line, group=row.group)

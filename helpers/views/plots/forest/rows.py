"""What a forest plot shows, row by row, before anything is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd

from .... import printing, ties
from ....engine.normal.prediction import displayed_prediction
from ....errors import UnsupportedError
from ...subject import Subject
from .. import style

Kind = Literal["heading", "study", "excluded", "pooled", "overall", "prediction", "note"]
Order = Literal["estimate", "weight", "label", "input"]

NAN = float("nan")

#: Rating of the risk of bias -> its sign, words, and the disc below the sign, which carries white
#: letters at more than 4.5:1 and is the same in the dark.
RATINGS: Mapping[str, tuple[str, str, str]] = {
    "low": ("+", "low", "#1b7f3b"),
    "some": ("?", "some concerns", "#8f5f00"),
    "high": (printing.MINUS, "high", "#b3261e"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a forest plot; numbers that it does not have are nan.

    `n` is the number of people or, for a rate, the time. `aside` is printed in the last column in
    place of the weight.
    """

    kind: Kind
    label: str
    group: str = ""
    events: float = NAN
    n: float = NAN
    estimate: float = NAN
    lower: float = NAN
    upper: float = NAN
    weight: float = NAN
    aside: str = ""
    reason: str = ""
    rating: str = ""  # of the risk of bias: low, some or high
    colour: style.Colour = style.INK


def is_grouped(result: Any) -> bool:
    """Tell a SubgroupResult from a PoolResult."""
    return hasattr(result, "groups")


def whole_of(result: Any) -> Any:
    """Give the fit of all studies."""
    return result.overall if is_grouped(result) else result


def size_of(fit: Any) -> float | None:
    """Give what the events of a result were counted in: people, a time, or nothing."""
    return fit.time if fit.n is None else float(fit.n)


def printed_size(value: float) -> str:
    """Print a number of people, or a time that need not be whole."""
    return printing.count(value) if value == round(value) else printing.number(value, 1)


def rows_of(
    result: Any,
    prediction: bool,
    subject: Subject,
    order: Order,
    ratings: Mapping[str, str] | None,
) -> tuple[list[Row], list[str]]:
    """Lay out a result as rows from top to bottom, and say what could not be shown."""
    wrong = sorted(set((ratings or {}).values()) - set(RATINGS))
    if wrong:
        raise UnsupportedError(f"ratings are {', '.join(RATINGS)}, not {printing.listing(wrong)}")
    if is_grouped(result):
        rows = list(_grouped(result, order, subject))
    else:
        rows = list(_studies(result, order, result.studies["weight"]))
    ends, remarks = ending(whole_of(result), prediction)
    if ratings:
        rows = [
            replace(row, rating=ratings.get(row.label, "")) if row.kind == "study" else row
            for row in rows
        ]
        signs = "; ".join(f"{mark} {words}" for mark, words, _ in RATINGS.values())
        remarks.append(f"Risk of bias: {signs}")
    return [*rows, *ends, *_excluded(result)], remarks


def ending(whole: Any, prediction: bool) -> tuple[list[Row], list[str]]:
    """Lay out the overall estimate and its prediction interval, or say why there is none."""
    rows = [total(whole, "overall", all_of(whole.k, " pooled"))]
    remarks = []
    # A common effect leaves nothing to predict: every study has the same true value.
    if prediction and whole.model != "common":
        limits, reason = displayed_prediction(whole)
        if limits is None:
            remarks.append(f"No prediction interval: {reason}")
        else:
            label = f"{printing.level_text(whole.level)} prediction interval"
            rows.append(Row("prediction", label, lower=limits[0], upper=limits[1]))
    return rows, remarks


def group_rows(results: Mapping[str, Any], subject: Subject) -> list[Row]:
    """Lay out the pooled estimate of each group, under a heading for each grouping."""
    rows = []
    for heading, result in results.items():
        weights = result.overall.studies["weight"]
        colours = subject.colours([str(level) for level in result.groups])
        rows.append(Row("heading", heading))
        for level, fit in result.groups.items():
            label = f"{level}, {printing.counted(fit.k, *subject.noun, label=True)}"
            colour = colours[str(level)]
            rows.append(total(fit, "pooled", label, colour, heading, _share(fit, weights)))
    return rows


def _share(fit: Any, weights: Any) -> float:
    """Give the weight of a group in the fit of all studies."""
    return float(weights[fit.studies.index[fit.studies["included"]]].sum())


def _grouped(result: Any, order: Order, subject: Subject) -> Iterator[Row]:
    # Weights of the overall fit, so that squares compare across groups and add up to 100.
    weights = result.overall.studies["weight"]
    usual = subject.colours([str(level) for level in result.groups])
    for level, fit in result.groups.items():
        name = str(level)
        yield Row("heading", name, group=name, colour=usual[name])
        yield from _studies(fit, order, weights, name, usual[name])
        pooled = "Pooled"
        if fit.shows_heterogeneity:
            pooled += f", I² = {printing.percent(fit.heterogeneity.I2 / 100, 0)}"
        yield total(fit, "pooled", pooled, usual[name], name, _share(fit, weights))


def _studies(
    fit: Any, order: Order, weights: Any, group: str = "", colour: style.Colour = style.INK
) -> Iterator[Row]:
    frame = fit.studies[fit.studies["included"]]
    if order == "label":
        frame = frame.sort_index(kind="stable")
    elif order in ("estimate", "weight"):
        frame = frame.iloc[ties.order(frame[order], descending=order == "weight")]
    elif order != "input":
        raise UnsupportedError(f"order is 'estimate', 'weight', 'label' or 'input', not {order!r}")
    for label, line in zip(frame.index, frame.to_dict("records"), strict=True):
        yield Row(
            "study", str(label), group, *_counts(line), line["estimate"], line["ci_lower"],
            line["ci_upper"], weights[label], colour=colour,
        )  # fmt: skip


def _counts(line: Mapping[str, Any]) -> tuple[float, float]:
    """Read events and size, which may be absent or missing."""
    found = (line.get("events"), line.get("time" if "time" in line else "n"))
    events, size = (NAN if pd.isna(value) else float(value) for value in found)
    return events, size


def _excluded(result: Any) -> list[Row]:
    fits = result.groups.values() if is_grouped(result) else [result]
    rows = [
        Row("excluded", str(label), "", *_counts(line), reason=line["reason"], colour=style.QUIET)
        for fit in fits
        for label, line in fit.studies[~fit.studies["included"]].iterrows()
    ]
    return [Row("heading", "Not pooled", colour=style.QUIET), *rows] if rows else []


def all_of(k: int, said: str = "") -> str:
    """Name the estimate of all studies; one study is not all of anything."""
    return f"All {printing.count(k)}{said}" if k > 1 else "Pooled"


def total(
    fit: Any,
    kind: Kind,
    label: str,
    colour: style.Colour = style.INK,
    group: str = "",
    weight: float = 100.0,
    aside: str = "",
) -> Row:
    """Lay out a pooled estimate."""
    size = size_of(fit)
    events, n = (NAN, NAN) if size is None else (fit.events, size)
    low, high = fit.ci
    return Row(kind, label, group, events, n, fit.estimate, low, high, weight, aside, colour=colour)


def place_narrow(rows: list[Row]) -> tuple[np.ndarray, np.ndarray]:
    """Give each row the lines of its words and of its mark, in rows; headings have words alone."""
    words, marks, at = [], [], 0.0
    for i, row in enumerate(rows):
        marked = row.kind not in ("heading", "note", "excluded")
        at += 0.0 if not i else 1.3 if row.kind in ("heading", "overall") else 1.1
        words.append(at)
        at += 0.8 if marked else 0.0
        marks.append(at)
    return np.array(words), np.array(marks)


def place(rows: list[Row]) -> np.ndarray:
    """Give each row its distance from the first, in rows, with air above headings and totals."""
    steps = [0.0]
    for before, row in pairwise(rows):
        air = row.kind == "heading" or (row.kind == "overall" and before.kind != "overall")
        steps.append(1.55 if air else 1.0)
    return np.cumsum(steps)

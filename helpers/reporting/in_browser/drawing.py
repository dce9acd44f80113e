"""A forest plot as SVG text, drawn without matplotlib.

Colours are those of the book's figures, as CSS variables with the light colour behind, so that
the picture follows the page and a downloaded file stays readable.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape
from typing import Any

from ... import printing

WIDTH, LEFT, RIGHT = 720, 250, 560
ROW, TOP = 20, 44
INK = "var(--picture-ink, #1a1c20)"
QUIET = "var(--picture-quiet, #5c6370)"
GRID = "var(--picture-grid, #dfe2e7)"
MARK = "var(--picture-lbcl, #0b51a8)"
#: Up to so many studies each has a line with its name.
MOST = 250
_LABEL = 27


def forest_svg(fit: dict[str, Any], unit: printing.Unit, quantity: str, digits: int) -> str:
    """Draw studies, pooled estimate and prediction interval of `PoolResult.to_dict`.

    Values are on the display scale: proportions or rates from zero, effects, or ratios on a
    logarithmic axis. Above `MOST` studies each is a thin line,
    without words, and the picture is no taller. An SVG document with a title, and a description for
    those who cannot see it.

    >>> from helpers.models.pooling import pool
    >>> fit = pool(events=[3, 8, 16], n=[40, 60, 50])
    >>> known = fit.to_dict() | {"prediction_interval": [0.01, 0.8]}
    >>> svg = forest_svg(known, "percent", "Proportion", 1)
    >>> svg.count("<rect class='study'")
    3
    """
    rows = [row for row in fit["studies"] if row["estimate"] is not None]
    new = fit["prediction_interval"]
    factor = printing.factor_of(unit)
    tail = "%" if unit == "percent" else ""
    many = len(rows) > MOST
    tall = ROW * MOST / len(rows) if many else ROW
    every = [end for row in rows for end in (row["ci_lower"], row["ci_upper"])]
    every += [*fit["ci"], *(new or ())]
    ticks, place = _places(fit, every, unit)
    bottom = round(TOP + tall * len(rows) + 8, 2)
    height = bottom + ROW * (3 if new else 2) + 34

    def x(value: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * place(value), 2)

    def shown_as(estimate: float, low: float, high: float) -> str:
        shown = printing.value(estimate, unit, digits, bare=unit != "percent")
        return f"{shown} ({printing.between(factor * low, factor * high, digits)})"

    short = "n" if fit["n"] is not None else "time"
    counted = fit["events"] is not None
    heading = f"{quantity}{'' if unit == 'percent' else printing.unit_heading(unit)} (CI)"
    out = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' "
        f"height='{height}' role='img' aria-labelledby='forest-title forest-desc' "
        "font-family='system-ui, sans-serif' font-size='12.5'>",
        f"<title id='forest-title'>Forest plot of {_studies(len(rows))}</title>",
        f"<desc id='forest-desc'>{escape(_alternative(fit, unit, quantity, digits))}</desc>",
        _text(0, 20, "Study", weight=700),
        ""
        if many or not counted
        else _text(LEFT - 8, 20, f"Events / {short}", anchor="end", weight=700),
        _text(WIDTH, 20, heading, anchor="end", weight=700),
    ]
    axis = bottom + ROW * (3 if new else 2) - 6
    for value in ticks:
        tick = f"{round(factor * value, 6):g}{tail}"
        out.append(_line(x(value), TOP - 12, x(value), axis, GRID))
        out.append(_text(x(value), axis + 18, tick, anchor="middle", colour=QUIET))
    out.append(_line(x(fit["estimate"]), TOP - 12, x(fit["estimate"]), axis, QUIET, dash="3 3"))
    heaviest = max((row["weight"] for row in rows), default=1.0) or 1.0
    for i, row in enumerate(rows):
        y, middle = round(TOP + tall * i, 2), x(row["estimate"])
        low, high = row["ci_lower"], row["ci_upper"]
        if many:
            thin = max(0.2, 0.7 * tall)
            out.append(_line(x(low), y, x(high), y, MARK, width=round(thin / 2, 3)))
            out.append(
                f"<rect class='study' x='{middle - 1:.2f}' y='{y - thin / 2:.2f}' width='2' "
                f"height='{thin:.2f}' style='fill:{INK}'/>"
            )
            continue
        label = str(row["study"])
        shown = label if len(label) <= _LABEL else label[: _LABEL - 1] + "…"
        size = 3.0 + 7.0 * math.sqrt(row["weight"] / heaviest)
        title = f"<title>{escape(label)}</title>" if shown != label else ""
        out += [
            f"<g>{title}",
            _text(0, y + 4, shown, colour=INK if row["included"] else QUIET),
            _text(LEFT - 8, y + 4, f"{row['events']:g} / {row[short]:.6g}", anchor="end")
            if counted
            else "",
            _line(x(low), y, x(high), y, MARK, width=1.4),
            f"<rect class='study' x='{middle - size / 2:.2f}' y='{y - size / 2:.2f}' "
            f"width='{size:.2f}' height='{size:.2f}' style='fill:{MARK}'/>",
            _text(WIDTH, y + 4, shown_as(row["estimate"], low, high), anchor="end"),
            "</g>",
        ]
    low, high = fit["ci"]
    middle, y = x(fit["estimate"]), bottom + 8
    out += [
        _line(0, bottom - 8, WIDTH, bottom - 8, GRID),
        _text(
            0,
            y + 4,
            f"Pooled ({fit['k']} of {_studies(len(fit['studies']))})"
            if fit["k"] < len(fit["studies"])
            else f"Pooled ({_studies(fit['k'])})",
            weight=700,
        ),
        f"<path class='pooled' style='fill:{INK}' d='M{x(low)} {y}L{middle} {y - 7}"
        f"L{x(high)} {y}L{middle} {y + 7}Z'/>",
        _text(WIDTH, y + 4, shown_as(fit["estimate"], low, high), anchor="end", weight=700),
    ]
    if new:
        y += ROW
        out += [
            _text(0, y + 4, "Prediction for a new study"),
            _line(x(new[0]), y, x(new[1]), y, INK, width=5),
            _text(WIDTH, y + 4, _span(new, unit), anchor="end"),
        ]
    return printing.legal("".join([*out, "</svg>"]))


def _places(
    fit: dict[str, Any], every: list[float], unit: printing.Unit
) -> tuple[list[float], Callable[[float], float]]:
    """Ticks of the axis, and the place of a value on it: from 0 at the left to 1 at the right."""
    if fit["measure"] == "log-ratio":
        low, high = math.log(min(0.95, *every)), math.log(max(1.05, *every))
        tens = range(math.floor(low / math.log(10)) - 1, math.ceil(high / math.log(10)) + 1)
        for steps in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1,)):
            ticks = [s * 10.0**ten for ten in tens for s in steps]
            ticks = [tick for tick in ticks if low <= math.log(tick) <= high]
            if len(ticks) <= 7:
                break
        return ticks, lambda value: (math.log(value) - low) / (high - low)
    if fit["measure"] == "effect":
        step, _ = _axis(max(every) - min(every) or 1.0, math.inf)
        first, last = math.floor(min(every) / step + 1e-9), math.ceil(max(every) / step - 1e-9)
        ticks = [round(i * step, 12) for i in range(first, last + 1)]
        wide = ticks[-1] - ticks[0]
        return ticks, lambda value: (value - ticks[0]) / wide
    step, top = _axis(max(every), math.inf if unit == "number" else 1.0)
    ticks = [i * step for i in range(round(top / step) + 1)]
    return ticks, lambda value: min(value, top) / top


def _axis(largest: float, end: float = 1.0) -> tuple[float, float]:
    """Step of the axis and its end: at most six steps, not beyond 100%."""
    power = math.floor(math.log10(largest)) if largest > 0 else 0
    for factor in (0.1, 0.2, 0.5, 1.0, 2.0, 2.5):
        step = round(factor * 10.0**power, 12)
        steps = math.ceil(largest / step - 1e-9)
        if steps <= 6:
            break
    if end == 1.0 and step > 0.25:
        step = 0.25
    return step, min(end, max(1, steps) * step)


def _span(bounds: Any, unit: printing.Unit) -> str:
    """Print a range below the heading that names the unit."""
    text = printing.value_range(bounds, unit)
    return text if unit == "percent" else text.removesuffix(printing.unit_heading(unit))


def _studies(k: int) -> str:
    return f"{k} {'study' if k == 1 else 'studies'}"


def _alternative(fit: dict[str, Any], unit: printing.Unit, quantity: str, digits: int) -> str:
    level, k = f"{100 * fit['level']:g} %", len(fit["studies"])
    each = "The only study" if k == 1 else f"Each of {k} studies"
    text = (
        f"{each} with its confidence interval; pooled {printing.lower(quantity)} "
        f"{printing.value(fit['estimate'], unit, digits)} with {level} "
        f"confidence interval {printing.value_range(fit['ci'], unit)}."
    )
    if fit["prediction_interval"]:
        text += f" Prediction interval {printing.value_range(fit['prediction_interval'], unit)}."
    return text + " The table of studies below lists every value."


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    weight: int = 400,
    colour: str = INK,
) -> str:
    return (
        f"<text x='{x}' y='{y}' text-anchor='{anchor}' font-weight='{weight}' "
        f"style='fill:{colour}'>{escape(text)}</text>"
    )


def _line(
    x1: float, y1: float, x2: float, y2: float, colour: str, *, width: float = 1, dash: str = ""
) -> str:
    dashes = f" stroke-dasharray='{dash}'" if dash else ""
    return (
        f"<line x1='{x1}' y1='{y1}' x2='{x2}' y2='{y2}' style='stroke:{colour}' "
        f"stroke-width='{width}'{dashes}/>"
    )

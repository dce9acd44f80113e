"""A forest plot as SVG text, drawn without matplotlib.

Colours are those of the book's figures, as CSS variables with the light colour behind, so that
the picture follows the page and a downloaded file stays readable.
"""

from __future__ import annotations

import math
from html import escape
from typing import Any

from ... import printing

__all__ = ["forest_svg"]

WIDTH, LEFT, RIGHT = 720, 250, 560
ROW, TOP = 20, 44
INK = "var(--picture-ink, #1a1c20)"
QUIET = "var(--picture-quiet, #5c6370)"
GRID = "var(--picture-grid, #dfe2e7)"
MARK = "var(--picture-lbcl, #0b51a8)"
_STEPS = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25)
_LABEL = 27


def forest_svg(fit: dict[str, Any]) -> str:
    """Draw studies, pooled estimate and prediction interval of `PoolResult.to_dict` of proportions.

    An SVG document with a title, and a description for those who cannot see it.

    Examples
    --------
    >>> from helpers.models.pooling import pool
    >>> fit = pool(events=[3, 8, 16], n=[40, 60, 50])
    >>> svg = forest_svg(fit.to_dict() | {"prediction_interval": [0.01, 0.8]})
    >>> svg.count("<rect class='study'")
    3
    """
    rows = [row for row in fit["studies"] if row["estimate"] is not None]
    new = fit["prediction_interval"]
    digits = _digits(fit)
    ends = [row["ci_upper"] for row in rows] + [fit["ci"][1], new[1] if new else 0.0]
    step, top = _axis(max(ends))
    bottom = TOP + ROW * len(rows) + 8
    height = bottom + ROW * (3 if new else 2) + 34

    def x(value: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * min(value, top) / top, 2)

    out = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' "
        f"height='{height}' role='img' aria-labelledby='forest-title forest-desc' "
        "font-family='system-ui, sans-serif' font-size='12.5'>",
        f"<title id='forest-title'>Forest plot of {_studies(len(rows))}</title>",
        f"<desc id='forest-desc'>{escape(_alternative(fit))}</desc>",
        _text(0, 20, "Study", weight=700),
        _text(LEFT - 8, 20, "Events / n", anchor="end", weight=700),
        _text(WIDTH, 20, "Proportion (CI)", anchor="end", weight=700),
    ]
    axis = bottom + ROW * (3 if new else 2) - 6
    for i in range(round(top / step) + 1):
        value = i * step
        out.append(_line(x(value), TOP - 12, x(value), axis, GRID))
        out.append(
            _text(x(value), axis + 18, f"{round(100 * value, 6):g}%", anchor="middle", colour=QUIET)
        )
    out.append(_line(x(fit["estimate"]), TOP - 12, x(fit["estimate"]), axis, QUIET, dash="3 3"))
    heaviest = max((row["weight"] for row in rows), default=1.0) or 1.0
    for i, row in enumerate(rows):
        y = TOP + ROW * i
        label = str(row["study"])
        shown = label if len(label) <= _LABEL else label[: _LABEL - 1] + "…"
        size = 3.0 + 7.0 * math.sqrt(row["weight"] / heaviest)
        middle = x(row["estimate"])
        title = f"<title>{escape(label)}</title>" if shown != label else ""
        out += [
            f"<g>{title}",
            _text(0, y + 4, shown, colour=INK if row["included"] else QUIET),
            _text(LEFT - 8, y + 4, f"{row['events']} / {row['n']}", anchor="end"),
            _line(x(row["ci_lower"]), y, x(row["ci_upper"]), y, MARK, width=1.4),
            f"<rect class='study' x='{middle - size / 2:.2f}' y='{y - size / 2:.2f}' "
            f"width='{size:.2f}' height='{size:.2f}' style='fill:{MARK}'/>",
            _text(
                WIDTH,
                y + 4,
                _value(row["estimate"], row["ci_lower"], row["ci_upper"], digits),
                anchor="end",
            ),
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
        _text(WIDTH, y + 4, _value(fit["estimate"], low, high, digits), anchor="end", weight=700),
    ]
    if new:
        y += ROW
        out += [
            _text(0, y + 4, "Prediction for a new study"),
            _line(x(new[0]), y, x(new[1]), y, INK, width=5),
            _text(WIDTH, y + 4, printing.percent_range(new), anchor="end"),
        ]
    return printing.legal("".join([*out, "</svg>"]))


def _axis(largest: float) -> tuple[float, float]:
    """Step of the axis and its end: at most six steps, not beyond 100%."""
    for step in _STEPS:
        steps = math.ceil(largest / step - 1e-9)
        if steps <= 6:
            return step, min(1.0, max(1, steps) * step)
    return 0.25, 1.0


def _digits(fit: dict[str, Any]) -> int:
    return printing.places(fit["estimate"], *fit["ci"], of=fit["estimate"])


def _value(estimate: float, low: float, high: float, digits: int) -> str:
    shown = printing.percent(estimate, digits)
    return f"{shown} ({printing.between(100 * low, 100 * high, digits)})"


def _studies(k: int) -> str:
    return f"{k} {'study' if k == 1 else 'studies'}"


def _alternative(fit: dict[str, Any]) -> str:
    level, k = f"{100 * fit['level']:g} %", len(fit["studies"])
    each = "The only study" if k == 1 else f"Each of {k} studies"
    text = (
        f"{each} with its confidence interval; pooled proportion "
        f"{printing.percent(fit['estimate'], _digits(fit))} with {level} "
        f"confidence interval {printing.percent_range(fit['ci'])}."
    )
    if fit["prediction_interval"]:
        text += f" Prediction interval {printing.percent_range(fit['prediction_interval'])}."
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

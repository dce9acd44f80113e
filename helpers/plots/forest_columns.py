"""The columns of numbers of a forest plot: their printed cells and how wide they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers import prose
from helpers.plots import style
from helpers.plots.forest_rows import Row
from helpers.plots.forest_text import Words, lower

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["GAP", "Columns", "columns_of", "measure"]

GAP = 16.0  # between columns, in CSS pixels


@dataclass(frozen=True, slots=True)
class Columns:
    """Widths of the columns and their printed cells, in CSS pixels."""

    labels: list[str]
    counts: list[str]
    estimates: list[str]
    weights: list[str]
    heads: tuple[str, str, str, str]
    widths: tuple[float, float, float, float]

    @property
    def left(self) -> float:
        """Room that the columns take left of the plot."""
        return self.widths[0] + (self.widths[1] + GAP if self.widths[1] else 0) + GAP

    @property
    def right(self) -> float:
        """Room that the columns take right of the plot."""
        return GAP + self.widths[2] + GAP + self.widths[3]


def measure(figure: Figure, text: str, *, bold: bool = False) -> float:
    """Give the width of a text in CSS pixels."""
    from matplotlib.font_manager import FontProperties

    font = FontProperties(
        family=style.FAMILIES, size=style.size("text"), weight="bold" if bold else "normal"
    )
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    across, _, _ = renderer.get_text_width_height_descent(text, font, ismath=False)
    return float(across) * 72 / figure.dpi


def columns_of(figure: Figure, rows: list[Row], whole: Any, words: Words) -> Columns:
    """Print the cells of every row and measure the columns."""
    counts = whole.n is not None
    level = f"{100 * whole.level:g}{prose.THIN}%"
    heads = (
        words.head or words.one.capitalize(),
        f"{words.events}/{lower(words.n)}" if counts else "",
        f"{'%' if counts else 'Estimate'} ({level} CI)",
        words.aside or "Weight, %",
    )
    labels = [_shorten(figure, row) for row in rows]
    cells = (
        labels,
        _counts(rows) if counts else [""] * len(rows),
        [_estimate(row, counts) for row in rows],
        [row.aside for row in rows] if words.aside else _weights(rows),
    )
    widths = []
    for head, column in zip(heads, cells, strict=True):
        texts = [
            measure(figure, text, bold=row.kind in ("heading", "pooled", "overall"))
            for text, row in zip(column, rows, strict=True)
            if text
        ]
        widths.append(max([measure(figure, head, bold=True) if head else 0.0, *texts]))
    return Columns(
        labels=list(cells[0]),
        counts=list(cells[1]),
        estimates=list(cells[2]),
        weights=list(cells[3]),
        heads=heads,
        widths=(widths[0] + 14, widths[1], widths[2], widths[3]),
    )


def _shorten(figure: Figure, row: Row, most: float = 250.0) -> str:
    """Cut a long label; the table behind the figure has it in full."""
    bold = row.kind != "study"
    if measure(figure, row.label, bold=bold) <= most:
        return row.label
    text = row.label
    while text and measure(figure, f"{text}…", bold=bold) > most:
        text = text[:-1].rstrip()
    return f"{text}…"


def _counts(rows: list[Row]) -> list[str]:
    """Print events and patients so that their slashes stand under each other."""
    pad = "\N{FIGURE SPACE}"
    printed = [
        ("", "") if row.kind in ("heading", "prediction") else (_print(row.events), _print(row.n))
        for row in rows
    ]
    thin = "\N{THIN SPACE}"  # nearly as wide as a thousands comma
    longest = max(len(n) for _, n in printed)
    commas = max(n.count(",") for _, n in printed)
    made = []
    for events, n in printed:
        lack = longest - len(n) - (commas - n.count(","))
        fill = pad * lack + thin * (commas - n.count(","))
        made.append(f"{events}/{n}{fill}" if n else "")
    return made


def _print(value: float) -> str:
    return "\N{EN DASH}" if np.isnan(value) else prose.count(value)


def _weights(rows: list[Row]) -> list[str]:
    """Print weights with one decimal, or two when small ones would all read 0.0."""
    weights = [row.weight for row in rows if row.weight > 0]
    digits = 2 if weights and min(weights) < 0.05 else 1
    return ["" if np.isnan(row.weight) else prose.number(row.weight, digits) for row in rows]


def _estimate(row: Row, percent: bool) -> str:
    if np.isnan(row.lower):
        return ""

    def text(value: float) -> str:
        return prose.number(100 * value, 1) if percent else prose.number(value, 2)

    bounds = f"({text(row.lower)} to {text(row.upper)})"
    return bounds if np.isnan(row.estimate) else f"{text(row.estimate)} {bounds}"

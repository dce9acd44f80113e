"""Words that fit their room: measured, cut, broken into lines, or set beside their marks.

The table behind a figure has every name in full.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from . import style
from .frame import Axes, Figure, figure_of, room_above, room_of_axes, size_of

PAD = 10.0  # CSS pixels between a name and the axes, and the edge of the figure
CLEAR = 7.0  # of these, those beside the axes: half a mark at their end, and a gap
GROUND = {"fc": style.SURFACE.light, "ec": "none", "pad": 0.6}  # lines end at words that have it
LINE = 23.0  # height of a line of a legend
SWATCH = 46.0  # room of a key of a legend and the gaps around it


def measure(figure: Figure, text: str, *, bold: bool = False, size: str = "text") -> float:
    """Give the width of a text in CSS pixels."""
    from matplotlib import rcParams

    hinting = (rcParams["text.hinting"], rcParams["text.hinting_factor"])
    return _width(text, bold, style.size(size), float(figure.dpi), hinting)


# a name is measured each time that it is cut by a letter, on both forms of a picture
@lru_cache(maxsize=20_000)
def _width(text: str, bold: bool, size: float, dpi: float, hinting: tuple[Any, ...]) -> float:
    """Width in CSS pixels; `hinting` is what Matplotlib measures by, beside the arguments."""
    font = _font(bold, size)
    across, _, _ = _renderer(dpi).get_text_width_height_descent(text, font, ismath=False)
    return float(across) * 72 / dpi


@lru_cache(maxsize=32)
def _font(bold: bool, size: float) -> Any:
    from matplotlib.font_manager import FontProperties

    style.load_fonts()
    weight = "bold" if bold else "normal"
    return FontProperties(family=style.FAMILIES, size=size, weight=weight)


@lru_cache(maxsize=8)
def _renderer(dpi: float) -> Any:
    from matplotlib.backends.backend_agg import RendererAgg

    return RendererAgg(1, 1, dpi)


def fit_text(
    figure: Figure, text: str, most: float, *, bold: bool = False, size: str = "text"
) -> str:
    """Cut a text to fit `most` CSS pixels."""
    if measure(figure, text, bold=bold, size=size) <= most:
        return text
    ways = [f"{text[:end].rstrip()}…" for end in range(1, len(text) + 1)]
    # A longer beginning is wider.
    fit = bisect_right(ways, most, key=lambda way: measure(figure, way, bold=bold, size=size))
    return ways[max(fit - 1, 0)]


def fit_names(ax: Axes, names: Iterable[Any], *, bold: bool = False) -> list[str]:
    """Cut the names of rows, line by line, to the room left of the axes."""
    figure = figure_of(ax)
    room = room_of_axes(ax)[0] - PAD
    return [
        "\n".join(
            fit_text(figure, line, room, bold=bold, size="small") for line in str(name).split("\n")
        )
        for name in names
    ]


def fit_keys(
    ax: Axes, names: Sequence[str], *, columns: int, begin: float | None = None
) -> list[str]:
    """Cut the names of a legend so that its columns fit between the axes and the right edge.

    Short names stay whole; the long ones share what is left. `begin` is where the legend begins, in
    CSS pixels (at the axes by default).
    """
    figure = figure_of(ax)
    left = room_of_axes(ax)[0] if begin is None else begin
    room = size_of(figure)[0] - left - PAD - columns * SWATCH
    widths = [measure(figure, name, size="small") for name in names]
    # A legend is filled column by column, the first ones with one name more where there is a rest;
    # a column is as wide as its widest name.
    wide = sorted(max(part) for part in np.array_split(widths, columns) if len(part))
    most = room
    for i, one in enumerate(wide):
        share = room / (len(wide) - i)
        if one > share:
            most = share
            break
        room -= one
    return [fit_text(figure, name, most, size="small") for name in names]


def wrapped(figure: Figure, notes: list[str], most: float, *, size: str = "text") -> list[str]:
    """Break notes into lines that fit."""
    lines: list[str] = []
    for note in notes:
        line = ""
        for piece in note.split(" "):
            longer = f"{line} {piece}".strip()
            if line and measure(figure, longer, size=size) > most:
                lines.append(line)
                longer = piece
            line = longer
        lines.append(line)
    return lines


def legend_above(ax: Axes, handles: list[Any], names: Sequence[str], **look: Any) -> Any:
    """Put a legend above the left end of the axes, in one line unless `look` says otherwise."""
    usual: dict[str, Any] = {
        "loc": "lower left", "bbox_to_anchor": (0, 1.0), "ncols": len(names),
        "columnspacing": 1.4, "borderaxespad": 0, "borderpad": 0.2,
    }  # fmt: skip
    return ax.legend(handles, names, **(usual | look))


def key_above(ax: Axes, handles: list[Any], names: list[str]) -> None:
    """Put a legend above the axes, in as many lines as it takes to cut no name."""
    left, _, wide, tall = room_of_axes(ax)
    # On a phone they begin at the edge of the figure.
    begin = 4.0 if size_of(figure_of(ax))[0] < style.NARROW else left
    ways = range(len(names), 0, -1)
    whole = (n for n in ways if fit_keys(ax, names, columns=n, begin=begin) == list(names))
    # Names that are longer than a line are cut in any case; two lines then do.
    columns = next(whole, -(-len(names) // 2))
    shown = fit_keys(ax, names, columns=columns, begin=begin)
    if columns < len(names):
        room_above(ax, LINE * -(-len(names) // columns) + 6.0)
    # Clear of the highest tick, where the key stands over it and has one line.
    lift = 8.0 if begin < left and columns == len(names) else 3.0
    corner = ((begin - left) / wide, 1 + lift / tall)
    legend_above(ax, handles, shown, ncols=columns, bbox_to_anchor=corner, handletextpad=0.5)


def beside(
    ax: Axes, text: str, at: tuple[Any, Any], shift: tuple[float, float], **look: Any
) -> Any:
    """Write a small text at a distance, in CSS pixels, from a place of the data."""
    usual: Any = {"size": style.size("small"), "va": "center", "textcoords": "offset points"}
    return ax.annotate(text, at, xytext=shift, **(usual | look))


def write_beside(
    ax: Axes, text: str, at: tuple[float, float], y: float, *, size: str = "small", **look: Any
) -> None:
    """Write at a place of the axis that goes up, at a fraction of the width and pixels from it."""
    from matplotlib.transforms import ScaledTranslation

    across, pixels = at
    moved = ScaledTranslation(pixels / 72, 0, figure_of(ax).dpi_scale_trans)
    usual: dict[str, Any] = {"ha": "left", "va": "center", "size": style.size(size)}
    ax.text(across, y, text, transform=ax.get_yaxis_transform() + moved, **(usual | look))


def grouped_places(data: pd.DataFrame) -> tuple[np.ndarray, dict[float, str]]:
    """Give each row its line; a group's name takes a line of its own above its rows."""
    if "group" not in data.columns:
        return np.arange(len(data), dtype=float), {}
    places, heads, line, before = [], {}, 0.0, None
    for group in data["group"].astype(str):
        if group != before:
            heads[line] = group
            line, before = line + 1, group
        places.append(line)
        line += 1
    return np.array(places), heads


def name_rows(ax: Axes, data: pd.DataFrame, places: np.ndarray, heads: dict[float, str]) -> None:
    """Name rows by their labels, and groups in bold."""
    names = fit_names(ax, [*heads.values(), *data["label"]], bold=bool(heads))
    ax.set_yticks([*heads, *places], labels=names)
    ax.tick_params(axis="y", pad=CLEAR)
    for tick, label in zip(ax.get_yticks(), ax.get_yticklabels(), strict=True):
        label.set_fontweight("bold" if tick in heads else "normal")


def name_above(
    ax: Axes,
    places: Iterable[float],
    names: Sequence[str],
    values: Sequence[str] | None = None,
    *,
    lift: float = 0.32,
) -> None:
    """Write names, and values at the right end, above rows instead of left of the axes.

    `lift` is the distance of a line of words from its row, in rows.
    """
    ax.set_yticks([])
    figure = figure_of(ax)
    left, _, wide, _ = room_of_axes(ax)
    right = size_of(figure)[0] - 4.0
    look: dict[str, Any] = {"va": "center", "transform": ax.get_yaxis_transform(), "bbox": GROUND}
    for y, name, value in zip(places, names, values or [""] * len(names), strict=True):
        room = right - 4.0 - (measure(figure, value) + 8.0 if value else 0.0)
        text = fit_text(figure, name, room)
        ax.text((4.0 - left) / wide, y - lift, text, ha="left", **look)
        if value:
            ax.text((right - left) / wide, y - lift, value, ha="right", **look)


def _tie(ax: Axes, mark: tuple[float, float], words: Any, radius: float) -> Any:
    """Draw a line from the edge of a mark to the letters of its name; give its path."""
    at = ax.transData.transform(mark)
    air = 0.2 * words.height  # above and below most letters
    near = np.clip(at, (words.x0, words.y0 + air), (words.x1, words.y1 - air))
    ends = np.array([at + (near - at) * (radius / np.hypot(*(near - at))), near])
    x, y = ax.transData.inverted().transform(ends).T
    look: dict[str, Any] = {"color": style.QUIET.light, "lw": 0.8, "zorder": 2}
    [line] = ax.plot(x, y, scalex=False, scaley=False, **look)
    return line.get_transform().transform_path(line.get_path())


def name_marks(
    ax: Axes,
    x: Sequence[float] | np.ndarray,
    y: Sequence[float] | np.ndarray,
    radii: np.ndarray,
    names: Sequence[str],
    order: Iterable[int],
) -> list[int]:
    """Write names beside marks, right, left, above or below, or not at all; give those written.

    No name lies on a mark, on another name or on a line of the axes. A line ties a name above or
    below its mark to it, because two such names between two marks could be either's.

    The limits of the axes are set; `radii` are in CSS pixels; `order` are the marks to be named,
    the most important first.
    """
    renderer: Any = ax.figure.canvas.get_renderer()  # type: ignore[attr-defined]
    points = ax.transData.transform(np.column_stack([x, y]))
    boxes: list[Any] = [
        (px - r, py - r, px + r, py + r) for (px, py), r in zip(points, radii, strict=True)
    ]
    frame = ax.get_window_extent(renderer)
    lines = [line.get_transform().transform_path(line.get_path()) for line in ax.lines]
    named = []
    # Beside a mark, above and below it, and there in line with one of its own edges, near or far.
    corners = [
        (side, up, gap, "right" if side > 0 else "left", "bottom" if up > 0 else "top")
        for gap in (3, 14)
        for up in (1, -1)
        for side in (1, -1)
    ]
    for i in dict.fromkeys(order):
        r = radii[i]
        for dx, dy, ha, va in (
            (r + 3, 0, "left", "center"),
            (-r - 3, 0, "right", "center"),
            (0, r + 3, "center", "bottom"),
            (0, -r - 3, "center", "top"),
            *((side * r, up * (r + gap), ha, va) for side, up, gap, ha, va in corners),
        ):
            text = beside(ax, names[i], (x[i], y[i]), (dx, dy), ha=ha, va=va)
            extent = text.get_window_extent(renderer)
            box = extent.extents
            free = all(
                box[2] < b[0] or b[2] < box[0] or box[3] < b[1] or b[3] < box[1] for b in boxes
            ) and not any(line.intersects_bbox(extent, filled=False) for line in lines)
            across = frame.x0 <= box[0] and box[2] <= frame.x1 + 10
            if free and across and frame.y0 <= box[1]:
                if abs(dy) > r:
                    lines.append(_tie(ax, (x[i], y[i]), extent, r))
                boxes.append(box)
                named.append(int(i))
                break
            text.remove()
    return named

"""Names beside marks, each where it hides neither a mark nor another name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["name_marks"]


def name_marks(
    ax: Axes,
    x: Sequence[float] | np.ndarray,
    y: Sequence[float] | np.ndarray,
    radii: np.ndarray,
    names: Sequence[str],
    order: Iterable[int],
) -> list[int]:
    """Write names beside marks, right, left, above or below, or not at all.

    Parameters
    ----------
    ax : Axes
        With its limits set.
    x, y : array_like, shape (k,)
        Places of all marks, in data.
    radii : ndarray, shape (k,)
        Room that a mark takes around its place, in CSS pixels.
    names : sequence of str, length k
    order : iterable of int
        Which marks are named, most important first.

    Returns
    -------
    list of int
        The marks that found room for their name.
    """
    renderer: Any = ax.figure.canvas.get_renderer()  # type: ignore[attr-defined]
    points = ax.transData.transform(np.column_stack([x, y]))
    boxes: list[Any] = [
        (px - r, py - r, px + r, py + r) for (px, py), r in zip(points, radii, strict=True)
    ]
    frame = ax.get_window_extent(renderer)
    named = []
    for i in dict.fromkeys(order):
        r = radii[i]
        for dx, dy, ha, va in (
            (r + 3, 0, "left", "center"),
            (-r - 3, 0, "right", "center"),
            (0, r + 3, "center", "bottom"),
            (0, -r - 3, "center", "top"),
        ):
            text = ax.annotate(
                names[i],
                (x[i], y[i]),
                xytext=(dx, dy),
                textcoords="offset points",
                ha=ha,
                va=va,
                size=style.size("small"),
                parse_math=False,
            )
            box = text.get_window_extent(renderer).extents
            free = all(
                box[2] < b[0] or b[2] < box[0] or box[3] < b[1] or b[3] < box[1] for b in boxes
            )
            across = frame.x0 <= box[0] and box[2] <= frame.x1 + 10
            if free and across and frame.y0 <= box[1]:
                boxes.append(box)
                named.append(int(i))
                break
            text.remove()
    return named

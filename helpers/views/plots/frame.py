"""What pictures share around their marks: a figure of a size, the axes in it, grid and ticks.

All sizes are CSS pixels, which are points of a figure at 72 dots per inch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ... import printing
from ...errors import MetaAnalysisError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = ["axes_of", "figure_of", "grid_below", "number_ticks", "room_of_axes"]


def axes_of(
    ax: Axes | None,
    width: float,
    height: float,
    *,
    left: float = 62.0,
    right: float = 14.0,
    bottom: float = 50.0,
    top: float = 44.0,
) -> Axes:
    """Give the axes, or those of a new figure with room on each side.

    Parameters
    ----------
    ax : Axes or None
        Given axes stay as they are.
    width, height : float
        Size of a new figure.
    left, right, bottom, top : float
        Room around its axes; the usual one is for labels left and below and a legend above.
    """
    from matplotlib import pyplot as plt

    if ax is None:
        figure, ax = plt.subplots(figsize=(width / 72, height / 72))
        figure.subplots_adjust(
            left=left / width,
            right=1 - right / width,
            bottom=bottom / height,
            top=1 - top / height,
        )
    return ax


def figure_of(ax: Axes) -> Figure:
    """Give the figure of axes.

    Raises
    ------
    MetaAnalysisError
        They have none.
    """
    figure = ax.get_figure(root=True)
    if figure is None:
        raise MetaAnalysisError("the axes do not belong to a figure")
    return figure


def room_of_axes(ax: Axes) -> tuple[float, float, float, float]:
    """Give where axes lie in their figure: left, bottom, width and height."""
    box = ax.get_position()
    across, up = (72 * side for side in figure_of(ax).get_size_inches())
    return box.x0 * across, box.y0 * up, box.width * across, box.height * up


def grid_below(ax: Axes, along: str | None = None, hide: Iterable[str] = ()) -> None:
    """Draw the grid of an axis ("x", "y" or "both") under the marks, and no tick marks.

    Parameters
    ----------
    ax : Axes
    along : str, optional
        No grid without it.
    hide : iterable of str
        Sides of the frame that are not drawn.
    """
    if along is not None:
        ax.grid(axis=along, zorder=0)  # type: ignore[arg-type]
        ax.set_axisbelow(True)
    ax.tick_params(length=0)
    for side in hide:
        ax.spines[side].set_visible(False)


def number_ticks(axis: Axis, factor: float = 1.0) -> None:
    """Print ticks with as few digits as they need and a true minus; 100 makes percentages."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(
        FuncFormatter(lambda v, _: f"{round(factor * v, 6):g}".replace("-", printing.MINUS))
    )

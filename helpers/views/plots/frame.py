"""What pictures share around their marks: a figure of a size, the axes in it, grid and ticks.

All sizes are CSS pixels, which are points of a figure at 72 dots per inch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ... import printing
from ...errors import MetaAnalysisError

# Matplotlib is imported when the first picture is drawn; its types are named here for every plot.
if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
else:
    Axes = Axis = Figure = MaxNLocator = Any

#: Ticks of a logarithmic axis.
ROUND = tuple(m * 10.0**e for e in range(-4, 8) for m in (1, 2, 5))


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
    """Give the axes as they are, or those of a new figure with room on each side.

    The usual room is for labels left and below and a legend above.
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


def figure_of(drawn: Axes | Figure) -> Figure:
    """Give the figure of axes, or the figure itself."""
    figure: Any = drawn.get_figure(root=True)
    return figure


def size_of(figure: Figure) -> tuple[float, float]:
    """Give width and height of a figure."""
    across, up = figure.get_size_inches()
    return 72 * across, 72 * up


def room_of_axes(ax: Axes) -> tuple[float, float, float, float]:
    """Give where axes lie in their figure: left, bottom, width and height."""
    box, (across, up) = ax.get_position(), size_of(figure_of(ax))
    return box.x0 * across, box.y0 * up, box.width * across, box.height * up


def require_room(ax: Axes, wide: float, tall: float, what: str) -> None:
    """Refuse axes that are too small for what a caller wants in them."""
    has, up = room_of_axes(ax)[2:]
    if has < wide - 1e-6 or up < tall - 1e-6:
        raise MetaAnalysisError(
            f"the axes are {has:.0f} by {up:.0f} px; {what} needs {wide:.0f} by {tall:.0f}"
        )


def place_axes(ax: Axes, left: float, bottom: float, wide: float, tall: float) -> None:
    """Put axes into a part of their figure."""
    across, up = size_of(figure_of(ax))
    ax.set_position((left / across, bottom / up, wide / across, tall / up))


def room_above(ax: Axes, room: float) -> None:
    """Make a figure taller where less than `room` is free above its highest axes."""
    figure = figure_of(ax)
    across, up = size_of(figure)
    lacks = room - up * (1 - ax.get_position().y1)
    if lacks <= 0 or any(one.get_position().y1 > ax.get_position().y1 for one in figure.axes):
        return
    kept = [(one, room_of_axes(one)) for one in figure.axes]
    figure.set_size_inches(across / 72, (up + lacks) / 72)
    for one, places in kept:
        place_axes(one, *places)


def name_axes(ax: Axes, across: str = "", up: str = "") -> None:
    """Name the axis across, and the one that goes up."""
    if across:
        ax.set_xlabel(across, labelpad=5)
    if up:
        ax.set_ylabel(up, labelpad=6)


def grid_below(ax: Axes, along: str | None = None, hide: Iterable[str] = ()) -> None:
    """Draw the grid of an axis ("x", "y" or "both") under the marks, and no tick marks.

    `hide` are the sides of the frame that are not drawn.
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


def round_places(most: int) -> MaxNLocator:
    """Put at most so many ticks at round values."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10])


def round_ticks(
    axis: Axis, ends: tuple[float, float], most: int, factor: float = 1.0
) -> list[float]:
    """Put ticks at round values between two ends, and give them; 100 makes percentages."""
    from matplotlib.ticker import FixedLocator

    low, high = ends
    found = round_places(most).tick_values(factor * low, factor * high)
    ticks = [float(t) / factor for t in found if low - 1e-9 <= t / factor <= high + 1e-9]
    axis.set_major_locator(FixedLocator(ticks))
    number_ticks(axis, factor)
    return ticks


def fixed_ticks(
    axis: Axis, places: Iterable[float], printed: Callable[[float], str] = "{:g}".format
) -> None:
    """Put ticks at those of the places that an axis shows; a logarithmic one gets no others."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = sorted(axis.get_view_interval())
    axis.set_major_locator(FixedLocator([place for place in places if low <= place <= high]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: printed(value)))


def percent_ticks(axis: Axis) -> None:
    """Print the ticks of fractions as whole percentages with their sign."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: printing.percent(value, 0)))

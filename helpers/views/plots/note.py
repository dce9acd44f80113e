"""What a picture says about itself, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from ... import printing
from .. import tables
from ..subject import NEUTRAL, Subject
from ..tables import Table
from . import style
from .frame import Axes, Figure


@dataclass(frozen=True, slots=True)
class Note:
    """What a plot says about itself."""

    title: str  # What it is, in a few words ("Forest plot")
    alt: str  # What is shown, the main values, the conclusion; for readers who do not see it
    caption: str  # States the finding; for everyone
    table: Table | None = None  # The numbers behind the picture


def numbers(*given: Any, **options: Any) -> Table:
    """Print the numbers behind a picture, as `helpers.views.tables.numbers`.

    A plot that is drawn again for a phone shares the table of the wide one: its own stays empty.
    """
    if style.shares_the_note():
        return Table("", "", "", "")
    return tables.numbers(*given, **options)


_NOTES: WeakKeyDictionary[Axes, tuple[Note, Subject]] = WeakKeyDictionary()


def annotate(ax: Axes, note: Note, subject: Subject = NEUTRAL) -> None:
    """Attach a note to axes, and the subject whose colours they use; `show` picks them up."""
    _NOTES[ax] = (note, subject)


def note_of(drawn: Axes | Figure) -> Note | None:
    """Give the note of axes, or of the only axes of a figure that has one."""
    from matplotlib.figure import Figure

    axes = drawn.axes if isinstance(drawn, Figure) else [drawn]
    found = [_NOTES[ax][0] for ax in axes if ax in _NOTES]
    return found[0] if len(found) == 1 else None


def subject_of(ax: Axes) -> Subject:
    """Give the subject whose colours axes use."""
    return _NOTES[ax][1] if ax in _NOTES else NEUTRAL


def some_rows(curves: pd.DataFrame) -> pd.DataFrame:
    """Give up to twenty rows of curves over the true proportion, for the table behind them."""
    rows = np.linspace(0, len(curves) - 1, min(len(curves), 20)).round().astype(int)
    return curves.iloc[np.unique(rows)].reset_index(names="true_proportion")


def drawn_of(drawn: int, whole: int, subject: Subject, which: str) -> str:
    """Say which studies are drawn, where a picture does not hold them all."""
    if drawn == whole:
        return ""
    studies = printing.counted(drawn, *subject.noun)
    return f" Drawn are the {studies} of {printing.count(whole)} {which}."


def estimate_column(values: Iterable[float], unit: printing.Unit) -> Any:
    """Give `numbers` the heading and the format of estimates in a unit."""
    if unit in ("percent", "number"):
        return "Estimate", unit
    digits = shared_places(values, unit)
    heading = f"Estimate{printing.unit_heading(unit)}"
    return heading, lambda value: printing.value(value, unit, digits, bare=True)


def shared_places(values: Iterable[float], unit: printing.Unit) -> int:
    """Count the decimals of values: one of percentages, two of effects and rates."""
    if unit in ("percent", "number"):
        return 1 if unit == "percent" else 2
    return printing.places(*(value * printing.factor_of(unit) / 100 for value in values))


def interval_columns(
    fit: Any, estimate: str, interval: str = "interval", unit: printing.Unit | None = None
) -> dict[str, Any]:
    """Give `numbers` the columns of estimates and their limits in the unit and level of a fit."""
    unit = unit or printing.unit_of(fit)
    digits = printing.places_in(fit, unit)

    def bounds(value: float) -> str:  # the unit stands in the heading of the estimate
        return printing.value(value, unit, digits, bare=True)

    return {
        "estimate": (f"{estimate}{printing.unit_heading(unit)}", bounds),
        "lower": (f"{printing.level_text(fit.level)} {interval} from", bounds),
        "upper": ("to", bounds),
    }

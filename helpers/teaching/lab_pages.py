"""The labs on their page: what a reader may set, what is guessed, and what came out, in words.

The page draws and fits in the reader's browser (``helpers/views/interactive/assets/lab.js``); the
start of every setting is the default of the function in `helpers.teaching.labs` that does the same
here, and the tests hold the one to the other. The words for what came out follow one rule in both.
"""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from .. import printing, ties
from ..arguments import one_of
from ..door import pd
from ..engine.distributions import norm_ppf, t_ppf
from ..evidence.pages import record
from ..views import plots
from ..views.interactive import Interactive
from . import labs

Printed = Literal["count", "percent", "number"]
#: A difference of more than so many standard errors of the simulation is said to be one.
ERRORS = 3.0
_WITHIN = f"{printing.word(int(ERRORS))} standard errors of the simulation"
_MOST_STUDIES = 60  # that a slider sets
_PRINTED: Mapping[Printed, Callable[[float], str]] = MappingProxyType(
    {
        "count": printing.count,
        "percent": lambda x: printing.percent(x, 0),
        "number": printing.number,
    }
)


@dataclass(frozen=True, slots=True)
class Control:
    """A slider: the parameter of the lab that it sets, its label, and the values that it has."""

    key: str
    label: str
    places: tuple[float, ...]
    printed: Printed


@dataclass(frozen=True, slots=True)
class LabTask:
    """An edit that the lab prescribes, and what to find out by it."""

    key: str
    value: float
    question: str


@dataclass(frozen=True, slots=True)
class LabPage:
    """One lab as the page shows it."""

    lab: Callable[..., pd.DataFrame]
    title: str
    x: str  # label of the values across
    at: str  # how a value across is called in a sentence, with one pair of braces
    printed: Printed  # of a value across
    y: str
    guess: str  # question before the first run: does `guessed` rise, stay or fall?
    guessed: str  # the curve
    controls: tuple[Control, ...]
    task: LabTask
    log: bool = False
    #: A number, or the parameter whose value it is; empty without one.
    reference: float | str = ""
    reference_label: str = ""
    refers: tuple[str, ...] = ()  # curves that the reference is for; all where none is named

    @property
    def start(self) -> dict[str, float]:
        """Numbers that the lab takes, and their defaults, without draws and seed."""
        return {
            name: one.default
            for name, one in inspect.signature(self.lab).parameters.items()
            if isinstance(one.default, (int, float)) and name not in {"draws", "seed"}
        }


def _read() -> dict[str, LabPage]:
    with (Path(__file__).parent / "lab_pages.toml").open("rb") as file:
        content: dict[str, dict[str, Any]] = tomllib.load(file)
    scales = content.pop("scales")
    pages = {}
    for key, about in content.items():
        controls = tuple(
            Control(parameter, label, tuple(scales[scale]["places"]), scales[scale]["printed"])
            for parameter, label, scale in about["controls"]
        )
        made = {"lab": getattr(labs, about["lab"]), "controls": controls}
        task = LabTask(*about["task"])
        pages[key] = record(LabPage, {**about, **made, "task": task}, f"lab {key!r}")
    return pages


LAB_PAGES: Mapping[str, LabPage] = MappingProxyType(_read())


def _reference(page: LabPage, found: pd.DataFrame) -> float | None:
    known = page.reference
    return (found.attrs[known] if known else None) if isinstance(known, str) else known


def _sentences(found: pd.DataFrame, page: LabPage) -> Iterable[str]:
    x, reference = found.columns[0], _reference(page, found)
    for name, part in found.groupby("curve", sort=False):
        ordered = part.iloc[ties.order(part[x])]
        (x0, v0, e0), (x1, v1, e1) = ordered[[x, "value", "mcse"]].to_numpy(float)[[0, -1]]
        a, b = printing.percent(v0), printing.percent(v1)
        start, end = (page.at.format(_PRINTED[page.printed](at)) for at in (x0, x1))
        if a == b:
            said = f"“{name}” is {a} at {start} and at {end}."
        elif abs(v1 - v0) > ERRORS * (e0**2 + e1**2) ** 0.5:
            said = (
                f"“{name}” goes {'up' if v1 > v0 else 'down'} from {a} at {start} to {b} at {end}."
            )
        else:
            said = f"“{name}” is {a} at {start} and {b} at {end}, a difference within {_WITHIN}."
        if reference is not None and name in (page.refers or [name]):
            its = f"the {page.reference_label} ({printing.percent(reference)})"
            if b == printing.percent(reference):
                said += f" At {end} it equals {its} to the digit shown."
            elif abs(v1 - reference) > ERRORS * e1:
                said += f" At {end} it is {'above' if v1 > reference else 'below'} {its}."
            else:
                said += f" At {end} it is off {its} by no more than {_WITHIN}."
        yield said


def came_out(key: str, found: pd.DataFrame) -> str:
    """Say what a lab found, in one sentence or two for each curve.

    Parameters
    ----------
    key : str
        One of `LAB_PAGES`.
    found : DataFrame
        What the lab returned.

    Returns
    -------
    str
        A curve goes up or down if its ends differ by more than `ERRORS` standard errors of the
        simulation, and as printed.

    Raises
    ------
    MetaAnalysisError
        An unknown lab.

    Examples
    --------
    >>> found = labs.i2_lab((50, 1000), (0.3,), draws=100)
    >>> came_out("i2", found).split(" from ")[0]
    '“τ = 0.3” goes up'
    """
    return " ".join(_sentences(found, LAB_PAGES[one_of("lab", key, LAB_PAGES)]))


def lab(key: str, found: pd.DataFrame, *, sizes: Iterable[int] = ()) -> Interactive:
    """Show a lab: a fixed picture of what was found, and the lab itself on a page with scripts.

    Parameters
    ----------
    key : str
        One of `LAB_PAGES`.
    found : DataFrame
        What the lab returned; the page has its values across and its curves.
    sizes : iterable of int
        Patients of the cohorts whose sizes the lab draws from or keeps.

    Raises
    ------
    MetaAnalysisError
        An unknown lab.

    Examples
    --------
    >>> lab("i2", labs.i2_lab((50, 1000), (0.3,), draws=50)).data["start"]["k"]
    20
    """
    page = LAB_PAGES[one_of("lab", key, LAB_PAGES)]
    x, counted, reference = found.columns[0], [int(n) for n in sizes], _reference(page, found)
    drawn = plots.lines(
        found, x=x, log=page.log, x_label=page.x, y_label=page.y, title=page.title,
        reference=None if reference is None else (page.reference_label, reference),
        caption=came_out(key, found),
    )  # fmt: skip
    data = {
        "key": key,
        "start": page.start,
        "controls": [
            {"key": one.key, "label": one.label, "values": one.places, "print": one.printed}
            for one in page.controls
        ],
        "x": {
            "name": x,
            "label": page.x,
            "at": page.at,
            "print": page.printed,
            "log": page.log,
            "values": list(dict.fromkeys(found[x].tolist())),
        },
        "y": page.y,
        "curves": list(dict.fromkeys(found["curve"])),
        "reference": page.reference,
        "reference_label": page.reference_label,
        "refers": page.refers,
        "errors": ERRORS,
        "within": _WITHIN,
        "guess": {"question": page.guess, "curve": page.guessed},
        "task": {"key": page.task.key, "value": page.task.value, "question": page.task.question},
        "sizes": counted,
        # of the t distribution with 1, 2, ... degrees of freedom, and of the normal
        "t": [
            float(f"{t_ppf(0.975, df):.13g}") for df in range(1, max(_MOST_STUDIES, len(counted)))
        ],
        "z": float(f"{norm_ppf(0.975):.13g}"),
    }
    return Interactive("lab", page.title, plots.show(drawn, f"lab-{key}"), data)

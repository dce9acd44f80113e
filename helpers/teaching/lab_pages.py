"""The labs on their page: what a reader may set, what is guessed, and what came out, in words.

The page draws and fits in the reader's browser (``helpers/views/interactive/assets/lab.js``); the
start of every setting is the default of the function in `helpers.teaching.labs` that does the same
here, and the tests hold the one to the other. The words for what came out follow one rule in both.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from .. import printing, ties
from ..engine.distributions import norm_ppf, t_ppf
from ..errors import MetaAnalysisError
from ..views.interactive import Interactive
from . import labs

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LAB_PAGES", "Control", "LabPage", "LabTask", "came_out", "lab"]

Printed = Literal["count", "percent", "number"]
#: A difference of more than so many standard errors of the simulation is said to be one.
ERRORS = 3.0
_MOST_STUDIES = 60  # that a slider sets
_PRINTED: Mapping[Printed, Callable[[float], str]] = MappingProxyType(
    {
        "count": printing.count,
        "percent": lambda x: printing.percent(x, 0),
        "number": printing.number,
    }
)
_K = (3, 5, 8, 10, 15, 20, 30, 40, 60)
_TAU = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 0.6, 0.8, 1.0)
_SIZE = (20, 30, 50, 60, 100, 200, 300, 500, 1000)
_RATE = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2, 0.3, 0.4, 0.5)


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
        found = {
            name: one.default
            for name, one in inspect.signature(self.lab).parameters.items()
            if isinstance(one.default, (int, float)) and name not in {"draws", "seed"}
        }
        lacking = [one.key for one in self.controls if found.get(one.key) not in one.places]
        if lacking:
            raise MetaAnalysisError(f"{self.title}: {', '.join(lacking)} cannot start there")
        return found


_OF_STUDIES = "With more studies, the probability for the confidence interval will …"
LAB_PAGES: Mapping[str, LabPage] = MappingProxyType(
    {
        "i2": LabPage(
            labs.i2_lab, "What I² is not", "Patients in each study", "{} patients", "count",
            "Mean I²", "With τ = 0.2 and larger studies, mean I² will …", "τ = 0.2",
            (Control("k", "Studies", _K, "count"),
             Control("proportion", "True rate", _RATE, "percent")),
            LabTask("k", 5, "Set 5 studies. Does the curve without heterogeneity go up or down?"),
            log=True,
        ),
        "prediction": LabPage(
            labs.prediction_lab, "Why prediction intervals", "Studies in the meta-analysis",
            "{} studies", "count", "Contains the rate of a new study", _OF_STUDIES,
            "confidence interval",
            (Control("tau", "True spread τ (logits)", _TAU, "number"),
             Control("proportion", "True rate", _RATE, "percent"),
             Control("size", "Patients in each study", _SIZE, "count")),
            LabTask("tau", 0.05, "Set τ to 0.05. Which interval behaves differently now, and why?"),
            reference=0.95, reference_label="nominal level",
        ),
        "zero": LabPage(
            labs.zero_tau_lab, "When τ² is estimated at zero", "Studies in the meta-analysis",
            "{} studies", "count", "Share, or probability",
            "With more studies, the share with τ² estimated at zero will …", "τ² estimated at zero",
            (Control("tau", "True spread τ (logits)", _TAU, "number"),
             Control("proportion", "True rate", _RATE, "percent"),
             Control("size", "Patients in each study", _SIZE, "count")),
            LabTask("size", 300, "Set 300 patients in each study. What becomes of the share?"),
            reference=0.95, reference_label="nominal level",
            refers=("prediction interval, τ² at zero", "prediction interval, τ² above zero"),
        ),
        "median": LabPage(
            labs.median_lab, "Median or mean of the true rates", "True spread τ (logits)",
            "τ = {}", "number", "Rate",
            "With a larger τ, the rate of all patients together will …", "all patients together",
            (Control("k", "Studies", _K, "count"),
             Control("proportion", "Median of the true rates", _RATE, "percent"),
             Control("size", "Patients in each study", _SIZE, "count")),
            LabTask("proportion", 0.5, "Set the median to 50%. How far apart are the curves now?"),
            reference="proportion", reference_label="median of the true rates",
        ),
        "egger": LabPage(
            labs.egger_lab, "How Egger's test errs for proportions",
            "True proportion of the typical cohort", "a true proportion of {}", "percent",
            "Sets in which the test rejects",
            "With a higher proportion, Egger's test will reject in a share that will …",
            "Egger (logit)",
            (Control("tau", "True spread τ (logits)", _TAU, "number"),),
            LabTask("tau", 0.0, "Set τ to 0. At which proportions does Egger's test still reject?"),
            reference=0.05, reference_label="nominal level",
        ),
        "back": LabPage(
            labs.back_transform_lab, "What Freeman and Tukey's transformation does",
            "Patients in the largest study", "{} patients", "count", "Mean pooled proportion",
            "With a larger study, the value by the harmonic mean will …",
            "double arcsine, harmonic mean",
            (Control("small", "Patients in each small study", (10, 20, 50, 100, 200, 500), "count"),
             Control("proportion", "True rate", _RATE, "percent")),
            LabTask("small", 200, "Set 200 patients. Does the failure disappear, or shrink?"),
            log=True, reference="proportion", reference_label="true proportion",
        ),
        "correction": LabPage(
            labs.correction_lab, "Continuity correction at work", "Patients in each study",
            "{} patients", "count", "Mean pooled proportion",
            "With larger studies, the value without studies that have no event will …",
            "studies without an event left out",
            (Control("proportion", "True rate", _RATE, "percent"),
             Control("tau", "True spread τ (logits)", _TAU, "number"),
             Control("k", "Studies", _K[1:], "count")),
            LabTask("proportion", 0.2, "Set the true rate to 20%. At which sizes do they agree?"),
            log=True, reference="proportion", reference_label="true rate",
        ),
        "coverage": LabPage(
            labs.coverage_lab, "Logits or counts, Wald or t", "Studies in the meta-analysis",
            "{} studies", "count", "Contains the true mean",
            "With more studies, the coverage of “logits, Knapp-Hartung” will …",
            "logits, Knapp-Hartung",
            (Control("proportion", "True rate", _RATE, "percent"),
             Control("tau", "True spread τ (logits)", _TAU, "number")),
            LabTask("tau", 0.0, "Set τ to 0. Which intervals contain the mean more often now?"),
            reference=0.95, reference_label="nominal level",
        ),
        "dependence": LabPage(
            labs.dependence_lab, "The same patients twice", "Centres that are reported twice",
            "{} centres reported twice", "count", "Contains the true mean",
            "With more repeated reports, the coverage of “every report on its own” will …",
            "every report on its own",
            (Control("shared", "Patients who are in both reports", (0.0, 0.25, 0.5, 0.75, 1.0),
                     "percent"),
             Control("tau", "True spread τ (logits)", _TAU, "number"),
             Control("proportion", "True rate", _RATE, "percent")),
            LabTask("shared", 0.0, "Set no shared patients. What do two reports still share?"),
            reference=0.95, reference_label="nominal level",
        ),
    }
)  # fmt: skip


def _page(key: str) -> LabPage:
    if key not in LAB_PAGES:
        raise MetaAnalysisError(f"lab {key!r}: expected one of {', '.join(LAB_PAGES)}")
    return LAB_PAGES[key]


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
            said = (
                f"“{name}” is {a} at {start} and {b} at {end}, a difference within the error of "
                "the simulation."
            )
        if reference is not None and name in (page.refers or [name]):
            its = f"the {page.reference_label} ({printing.percent(reference)})"
            if b == printing.percent(reference):
                said += f" At {end} it equals {its} to the digit shown."
            elif abs(v1 - reference) > ERRORS * e1:
                said += f" At {end} it is {'above' if v1 > reference else 'below'} {its}."
            else:
                said += f" At {end} it is within the error of the simulation of {its}."
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
    return " ".join(_sentences(found, _page(key)))


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

    Returns
    -------
    Interactive

    Raises
    ------
    MetaAnalysisError
        An unknown lab.

    Examples
    --------
    >>> lab("i2", labs.i2_lab((50, 1000), (0.3,), draws=50)).data["start"]["k"]
    20
    """
    from ..views import plots

    page = _page(key)
    x, counted, reference = found.columns[0], [int(n) for n in sizes], _reference(page, found)
    words: dict[str, Any] = {} if reference is None else {"reference_label": page.reference_label}
    drawn = plots.lines(
        found, x=x, log=page.log, reference=reference, x_label=page.x, y_label=page.y,
        title=page.title, caption=came_out(key, found), **words,
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

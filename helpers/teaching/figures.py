"""Pictures that self-check questions ask to be read: few marks, drawn from data, told in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from types import MappingProxyType

import numpy as np

from .. import printing
from ..door import pd
from ..engine.distributions import expit, norm_ppf
from ..engine.effects import study_interval
from ..evidence import data_folder
from ..models.pooling import pool

_LEFT, _WIDE, _ROW, _TOP = 76.0, 234.0, 22.0, 14.0  # on a phone letters keep their size
_Z = float(norm_ppf(0.975))


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture of a question: its SVG, which takes the colour of the text, and its words."""

    svg: str
    alt: str


def _svg(marks: Iterable[str], height: float, alt: str) -> Figure:
    width = _LEFT + _WIDE + 20
    return Figure(
        f'<svg xmlns="http://www.w3.org/2000/svg" class="quiz-figure" role="img" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" '
        f'font-family="sans-serif" font-size="13" fill="currentColor" stroke="none" '
        f'width="{width:.0f}" height="{height:.0f}">'
        f"<title>{escape(alt)}</title>{''.join(marks)}</svg>",
        alt,
    )


def _intervals(
    rows: Sequence[tuple[str, float, float, float]], low: float, high: float, alt: str,
    ticks: Sequence[float],
) -> Figure:  # fmt: skip
    """Draw rows of label, estimate and limits, all of them fractions."""

    def x(value: float) -> float:
        return _LEFT + _WIDE * (value - low) / (high - low)

    base, marks = _TOP + _ROW * len(rows), []
    for tick in ticks:
        dash = ' stroke-dasharray="2 4"' if tick else ""
        marks.append(
            f'<path d="M{x(tick):.1f} 4V{base:.1f}" stroke="currentColor" opacity=".4"{dash}/>'
            f'<text x="{x(tick):.1f}" y="{base + 16:.1f}" text-anchor="middle">'
            f"{printing.percent(tick, 0)}</text>"
        )
    for i, (label, mid, a, b) in enumerate(rows):
        y = _TOP + _ROW * (i + 0.5)
        marks.append(
            f'<text x="4" y="{y + 4:.1f}">{escape(label)}</text>'
            f'<path d="M{x(a):.1f} {y:.1f}H{x(b):.1f}" stroke="currentColor" stroke-width="2"/>'
            f'<circle cx="{x(mid):.1f}" cy="{y:.1f}" r="4"/>'
        )
    return _svg(marks, base + 24, alt)


def _trials() -> tuple[np.ndarray, np.ndarray]:
    found = pd.read_csv(data_folder() / "examples" / "viral_suppression.csv")
    return found["events"].to_numpy(), found["n"].to_numpy()


def _mean_and_next() -> Figure:
    events, n = _trials()
    fit = pool(events=events, n=n, measure="logit", model="random")
    a, b = study_interval(events, n, method="wilson")
    rows = [("", x / m, lo, hi) for x, m, lo, hi in zip(events, n, a, b, strict=True)]
    mean, new = fit.ci, fit.prediction_interval()
    rows += [("Line 1", fit.estimate, *mean), ("Line 2", fit.estimate, *new)]
    alt = (
        f"Forest plot of {printing.word(len(n))} trials with two lines below them around "
        f"{printing.percent(fit.estimate, 0)}: line 1 is {printing.percent_range(mean, 0)}, line 2 "
        f"{printing.percent_range(new, 0)}."
    )
    return _intervals(rows, 0.0, 1.0, alt, (0.0, 0.25, 0.5, 0.75, 1.0))


def _weights() -> Figure:
    events, n = _trials()
    # the smallest, the middle and the largest, in an order that does not tell
    order = np.lexsort((events, n))
    chosen = [order[len(n) // 2], order[-1], order[0]]
    x, m = events[chosen], n[chosen]
    a, b = study_interval(x, m, method="wilson")
    rows = [
        (f"Trial {number}", *row)
        for number, row in zip("123", zip(x / m, a, b, strict=True), strict=True)
    ]
    told = "; ".join(f"{label} {printing.percent_range((lo, hi), 0)}" for label, _, lo, hi in rows)
    alt = f"Intervals of three trials: {told}."
    return _intervals(rows, 0.0, 1.0, alt, (0.0, 0.25, 0.5, 0.75, 1.0))


def _wald() -> Figure:
    x, n = 1, 16
    a, b = study_interval([x], [n], method="wilson")
    p = x / n
    half = _Z * (p * (1 - p) / n) ** 0.5
    rows = [("Interval 1", p, float(a[0]), float(b[0])), ("Interval 2", p, p - half, p + half)]
    wilson = printing.percent_range((rows[0][2], rows[0][3]))
    alt = (
        f"Two intervals around {printing.percent(p)}: 1 is {wilson}, "
        f"2 goes from below zero to {printing.percent(p + half)}."
    )
    return _intervals(rows, -0.1, 0.4, alt, (0.0, 0.1, 0.2, 0.3, 0.4))


def _funnel() -> Figure:
    """Draw studies with one true rate, at the middle of their distribution of events and around."""
    rate, marks = 0.06, []
    sizes = np.array([20, 20, 30, 30, 45, 60, 60, 90, 120, 180, 250, 400])
    events = np.array([0, 3, 1, 4, 2, 2, 6, 5, 8, 10, 16, 24])
    yes, no = events + 0.5 * (events == 0), sizes - events + 0.5 * (events == 0)
    y, se = np.log(yes / no), np.sqrt(1 / yes + 1 / no)
    centre = float(np.log(rate / (1 - rate)))
    for at, error in zip(y, se, strict=True):
        x = _LEFT + _WIDE * (at + 5.0) / 5.0
        marks.append(f'<circle cx="{x:.1f}" cy="{_TOP + 100 * error:.1f}" r="4"/>')
    x = _LEFT + _WIDE * (centre + 5.0) / 5.0
    marks.append(f'<path d="M{x:.1f} 6V175" stroke="currentColor" stroke-dasharray="4 4"/>')
    marks.append(f'<text x="{_LEFT:.0f}" y="196">lower logits</text>')
    marks.append(f'<text x="{_LEFT + _WIDE:.0f}" y="196" text-anchor="end">higher logits</text>')
    marks.append('<text x="4" y="20">precise</text><text x="4" y="170">imprecise</text>')
    below = int((y[se > np.median(se)] < centre).sum())
    alt = (
        f"Funnel plot of {printing.word(len(y))} cohorts with one true rate of "
        f"{printing.percent(float(expit(centre)), 0)}: precise cohorts lie near the line, and the "
        f"cohort with the largest standard error lies furthest to the left; of the imprecise half, "
        f"{printing.word(below)} lie left of the line."
    )
    return _svg(marks, 204, alt)


#: Pictures by the name that a question gives.
FIGURES: Mapping[str, Callable[[], Figure]] = MappingProxyType(
    {"mean-and-next": _mean_and_next, "weights": _weights, "wald": _wald, "funnel": _funnel}
)


def figure(name: str) -> Figure:
    """Draw the picture of a question.

    >>> figure("wald").alt
    'Two intervals around 6.3%: 1 is 1.1 to 28.3%, 2 goes from below zero to 18.1%.'
    """
    return FIGURES[name]()

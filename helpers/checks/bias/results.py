"""Frozen results of the small-study methods, and the cautions that they carry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from ... import printing
from ...engine.effects import get_measure
from ...engine.literature import Methods, Reference
from ...engine.normal.intervals import Interval
from ...engine.options import FEW_STUDIES
from ...engine.shown import PlainResult, Row, estimate_row, number, p_text, with_interval
from ...engine.summaries import Caution
from ...errors import UnsupportedError
from .data import CORRELATED, FunnelData


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SmallStudyResult(PlainResult):
    """What all results of this package have.

    `k` studies take part; `sentence` is the method in words (see `methods`), with its sources and
    what to keep in mind.
    """

    k: int
    sentence: str
    references: tuple[Reference, ...]
    cautions: tuple[Caution, ...] = ()

    def methods(self) -> Methods:
        """How the result was made: one sentence and its references."""
        return Methods(self.sentence, self.references)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Displayed(SmallStudyResult):
    """An estimate with its interval, on the scale that readers know.

    `mu` and `mu_ci` (at `level`) are on the model scale, whose name is `measure`.
    """

    #: Why a measure whose inverse needs a sample size has no display scale here.
    no_size: ClassVar[str] = ""
    mu: float
    mu_ci: Interval
    level: float
    measure: str

    def _headline(self) -> str:
        return get_measure(self.measure).label

    def _said(self) -> Iterator[Row]:
        yield "studies", printing.count(self.k)
        yield estimate_row(self)
        yield from self._adjusted()

    def _adjusted(self) -> Iterator[Row]:
        """Say what the method did to the estimate."""
        yield from ()

    @property
    def estimate(self) -> float:
        """`mu` on the display scale."""
        return self._display(self.mu)

    @property
    def ci(self) -> Interval:
        """`mu_ci` on the display scale."""
        return Interval(*(self._display(limit) for limit in self.mu_ci))

    def _display(self, value: float) -> float:
        scale = get_measure(self.measure)
        if scale.needs_size:
            raise UnsupportedError(
                f"{self.measure}: {self.no_size}; use the model-scale values, or the arcsine "
                "measure"
            )
        return float(scale.inverse(value))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BiasTest(SmallStudyResult):
    """Result of one test for small-study effects.

    Attributes
    ----------
    name : str
        Name of the test.
    predictor : str
        What stands for study size: one of `helpers.checks.bias.lines.PREDICTORS`.
    model : {"multiplicative", "random", "rank"}
        Free residual variance, additive between-study variance, or rank correlation.
    measure : str
        Scale of the effects.
    bias, se : float
        Slope and its standard error (rank test: Kendall's score and its standard deviation).
    statistic : float
        ``bias / se`` (with the continuity correction if one was asked for).
    statistic_name : {"t", "z"}
        Its reference distribution.
    df : float or None
        Degrees of freedom of t; None for z.
    p : float
        Two-sided p-value.
    dispersion : float or None
        Residual variance of the weighted regression, 1 if sampling error alone is at work.
        The R package meta prints it as "tau^2" beside Egger's test. None for the others.
    tau2 : float or None
        Additive between-study variance of the random-effects model.
    intercept, intercept_se : float or None
        The line at a predictor of zero.
    limit : float or None
        Estimate for an infinitely large study (the intercept), for the predictors that are
        zero there; model scale.
    limit_ci : Interval or None
        Its interval at `level`.
    tau : float or None
        Kendall's tau (rank test).
    level : float
        Level of `limit_ci`.
    converged : bool
        State of the tau2 estimate (true for closed forms).
    k, sentence, references, cautions
        As in `SmallStudyResult`.
    """

    name: str
    predictor: str
    model: str
    measure: str
    bias: float
    se: float
    statistic: float
    statistic_name: str
    p: float
    level: float
    df: float | None = None
    dispersion: float | None = None
    tau2: float | None = None
    intercept: float | None = None
    intercept_se: float | None = None
    limit: float | None = None
    limit_ci: Interval | None = None
    tau: float | None = None
    converged: bool = True

    def _headline(self) -> str:
        return f"{self.name}, {get_measure(self.measure).label}"

    def _said(self) -> Iterator[Row]:
        yield "studies", printing.count(self.k)
        what = "score" if self.model == "rank" else "slope"
        yield what, f"{number(self.bias)}, standard error {number(self.se)}"
        df = "" if self.df is None else f", df = {number(self.df)}"
        yield "test", f"{self.statistic_name} = {number(self.statistic)}{df}, {p_text(self.p)}"
        if self.limit is not None:
            limit = with_interval(self.limit, self.limit_ci, self.level)
            yield "largest study", f"{limit} on the {self.measure} scale"
        if self.tau2 is not None:
            yield "τ²", number(self.tau2)

    @property
    def small_studies(self) -> str:
        """Whether smaller studies tend to "lower", "higher" or "equal" effects."""
        sign = -1.0 if self.predictor in ("ni", "sqrtni") else 1.0
        toward = sign * self.bias
        return "higher" if toward > 0 else "lower" if toward < 0 else "equal"

    def summary_frame(self) -> pd.DataFrame:
        """One row: k, bias, se, statistic, df, p, dispersion, tau2, limit (index: the test)."""
        columns = ("k", "bias", "se", "statistic", "df", "p", "dispersion", "tau2", "limit")
        row = {c: getattr(self, c) for c in columns}
        frame = pd.DataFrame([row], index=pd.Index([self.name], name="test"))
        return frame.astype({c: float for c in columns if c != "k"})


def few_studies(k: int) -> tuple[Caution, ...]:
    """Caution below ten studies (Sterne et al. 2011, doi:10.1136/bmj.d4002)."""
    if k >= FEW_STUDIES:
        return ()
    return (
        Caution(
            "few-studies-test",
            f"With {printing.counted(k, 'study', 'studies')} a test for small-study effects has "
            "too little power to tell chance from asymmetry.",
        ),
    )


def regression_cautions(data: FunnelData, predictor: str) -> tuple[Caution, ...]:
    """Cautions of a regression test: few studies, and correlation by construction."""
    found = few_studies(data.k)
    if predictor in ("sei", "vi") and data.measure.name in CORRELATED:
        found += (
            Caution(
                "correlated-by-construction",
                f"The sampling variance of a {data.measure.label} is computed from the estimate "
                "itself, so that estimate and standard error are correlated without any bias: "
                "compare with a test based on the sample size.",
            ),
        )
    return found

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
    """What all results of this package have."""

    k: int  # Studies that take part
    sentence: str  # The method in words (see `methods`)
    references: tuple[Reference, ...]  # Its sources
    cautions: tuple[Caution, ...] = ()  # What to keep in mind

    def methods(self) -> Methods:
        """How the result was made: one sentence and its references."""
        return Methods(self.sentence, self.references)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Displayed(SmallStudyResult):
    """An estimate with its interval, on the scale that readers know."""

    #: Why a measure whose inverse needs a sample size has no display scale here.
    no_size: ClassVar[str] = ""
    #: The estimate and its Wald interval at `level`, on the model scale
    mu: float
    mu_ci: Interval
    level: float  # Of `mu_ci`
    measure: str  # Name of the model scale

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
    """Result of one test for small-study effects."""

    name: str  # Name of the test
    predictor: str  # What stands for study size: one of `helpers.checks.bias.lines.PREDICTORS`
    #: {"multiplicative", "random", "rank"}: Free residual variance, additive between-study
    #: variance, or rank correlation
    model: str
    measure: str  # Scale of the effects
    #: Slope and its standard error (rank test: Kendall's score and its standard deviation)
    bias: float
    se: float
    statistic: float  # ``bias / se`` (with the continuity correction if one was asked for)
    statistic_name: str  # {"t", "z"}: Its reference distribution
    p: float  # Two-sided p-value
    level: float  # Level of `limit_ci`
    df: float | None = None  # Degrees of freedom of t; None for z
    #: Residual variance of the weighted regression, 1 if sampling error alone is at work. The R
    #: package meta prints it as "tau^2" beside Egger's test. None for the others.
    dispersion: float | None = None
    tau2: float | None = None  # Additive between-study variance of the random-effects model
    #: The line at a predictor of zero
    intercept: float | None = None
    intercept_se: float | None = None
    #: Estimate for an infinitely large study (the intercept), for the predictors that are zero
    #: there; model scale
    limit: float | None = None
    limit_ci: Interval | None = None  # Its interval at `level`
    tau: float | None = None  # Kendall's tau (rank test)
    converged: bool = True  # State of the tau2 estimate (true for closed forms)

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
            f"With {printing.studies(k)} a test for small-study effects has "
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

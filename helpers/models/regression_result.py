"""The result of a meta-regression: frozen numbers, and views made from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import printing
from ..engine.aftercare.coefficient_permutation import PermutationTest, permutation_test
from ..engine.literature import Methods
from ..engine.model import Model
from ..engine.normal.intervals import Interval
from ..engine.robust import RobustCovariance
from ..engine.shown import Row, number, p_text, percent
from ..engine.studies import StudyData
from ..engine.summaries import Caution, Heterogeneity
from ..engine.wald import ModelTest
from ..errors import MetaAnalysisError, UnsupportedError
from . import coefficients as views
from .base import Coefficients
from .design import Design
from .heterogeneity import HeterogeneityIntervals, heterogeneity_intervals
from .new_study import Side

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

__all__ = ["RegressionResult"]


@dataclass(frozen=True, slots=True, repr=False)
class RegressionResult(Coefficients):
    """A meta-regression with everything needed to report and to question it.

    Attributes
    ----------
    formula : str
        Moderators.
    robust : str or None
        Kind of cluster-robust covariance. The other choices are read from `core`: `measure`,
        `model`, `tau2_method`, `ci_method` and `level`.
    k, p : int
        Included studies and coefficients.
    names : tuple of str
        Coefficients, in the order of every array.
    estimates, covariance, df : ndarray
        Coefficients (p,), their covariance (p, p) with the Knapp-Hartung factor or the robust
        correction, and degrees of freedom (p,) (inf: normal distribution).
    tau2, tau2_se : float
        Residual between-study variance and its standard error (NaN where there is none).
    knapp_hartung_factor : float
        Knapp-Hartung factor s2 = sum(w r^2)/(k - p); NaN for the GLMM.
    heterogeneity : Heterogeneity
        Residual heterogeneity; `I2` in percent.
    R2 : float or None
        Percent of the between-study variance that the moderators account for,
        100 max(0, (tau2 without moderators - tau2)/tau2 without moderators) on the same rows
        (Raudenbush 2009); None where tau2 without moderators is 0 or not estimated.
    omnibus : ModelTest
        Test of all moderators (of all coefficients if there is no intercept).
    loglik, loglik_restricted : float
        Log-likelihoods at the estimates (restricted: NaN for the GLMM).
    converged : bool
    cautions : tuple of Caution
    design, core, data : Design, Model, StudyData
        What was fitted: design, included studies, all rows given.
    moderators : DataFrame
        Moderator columns of all rows given (treat as read-only).
    cluster : tuple or None
        Cluster of each included study.
    robust_covariance : RobustCovariance or None
    """

    formula: str
    robust: str | None
    k: int
    p: int
    names: tuple[str, ...]
    estimates: Array
    covariance: Array
    df: Array
    tau2: float
    tau2_se: float
    knapp_hartung_factor: float
    heterogeneity: Heterogeneity
    R2: float | None
    omnibus: ModelTest
    loglik: float
    loglik_restricted: float
    converged: bool
    cautions: tuple[Caution, ...]
    design: Design = field(repr=False)
    core: Model = field(repr=False)
    data: StudyData = field(repr=False)
    moderators: pd.DataFrame = field(repr=False, compare=False)
    cluster: tuple[Any, ...] | None = field(repr=False, default=None)
    robust_covariance: RobustCovariance | None = field(repr=False, default=None)

    def _headline(self) -> str:
        return f"{self.formula}; {Coefficients._headline(self)}"

    def _said(self) -> Iterator[Row]:
        yield "studies", f"{self.k}, for {printing.counted(self.p, 'coefficient')}"
        yield from self._coefficients_said()
        explained = "" if self.R2 is None else f"; R² {percent(self.R2 / 100, 0)}"
        yield "τ²", f"{number(self.tau2)}{explained}"
        yield "all moderators", p_text(self.omnibus.p)

    # --- numbers by their usual names ---------------------------------------------------------

    @property
    def terms(self) -> tuple[str, ...]:
        """Terms of the formula, without the intercept."""
        return tuple(self.design.terms)

    @property
    def studies(self) -> pd.DataFrame:
        """All rows given, excluded ones with their reason; index "study"."""
        return views.studies_frame(self)

    @property
    def weights(self) -> Array:
        """Percent for each row of `data`, 0 for excluded rows."""
        every = np.zeros(len(self.data.labels))
        every[self.data.included] = self.residuals["weight"]
        return every

    @property
    def residuals(self) -> pd.DataFrame:
        """Fitted values, residuals, leverage and weight (percent) of the included studies."""
        from .regression_diagnostics import residual_frame

        return residual_frame(self)

    @property
    def fitted(self) -> pd.Series[float]:
        """Fitted values on the model scale."""
        return self.residuals["fitted"]

    @property
    def leverage(self) -> pd.Series[float]:
        """Hat values; they sum to the number of coefficients."""
        return self.residuals["leverage"]

    # --- tests --------------------------------------------------------------------------------

    def test_terms(self, *terms: str) -> ModelTest:
        """Test that all coefficients of one or several terms are 0.

        A term may be named without its ``C(...)``; without arguments all terms are tested.

        Raises
        ------
        MetaAnalysisError
            A name that is not a term.
        """
        at: list[int] = []
        for name in terms or self.terms:
            at += self._columns(name)
        if not at:
            raise MetaAnalysisError("the formula has no moderators to test")
        return self.wald(np.eye(self.p)[at], label=" + ".join(terms or self.terms))

    def _columns(self, name: str) -> tuple[int, ...]:
        if name in self.design.terms:
            return self.design.terms[name]
        wrapped = [t for t in self.terms if t.startswith((f"C({name},", f"C({name})"))]
        if len(wrapped) == 1 and ":" not in wrapped[0]:
            return self.design.terms[wrapped[0]]
        raise MetaAnalysisError(f"no term {name!r}; the terms are {', '.join(self.terms)}")

    def likelihood_ratio_test(self, nested: str | RegressionResult = "1") -> ModelTest:
        """Likelihood-ratio test against a nested model, both fitted by maximum likelihood.

        Parameters
        ----------
        nested : str or RegressionResult, default "1"
            Formula of the smaller model (its columns are taken from the same rows), or its fit.

        Raises
        ------
        MetaAnalysisError
            The models are not nested, or were fitted to different studies.
        """
        return views.likelihood_ratio(self, nested)

    def vif(self) -> pd.DataFrame:
        """Variance inflation factors of coefficients and generalised ones of terms.

        Columns: kind ("coefficient" or "term"), df, gvif, sif = gvif^(1/(2 df)), the factor by
        which a standard error grew (Fox and Monette 1992, doi:10.1080/01621459.1992.10475190).
        The intercept is left out.
        """
        return views.inflation(self)

    def permutation_test(
        self, draws: int | str = 1000, *, seed: int | None = 1, null: float = 0.0
    ) -> PermutationTest:
        """Permutation p-values of all moderators, each term and each coefficient.

        Parameters
        ----------
        draws : int or "exact"
            Random arrangements (to which the observed one is added, Phipson and Smyth 2010,
            doi:10.2202/1544-6115.1585), or all distinct ones.
        seed : int or None
            Seed of the random arrangements (None: different each time).
        null : float
            Without moderators: value around which the signs of the effects are flipped.

        Returns
        -------
        PermutationTest

        Raises
        ------
        UnsupportedError
            Too many arrangements for an exact test, a robust fit, or a GLMM without moderators.

        Examples
        --------
        >>> import pandas as pd
        >>> from helpers.models.regression import meta_regression
        >>> data = pd.DataFrame(
        ...     {"y": [0.1, 0.4, 0.9, 1.1, 1.4], "v": [0.1] * 5, "x": [0, 1, 2, 3, 4]}
        ... )
        >>> fit = meta_regression(data, "x", yi="y", vi="v", ci_method="knapp-hartung")
        >>> round(fit.permutation_test("exact").p, 4)
        0.0167
        """
        if self.robust is not None:
            raise UnsupportedError(
                "permuting studies ignores their clusters; permute a fit without cluster="
            )
        return permutation_test(
            self.core, self.design, self.ci_method, draws=draws, seed=seed, null=null
        )

    def leave_one_out(self, by: Any = None) -> pd.DataFrame:
        """Coefficients, tau2 and Q without each study or cluster in turn (one batch).

        Parameters
        ----------
        by : str, array_like or Series, optional
            Cluster of each study: "cluster" (that of the fit), a moderator, or values as in
            `helpers.aftercare.leave_one_out`. Default: single studies.

        Returns
        -------
        DataFrame
            Index: what is left out; a column for each coefficient and its standard error
            ("se(...)", of the model, not the robust one), `tau2`, `Q`, `converged` and
            `estimable` (False, and NaN, where the rest does not tell the coefficients apart).
        """
        from .regression_diagnostics import leave_one_out_frame

        return leave_one_out_frame(self, by)

    # --- intervals and predictions ------------------------------------------------------------

    def tau2_ci(self, method: str | None = None, level: float | None = None) -> Interval:
        """Confidence interval for the residual between-study variance.

        Parameters
        ----------
        method : {"q-profile", "profile"}, optional
            Default "q-profile" (Viechtbauer 2007, doi:10.1002/sim.2514); "profile" likelihood
            for ML, REML and (the only one) the GLMM.
        level : float, optional
            Default: the level of the fit.

        Returns
        -------
        Interval
            NaN limits where the Q-profile set is empty
            (`helpers.engine.normal.tau2_intervals.is_empty`).
        """
        return views.tau2_interval(self, method, level)

    def heterogeneity_ci(
        self, method: str | None = None, level: float | None = None
    ) -> HeterogeneityIntervals:
        """Intervals of the residual tau2, tau, I2 and H2 (see `helpers.models.heterogeneity`)."""
        return heterogeneity_intervals(self, method, level)

    def probability_beyond(
        self,
        bound: float,
        side: Side = "above",
        new_data: pd.DataFrame | Mapping[str, Sequence[Any]] | None = None,
        *,
        level: float | None = None,
    ) -> pd.DataFrame:
        """Probability that the true effect of a new study lies beyond a bound.

        Parameters
        ----------
        bound : float
            On the display scale, e.g. 0.10 for a proportion of 10 percent.
        side : {"above", "below"}
        new_data : DataFrame or mapping, optional
            Moderators of the rows; default: the included studies.
        level : float, optional
            Default: the level of the fit.

        Returns
        -------
        DataFrame
            Columns `estimate`, `ci_lower`, `ci_upper`; limits by the delta method on the normal
            deviate (see `helpers.models.new_study`), NaN where the residual tau2 is 0.
        """
        return views.beyond(self, bound, side, new_data, level)

    # --- views --------------------------------------------------------------------------------

    def summary_frame(self) -> pd.DataFrame:
        """One-row table of the model's numbers; index "formula"."""
        return views.summary(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything that JSON can hold; missing values are None."""
        return views.as_dict(self)

    def methods(self) -> Methods:
        """Say in one sentence how the result was made, with references."""
        return views.methods(self)

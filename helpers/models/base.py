"""What results share: the choices they read, the display scale, and the tests of coefficients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike

from .. import printing
from ..arguments import Array, level_of, one_of
from ..door import pd
from ..engine.effects import Measure, get_measure
from ..engine.model import Model
from ..engine.normal.intervals import symmetric_limits
from ..engine.normal.prediction import prediction_limits
from ..engine.options import Options
from ..engine.robust import RobustCovariance
from ..engine.shown import Row, Shown, p_text, with_interval
from ..engine.studies import StudyData
from ..engine.summaries import Caution, Heterogeneity
from ..engine.wald import ModelTest, coefficient_table, wald_test
from ..errors import MetaAnalysisError, UnsupportedError

if TYPE_CHECKING:
    from ..engine.aftercare import GoshResult, InfluenceResult
    from ..engine.aftercare.resampled import BootstrapResult
    from ..engine.aftercare.sign_flips import SignFlipTest
    from ..engine.model import Fitted, FittedRegression
    from .design import Design

#: Names of the models as a heading has them.
_MODELS = {"common": "common effect", "random": "random effects", "glmm": "GLMM"}


#: Coefficients that a result shows of itself.
_SHOWN = 4


class Result(Shown):
    """A result made of studies and choices."""

    __slots__ = ()

    if TYPE_CHECKING:  # what each result brings
        data: StudyData
        options: Any
        back_size: Any
        weights: Any  # percent for each row of `data`

    def _headline(self) -> str:
        model = _MODELS.get(self.model, self.model)
        by = f" ({self.tau2_method})" if self.model == "random" and self.tau2_method else ""
        return f"{model}{by}, {self.scale.label}, interval {self.ci_method}"

    @property
    def measure(self) -> str:
        """Name of the effect measure."""
        return self.options.measure

    @property
    def kind(self) -> str:
        """What the display scale is: "proportion", "rate" or "effect"."""
        return self.scale.kind

    @property
    def model(self) -> str:
        """One of "common", "random" and "glmm"."""
        return self.options.model

    @property
    def tau2_method(self) -> str | None:
        """Estimator of tau2 (None without between-study variance, and where tau2 was given)."""
        return None if self.options.tau2_source == "given" else self.options.tau2_method

    @property
    def ci_method(self) -> str:
        """Method of the intervals and tests."""
        return self.options.ci_method

    @property
    def level(self) -> float:
        """Confidence level of the intervals unless another is asked for."""
        return self.options.level

    @property
    def scale(self) -> Measure:
        """The measure itself, with its transformation and inverse."""
        return get_measure(self.options.measure)

    @property
    def events(self) -> float | None:
        """Events in the included studies; None where effects were given."""
        return _total(self.data.events, self.data)

    @property
    def n(self) -> float | None:
        """Patients of the included studies; None for rates, and where sizes were not given."""
        return None if self.kind == "rate" else _total(self.data.size, self.data)

    @property
    def time(self) -> float | None:
        """Person-time of the included studies, for rates."""
        return _total(self.data.size, self.data) if self.kind == "rate" else None

    def to_display(self, value: float) -> float:
        """Turn a model-scale value into a proportion, rate or effect."""
        return float(self.scale.inverse(value, self.back_size))

    def _level(self, level: float | None) -> float:
        """Level asked for, or that of the fit."""
        return level_of(self.level if level is None else level)


def _total(values: Array | None, data: StudyData) -> float | None:
    return None if values is None else float(values[data.included].sum())


class Diagnosed(Result):
    """A result of which single studies, or clusters, can be held against the others."""

    __slots__ = ()

    def influence(self, by: Any = None) -> InfluenceResult:
        """Compute deletion diagnostics (see `helpers.aftercare.influence`)."""
        from ..engine.aftercare import influence

        return influence(cast("Fitted | FittedRegression", self), by)

    def baujat(self, by: Any = None) -> pd.DataFrame:
        """Set heterogeneity against influence (see `helpers.aftercare.baujat`)."""
        from ..engine.aftercare import baujat

        return baujat(cast("Fitted | FittedRegression", self), by)


class Pooled(Diagnosed):
    """A result with one mean, whose studies can be fitted again: what chance and studies do."""

    __slots__ = ()

    if TYPE_CHECKING:  # what each result brings
        mu: Any
        k: int

    @property
    def one_sided(self) -> bool:
        """Whether the estimate is none or all, with an exact limit on the other side only.

        This happens when `helpers.pool` by a likelihood is given studies without an event (or
        with nothing but events): `mu` is infinite, `se`, `tau2` and `heterogeneity` are NaN
        (`tau2` is 0 for a common effect), and `ci_method` is "exact".
        """
        return bool(np.isinf(self.mu))

    @property
    def shows_heterogeneity(self) -> bool:
        """Whether the studies can say how much they differ: at least two, and not one-sided."""
        return self.k > 1 and not self.one_sided

    def leave_one_out(self, by: Any = None) -> pd.DataFrame:
        """Pool again without each study or cluster (see `helpers.aftercare.leave_one_out`)."""
        from ..engine.aftercare import leave_one_out

        return leave_one_out(cast("Fitted", self), by)

    def cumulative(self, by: Any = None, *, ascending: bool = True) -> pd.DataFrame:
        """Add the studies one by one (see `helpers.aftercare.cumulative`)."""
        from ..engine.aftercare import cumulative

        return cumulative(cast("Fitted", self), by, ascending=ascending)

    def gosh(self, subsets: str | int = "all", **options: Any) -> GoshResult:
        """Fit every subset of the studies (see `helpers.engine.aftercare.all_subsets`)."""
        from ..engine.aftercare import gosh

        return gosh(cast("Fitted", self), subsets, **options)

    def bootstrap(
        self,
        draws: int = 2000,
        kind: Literal["parametric", "nonparametric"] = "parametric",
        **options: Any,
    ) -> BootstrapResult:
        """Bootstrap mean and heterogeneity (see `helpers.engine.aftercare.resampled`)."""
        from ..engine.aftercare.resampled import bootstrap

        return bootstrap(cast("Fitted", self), draws, kind, **options)

    def permutation_test(self, null: float, **options: Any) -> SignFlipTest:
        """Test a mean by flipping signs (see `helpers.engine.aftercare.sign_flips`)."""
        from ..engine.aftercare.sign_flips import permutation_test

        return permutation_test(cast("Fitted", self), null, **options)


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Coefficients(Result):
    """A result with a vector of coefficients: tables, tests and predictions of them."""

    formula: str  # Moderators
    #: Kind of cluster-robust covariance. The other choices are read from `core`: `measure`,
    #: `model`, `tau2_method`, `ci_method` and `level`.
    robust: str | None
    #: Included studies and coefficients
    k: int
    p: int
    names: tuple[str, ...]  # Coefficients, in the order of every array
    #: Coefficients (p,), their covariance (p, p) with the Knapp-Hartung factor or the robust
    #: correction, and degrees of freedom (p,) (inf: normal distribution)
    estimates: Array
    covariance: Array
    df: Array
    heterogeneity: Heterogeneity  # Residual heterogeneity; `I2` in percent
    #: Test of all moderators; without moderators, or without intercept, of all coefficients
    omnibus: ModelTest
    #: Log-likelihoods at the estimates (restricted: NaN for the GLMM)
    loglik: float
    loglik_restricted: float
    converged: bool  # Whether the fit reached its maximum
    cautions: tuple[Caution, ...]
    #: What was fitted: design, included studies, all rows given
    design: Design
    core: Model
    data: StudyData
    robust_covariance: RobustCovariance | None = None

    if TYPE_CHECKING:
        tau2: Any

    def _coefficients_said(self) -> Iterator[Row]:
        """Give a row for each of the first coefficients."""
        table = self.coefficients[["estimate", "ci_lower", "ci_upper", "p"]]
        told = table.head(_SHOWN if self.p <= _SHOWN else _SHOWN - 1)
        for name, estimate, lower, upper, p in told.itertuples():
            text = with_interval(estimate, (lower, upper), self.level)
            yield printing.readable(name), f"{text}, {p_text(p)}"
        if len(told) < self.p:
            yield "…", f"{self.p - len(told)} more in .coefficients"

    @property
    def options(self) -> Options:
        """Every choice."""
        return self.core.options

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the included studies, in order."""
        return self.core.labels

    @property
    def back_size(self) -> float | None:
        """Sample size of the back-transformation (Freeman-Tukey measures only)."""
        size = self.core.size
        return None if not self.scale.needs_size or size is None else float(1 / np.mean(1 / size))

    @property
    def coefficients(self) -> pd.DataFrame:
        """Table of estimate, se, statistic, df (inf: normal), p, ci_lower, ci_upper by term."""
        se = np.sqrt(np.diagonal(self.covariance))
        columns = coefficient_table(self.estimates, se, self.df, self.level)
        return pd.DataFrame(columns, index=pd.Index(self.names, name="term"))

    def covariance_frame(self) -> pd.DataFrame:
        """`covariance` with the names of the coefficients."""
        return pd.DataFrame(self.covariance.copy(), index=self.names, columns=self.names)

    def _matrix(self, L: ArrayLike) -> Array:
        """Give one row for each combination of the coefficients."""
        matrix = np.atleast_2d(np.asarray(L, dtype=float))
        if matrix.shape[1] != self.p:
            raise MetaAnalysisError(f"L has {matrix.shape[1]} columns; expected {self.p}")
        return matrix

    def _linear(self, L: Array) -> tuple[Array, Array, Array]:
        """Estimate combinations of the coefficients: with standard errors and df."""
        robust = self.robust_covariance
        df = np.full(len(L), self.df[0]) if robust is None else robust.df(L)
        variance = np.einsum("qp,pr,qr->q", L, self.covariance, L)
        return L @ self.estimates, np.sqrt(variance), df

    def wald(self, L: ArrayLike, label: str = "L beta") -> ModelTest:
        """Test linear hypotheses L beta = 0.

        Parameters
        ----------
        L : array_like, shape (q, p) or (p,)
        label : str
            What to call the test.

        Returns
        -------
        ModelTest
            Chi-squared for ``ci_method="wald"``; F with k - p denominator degrees of freedom for
            t and Knapp-Hartung; for robust covariances F, with Hotelling's T-squared for CR2.

        Examples
        --------
        >>> import pandas as pd
        >>> from helpers.models.regression import meta_regression
        >>> data = pd.DataFrame({"y": [0.1, 0.4, 0.9, 1.1], "v": [0.1] * 4, "x": [0, 1, 2, 3]})
        >>> fit = meta_regression(data, "x", yi="y", vi="v")
        >>> round(fit.wald([0, 1]).statistic, 3)
        6.125
        """
        matrix = self._matrix(L)
        if self.robust_covariance is not None:
            return self.robust_covariance.test(self.estimates, matrix, label)
        df2 = None if self.ci_method == "wald" else float(self.k - self.p)
        return wald_test(self.estimates, self.covariance, matrix, df2, label)

    def contrast(
        self, weights: Mapping[str, float] | ArrayLike, *, level: float | None = None
    ) -> pd.DataFrame:
        """Estimate a linear combination of coefficients.

        Parameters
        ----------
        weights : mapping of coefficient name to weight, or array_like (p,) or (q, p)
            The combination(s).
        level : float, optional
            Default: the level of the fit.

        Returns
        -------
        DataFrame
            Columns of `coefficients`, one row for each combination.
        """
        if isinstance(weights, Mapping):
            strange = [name for name in weights if name not in self.names]
            if strange:
                raise MetaAnalysisError(
                    f"no coefficient {', '.join(map(repr, strange))}; the coefficients are "
                    f"{', '.join(self.names)}"
                )
            weights = [float(weights.get(name, 0.0)) for name in self.names]
        L = self._matrix(weights)
        table = coefficient_table(*self._linear(L), self._level(level))
        words = [
            " ".join(f"{w:+g} {n}" for w, n in zip(row, self.names, strict=True) if w != 0)
            for row in L
        ]
        return pd.DataFrame(table, index=pd.Index(words, name="contrast"))

    def predict(
        self,
        new_data: pd.DataFrame | Mapping[str, Sequence[Any]] | None = None,
        *,
        level: float | None = None,
        prediction_method: str | None = None,
        size: float | None = None,
    ) -> pd.DataFrame:
        """Predict expected effects with confidence and prediction intervals, on both scales.

        Parameters
        ----------
        new_data : DataFrame or mapping, optional
            Moderators of the rows to predict; default: the included studies.
        level : float, optional
            Default: the level of the fit.
        prediction_method : {"normal", "t-k-p", "t-k-p-1"}, optional
            Distribution behind the prediction interval. Default: that of the coefficients'
            test (normal for "wald", t with k - p for t and Knapp-Hartung).
        size : float, optional
            Sample size of the back-transformation (Freeman-Tukey measures; default: harmonic
            mean of the included sizes).

        Returns
        -------
        DataFrame
            Columns mu, se, mu_lower, mu_upper, mu_prediction_lower, mu_prediction_upper (model
            scale) and estimate, ci_lower, ci_upper, prediction_lower, prediction_upper
            (display scale). The prediction interval is for the true effect of a new study; a
            common-effect model has none (NaN).
        """
        X, index = self._rows(new_data)
        confidence = self._level(level)
        free = float(self.k - self.p)
        df_new = {"normal": np.inf, "t-k-p": free, "t-k-p-1": free - 1.0}
        default = "normal" if self.ci_method == "wald" and self.robust is None else "t-k-p"
        chosen = one_of("prediction_method", prediction_method or default, tuple(df_new))
        if df_new[chosen] <= 0:
            raise UnsupportedError(f"prediction_method={chosen!r} needs more studies")
        mu, se, df = self._linear(X)
        mean = symmetric_limits(mu, se, confidence, df)
        # A robust test may have fewer degrees of freedom than studies less coefficients.
        df_of_new = np.minimum(df_new[chosen], df) if prediction_method is None else df_new[chosen]
        new = prediction_limits(mu, se, self.tau2, confidence, df_of_new, mean)
        if self.model == "common":
            new = (np.full_like(mu, np.nan), np.full_like(mu, np.nan))
        size = self.back_size if size is None else size
        if self.scale.needs_size and size is None:
            raise MetaAnalysisError(
                f"the {self.measure} measure needs size= to be back-transformed"
            )
        columns = {"mu": mu, "se": se, "mu_lower": mean[0], "mu_upper": mean[1]}
        columns |= {"mu_prediction_lower": new[0], "mu_prediction_upper": new[1]}
        shown = {"estimate": mu, "ci_lower": mean[0], "ci_upper": mean[1]}
        shown |= {"prediction_lower": new[0], "prediction_upper": new[1]}
        for name, values in shown.items():
            known = np.isfinite(values)
            inverse = self.scale.inverse(np.where(known, values, 0.0), size)
            columns[name] = np.where(known, inverse, np.nan)
        return pd.DataFrame(columns, index=index)

    def _rows(
        self, new_data: pd.DataFrame | Mapping[str, Sequence[Any]] | None
    ) -> tuple[np.ndarray, pd.Index]:
        """Design of new rows, or of the included studies, with their labels."""
        from .design import design_of_rows

        if new_data is None:
            return self.core.X, pd.Index(self.labels, name="study")
        frame = new_data if isinstance(new_data, pd.DataFrame) else pd.DataFrame(new_data)
        return design_of_rows(self.design, frame), frame.index

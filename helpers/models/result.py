"""The one result type of pooling: frozen numbers, and views made from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..arguments import Array, one_of
from ..door import pd
from ..engine.counts.common import exact_interval
from ..engine.distributions import norm_sf, t_sf
from ..engine.effects import effective_size
from ..engine.literature import Methods
from ..engine.model import Model
from ..engine.normal.intervals import Interval, wald_is_wider
from ..engine.normal.inverse_variance import InverseVarianceFit
from ..engine.normal.prediction import displayed_prediction
from ..engine.options import MU_METHODS, PREDICTION_METHOD, Options, default_tau2_ci
from ..engine.shown import Row
from ..engine.studies import StudyData
from ..engine.summaries import Caution, EffectTest, Heterogeneity
from ..errors import UnsupportedError
from .base import Pooled
from .display import headline_row, headline_said, plain_dict, shrunken_estimates, studies_frame
from .methods import methods_of
from .new_study import ProbabilityBeyond, Side, probability_beyond
from .pooled_intervals import (
    HeterogeneityIntervals,
    heterogeneity_intervals,
    mu_interval,
    new_study_interval,
    refuse_undefined,
    tau2_interval,
)
from .population import mean_interval, population_mean

if TYPE_CHECKING:
    from ..engine.counts.fit import GLMMFit

Scale = Literal["display", "model"]

#: Intervals of the mean that every model has, and all of each model.
_RESAMPLED = ("bootstrap", "permutation")
_MU_METHODS = {model: (*methods, *_RESAMPLED) for model, methods in MU_METHODS.items()}

__all__ = ["Caution", "EffectTest", "Heterogeneity", "Interval", "Options", "PoolResult"]


@dataclass(frozen=True, slots=True, repr=False)
class PoolResult(Pooled):
    """A pooled estimate with everything needed to report and to question it."""

    #: Pooled effect, its standard error under `ci_method`, and the between-study variance, on the
    #: model scale
    mu: float
    se: float
    tau2: float
    se_model: float  # Standard error from the model alone (no Knapp-Hartung scaling)
    #: Standard error of `tau2` (NaN where there is none, e.g. at the boundary of the GLMM).
    tau2_se: float
    k: int  # Included studies
    heterogeneity: Heterogeneity  # Q with its test, I2 (percent) and H2
    cautions: tuple[Caution, ...]
    converged: bool
    #: Log-likelihood at the estimates: marginal for likelihood models (all constants), of the
    #: normal-normal model otherwise (restricted for REML)
    loglik: float
    #: Every choice; also readable as `measure`, `model`, `tau2_method`, `ci_method`, `level`
    options: Options
    data: StudyData  # All rows given, excluded ones included
    weights: Array  # Percent for each row of `data`, 0 for excluded rows; sums to 100
    #: The engine's own fit (a batch of one); that of all groups together for a group of a GLMM in
    #: which they share `tau2`
    engine: InverseVarianceFit | GLMMFit | None = None
    #: Fit of all groups together, where effects are pooled and `tau2` is shared by the groups
    joint: InverseVarianceFit | None = None
    coefficient: int = 0  # Place of `mu` among the means of `engine`

    def _said(self) -> Iterator[Row]:
        return headline_said(self)

    @property
    def core(self) -> Model:
        """Studies and choices: all that is needed to fit again."""
        return Model(self.data, self.options)

    def require_finite(self, what: str) -> None:
        """Refuse what needs a finite `mu`.

        Raises
        ------
        UnsupportedError
            No study has an event, or all patients have one.
        """
        if self.one_sided:
            why = "no study has an event" if self.mu < 0 else "all patients have the event"
            raise UnsupportedError(
                f"{what} is not defined where {why}; conf_int() gives the exact interval"
            )

    @property
    def certificate(self) -> float | None:
        """How far the maximum lies above the best of a scan of its likelihood over tau2.

        Never below -1e-6 when `converged`: no point of the scan is more likely than the
        estimate. None for estimators that maximise nothing.
        """
        if self.engine is None:
            return None
        if isinstance(self.engine, InverseVarianceFit):
            scan = self.engine.tau2.scan
            return None if scan is None else float(scan.slack[0])
        return float(self.engine.scan_margin[0])

    # --- display scale ----------------------------------------------------------------------

    @property
    def back_size(self) -> float | None:
        """Sample size of the back-transformation (Freeman-Tukey measures only)."""
        if not self.scale.needs_size or self.data.size is None:
            return None
        return effective_size(
            self.data.size[self.data.included],
            self.se_model,
            self.options.back_transform,
            self.scale.kind,
        )

    @property
    def estimate(self) -> float:
        """Pooled estimate on the display scale."""
        return self.to_display(self.mu)

    @property
    def mean_estimate(self) -> float:
        """Mean across studies on the display scale, beside the median that `estimate` is.

        The expected proportion (rate) of a patient in a study drawn at random; see
        `helpers.models.population`. Without between-study variance the two are the same.

        Raises
        ------
        UnsupportedError
            For measures without a mean across studies (arcsine, Freeman-Tukey).
        """
        if self.one_sided:
            return self.estimate
        mean = population_mean(self.mu, self.tau2, self.measure)
        return float(mean.value)

    @property
    def ci(self) -> Interval:
        """Confidence interval on the display scale, with `ci_method` at `level`."""
        return self.conf_int()

    def _scaled(self, limits: Interval, scale: Scale) -> Interval:
        one_of("scale", scale, ("display", "model"))
        shown = map(self.to_display, limits)
        return limits if scale == "model" else Interval(*shown)

    # --- intervals --------------------------------------------------------------------------

    def conf_int(
        self,
        method: str | None = None,
        scale: Scale = "display",
        level: float | None = None,
        **options: Any,
    ) -> Interval:
        """Confidence interval for the pooled effect.

        Parameters
        ----------
        method : str, optional
            One of `helpers.engine.options.MU_METHODS` for the model, or "bootstrap" or
            "permutation" (every model); default `ci_method`.
        scale : {"display", "model"}
            Scale of the limits.
        level : float, optional
            Default: the level of the fit.
        **options
            Of the bootstrap (`draws`, `kind`, `seed`, `interval`) and of the permutation test
            (`draws`, `seed`), see `helpers.engine.aftercare.resampled.resampled_interval`.

        Raises
        ------
        UnsupportedError
            The method or an option is not defined for this fit.

        Examples
        --------
        >>> from helpers.models.pooling import pool
        >>> fit = pool(events=[3, 8, 6], n=[40, 60, 90])
        >>> [round(x, 4) for x in fit.conf_int("wald")], [round(x, 4) for x in fit.conf_int("t")]
        ([0.0563, 0.1392], [0.0319, 0.2268])
        """
        method = method or self.ci_method
        level = self._level(level)
        if self.one_sided:
            if method != "exact":
                self.require_finite(f"method={method!r}")
            return self._scaled(exact_interval(self.data, self.scale.kind, level), scale)
        refuse_undefined(f"method={method!r}", method, self.model, _MU_METHODS)
        if method in _RESAMPLED:
            from ..engine.aftercare.resampled import resampled_interval

            return resampled_interval(self, method, scale=scale, level=level, **options)
        if options:
            raise UnsupportedError(f"method={method!r} has no options: {', '.join(options)}")
        return self._scaled(mu_interval(self, method, level), scale)

    def mean_conf_int(self, method: str = "delta", level: float | None = None) -> Interval:
        """Confidence interval of the mean across studies, on the display scale.

        Parameters
        ----------
        method : {"delta", "profile"}
            "delta": symmetric on the logit (logarithm) of the mean, from the joint covariance of
            mu and tau, with the quantile of `ci_method` (normal, or t with k - 1 degrees of
            freedom). Where tau2 is 0, given, or has no standard error, it rests on mu alone and
            takes tau2 as known. "profile": profile likelihood over (mu, tau2), for the GLMM and
            for tau2_method "ML"; it keeps the uncertainty of tau2 at the boundary as well.
        level : float, optional
            Default: the level of the fit.

        Raises
        ------
        UnsupportedError
            The measure has no mean across studies, or the method is not defined for this fit.

        Examples
        --------
        >>> from helpers.models.pooling import pool
        >>> fit = pool(events=[3, 8, 16], n=[40, 60, 50], model="glmm", ci_method="wald")
        >>> print(f"{fit.mean_estimate:.3f} and {fit.estimate:.3f}")
        0.177 and 0.161
        >>> [round(x, 3) for x in fit.mean_conf_int()]
        [0.089, 0.323]
        """
        if self.one_sided:  # one rate for all is supposed: mean and median are the same
            return self.conf_int(level=level)
        return mean_interval(self, method, level)

    def effect_test(self, null: float = 0.0) -> EffectTest:
        """Test whether the pooled effect equals `null` (model scale), as `ci_method` has it.

        Parameters
        ----------
        null : float, default 0
            On the logit scale 0 is a proportion of one half.

        Raises
        ------
        UnsupportedError
            For intervals without a standard error ("profile", "henmi-copas").

        Examples
        --------
        >>> from helpers.models.pooling import pool_effects
        >>> fit = pool_effects([0.2, 0.6, 0.4], [0.01, 0.02, 0.01], ci_method="wald")
        >>> round(fit.effect_test().statistic, 2)
        3.48
        """
        self.require_finite("a test of the pooled effect")
        if self.ci_method in ("profile", "henmi-copas"):
            raise UnsupportedError(f"no standard error belongs to ci_method={self.ci_method!r}")
        statistic = (self.mu - null) / self.se
        wald = self.ci_method == "wald" or (
            self.ci_method == "knapp-hartung-wider"
            and isinstance(self.engine, InverseVarianceFit)
            and bool(wald_is_wider(self.engine, self.level)[0])
        )
        if wald:
            return EffectTest(statistic, None, 2.0 * float(norm_sf(abs(statistic))))
        df = self.k - 1
        return EffectTest(statistic, df, 2.0 * float(t_sf(abs(statistic), df)))

    def displayed_prediction(self, **options: Any) -> tuple[Interval | None, str]:
        """Give the prediction interval that displays show, or the reason why they show none."""
        return displayed_prediction(self, **options)

    def prediction_interval(
        self,
        method: str | None = None,
        scale: Scale = "display",
        level: float | None = None,
        *,
        draws: int = 25_000,
        seed: int = 1,
    ) -> Interval:
        """Interval for the effect in a new study.

        Parameters
        ----------
        method : str, optional
            One of `helpers.engine.normal.prediction.PREDICTION_METHODS` for the model. The default
            "t-k-2" (Higgins et al. 2009, doi:10.1111/j.1467-985X.2008.00552.x) comes closest to
            its level in our simulations, for every model; it needs at least 3 studies. The
            standard error of the mean is the one behind `ci_method`, and the interval is never
            inside the confidence interval at its level (`helpers.engine.normal.prediction`).
        scale, level
            As in `conf_int`.
        draws, seed : int
            Of the bootstrap.

        Raises
        ------
        UnsupportedError
            The method is not defined for this fit (a common effect has none), or there are
            too few studies.

        Examples
        --------
        >>> from helpers.models.pooling import pool
        >>> fit = pool(events=[3, 8, 16], n=[40, 60, 50])
        >>> low, high = fit.prediction_interval("normal")
        >>> 0 < low < fit.estimate < high < 1
        True
        """
        method = method or PREDICTION_METHOD
        new = new_study_interval(self, method, self._level(level), draws=draws, seed=seed)
        return self._scaled(new, scale)

    def tau2_ci(
        self,
        method: str | None = None,
        level: float | None = None,
        *,
        weights: str = "inverse-variance",
    ) -> Interval:
        """Confidence interval for the between-study variance.

        Parameters
        ----------
        method : {"q-profile", "generalised-q", "profile"}, optional
            Default "q-profile"; "profile" for the GLMM.
        level : float, optional
            Default: the level of the fit.
        weights : {"inverse-variance", "inverse-se", "equal"}
            Of "generalised-q".

        Returns
        -------
        Interval
            Of the common variance for a group of `subgroups` with ``group_tau2="common"``. Both
            limits are NaN where the set is empty: no value of tau2 is compatible with a Q so small
            (a caution of the fit says so; see `helpers.engine.normal.tau2_intervals.is_empty`).

        Raises
        ------
        UnsupportedError
            The method is not defined for this fit, tau2 was given, or there is one study.

        Examples
        --------
        >>> from helpers.models.pooling import pool_effects
        >>> fit = pool_effects([0.0, 1.0, 2.0], [0.1, 0.1, 0.1])
        >>> [round(x, 3) for x in fit.tau2_ci()]
        [0.171, 39.398]
        """
        method = method or default_tau2_ci(self.model)
        return tau2_interval(self, method, self._level(level), weights=weights)

    def heterogeneity_ci(
        self, method: str | None = None, level: float | None = None
    ) -> HeterogeneityIntervals:
        """Intervals of tau2, tau, I2 and H2 (`method` and `level` as in `tau2_ci`)."""
        return heterogeneity_intervals(self, method, level)

    def probability_beyond(
        self,
        bound: float,
        side: Side = "above",
        method: str | None = None,
        level: float | None = None,
    ) -> ProbabilityBeyond:
        """Probability that a new study lies beyond a bound (see `helpers.models.new_study`)."""
        return probability_beyond(self, bound, side, method, level)

    def shrunken_estimates(self) -> pd.DataFrame:
        """Pull each study towards the mean (see `helpers.models.display.shrunken_estimates`)."""
        return shrunken_estimates(self)

    # --- views ------------------------------------------------------------------------------

    @property
    def studies(self) -> pd.DataFrame:
        """Table of all studies in input order, excluded ones with their reason.

        Index "study"; columns `events`, `n` (or `time`; none of them after `pool_effects`),
        `yi`, `vi` (model scale), `estimate`, `ci_lower`, `ci_upper` (display scale), `weight`
        (percent), `included`, `reason`.
        """
        return studies_frame(self)

    def row(self) -> dict[str, Any]:
        """Headline numbers as a dictionary (the columns of `summary_frame`)."""
        return headline_row(self)

    def summary_frame(self) -> pd.DataFrame:
        """One-row table of the headline numbers; index "model"."""
        return pd.DataFrame([self.row()], index=pd.Index([self.model], name="model"))

    def to_dict(self) -> dict[str, Any]:
        """Everything that JSON can represent; missing values are None."""
        return plain_dict(self)

    def methods(self) -> Methods:
        """Say in one sentence how the result was made, with references."""
        return methods_of(self.options, self.k)

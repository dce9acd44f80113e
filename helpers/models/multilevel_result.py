"""The result of a three-level meta-analysis (`helpers.pool_multilevel`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import printing
from ..arguments import Array, one_of
from ..door import pd
from ..engine.distributions import chi2_isf
from ..engine.effects import get_measure
from ..engine.json_values import picked, plain, told
from ..engine.literature import Methods, references
from ..engine.model.levels import fit_levels
from ..engine.normal.intervals import Interval
from ..engine.roots import bracketed_root, expand
from ..engine.shown import Row, estimate_row, number, p_text, percent
from ..engine.wald import ModelTest
from ..errors import UnsupportedError
from .base import Coefficients, Pooled
from .display import studies_frame
from .population import delta_interval, population_mean


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class MultilevelResult(Coefficients, Pooled):
    """A three-level meta-analysis."""

    clusters: int  # Clusters of the `k` cohorts
    #: Covariance of coefficients and both variances, from the information; NaN for a variance at
    #: zero, shape (p + 2, p + 2)
    joint_covariance: Array
    #: Variances between clusters and between cohorts of one cluster
    sigma2_between: float
    sigma2_within: float
    #: Parts of `heterogeneity.I2`, which counts both variances (percent)
    I2_between: float
    I2_within: float
    #: Likelihood-ratio test that cohorts of one cluster are no more alike than others; under the
    #: hypothesis half of the probability lies at 0 (Self and Liang 1987,
    #: doi:10.1080/01621459.1987.10478472)
    between_test: ModelTest
    maxima: int  # Local maxima of the likelihood that were found; the highest is reported
    cluster_names: tuple[str, ...]  # `core.clusters` has the place of each cohort's among them

    def _said(self) -> Iterator[Row]:
        yield "studies", f"{self.k} in {printing.counted(self.clusters, 'cluster')}"
        if not self.core.moderated:
            yield estimate_row(self)
        else:
            yield from self._coefficients_said()
        within, square = number(self.sigma2_within), percent(self.heterogeneity.I2 / 100, 0)
        yield "τ²", f"{number(self.sigma2_between)} between clusters, {within} within; I² {square}"
        yield "between clusters", f"likelihood-ratio test, {p_text(self.between_test.p)}"

    # --- names shared with other results ------------------------------------------------------

    @property
    def tau2(self) -> float:
        """Variance of the true effects of cohorts from different clusters."""
        return self.sigma2_between + self.sigma2_within

    @property
    def correlation(self) -> float | None:
        """Correlation of the true effects of two cohorts of one cluster; None if tau2 is 0."""
        return self.sigma2_between / self.tau2 if self.tau2 > 0 else None

    def _only(self) -> None:
        if self.core.moderated:
            raise UnsupportedError("with moderators there is no single pooled effect; use predict")

    @property
    def mu(self) -> float:
        """Pooled effect on the model scale (without moderators)."""
        self._only()
        return float(self.estimates[0])

    @property
    def se(self) -> float:
        """Standard error of `mu`."""
        self._only()
        return float(np.sqrt(self.covariance[0, 0]))

    @property
    def estimate(self) -> float:
        """Pooled effect on the display scale."""
        return float(self._pooled()["estimate"])

    @property
    def se_model(self) -> float:
        """Standard error of `mu` from the model, not the robust one."""
        self._only()
        return float(np.sqrt(self.joint_covariance[0, 0]))

    @property
    def tau2_se(self) -> float:
        """Standard error of `tau2`; a variance at zero counts as known (NaN if both are)."""
        known = np.isfinite(np.diagonal(self.joint_covariance)[self.p :])
        block = np.nan_to_num(self.joint_covariance[self.p :, self.p :])
        return float(np.sqrt(block.sum())) if known.any() else float("nan")

    @property
    def mean_estimate(self) -> float:
        """Mean across cohorts on the display scale, beside the median that `estimate` is."""
        return float(population_mean(self.mu, self.tau2, self.measure).value)

    def mean_conf_int(self, level: float | None = None) -> Interval:
        """Interval of the mean across cohorts, by the delta method on its logit (logarithm).

        It carries the covariance of mean and variances, with the quantile of `ci_method`; a
        variance at zero counts as known.

        Examples
        --------
        >>> from helpers import pool_multilevel
        >>> fit = pool_multilevel(
        ...     events=[3, 5, 9, 14, 2, 6], n=[60, 80, 70, 90, 50, 75], cluster=list("aabbcc")
        ... )
        >>> round(fit.mean_estimate, 4), [round(x, 3) for x in fit.mean_conf_int()]
        (0.0894, [0.045, 0.169])
        """
        mean = population_mean(self.mu, self.tau2, self.measure)
        by_variance = float(mean.by_tau) / (2.0 * self.tau2**0.5) if self.tau2 > 0 else 0.0
        slope = np.array([float(mean.by_mu), by_variance, by_variance])
        cov = np.nan_to_num(self.joint_covariance)
        cov[0, 0] = self.covariance[0, 0]
        df = None if np.isinf(self.df[0]) else float(self.df[0])
        return delta_interval(
            float(mean.value),
            float(slope @ cov @ slope),
            self.measure,
            self._level(level),
            df,
        )

    @property
    def ci(self) -> Interval:
        """Confidence interval on the display scale."""
        return self.conf_int()

    def _pooled(self, level: float | None = None) -> pd.Series[float]:
        self._only()
        return self.predict(level=level).iloc[0]

    def conf_int(self, scale: str = "display", level: float | None = None) -> Interval:
        """Confidence interval of the pooled effect, scale "display" or "model"."""
        return self._limits("ci" if _display(scale) else "mu", level)

    def prediction_interval(self, scale: str = "display", level: float | None = None) -> Interval:
        """Interval for the true effect of a new cohort from a new cluster."""
        return self._limits("prediction" if _display(scale) else "mu_prediction", level)

    def _limits(self, column: str, level: float | None) -> Interval:
        row = self._pooled(level)
        return Interval(float(row[f"{column}_lower"]), float(row[f"{column}_upper"]))

    # --- inference ----------------------------------------------------------------------------

    def sigma2_ci(self, component: str, level: float | None = None) -> Interval:
        """Profile-likelihood interval of a variance.

        Values whose likelihood (restricted for REML), maximised over the other variance, is
        within half a chi-squared quantile of the maximum (Hardy and Thompson 1996,
        doi:10.1002/(SICI)1097-0258(19960330)15:6<619::AID-SIM188>3.0.CO;2-A).

        Parameters
        ----------
        component : {"between", "within"}
        level : float, optional
            Default: the level of the fit.
        """
        one_of("component", component, ("between", "within"))
        core, best = self.core, getattr(self, f"sigma2_{component}")
        top = float(fit_levels(core).loglik[0])
        drop = 0.5 * float(chi2_isf(1.0 - self._level(level), 1.0))

        def above(values: Array) -> Array:
            held = {component: np.asarray(values, dtype=float)}
            return fit_levels(core, **held).loglik - top + drop

        step = max(best, 0.1 * float(np.median(core.vi)))
        inside, outside = expand(above, [best], [step])
        upper = float(bracketed_root(above, inside, outside, rtol=1e-10)[0])
        if best == 0.0 or above(np.zeros(1))[0] >= 0:
            return Interval(0.0, upper)
        return Interval(float(bracketed_root(above, [0.0], [best], rtol=1e-10)[0]), upper)

    # --- aftercare ----------------------------------------------------------------------------

    @property
    def weights(self) -> Array:
        """Percent of the information on one mean for each row of `data`, 0 for excluded rows.

        A cohort with the variance v has 1 / (v + sigma2_within), and shares the variance between
        clusters with the others of its cluster; v is that of `helpers.engine.model.core`.
        """
        core = self.core
        assert core.clusters is not None
        own = core.information(self.estimates, self.sigma2_within)
        shared = np.bincount(core.clusters, own)[core.clusters]
        own = own / (1.0 + self.sigma2_between * shared)
        every = np.zeros(len(self.data.labels))
        every[self.data.included] = 100.0 * own / own.sum()
        return every

    @property
    def studies(self) -> pd.DataFrame:
        """Table of all cohorts in input order: columns of `PoolResult.studies`, and `cluster`."""
        codes = self.core.clusters
        assert codes is not None
        names = np.full(len(self.data.labels), None, dtype=object)
        names[self.data.included] = [self.cluster_names[code] for code in codes]
        return studies_frame(self).assign(cluster=names)

    def require_finite(self, what: str) -> None:
        """Refuse what needs one pooled effect."""
        self._only()

    # --- views --------------------------------------------------------------------------------

    def summary_frame(self) -> pd.DataFrame:
        """One-row table of the model's numbers; index "formula"."""
        row = picked(self, _SUMMARY)
        row |= {
            "I2": self.heterogeneity.I2,
            "Q": self.heterogeneity.Q,
            "Q_df": self.heterogeneity.df,
            "Q_p": self.heterogeneity.p,
            "omnibus": self.omnibus.statistic,
            "omnibus_p": self.omnibus.p,
            "between_p": self.between_test.p,
        }
        return pd.DataFrame([row], index=pd.Index([self.formula], name="formula"))

    def to_dict(self) -> dict[str, Any]:
        """Everything that JSON can represent; missing values are None."""
        return plain(
            {
                **picked(self, "formula measure model tau2_method ci_method robust"),
                **self.summary_frame().iloc[0].to_dict(),
                **picked(self, "heterogeneity omnibus between_test coefficients covariance"),
                **told(self),
            }
        )

    def methods(self) -> Methods:
        """Say in one sentence how the result was made, with references."""
        keys = ["konstantopoulos2011", "cheung2014"]
        tests = {"wald": "the normal distribution", "t": "the t distribution"}[self.ci_method]
        if self.robust is not None:
            tests = f"cluster-robust ({self.robust}) covariance"
            keys.append("tipton2015" if self.robust == "CR2" else "hedges2010")
        what = "pooled" if self.p == 1 else f"regressed on {self.design.said}"
        how = f"a three-level model (studies within clusters) fitted by {self.tau2_method}"
        if self.model == "glmm":
            keys = ["konstantopoulos2011", "stijnen2010", "pinheiro1995"]
            family = "Poisson-normal" if self.core.family == "poisson" else "binomial-normal"
            how = (
                f"a three-level {family} generalised linear mixed model (studies within clusters) "
                f"fitted by maximum likelihood ({self.core.options.quad_points}-point adaptive "
                "Gauss-Hermite quadrature of the studies' effects inside that of the clusters')"
            )
        return Methods(
            f"The {get_measure(self.measure).label} of {printing.studies(self.k)} from "
            f"{printing.counted(self.clusters, 'cluster')} was {what} with {how}, with tests and "
            f"intervals from {tests}.",
            references(*keys),
        )


_SUMMARY = (
    "k clusters sigma2_between sigma2_within correlation I2_between I2_within loglik "
    "loglik_restricted converged"
)


def _display(scale: str) -> bool:
    one_of("scale", scale, ("display", "model"))
    return scale == "display"

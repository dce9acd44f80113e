r"""Limit meta-analysis (Rücker et al. 2011): the estimate for infinitely precise studies.

The random-effects model is extended by a small-study effect alpha that grows with the total
standard deviation of a study,

.. math:: y_i = \beta + \sqrt{v_i + \tau^2}\,(\alpha + \varepsilon_i), \quad
          \varepsilon_i \sim N(0, 1),

fitted as a straight line in the generalised radial plot (:math:`y_i/s_i` against
:math:`1/s_i` with :math:`s_i^2 = v_i + \tau^2`). When every study grows without limit, only
tau is left of the standard deviation, and the expectation is :math:`\beta + \tau\alpha`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import pandas as pd

from ... import printing
from ...engine.distributions import chi2_sf
from ...engine.keywords import ScaledStudyKeywords, refuse_unknown
from ...engine.literature import references
from ...engine.normal.intervals import symmetric_interval
from ...engine.normal.inverse_variance import fit_inverse_variance
from ...engine.shown import Row, number, p_text, percent
from ...engine.summaries import Caution
from .data import funnel_data, require_unequal_errors
from .lines import fit_lines
from .results import Displayed, regression_cautions


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LimitMetaAnalysis(Displayed):
    """Result of a limit meta-analysis: `mu` is the adjusted estimate beta + tau alpha."""

    se: float  # Standard error of `mu` (model scale)
    bias: float  # alpha, the small-study effect (intercept of the generalised radial plot)
    slope: float  # beta, its slope: the effect where the total standard deviation would be zero
    #: The usual random-effects estimate
    mu_random: float
    se_random: float
    tau2: float
    #: Cochran's Q, and its split into small-study effects and the rest
    Q: float
    Q_small: float
    Q_residual: float
    #: Chi-squared p-values with 1 and k - 2 degrees of freedom
    Q_small_p: float
    Q_residual_p: float
    #: Percent of the variance of the limit radial plot that the line does not explain
    #: (heterogeneity after small-study effects)
    G2: float
    tau2_method: str  # Estimator of tau2
    labels: tuple[str, ...]  # Study labels
    #: Each study's effect if it were infinitely large (its own deviation kept)
    limits: tuple[float, ...]

    no_size = "a study of infinite size has no size to invert at"

    def _adjusted(self) -> Iterator[Row]:
        yield "τ²", number(self.tau2)
        yield "small-study effects", f"Q = {number(self.Q_small)}, {p_text(self.Q_small_p)}"
        yield "G²", percent(self.G2 / 100, 0)

    def summary_frame(self) -> pd.DataFrame:
        """Two rows, random effects and limit: mu, se, ci_lower, ci_upper (model scale)."""
        usual = symmetric_interval(self.mu_random, self.se_random, self.level)
        return pd.DataFrame(
            [(self.mu_random, self.se_random, *usual), (self.mu, self.se, *self.mu_ci)],
            columns=["mu", "se", "ci_lower", "ci_upper"],
            index=pd.Index(["random effects", "limit"], name="estimate"),
        )


def limit_meta_analysis(
    effects: Any = None,
    vi: Any = None,
    *,
    tau2_method: str | None = None,
    level: float | None = None,
    **studies: Unpack[ScaledStudyKeywords],
) -> LimitMetaAnalysis:
    r"""Adjust a random-effects estimate for small-study effects by its limit.

    Parameters
    ----------
    effects, vi, tau2_method, level, **studies
        As in `helpers.bias.egger`.

    Raises
    ------
    MetaAnalysisError
        Fewer than three studies, or standard errors without spread.

    Notes
    -----
    The estimate is tau times the height of the radial line at 1/tau. Its variance takes tau
    and a residual variance of 1 as known (the model fixes it): with x the values 1/s_i,
    :math:`\tau^2/k + (1 - \tau\bar x)^2/\sum_i (x_i - \bar x)^2`.

    References
    ----------
    Rücker G et al. (2011), doi:10.1093/biostatistics/kxq046.

    Examples
    --------
    >>> yi = [0.40, 0.05, 0.32, 0.10, 0.75, 0.20, 1.35, 0.90]
    >>> vi = [0.01, 0.01, 0.02, 0.04, 0.06, 0.09, 0.12, 0.16]
    >>> result = limit_meta_analysis(yi, vi)
    >>> result.mu < result.mu_random, round(result.G2, 2)
    (True, 83.95)
    """
    refuse_unknown("limit_meta_analysis", studies, ScaledStudyKeywords)
    data = funnel_data(effects, vi, tau2_method=tau2_method, level=level, **studies)
    require_unequal_errors(data.vi, ": small and large cannot be told apart")
    k = data.k
    pooled = fit_inverse_variance(data.yi, data.vi, method=data.tau2_method)
    tau2 = float(pooled.tau2.tau2[0])
    tau = float(np.sqrt(tau2))
    total = np.sqrt(data.vi + tau2)
    x, height = 1.0 / total, data.yi / total
    radial = fit_lines(height, np.ones(k), x)
    alpha, beta = float(radial.intercept[0]), float(radial.slope[0])
    spread = float(((x - x.mean()) ** 2).sum())
    se = float(np.sqrt(tau2 / k + (1.0 - tau * x.mean()) ** 2 / spread))
    mu = beta + tau * alpha
    limits = beta + tau / total * (data.yi - beta)
    q = float(pooled.Q[0])
    straight = fit_lines(data.yi, 1.0 / data.vi, np.sqrt(data.vi))
    q_residual = float(straight.dispersion[0] * straight.df[0])
    q_small = max(q - q_residual, 0.0)
    se_i = np.sqrt(data.vi)
    cautions = regression_cautions(data, "sei")
    if tau2 == 0:
        cautions += (
            Caution(
                "boundary",
                "The between-study variance is estimated as zero: the limit estimate is then that "
                "of Egger's line.",
            ),
        )
    return LimitMetaAnalysis(
        mu=mu,
        se=se,
        mu_ci=symmetric_interval(mu, se, data.level),
        bias=alpha,
        slope=beta,
        mu_random=float(pooled.mu[0]),
        se_random=float(pooled.se[0]),
        tau2=tau2,
        Q=q,
        Q_small=q_small,
        Q_residual=q_residual,
        Q_small_p=float(chi2_sf(q_small, 1)),
        Q_residual_p=float(chi2_sf(q_residual, k - 2)),
        G2=100.0 * _unexplained(limits / se_i, 1.0 / se_i),
        k=k,
        level=data.level,
        measure=data.measure.name,
        tau2_method=data.tau2_method,
        labels=data.labels,
        limits=tuple(float(value) for value in limits),
        sentence=(
            f"A limit meta-analysis of {printing.studies(k)} ({data.tau2_method} between-study "
            "variance) gave the estimate that infinitely precise studies would have."
        ),
        references=references("ruecker2011"),
        cautions=cautions,
    )


def _unexplained(y: np.ndarray, x: np.ndarray) -> float:
    """1 - R2 of a straight line."""
    yc, xc = y - y.mean(), x - x.mean()
    total = float(yc @ yc)
    if total == 0.0:
        return 0.0
    rest = yc - float(xc @ yc) / float(xc @ xc) * xc
    return min(float(rest @ rest) / total, 1.0)

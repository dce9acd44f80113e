r"""The beta-binomial model as an alternative to the GLMM.

Both let the true proportion differ between studies; the GLMM draws its logit from a normal
distribution, the beta-binomial the proportion itself from a beta distribution. Which of the two
is right cannot be seen from a few dozen studies, so a conclusion that needs one of them is weak.

The pooled estimate here is the *mean* proportion across studies; the GLMM's is the *median*, which
is smaller where proportions are small and differ (Skellam 1948,
doi:10.1111/j.2517-6161.1948.tb00014.x; Williams 1975, doi:10.2307/2529820).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from .. import printing
from ..arguments import LEVEL, Array, level_of, one_of
from ..door import pd
from ..engine.counts.beta_binomial import fit_beta_binomial, profile_beta_binomial
from ..engine.counts.common import included_counts
from ..engine.distributions import beta_ppf, chi2_sf, expit, logit
from ..engine.effects import ADD, get_measure
from ..engine.json_values import picked
from ..engine.literature import Methods, references
from ..engine.model import Model
from ..engine.normal.intervals import Interval, symmetric_interval
from ..engine.options import BETA_BINOMIAL, MEASURE, Options, resolve
from ..engine.shown import Row, estimate_row, number, p_text
from ..engine.studies import StudyData, from_counts
from ..engine.summaries import LIKELIHOOD_RATIO, Heterogeneity
from ..errors import ConvergenceError, MetaAnalysisError, UnsupportedError
from .base import Pooled
from .cautions import extreme_words
from .display import studies_frame


@dataclass(frozen=True, slots=True, repr=False)
class BetaBinomialResult(Pooled):
    """Proportions pooled in a beta-binomial model."""

    #: Logit of the mean proportion and its standard error
    mu: float
    se: float
    #: Intraclass correlation, from 0 (one proportion for all) to 1, and its standard error (nan at
    #: the boundary 0)
    rho: float
    rho_se: float
    #: Maximised log-likelihood with all constants, of this model and of the binomial one
    loglik: float
    loglik_binomial: float
    k: int  # Studies that took part
    boundary: bool  # Whether `rho` is at 0
    options: Options  # The choices, of which `level` is the caller's
    data: StudyData  # Input; excluded studies with their reason

    def _said(self) -> Iterator[Row]:
        yield "studies", printing.count(self.k)
        yield estimate_row(self)
        yield "ρ", f"{number(self.rho)}; ρ = 0: {p_text(self.heterogeneity_p)}"

    @property
    def estimate(self) -> float:
        """Mean proportion across studies."""
        return float(expit(self.mu))

    @property
    def ci(self) -> Interval:
        """Wald-type interval of the mean proportion, made on the logit scale."""
        return self.mean_conf_int()

    @property
    def mean_estimate(self) -> float:
        """Mean proportion across studies: in this model the estimate itself."""
        return self.estimate

    def mean_conf_int(
        self, method: Literal["delta", "profile"] = "delta", level: float | None = None
    ) -> Interval:
        """Confidence interval of the mean proportion.

        Parameters
        ----------
        method : {"delta", "profile"}
            Wald-type on the logit scale (as `ci`), or profile likelihood over mean and correlation.
        level : float, optional
            Default: the level of the fit.

        Raises
        ------
        UnsupportedError
            Another method, or an impossible level.
        MetaAnalysisError
            The profile likelihood does not bound the mean at this level.

        Examples
        --------
        >>> fit = pool_beta_binomial(events=[3, 0, 8, 12, 2], n=[40, 25, 60, 55, 48])
        >>> [round(x, 3) for x in fit.mean_conf_int("profile")]
        [0.043, 0.224]
        """
        level = self._level(level)
        if method == "delta":
            limits = symmetric_interval(self.mu, self.se, level)
        elif method == "profile":
            counts = included_counts(self.data)
            limits = profile_beta_binomial(*counts, self.mu, self.se, self.loglik, level)
        else:
            raise UnsupportedError(f"method={method!r}: expected delta or profile")
        return Interval(float(expit(limits.lower)), float(expit(limits.upper)))

    @property
    def heterogeneity_p(self) -> float:
        """p-value of rho = 0 by the likelihood ratio; half its chi-squared tail, as rho >= 0."""
        ratio = max(0.0, 2.0 * (self.loglik - self.loglik_binomial))
        return 1.0 if ratio == 0.0 else 0.5 * float(chi2_sf(ratio, 1))

    def prediction_interval(
        self, level: float | None = None, scale: Literal["display", "model"] = "display"
    ) -> Interval:
        """Where the proportion of a new study lies: the spread of studies and the mean's own.

        On the logit scale the distance of each limit from the mean is the root of the summed
        squares of two: that of the quantile of the fitted beta distribution, and that of the
        confidence limit of the mean (variance estimates recovered from confidence limits, Zou and
        Donner 2008, doi:10.1002/sim.3095). The interval therefore contains `ci` at its level; the
        correlation is taken as known.

        Raises
        ------
        UnsupportedError
            At the boundary rho = 0, where all studies have the same proportion.
        """
        if self.rho <= 0.0:
            raise UnsupportedError("rho is 0: the model leaves nothing to predict between studies")
        level = self._level(level)
        mean, tail = symmetric_interval(self.mu, self.se, level), 0.5 * (1.0 - level)
        size = 1.0 / self.rho - 1.0
        a, b = self.estimate * size, (1.0 - self.estimate) * size
        lowest, highest = float(beta_ppf(tail, a, b)), float(beta_ppf(1.0 - tail, a, b))
        # A very skewed distribution may have its mean beyond a quantile.
        below = self.mu - float(logit(lowest)) if 0.0 < lowest < self.estimate else 0.0
        above = float(logit(highest)) - self.mu if self.estimate < highest < 1.0 else 0.0
        low = float(expit(self.mu - math.hypot(below, self.mu - mean.lower)))
        high = float(expit(self.mu + math.hypot(above, mean.upper - self.mu)))
        limits = Interval(min(low, lowest), max(high, highest))
        if one_of("scale", scale, ("display", "model")) == "display":
            return limits
        return Interval(*(float(logit(limit)) for limit in limits))

    # --- what aftercare asks of any fit -------------------------------------------------------

    @property
    def core(self) -> Model:
        """Studies and choices: all that is needed to fit again."""
        return Model(self.data, self.options)

    @property
    def se_model(self) -> float:
        """Standard error from the model, which is `se`."""
        return self.se

    @property
    def tau2(self) -> float:
        """In place of a between-study variance: `rho`."""
        return self.rho

    @property
    def converged(self) -> bool:
        """Always: without a maximum there is no result."""
        return True

    @property
    def back_size(self) -> float | None:
        """Sample size of the back-transformation, which logits do not need."""
        return None

    @property
    def heterogeneity(self) -> Heterogeneity:
        """Test of one proportion for all studies, by the likelihood ratio; I2 is not defined."""
        row, nan = self.core.fit(), float("nan")
        return Heterogeneity(
            float(row.Q[0]), int(row.df[0]), float(row.p[0]), nan, nan, nan, LIKELIHOOD_RATIO
        )

    @property
    def weights(self) -> Array:
        """Percent for each row of `data`: patients over their design effect, 1 + (n - 1) rho."""
        size = np.asarray(self.data.size, dtype=float)
        n = np.where(self.data.included, size, 0.0)
        own = n / (1.0 + np.maximum(n - 1.0, 0.0) * self.rho)
        return 100.0 * own / own.sum()

    @property
    def studies(self) -> pd.DataFrame:
        """Table of all studies in input order (columns as of `PoolResult.studies`)."""
        return studies_frame(self)

    def require_finite(self, what: str) -> None:
        """Refuse nothing: the mean of a fit is finite."""

    def to_dict(self) -> dict[str, Any]:
        """Headline numbers as plain data for JSON."""
        names = "mu se rho loglik loglik_binomial k boundary level estimate"
        return picked(self, names) | {"ci_lower": self.ci.lower, "ci_upper": self.ci.upper}

    def methods(self) -> Methods:
        """Say in one sentence how the result was made, with references."""
        studies = printing.studies(self.k)
        sentence = (
            f"Proportions of {studies} were pooled in a beta-binomial model by maximum "
            f"likelihood; the {printing.level_text(self.level)} confidence interval is Wald-type "
            "on the logit scale."
        )
        return Methods(sentence, references("skellam1948", "williams1975"))


def pool_beta_binomial(
    data: pd.DataFrame | None = None,
    *,
    events: Any,
    n: Any,
    study: Any = None,
    level: float = LEVEL,
) -> BetaBinomialResult:
    """Pool one proportion from each study in a beta-binomial model.

    Parameters
    ----------
    data, events, n, study, level
        As in `helpers.pool`.

    Raises
    ------
    MetaAnalysisError
        Impossible values, or fewer than two studies.
    ConvergenceError
        The maximum was not reached, or lies at infinity: no event at all, or nothing else. The
        message gives the exact interval.

    Examples
    --------
    >>> fit = pool_beta_binomial(events=[3, 0, 8, 12, 2], n=[40, 25, 60, 55, 48])
    >>> print(f"{fit.estimate:.3f} ({fit.ci.lower:.3f} to {fit.ci.upper:.3f}), rho {fit.rho:.3f}")
    0.099 (0.050 to 0.190), rho 0.044
    """
    level = level_of(level)
    measure = get_measure(MEASURE)
    studies = from_counts(data, events, n, study, measure, add=ADD, to=None, needs_effect=False)
    if studies.k < 2 or studies.events is None or studies.size is None:
        raise MetaAnalysisError(
            f"a beta-binomial model needs at least 2 studies; there is {studies.k}"
        )
    keep = studies.included
    if (extreme := extreme_words(studies, "proportion", level)) is not None:
        raise ConvergenceError(
            f"{extreme.who}: the beta-binomial model has no finite maximum. pool(events=..., "
            f"n=..., model='glmm') gives {extreme.seen} with its exact "
            f"{printing.level_text(level)} interval, {extreme.limits}"
        )
    fit = fit_beta_binomial(studies.events[keep], studies.size[keep])
    if not fit.converged[0]:
        raise ConvergenceError(f"the beta-binomial model has no fit: {fit.message()}")
    return BetaBinomialResult(
        mu=float(fit.beta[0, 0]),
        se=float(fit.se[0, 0]),
        rho=float(fit.rho[0]),
        rho_se=float(fit.rho_se[0]),
        loglik=float(fit.loglik[0]),
        loglik_binomial=float(fit.loglik_tau0[0]),
        k=studies.k,
        boundary=bool(fit.boundary[0]),
        options=replace(resolve(model="glmm", ci_method="wald", level=level), model=BETA_BINOMIAL),
        data=studies,
    )

"""Step-function selection model (Vevea and Hedges 1995), by maximum likelihood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Unpack

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ... import printing
from ...arguments import Array, one_of
from ...engine.distributions import chi2_sf, norm_sf
from ...engine.keywords import ScaledStudyKeywords, refuse_unknown
from ...engine.literature import references
from ...engine.normal.intervals import symmetric_interval
from ...engine.normal.inverse_variance import fit_inverse_variance
from ...engine.shown import Row, number, p_text
from ...engine.summaries import Caution
from ...errors import ConvergenceError, MetaAnalysisError
from .data import FunnelData, funnel_data, null_value
from .results import Displayed
from .selection_kernel import log_likelihood, maximise, steps

_FEW_IN_INTERVAL = 4
_STATIONARY = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SelectionModel(Displayed):
    """Fit of a step-function selection model: `mu` is the mean effect before selection."""

    se: float  # Standard error of `mu` (observed information)
    #: Wald test of ``mu = null``
    statistic: float
    p: float
    tau2: float  # Between-study variance before selection
    tau2_se: float | None  # Its standard error; None at the boundary
    cutpoints: tuple[float, ...]  # Cut-points of the p-values; the last interval ends at 1
    counts: tuple[int, ...]  # Observed studies in each interval
    delta: tuple[float, ...]  # Relative probability of being seen in each interval; 1 in the first
    delta_se: tuple[float | None, ...]  # Standard errors; None for the first
    alternative: str  # {"greater", "less", "two-sided"}: Direction of the p-values
    null: float  # Effect against which they are computed (model scale)
    #: Of this model, of the model without selection, and of this model without heterogeneity
    loglik: float
    loglik_unadjusted: float
    loglik_tau0: float
    #: Likelihood-ratio test of selection: all deltas are 1
    lrt: float
    lrt_df: int
    lrt_p: float
    #: Likelihood-ratio test of tau2 = 0 (chi-squared with 1 df: conservative at a boundary)
    lrt_tau2: float
    lrt_tau2_p: float
    #: Maximum likelihood without selection
    mu_unadjusted: float
    tau2_unadjusted: float
    converged: bool  # Whether the gradient vanishes and the information is positive definite
    boundary: bool  # Whether tau2 is 0
    maxima: int  # Distinct local maxima met from the starting points; the highest is reported

    no_size = "the inverse needs a sample size, which the mean before selection does not have"

    def _adjusted(self) -> Iterator[Row]:
        yield "τ²", number(self.tau2)
        yield "without selection", f"μ = {number(self.mu_unadjusted)}; here {number(self.mu)}"
        yield "selection", f"χ² = {number(self.lrt)}, df = {self.lrt_df}, {p_text(self.lrt_p)}"

    def summary_frame(self) -> pd.DataFrame:
        """One row per interval of p: studies, delta, se (index: the interval)."""
        edges = (0.0, *self.cutpoints, 1.0)
        names = [f"{a:g} < p <= {b:g}" for a, b in pairwise(edges)]
        return pd.DataFrame(
            {
                "k": self.counts,
                "delta": self.delta,
                "se": [float("nan") if s is None else s for s in self.delta_se],
            },
            index=pd.Index(names, name="interval"),
        )


def selection_model(
    effects: Any = None,
    vi: Any = None,
    *,
    cutpoints: Sequence[float] = (0.025,),
    alternative: str = "greater",
    null: float | str | None = None,
    level: float | None = None,
    **studies: Unpack[ScaledStudyKeywords],
) -> SelectionModel:
    """Fit a random-effects model in which the chance of being seen depends on the p-value.

    Parameters
    ----------
    effects, vi, level, **studies
        As in `helpers.bias.egger`.
    cutpoints : sequence of float
        Increasing cut-points of the p-values, in (0, 1). Every interval needs a study, else its
        probability cannot be estimated.
    alternative : {"greater", "less", "two-sided"}
        Which p-values matter: of effects above `null`, below it, or away from it.
    null : float or "pooled", optional
        Effect against which p-values are computed (model scale). Comparative effects: 0 by
        default. Proportions of single groups have no natural null, and nobody selects cohorts
        by a test against a rate of 50% (logit 0): a value must be given. "pooled" (the REML
        mean) asks whether cohorts clearly above the average are seen more, or less, often.

    Raises
    ------
    MetaAnalysisError
        An interval without a study, bad cut-points, or too few studies.
    UnsupportedError
        Proportions without `null`, or an unknown alternative.
    ConvergenceError
        No maximum was found.

    Notes
    -----
    Maximum likelihood with exact gradient and Hessian on (mu, log tau2, log delta) from several
    starting points, compared with the maximum at tau2 = 0. Standard errors: inverse of the
    observed information in (mu, tau2, delta).

    References
    ----------
    Vevea JL, Hedges LV (1995), doi:10.1007/BF02294384.

    Examples
    --------
    >>> rng = np.random.default_rng(3)
    >>> vi = rng.uniform(0.02, 0.2, 200)
    >>> yi = rng.normal(0.2, np.sqrt(vi + 0.02))
    >>> seen = (yi / np.sqrt(vi) > 1.96) | (rng.uniform(size=200) < 0.3)
    >>> result = selection_model(yi[seen], vi[seen])
    >>> result.delta[1] < 0.6, result.mu < result.mu_unadjusted
    (True, True)
    """
    one_of("alternative", alternative, ("greater", "less", "two-sided"))
    cuts = np.asarray(cutpoints, dtype=float)
    ordered = cuts.ndim == 1 and cuts.size > 0 and bool((np.diff(cuts) > 0).all())
    if not ordered or not bool(((cuts > 0) & (cuts < 1)).all()):
        raise MetaAnalysisError(
            f"cutpoints={list(np.atleast_1d(cuts))}: expected increasing numbers between 0 and 1"
        )
    refuse_unknown("selection_model", studies, ScaledStudyKeywords)
    data = funnel_data(effects, vi, level=level, minimum=cuts.size + 3, **studies)
    origin = null_value(data, null, "REML")
    problem = steps(data.yi, data.vi, cuts, origin, alternative)
    counts = np.bincount(problem.interval, minlength=problem.m)
    _require_filled(counts, cuts)
    plain = fit_inverse_variance(data.yi, data.vi, method="ML")
    start = (float(plain.mu[0]), float(plain.tau2.tau2[0]))
    free = maximise(problem, start, with_tau2=True)
    zero = maximise(problem, start, with_tau2=False)
    boundary = free.value <= zero.value + 1e-9
    best = zero if boundary else free
    m = problem.m
    value, gradient, hessian = log_likelihood(problem, best.mu, best.tau2, best.delta)
    keep = np.array([i for i in range(m + 1) if not (boundary and i == 1)])
    information = -hessian[np.ix_(keep, keep)]
    positive = bool(np.linalg.eigvalsh(information).min() > 0)
    if not positive:
        raise ConvergenceError(
            "the selection model has no unique maximum: fewer cut-points, or more studies in "
            "each interval, are needed"
        )
    covariance = np.linalg.inv(information)
    errors = np.full(m + 1, np.nan)
    errors[keep] = np.sqrt(np.diag(covariance))
    stationary = bool((np.abs(gradient[keep]) * errors[keep]).max() < _STATIONARY)
    se = float(errors[0])
    unadjusted = float(plain.loglik[0])
    lrt = max(2.0 * (value - unadjusted), 0.0)
    lrt_tau2 = 0.0 if boundary else 2.0 * (value - zero.value)
    statistic = (best.mu - origin) / se
    sides = {"greater": "above", "less": "below", "two-sided": "on either side of"}
    return SelectionModel(
        mu=best.mu,
        se=se,
        mu_ci=symmetric_interval(best.mu, se, data.level),
        statistic=statistic,
        p=float(2.0 * norm_sf(abs(statistic))),
        tau2=best.tau2,
        tau2_se=None if boundary else float(errors[1]),
        cutpoints=tuple(float(c) for c in cuts),
        counts=tuple(int(c) for c in counts),
        delta=tuple(float(d) for d in best.delta),
        delta_se=(None, *(float(e) for e in errors[2:])),
        alternative=alternative,
        null=origin,
        loglik=value,
        loglik_unadjusted=unadjusted,
        loglik_tau0=zero.value,
        lrt=lrt,
        lrt_df=m - 1,
        lrt_p=float(chi2_sf(lrt, m - 1)),
        lrt_tau2=lrt_tau2,
        lrt_tau2_p=float(chi2_sf(lrt_tau2, 1)),
        mu_unadjusted=float(plain.mu[0]),
        tau2_unadjusted=float(plain.tau2.tau2[0]),
        k=data.k,
        level=data.level,
        measure=data.measure.name,
        converged=stationary,
        boundary=boundary,
        maxima=best.maxima,
        sentence=(
            f"A step-function selection model with cut-points at "
            f"{', '.join(f'p = {c:g}' for c in cuts)} (p-values of effects {sides[alternative]} "
            f"{origin:.4g} on the model scale) was fitted to "
            f"{printing.studies(data.k)} by maximum likelihood."
        ),
        references=references("vevea1995"),
        cautions=_cautions(data, counts, boundary, stationary, origin),
    )


def _require_filled(counts: NDArray[np.int64], cuts: Array) -> None:
    if (counts > 0).all():
        return
    edges = (0.0, *cuts, 1.0)
    listed = ", ".join(
        f"{a:g} to {b:g}: {c}" for a, b, c in zip(edges[:-1], edges[1:], counts, strict=True)
    )
    raise MetaAnalysisError(
        f"every interval of p-values needs a study (studies by interval: {listed}); "
        "choose other cut-points or another null"
    )


def _cautions(
    data: FunnelData,
    counts: NDArray[np.int64],
    boundary: bool,
    stationary: bool,
    origin: float,
) -> tuple[Caution, ...]:
    few = printing.studies(int(counts.min()))
    every = {
        "sparse-interval": (
            counts.min() < _FEW_IN_INTERVAL,
            f"One interval of p-values contains only {few}, so its probability is very uncertain.",
        ),
        "assumed-null": (
            data.proportions,
            f"The p-values are tests against {origin:.4g} on the model scale, a choice of "
            "the analyst: single-group proportions have no null effect.",
        ),
        "boundary": (boundary, "The between-study variance is estimated as zero."),
        "not-converged": (not stationary, "The gradient does not vanish at the maximum."),
    }
    return tuple(Caution(code, words) for code, (applies, words) in every.items() if applies)

"""Common-effect and random-effects pooling by inverse variance, for batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from ...arguments import Array
from ..rows import put
from ..summaries import i2_and_h2
from .left_out import all_but
from .likelihood import Tau2Fit, log_likelihood, restriction
from .tau2 import fit_tau2
from .weighted import Batch, moments, prepare


@dataclass(frozen=True, slots=True)
class InverseVarianceFit:
    """Fits of R replicates of the normal-normal model."""

    batch: Batch  # the input
    method: str  # "common" or the tau2 estimator
    tau2: Tau2Fit  # between-study variances (0 for "common")
    beta: Array  # coefficients; the pooled effect if p = 1 without a design, shape (R, p)
    cov: Array  # (X'WX)^-1 with w = 1/(vi + tau2), shape (R, p, p)
    #: Shape (R,): Knapp-Hartung factor sum(w r^2)/(k - p) (doi:10.1002/sim.1482); NaN if k <= p.
    scale: Array
    #: `Q`, `df`, shape (R,): Cochran's Q with w = 1/vi, and its degrees of freedom.
    Q: Array
    df: Array
    vt: Array  # typical sampling variance (k - p)/tr(P) (doi:10.1002/sim.1186), shape (R,)
    #: `I2`, `H2`, shape (R,): 100 tau2/(tau2 + vt) and 1 + tau2/vt; for "common" from Q, as max(0,
    #: 100(Q - df)/Q) and Q/df.
    I2: Array
    H2: Array
    #: `loglik`, `loglik_restricted`, shape (R,): log-likelihoods at the estimates.
    loglik: Array
    loglik_restricted: Array

    @property
    def mu(self) -> Array:
        """Pooled effects, shape (R,) (the first coefficient)."""
        return self.beta[:, 0]

    @property
    def weights(self) -> Array:
        """Share of each study in percent, shape (R, k)."""
        w = self.batch.counts / (self.batch.vi + self.tau2.tau2[:, None])
        return 100.0 * w / w.sum(axis=1, keepdims=True)

    @property
    def se(self) -> Array:
        """Model-based standard errors of `mu`, shape (R,)."""
        return np.sqrt(self.cov[:, 0, 0])


def fit_inverse_variance(
    yi: ArrayLike,
    vi: ArrayLike,
    counts: ArrayLike | None = None,
    design: ArrayLike | None = None,
    *,
    method: str = "REML",
    tau2: ArrayLike | None = None,
) -> InverseVarianceFit:
    """Pool effects by inverse variance, many sets of studies, shape (k,) or (R, k), at once.

    `counts` are a mask or multiplicities; `design`, shape (k, p) or (R, k, p), is an intercept by
    default; `tau2`, shape (R,), fixes the between-study variance.
    """
    return _fit(prepare(yi, vi, counts, design), method, tau2)


def fit_without_each(
    yi: Array, vi: Array, *, method: str = "REML", tau2: float | None = None
) -> InverseVarianceFit:
    """Pool without each study in turn, in a time that grows as the number of studies."""
    without, few = all_but(prepare(yi, vi))
    fit = _fit(cast("Batch", without), method, None if tau2 is None else np.full(len(yi), tau2))
    masks = np.arange(len(yi)) != few[:, None]
    known = None if tau2 is None else np.full(len(few), tau2)
    exact = fit_inverse_variance(yi, vi, masks, method=method, tau2=known)
    put(fit, exact, few)
    return fit


def _fit(batch: Batch, method: str, tau2: ArrayLike | None) -> InverseVarianceFit:
    t, final = fit_tau2(batch, method, tau2)
    start = moments(batch, np.zeros(len(batch))) if t.tau2.any() else final
    loglik = log_likelihood(batch, final, restricted=False)
    df = batch.k - batch.p
    free = df > 0
    every = bool(free.all())
    # a replicate without a degree of freedom has no heterogeneity
    known = df if every else np.where(free, df, np.nan)
    q, vt = start.rss, known / start.trace_p if every else known / np.where(free, start.trace_p, 1)
    if not every:
        q = np.where(free, q, 0.0)
    if method == "common" and tau2 is None:
        excess = np.where(q > 0, (q - df) / np.where(q > 0, q, 1.0), 0.0)
        i2 = 100.0 * np.maximum(excess, 0.0)
        h2 = np.where(free, q / known, 1.0)
    else:
        i2, h2 = i2_and_h2(t.tau2, vt if every else np.where(free, vt, 1.0))
    return InverseVarianceFit(
        batch=batch,
        method=method,
        tau2=t,
        beta=final.beta,
        cov=final.cov,
        scale=final.rss / known,
        Q=q,
        df=df,
        vt=vt,
        I2=i2,
        H2=h2,
        loglik=loglik,
        loglik_restricted=loglik + restriction(batch, final),
    )

r"""Random-intercept GLMM for counts: binomial-normal (logit) and Poisson-normal (log rate).

.. math:: x_i \mid u_i \sim f(\cdot \mid x_i'\beta + \tau u_i), \qquad u_i \sim N(0, 1),

fitted by maximum likelihood on the raw counts (no continuity correction; studies without events
stay in), the integral by adaptive Gauss-Hermite quadrature. The model for meta-analysis of
proportions: Hamza, van Houwelingen & Stijnen 2008 (doi:10.1016/j.jclinepi.2007.03.016); Stijnen,
Hamza & Özdemir 2010 (doi:10.1002/sim.4040). Gradient and Hessian are exact derivatives of the
quadrature likelihood (`helpers.engine.counts.kernel`), information is *observed* information.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ... import printing
from ...arguments import whole_number
from ...errors import ConvergenceError, UnsupportedError
from ..shown import Row, limits_text, listed, number
from .batch import CountData, check_data
from .kernel import gauss_hermite
from .optimise import CountFit, FitStatus, Solution, solve_rows
from .studies import Array, Family
from .variation import NormalVariation

__all__ = ["FitStatus", "GLMMFit", "fit_counts", "fit_glmm"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GLMMFit(CountFit):
    """Maximum likelihood fits of ``R`` replicates of the GLMM."""

    #: Between-study standard deviation and variance, shape ``(R,)``
    tau: Array
    tau2: Array
    tau_se: Array  # Standard error of ``tau``; nan at the boundary, where it has no normal limit
    quad_points: int  # Quadrature nodes (1 = Laplace)
    family: Family
    data: CountData  # The checked input, shared rather than copied, for what is computed from a fit
    information: str = "observed"  # Kind of information
    #: Information about the linear predictor of each study at the estimates, shape ``(1, k)``; kept
    #: for a single fit without a mask, None otherwise
    curvature: Array | None = None

    def _headline(self) -> str:
        return f"{self.family}, {self.quad_points} nodes of quadrature"

    def _said(self) -> Iterator[Row]:
        if len(self) > 1:
            yield "fits", f"{len(self)}, of which {int(self.converged.sum())} converged"
            yield "studies", limits_text(np.quantile(self.k, [0, 1]))
            yield "τ²", limits_text(np.quantile(self.tau2, [0, 1]))
            return
        yield "studies", printing.count(int(self.k[0]))
        yield "coefficients", listed(map(number, self.beta[0]))
        yield "standard errors", listed(map(number, self.se[0]))
        yield "τ²", number(self.tau2[0])
        yield "log-likelihood", number(self.loglik[0], 5)
        yield "ended", self.message()

    def raise_for_status(self) -> GLMMFit:
        """Return the fit, or raise if any replicate has no maximum that was reached.

        Raises
        ------
        helpers.errors.ConvergenceError
            Naming the first replicate that failed, and why.
        """
        if not self.converged.all():
            row = int(self.converged.argmin())
            where = f"replicate {row}: " if len(self) > 1 else ""
            raise ConvergenceError(f"GLMM, {where}{self.message(row)}")
        return self


def fit_glmm(
    events: ArrayLike,
    n: ArrayLike,
    design: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    *,
    offset: ArrayLike | None = None,
    family: Family = "binomial",
    quad_points: int = 7,
    tol: float = 1e-10,
    max_iter: int = 100,
) -> GLMMFit:
    r"""Fit the random-intercept GLMM to one or many sets of studies by maximum likelihood.

    Parameters
    ----------
    events
        Whole numbers of events, shape ``(k,)`` or ``(R, k)``.
    n
        Sample sizes (binomial) or person-time (Poisson), shape ``(k,)`` or ``(R, k)``.
    design
        Fixed-effects design, shape ``(k, p)`` or ``(R, k, p)``; default an intercept.
    mask
        Which studies take part in each replicate, shape ``(k,)`` or ``(R, k)``: booleans, or
        whole non-negative numbers saying how often a study counts (a bootstrap of studies).
    offset
        Known part of the linear predictor, shape ``(k,)`` or ``(R, k)``. For the Poisson family
        ``log(n)`` is already in the model.
    family
        ``"binomial"`` (logit link) or ``"poisson"`` (log link, rates per unit of ``n``).
    quad_points
        Nodes of the adaptive quadrature, 1 (Laplace) to 100.
    tol
        The iteration stops when the Newton decrement, the distance from the maximum in standard
        errors, is below ``tol``.
    max_iter
        Limit of Newton iterations.

    Returns
    -------
    GLMMFit
        One row per replicate; outcomes without a finite maximum are flagged in ``status``.

    Raises
    ------
    helpers.errors.MetaAnalysisError
        If shapes disagree or a count is impossible (named by replicate and study).

    Notes
    -----
    The log-likelihood is even in ``tau``, hence a function of ``tau2``, in which Newton's method
    runs with the bound ``tau2 >= 0``. Its score at zero, a scan of the profile and a Newton
    ascent from every local maximum of that scan decide where the global maximum lies; replicates
    with a large ``tau``, or whose scan shows a higher point, are scanned again four times as
    densely. With very sparse studies and large ``tau`` few nodes leave ripples in the profile:
    `helpers.quadrature_error` measures them. Quadrature: Pinheiro & Bates 1995,
    doi:10.1080/10618600.1995.10474663; Liu & Pierce 1994, doi:10.1093/biomet/81.3.624.

    Examples
    --------
    >>> fit = fit_glmm(events=[3, 0, 8, 12, 2], n=[40, 25, 60, 55, 48])
    >>> print(round(float(fit.beta[0, 0]), 4), round(float(fit.tau2[0]), 4), fit.converged[0])
    -2.3823 0.5041 True
    """
    if family not in ("binomial", "poisson"):
        raise UnsupportedError(f"family must be 'binomial' or 'poisson', not {family!r}")
    points = whole_number("quad_points", quad_points, 1, 100)
    data = check_data(events, n, design, mask, offset, family)
    return fit_counts(data, points, tol, max_iter)


def fit_counts(
    data: CountData, quad_points: int, tol: float = 1e-10, max_iter: int = 100
) -> GLMMFit:
    """Fit checked data (`fit_glmm` without the checks)."""
    model = NormalVariation(gauss_hermite(quad_points))
    out = Solution.empty(data.rows, data.p)
    for index, problem in data.chunks(quad_points):
        solve_rows(problem, model, tol, max_iter, out, index)
    return GLMMFit(
        **out.told(data.counts()),
        tau=np.sqrt(out.tau2),
        tau2=out.tau2,
        tau_se=np.sqrt(out.cov[:, -1, -1]),
        quad_points=quad_points,
        family=data.family,
        data=data,
        curvature=out.curvature if data.weights is None else None,
    )

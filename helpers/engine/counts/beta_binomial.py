r"""Beta-binomial model: the alternative to the normal random intercept.

Each study's probability is drawn from a beta distribution with mean
:math:`\pi_i = \mathrm{expit}(x_i'\beta)` and intraclass correlation :math:`\rho`:

.. math::

    P(x) = \binom{n}{x}
           \frac{\prod_{j<x} (\pi + j\varphi) \prod_{j<n-x} (1 - \pi + j\varphi)}
                {\prod_{j<n} (1 + j\varphi)} , \qquad \varphi = \rho / (1 - \rho)

(Skellam 1948, doi:10.1111/j.2517-6161.1948.tb00014.x; Williams 1975, doi:10.2307/2529820). Here
``expit(beta)`` is the *mean* proportion across studies, whereas the GLMM's is the *median*. The
products are evaluated through differences of log-gamma, digamma and trigamma functions that keep
their digits at every size, and are smooth through :math:`\varphi = 0`, the binomial model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ...errors import ConvergenceError, MetaAnalysisError
from ..distributions import chi2_isf
from ..normal.intervals import Interval
from ..roots import bracketed_root, expand
from .batch import CountData, check_data
from .kernel import StudyTerms
from .optimise import CountFit, Solution, solve_rows
from .studies import Array, Studies, prepare, relative_value

_SHIFT = 16  # arguments are raised above this before the asymptotic series
_SERIES = 11  # terms of the expansion in phi where phi * m is small
_SMALL = 0.04


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BetaBinomialFit(CountFit):
    """Maximum likelihood fits of ``R`` replicates; ``beta`` are logits of *mean* proportions."""

    #: Intraclass correlation and its standard error (nan at the boundary), shape (R,)
    rho: Array
    rho_se: Array


def fit_beta_binomial(
    events: ArrayLike,
    n: ArrayLike,
    design: ArrayLike | None = None,
    mask: ArrayLike | None = None,
) -> BetaBinomialFit:
    """Fit the beta-binomial model to one or many sets of studies by maximum likelihood.

    Parameters are those of `fit_glmm`. The maximum is found as there: score at ``rho = 0``, scan
    of the profile, Newton ascent with exact derivatives from every local maximum of the scan.
    """
    return _fit(check_data(events, n, design, mask, None, "binomial"))


def _fit(data: CountData) -> BetaBinomialFit:
    model = BetaBinomialVariation()
    out = Solution.empty(data.rows, data.p)
    for index, problem in data.chunks(model.cost):
        solve_rows(problem, model, 1e-10, 100, out, index)
    rho, se = out.tau2 / (1.0 + out.tau2), np.sqrt(out.cov[:, -1, -1])
    return BetaBinomialFit(**out.told(data.counts()), rho=rho, rho_se=se)


def null_scores(events: Array, n: Array, mu: float) -> Array | None:
    """Score of each study for the logit of the mean at `mu`, the correlation fitted there.

    None where that fit has no maximum.
    """
    under = _fit(check_data(events, n, None, None, None, "binomial").fixing(0, np.array([mu])))
    if not under.converged[0]:
        return None
    at = np.full(events.shape, mu)
    phi = np.full(events.shape, under.rho[0] / (1.0 - under.rho[0]))
    return BetaBinomialVariation().terms(prepare("binomial", events, n), at, phi).eta


def profile_beta_binomial(
    events: Array, n: Array, mu: float, se: float, loglik: float, level: float
) -> Interval:
    """Profile-likelihood interval of the logit of the mean proportion; an error if unbounded."""
    data = check_data(events, n, None, None, None, "binomial")
    cutoff = loglik - 0.5 * float(chi2_isf(1.0 - level, 1.0))

    def above(at: Array) -> Array:
        held = data.take(np.zeros(at.size, dtype=np.intp)).fixing(0, at)
        return _fit(held).loglik - cutoff

    try:
        inside, outside = expand(above, [mu, mu], [-2.0 * se, 2.0 * se], max_iter=12)
    except ConvergenceError as error:
        raise MetaAnalysisError(
            f"the profile likelihood of the mean does not bound it at level {level:g}: the data "
            "contain too little information"
        ) from error
    low, high = bracketed_root(above, inside, outside, rtol=1e-10, atol=1e-10 * se)
    return Interval(float(low), float(high))


@dataclass(frozen=True, slots=True)
class BetaBinomialVariation:
    """Beta-distributed probabilities; the variance parameter is ``phi = rho / (1 - rho)``."""

    limit: ClassVar[float] = 1e4  # largest ``phi`` that is searched (``rho`` of 0.9999)
    rugged: ClassVar[float] = np.inf  # nowhere: the likelihood is evaluated without approximation

    @property
    def cost(self) -> int:
        """Temporary arrays per study, in units of a quadrature node."""
        return 6

    def terms(
        self,
        s: Studies,
        eta: Array,
        omega: Array,
        mode: Array | None = None,
        rough: bool = False,
        by_omega: bool = True,
    ) -> StudyTerms:
        """Beta-binomial log-likelihood relative to saturated, with derivatives."""
        shape = np.broadcast_shapes(np.shape(eta), np.shape(omega))
        phi = np.broadcast_to(omega, shape)
        e = np.exp(-np.abs(eta))
        small, large = e / (1.0 + e), 1.0 / (1.0 + e)
        low = eta <= 0
        pi, q = np.where(low, small, large), np.where(low, large, small)
        x = np.broadcast_to(s.x, shape)
        n = np.broadcast_to(s.n, shape)
        events = _rising(pi, x, phi)
        others = _rising(q, n - x, phi)
        total = _rising(np.ones(shape), n, phi)
        w = small * large
        bend = w * (q - pi)
        return StudyTerms(
            value=relative_value(s, eta) + events[0] + others[0] - total[0],
            eta=w * (events[1] - others[1]),
            omega=events[2] + others[2] - total[2],
            eta_eta=w * w * (events[3] + others[3]) + bend * (events[1] - others[1]),
            eta_omega=w * (events[4] - others[4]),
            omega_omega=events[5] + others[5] - total[5],
            mode=eta,
        )

    def score(self, s: Studies, slope: Array, v: Array, eta: Array) -> Array:
        """Differentiate in ``phi`` at zero: excess of squared residuals over binomial variance."""
        e = np.exp(-np.abs(eta))
        w = e / (1.0 + e) ** 2
        tilt = np.tanh(-0.5 * eta)  # 1 - 2 pi
        return 0.5 * ((slope**2 - slope * tilt) / w - s.n)

    def range(self, s: Studies, residual: Array) -> tuple[Array, Array]:
        """Scan from far below one over the largest study to a correlation of 0.95."""
        largest = np.maximum(s.n.max(axis=1), 2.0)
        return 0.02 / largest, np.full(len(largest), 20.0)

    def logit_variance(self, s: Studies, omega: Array) -> Array:
        """Variance of a beta variable over the squared slope of the logit at the study's rate."""
        rate = s.v_guess / (s.n + 1.0)
        return omega / (1.0 + omega) / rate

    def resolution(self, s: Studies) -> Array:
        """Estimate rounding: sums of ``n`` logarithms cancel, so it grows with the patients."""
        return 1e-15 * s.n.sum(axis=1)

    def natural(self, gradient: Array, hessian: Array, omega: Array) -> tuple[Array, Array]:
        """Turn to derivatives in ``(gamma, rho)``."""
        first = (1.0 + omega) ** 2  # d phi / d rho
        g, h = gradient.copy(), hessian.copy()
        h[:, -1, -1] = h[:, -1, -1] * first**2 + g[:, -1] * 2.0 * (1.0 + omega) ** 3
        h[:, :-1, -1] *= first[:, None]
        h[:, -1, :-1] *= first[:, None]
        g[:, -1] *= first
        return g, h


def _rising(c: Array, m: Array, phi: Array) -> tuple[Array, Array, Array, Array, Array, Array]:
    """``R = sum_{j<m} log(c + j phi)`` less ``m log c``, and the derivatives of ``R``.

    Returns ``(R - m log c, R_c, R_phi, R_cc, R_c_phi, R_phi_phi)``. Where ``phi m / c`` is small a
    power series is used, elsewhere differences of gamma functions; both keep full precision.
    """
    series = phi * m < _SMALL * c
    out = tuple(np.empty(c.shape) for _ in range(6))
    for part, compute in ((series, _rising_series), (~series, _rising_gamma)):
        if part.any():
            for whole, piece in zip(out, compute(c[part], m[part], phi[part]), strict=True):
                whole[part] = piece
    return out[0], out[1], out[2], out[3], out[4], out[5]


def _rising_series(c: Array, m: Array, phi: Array) -> tuple[Array, ...]:
    """Expansion in ``phi / c`` with the sums of powers ``P_k = sum_{j<m} j^k``."""
    ratio = phi / c
    inverse = 1.0 / c
    value, d_phi, d_cphi, d_phiphi = (np.zeros(c.shape) for _ in range(4))
    d_c = m * inverse
    d_cc = -m * inverse * inverse
    sums = _power_sums(m)
    power = np.ones(c.shape)  # (phi / c)^(k - 1)
    for k, total in enumerate(sums, start=1):
        sign = 1.0 if k % 2 else -1.0
        term = sign * power * total  # of R: ratio^k P_k (-1)^(k+1) / k
        value += term * ratio / k
        d_phi += term * inverse
        d_c -= term * ratio * inverse
        d_cc += (k + 1) * term * ratio * inverse * inverse
        d_cphi -= k * term * inverse * inverse
        if k > 1:
            below = sign * total * ratio ** (k - 2)
            d_phiphi += (k - 1) * below * inverse * inverse
        power = power * ratio
    return value, d_c, d_phi, d_cc, d_cphi, d_phiphi


def _power_sums(m: Array) -> list[Array]:
    """``sum_{j<m} j^k`` for ``k = 1 .. _SERIES``, by Pascal's recurrence in falling factorials."""
    # j^k = sum_i S(k, i) j (j-1) ... (j-i+1), and sums of falling factorials telescope
    stirling = [[1]]
    for k in range(1, _SERIES + 1):
        last = [*stirling[-1], 0]
        stirling.append([0] + [i * last[i] + last[i - 1] for i in range(1, k + 1)])
    falling = [m]  # m (m-1) ... (m-i), to be divided by i + 1
    for i in range(1, _SERIES + 1):
        falling.append(falling[-1] * (m - i))
    return [
        sum((stirling[k][i] * falling[i] / (i + 1) for i in range(1, k + 1)), np.zeros(m.shape))
        for k in range(1, _SERIES + 1)
    ]


def _rising_gamma(c: Array, m: Array, phi: Array) -> tuple[Array, ...]:
    """Differences of log-gamma, digamma and trigamma for ``j >= 1``; ``j = 0`` is added by hand."""
    rest = np.maximum(m - 1.0, 0.0)
    first = (m > 0) / c
    log_gamma, digamma, trigamma = _gamma_differences(c / phi + 1.0, rest)
    value = log_gamma - rest * np.log(c / phi)
    g_c = digamma / phi
    g_cc = -trigamma / (phi * phi)
    # the rest is homogeneous: c g_c + phi g_phi = m - 1, and so on for its derivatives
    d_phi = (rest - c * g_c) / phi
    d_cphi = -(g_c + c * g_cc) / phi
    d_phiphi = -(d_phi + c * d_cphi) / phi
    return value, g_c + first, d_phi, g_cc - first / c, d_cphi, d_phiphi


def _gamma_differences(a: Array, m: Array) -> tuple[Array, Array, Array]:
    """``lgamma(a+m) - lgamma(a)``, ``psi(a+m) - psi(a)`` and ``psi'(a) - psi'(a+m)``.

    Differences are taken term by term in forms without cancellation, after the argument has been
    raised by the recurrences to where the asymptotic series holds.
    """
    low = a.copy()
    log_gamma, digamma, trigamma = (np.zeros(a.shape) for _ in range(3))
    for _ in range(_SHIFT):
        up = low < _SHIFT
        if not up.any():
            break
        b, d = low[up], m[up]
        log_gamma[up] -= np.log1p(d / b)
        digamma[up] += d / (b * (b + d))
        trigamma[up] += d * (2.0 * b + d) / (b * (b + d)) ** 2
        low[up] = b + 1.0
    high = low + m
    log_ratio = np.log1p(m / low)
    log_gamma += (high - 0.5) * log_ratio + m * np.log(low) - m
    digamma += log_ratio + 0.5 * m / (low * high)
    trigamma += m / (low * high) + 0.5 * m * (low + high) / (low * high) ** 2
    # Bernoulli numbers B_2, B_4, ... of the asymptotic series
    for i, bernoulli in enumerate((1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730), start=1):
        # low^-p - high^-p without cancellation, p odd for lgamma and trigamma, even for digamma
        odd = low ** (1.0 - 2 * i) * -np.expm1((1.0 - 2 * i) * log_ratio)
        even = low ** (-2.0 * i) * -np.expm1(-2.0 * i * log_ratio)
        next_odd = low ** (-1.0 - 2 * i) * -np.expm1((-1.0 - 2 * i) * log_ratio)
        log_gamma -= bernoulli / (2 * i * (2 * i - 1)) * odd
        digamma += bernoulli / (2 * i) * even
        trigamma += bernoulli * next_odd
    return log_gamma, digamma, trigamma

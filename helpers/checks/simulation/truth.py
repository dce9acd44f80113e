"""Data from a known truth: studies drawn from a model whose parameters are given."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from zlib import crc32

import numpy as np

from ...arguments import Array, generator, one_of, whole_number
from ...engine.distributions import expit, logit, norm_cdf
from ...errors import ConvergenceError, UnsupportedError

#: Models that data can come from.
FAMILIES: tuple[str, ...] = ("binomial-normal", "beta-binomial", "normal-normal")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One known truth.

    Examples
    --------
    >>> truth = Scenario(k=10, proportion=0.5, tau=0.3)
    >>> truth.mu, round(truth.tau2, 3)
    (0.0, 0.09)
    """

    k: int  # Studies in a meta-analysis, at least 2
    proportion: float  # Proportion of the typical study, inside (0, 1): the mean logit is `mu`
    tau: float  # Standard deviation of the true logits between studies
    #: Patients: each study draws its size from these, with replacement
    sizes: tuple[int, ...] = (50,)
    #: "binomial-normal": normal true logits, binomial events; "beta-binomial": true proportions
    #: from the beta distribution whose logit has the same mean and standard deviation (its shape is
    #: skewed); "normal-normal": normal effects with sampling variances 1/(n p (1 - p)) that do not
    #: depend on the outcome
    family: str = "binomial-normal"
    label: str = ""  # Name of the sizes, for tables

    def __post_init__(self) -> None:
        one_of("family", self.family, FAMILIES)
        if not (self.k >= 2 and 0.0 < self.proportion < 1.0 and self.tau >= 0.0):
            raise UnsupportedError(
                f"k={self.k}, proportion={self.proportion}, tau={self.tau}: expected at least 2 "
                "studies, a proportion inside (0, 1) and a tau of at least 0"
            )
        if not self.sizes or min(self.sizes) < 1:
            raise UnsupportedError("sizes: expected at least one size, each at least 1")

    @property
    def mu(self) -> float:
        """Mean of the true logits."""
        return float(logit(self.proportion))

    @property
    def tau2(self) -> float:
        """Variance of the true logits."""
        return self.tau**2

    def within(self, lower: Array, upper: Array) -> Array:
        """Probability that the true logit of a new study lies between limits."""
        if self.tau == 0.0:
            return ((lower <= self.mu) & (self.mu <= upper)).astype(float)
        if self.family == "beta-binomial":
            from scipy.special import betainc

            a, b = beta_shapes(self.mu, self.tau)
            return betainc(a, b, expit(upper)) - betainc(a, b, expit(lower))
        return norm_cdf((upper - self.mu) / self.tau) - norm_cdf((lower - self.mu) / self.tau)


@dataclass(frozen=True, slots=True)
class Sample:
    """R meta-analyses of k studies drawn from a scenario."""

    scenario: Scenario
    n: Array  # Patients, shape (R, k)
    theta: Array  # True logits, shape (R, k)
    events: Array | None  # Events; None for "normal-normal", shape (R, k)
    #: Effects and sampling variances; "normal-normal" only, shape (R, k)
    yi: Array | None
    vi: Array | None


def simulate(scenario: Scenario, draws: int, seed: int = 1) -> Sample:
    """Draw meta-analyses.

    Parameters
    ----------
    scenario : Scenario
    draws : int
        How many.
    seed : int
        The same seed and scenario give the same data, whatever else is simulated.

    Examples
    --------
    >>> sample = simulate(Scenario(k=4, proportion=0.1, tau=0.5), draws=2)
    >>> sample.events.shape, bool((sample.events <= sample.n).all())
    ((2, 4), True)
    """
    rng = generator(seed, crc32(repr(astuple(scenario)).encode()))
    shape = (whole_number("draws", draws, 1), scenario.k)
    n = rng.choice(np.asarray(scenario.sizes, dtype=float), shape)
    if scenario.family == "beta-binomial" and scenario.tau > 0:
        # Logs of gamma variables, so that a proportion that rounds to 0 keeps its logit.
        a, b = beta_shapes(scenario.mu, scenario.tau)
        theta = _log_gamma(rng, a, shape) - _log_gamma(rng, b, shape)
    else:
        theta = scenario.mu + scenario.tau * rng.standard_normal(shape)
    if scenario.family == "normal-normal":
        vi = 1.0 / (n * scenario.proportion * (1.0 - scenario.proportion))
        yi = theta + np.sqrt(vi) * rng.standard_normal(shape)
        return Sample(scenario, n, theta, None, yi, vi)
    events = rng.binomial(n.astype(np.int64), expit(theta)).astype(float)
    return Sample(scenario, n, theta, events, None, None)


def _log_gamma(rng: np.random.Generator, shape: float, size: tuple[int, int]) -> Array:
    """Logarithm of gamma variables: G(a) = G(a + 1) U^(1/a) (Devroye 1986)."""
    return np.log(rng.standard_gamma(shape + 1.0, size)) - rng.standard_exponential(size) / shape


def beta_shapes(mu: float, tau: float) -> tuple[float, float]:
    """Shapes of the beta distribution whose logit has mean `mu` and standard deviation `tau`.

    The logit of a beta variable has mean psi(a) - psi(b) and variance psi'(a) + psi'(b); both
    are solved by Newton's method in the logarithms of the shapes.

    Raises
    ------
    ConvergenceError
        No solution was found.

    Examples
    --------
    >>> a, b = beta_shapes(0.0, 0.5)
    >>> bool(abs(a - b) < 1e-9), round(a, 3)
    (True, 8.49)
    """
    from scipy.special import digamma, polygamma

    p = float(expit(mu))
    total = 1.0 / (tau**2 * p * (1.0 - p))
    log_shapes = np.log(np.array([total * p + 0.5, total * (1.0 - p) + 0.5]))
    sign = np.array([1.0, -1.0])
    for _ in range(200):
        shapes = np.exp(log_shapes)
        first, second = polygamma(1, shapes), polygamma(2, shapes)
        miss = np.array([digamma(shapes) @ sign - mu, first.sum() - tau**2])
        step = np.linalg.solve(np.array([sign * first * shapes, second * shapes]), miss)
        log_shapes = log_shapes - np.clip(step, -1.0, 1.0)
        if float(np.abs(step).max()) < 1e-13:
            return float(np.exp(log_shapes[0])), float(np.exp(log_shapes[1]))
    raise ConvergenceError(f"no beta distribution found for mu={mu}, tau={tau}")

"""Prior distributions for the between-study standard deviation tau and the mean mu."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ...arguments import AnyArray as Array
from ...errors import MetaAnalysisError

_LOG_HALF_PI = float(np.log(0.5 * np.pi))
_LOG_2PI = float(np.log(2.0 * np.pi))


def _array(values: ArrayLike) -> Array:
    return np.asarray(values, dtype=float)


class _Prior:
    """What all priors have: finite parameters, all but a mean above 0, and a label of them."""

    __slots__ = ()

    word: ClassVar[str]  # name of the distribution

    def __post_init__(self) -> None:
        for name, value in self._parameters().items():
            if not (np.isfinite(value) and (value > 0 or name == "mean")):
                above = "" if name == "mean" else " above 0"
                raise MetaAnalysisError(f"{name}={value!r}: expected a finite number{above}")

    def _parameters(self) -> dict[str, float]:
        return {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]

    @property
    def label(self) -> str:
        """Name for tables."""
        return f"{self.word}({', '.join(f'{value:g}' for value in self._parameters().values())})"


class _OnTau(_Prior):
    """What a prior for tau has unless it says otherwise."""

    __slots__ = ()

    source: ClassVar[str]  # key of the reference that discusses the prior
    tail: ClassVar[float] = np.inf  # exponent a of a tail that falls like tau**-a

    @property
    def upper(self) -> float:
        """End of the support."""
        return np.inf


@dataclass(frozen=True, slots=True)
class HalfNormal(_OnTau):
    """Half-normal prior: the absolute value of a normal variable with this `scale`.

    Recommended for log-odds-like scales with scale 0.5 to 1 (Röver et al. 2021,
    doi:10.1002/jrsm.1475; Gelman 2006, doi:10.1214/06-BA117A on half priors in general).

    Examples
    --------
    >>> round(float(HalfNormal(0.5).log_density(0.0)), 6)
    0.467356
    """

    scale: float = 0.5

    word, source = "half-normal", "rover2021"

    @property
    def median(self) -> float:
        """Prior median."""
        return 0.6744897501960817 * self.scale

    def log_density(self, tau: ArrayLike) -> Array:
        """Log density at `tau` >= 0."""
        z = _array(tau) / self.scale
        return -0.5 * z * z - 0.5 * _LOG_HALF_PI - np.log(self.scale)


@dataclass(frozen=True, slots=True)
class HalfCauchy(_OnTau):
    """Half-Cauchy prior with this `scale`, its median (Gelman 2006, doi:10.1214/06-BA117A).

    Examples
    --------
    >>> round(float(HalfCauchy(0.5).log_density(0.5)), 6)
    -0.451583
    """

    scale: float = 0.5

    word, source, tail = "half-Cauchy", "gelman2006", 2.0

    @property
    def median(self) -> float:
        """Prior median."""
        return self.scale

    def log_density(self, tau: ArrayLike) -> Array:
        """Log density at `tau` >= 0."""
        z = _array(tau) / self.scale
        return -2.0 * np.log(np.hypot(1.0, z)) - _LOG_HALF_PI - np.log(self.scale)


@dataclass(frozen=True, slots=True)
class Uniform(_OnTau):
    """Uniform prior on (0, `high`).

    Examples
    --------
    >>> round(float(Uniform(5.0).log_density(1.0)), 6)
    -1.609438
    """

    high: float = 5.0

    word, source = "uniform", "gelman2006"

    @property
    def label(self) -> str:
        """Name for tables."""
        return f"uniform(0, {self.high:g})"

    @property
    def median(self) -> float:
        """Prior median."""
        return 0.5 * self.high

    @property
    def upper(self) -> float:
        """End of the support."""
        return self.high

    def log_density(self, tau: ArrayLike) -> Array:
        """Log density at `tau` >= 0."""
        t = _array(tau)
        return np.where(t <= self.high, -np.log(self.high), -np.inf)


@dataclass(frozen=True, slots=True)
class LogNormal(_OnTau):
    """Log-normal prior: log(tau) is normal with this mean and standard deviation.

    The form of the published informative priors for heterogeneity, which are usually given for
    tau2 (Turner et al. 2012, doi:10.1093/ije/dys041): halve both numbers of log(tau2).

    Examples
    --------
    >>> round(float(LogNormal(-1.0, 0.75).median), 6)
    0.367879
    """

    mean: float
    sd: float

    word, source = "log-normal", "turner2012"

    @property
    def median(self) -> float:
        """Prior median."""
        return float(np.exp(self.mean))

    def log_density(self, tau: ArrayLike) -> Array:
        """Log density at `tau` >= 0 (minus infinity at 0)."""
        t = _array(tau)
        inside = t > 0
        log_t = np.log(np.where(inside, t, 1.0))
        z = (log_t - self.mean) / self.sd
        value = -0.5 * z * z - log_t - np.log(self.sd) - 0.5 * _LOG_2PI
        return np.where(inside, value, -np.inf)


@dataclass(frozen=True, slots=True)
class Flat(_Prior):
    """Improper prior for mu with density 1 everywhere on the model scale.

    Examples
    --------
    >>> Flat().label
    'flat'
    """

    #: Weight of the prior mean, and that mean (without weight)
    precision: ClassVar[float] = 0.0
    mean: ClassVar[float] = 0.0

    @property
    def label(self) -> str:
        """Name for tables."""
        return "flat"

    def log_density(self, mu: ArrayLike) -> Array:
        """Log density at `mu`."""
        return np.zeros_like(_array(mu))


@dataclass(frozen=True, slots=True)
class Normal(_Prior):
    """Normal prior for mu on the model scale (mean and *standard deviation*).

    Examples
    --------
    >>> round(float(Normal(0, 4).log_density(0.0)), 6)
    -2.305233
    """

    mean: float = 0.0
    sd: float = 4.0

    word = "normal"

    @property
    def precision(self) -> float:
        """Weight of the prior mean."""
        return self.sd**-2

    def log_density(self, mu: ArrayLike) -> Array:
        """Log density at `mu`."""
        z = (_array(mu) - self.mean) / self.sd
        return -0.5 * z * z - np.log(self.sd) - 0.5 * _LOG_2PI


TauPrior = HalfNormal | HalfCauchy | Uniform | LogNormal
MuPrior = Flat | Normal

r"""Bootstrap of a pooled result, for every model, and of a meta-regression.

All replicates are fitted in batches, with tau2 estimated anew in each (van den Noortgate and
Onghena 2005, doi:10.3758/BF03206394). *Parametric*: new effects
:math:`y_i^* \sim N(\hat\mu, v_i + \hat\tau^2)`; for the GLMM new study logits
:math:`\theta_i^* \sim N(\hat\mu, \hat\tau^2)` and new events given them. *Nonparametric*: studies
drawn with replacement; where studies lie in clusters, whole clusters, each draw of which is a
cluster of its own (Davison and Hinkley 1997, section 3.8). Intervals: percentile, basic, BCa (Efron
1987, doi:10.1080/01621459.1987.10478410; nonparametric only, acceleration from leave-one-out) and,
for the mean, studentised. In a regression :math:`x_i'\hat\beta` is in the place of :math:`\hat\mu`,
and each coefficient has what the mean has. Quantiles interpolate order statistics at p(R + 1)
(Davison and Hinkley 1997, doi:10.1017/CBO9780511802843).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from ... import printing
from ...arguments import Array, generator, level_of, one_of, whole_number
from ...door import pd
from ...errors import ConvergenceError, UnsupportedError
from ..distributions import norm_cdf, norm_ppf
from ..effects import get_measure
from ..json_values import picked, plain
from ..model import (
    Drawn,
    Fitted,
    FittedRegression,
    Model,
    Progress,
    model_of,
    shared_variance,
)
from ..model.coefficients import RegressionRefits, refuse_names
from ..model.fits import Refits, failures_of
from ..model.units import Units, units_of
from ..normal.intervals import Interval
from ..options import BETA_BINOMIAL
from ..shown import Row, Shown, with_interval
from .sign_flips import permutation_test

#: Interval methods for each bootstrapped quantity.
BOOTSTRAP_METHODS: tuple[str, ...] = ("percentile", "basic", "bca", "studentised")
#: Ends of the range of what is not a mean, that of one group, "tau2(group)", included.
_BOUNDS = {"tau2": (0.0, np.inf), "I2": (0.0, 100.0)}


@dataclass(frozen=True, slots=True, repr=False)
class BootstrapResult(Shown):
    """Replicates of a pooled result, or of a meta-regression, and intervals from them."""

    kind: str  # {"parametric", "nonparametric"}
    draws: int  # Replicates made
    failed: int  # Replicates without a converged fit; they are left out of every interval
    failures: dict[str, int]  # Reason -> number of failed replicates
    seed: int
    level: float
    #: Replicates on the model scale, each of shape (draws - failed,): `mu`, `tau2` and `I2`
    #: (percent; beta-binomial: `tau2` is rho, I2 NaN), or `tau2` and the coefficients by name
    drawn: dict[str, Array]
    se: dict[str, Array]  # Standard errors of `mu`, or of the coefficients, in the replicates
    observed: dict[str, float]  # The original values by the names of `drawn`
    #: And standard errors by the names of `se`, which of cluster-robust fits are the model's too
    observed_se: dict[str, float]
    #: Acceleration of each of `drawn` without each study or cluster (nonparametric only)
    acceleration: dict[str, float] | None
    fit: Fitted | FittedRegression  # The original result

    def _said(self) -> Iterator[Row]:
        failed = f"; {self.failed} failed" if self.failed else ""
        yield "draws", f"{printing.count(self.draws)} ({self.kind}, seed {self.seed}{failed})"
        unit: printing.Unit = "number"
        if get_measure(self.fit.core.options.measure).kind == "proportion":
            unit = "percent"
        for name in self.se:
            if self._pooled:
                row, centre = "estimate", self._shown(self.observed["mu"])
            else:
                row, centre, unit = printing.readable(name), self.observed[name], "number"
            yield row, with_interval(centre, self.conf_int(name), self.level, unit)
        for name in self.quantities:
            if name.startswith("tau2") and name not in self.se:
                row = name.replace("tau2", "τ²")
                yield row, with_interval(self.observed[name], self.conf_int(name), self.level)

    @property
    def quantities(self) -> tuple[str, ...]:
        """What the model estimates: mu (coefficients), and tau2 and I2 unless tau2 is known."""
        options = self.fit.core.options
        known = options.model in ("common", BETA_BINOMIAL) or options.tau2 is not None
        return tuple(self.se if known else self.drawn)

    @property
    def _pooled(self) -> bool:
        """Whether there is one mean, which has a scale of display."""
        return not self.fit.core.moderated

    def _shown(self, value: float) -> float:
        """Turn the mean into what is displayed."""
        return cast("Fitted", self.fit).to_display(value)

    def conf_int(
        self,
        quantity: str = "mu",
        method: str = "percentile",
        *,
        scale: Literal["display", "model"] = "display",
        level: float | None = None,
    ) -> Interval:
        """Bootstrap interval of the pooled effect, of a coefficient, of tau2 or of I2.

        Parameters
        ----------
        quantity : str
            "mu" (default), "tau2" or "I2"; of a regression the name of a coefficient, or "tau2".
        method : {"percentile", "basic", "bca", "studentised"}
            "bca" needs nonparametric draws, "studentised" is for "mu" and coefficients. Basic
            limits of tau2 and I2 are cut at the ends of their range.
        scale : {"display", "model"}
            For "mu": intervals are made on the model scale and back-transformed. Coefficients
            have the model scale alone.
        level : float, optional
            Default: the level of the fit.

        Raises
        ------
        UnsupportedError
            A combination that is not defined.
        """
        level = self.level if level is None else level
        if quantity in self.drawn and quantity not in self.quantities:
            model = self.fit.core.options.model
            if model == BETA_BINOMIAL:
                raise UnsupportedError(f"a beta-binomial model has no {quantity}; it has rho")
            raise UnsupportedError(
                f"{'a common-effect model' if model == 'common' else 'a known tau2'} has "
                f"no bootstrap interval of {quantity}: variation between studies is not estimated"
            )
        one_of("quantity", quantity, tuple(self.drawn))
        one_of("method", method, BOOTSTRAP_METHODS)
        level = level_of(level)
        one_of("scale", scale, ("display", "model"))
        low, high = self._limits(quantity, method, np.array([0.5 - level / 2, 0.5 + level / 2]))
        if self._pooled and quantity == "mu" and scale == "display":
            return Interval(self._shown(low), self._shown(high))
        return Interval(low, high)

    def _limits(self, quantity: str, method: str, tail: Array) -> tuple[float, float]:
        values, centre = self.drawn[quantity], self.observed[quantity]
        if method == "studentised":
            if quantity not in self.se:
                raise UnsupportedError(
                    f"the studentised interval is defined for {printing.listing(self.se)}"
                )
            se = self.se[quantity]
            if not (se > 0).all():
                raise UnsupportedError(
                    "the studentised interval needs positive standard errors; replicates in "
                    "which all effects are equal have none"
                )
            t = np.quantile((values - centre) / se, tail[::-1], method="weibull")
            limits = centre - self.observed_se[quantity] * t
        elif method == "bca":
            limits = np.quantile(values, self._bca_levels(quantity, tail), method="weibull")
        else:
            limits = np.quantile(values, tail, method="weibull")
            if method == "basic":
                limits = 2.0 * centre - limits[::-1]
        ends = (-np.inf, np.inf) if quantity in self.se else _BOUNDS[quantity.partition("(")[0]]
        low, high = np.clip(limits, *ends)
        return float(low), float(high)

    def _bca_levels(self, quantity: str, tail: Array) -> Array:
        if self.acceleration is None:
            raise UnsupportedError(
                "the BCa interval takes its acceleration from leave-one-out and is defined for "
                "kind='nonparametric'"
            )
        acceleration = self.acceleration[quantity]
        if np.isnan(acceleration):
            raise UnsupportedError(
                f"the BCa interval of {quantity} is not defined: no study can be left out"
            )
        values, centre = self.drawn[quantity], self.observed[quantity]
        # Ties with the estimate (tau2 = 0 is common) count half.
        below = float(np.mean(values < centre) + 0.5 * np.mean(values == centre))
        if not 0.0 < below < 1.0:
            raise UnsupportedError(
                f"the BCa interval of {quantity} is not defined: every replicate lies on one side "
                "of the estimate"
            )
        bias = float(norm_ppf(below))
        z = bias + norm_ppf(tail)
        return norm_cdf(bias + z / (1.0 - acceleration * z))

    def summary_frame(self) -> pd.DataFrame:
        """Estimate, bootstrap standard error, bias and every interval that is defined.

        Returns
        -------
        DataFrame
            Index (`quantity`, `method`); columns `estimate`, `bias`, `se` (model scale), `lower`,
            `upper` (model scale) and, for mu, `display_lower`, `display_upper` (else NaN).
        """
        rows = []
        for quantity in self.quantities:
            values, centre = self.drawn[quantity], self.observed[quantity]
            for method in BOOTSTRAP_METHODS:
                try:
                    limits = self.conf_int(quantity, method, scale="model")
                except UnsupportedError:  # not defined for this quantity, or these draws
                    continue
                mean = self._pooled and quantity == "mu"
                shown = self.conf_int("mu", method) if mean else (np.nan, np.nan)
                about = float(values.mean()) - centre, float(values.std(ddof=1))
                rows.append((quantity, method, centre, *about, *limits, *shown))
        columns = ["quantity", "method", "estimate", "bias", "se", "lower", "upper"]
        table = pd.DataFrame(rows, columns=[*columns, "display_lower", "display_upper"])
        return table.set_index(["quantity", "method"])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the intervals, not the replicates."""
        about = picked(self, "kind draws failed failures seed level")
        return plain(about | {"intervals": self.summary_frame()})


def _together(model: Model, fit: Fitted | FittedRegression) -> Units:
    """Give what is drawn as a whole: clusters of the model or of its covariance, or studies."""
    clusters: Any = model.clusters
    if clusters is None and model.moderated:
        clusters = cast("FittedRegression", fit).cluster
    return units_of(model.data, None if clusters is None else list(clusters))


def _draw(
    model: Model, fit: Fitted | FittedRegression, draws: int, kind: str, rng: np.random.Generator
) -> Drawn:
    """Make new data for every replicate."""
    if kind == "nonparametric":
        units = _together(model, fit)
        number = len(units.labels)
        times = rng.multinomial(number, np.full(number, 1.0 / number), size=draws)
        return Drawn(weights=times if units.single else times[:, units.codes])
    shared = shared_variance(fit)
    if model.moderated:
        mean: float | Array = model.X @ cast("FittedRegression", fit).estimates
    else:
        mean = cast("Fitted", fit).mu
    return model.simulate(mean, fit.tau2, rng, draws, shared)


def _values(refits: Refits | RegressionRefits, names: tuple[str, ...]) -> dict[str, Array]:
    """Replicates of each quantity; `names` are those of the coefficients."""
    if isinstance(refits, RegressionRefits):
        return dict(zip(names, refits.beta.T, strict=True)) | {"tau2": refits.tau2}
    return picked(refits, "mu tau2 I2")


def _errors(refits: Refits | RegressionRefits, names: tuple[str, ...]) -> dict[str, Array]:
    """Return standard errors of the mean, or of the coefficients."""
    if isinstance(refits, RegressionRefits):
        return dict(zip(names, refits.se.T, strict=True))
    return {"mu": refits.se}


def _observed(fit: Fitted | FittedRegression) -> tuple[dict[str, float], dict[str, float]]:
    """Original values of all quantities, and standard errors of the mean or the coefficients."""
    if fit.core.moderated:
        own = cast("FittedRegression", fit)
        values = dict(zip(own.names, map(float, own.estimates), strict=True)) | {"tau2": fit.tau2}
        if own.core.clusters is None and own.cluster is None:
            errors = np.sqrt(np.diagonal(own.covariance))
        else:  # which may be robust
            errors = own.core.fit_coefficients().se[0]
        return values, dict(zip(own.names, map(float, errors), strict=True))
    pooled = cast("Fitted", fit)
    values = {"mu": pooled.mu, "tau2": pooled.tau2, "I2": pooled.heterogeneity.I2}
    return values, {"mu": pooled.se if pooled.core.clusters is None else pooled.se_model}


def bootstrap(
    fit: Fitted | FittedRegression,
    draws: int = 2000,
    kind: Literal["parametric", "nonparametric"] = "parametric",
    *,
    seed: int = 1,
    progress: Progress | None = None,
) -> BootstrapResult:
    """Bootstrap the pooled effect, tau2 and I2, or the coefficients of a regression and tau2.

    Parameters
    ----------
    fit : Fitted or FittedRegression
        Any model; at least 2 included studies.
    draws : int, default 2000
    kind : {"parametric", "nonparametric"}
        Draw from the fitted model, or draw studies with replacement; whole clusters where the fit
        has them (three levels, or a regression with ``cluster=``).
    seed : int
    progress : callable, optional
        Called with (replicates done, replicates) after each chunk.

    Returns
    -------
    BootstrapResult
        Failed replicates (for instance: no event in any study, or studies that do not tell the
        coefficients apart) are counted and left out.

    Raises
    ------
    UnsupportedError
        Fewer than 2 studies, fewer than 20 draws, an unknown kind, a fit that did not converge, or
        a parametric bootstrap of a regression with ``cluster=``.
    ConvergenceError
        Fewer than 20 replicates could be fitted.

    Notes
    -----
    With few studies (or clusters) the nonparametric bootstrap underestimates the spread (samples
    repeat studies), most of all that of tau2.

    Examples
    --------
    >>> from helpers import pool
    >>> fit = pool(events=[3, 8, 16, 9], n=[40, 60, 50, 70], model="glmm")
    >>> result = bootstrap(fit, draws=200, seed=7)
    >>> low, high = result.conf_int()
    >>> bool(0 < low < fit.estimate < high < 1), result.failed
    (True, 0)

    Clusters are drawn as a whole:

    >>> import pandas as pd
    >>> from helpers import pool_multilevel
    >>> data = pd.DataFrame({"y": [0.1, 0.4, 0.9, 1.1, 0.2, 1.4], "v": [0.1] * 6, "x": [0, 1] * 3})
    >>> fit = pool_multilevel(data, "x", yi="y", vi="v", cluster=list("aabbcc"))
    >>> drawn = bootstrap(fit, 200, "nonparametric", seed=7)
    >>> low, high = drawn.conf_int("x")
    >>> bool(low < fit.coefficients.loc["x", "estimate"] < high), drawn.quantities
    (True, ('Intercept', 'x', 'tau2'))
    """
    model = model_of(fit, "the bootstrap")
    if model.moderated:
        refuse_quantities(cast("FittedRegression", fit))
    if kind == "parametric" and model.clusters is None and not _together(model, fit).single:
        raise UnsupportedError(
            "kind='parametric' draws effects from a regression as if they were independent, which "
            "those of one cluster are not; take kind='nonparametric', which draws whole clusters, "
            "or pool_multilevel"
        )
    made = replicated(fit, draws, kind, generator(seed), progress)
    return result_of(made, fit, kind=kind, seed=seed)


def refuse_quantities(fit: FittedRegression) -> None:
    """Refuse coefficients that are called as another quantity is."""
    refuse_names(fit, _BOUNDS, "the bootstrap")


class Replicates(NamedTuple):
    """What `draws` replicates of a fit gave, of shape (draws,) each, by name."""

    values: dict[str, Array]  # coefficients (or the mean) and heterogeneity
    errors: dict[str, Array]  # standard errors of the former
    observed: dict[str, float]
    observed_se: dict[str, float]
    acceleration: dict[str, float]  # of each of `values` (nonparametric only)
    converged: NDArray[np.bool_]
    status: NDArray[np.int8]


def replicated(
    fit: Fitted | FittedRegression,
    draws: int,
    kind: str,
    rng: np.random.Generator,
    progress: Progress | None,
) -> Replicates:
    """Draw replicates of a fit and fit them."""
    one_of("kind", kind, ("parametric", "nonparametric"))
    draws = whole_number("draws", draws, 20)
    model = fit.core
    names = cast("FittedRegression", fit).names if model.moderated else ()
    drawn = _draw(model, fit, draws, kind, rng)
    refit = model.fit_coefficients if model.moderated else model.fit
    refits: Refits | RegressionRefits = refit(
        drawn.weights, y=drawn.y, events=drawn.events, progress=progress
    )
    values, acceleration = _values(refits, names), {}
    if kind == "nonparametric" and model.k < 2:
        acceleration = dict.fromkeys(values, np.nan)
    elif kind == "nonparametric":
        units = _together(model, fit)
        rest = units.rest
        gone = model.fit_coefficients(rest) if model.moderated else model.without_each(units)
        acceleration = _acceleration(_values(gone, names), gone.converged)
    return Replicates(
        values,
        _errors(refits, names),
        *_observed(fit),
        acceleration,
        refits.converged,
        refits.status,
    )


def result_of(
    made: Replicates, fit: Fitted | FittedRegression, *, kind: str, seed: int
) -> BootstrapResult:
    """Leave out the replicates that failed."""
    sound, failures = made.converged, failures_of(made.status[~made.converged])
    draws = len(sound)
    if int(sound.sum()) < 20:
        raise ConvergenceError(
            f"bootstrap: only {int(sound.sum())} of {draws} replicates could be fitted "
            f"({'; '.join(f'{n} x {why}' for why, n in failures.items())})"
        )
    return BootstrapResult(
        kind=kind,
        draws=draws,
        failed=int((~sound).sum()),
        failures=failures,
        seed=seed,
        level=fit.core.options.level,
        drawn={name: values[sound] for name, values in made.values.items()},
        se={name: values[sound] for name, values in made.errors.items()},
        observed=made.observed,
        observed_se=made.observed_se,
        acceleration=made.acceleration or None,
        fit=fit,
    )


def _acceleration(gone: dict[str, Array], converged: NDArray[np.bool_]) -> dict[str, float]:
    """Acceleration of each quantity from its leave-one-out values."""
    out = {}
    for name, left in gone.items():
        values = left[converged]
        if not values.size:  # no study can be left out
            out[name] = np.nan
            continue
        spread = values.mean() - values
        square = float((spread**2).sum())
        out[name] = float((spread**3).sum()) / (6.0 * square**1.5) if square > 0 else 0.0
    return out


_OPTIONS = {"bootstrap": ("draws", "kind", "seed", "interval"), "permutation": ("draws", "seed")}


def resampled_interval(
    fit: Fitted,
    method: str,
    *,
    scale: Literal["display", "model"] = "display",
    level: float | None = None,
    **options: Any,
) -> Interval:
    """Interval of the pooled effect by the bootstrap or by inverting the sign-flip test.

    Options of the bootstrap are those of `bootstrap`, and `interval`, the `method` of
    `BootstrapResult.conf_int` (default "percentile"); of the permutation `draws` and `seed`.

    >>> from helpers import pool
    >>> fit = pool(events=[3, 8, 6, 9, 4, 7], n=[40, 60, 90, 70, 50, 70], ci_method="wald")
    >>> low, high = resampled_interval(fit, "permutation", draws="exact")
    >>> low < fit.estimate < high
    True
    """
    one_of("method", method, _OPTIONS)
    unknown = sorted(set(options) - set(_OPTIONS[method]))
    if unknown:
        raise UnsupportedError(
            f"method={method!r} has no option {', '.join(unknown)}; it has "
            f"{', '.join(_OPTIONS[method])}"
        )
    if method == "bootstrap":
        kind = options.pop("interval", "percentile")
        return bootstrap(fit, **options).conf_int("mu", kind, scale=scale, level=level)
    one_of("scale", scale, ("display", "model"))
    # the interval holds every mean that is not rejected; it does not depend on the one tested
    test = permutation_test(fit, fit.mu, scale="model", level=level, **options)
    limits = test.ci if scale == "display" else test.ci_model
    assert limits is not None  # conf_int=True is the default
    return limits

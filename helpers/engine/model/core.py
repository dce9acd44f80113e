"""The core of the toolkit: studies and choices, and all that is needed to fit them again.

A `Model` fits many selections of its studies in one batch (`Model.fit`: each row of `weights`
says how often each study takes part), other effects or events in their place, or other designs
(`Model.regress`), and draws new data (`Model.simulate`). Both families of likelihoods go the same
way: inverse variance through `helpers.engine.normal`, counts through `helpers.engine.counts`.
Pooled, regression and three-level results have their model as ``result.core``, and what is asked
of them afterwards (`helpers.engine.aftercare`) is asked of the model; so have beta-binomial ones,
whose intraclass correlation takes the place of a between-study variance.

Effects and variances are those of the studies given: a zero-cell correction is not decided anew
when studies are left out (it matters for ``to="if0all"`` only).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...arguments import Array
from ...door import pd
from ...errors import UnsupportedError
from ..cost import announce
from ..counts.common import family_of, included_counts
from ..counts.kernel import StudyTerms, gauss_hermite, study_terms
from ..counts.optimise import FitStatus
from ..counts.studies import Family, fixed_terms
from ..counts.studies import prepare as prepare_counts
from ..distributions import expit
from ..effects import Measure, get_measure
from ..normal.fit import RegressionFit, fit_regression
from ..normal.intervals import interval_se, mu_limits
from ..normal.inverse_variance import (
    InverseVarianceFit,
    fit_inverse_variance,
    fit_without_each,
)
from ..options import BETA_BINOMIAL, Options
from ..rows import joined
from ..studies import StudyData
from ..summaries import Heterogeneity
from .coefficients import RegressionRefits, refit_coefficients
from .counts import MOST, ONE_BY_ONE, refit_counts, refit_nearby, regress_counts
from .fits import Counts, Refits, Selections, first_ones
from .levels import fit_levels, level_refits
from .units import Units

Progress = Callable[[int, int], None]

_CELLS = 200_000  # replicates x studies held at once


class Drawn(NamedTuple):
    """What replaces the data in each replicate, shape (R, k); the arguments of `Model.fit`."""

    weights: Counts | None = None
    y: Array | None = None
    events: Array | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """Studies and choices: what a result was made of, and all that is needed to make it again."""

    data: StudyData  # all rows given, excluded ones with their reason
    options: Options  # every choice, a fixed between-study variance included (options.tau2)
    #: Shape (k, p): moderators of the included studies; None: one mean.
    design: Array | None = field(repr=False, default=None)
    #: Shape (k,): cluster of each included study, where studies of one cluster share an effect.
    clusters: NDArray[np.intp] | None = field(repr=False, default=None)

    # --- the included studies -----------------------------------------------------------------

    @property
    def k(self) -> int:
        """Included studies."""
        return self.data.k

    @property
    def labels(self) -> tuple[str, ...]:
        """Included studies, in input order."""
        return self.data.taken

    @property
    def yi(self) -> Array:
        """Effects, shape (k,); NaN where not defined."""
        return self.data.yi[self.data.included]

    @property
    def vi(self) -> Array:
        """Sampling variances, shape (k,); NaN where not defined."""
        return self.data.vi[self.data.included]

    @property
    def events(self) -> Array | None:
        """Events, shape (k,)."""
        return None if self.data.events is None else self.data.events[self.data.included]

    @property
    def size(self) -> Array | None:
        """Patients or person-time, shape (k,)."""
        return None if self.data.size is None else self.data.size[self.data.included]

    @property
    def counts(self) -> tuple[Array, Array]:
        """Events and sizes."""
        return included_counts(self.data)

    @property
    def X(self) -> Array:  # noqa: N802 - the field's name
        """Design, shape (k, p)."""
        return np.ones((self.k, 1)) if self.design is None else self.design

    @property
    def moderated(self) -> bool:
        """Whether it has coefficients, not one mean: a two-level regression on "1" has one too."""
        if self.clusters is None:
            return self.design is not None
        return bool((self.X != 1.0).any())

    # --- the choices --------------------------------------------------------------------------

    @property
    def scale(self) -> Measure:
        """The effect measure."""
        return get_measure(self.options.measure)

    @property
    def family(self) -> Family:
        """Distribution of the counts."""
        return family_of(self.scale.kind)

    @property
    def likelihood(self) -> bool:
        """Whether the model is fitted to counts by maximum likelihood."""
        return self.options.method == "likelihood"

    def require_own_variance(self, what: str) -> None:
        """Refuse to fit again one group of a joint fit, whose variance belongs to all groups."""
        if self.likelihood and self.options.tau2_source == "shared":
            raise UnsupportedError(
                f"{what} of one group is not defined with group_tau2='common': the variance "
                "belongs to all groups together. Use group_tau2='separate', or the overall result"
            )

    # --- one mean -----------------------------------------------------------------------------

    def fit(
        self,
        weights: Counts | Selections | None = None,
        *,
        y: Array | None = None,
        events: Array | None = None,
        limits: bool = False,
        progress: Progress | None = None,
    ) -> Refits:
        """Fit one mean to every replicate.

        `weights`, shape (R, k), say how often each included study takes part (default: once); `y`
        and `events` replace effects or counts. `progress` is called with (replicates done,
        replicates).
        """
        self.require_own_variance("fitting the studies again")
        given = next((a for a in (weights, y, events) if a is not None), None)
        rows = 1 if given is None else len(given)
        if isinstance(weights, Selections) and rows * self.k > self._most:
            raise UnsupportedError(
                f"{rows:,} fits of up to {self.k:,} studies each would take hours; the limit is "
                f"{int(self._most**0.5):,} studies for this model. Take a part of the studies"
            )
        announce(self._kind(new=events is not None, profiles=limits), rows, self.k)
        parts = []
        for part in self._chunks(rows, progress):
            c = None if weights is None else weights[part]
            if self.likelihood:
                x = None if events is None else events[part]
                parts.append(refit_counts(self, c, x, part.stop - part.start, limits=limits))
            else:
                effects = self.yi[None] if y is None else y[part]
                parts.append(self._effects(c, effects, part.stop - part.start, limits))
        return joined(parts)

    def without_each(self, units: Units, *, limits: bool = False) -> Refits:
        """Fit one mean without each of `units` in turn, one row for each."""
        self.require_own_variance("leaving studies out")
        method = self.options.tau2_method or "common"
        quick = self._quick(limits) and units.single
        if quick and self.likelihood:
            return refit_nearby(self, limits=limits)
        if quick:
            fit = fit_without_each(self.yi, self.vi, method=method, tau2=self.options.tau2)
            return self._refits(fit, units.rest, limits)
        return self.fit(units.rest, limits=limits)

    def growing(self, order: NDArray[np.intp], *, limits: bool = False) -> Refits:
        """Fit one mean to the first study in an order, the first two, and so on, a row for each."""
        self.require_own_variance("adding studies")
        if self._quick(limits) and self.likelihood:
            return refit_nearby(self, order, limits=limits)
        return self.fit(first_ones(order), limits=limits)

    def _quick(self, limits: bool) -> bool:
        """Whether there are ways for nearly equal selections of many studies."""
        slow = limits and self.options.ci_method in ("profile", "henmi-copas")
        single = self.clusters is None and self.options.model != BETA_BINOMIAL
        return self.k >= ONE_BY_ONE and single and not slow

    def _kind(self, *, new: bool = False, profiles: bool = False) -> str:
        """Name what a fit is, for its cost."""
        if self.clusters is not None:
            return "clusters of counts" if self.likelihood else "clusters of effects"
        if not self.likelihood:
            return "effects"
        if self.options.model == BETA_BINOMIAL:
            return "beta-binomial"
        if self.options.model == "common":
            return "one rate"
        if profiles and self.options.ci_method == "profile":
            return "profiles of counts"
        return "new counts" if new else "selected counts"

    @property
    def _most(self) -> int:
        """Studies times replicates that are fitted when each study makes a replicate."""
        return MOST if self.likelihood else 10 * MOST

    def _chunks(self, rows: int, progress: Progress | None) -> Iterator[slice]:
        size = max(1, _CELLS // self.k)
        for begin in range(0, rows, size):
            end = min(begin + size, rows)
            yield slice(begin, end)
            if progress is not None:
                progress(end, rows)

    def _effects(self, counts: Counts | None, yi: Array, rows: int, limits: bool) -> Refits:
        c = np.ones((rows, self.k)) if counts is None else counts.astype(float)
        tau2 = None if self.options.tau2 is None else np.full(rows, self.options.tau2)
        method = self.options.tau2_method or "common"
        fit = fit_inverse_variance(yi, self.vi[None], c, method=method, tau2=tau2)
        if self.clusters is not None:
            found = fit_levels(self, counts, y=np.broadcast_to(yi, c.shape))
            return level_refits(self, self._refits(fit, counts, False), found)
        return self._refits(fit, counts, limits)

    def _refits(
        self, fit: InverseVarianceFit, counts: Counts | Selections | None, limits: bool
    ) -> Refits:
        options, rows = self.options, len(fit.df)
        df = fit.df
        free = df > 0
        se, _ = interval_se(fit, options.ci_method, options.level)
        low, high = np.full(rows, np.nan), np.full(rows, np.nan)
        if limits:
            low, high = mu_limits(fit, options.ci_method, options.level)
        converged = fit.tau2.converged
        return Refits(
            k=fit.batch.k.astype(np.int64),
            mu=fit.mu,
            se=se,
            se_model=fit.se,
            tau2=fit.tau2.tau2,
            between=np.zeros(rows),
            Q=fit.Q,
            df=df,
            I2=np.where(free, fit.I2, 0.0),
            H2=np.where(free, fit.H2, 1.0),
            vt=fit.vt,
            loglik=fit.loglik_restricted if options.tau2_method == "REML" else fit.loglik,
            ci_lower=low,
            ci_upper=high,
            back_size=self._back_size(counts, fit.se),
            converged=converged,
            status=np.where(converged, 0, FitStatus.NOT_CONVERGED).astype(np.int8),
        )

    def _back_size(self, counts: Counts | Selections | None, se: Array) -> Array:
        size = self.size
        if not self.scale.needs_size or size is None:
            return np.ones(len(se))
        if self.options.back_transform == "inverse-variance":
            return 0.25 / se**2
        if counts is None:
            counts = np.ones((len(se), self.k), dtype=bool)
        parts = (counts[part].astype(float) for part in self._chunks(len(se), None))
        return np.concatenate([c.sum(axis=1) / (c @ (1.0 / size)) for c in parts])

    def to_display(self, values: Array, refits: Refits) -> Array:
        """Model-scale values of each replicate on the display scale; NaN stays NaN."""
        known = ~np.isnan(values)
        size = np.where(np.isnan(refits.back_size), 1.0, refits.back_size)
        shown = self.scale.inverse(np.where(known, values, 0.0), size)
        return np.where(known, shown, np.nan)

    # --- new data -----------------------------------------------------------------------------

    def simulate(
        self,
        mu: float | Array,
        tau2: float,
        rng: np.random.Generator,
        draws: int,
        between: float = 0.0,
    ) -> Drawn:
        """Draw new data of the studies: `y` by inverse variance, `events` for likelihood models.

        `mu` is one mean, or one for each study, shape (k,). For the beta-binomial model (one mean)
        `tau2` is the intraclass correlation; `between` is the part of `tau2` that studies of one
        cluster share.
        """
        shape = (draws, self.k)
        centre = mu
        if self.clusters is not None:
            shared = rng.standard_normal((draws, int(self.clusters.max()) + 1))
            centre, tau2 = mu + np.sqrt(between) * shared[:, self.clusters], tau2 - between
        if not self.likelihood:
            return Drawn(y=centre + rng.standard_normal(shape) * np.sqrt(self.vi + tau2))
        _, size = self.counts
        if self.options.model == BETA_BINOMIAL:
            if tau2 > 0.0:
                mean, total = float(expit(mu)), 1.0 / tau2 - 1.0
                rate = rng.beta(mean * total, (1.0 - mean) * total, shape)
            else:
                rate = np.full(shape, float(expit(mu)))
            return Drawn(events=rng.binomial(size.astype(np.int64), rate).astype(float))
        rate = self.scale.inverse(centre + np.sqrt(tau2) * rng.standard_normal(shape))
        if self.scale.kind == "rate":
            return Drawn(events=rng.poisson(rate * size).astype(float))
        return Drawn(events=rng.binomial(size.astype(np.int64), rate).astype(float))

    # --- moderators ---------------------------------------------------------------------------

    def fit_coefficients(
        self,
        weights: Counts | Selections | None = None,
        *,
        y: Array | None = None,
        events: Array | None = None,
        progress: Progress | None = None,
    ) -> RegressionRefits:
        """Fit the regression to every replicate, in chunks (arguments as in `Model.fit`)."""
        given = next((a for a in (weights, y, events) if a is not None), None)
        rows = 1 if given is None else len(given)
        data = "effects" if not self.likelihood else "counts" if events is None else "new counts"
        kind = f"regressions of {data}" if self.clusters is None else self._kind()
        announce(kind, rows, self.k)
        parts = []
        for part in self._chunks(rows, progress):
            c = None if weights is None else weights[part]
            effects, x = (None if a is None else a[part] for a in (y, events))
            parts.append(refit_coefficients(self, c, effects, x, part.stop - part.start))
        return joined(parts)

    def regress(
        self,
        X: Array | None = None,
        *,
        order: NDArray[np.intp] | None = None,
        weights: ArrayLike | None = None,
        y: Array | None = None,
        events: Array | None = None,
        signs: Array | None = None,
        null: float = 0.0,
        tau2_method: str | None = None,
    ) -> RegressionFit:
        """Fit the design, or others, permuted rows, subsets or sign flips, all in one batch.

        `X` is another design, shape (k, q) or (R, k, q). The others have shape (R, k): `order`
        permutes the rows of the design, `weights` say how often a study takes part, `y` and
        `events` replace effects or counts, `signs` turn effects around `null`.
        """
        design = self.X if X is None else X
        options = self.options
        if self.likelihood:
            if signs is not None:
                raise UnsupportedError(
                    "sign flips are defined for inverse-variance models without moderators"
                )
            observed, size = self.counts
            return regress_counts(
                observed if events is None else events,
                size,
                design if order is None else design[order],
                weights,
                family=self.family,
                quad_points=options.quad_points,
            )
        y = self.yi if y is None else y
        if signs is not None:
            y = signs * (y - null)
        method = tau2_method or ("common" if options.model == "common" else options.tau2_method)
        assert method is not None
        return fit_regression(y, self.vi, design, weights, tau2_method=method, order=order)

    def study_terms(self, beta: Array, tau2: float) -> StudyTerms:
        """Log-likelihood contributions of the studies to the GLMM, with derivatives."""
        events, size = self.counts
        studies = prepare_counts(self.family, events[None], size[None])
        eta = (self.X @ beta)[None]
        if tau2 == 0.0:
            value, slope, information = fixed_terms(studies, eta)
            zero = np.zeros_like(eta)
            return StudyTerms(value, slope, zero, -information, zero, zero, eta)
        nodes = gauss_hermite(self.options.quad_points)
        return study_terms(studies, eta, np.full_like(eta, tau2), nodes)

    def information(self, beta: Array, tau2: float) -> Array:
        """Information of each study about its linear predictor, its weight, shape (k,).

        1/(vi + tau2) for inverse variance, and for a GLMM the observed information, as behind its
        covariance. In a three-level GLMM, whose likelihood is no product over studies,
        1/(1/v + tau2) with v = n p (1 - p) (Poisson: expected events) at the fitted value.
        """
        if not self.likelihood:
            return 1.0 / (self.vi + tau2)
        if self.clusters is None:
            return np.maximum(-self.study_terms(beta, tau2).eta_eta[0], 0.0)
        eta = self.X @ beta
        rate = np.exp(eta) if self.family == "poisson" else expit(eta) * expit(-eta)
        return 1.0 / (1.0 / (self.counts[1] * rate) + tau2)


class Fitted(Protocol):
    """A model with its fit to its own studies, as a pooled result has it.

    Everything is on the model scale. See `helpers.models.result.PoolResult`.
    """

    @property
    def core(self) -> Model:
        """Studies and choices."""

    @property
    def mu(self) -> float:
        """Mean."""

    @property
    def se(self) -> float:
        """Standard error of the mean under `ci_method`."""

    @property
    def se_model(self) -> float:
        """Standard error of the mean from the model alone."""

    @property
    def tau2(self) -> float:
        """Between-study variance."""

    @property
    def heterogeneity(self) -> Heterogeneity:
        """How much the studies differ."""

    @property
    def weights(self) -> Array:
        """Percent for each row of the data."""

    @property
    def studies(self) -> pd.DataFrame:
        """Table of all studies."""
        ...

    @property
    def converged(self) -> bool:
        """Whether the estimate is a certified maximum or root."""

    @property
    def back_size(self) -> float | None:
        """Sample size of the back-transformation."""

    def require_finite(self, what: str) -> None:
        """Refuse what needs a finite mean."""

    def to_display(self, value: float) -> float:
        """Turn a value of the model scale into one of the display scale."""
        ...


class FittedRegression(Protocol):
    """A model with moderators and its fit, as `helpers.models.regression_result` has it."""

    @property
    def core(self) -> Model:
        """Studies, choices and design."""

    @property
    def names(self) -> tuple[str, ...]:
        """Coefficients."""
        ...

    @property
    def estimates(self) -> Array:
        """Coefficients, shape (p,)."""

    @property
    def tau2(self) -> float:
        """Residual between-study variance."""

    @property
    def covariance(self) -> Array:
        """Their covariance under the `ci_method`, shape (p, p)."""

    @property
    def moderators(self) -> pd.DataFrame:
        """Moderators of all rows given."""
        ...

    @property
    def cluster(self) -> tuple[Any, ...] | None:
        """Cluster of each included study."""

    @property
    def converged(self) -> bool:
        """Whether the estimate is a certified maximum or root."""


def shared_variance(fit: Fitted | FittedRegression) -> float:
    """Part of the between-study variance that studies of one cluster share; 0 without clusters."""
    return float(getattr(fit, "sigma2_between", 0.0))


def model_of(
    fit: Fitted | FittedRegression,
    what: str,
    *,
    least: int = 2,
    one_sided: bool = False,
) -> Model:
    """Take the model of a result that converged and whose studies `what` is to fit again.

    `one_sided`: whether studies without an event will do, where leaving one out changes nothing.
    """
    model = getattr(fit, "core", None)
    if not isinstance(model, Model):
        raise UnsupportedError(
            f"{what} needs studies with one model, as in a result of pool(); this is of type "
            f"{type(fit).__name__}"
        )
    if not (model.moderated or one_sided):
        cast("Fitted", fit).require_finite(what)
    model.require_own_variance(what)
    if model.k < least:
        raise UnsupportedError(f"{what} needs at least {least} studies; there is {model.k}")
    if not fit.converged:
        raise UnsupportedError(f"{what} needs a fit that converged; this one did not")
    return model

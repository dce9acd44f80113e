"""Fit a pooled model again on many selections of its studies, in one batch.

A `Refitter` knows the studies and the choices of a `PoolResult`; called with counts of shape
(replicates, studies) it returns a `Refits`, one row per replicate: 0 leaves a study out, 1 takes
it, more take it several times. Effects or events can be replaced, one row per replicate, for
parametric resampling. Both model families go the same way: inverse variance through
`helpers.engine.normal.inverse_variance`, likelihood models through `helpers.engine.counts.fit`.

Effects and variances are those of the original result: a zero-cell correction is not decided
anew when studies are left out (it matters for ``to="if0all"`` only).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import UnsupportedError
from ..counts.optimise import FitStatus
from ..normal.intervals import KNAPP_HARTUNG, knapp_hartung_se
from ..normal.inverse_variance import InverseVarianceFit, fit_inverse_variance
from ..normal.weighted import prepare
from .counts_refit import ONE_BY_ONE, refit_counts, refit_without_each
from .limits import inverse_variance_limits
from .replicates import Counts, Refits, Selections, joined, p_value
from .shared_sums import shared_tau2

if TYPE_CHECKING:
    from ...models.result import PoolResult

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]

__all__ = ["Progress", "Refitter", "without_each"]

_CELLS = 200_000  # replicates x studies held at once


@dataclass(frozen=True, slots=True)
class Refitter:
    """Fits the model of a result again.

    Attributes
    ----------
    fit : PoolResult
        The original result.
    labels : tuple of str
        Included studies.
    yi, vi : ndarray, shape (k,)
        Effects and variances of the included studies (NaN where not defined).
    events, size : ndarray, shape (k,), or None
        Counts of the included studies.
    fixed_tau2 : float or None
        The between-study variance, if it was given rather than estimated.
    """

    fit: PoolResult
    labels: tuple[str, ...]
    yi: Array = field(repr=False)
    vi: Array = field(repr=False)
    events: Array | None = field(repr=False)
    size: Array | None = field(repr=False)
    fixed_tau2: float | None = None

    @classmethod
    def of(
        cls, fit: PoolResult, *, least: int = 2, what: str = "this", one_sided: bool = False
    ) -> Refitter:
        """Prepare a result for refitting.

        Raises
        ------
        UnsupportedError
            Fewer than `least` studies, an original fit that did not converge, one group of a
            joint fit, whose variance belongs to all groups, or (unless `one_sided`) studies
            without an event, none of which changes anything.
        """
        if not one_sided:
            fit.require_finite(what)
        if fit.fitted_with_others:
            raise UnsupportedError(
                f"{what} of one group is not defined with tau2='common': the variance belongs to "
                "all groups together. Use tau2='separate', or the overall result"
            )
        if fit.k < least:
            raise UnsupportedError(
                f"{what} needs at least {least} studies; there {'is' if fit.k == 1 else 'are'} "
                f"{fit.k}"
            )
        if not fit.converged:
            raise UnsupportedError(f"{what} needs a fit that converged; this one did not")
        data, keep = fit.data, fit.data.included
        return cls(
            fit,
            tuple(s for s, taken in zip(data.labels, keep, strict=True) if taken),
            data.yi[keep],
            data.vi[keep],
            None if data.events is None else data.events[keep],
            None if data.size is None else data.size[keep],
            fit.options.tau2,
        )

    @property
    def k(self) -> int:
        """Included studies."""
        return len(self.labels)

    @property
    def likelihood(self) -> bool:
        """Whether the model is fitted to counts by maximum likelihood."""
        return self.fit.options.method == "likelihood"

    def _chunks(self, rows: int, progress: Progress | None) -> Iterator[slice]:
        size = max(1, _CELLS // self.k)
        for begin in range(0, rows, size):
            end = min(begin + size, rows)
            yield slice(begin, end)
            if progress is not None:
                progress(end, rows)

    def __call__(
        self,
        counts: Counts | Selections | None = None,
        *,
        yi: Array | None = None,
        events: Array | None = None,
        limits: bool = False,
        progress: Progress | None = None,
    ) -> Refits:
        """Fit every replicate.

        Parameters
        ----------
        counts : ndarray of bool or int, shape (R, k), or Selections, optional
            How often each included study takes part; default: once.
        yi : ndarray, shape (R, k), optional
            Effects instead of the observed ones (inverse variance).
        events : ndarray, shape (R, k), optional
            Events instead of the observed ones (likelihood models).
        limits : bool
            Whether to compute confidence limits too.
        progress : callable, optional
            Called with (replicates done, replicates) after each chunk.
        """
        given = next(a for a in (counts, yi, events, self.yi[None]) if a is not None)
        rows = len(given)
        parts = []
        for part in self._chunks(rows, progress):
            c = None if counts is None else counts[part]
            if self.likelihood:
                x = None if events is None else events[part]
                parts.append(refit_counts(self.fit, c, x, part.stop - part.start, limits=limits))
            else:
                y = self.yi[None] if yi is None else yi[part]
                parts.append(self._effects(c, y, part.stop - part.start, limits))
        return joined(parts)

    def without_each(self, *, limits: bool = False) -> Refits:
        """Fit without each study in turn, one row for each."""
        profile = limits and self.fit.options.ci_method == "profile"
        if self.likelihood and self.k >= ONE_BY_ONE and not profile:
            return refit_without_each(self.fit, limits=limits)
        return self(without_each(self.k), limits=limits)

    # --- inverse variance -------------------------------------------------------------------

    def _effects(self, counts: Counts | None, yi: Array, rows: int, limits: bool) -> Refits:
        options = self.fit.options
        c = np.ones((rows, self.k)) if counts is None else counts.astype(float)
        tau2, converged = self._tau2(yi, c)
        fit = fit_inverse_variance(
            yi, self.vi[None], c, method=options.tau2_method or "common", tau2=tau2
        )
        df = fit.df
        free = df > 0
        se = fit.se
        if options.ci_method in KNAPP_HARTUNG and free.any():
            se = se.copy()
            se[free] = knapp_hartung_se(_rows(fit, free), options.ci_method, options.level)
        low, high = np.full(rows, np.nan), np.full(rows, np.nan)
        if limits:
            low, high = inverse_variance_limits(fit, options.ci_method, options.level)
        converged = fit.tau2.converged if converged is None else converged
        return Refits(
            k=fit.batch.k.astype(np.int64),
            mu=fit.mu,
            se=se,
            se_model=fit.se,
            tau2=fit.tau2.tau2,
            Q=fit.Q,
            df=df,
            p=p_value(fit.Q, df),
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

    def _tau2(self, yi: Array, c: Array) -> tuple[Array | None, NDArray[np.bool_] | None]:
        """Between-study variances where they are known or have a faster way than the engine's."""
        rows = len(c)
        if self.fixed_tau2 is not None:
            return np.full(rows, self.fixed_tau2), None
        if self.fit.tau2_method not in ("ML", "REML"):
            return None, None
        tau2, converged = np.zeros(rows), np.ones(rows, dtype=bool)
        several = c.sum(axis=1) > 1
        if several.any():
            # Rows of one study have tau2 = 0.
            y = yi if len(yi) == 1 else yi[several]
            batch = prepare(y, self.vi[None], c[several])
            tau2[several], converged[several] = shared_tau2(
                batch, self.vi, restricted=self.fit.tau2_method == "REML"
            )
        return tau2, converged

    def _back_size(self, counts: Counts | None, se: Array) -> Array:
        if not self.fit.scale.needs_size or self.size is None:
            return np.ones(len(se))
        if self.fit.options.back_transform == "inverse-variance":
            return 0.25 / se**2
        c = np.ones((len(se), self.k)) if counts is None else counts.astype(float)
        return c.sum(axis=1) / (c @ (1.0 / self.size))

    def to_display(self, values: Array, refits: Refits) -> Array:
        """Model-scale values of each replicate on the display scale; NaN stays NaN."""
        known = ~np.isnan(values)
        size = np.where(np.isnan(refits.back_size), 1.0, refits.back_size)
        shown = self.fit.scale.inverse(np.where(known, values, 0.0), size)
        return np.where(known, shown, np.nan)


def without_each(k: int) -> Selections:
    """Leave out one study each.

    Examples
    --------
    >>> without_each(2)[:].tolist()
    [[False, True], [True, False]]
    """
    return Selections(k, lambda row: np.arange(k) != row)


def _rows(fit: InverseVarianceFit, pick: NDArray[np.bool_]) -> InverseVarianceFit:
    """Replicates of a batch; only what Knapp-Hartung standard errors need is subset."""
    return replace(
        fit, beta=fit.beta[pick], cov=fit.cov[pick], scale=fit.scale[pick], df=fit.df[pick]
    )

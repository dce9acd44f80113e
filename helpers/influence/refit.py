"""Fit a pooled model again on many selections of its studies, in one batch.

A `Refitter` knows the studies and the choices of a `PoolResult`; called with counts of shape
(replicates, studies) it returns a `Refits`, one row per replicate: 0 leaves a study out, 1 takes
it, more take it several times. Effects or events can be replaced, one row per replicate, for
parametric resampling. Both model families go the same way: inverse variance through
`helpers.pooling.inverse_variance`, likelihood models through `helpers.pooling.glmm`.

Effects and variances are those of the original result: a zero-cell correction is not decided
anew when studies are left out (it matters for ``to="if0all"`` only).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from helpers.distributions import chi2_sf
from helpers.errors import UnsupportedError
from helpers.influence.limits import count_limits, glmm_limits, inverse_variance_limits
from helpers.pooling.glmm import FitStatus, fit_glmm
from helpers.pooling.glmm_counts import fixed_terms, prepare
from helpers.pooling.intervals import KNAPP_HARTUNG, knapp_hartung_se
from helpers.pooling.inverse_variance import InverseVarianceFit, fit_inverse_variance
from helpers.pooling.likelihood import family_of, included_counts
from helpers.pooling.result import PoolResult

Array = NDArray[np.float64]
Counts = NDArray[np.bool_] | NDArray[np.int64]
Progress = Callable[[int, int], None]

__all__ = ["Refits", "Refitter", "ratio"]

_CELLS = 600_000


def ratio(top: Array, bottom: Array) -> Array:
    """Quotient that is 0 for 0/0 and infinite (with the sign of `top`) for other x/0.

    Examples
    --------
    >>> import numpy as np
    >>> ratio(np.array([0.0, 1.0, -1.0]), np.array([0.0, 2.0, 0.0])).tolist()
    [0.0, 0.5, -inf]
    """
    top, bottom = np.broadcast_arrays(top, bottom)
    sound = bottom != 0
    limit = np.where(top == 0, 0.0, np.copysign(np.inf, top))
    return np.where(sound, top / np.where(sound, bottom, 1.0), np.where(np.isnan(top), top, limit))


@dataclass(frozen=True, slots=True)
class Refits:
    """Fits of R replicates; every array has shape (R,).

    Attributes
    ----------
    k : ndarray of int
        Studies that take part, repeated ones counted as often.
    mu, se, se_model, tau2 : ndarray
        As on `PoolResult`; NaN where the likelihood has no finite maximum.
    Q, df, p, I2, H2 : ndarray
        As on `Heterogeneity` (I2 in percent).
    Q_lrt : ndarray
        Likelihood-ratio test against the saturated model; NaN by inverse variance.
    vt : ndarray
        Typical sampling variance behind I2; NaN for a single study.
    ci_lower, ci_upper : ndarray
        Limits on the model scale with the interval method of the original result, and its
        Wald interval for a single study; NaN unless asked for.
    back_size : ndarray
        Sample size of the back-transformation (Freeman-Tukey measures; 1 otherwise).
    converged : ndarray of bool
        Whether the maximum was reached (always true for closed forms).
    status : ndarray of int8
        Codes of `helpers.pooling.glmm.FitStatus`.
    """

    k: NDArray[np.int64]
    mu: Array
    se: Array
    se_model: Array
    tau2: Array
    Q: Array
    df: Array
    p: Array
    I2: Array
    H2: Array
    Q_lrt: Array
    vt: Array
    ci_lower: Array
    ci_upper: Array
    back_size: Array
    converged: NDArray[np.bool_]
    status: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.mu)

    def note(self, row: int) -> str:
        """Why a replicate has no sound estimate; empty if it has one."""
        return "" if self.converged[row] else FitStatus(int(self.status[row])).message

    def failures(self) -> dict[str, int]:
        """How many replicates failed, by reason."""
        codes, number = np.unique(self.status[~self.converged], return_counts=True)
        return {FitStatus(int(c)).message: int(m) for c, m in zip(codes, number, strict=True)}


def _joined(parts: list[Refits]) -> Refits:
    if len(parts) == 1:
        return parts[0]
    return Refits(
        **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Refits)}
    )


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
    def of(cls, fit: PoolResult, *, least: int = 2, what: str = "this") -> Refitter:
        """Prepare a result for refitting.

        Raises
        ------
        UnsupportedError
            Fewer than `least` studies, or an original fit that did not converge.
        """
        if fit.k < least:
            raise UnsupportedError(
                f"{what} needs at least {least} studies; there {'is' if fit.k == 1 else 'are'} "
                f"{fit.k}"
            )
        if not fit.converged:
            raise UnsupportedError(f"{what} needs a fit that converged; this one did not")
        data, keep = fit.data, fit.data.included
        fixed = None
        if fit.model == "random":
            again = fit_inverse_variance(
                data.yi[keep], data.vi[keep], method=str(fit.tau2_method)
            ).tau2.tau2[0]
            # The choices of a result do not say that tau2 was given: its value does.
            if abs(again - fit.tau2) > 1e-10 * (again + fit.tau2):
                fixed = fit.tau2
        return cls(
            fit,
            tuple(s for s, taken in zip(data.labels, keep, strict=True) if taken),
            data.yi[keep],
            data.vi[keep],
            None if data.events is None else data.events[keep],
            None if data.size is None else data.size[keep],
            fixed,
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
        counts: Counts | None = None,
        *,
        yi: Array | None = None,
        events: Array | None = None,
        limits: bool = False,
        progress: Progress | None = None,
    ) -> Refits:
        """Fit every replicate.

        Parameters
        ----------
        counts : ndarray of bool or int, shape (R, k), optional
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
                parts.append(self._counts(c, x, part.stop - part.start, limits))
            else:
                y = self.yi[None] if yi is None else yi[part]
                parts.append(self._effects(c, y, part.stop - part.start, limits))
        return _joined(parts)

    # --- inverse variance -------------------------------------------------------------------

    def _effects(self, counts: Counts | None, yi: Array, rows: int, limits: bool) -> Refits:
        options = self.fit.options
        fit = fit_inverse_variance(
            yi,
            self.vi[None],
            np.ones((rows, self.k)) if counts is None else counts,
            method=options.tau2_method or "common",
            tau2=None if self.fixed_tau2 is None else np.full(rows, self.fixed_tau2),
        )
        df = fit.df
        free = df > 0
        se = fit.se
        if options.ci_method in KNAPP_HARTUNG and free.any():
            se = se.copy()
            se[free] = knapp_hartung_se(_rows(fit, free), options.ci_method, options.level)
        low, high = np.full(rows, np.nan), np.full(rows, np.nan)
        if limits:
            low, high = inverse_variance_limits(fit, se, options.ci_method, options.level)
        converged = fit.tau2.converged
        return Refits(
            k=fit.batch.k.astype(np.int64),
            mu=fit.mu,
            se=se,
            se_model=fit.se,
            tau2=fit.tau2.tau2,
            Q=fit.Q,
            df=df,
            p=_p_value(fit.Q, df),
            I2=np.where(free, fit.I2, 0.0),
            H2=np.where(free, fit.H2, 1.0),
            Q_lrt=np.full(rows, np.nan),
            vt=fit.vt,
            ci_lower=low,
            ci_upper=high,
            back_size=self._back_size(counts, fit.se),
            converged=converged,
            status=np.where(converged, 0, FitStatus.NOT_CONVERGED).astype(np.int8),
        )

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

    # --- likelihood -------------------------------------------------------------------------

    def _counts(
        self, counts: Counts | None, events: Array | None, rows: int, limits: bool
    ) -> Refits:
        options, kind = self.fit.options, self.fit.scale.kind
        x0, n = included_counts(self.fit.data)
        x = np.broadcast_to(x0[None] if events is None else events, (rows, self.k))
        c = np.ones((rows, self.k)) if counts is None else counts.astype(float)
        k = c.sum(axis=1)
        df = k - 1.0
        free = df > 0
        # The model without random effect: closed form, and all there is for one study.
        total, size = np.einsum("rk,rk->r", c, x), c @ n
        finite = (total > 0) & ((kind == "rate") | (total < size))
        inner = np.where(finite, total, 1.0)
        rest = np.where(finite, size - total, 1.0)
        rate = kind == "rate"
        mu = np.log(inner / size) if rate else np.log(inner / rest)
        se = np.sqrt(1.0 / inner) if rate else np.sqrt(1.0 / inner + 1.0 / rest)
        status = np.where(finite, 0, FitStatus.SEPARATION).astype(np.int8)
        studies = prepare(family_of(kind), x, np.broadcast_to(n, x.shape))
        fixed = fixed_terms(studies, mu[:, None])[0]
        lrt = np.where(finite & free, np.maximum(-2.0 * np.einsum("rk,rk->r", c, fixed), 0.0), 0.0)
        mu, se = np.where(finite, mu, np.nan), np.where(finite, se, np.nan)
        tau2 = np.where(finite, 0.0, np.nan)
        converged = finite.copy()
        low, high = np.full(rows, np.nan), np.full(rows, np.nan)
        pick = np.flatnonzero(finite & free) if options.model == "glmm" else np.arange(0)
        if pick.size:
            fit = fit_glmm(
                x0 if events is None else x[pick],
                n,
                mask=None if counts is None else counts[pick],
                family=family_of(kind),
                quad_points=options.quad_points,
            )
            at = np.arange(len(fit)) if len(fit) == pick.size else np.zeros(pick.size, dtype=int)
            sound = fit.status[at] != FitStatus.SEPARATION
            mu[pick] = np.where(sound, fit.beta[at, 0], np.nan)
            se[pick] = np.where(sound, fit.se[at, 0], np.nan)
            tau2[pick] = np.where(sound, fit.tau2[at], np.nan)
            converged[pick], status[pick] = fit.converged[at], fit.status[at]
            if limits:
                low[pick], high[pick] = glmm_limits(fit, options.ci_method, options.level)
        rest_of = np.flatnonzero(finite & ~np.isin(np.arange(rows), pick))
        if limits and rest_of.size:
            method = np.where(free[rest_of], options.ci_method, "wald")
            low[rest_of], high[rest_of] = count_limits(
                total[rest_of], size[rest_of], kind, method, options.level
            )
        q = _saturated_wald(c, x, n, kind)
        vt = self._typical_variance(c, x, n, free)
        safe_df = np.where(free, df, 1.0)
        if options.model == "glmm":
            known = np.where(free, vt, 1.0)
            i2, h2 = 100.0 * tau2 / (tau2 + known), 1.0 + tau2 / known
        else:
            i2, h2 = 100.0 * np.maximum(ratio(q - df, q), 0.0), q / safe_df
            i2 = np.where(q > 0, i2, 0.0)
        return Refits(
            k=k.astype(np.int64),
            mu=mu,
            se=se,
            se_model=se,
            tau2=tau2,
            Q=np.where(free, q, 0.0),
            df=df,
            p=_p_value(np.where(free, q, 0.0), df),
            I2=np.where(free, i2, 0.0),
            H2=np.where(free, h2, 1.0),
            Q_lrt=lrt,
            vt=vt,
            ci_lower=low,
            ci_upper=high,
            back_size=np.ones(rows),
            converged=converged,
            status=status,
        )

    def _typical_variance(self, c: Array, x: Array, n: Array, free: NDArray[np.bool_]) -> Array:
        """(k - 1)/tr(P) with inverse-variance weights of the measure's own zero-cell rule."""
        rows = x[:1] if (x == x[:1]).all() else x
        _, vi = self.fit.scale.effects(rows, np.broadcast_to(n, rows.shape))
        w = np.broadcast_to(1.0 / vi, c.shape)
        s1, s2 = np.einsum("rk,rk->r", c, w), np.einsum("rk,rk->r", c, w * w)
        trace = np.where(free, s1 - s2 / s1, 1.0)
        return np.where(free, (c.sum(axis=1) - 1.0) / trace, np.nan)


def _rows(fit: InverseVarianceFit, pick: NDArray[np.bool_]) -> InverseVarianceFit:
    """Replicates of a batch; only what Knapp-Hartung standard errors need is subset."""
    from dataclasses import replace

    return replace(
        fit, beta=fit.beta[pick], cov=fit.cov[pick], scale=fit.scale[pick], df=fit.df[pick]
    )


def _p_value(q: Array, df: Array) -> Array:
    free = df > 0
    return np.where(free, chi2_sf(q, np.where(free, df, 1.0)), 1.0)


def _saturated_wald(c: Array, x: Array, n: Array, kind: str) -> Array:
    """Wald test of equal rates in the saturated model; zero and full cells carry no weight."""
    seen = (x > 0) & ((kind == "rate") | (x < n))
    inner, size = np.where(seen, x, 1.0), np.where(seen, n, 2.0)
    if kind == "rate":
        theta, w = np.log(inner / size), inner
    else:
        theta, w = np.log(inner / (size - inner)), inner * ((size - inner) / size)
    w = np.where(seen, c * w, 0.0)
    total = w.sum(axis=1)
    mean = np.einsum("rk,rk->r", w, theta) / np.where(total > 0, total, 1.0)
    return np.einsum("rk,rk->r", w, (theta - mean[:, None]) ** 2)

r"""Influence of single studies: deletion diagnostics and the Baujat plot's coordinates.

With :math:`\hat\mu, \hat\tau^2` from all studies and :math:`\hat\mu_{(i)}, \hat\tau^2_{(i)}`
without study i (Viechtbauer and Cheung 2010, doi:10.1002/jrsm.11):

===============  ==============================================================================
rstudent         :math:`(y_i - \hat\mu_{(i)}) / \sqrt{v_i + \hat\tau^2_{(i)} + se^2_{(i)}}`
dffits           :math:`(\hat\mu - \hat\mu_{(i)}) / \sqrt{h_i (v_i + \hat\tau^2_{(i)})}`
cook_d           :math:`(\hat\mu - \hat\mu_{(i)})^2 / se^2`
cov_ratio        :math:`se^2_{(i)} / se^2`
dfbetas          :math:`(\hat\mu - \hat\mu_{(i)})`, in units of the standard error that all studies
                 give at :math:`\hat\tau^2_{(i)}`
leverage         weight as a fraction, :math:`h_i`
===============  ==============================================================================

After a Knapp-Hartung fit every variance with index (i) carries the scale factor of the fit without
study i, and se that of the full fit, as in metafor.

A meta-regression has p coefficients b with covariance V and a row :math:`x_i` of its design X for
each study. :math:`x_i'b` is then in the place of :math:`\hat\mu`, and :math:`x_i'V_{(i)}x_i` in
that of :math:`se^2_{(i)}`; with weights :math:`W = diag(1/(v_i + \hat\tau^2))`:

===============  ==============================================================================
cook_d           :math:`(b - b_{(i)})'V^{-1}(b - b_{(i)})`
cov_ratio        :math:`\det V_{(i)} / \det V`
dfbetas          for each coefficient j, :math:`b_j - b_{(i)j}` in units of its standard error at
                 :math:`\hat\tau^2_{(i)}`
leverage         diagonal of :math:`X(X'WX)^{-1}X'W`
===============  ==============================================================================

In a GLMM W is the observed information of the studies about :math:`x_i'b`, as in the weights of a
pooled GLMM. In a three-level model the inverse covariance of all cohorts, a block for each cluster,
is in the place of W (for counts with the variance of the logit below), the leverage may leave 0 to
1, and dffits is NaN where it is negative. With cluster-robust standard errors all of these are of
the model, as in leave-one-out.

The likelihood models have no :math:`y_i` and :math:`v_i` (a study without events has no finite
logit). There rstudent is the signed root of the study's deviance
(`study_deviance`) from :math:`\hat\mu_{(i)}` with between-study variance
:math:`\hat\tau^2_{(i)} + se^2_{(i)}`; the same formula in a normal model gives the row above.
Elsewhere :math:`v_i` is the binomial (Poisson) variance of the logit (log rate) at
:math:`\hat\mu_{(i)}`, 1/(n p (1 - p)) or 1/(t rate), which is also what the weights of these
models rest on.

In a three-level model :math:`\hat\tau^2` is the sum of both variances, and the cohorts that share
a cluster with study i are correlated with it: the variance behind rstudent is less by twice the
covariance of :math:`y_i` and :math:`\hat\mu_{(i)}`. Standard errors are those of the model, not the
robust ones. In the beta-binomial model the variance of the logit of a study around the mean,
:math:`(1 + (n - 1)\rho) / (n p (1 - p))`, is in the place of :math:`v_i + \tau^2`, and rstudent is
Pearson's residual on the same scale.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from ... import printing
from ...arguments import Array
from ...door import pd
from ..distributions import chi2_ppf, expit
from ..json_values import picked, plain
from ..model import Fitted, FittedRegression, Model, model_of, shared_variance
from ..model.coefficients import RegressionRefits, columns_by, leverage
from ..model.fits import Refits, ratio
from ..model.levels import Blocks
from ..model.units import Units, units_of
from ..normal.left_out import Sums
from ..normal.weighted import prepare
from ..options import BETA_BINOMIAL
from ..shown import Row, Shown, listed
from .deviance import study_deviance

#: Beyond this absolute studentised deleted residual a study is an outlier (not a rule of
#: influence): one study in twenty is expected there.
OUTLIER = 1.959963984540054
_CELLS = 1_000_000  # replicates x studies held at once
_DEPENDENT = 1e-10  # relative singular value below which rows of a design are combinations


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule by which a study is flagged as influential."""

    statistic: str  # Column that the rule looks at
    threshold: float  # Flagged where the absolute value exceeds it
    words: str  # The rule in words
    doi: str = "10.1002/jrsm.11"  # Source


@dataclass(frozen=True, slots=True, repr=False)
class InfluenceResult(Shown):
    """Deletion diagnostics of every included study, or of clusters of studies."""

    labels: tuple[str, ...]  # Included studies (or clusters), in input order
    #: See the module; `Q_deleted` is Cochran's Q (the likelihood-ratio test for likelihood models)
    #: without the study. Those of a cluster are of all of its studies: `leverage` is a sum, and
    #: `rstudent` and `dffits`, which hold a single effect against the rest, are NaN.
    rstudent: Array
    dffits: Array
    cook_d: Array
    cov_ratio: Array
    tau2_deleted: Array
    Q_deleted: Array
    leverage: Array
    weights: Array  # percent, shape (k,); with one coefficient 100 times the leverage
    dfbetas: Array  # shape (k,), or (k, p) with a column for each of `coefficients`
    #: Whether the fit without the study converged; the diagnostics are NaN where it has no
    #: estimate, as where a moderator is inestimable without the study.
    converged: NDArray[np.bool_]
    rules: tuple[Rule, ...]  # The rules behind `flagged`
    model: str
    k: int  # Included studies
    unit: str = "study"  # What is left out, such as "study"
    coefficients: tuple[str, ...] = ()  # Where there are several: their names

    def _said(self) -> Iterator[Row]:
        yield "studies", printing.count(self.k)
        marked = zip(self.labels, self.flagged, strict=True)
        yield "influential", listed(label for label, flag in marked if flag)
        failed = int((~self.converged).sum())
        if failed:
            yield "not converged", printing.count(failed)

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """Whether any rule of influence applies, one for each label."""
        hits = [np.abs(getattr(self, r.statistic)) > r.threshold for r in self.rules]
        return np.logical_or.reduce([h if h.ndim == 1 else h.any(axis=1) for h in hits])

    @property
    def outlier(self) -> NDArray[np.bool_]:
        """Whether the studentised deleted residual lies beyond +-1.96, shape (k,)."""
        return np.abs(self.rstudent) > OUTLIER

    def frame(self) -> pd.DataFrame:
        """All diagnostics; the index is what was left out.

        Of several coefficients each has a column "dfbetas(...)".
        """
        columns = picked(self, "rstudent dffits cook_d cov_ratio tau2_deleted Q_deleted")
        columns |= picked(self, "leverage weights dfbetas")
        if self.coefficients:
            each = zip(self.coefficients, columns.pop("dfbetas").T, strict=True)
            columns |= {f"dfbetas({name})": values for name, values in each}
        columns |= picked(self, "flagged outlier converged")
        table = pd.DataFrame(columns, index=pd.Index(self.labels, name=self.unit))
        return table.rename(columns={"weights": "weight"})

    def summary_frame(self) -> pd.DataFrame:
        """Rows of `frame` that are flagged or outlying."""
        table = self.frame()
        return table[table["flagged"] | table["outlier"]]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return plain(picked(self, "model k rules") | {"studies": self.frame()})


def rules_of(units: Units, p: int = 1) -> tuple[Rule, ...]:
    """Rules for p coefficients; DFFITS is of single studies."""
    k = len(units.labels)
    single = []
    if units.single:
        highest = 3.0 * (p / (k - p)) ** 0.5
        single = [Rule("dffits", highest, f"|DFFITS| above 3 sqrt({p}/(k - {p}))")]
    return (
        *single,
        Rule(
            "cook_d",
            float(chi2_ppf(0.5, float(p))),
            "Cook's distance above the median of a chi-squared variable with "
            f"{p} degree{'s' if p > 1 else ''} of freedom",
        ),
        Rule(
            "leverage",
            3.0 * p / k,
            f"{'weight' if p == 1 else 'leverage'} above three times the average",
        ),
        Rule("dfbetas", 1.0, "|DFBETAS| above 1" + (" for any coefficient" if p > 1 else "")),
    )


def _spread(model: Model, size: Array | None, vi: Array, mu: Array, tau2: Array) -> Array:
    """Variance of a study's effect around the mean: sampling and between studies together."""
    if not model.likelihood:
        return vi + tau2
    assert size is not None
    if model.scale.kind == "rate":
        return 1.0 / (size * np.exp(mu)) + tau2
    bare = 1.0 / (size * (expit(mu) * expit(-mu)))
    if model.options.model == BETA_BINOMIAL:
        return bare * (1.0 + (size - 1.0) * tau2)
    return bare + tau2


def _deleted(model: Model, units: Units) -> tuple[Refits, Array, Array]:
    """Fit without each unit; return fits, spread of single studies there, and the information.

    The latter is that of all studies at the mean and the between-study variance found without
    the unit. Clusters have no spread of their own (NaN).
    """
    gone = model.without_each(units)
    k, size, vi = len(gone), model.size, model.vi
    mu = np.where(np.isnan(gone.mu), 0.0, gone.mu)
    missing = np.where(np.isnan(gone.mu), np.nan, 0.0)
    spread, information = np.full(k, np.nan), np.empty(k)
    if units.single:
        spread = _spread(model, size, vi, mu, gone.tau2) + missing
    if not model.likelihood and model.clusters is None:
        return gone, spread, Sums(prepare(model.yi, model.vi)).of_weights(gone.tau2)
    rows = max(1, _CELLS // model.k)
    for part in (slice(i, i + rows) for i in range(0, k, rows)):
        within = (gone.tau2 - gone.between)[part, None]
        own = 1.0 / _spread(model, size, vi, mu[part, None], within)
        if model.clusters is not None:
            own = Blocks(own, gone.between[part], model.clusters).sums(own)
            own = own / (1.0 + gone.between[part, None] * own)
        information[part] = own.sum(axis=1)
    return gone, spread, information + missing


def _shared_error(model: Model, gone: Refits | RegressionRefits) -> Array:
    """Covariance of each study's effect with the mean that the others give it, by its cluster."""
    if model.clusters is None:
        return np.zeros(len(gone))
    if isinstance(gone, RegressionRefits):
        beta, cov = gone.beta, gone.cov
    else:
        beta, cov = gone.mu[:, None], np.square(gone.se_model)[:, None, None]
    beta, out = np.where(np.isnan(beta), 0.0, beta), np.empty(len(gone))
    for cluster in np.unique(model.clusters):
        at = np.flatnonzero(model.clusters == cluster)
        X, between = model.X[at], gone.between[at]
        size, within = None if model.size is None else model.size[at], gone.tau2[at] - between
        own = 1.0 / _spread(model, size, model.vi[at], beta[at] @ X.T, within[:, None])
        np.fill_diagonal(own, 0.0)
        pull = np.einsum("kp,kpq,kq->k", X, cov[at], own @ X)
        out[at] = between * pull / (1.0 + between * own.sum(axis=1))
    return out


def _deviance(model: Model, mu: Array, omega: Array) -> tuple[Array, Array]:
    """Study deviances, NaN where `mu` is, and signs."""
    known = ~np.isnan(mu)
    x, n = model.counts
    value, sign = study_deviance(
        x,
        n,
        np.where(known, mu, 0.0),
        np.where(known, omega, 0.0),
        model.family,
        model.options.quad_points,
    )
    return np.where(known, value, np.nan), sign


def _logit_residual(model: Model, mu: Array) -> Array:
    """Proportions less their mean, in units of the logit: divided by the slope p(1 - p)."""
    events, size = model.counts
    p = expit(mu)
    return np.asarray((events / size - p) / (p * (1.0 - p)), dtype=float)


def influence(fit: Fitted | FittedRegression, by: Any = None) -> InfluenceResult:
    """Compute deletion diagnostics of every study, or of clusters of studies, for any model.

    Parameters
    ----------
    fit : Fitted or FittedRegression
        A pooled result or a meta-regression; at least 2 included studies.
    by : str, array_like or Series, optional
        Cluster of each study, as in `helpers.aftercare.leave_one_out`; of a meta-regression as in
        its own `leave_one_out`.

    Returns
    -------
    InfluenceResult
        Definitions in the description of the module. With p coefficients (one for a pooled result)
        a study is flagged by any of four rules (thresholds on `rules`): |dffits| >
        3 sqrt(p/(k - p)), Cook's distance beyond the median of a chi-squared variable with p
        degrees of freedom, leverage > 3p/k, |dfbetas| > 1 for any coefficient. A cluster is
        flagged by the last three, k being the number of clusters. After a cluster-robust fit all
        are of the model.

    Raises
    ------
    UnsupportedError
        Fewer than 2 studies, or a fit that did not converge.

    References
    ----------
    Viechtbauer W, Cheung MWL (2010), doi:10.1002/jrsm.11.

    Examples
    --------
    >>> from helpers import pool
    >>> fit = pool(events=[3, 4, 5, 4, 30], n=[60, 60, 60, 60, 60], model="glmm")
    >>> result = influence(fit)
    >>> [label for label, bad in zip(result.labels, result.flagged) if bad]
    ['Study 5']
    """
    model = model_of(fit, "influence")
    units = units_of(model.data, by, columns_by(fit, by))
    of = _without_each(fit, model, units)
    if not units.single:
        rstudent = np.full(len(units.labels), np.nan)
    elif model.options.model == BETA_BINOMIAL:
        rstudent = _logit_residual(model, of.mean) / np.sqrt(of.spread + of.variance)
    elif model.likelihood:
        deviance, sign = _deviance(model, of.mean, of.tau2 + of.variance)
        rstudent = sign * np.sqrt(deviance)
    else:
        rstudent = ratio(model.yi - of.mean, np.sqrt(of.scale * of.spread + of.variance))
    hat = np.where(of.leverage < 0.0, np.nan, of.leverage)
    return InfluenceResult(
        labels=units.labels,
        rstudent=rstudent,
        dffits=ratio(of.shift, np.sqrt(of.scale * hat * of.spread)),
        cook_d=of.cook_d,
        cov_ratio=of.cov_ratio,
        tau2_deleted=of.tau2,
        Q_deleted=of.Q,
        leverage=of.leverage,
        weights=of.weights,
        dfbetas=of.dfbetas,
        converged=of.converged,
        rules=rules_of(units, model.X.shape[1]),
        model=model.options.model,
        k=model.k,
        unit=units.name,
        coefficients=of.coefficients,
    )


class _Without(NamedTuple):
    """What the fits without each of R units give; shape (R,) each, but for `dfbetas`."""

    mean: Array  # of the study left out, by the others
    variance: Array  # of that mean, less twice its covariance with the study's effect
    shift: Array  # of that mean
    spread: Array  # variance of the study's effect around it
    scale: Array  # Knapp-Hartung factor
    tau2: Array
    Q: Array
    converged: NDArray[np.bool_]
    cook_d: Array
    cov_ratio: Array
    leverage: Array
    weights: Array  # percent
    dfbetas: Array  # shape (R,), or (R, p)
    coefficients: tuple[str, ...] = ()  # columns of `dfbetas`, if it has such


def _without_each(fit: Fitted | FittedRegression, model: Model, units: Units) -> _Without:
    if model.moderated:
        return _coefficients(cast("FittedRegression", fit), model, units)
    return _one_mean(cast("Fitted", fit), model, units)


def _one_mean(fit: Fitted, model: Model, units: Units) -> _Without:
    gone, spread, information = _deleted(model, units)
    se = fit.se if model.clusters is None else fit.se_model
    full = np.full(len(units.labels), se**2)
    scale = (gone.se / gone.se_model) ** 2
    hat = units.summed(fit.weights[model.data.included]) / 100.0
    shift = fit.mu - gone.mu
    shared = _shared_error(model, gone) if units.single else 0.0
    return _Without(
        mean=gone.mu,
        variance=gone.se**2 - 2.0 * shared,
        shift=shift,
        spread=spread,
        scale=scale,
        tau2=gone.tau2,
        Q=gone.Q,
        converged=gone.converged,
        cook_d=ratio(shift**2, full),
        cov_ratio=ratio(gone.se**2, full),
        leverage=hat,
        weights=100.0 * hat,
        dfbetas=ratio(shift, np.sqrt(scale / information)),
    )


def _coefficients(fit: FittedRegression, model: Model, units: Units) -> _Without:
    X, p, gone = model.X, model.X.shape[1], _sound(model, units)
    factor, whole = gone.factor, model.fit_coefficients()
    full = whole.factor[0] * whole.cov[0]
    # In standard errors, so that the units of a moderator cost no digits.
    se = np.sqrt(np.diagonal(full))
    change, unit = fit.estimates - gone.beta, np.outer(se, se)
    known = np.isfinite(gone.cov).all(axis=(1, 2))
    volume = np.full(len(units.labels), np.nan)  # logarithm of the determinant
    volume[known] = np.linalg.slogdet(factor[known, None, None] * gone.cov[known] / unit)[1]
    at_tau2 = _standard_errors(model, gone)
    mean, variance, shift, spread = np.full((4, len(units.labels)), np.nan)
    if units.single:
        mean = np.einsum("kp,kp->k", X, gone.beta)
        shift = np.einsum("kp,kp->k", X, change)
        variance = factor * np.einsum("kp,kpq,kq->k", X, gone.cov, X)
        variance -= 2.0 * _shared_error(model, gone)
        somewhere = np.where(np.isnan(mean), 0.0, mean)
        spread = _spread(model, model.size, model.vi, somewhere, gone.tau2)
    moved = ratio(change, np.sqrt(factor)[:, None] * at_tau2)
    hat, weights = _leverage(fit, model)
    return _Without(
        mean=mean,
        variance=variance,
        shift=shift,
        spread=spread,
        scale=factor,
        tau2=gone.tau2,
        Q=gone.Q,
        converged=gone.converged,
        cook_d=np.einsum("rp,pq,rq->r", change / se, np.linalg.inv(full / unit), change / se),
        cov_ratio=np.exp(volume - np.linalg.slogdet(full / unit)[1]),
        leverage=units.summed(hat),
        weights=units.summed(weights),
        dfbetas=moved if p > 1 else moved[:, 0],
        coefficients=fit.names if p > 1 else (),
    )


def _leverage(fit: FittedRegression, model: Model) -> tuple[Array, Array]:
    """Leverage of each study, and its weight in percent."""
    if model.clusters is not None:
        between = shared_variance(fit)
        own = model.information(fit.estimates, fit.tau2 - between)[None]
        blocks = Blocks(own, np.array([between]), model.clusters)
        return blocks.leverage(model.X)[0], cast("Fitted", fit).weights[model.data.included]
    own = model.information(fit.estimates, fit.tau2)
    return leverage(model.X, own), 100.0 * own / own.sum()


def _sound(model: Model, units: Units) -> RegressionRefits:
    """Regressions without each unit, NaN where the maximum of a GLMM was not reached."""
    gone = model.fit_coefficients(units.rest)
    if not model.likelihood:
        return gone
    lost = np.where(gone.converged, 0.0, np.nan)
    return replace(
        gone,
        beta=gone.beta + lost[:, None],
        cov=gone.cov + lost[:, None, None],
        tau2=gone.tau2 + lost,
    )


def _standard_errors(model: Model, gone: RegressionRefits) -> Array:
    """Give the standard errors (R, p) of all studies at what was found without each unit."""
    basis, triangle = np.linalg.qr(model.X)
    lift, rows = np.linalg.inv(triangle), max(1, _CELLS // basis.size)
    out = np.full(gone.beta.shape, np.nan)
    sound = np.flatnonzero(np.isfinite(gone.beta).all(axis=1))
    for at in (sound[i : i + rows] for i in range(0, len(sound), rows)):
        mean, between = gone.beta[at] @ model.X.T, gone.between[at]
        within = (gone.tau2[at] - between)[:, None]
        weights = 1.0 / _spread(model, model.size, model.vi, mean, within)
        if model.clusters is None:
            inner = (weights[:, None, :] * basis.T) @ basis
        else:
            inner = basis.T @ Blocks(weights, between, model.clusters).times(basis)
        cov = lift @ np.linalg.inv(inner) @ lift.T
        out[at] = np.sqrt(np.diagonal(cov, axis1=1, axis2=2))
    return out


def baujat(fit: Fitted | FittedRegression, by: Any = None) -> pd.DataFrame:
    """Contribution to heterogeneity and influence on the result, for each study or cluster.

    Parameters
    ----------
    fit : Fitted or FittedRegression
        A pooled result or a meta-regression; at least 2 included studies.
    by : str, array_like or Series, optional
        Cluster of each study, as in `influence`.

    Returns
    -------
    DataFrame
        Index: the study or cluster; columns

        contribution
            Part of the study in the Q statistic at the fitted between-study variance,
            (yi - mu)^2/(vi + tau2), which for a common effect is its part of Cochran's Q. For
            likelihood models the study's deviance at (mu, tau2) (`study_deviance`); without a
            random effect these add up to the likelihood-ratio test of heterogeneity.
            Beta-binomial: the square of Pearson's residual. That of a cluster is the sum over its
            studies.
        influence
            (mu - mu without the study)^2 over the model-based variance of the latter. In a
            meta-regression mu is the study's own fitted value; of a cluster the distance is that
            of all its fitted values, by their covariance without it.
        converged
            Whether the fit without the study converged (`influence` is NaN if it has no
            estimate).

    Raises
    ------
    UnsupportedError
        Fewer than 2 studies, or a fit that did not converge.

    References
    ----------
    Baujat B, Mahé C, Pignon JP, Hill C (2002), doi:10.1002/sim.1221 (there with a common effect).

    Examples
    --------
    >>> from helpers import pool
    >>> fit = pool(events=[3, 4, 5, 30], n=[60, 60, 60, 60], model="common", method="likelihood")
    >>> table = baujat(fit)
    >>> abs(round(float(table["contribution"].sum()) - fit.heterogeneity.Q, 9))
    0.0
    """
    model = model_of(fit, "the Baujat plot")
    units = units_of(model.data, by, columns_by(fit, by))
    if model.moderated:
        regression = cast("FittedRegression", fit)
        mean, without = model.X @ regression.estimates, _sound(model, units)
        moved, converged = _moved(regression, without, units), without.converged
    else:
        pooled = cast("Fitted", fit)
        mean, gone = np.full(model.k, pooled.mu), model.without_each(units)
        moved, converged = ((pooled.mu - gone.mu) / gone.se_model) ** 2, gone.converged
    if model.options.model == BETA_BINOMIAL:
        spread = _spread(model, model.size, model.vi, mean, np.array(fit.tau2))
        contribution = _logit_residual(model, mean) ** 2 / spread
    elif model.likelihood:
        contribution = _deviance(model, mean, np.full(model.k, fit.tau2))[0]
    else:
        contribution = (model.yi - mean) ** 2 / (model.vi + fit.tau2)
    return pd.DataFrame(
        {
            "contribution": units.summed(contribution),
            "influence": moved,
            "converged": converged,
        },
        index=units.index(),
    )


def _moved(fit: FittedRegression, gone: RegressionRefits, units: Units) -> Array:
    """Squared shift of the fitted values of each unit, over their variance without it.

    Of a cluster that is the distance d'C^-1 d, with d the shifts of as many of its fitted values
    as are not combinations of others, and C their covariance.
    """
    basis, triangle = np.linalg.qr(fit.core.X)
    change = (fit.estimates - gone.beta) @ triangle.T
    cov = triangle @ gone.cov @ triangle.T
    out = np.full(len(change), np.nan)
    for unit in np.flatnonzero(np.isfinite(change).all(axis=1)):
        _, size, rows = np.linalg.svd(basis[units.codes == unit], full_matrices=False)
        rows = rows[size > _DEPENDENT * size[0]]
        shift = rows @ change[unit]
        out[unit] = shift @ np.linalg.solve(rows @ cov[unit] @ rows.T, shift)
    return out

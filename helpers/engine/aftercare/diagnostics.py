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
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import printing
from ...arguments import Array
from ...door import pd
from ..counts.kernel import gauss_hermite, study_terms
from ..counts.studies import Family
from ..counts.studies import prepare as prepare_counts
from ..distributions import chi2_ppf, expit
from ..json_values import picked, plain
from ..model import Fitted, Model, model_of
from ..model.fits import Refits, ratio
from ..model.units import Units, units_of
from ..normal.left_out import Sums
from ..normal.weighted import prepare
from ..options import BETA_BINOMIAL
from ..shown import Row, Shown, listed

#: Beyond this absolute studentised deleted residual a study is an outlier (not a rule of
#: influence): one study in twenty is expected there.
OUTLIER = 1.959963984540054
_CELLS = 1_000_000  # replicates x studies held at once


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
    dfbetas: Array
    #: Whether the fit without the study converged; the diagnostics are NaN where it has no estimate
    converged: NDArray[np.bool_]
    rules: tuple[Rule, ...]  # The rules behind `flagged`
    model: str
    k: int  # Included studies
    unit: str = "study"  # What is left out, such as "study"

    def _said(self) -> Iterator[Row]:
        yield "studies", printing.count(self.k)
        marked = zip(self.labels, self.flagged, strict=True)
        yield "influential", listed(label for label, flag in marked if flag)
        failed = int((~self.converged).sum())
        if failed:
            yield "not converged", printing.count(failed)

    @property
    def weights(self) -> Array:
        """Weights in percent, shape (k,)."""
        return 100.0 * self.leverage

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """Whether any rule of influence applies, one for each label."""
        hits = [np.abs(getattr(self, r.statistic)) > r.threshold for r in self.rules]
        return np.logical_or.reduce(hits)

    @property
    def outlier(self) -> NDArray[np.bool_]:
        """Whether the studentised deleted residual lies beyond +-1.96, shape (k,)."""
        return np.abs(self.rstudent) > OUTLIER

    def frame(self) -> pd.DataFrame:
        """All diagnostics; the index is what was left out."""
        names = "rstudent dffits cook_d cov_ratio tau2_deleted Q_deleted leverage weights dfbetas"
        columns = picked(self, f"{names} flagged outlier converged")
        table = pd.DataFrame(columns, index=pd.Index(self.labels, name=self.unit))
        return table.rename(columns={"weights": "weight"})

    def summary_frame(self) -> pd.DataFrame:
        """Rows of `frame` that are flagged or outlying."""
        table = self.frame()
        return table[table["flagged"] | table["outlier"]]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return plain(picked(self, "model k rules") | {"studies": self.frame()})


def _rules(units: Units) -> tuple[Rule, ...]:
    """Rules for one coefficient; DFFITS is of single studies."""
    k = len(units.labels)
    single = Rule("dffits", 3.0 * (1.0 / (k - 1.0)) ** 0.5, "|DFFITS| above 3 sqrt(1/(k - 1))")
    return (
        *((single,) if units.single else ()),
        Rule(
            "cook_d",
            float(chi2_ppf(0.5, 1.0)),
            "Cook's distance above the median of a chi-squared variable with 1 degree of freedom",
        ),
        Rule("leverage", 3.0 / k, "weight above three times the average"),
        Rule("dfbetas", 1.0, "|DFBETAS| above 1"),
    )


def study_deviance(
    events: Array, size: Array, mu: Array, omega: Array, family: Family, quad_points: int
) -> tuple[Array, Array]:
    r"""Deviance of each study, shape (k,), from mean `mu` with variance `omega`, and its sign.

    The sign is that of the study's own best mean minus `mu`.

    For a study with likelihood :math:`\ell_i(\eta, \omega) = \log\int f(x_i \mid \eta +
    \sqrt{\omega}u)\phi(u)\,du` the deviance is

    .. math:: d_i = 2\{\max_\eta \ell_i(\eta, \omega) - \ell_i(\mu, \omega)\},

    the likelihood-ratio statistic for a shift of the mean of this study alone. For a normal effect
    with variance :math:`v_i` it is exactly :math:`(y_i-\mu)^2/(v_i+\omega)`, so that its signed
    root is what a standardised residual is for inverse variance (deviance residuals: Pierce and
    Schafer 1986, doi:10.1080/01621459.1986.10478361). Zero and full cells need no special care:
    their maximum is :math:`\ell_i = 0` at an infinite logit.
    """
    nodes = gauss_hermite(quad_points)
    studies = prepare_counts(family, events, size)
    at_mu = study_terms(studies, mu, omega, nodes).value
    best = np.zeros(mu.shape)
    sign = np.where(studies.t_saturated > 0, 1.0, -1.0)
    inside = np.flatnonzero(np.isfinite(studies.t_saturated))
    if inside.size:
        part, w = studies.take(inside), omega[inside]
        eta = part.t_saturated.copy()
        for _ in range(100):
            terms = study_terms(part, eta, w, nodes)
            step = np.clip(-terms.eta / np.minimum(terms.eta_eta, -1e-300), -1.0, 1.0)
            eta = eta + step
            if not (np.abs(step) > 1e-10 * (1.0 + np.abs(eta))).any():
                break
        best[inside] = study_terms(part, eta, w, nodes).value
        sign[inside] = np.where(eta >= mu[inside], 1.0, -1.0)
    return np.maximum(2.0 * (best - at_mu), 0.0), sign


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
            own = _sums_within(own, model.clusters)
            own = own / (1.0 + gone.between[part, None] * own)
        information[part] = own.sum(axis=1)
    return gone, spread, information + missing


def _sums_within(values: Array, clusters: NDArray[np.intp]) -> Array:
    """Sum over the studies of each cluster, (r, k) -> (r, clusters)."""
    order = np.argsort(clusters, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(clusters[order]) > 0])
    return np.asarray(np.add.reduceat(values[:, order], starts, axis=1), dtype=float)


def _shared_error(model: Model, gone: Refits) -> Array:
    """Covariance of each study's effect with the mean of the others, by its cluster."""
    if model.clusters is None:
        return np.zeros(len(gone))
    mu = np.where(np.isnan(gone.mu), 0.0, gone.mu)[:, None]
    within, rest = (gone.tau2 - gone.between)[:, None], np.empty(len(gone))
    for cluster in np.unique(model.clusters):
        at = np.flatnonzero(model.clusters == cluster)
        size = None if model.size is None else model.size[at]
        own = 1.0 / _spread(model, size, model.vi[at], mu[at], within[at])
        rest[at] = own.sum(axis=1) - np.diagonal(own)
    return gone.between * rest / (1.0 + gone.between * rest) * gone.se_model**2


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


def influence(fit: Fitted, by: Any = None) -> InfluenceResult:
    """Compute deletion diagnostics of every study, or of clusters of studies, for any model.

    Parameters
    ----------
    fit : Fitted
        At least 2 included studies.
    by : str, array_like or Series, optional
        Cluster of each study, as in `helpers.aftercare.leave_one_out`.

    Returns
    -------
    InfluenceResult
        Definitions in the description of the module. A study is flagged by any of four rules
        (thresholds on `rules`): |dffits| > 3 sqrt(1/(k - 1)), Cook's distance beyond the median of
        a chi-squared variable with 1 degree of freedom, leverage > 3/k, |dfbetas| > 1. A cluster
        is flagged by the last three, k being the number of clusters.

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
    units = units_of(model.data, by, None if by is None else fit.studies)
    k = len(units.labels)
    gone, spread, information = _deleted(model, units)
    se = fit.se if model.clusters is None else fit.se_model
    scale = (gone.se / gone.se_model) ** 2
    hat = np.bincount(units.codes, fit.weights[model.data.included]) / 100.0
    shift = fit.mu - gone.mu
    if not units.single:
        rstudent = np.full(k, np.nan)
    elif model.options.model == BETA_BINOMIAL:
        rstudent = _logit_residual(model, gone.mu) / np.sqrt(spread + gone.se**2)
    elif model.likelihood:
        more = gone.se**2 - 2.0 * _shared_error(model, gone)
        deviance, sign = _deviance(model, gone.mu, gone.tau2 + more)
        rstudent = sign * np.sqrt(deviance)
    else:
        more = gone.se**2 - 2.0 * _shared_error(model, gone)
        rstudent = ratio(model.yi - gone.mu, np.sqrt(scale * spread + more))
    return InfluenceResult(
        labels=units.labels,
        rstudent=rstudent,
        dffits=ratio(shift, np.sqrt(scale * hat * spread)),
        cook_d=ratio(shift**2, np.full(k, se**2)),
        cov_ratio=ratio(gone.se**2, np.full(k, se**2)),
        tau2_deleted=gone.tau2,
        Q_deleted=gone.Q,
        leverage=hat,
        dfbetas=ratio(shift, np.sqrt(scale / information)),
        converged=gone.converged,
        rules=_rules(units),
        model=model.options.model,
        k=model.k,
        unit=units.name,
    )


def baujat(fit: Fitted, by: Any = None) -> pd.DataFrame:
    """Contribution to heterogeneity and influence on the result, for each study or cluster.

    Parameters
    ----------
    fit : Fitted
        At least 2 included studies.
    by : str, array_like or Series, optional
        Cluster of each study, as in `helpers.aftercare.leave_one_out`.

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
            (mu - mu without the study)^2 over the model-based variance of the latter.
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
    units = units_of(model.data, by, None if by is None else fit.studies)
    gone = model.without_each(units)
    if model.options.model == BETA_BINOMIAL:
        spread = _spread(model, model.size, model.vi, np.array(fit.mu), np.array(fit.tau2))
        contribution = _logit_residual(model, np.full(model.k, fit.mu)) ** 2 / spread
    elif model.likelihood:
        every = np.full(model.k, fit.mu), np.full(model.k, fit.tau2)
        contribution = _deviance(model, *every)[0]
    else:
        contribution = (model.yi - fit.mu) ** 2 / (model.vi + fit.tau2)
    return pd.DataFrame(
        {
            "contribution": np.bincount(units.codes, contribution),
            "influence": ((fit.mu - gone.mu) / gone.se_model) ** 2,
            "converged": gone.converged,
        },
        index=units.index(),
    )

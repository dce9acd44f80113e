r"""Tests between groups calibrated by simulation: what they do where the groups do not differ.

With few studies in a group the chi-squared distribution of the test between groups is far off:
a variance estimated from three studies is often zero, the group then weighs far too much, and
small differences look large. Here data sets of the observed sizes are drawn from *one* model for
all groups, the fitted one (:math:`\mu` and :math:`\tau^2` of all studies together), and tested in
the same way. The share of them whose test is at least as extreme as the observed one is a p-value
that does not rest on the chi-squared distribution (parametric bootstrap, Davison and Hinkley 1997,
doi:10.1017/CBO9780511802843; the observed data set counts among them, Phipson and Smyth 2010,
doi:10.2202/1544-6115.1585). As in `helpers.checks.bias.null`, the nuisance parameters are those
estimated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from .. import printing
from ..arguments import LEVEL, Array, whole_number
from ..engine.beside import Begun, possible
from ..engine.cost import announce
from ..engine.counts.common import common_rate, family_of
from ..engine.counts.fit import fit_glmm
from ..engine.distributions import chi2_sf
from ..engine.effects import get_measure
from ..engine.normal.inverse_variance import fit_inverse_variance
from ..engine.shown import Row, Shown, number, p_text, percent
from ..errors import UnsupportedError
from ..shared_results import shared_in_a_build
from .subgroup_fits import equal_means

if TYPE_CHECKING:
    from ..engine.options import Options
    from .subgroup_fits import BetweenTest
    from .subgroup_result import SubgroupResult

#: Simulated data sets, and the seed of their random numbers, unless others are asked for.
DRAWS, SEED = 1000, 1
#: Differences of p-values that are rounding.
_TIE = 1e-9


@dataclass(frozen=True, slots=True, repr=False)
class CalibratedTest(Shown):
    """A test between groups with a p-value from data sets without a difference."""

    test: BetweenTest  # The observed test, with its chi-squared p-value
    #: Share of the simulated data sets (the observed one counted in) whose test is at least as
    #: extreme, and its Monte Carlo standard error
    p: float
    p_mcse: float
    #: Simulated data sets that are at least as extreme, and all with a test
    extreme: int
    draws: int
    failed: int  # Simulated data sets without a fit, left out
    #: Share of the simulated data sets in which the chi-squared p-value is below `alpha`, and its
    #: Monte Carlo standard error; `alpha` if the test kept its level
    rejection: float
    rejection_mcse: float
    alpha: float  # Nominal level
    #: The model without a difference, on the model scale
    mu: float
    tau2: float
    seed: int  # Of the random numbers

    def _said(self) -> Iterator[Row]:
        yield "calibrated", f"{p_text(self.p)} (Monte Carlo error {number(self.p_mcse, 1)})"
        yield "chi-squared", p_text(self.test.p)
        rejected = f"{percent(self.rejection)} at a level of {percent(self.alpha, 0)}"
        yield "false rejections", rejected
        failed = f", {self.failed} failed" if self.failed else ""
        yield "data sets", f"{printing.count(self.draws)} (seed {self.seed}{failed})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the observed test."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "test"}


@dataclass(frozen=True, slots=True)
class _Setting:
    """All that the simulated data sets depend on, and nothing else: the key of the cache.

    A picture and a table of the same groups, with other intervals, have the same data sets.
    """

    codes: tuple[int, ...]  # group of each study; both in the order of the table
    size: tuple[float, ...] | None
    vi: tuple[float, ...] | None
    options: Options  # with one interval for all
    shared: bool  # one tau2 for all groups
    mu: float
    tau2: float
    draws: int
    seed: int


def calibrated_test(
    result: SubgroupResult, draws: int, *, seed: int, alpha: float
) -> CalibratedTest:
    """Calibrate the test between groups by simulation (`SubgroupResult.calibrated_test`)."""
    draws, seed = whole_number("draws", draws, 1), whole_number("seed", seed, 0)
    if not 0.0 < alpha < 1.0:
        raise UnsupportedError(f"alpha={alpha!r}: expected a number between 0 and 1")
    if result.test.df < 1:
        raise UnsupportedError(f"there is no test to calibrate: {result.test.kind}")
    p = null_p_values(_setting(result, draws, seed))
    sound = p[np.isfinite(p)]
    if not sound.size:
        raise UnsupportedError("none of the simulated data sets has a test")
    m = int(sound.size)
    extreme = int((sound <= result.test.p * (1.0 + _TIE)).sum())
    share = (1 + extreme) / (1 + m)
    rejection = float((sound < alpha).mean())
    return CalibratedTest(
        test=result.test,
        p=share,
        p_mcse=float(np.sqrt(share * (1.0 - share) / m)),
        extreme=extreme,
        draws=m,
        failed=len(p) - m,
        rejection=rejection,
        rejection_mcse=float(np.sqrt(rejection * (1.0 - rejection) / m)),
        alpha=alpha,
        mu=result.overall.mu,
        tau2=result.overall.tau2,
        seed=seed,
    )


def _setting(result: SubgroupResult, draws: int, seed: int) -> _Setting:
    overall, data = result.overall, result.overall.data
    group_of = {label: name for name, fit in result for label in fit.data.labels}
    # studies and groups in the order of the table: neither the draws nor the key of the cache
    # depend on the order of the groups
    rows = [i for i in np.flatnonzero(data.included).tolist() if data.labels[i] in group_of]
    number: dict[str, int] = {}
    codes = tuple(number.setdefault(group_of[data.labels[i]], len(number)) for i in rows)

    def joined(name: str) -> tuple[float, ...]:
        return tuple(getattr(data, name)[rows].tolist())

    return _Setting(
        codes=codes,
        size=joined("size") if data.size is not None else None,
        vi=None if data.events is not None else joined("vi"),
        options=replace(overall.options, ci_method="wald", ci_named=True, level=LEVEL, study_ci=""),
        shared=result.group_tau2 == "common",
        mu=overall.mu,
        tau2=overall.tau2,
        draws=draws,
        seed=seed,
    )


#: Simulations that were begun before anybody asked for their result.
_BEGUN: dict[_Setting, Begun[Array]] = {}


def begin_calibrated_test(result: SubgroupResult) -> None:
    """Begin the simulation of `calibrated_test()`: beside what goes on, or here where it cannot be.

    Whoever asks for the test waits for it.
    """
    setting = _setting(result, DRAWS, SEED)
    if not possible():
        null_p_values(setting)
    elif setting not in _BEGUN:
        _announce(setting)
        _BEGUN[setting] = Begun(partial(_simulated, setting))


def _announce(setting: _Setting) -> None:
    counts = setting.options.method == "likelihood"
    kind = "groups of counts" if counts else "groups of effects"
    announce(kind, setting.draws, len(setting.codes))


@lru_cache(maxsize=64)
def null_p_values(setting: _Setting) -> Array:
    """Chi-squared p-values of the test in data sets without a difference, shape (draws,)."""
    p = _BEGUN[setting].result() if setting in _BEGUN else _simulated(setting)
    p.flags.writeable = False
    return p


@shared_in_a_build
def _simulated(setting: _Setting) -> Array:
    """Compute what `null_p_values` keeps.

    NaN where a fit did not converge; 1 where fewer than two groups can be compared, because all
    others are without an event (or full).
    """
    _announce(setting)
    codes = np.array(setting.codes)
    parts = [np.flatnonzero(codes == j) for j in range(int(codes.max()) + 1)]
    if setting.options.method == "likelihood":
        mu, cov, sound = _likelihood(setting, _draw_counts(setting), parts)
    else:
        mu, cov, sound = _inverse_variance(setting, parts)
    p = _wald_p(mu, cov)
    p[~sound] = np.nan
    return p


def _draw_counts(setting: _Setting) -> Array:
    """Events of studies that share one model, shape (draws, k)."""
    assert setting.size is not None
    measure, n = get_measure(setting.options.measure), np.array(setting.size)
    rng = np.random.default_rng(setting.seed)
    theta = setting.mu + np.sqrt(setting.tau2) * rng.standard_normal((setting.draws, n.size))
    rate = np.maximum(measure.inverse(theta, n), 0.0)
    if measure.kind == "rate":
        return rng.poisson(rate * n).astype(float)
    return rng.binomial(n.astype(np.int64), np.minimum(rate, 1.0)).astype(float)


def _likelihood(
    setting: _Setting, x: Array, parts: list[NDArray[np.intp]]
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Means (R, G), their covariances (R, G, G), and whether the fits converged (R,).

    A group without an event (or full) has an infinite mean and takes no part.
    """
    n, kind = np.array(setting.size), get_measure(setting.options.measure).kind
    family, points = family_of(kind), setting.options.quad_points
    total = np.array([x[:, part].sum(axis=1) for part in parts]).T
    size = np.array([n[part].sum() for part in parts])
    mu, se, finite = common_rate(total, np.broadcast_to(size, total.shape), kind)
    mu = np.where(finite, mu, np.inf)
    cov = np.einsum("rg,gh->rgh", se**2, np.eye(len(parts)))
    sound = np.ones(len(x), dtype=bool)
    # data sets and groups that are fitted together
    blocks: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]] = []
    common = setting.options.model == "common"
    if not common and setting.shared:
        patterns = [one for one in np.unique(finite, axis=0) if one.sum() > 1]
        blocks = [((finite == one).all(axis=1), one) for one in patterns]
    elif not common:
        several = [j for j, part in enumerate(parts) if part.size > 1 and finite[:, j].any()]
        blocks = [(finite[:, j], np.arange(len(parts)) == j) for j in several]
    design = np.eye(len(parts))[list(setting.codes)]
    for rows, groups in blocks:
        taken = design[:, groups].any(axis=1)
        own = design[taken][:, groups]
        fit = fit_glmm(x[rows][:, taken], n[taken], own, family=family, quad_points=points)
        at, of = np.flatnonzero(rows), np.flatnonzero(groups)
        mu[np.ix_(at, of)] = fit.beta
        cov[np.ix_(at, of, of)] = fit.vcov
        sound[at] &= fit.converged
    return mu, cov, sound


def _inverse_variance(
    setting: _Setting, parts: list[NDArray[np.intp]]
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Return the same as `_likelihood` by inverse variance."""
    if setting.vi is not None:
        v = np.array(setting.vi)
        rng = np.random.default_rng(setting.seed)
        spread = np.sqrt(v + setting.tau2)
        y = setting.mu + spread * rng.standard_normal((setting.draws, v.size))
        v = np.broadcast_to(v, y.shape)
    else:
        x, rule = _draw_counts(setting), cast("Any", setting.options.to)
        measure = get_measure(setting.options.measure)
        y, v = measure.effects(x, np.array(setting.size), add=setting.options.add, to=rule)
    use = np.isfinite(y) & np.isfinite(v) & (v > 0)
    y, v, c = np.where(use, y, 0.0), np.where(use, v, 1.0), use.astype(float)
    method = setting.options.tau2_method or "common"
    sound, shared = np.ones(len(y), dtype=bool), None
    if setting.shared:
        design = np.eye(len(parts))[list(setting.codes)]
        # a group without an effect leaves no joint fit
        whole = (c @ design > 0).all(axis=1) & (c.sum(axis=1) > len(parts))
        joint = fit_inverse_variance(y[whole], v[whole], c[whole], design, method=method)
        shared = np.zeros(len(y))
        shared[whole], sound[whole] = joint.tau2.tau2, joint.tau2.converged
        sound &= whole
    mu = np.full((len(y), len(parts)), np.inf)
    cov = np.zeros((len(y), len(parts), len(parts)))
    cov[:, np.arange(len(parts)), np.arange(len(parts))] = 1.0
    for j, part in enumerate(parts):
        some = use[:, part].any(axis=1)
        own = (one[some][:, part] for one in (y, v, c))
        given = None if shared is None else shared[some]
        fit = fit_inverse_variance(*own, method=method, tau2=given)
        mu[some, j], cov[some, j, j] = fit.mu, fit.se**2
        sound[some] &= fit.tau2.converged
    return mu, cov, sound


def _wald_p(mu: Array, cov: Array) -> Array:
    """Chi-squared p-value that all finite means of a row are equal, shape (R,); 1 without one."""
    out = np.ones(len(mu))
    finite = np.isfinite(mu)
    for pattern in np.unique(finite, axis=0):
        rows, at = (finite == pattern).all(axis=1), np.flatnonzero(pattern)
        if at.size < 2:
            continue
        q = equal_means(mu[rows][:, at], cov[rows][:, at][:, :, at])
        out[rows] = chi2_sf(q, float(at.size - 1))
    return out

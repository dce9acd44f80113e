r"""Sign-flip permutation test of a stated mean, and its interval, for every model.

Follmann and Proschan 1999, doi:10.1111/j.0006-341X.1999.00732.x: if effects are symmetric about
:math:`\mu_0`, the signs of :math:`y_i - \mu_0` are arbitrary, and the statistic of the fit is set
against its values under all, or random, sign flips, tau2 estimated anew in each. Counts have no
sign; for likelihood models the signs of the studies' scores for mu at :math:`\mu_0` (tau2 fitted
under the null) are flipped (Hemerik, Goeman and Finos 2020, doi:10.1111/rssb.12369), which needs
one fit and is exact for large k only. Their *basic* scores are used, not the effective ones:
removing the score for tau2 makes the test reject too often with few studies (see the tests), and
mu and tau2 are nearly orthogonal. The interval contains the values of :math:`\mu_0` that the test
does not reject.

In a three-level model the signs of all studies of a cluster are one: the joint distribution of
their effects about :math:`\mu_0` is symmetric, and clusters are independent. For counts the scores
are those of clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np

from ... import printing
from ...arguments import Array, generator, level_of, one_of
from ...door import pd
from ...errors import ConvergenceError, UnsupportedError
from ..cost import announce
from ..counts.batch import check_data
from ..counts.beta_binomial import null_scores as beta_binomial_scores
from ..counts.fit import fit_counts
from ..counts.kernel import gauss_hermite, study_terms
from ..counts.nested import null_scores
from ..counts.studies import prepare
from ..json_values import picked, plain
from ..model import Fitted, Model, model_of
from ..normal.intervals import Interval
from ..options import BETA_BINOMIAL
from ..roots import bracketed_root
from ..shown import Row, Shown, limits_text, number, p_text

#: Most studies whose sign patterns are all gone through.
MAX_EXACT = 20
_BATCHES = 16  # of fits, behind a test with its interval


@dataclass(frozen=True, slots=True, repr=False)
class SignFlipTest(Shown):
    """Sign-flip test of a stated mean, with its interval."""

    #: The tested mean on the display and on the model scale
    null: float
    null_model: float
    #: Observed: (mu - null)/se with the standard error of the fit's interval method (never robust);
    #: for likelihood models the sum of the scores over the root of their sum of squares
    statistic: float
    #: Two-sided p-value and its Monte Carlo standard error (0 if exact)
    p: float
    p_mcse: float
    draws: int  # Sign patterns behind p, the observed one included; all 2^k (clusters) if exact
    #: Patterns without a converged fit; they count as at least as extreme as the observed one
    failed: int
    exact: bool  # Whether all patterns were gone through
    seed: int | None  # Seed of random patterns
    #: Means that are not rejected, on the display and on the model scale. Infinite on the model
    #: scale if the smallest possible p-value is not below 1 - level.
    ci: Interval | None
    ci_model: Interval | None
    level: float  # Of the interval
    #: {"refit", "score"}: Whether effects were flipped and the model fitted again, or scores were
    #: flipped
    kind: str
    #: The statistic under the patterns (one of each pair of opposite patterns if exact)
    statistics: Array

    def _said(self) -> Iterator[Row]:
        yield "null", number(self.null)
        yield "test", f"{number(self.statistic)}, {p_text(self.p)}"
        yield "interval", f"{printing.level_text(self.level)} CI {limits_text(self.ci)}"
        how = "all patterns of signs" if self.exact else f"random patterns, seed {self.seed}"
        failed = f"; {self.failed} failed" if self.failed else ""
        yield "draws", f"{printing.count(self.draws)} ({how}{failed})"

    def summary_frame(self) -> pd.DataFrame:
        """One row: index "null"."""
        limits = self.ci or Interval(float("nan"), float("nan"))
        row = picked(self, "statistic p p_mcse draws exact")
        row |= {"ci_lower": limits.lower, "ci_upper": limits.upper}
        return pd.DataFrame([row], index=pd.Index([self.null], name="null"))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the distribution."""
        finite = None if self.ci_model is None else [v for v in self.ci_model if np.isfinite(v)]
        names = "null statistic p p_mcse draws failed exact seed ci level kind"
        limits = finite if finite and len(finite) == 2 else None
        return plain(picked(self, names) | {"ci_model": limits})


class _Signs(NamedTuple):
    """Sign patterns: the observed one first; opposite patterns have the same |statistic|."""

    flips: Array
    exact: bool
    draws: int


def _signs(k: int, draws: int | str, seed: int, what: str = "studies") -> _Signs:
    """Make patterns of k signs, one for each of `what`."""
    if draws != "exact" and not (isinstance(draws, (int, np.integer)) and draws >= 20):
        raise UnsupportedError(
            f"draws={draws!r}: expected 'exact' or a whole number of at least 20"
        )
    if draws == "exact" and k > MAX_EXACT:
        raise UnsupportedError(
            f"draws='exact' goes through 2^k sign patterns and is offered up to {MAX_EXACT} "
            f"{what}; there are {k}"
        )
    if draws == "exact" or 2 ** (k - 1) <= int(draws):
        codes = np.arange(2 ** (k - 1))
        flips = np.ones((len(codes), k))
        for study in range(k - 1):
            flips[:, study + 1] -= 2.0 * ((codes >> study) & 1)
        return _Signs(flips, True, 2**k)
    rng = generator(seed)
    flips = np.where(rng.random((int(draws), k)) < 0.5, -1.0, 1.0)
    flips[0] = 1.0
    return _Signs(flips, False, int(draws))


def _refit_statistics(model: Model, null: float, signs: Array) -> tuple[Array, int]:
    """|mu - null|/se for every sign pattern; infinite for fits that failed."""
    signs = signs if model.clusters is None else signs[:, model.clusters]
    refits = model.fit(y=null + signs * (model.yi - null))
    size = np.abs(refits.mu - null)
    statistic = size / np.maximum(refits.se, 1e-150)
    return np.where(refits.converged, statistic, np.inf), int((~refits.converged).sum())


def _score_statistics(model: Model, null: float, signs: Array) -> tuple[Array, int]:
    """|sum of flipped scores| over the root of their sum of squares, one fit under the null."""
    scores = _scores(model, null)
    if scores is None:
        return np.full(len(signs), np.inf), len(signs)
    return np.abs(signs @ scores) / max(float(np.sqrt(scores @ scores)), 1e-150), 0


def _scores(model: Model, null: float) -> Array | None:
    """Score of each study, or cluster, for the mean at `null`; None where nothing fits there."""
    x, n = model.counts
    family, points = model.family, model.options.quad_points
    if model.clusters is not None:
        return null_scores(x, n, model.clusters, null, family, points)
    if model.options.model == BETA_BINOMIAL:
        return beta_binomial_scores(x, n, null)
    tau2 = 0.0
    if model.options.model == "glmm":
        held = check_data(x, n, None, None, None, family).fixing(0, np.array([null]))
        under = fit_counts(held, points)
        if not under.converged[0]:
            return None
        tau2 = float(under.tau2[0])
    return study_terms(
        prepare(family, x, n),
        np.full(x.shape, null),
        np.full(x.shape, tau2),
        gauss_hermite(points),
    ).eta


def permutation_test(
    fit: Fitted,
    null: float,
    *,
    draws: int | Literal["exact"] = 1999,
    seed: int = 1,
    scale: Literal["display", "model"] = "display",
    conf_int: bool = True,
    level: float | None = None,
) -> SignFlipTest:
    """Test a stated mean by flipping signs, and invert the test into an interval.

    Parameters
    ----------
    fit : Fitted
        Any model with one mean; at least 2 included studies.
    null : float
        The mean to be tested, for example 0.08 for 8%.
    draws : int or "exact"
        Random sign patterns, the observed one included; "exact": all 2^k (up to 20 studies; of a
        three-level model clusters, whose studies have one sign).
        All are used too if there are no more of them than twice `draws`.
    seed : int
        Seed of the random patterns; the interval uses the same patterns throughout.
    scale : {"display", "model"}
        Scale of `null`.
    conf_int : bool
        Whether to compute the interval (about 15 further batches of `draws` fits).
    level : float, optional
        Level of the interval; default: that of the fit.

    Raises
    ------
    UnsupportedError
        Arguments without meaning, too few studies, a fit that did not converge, or moderators.

    Notes
    -----
    The p-value is the share of patterns with a statistic at least as large as the observed one,
    which is itself a pattern, so that the test keeps its level (Phipson and Smyth 2010,
    doi:10.2202/1544-6115.1585); differences below 1e-8 count as ties. The interval ends where the
    p-value first falls to 1 - level on the way out from the estimate, to 1e-4 standard errors.
    It concerns the centre of a symmetric distribution of effects; skewed effects are not covered.

    Examples
    --------
    >>> from helpers import pool
    >>> fit = pool(events=[3, 8, 6, 9, 4, 7], n=[40, 60, 90, 70, 50, 70], ci_method="wald")
    >>> test = permutation_test(fit, 0.3, draws="exact")
    >>> test.p, test.draws
    (0.03125, 64)

    Cohorts of one cluster have one sign:

    >>> from helpers import pool_multilevel
    >>> fit = pool_multilevel(
    ...     events=[3, 5, 9, 14, 2, 6], n=[60, 80, 70, 90, 50, 75], cluster=list("aabbcc")
    ... )
    >>> fit.permutation_test(0.02, draws="exact").draws
    8
    """
    model = model_of(fit, "a sign-flip test")
    if model.moderated:
        raise UnsupportedError(
            "a sign-flip test is defined for one pooled effect; this is a meta-regression, whose "
            "own permutation_test() reassigns its moderators at random"
            if model.clusters is None
            else "a permutation test reassigns moderators to studies at random, which breaks their "
            "clusters apart; test them with wald(), or by the intervals of bootstrap(), which "
            "draws whole clusters"
        )
    level = level_of(model.options.level if level is None else level)
    one_of("scale", scale, ("display", "model"))
    at = _on_model_scale(fit, float(null), scale)
    what, units = "studies", model.k
    if model.clusters is not None:
        what, units = "clusters", int(model.clusters.max()) + 1
    signs = _signs(units, draws, seed, what)
    score = model.likelihood
    statistics = _score_statistics if score else _refit_statistics
    if model.clusters is not None:
        fits = (1 if score else len(signs.flips)) * (_BATCHES if conf_int else 1)
        announce("clusters of counts" if score else "clusters of effects", fits, model.k)
    values, failed = statistics(model, at, signs.flips)
    if not np.isfinite(values[0]):
        raise ConvergenceError("sign-flip test: the observed studies have no fit under the null")
    p = _share(values)

    @cache
    def margin(mean: float) -> float:
        return _margin(statistics(model, mean, signs.flips)[0], 1.0 - level)

    limits = _invert(margin, fit, signs, 1.0 - level) if conf_int else None
    shown = None
    if limits is not None:
        shown = Interval(fit.to_display(limits.lower), fit.to_display(limits.upper))
    direction = np.sign(fit.mu - at) if fit.mu != at else 1.0
    return SignFlipTest(
        null=fit.to_display(at),
        null_model=at,
        statistic=float(direction * values[0]),
        p=p,
        p_mcse=0.0 if signs.exact else float(np.sqrt(p * (1.0 - p) / signs.draws)),
        draws=signs.draws,
        failed=failed * 2 if signs.exact else failed,
        exact=signs.exact,
        seed=None if signs.exact else seed,
        ci=shown,
        ci_model=limits,
        level=level,
        kind="score" if score else "refit",
        statistics=values,
    )


def _on_model_scale(fit: Fitted, null: float, scale: str) -> float:
    """Value of the tested mean on the model scale, or a clear error."""
    measure = fit.core.scale
    top = {"proportion": 1.0, "rate": np.inf, "effect": np.inf}[measure.kind]
    low = -np.inf if scale == "model" else measure.least
    if not low < null < (np.inf if scale == "model" else top):
        expected = "a finite number" if low < 0 else f"a {measure.kind} above 0 and below {top:g}"
        raise UnsupportedError(f"null={null!r}: expected {expected}")
    if scale == "model":
        return null
    size = fit.back_size or 1.0
    return float(measure.transform(null * size, size))


def _steady(values: Array) -> float:
    """Observed statistic, less what counts as a tie."""
    return float(values[0] - 1e-8 * (1.0 + abs(values[0])))


def _share(values: Array) -> float:
    """Share of statistics at least as large as the first, ties within 1e-8."""
    return float(np.mean(values >= _steady(values)))


def _margin(values: Array, alpha: float) -> float:
    """How far the observed statistic lies below the critical one; at least 0 if p is above alpha.

    Unlike p it is continuous in the mean that is tested.
    """
    # as many of the other patterns as p > alpha needs; the observed one always counts
    count = int(np.floor(alpha * len(values) * (1.0 + 1e-12)))
    critical = np.partition(values[1:], len(values) - 1 - count)[len(values) - 1 - count]
    return float(np.clip(critical - _steady(values), -1e9, 1e9))  # finite where fits failed


def _invert(margin: Callable[[float], float], fit: Fitted, signs: _Signs, alpha: float) -> Interval:
    """Find the ends of the set of means with p above `alpha` around the estimate."""
    # Far away every deviation has one sign: only patterns without a change of sign match.
    constant = np.abs(signs.flips.sum(axis=1)) == signs.flips.shape[1]
    if float(np.mean(constant)) > alpha:
        return Interval(-np.inf, np.inf)
    if margin(fit.mu) < 0.0:
        raise ConvergenceError("sign-flip interval: the test rejects the estimate itself")
    ends = []
    for side in (-1.0, 1.0):
        inside, step = fit.mu, side * max(2.0 * fit.se_model, 1e-8)
        while margin(outside := inside + step) >= 0.0:
            inside, step = outside, 1.6 * step
            if abs(step) > 1e6 * max(fit.se_model, 1e-8):
                raise ConvergenceError("sign-flip interval: no end was found")
        root = bracketed_root(
            lambda mean: np.array([margin(float(mean[0]))]),
            [inside],
            [outside],
            rtol=0.0,
            atol=1e-4 * fit.se_model,
        )
        ends.append(float(root[0]))
    return Interval(*ends)

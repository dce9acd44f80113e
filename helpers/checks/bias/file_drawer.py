"""Fail-safe numbers and the test of excess significance, with the cautions they deserve."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from ... import printing
from ...arguments import Array, level_of, one_of
from ...engine.distributions import chi2_sf, norm_ppf, norm_sf
from ...engine.keywords import ScaledStudyKeywords, refuse_unknown
from ...engine.literature import references
from ...engine.normal.inverse_variance import fit_inverse_variance
from ...engine.shown import Row, fields_said
from ...engine.summaries import Caution
from ...errors import MetaAnalysisError, UnsupportedError
from .data import FunnelData, funnel_data, null_value
from .results import SmallStudyResult, few_studies


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FailSafeN(SmallStudyResult):
    """How many null studies would overturn a result."""

    method: str  # {"rosenthal", "orwin", "rosenberg"}: Definition
    fail_safe: int  # Studies needed (0 if the result does not need overturning)
    fail_safe_raw: float  # Before rounding up
    mean: float  # Average effect behind it (model scale)
    null: float  # Effect of the hidden studies (model scale)
    target: float | None  # Average to be reached (Orwin)
    alpha: float | None  # Level to be reached (the others)


def fail_safe_n(
    effects: Any = None,
    vi: Any = None,
    *,
    method: str = "rosenthal",
    alpha: float = 0.05,
    target: float | None = None,
    weighted: bool = True,
    null: float | str | None = None,
    **studies: Unpack[ScaledStudyKeywords],
) -> FailSafeN:
    r"""Count the null studies that would have to hide in file drawers.

    With :math:`z_i` the z-scores against `null`, w the weights 1/vi and :math:`\bar y` their
    mean effect minus `null`:

    ============  =============================================================  ===========
    method        N                                                              until
    ============  =============================================================  ===========
    rosenthal     :math:`(\sum z_i / z_{1-\alpha})^2 - k`                        one-sided p
    orwin         :math:`k(\bar y - t)/t`                                        mean is t
    rosenberg     :math:`((\sum w_i y_i/z_{1-\alpha/2})^2 - \sum w_i)/\bar w`    two-sided p
    ============  =============================================================  ===========

    The number does **not** say how many studies are missing, takes hidden studies to be null
    on average, and ignores heterogeneity. It is here because readers ask for it.

    Parameters
    ----------
    effects, vi, **studies
        As in `helpers.bias.egger`.
    method : {"rosenthal", "orwin", "rosenberg"}
        Definition.
    alpha : float
        Level of significance to be lost.
    target : float, optional
        Orwin's target, as a distance from `null`; default half the mean's distance (for which N
        is always k). Its sign is that of the mean.
    weighted : bool
        Whether Orwin's mean is weighted by 1/vi.
    null : float or "pooled", optional
        Effect of hidden studies. Required for proportions (see `helpers.bias.selection_model`).

    References
    ----------
    Rosenthal R (1979), doi:10.1037/0033-2909.86.3.638; Orwin RG (1983),
    doi:10.3102/10769986008002157; Rosenberg MS (2005),
    doi:10.1111/j.0014-3820.2005.tb01004.x. Against its use: Becker BJ (2005),
    doi:10.1002/0470870168.ch7.

    Examples
    --------
    >>> fail_safe_n([0.2, 0.5, 0.3, 0.9], [0.01, 0.04, 0.02, 0.09]).fail_safe
    31
    """
    one_of("method", method, ("rosenthal", "orwin", "rosenberg"))
    if not 0.0 < alpha < 0.5:
        raise UnsupportedError(f"alpha={alpha!r}: expected a number between 0 and 0.5")
    refuse_unknown("fail_safe_n", studies, ScaledStudyKeywords)
    data = funnel_data(effects, vi, minimum=2, **studies)
    origin = null_value(data, null)
    y, w, k = data.yi - origin, 1.0 / data.vi, data.k
    mean = float((w * y).sum() / w.sum())
    goal: float | None = None
    if method == "rosenthal":
        total = float((y * np.sqrt(w)).sum())
        raw = (total / float(norm_ppf(1.0 - alpha))) ** 2 - k
        mean = float(y.mean())
    elif method == "rosenberg":
        needed = float((w * y).sum()) / float(norm_ppf(1.0 - 0.5 * alpha))
        raw = (needed**2 - float(w.sum())) / float(w.mean())
    else:
        mean = mean if weighted else float(y.mean())
        if mean == 0.0:
            raise MetaAnalysisError("the mean effect is already the null: no target to reach")
        goal = 0.5 * mean if target is None else math.copysign(target, mean)
        if goal == 0.0:
            raise MetaAnalysisError("target=0: no number of null studies takes a mean to zero")
        raw = k * (mean - goal) / goal
    # 1e-9 of a study: rounding must not call for one more.
    size = max(0, math.ceil(raw - 1e-9))
    until = f"p reaches {alpha:g}" if goal is None else "the mean reaches the target"
    return FailSafeN(
        method=method,
        fail_safe=size,
        fail_safe_raw=raw,
        mean=mean + origin,
        null=origin,
        target=goal,
        alpha=alpha if goal is None else None,
        k=k,
        sentence=(
            f"The fail-safe number ({method.capitalize()}) is how many studies averaging "
            f"{origin:.4g} on the model scale would have to be added to {k} until {until}."
        ),
        references=references(
            {
                "rosenthal": "rosenthal1979",
                "orwin": "orwin1983",
                "rosenberg": "rosenberg2005",
            }[method],
            "becker2005",
        ),
        cautions=(
            Caution(
                "fail-safe",
                "A fail-safe number does not estimate how many studies are missing, assumes "
                "that they average the null effect, ignores heterogeneity and differs widely "
                "between definitions: it is no evidence against bias.",
            ),
            *_null_caution(data, origin),
        ),
    )


def _null_caution(data: FunnelData, origin: float) -> tuple[Caution, ...]:
    if not data.proportions:
        return ()
    return (
        Caution(
            "assumed-null",
            f"Significance is judged against {origin:.4g} on the model scale, a choice of the "
            "analyst: single-group proportions have no null effect.",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ExcessSignificance(SmallStudyResult):
    """Test of excess significance."""

    observed: int  # Studies with a significant result
    expected: float  # Sum of the studies' powers at `mu`
    ratio: float  # observed / expected
    statistic: float  # Chi-squared statistic with 1 degree of freedom
    p: float  # One-sided p-value for an excess, from the root of the statistic
    p_exact: float  # The same from the exact distribution of a sum of Bernoulli variables
    #: Assumed true effect and null effect (model scale)
    mu: float
    null: float
    alpha: float  # Two-sided level of the studies' own tests
    labels: tuple[str, ...]  # Study labels
    power: tuple[float, ...]  # Power of each study

    def _said(self) -> Iterator[Row]:
        return fields_said(self, "labels", "power")


def excess_significance(
    effects: Any = None,
    vi: Any = None,
    *,
    mu: float | None = None,
    null: float | str | None = None,
    alpha: float = 0.05,
    **studies: Unpack[ScaledStudyKeywords],
) -> ExcessSignificance:
    """Compare the number of significant studies expected from their power.

    Parameters
    ----------
    effects, vi, **studies
        As in `helpers.bias.egger`.
    mu : float, optional
        True effect (model scale); default the common-effect estimate.
    null : float or "pooled", optional
        Null effect of the studies' two-sided tests; required for proportions.
    alpha : float
        Their level.

    References
    ----------
    Ioannidis JPA, Trikalinos TA (2007), doi:10.1177/1740774507079441.

    Examples
    --------
    >>> result = excess_significance([0.2, 0.5, 0.3, 0.9], [0.01, 0.04, 0.02, 0.09])
    >>> result.observed, round(result.expected, 2)
    (4, 1.98)
    """
    alpha = level_of(alpha, "alpha")
    refuse_unknown("excess_significance", studies, ScaledStudyKeywords)
    data = funnel_data(effects, vi, **studies)
    origin = null_value(data, null)
    se, k = np.sqrt(data.vi), data.k
    common = fit_inverse_variance(data.yi, data.vi, method="common")
    true = float(common.mu[0]) if mu is None else float(mu)
    critical = float(norm_ppf(1.0 - 0.5 * alpha))
    observed = int((np.abs(data.yi - origin) / se >= critical).sum())
    shift = (true - origin) / se
    power = norm_sf(critical - shift) + norm_sf(critical + shift)
    expected = float(power.sum())
    if not 0.0 < expected < k:
        raise MetaAnalysisError(
            f"{expected:g} of {k} studies are expected to be significant: there is nothing to test"
        )
    excess = observed - expected
    statistic = excess**2 * (1.0 / expected + 1.0 / (k - expected))
    two_sided = float(chi2_sf(statistic, 1))
    found = few_studies(k)
    if float(common.Q[0]) > float(common.df[0]):
        found += (
            Caution(
                "heterogeneity",
                "True effects that differ between studies make significant results more frequent "
                "than their power at one common effect suggests, without any bias.",
            ),
        )
    return ExcessSignificance(
        observed=observed,
        expected=expected,
        ratio=observed / expected,
        statistic=statistic,
        p=0.5 * two_sided if excess >= 0 else 1.0 - 0.5 * two_sided,
        p_exact=_at_least(np.asarray(power), observed),
        mu=true,
        null=origin,
        alpha=alpha,
        k=k,
        labels=data.labels,
        power=tuple(float(value) for value in power),
        sentence=(
            f"Among {printing.studies(k)}, the number with a two-sided p below {alpha:g} was "
            "compared with the sum of their powers (test of excess significance)."
        ),
        references=references("ioannidis2007"),
        cautions=found + _null_caution(data, origin),
    )


def _at_least(probability: Array, count: int) -> float:
    """P(sum of independent Bernoulli variables >= count)."""
    mass = np.ones(1)
    for p in probability:
        mass = np.convolve(mass, [1.0 - p, p])
    return float(min(1.0, mass[count:].sum()))

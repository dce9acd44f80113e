"""Sums for two lessons: cohorts that a prediction interval needs, and agreement of two people."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt

from .. import printing
from ..arguments import LEVEL
from ..engine.distributions import expit, norm_ppf, t_ppf
from ..errors import MetaAnalysisError
from ..views.prose import Sentence, list_table

_MOST = 1000  # cohorts that are tried


def expected_prediction(
    k: int | None, *, mu: float, tau: float, size: float
) -> tuple[float, float]:
    """Give the prediction interval that a plan leads to if it meets the truth.

    With `k` cohorts (three at least; None: any number, whose mean is known) of `size` patients,
    whose true logits have mean `mu` and standard deviation `tau`, limits as proportions are those
    of mu +- t(k - 2) sqrt(tau2 + (tau2 + v) / k), where v = 1 / (n p (1 - p)) is the sampling
    variance of a logit (doi:10.1111/j.1467-985X.2008.00552.x). They hang on a guess of tau, which
    few cohorts estimate badly.

    >>> low, high = expected_prediction(20, mu=-2.6, tau=0.5, size=100)
    >>> round(low, 3), round(high, 3)
    (0.024, 0.181)
    """
    if (k is not None and k < 3) or tau < 0 or size <= 0:
        raise MetaAnalysisError(
            f"k={k}, tau={tau}, size={size}: expected 3 cohorts or more, tau of 0 or more, patients"
        )
    upper = 0.5 + 0.5 * LEVEL
    if k is None:
        half = float(norm_ppf(upper)) * tau
    else:
        p = float(expit(mu))
        half = float(t_ppf(upper, k - 2)) * sqrt(tau**2 + (tau**2 + 1 / (size * p * (1 - p))) / k)
    return float(expit(mu - half)), float(expit(mu + half))


def cohorts_needed(width: float, *, mu: float, tau: float, size: float) -> int | None:
    """Give the fewest cohorts whose expected prediction interval is no wider; None if none is.

    Parameters
    ----------
    width : float
        Upper minus lower limit, as a fraction.
    mu, tau, size : float
        As in `expected_prediction`.

    Examples
    --------
    >>> cohorts_needed(0.16, mu=-2.6, tau=0.5, size=100)
    18
    >>> cohorts_needed(0.1, mu=-2.6, tau=0.5, size=100) is None
    True
    """
    for k in range(3, _MOST + 1):
        low, high = expected_prediction(k, mu=mu, tau=tau, size=size)
        if high - low <= width:
            return k
    return None


def planning_table(ks: Iterable[int], *, mu: float, tau: float, size: float) -> Sentence:
    """Show the expected prediction interval of several plans and its limit, also for other τ.

    Parameters
    ----------
    ks : iterable of int
        Numbers of cohorts.
    mu, tau, size : float
        As in `expected_prediction`.

    Examples
    --------
    >>> "any number" in str(planning_table((5, 20), mu=-2.6, tau=0.5, size=100))
    True
    """
    head = ("Cohorts", "Expected 95% prediction interval", "With half the τ", "With twice the τ")
    rows: list[tuple[str, ...]] = [head]
    for k in (*ks, None):
        name = "any number" if k is None else printing.count(k)
        limits = (
            expected_prediction(k, mu=mu, tau=times * tau, size=size) for times in (1, 0.5, 2)
        )
        rows.append((name, *(printing.percent_range(one, 1) for one in limits)))
    return list_table("What more cohorts would give", rows, "22 32 23 23")


def kappa(both: int, first: int, second: int, neither: int) -> float:
    """Compute Cohen's kappa of two people who said yes or no to the same records.

    Parameters
    ----------
    both, first, second, neither : int
        Records that both took, the first alone, the second alone, and neither.

    Returns
    -------
    float
        (observed - expected) / (1 - expected) agreement (doi:10.1177/001316446002000104).

    Raises
    ------
    MetaAnalysisError
        Negative counts, or two people who always say the same, of whom it is not defined.

    Examples
    --------
    >>> round(kappa(20, 5, 10, 15), 3)
    0.4
    """
    total = both + first + second + neither
    if min(both, first, second, neither) < 0 or total == 0:
        raise MetaAnalysisError("kappa: expected four counts of records, not all of them zero")
    yes = (both + first) * (both + second)
    no = (neither + first) * (neither + second)
    expected = (yes + no) / total**2
    if expected == 1.0:
        raise MetaAnalysisError("kappa: both said the same of every record; it is not defined")
    return ((both + neither) / total - expected) / (1.0 - expected)

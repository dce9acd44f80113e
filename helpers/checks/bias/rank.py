"""Begg and Mazumdar's rank correlation test."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from ... import printing
from ...arguments import Array, one_of
from ...engine.distributions import norm_sf
from ...engine.keywords import ScaledStudyKeywords, refuse_unknown
from ...engine.literature import references
from ...errors import MetaAnalysisError, UnsupportedError
from .data import CORRELATED, FunnelData, funnel_data
from .results import BiasTest, regression_cautions

_EXACT_LIMIT = 400


def begg(
    effects: Any = None,
    vi: Any = None,
    *,
    method: str = "auto",
    continuity: bool = False,
    level: float | None = None,
    **studies: Unpack[ScaledStudyKeywords],
) -> BiasTest:
    r"""Rank correlation between standardised effects and their variances.

    The effects are centred at the common-effect estimate :math:`\hat\mu` and divided by the
    standard error of that difference, :math:`v_i - 1/\sum_j v_j^{-1}`; Kendall's score S counts
    concordant minus discordant pairs with the variances.

    Parameters
    ----------
    effects, vi, level, **studies
        As in `helpers.bias.egger`.
    method : {"auto", "exact", "normal"}
        Exact distribution of S (no ties; up to 400 studies), or normal approximation with the
        tie-corrected variance. "auto": exact where possible, else normal.
    continuity : bool
        Whether the normal approximation moves S by 1 towards 0.

    Returns
    -------
    BiasTest
        ``bias`` is S, ``se`` its standard deviation under the null, ``tau`` Kendall's tau-b.
        With "exact" the statistic is still S/se, but the p-value comes from the distribution
        of S.

    Raises
    ------
    MetaAnalysisError
        Fewer than three studies, all variances or all effects equal, or an exact test with ties.

    References
    ----------
    Begg CB, Mazumdar M (1994), doi:10.2307/2533446. Tied ranks: Kendall MG, Rank Correlation
    Methods (1970).

    Examples
    --------
    >>> test = begg([0.2, 0.5, 0.3, 0.9, 0.8], [0.01, 0.04, 0.02, 0.09, 0.16])
    >>> test.bias, round(test.tau, 3), round(test.p, 4)
    (8.0, 0.8, 0.0833)
    """
    one_of("method", method, ("auto", "exact", "normal"))
    refuse_unknown("begg", studies, ScaledStudyKeywords)
    data = funnel_data(effects, vi, level=level, **studies)
    return _begg(data, method, continuity)


def _begg(data: FunnelData, method: str, continuity: bool) -> BiasTest:
    w = 1.0 / data.vi
    mu = float((w * data.yi).sum() / w.sum())
    standardised = (data.yi - mu) / np.sqrt(data.vi - 1.0 / w.sum())
    score, variance, tau, ties = kendall_score(standardised, data.vi)
    if variance <= 0.0:
        raise MetaAnalysisError("all effects or all variances are equal: nothing to rank")
    if method == "exact" and (ties or data.k > _EXACT_LIMIT):
        raise MetaAnalysisError(
            "the exact test needs effects and variances without ties"
            if ties
            else f"{data.k} studies: the exact test goes up to {_EXACT_LIMIT}"
        )
    exact = method == "exact" or (method == "auto" and not ties and data.k <= _EXACT_LIMIT)
    if exact and continuity:
        raise UnsupportedError("a continuity correction belongs to method='normal'")
    se = float(np.sqrt(variance))
    moved = np.sign(score) * max(abs(score) - 1.0, 0.0) if continuity else score
    statistic = float(moved) / se
    p = kendall_exact_p(int(score), data.k) if exact else float(2.0 * norm_sf(abs(statistic)))
    correlated = data.measure.name in CORRELATED
    if exact:
        how = "its exact distribution"
    else:
        corrected = " with continuity correction" if continuity else ""
        how = f"the normal approximation{corrected}"
    return BiasTest(
        name="Begg rank correlation test",
        predictor="vi",
        model="rank",
        measure=data.measure.name,
        bias=float(score),
        se=se,
        statistic=statistic,
        statistic_name="z",
        p=p,
        tau=tau,
        k=data.k,
        level=data.level,
        sentence=(
            f"Small-study effects were tested in {printing.studies(data.k)} by Kendall's rank "
            f"correlation of the standardised effects with their variances, by {how}."
        ),
        references=references("begg1994", *(("schwarzer2007",) if correlated else ())),
        cautions=regression_cautions(data, "vi"),
    )


def kendall_score(a: Array, b: Array) -> tuple[float, float, float, bool]:
    """Kendall's score S, its null variance, tau-b, and whether there are ties.

    Pairs are counted by sorting (Knight 1966, doi:10.1080/01621459.1966.10480879): k log k steps
    and memory for k numbers.
    """
    k = a.size
    (ra, na), (rb, nb) = (np.unique(v, return_inverse=True, return_counts=True)[1:] for v in (a, b))
    both = np.unique(ra * len(nb) + rb, return_counts=True)[1]
    tied_pairs = [int((t * (t - 1) // 2).sum()) for t in (na, nb, both)]
    # of the pairs without a tie those are discordant that an order by b leaves inverted in a
    inverted = _inversions(ra[np.lexsort((ra, rb))])
    untied = k * (k - 1) // 2 - tied_pairs[0] - tied_pairs[1] + tied_pairs[2]
    score = float(untied - 2 * inverted)
    ta, tb = na.astype(float), nb.astype(float)
    pairs = k * (k - 1.0)
    whole = pairs * (2.0 * k + 5.0)
    tied = sum(float((t * (t - 1.0) * (2.0 * t + 5.0)).sum()) for t in (ta, tb))
    two = [float((t * (t - 1.0)).sum()) for t in (ta, tb)]
    three = [float((t * (t - 1.0) * (t - 2.0)).sum()) for t in (ta, tb)]
    variance = (whole - tied) / 18.0 + two[0] * two[1] / (2.0 * pairs)
    if k > 2:
        variance += three[0] * three[1] / (9.0 * pairs * (k - 2.0))
    room = (pairs - two[0]) * (pairs - two[1])
    tau = 2.0 * score / np.sqrt(room) if room > 0 else 0.0
    if room <= 0:
        variance = 0.0
    return score, float(variance), float(tau), bool(two[0] or two[1])


def _inversions(rank: NDArray[np.intp]) -> int:
    """Pairs of places i < j with ``rank[i] > rank[j]``, in k log k steps.

    The ranks are sorted by one bit after the other, the highest first. Among those that agree in
    all higher bits, which stand together in their first order, a 1 before a 0 is an inversion.
    """
    found, k = 0, len(rank)
    begin = np.zeros(k, dtype=np.int64)  # where the group of each place begins
    for bit in reversed(range(int(rank.max(initial=0)).bit_length())):
        one = (rank >> bit) & 1
        before = np.concatenate([[0], np.cumsum(one)])
        ones = before[:-1] - before[begin]  # of the group, before this place
        found += int(ones[one == 0].sum())
        end = np.searchsorted(begin, begin, side="right")
        zeros = (end - begin) - (before[end] - before[begin])  # of the whole group
        middle = begin + zeros
        place = np.where(one == 1, middle + ones, np.arange(k) - ones)
        moved = np.empty_like(rank)
        moved[place] = rank
        starts = np.empty_like(begin)
        starts[place] = np.where(one == 1, middle, begin)
        rank, begin = moved, starts
    return found


def kendall_exact_p(score: int, k: int) -> float:
    """Two-sided p-value of Kendall's score without ties, from its exact distribution.

    Adding the j-th item to a ranking creates 0, ..., j - 1 discordant pairs with equal
    probability, so that the distribution is a convolution of uniform ones.
    """
    probability = np.ones(1)
    for j in range(2, k + 1):
        sums = np.cumsum(np.concatenate([probability, np.zeros(j - 1)]))
        before = np.concatenate([np.zeros(j), sums[:-j]]) if sums.size > j else np.zeros(sums.size)
        probability = np.maximum(sums - before, 0.0) / j
    pairs = k * (k - 1) // 2
    fewest = (pairs - abs(score)) // 2
    return float(min(1.0, 2.0 * probability[: fewest + 1].sum()))

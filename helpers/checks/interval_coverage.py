"""What measures and intervals of one proportion do, computed exactly from the binomial.

With n patients there are n + 1 possible results. Every statement here (how often an interval
contains the true value, how much an effect varies) is a sum over them, weighted by their binomial
probabilities: no simulation, no large-sample formula (Brown, Cai and DasGupta 2001,
doi:10.1214/ss/1009213286).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import LEVEL, Array, one_of
from ..door import pd
from ..engine.distributions import gammaln, norm_ppf
from ..engine.effects import effective_size, get_measure, study_interval
from ..errors import MetaAnalysisError, UnsupportedError

if TYPE_CHECKING:
    from ..models.result import PoolResult

_ROUNDING = 1e-12  # true proportions closer to each other than this are the same


def without_events(data: pd.DataFrame, *, events: str, n: str) -> pd.DataFrame:
    """Keep the studies in which nobody had the event.

    Parameters
    ----------
    data : DataFrame
        One row per study.
    events, n : str
        Its columns.

    Raises
    ------
    MetaAnalysisError
        When every study has an event.

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> without_events(load_cohorts(), events="nonrelapse_deaths", n="patients")["cohort"].tolist()
    ['De Philippis 2024', 'Kato 2023']
    """
    found = data[(data[events] == 0) & (data[n] > 0)]
    if found.empty:
        raise MetaAnalysisError(
            f"column {events!r}: no study of this table is without an event, so that there is none "
            "to look at; add one with 0 to follow this part"
        )
    return found


#: Intervals of one proportion: words -> (method of `study_interval`, measure of a Wald interval).
INTERVALS: dict[str, tuple[str, str | None]] = {
    "Wald, raw": ("wald", "raw"),
    "Wald, logit": ("wald", "logit"),
    "Agresti-Coull": ("agresti-coull", None),
    "Wilson": ("wilson", None),
    "Clopper-Pearson": ("clopper-pearson", None),
}


def one_interval(
    name: str, events: ArrayLike, n: ArrayLike, level: float = LEVEL
) -> tuple[Array, Array]:
    """Limits of a proportion by one of `INTERVALS`.

    The Wald interval of the raw proportion is the textbook one, without any correction: a point
    where nobody or everybody has an event. That of the logit has half an event added there.

    Examples
    --------
    >>> low, high = one_interval("Wald, raw", [0, 5], 20)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0, 0.06], [0.0, 0.44])
    """
    method, scale = INTERVALS[one_of("interval", name, INTERVALS)]
    both = np.broadcast_arrays(np.asarray(events, dtype=float), np.asarray(n, dtype=float))
    x, size = (np.array(values, ndmin=1) for values in both)
    if scale == "raw":
        rate = x / size
        half = float(norm_ppf(0.5 + 0.5 * level)) * np.sqrt(rate * (1.0 - rate) / size)
        return np.clip(rate - half, 0.0, 1.0), np.clip(rate + half, 0.0, 1.0)
    if scale is None:
        return study_interval(x, size, method=method, level=level)
    measure = get_measure(scale)
    yi, vi = measure.effects(x, size)
    return study_interval(x, size, method=method, level=level, measure=measure, yi=yi, vi=vi)


def _binomial(n: int, p: Array) -> Array:
    """Probabilities of 0, ..., n events (last axis) for proportions inside (0, 1)."""
    x = np.arange(n + 1.0)
    ways = gammaln(n + 1.0) - gammaln(x + 1.0) - gammaln(n - x + 1.0)
    log_p = x * np.log(p)[:, None] + (n - x) * np.log1p(-p)[:, None]
    return np.exp(ways + log_p)


def _checked(n: int, p: ArrayLike) -> Array:
    values = np.atleast_1d(np.asarray(p, dtype=float))
    if not (isinstance(n, (int, np.integer)) and n >= 1):
        raise MetaAnalysisError(f"n={n!r}: expected a whole number of at least 1")
    if not ((values > 0) & (values < 1)).all():
        raise MetaAnalysisError("p: expected proportions between 0 and 1")
    return values


def exact_coverage(
    n: int, p: ArrayLike, intervals: Iterable[str] = tuple(INTERVALS), level: float = LEVEL
) -> pd.DataFrame:
    """Probability that each interval contains the true proportion.

    Parameters
    ----------
    n : int
        Patients.
    p : array_like
        True proportions inside (0, 1).
    intervals : iterable of str
        Keys of `INTERVALS`.
    level : float

    Returns
    -------
    DataFrame
        Index "p", one column of probabilities per interval; `attrs` holds `n` and `level`.

    Raises
    ------
    MetaAnalysisError
        `n` or `p` out of range.

    Examples
    --------
    >>> exact_coverage(20, [0.05]).round(3).iloc[0].to_dict()["Wald, raw"]
    0.639
    """
    true = _checked(n, p)
    chance = _binomial(n, true)
    found = {}
    for name in intervals:
        low, high = one_interval(name, np.arange(n + 1), n, level)
        holds = (low <= true[:, None]) & (true[:, None] <= high)
        found[name] = np.minimum((chance * holds).sum(axis=1), 1.0)
    frame = pd.DataFrame(found, index=pd.Index(true, name="p"))
    frame.attrs.update(n=int(n), level=level)
    return frame


def lowest_coverage(
    n: int, within: tuple[float, float], interval: str, level: float = LEVEL
) -> tuple[float, float]:
    """Smallest coverage of an interval over a range of true proportions, exactly.

    Coverage jumps where the true proportion crosses a limit of one of the n + 1 possible
    intervals, and has no minimum between two jumps: there it is the probability of a run of
    results, which has one maximum. So the smallest value is the limit of the coverage at a jump,
    from one of its two sides; a grid of proportions passes it by.

    Parameters
    ----------
    n : int
        Patients.
    within : (float, float)
        Range of true proportions, inside (0, 1).
    interval : str
        A key of `INTERVALS`.
    level : float

    Returns
    -------
    (float, float)
        The smallest coverage (an infimum) and the true proportion at which it is approached.

    Raises
    ------
    MetaAnalysisError
        `n` or the range out of range.

    References
    ----------
    Brown LD, Cai TT, DasGupta A (2001), doi:10.1214/ss/1009213286.

    Examples
    --------
    >>> coverage, where = lowest_coverage(16, (0.005, 0.25), "Wilson")
    >>> round(coverage, 4), round(where, 4)
    (0.8362, 0.0111)
    """
    first, last = _checked(n, within)
    low, high = one_interval(interval, np.arange(n + 1), n, level)
    jumps = np.unique(np.concatenate([low, high, [first, last]]))
    jumps = jumps[(jumps >= first) & (jumps <= last)]
    pieces = np.column_stack([jumps[:-1], jumps[1:]])
    pieces = pieces[np.diff(pieces, axis=1)[:, 0] > _ROUNDING]  # narrower ones are one jump
    if not len(pieces):
        pieces = np.array([[first, last]])
    middle = pieces.mean(axis=1)[:, None]
    holds = (low <= middle) & (middle <= high)
    ends = np.array([(_binomial(n, side) * holds).sum(axis=1) for side in pieces.T])
    # Two jumps may be one up to rounding; the first in order of the proportions is taken.
    side, piece = np.unravel_index(int(np.argmin(np.round(ends, 12))), ends.shape)
    return float(min(ends[side, piece], 1.0)), float(pieces[piece, side])


def coverage_summary(n: int, p: ArrayLike) -> pd.DataFrame:
    """Coverage and width of the intervals over a range of true proportions.

    Returns
    -------
    DataFrame
        Index "interval"; columns `mean` (over `p`), `lowest` (the smallest coverage between the
        smallest and the largest `p`, see `lowest_coverage`), `lowest_at` (the proportion there),
        `below` (share of `p` with less than 95%) and `width` (mean expected width).

    Examples
    --------
    >>> import numpy as np
    >>> found = coverage_summary(30, np.linspace(0.01, 0.2, 50))
    >>> bool(found.loc["Clopper-Pearson", "lowest"] >= 0.95)
    True
    """
    true = _checked(n, p)
    cover, chance = exact_coverage(n, true), _binomial(n, true)
    rows = {}
    for name in INTERVALS:
        low, high = one_interval(name, np.arange(n + 1), n, LEVEL)
        least, where = lowest_coverage(n, (float(true.min()), float(true.max())), name, LEVEL)
        rows[name] = {
            "mean": float(cover[name].mean()),
            "lowest": least,
            "lowest_at": where,
            "below": float((cover[name] < LEVEL).mean()),
            "width": float((chance @ (high - low)).mean()),
        }
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index.name = "interval"
    return frame


def relative_variance(
    n: int, p: ArrayLike, measures: Iterable[str] = ("raw", "log", "logit", "arcsine")
) -> pd.DataFrame:
    """Exact sampling variance of each measure relative to that at a proportion of one half.

    A measure whose variance does not depend on the proportion stays at 1. Zero and full cells
    follow the default rule of `helpers.engine.effects.Measure.effects`.

    Returns
    -------
    DataFrame
        Index "p", one column per measure; `attrs` holds `n`.

    Examples
    --------
    >>> found = relative_variance(200, [0.1, 0.5])
    >>> found.round(2).loc[0.1].to_dict()
    {'raw': 0.36, 'log': 9.62, 'logit': 2.95, 'arcsine': 1.01}
    """
    true = _checked(n, p)
    chance = _binomial(n, np.append(true, 0.5))
    found = {}
    for name in measures:
        measure = get_measure(name)
        if measure.kind != "proportion":
            raise UnsupportedError(f"measure={name!r} is not a proportion")
        yi, _ = measure.effects(np.arange(n + 1.0), np.full(n + 1, float(n)))
        mean = chance @ yi
        variance = (chance * (yi - mean[:, None]) ** 2).sum(axis=1)
        found[name] = variance[:-1] / variance[-1]
    frame = pd.DataFrame(found, index=pd.Index(true, name="p"))
    frame.attrs["n"] = int(n)
    return frame


def back_transforms(fit: PoolResult, sizes: dict[str, Any] | None = None) -> pd.DataFrame:
    """One pooled double arcsine, back-transformed with several sample sizes.

    Parameters
    ----------
    fit : PoolResult
        Of measure "double-arcsine".
    sizes : dict of str to float, optional
        Further sizes, by name.

    Returns
    -------
    DataFrame
        Index "size taken"; columns `n` and `estimate`. Rows: smallest, harmonic mean, median,
        mean and largest study, the size that would have the standard error of the pooled value
        (Barendregt et al. 2013, doi:10.1136/jech-2013-203104), then `sizes`.

    Examples
    --------
    >>> from helpers import pool
    >>> fit = pool(events=[1, 2, 40], n=[12, 20, 900], measure="double-arcsine")
    >>> back_transforms(fit)["estimate"].is_monotonic_decreasing
    False
    """
    if fit.measure != "double-arcsine" or fit.data.size is None:
        raise UnsupportedError("back_transforms() needs a fit with measure='double-arcsine'")
    n = fit.data.size[fit.data.included]
    taken = {
        "smallest cohort": float(n.min()),
        "harmonic mean": effective_size(n, fit.se_model, "harmonic-mean"),
        "median": float(np.median(n)),
        "mean": float(n.mean()),
        "largest cohort": float(n.max()),
        "inverse of the variance": effective_size(n, fit.se_model, "inverse-variance"),
        **{name: float(size) for name, size in (sizes or {}).items()},
    }
    index = pd.Index(list(taken), name="size taken")
    at = np.array(list(taken.values()))
    return pd.DataFrame({"n": at, "estimate": fit.scale.inverse(fit.mu, at)}, index=index)

"""What refitting many selections of studies gives: one row of numbers per replicate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arguments import Array
from ..counts.optimise import FitStatus
from ..summaries import homogeneity_p

Counts = NDArray[np.bool_] | NDArray[np.int64]


class Selections:
    """Which of k studies take part in each replicate, made when they are asked for.

    `of` makes booleans, shape (r, k), of numbers of replicates, shape (r, 1).

    >>> first = Selections(3, lambda row: np.arange(3) <= row)
    >>> first[1:].tolist(), first[0].tolist()
    ([[True, True, False], [True, True, True]], [True, False, False])
    """

    def __init__(self, k: int, of: Callable[[NDArray[np.intp]], NDArray[np.bool_]]) -> None:
        self._rows, self._of = np.arange(k), of

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int | np.integer[Any] | slice) -> NDArray[np.bool_]:
        made = self._of(np.atleast_1d(self._rows[index])[:, None])
        return made if isinstance(index, slice) else made[0]


def first_ones(order: NDArray[np.intp]) -> Selections:
    """Select the first study in an order, the first two, and so on."""
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    return Selections(len(order), lambda row: rank <= row)


def ratio(top: Array, bottom: Array) -> Array:
    """Quotient that is 0 for 0/0 and infinite (with the sign of `top`) for other x/0.

    >>> import numpy as np
    >>> ratio(np.array([0.0, 1.0, -1.0]), np.array([0.0, 2.0, 0.0])).tolist()
    [0.0, 0.5, -inf]
    """
    top, bottom = np.broadcast_arrays(top, bottom)
    sound = bottom != 0
    limit = np.where(top == 0, 0.0, np.copysign(np.inf, top))
    return np.where(sound, top / np.where(sound, bottom, 1.0), np.where(np.isnan(top), top, limit))


def failures_of(status: NDArray[np.int8]) -> dict[str, int]:
    """How often each code of `FitStatus` occurs, by its message."""
    codes, number = np.unique(status, return_counts=True)
    return {FitStatus(int(c)).message: int(m) for c, m in zip(codes, number, strict=True)}


@dataclass(frozen=True, slots=True)
class Refits:
    """Fits of R replicates; every array has shape (R,)."""

    k: NDArray[np.int64]  # studies that take part, repeated ones counted as often
    #: `mu`, `se`, `se_model`, `tau2`: as on `PoolResult`; NaN where the maximum of a likelihood
    #: model was not reached.
    mu: Array
    se: Array
    se_model: Array
    tau2: Array
    between: Array  # part of tau2 that studies of one cluster share; 0 without clusters
    #: `Q`, `df`, `I2`, `H2`: as on `Heterogeneity` (I2 in percent): Cochran's Q, or the
    #: likelihood-ratio test.
    Q: Array
    df: Array
    I2: Array
    H2: Array
    vt: Array  # typical sampling variance behind I2; NaN for a single study
    loglik: Array  # as on `PoolResult`
    #: `ci_lower`, `ci_upper`: limits on the model scale with the interval method of the original
    #: result, and its Wald interval for a single study; NaN unless asked for.
    ci_lower: Array
    ci_upper: Array
    back_size: Array  # sample size of the back-transformation (Freeman-Tukey measures; 1 otherwise)
    converged: NDArray[np.bool_]  # whether the maximum was reached (always true for closed forms)
    status: NDArray[np.int8]  # codes of `helpers.engine.counts.optimise.FitStatus`

    def __len__(self) -> int:
        return len(self.mu)

    @property
    def p(self) -> Array:
        """Chi-squared p-values of `Q`; 1 without a degree of freedom, NaN without `Q`."""
        return homogeneity_p(self.Q, self.df)

    def note(self, row: int) -> str:
        """Why a replicate has no sound estimate; empty if it has one."""
        return "" if self.converged[row] else FitStatus(int(self.status[row])).message

    def failures(self) -> dict[str, int]:
        """How many replicates failed, by reason."""
        return failures_of(self.status[~self.converged])

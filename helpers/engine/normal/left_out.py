"""Weighted sums of a set of studies without each of them in turn, in linear time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arguments import Array
from .weighted import Batch, Index, Unweighted, unweighted_mean

_PANEL, _DEGREE = 0.25, 13  # of the polynomials of `Sums`


@dataclass(frozen=True, slots=True)
class Remainders:
    """One set of studies without each of them in turn, in time that grows as their number.

    Every sum over the studies that are left is that of all less the term of one. At any tau2 the
    sums of all are read off polynomials that are exact to rounding; so a replicate costs the same
    however many studies there are. It stands for a `Batch` wherever no single study is looked at.
    The anchor stays: see `all_but`.
    """

    whole: Sums  # of all studies
    gone: NDArray[np.intp]  # the study left out of each replicate, shape (R,)
    #: As those of `Batch`; `k` are the studies that are left.
    k: Array
    shift: Array
    least: Array
    copies: Array
    apart: Array
    p: int = 1
    design: None = None
    single: bool = False
    shared: bool = True
    width: int = 6

    @property
    def batch(self) -> Batch:
        """All studies, in one row."""
        return self.whole.batch

    def __len__(self) -> int:
        return len(self.gone)

    def rows(self, index: Index) -> Remainders:
        """Replicates picked by `index`."""
        each: tuple[Any, ...] = (self.gone, self.k, self.shift, self.least, self.copies, self.apart)
        return Remainders(self.whole, *(a[index] for a in each))

    def ends(self) -> tuple[Array, Array]:
        """As those of `Batch`: bounds, from all studies."""
        squares, largest = self.batch.ends()
        return np.repeat(squares, len(self)), np.repeat(largest, len(self))

    def scan_sums(self, grid: Array) -> tuple[Array, Array]:
        """As those of `Batch`."""
        sums, log_w = self.whole.at(grid[0])
        w = 1.0 / (self.batch.vi[0, self.gone, None] + grid)
        own = self.batch.pairs[0][:, self.gone].T
        return log_w - np.log(w), sums[:, :, 0].T - own[:, :, None] * w[:, None, :]

    def power_sums(self, tau2: Array) -> tuple[Array, Array, None]:
        """As those of `Batch`."""
        sums, log_w = self.whole.at(tau2)
        w = 1.0 / (self.batch.vi[0, self.gone] + tau2)
        powers = np.stack([w, w * w, w * w * w], axis=-1)
        own = self.batch.pairs[0][:, self.gone].T
        return sums - own[:, :, None] * powers[:, None, :], log_w - np.log(w), None

    def unweighted(self) -> Unweighted:
        """As that of `Batch`."""
        return unweighted_mean(self.k, *self._plain_sums())

    def crude_variance(self) -> Array:
        """As that of `Batch`."""
        return self.unweighted().rss / self.k

    def _plain_sums(self) -> list[Array]:
        """Sum y, y^2, vi and vi^2 without each study."""
        y, v = self.batch.yi[0] - self.batch.yi[0].mean(), self.batch.vi[0]
        return [f.sum() - f[self.gone] for f in (y, y * y, v, v * v)]


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums of one row at many values of tau2, each in a time that does not grow with the studies.

    In u = log(min(vi) + tau2) the nearest pole of 1/(vi + tau2) is at least pi from the real axis.
    A polynomial of degree 13 on an interval of length 0.25 therefore leaves an error below
    rounding (its ellipse of convergence has a radius of 50 half-lengths).
    """

    batch: Batch
    panels: dict[int, Array] = field(default_factory=dict, repr=False)

    def at(self, tau2: Array) -> tuple[Array, Array]:
        """Give the sums (R, 3, 3) as in `Batch.power_sums`, and of log w (R,)."""
        place = np.log1p(tau2 / self.batch.least[0]) / _PANEL
        panel = np.floor(place).astype(np.int64)
        out = np.empty((len(tau2), 10))
        for number in np.unique(panel).tolist():
            here = np.flatnonzero(panel == number)
            basis = np.polynomial.chebyshev.chebvander(2.0 * (place[here] - number) - 1.0, _DEGREE)
            out[here] = basis @ self._panel(number)
        return out[:, :9].reshape(-1, 3, 3), out[:, 9]

    def of_weights(self, tau2: Array) -> Array:
        """Sum of the weights of all studies at each tau2, shape (R,)."""
        return self.at(tau2)[0][:, 0, 0] + self.batch.copies / (self.batch.least + tau2)

    def _panel(self, number: int) -> Array:
        """Chebyshev coefficients (degree + 1, 10) of the sums on one interval."""
        if number not in self.panels:
            nodes = np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
            u = _PANEL * (number + 0.5 * (nodes + 1.0))
            values = np.empty((len(nodes), 10))
            for n, tau2 in enumerate(self.batch.least[0] * np.expm1(u)):
                sums, log_w, _ = self.batch.power_sums(np.array([tau2]))
                values[n, :9], values[n, 9] = sums.ravel(), log_w[0]
            transform = np.polynomial.chebyshev.chebvander(nodes, _DEGREE)
            self.panels[number] = np.asarray(np.linalg.solve(transform, values), dtype=float)
        return self.panels[number]


def all_but(batch: Batch) -> tuple[Remainders, NDArray[np.intp]]:
    """Leave out each study of a batch of one row, none repeated, in turn.

    Returns the rest, and the studies without which sums lose digits: they have to be fitted on
    their own. They are the anchor and those with more than half of a sum.
    """
    v, pairs = batch.vi[0], batch.pairs[0]
    around = (batch.yi[0] - batch.yi[0].mean()) ** 2
    share = np.concatenate(
        [pairs[[0, 2, 2]] * np.stack([1.0 / v, 1.0 / v, np.ones_like(v)]), [v * v, around]]
    )
    heavy = (2.0 * share > share.sum(axis=1, keepdims=True)).any(axis=0)
    heavy[v.argmin()] = True
    k = len(v)
    shift = np.broadcast_to(batch.shift, (k, 1))
    least, apart = np.full(k, batch.least[0]), np.full(k, batch.apart[0])
    rest = Remainders(
        Sums(batch), np.arange(k), np.full(k, k - 1.0), shift, least, np.ones(k), apart
    )
    return rest, np.flatnonzero(heavy)

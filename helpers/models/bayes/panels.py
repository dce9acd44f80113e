r"""Functions of one variable as polynomials on adaptive panels: quadrature.

Every panel carries the `NODES` interior extrema of a Chebyshev polynomial (Fejér's second rule).
Every second node is the same rule of half the order, so that each integral comes with the
difference between the full and the half grid at no cost. The polynomial through the nodes gives
densities, distribution functions and quantiles between them.

References
----------
Fejér L (1933), doi:10.1007/BF01474575 (the rule); Waldvogel J (2006),
doi:10.1007/s10543-006-0045-4 (its weights); Clenshaw CW, Curtis AR (1960),
doi:10.1007/BF01386223 (nested grids and coefficient decay as error measures).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from ...arguments import AnyArray as Array
from ...errors import ConvergenceError

#: Nodes of one panel; every second one makes the half grid.
NODES = 31
_MOST = 400  # panels
_TAIL = 3  # last coefficients, which measure what the polynomial leaves out


def _fejer(nodes: int) -> tuple[Array, Array, Array]:
    """Nodes on (-1, 1), weights, and the matrix from node values to Chebyshev coefficients."""
    x = np.cos(np.pi * np.arange(nodes, 0, -1) / (nodes + 1))
    to_coefficients = np.linalg.inv(chebyshev.chebvander(x, nodes - 1))
    order = np.arange(nodes, dtype=float)
    even = order % 2 == 0
    moments = np.where(even, 2.0 / np.where(even, 1.0 - order**2, 1.0), 0.0)
    return x, moments @ to_coefficients, to_coefficients


_X, _W, _COEFFICIENTS = _fejer(NODES)
_W_HALF = np.zeros(NODES)
_W_HALF[1::2] = _fejer(NODES // 2)[1]


@dataclass(frozen=True, slots=True)
class PanelGrid:
    """Logarithm of a density (up to a constant) at the nodes of P panels between P + 1 `edges`."""

    edges: Array
    log_values: Array  # shape (P, NODES)

    @property
    def nodes(self) -> Array:
        """All nodes in ascending order, shape ``(P * NODES,)``."""
        return _spread(self.edges[:-1], self.edges[1:]).ravel()

    def weights(self, *, half: bool = False) -> Array:
        """Quadrature weights of all nodes; those of the half grid have zeros between them."""
        rule = _W_HALF if half else _W
        return (0.5 * np.diff(self.edges)[:, None] * rule).ravel()

    def coefficients(self, values: Array) -> Array:
        """Chebyshev coefficients of each panel from node values, shape ``(P, NODES)``."""
        return values.reshape(-1, NODES) @ _COEFFICIENTS.T


def _spread(left: Array, right: Array) -> Array:
    centre, radius = 0.5 * (left + right), 0.5 * (right - left)
    return centre[:, None] + radius[:, None] * _X


def adapt(
    log_density: Callable[[Array], Array],
    edges: Array,
    *,
    tolerance: float,
    tail_tolerance: float,
    emphasis: Callable[[Array], Array] | None = None,
) -> PanelGrid:
    """Halve panels until the function is resolved on each of them.

    Relative to the whole, full and half grid of a panel differ by at most `tolerance`, and its last
    coefficients are below `tail_tolerance`; with `emphasis` (a second function, to be integrable
    against the first one) the same holds for the product.
    """
    left, right = edges[:-1].astype(float), edges[1:].astype(float)
    kept_left: list[Array] = []
    kept_values: list[Array] = []
    top = -np.inf
    kept_total = np.zeros(2)  # integral of the function, and with its emphasis
    kept = 0
    while left.size:
        points = _spread(left, right)
        logs = np.asarray(log_density(points.ravel()), dtype=float).reshape(points.shape)
        new_top = max(top, float(logs.max()))
        if not np.isfinite(new_top):
            raise ConvergenceError("a density on panels is zero or not finite at every node")
        if np.isfinite(top):
            kept_total = kept_total * np.exp(top - new_top)
        top = new_top
        plain = np.exp(np.maximum(logs - top, -745.0))
        extra = np.ones_like(points) if emphasis is None else emphasis(points)
        both = np.stack([plain, plain * extra])
        radius = 0.5 * (right - left)
        full = radius * (both @ _W)
        half = radius * (both @ _W_HALF)
        total = kept_total + full.sum(axis=1)
        tail = radius * np.abs(plain @ _COEFFICIENTS[-_TAIL:].T).max(axis=1)
        bad = (np.abs(full - half) > tolerance * total[:, None]).any(axis=0)
        bad |= tail > tail_tolerance * total[0]
        kept_left.append(np.stack([left[~bad], right[~bad]]))
        kept_values.append(logs[~bad])
        kept += int((~bad).sum())
        kept_total = kept_total + full[:, ~bad].sum(axis=1)
        if kept + 2 * int(bad.sum()) > _MOST:
            raise ConvergenceError(
                f"a density needs more than {_MOST} panels to be integrated to {tolerance:g}"
            )
        middle = 0.5 * (left[bad] + right[bad])
        left, right = (
            np.concatenate([left[bad], middle]),
            np.concatenate([middle, right[bad]]),
        )
    ends = np.concatenate(kept_left, axis=1)
    order = np.argsort(ends[0])
    return PanelGrid(
        edges=np.append(ends[0, order], ends[1, order[-1]]),
        log_values=np.concatenate(kept_values)[order],
    )

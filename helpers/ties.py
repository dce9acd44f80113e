"""Order of computed numbers, the same on every processor.

The last bits of a sum, an exponential or a matrix product depend on the processor (how wide its
vector registers are, whether it multiplies and adds in one step). Two numbers that are equal by
their nature then differ by some 1e-16, in an order that is nobody's, and whatever is sorted, ranked
or picked by them would change from machine to machine. Here such numbers are ties, and ties keep
the order in which they came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .errors import MetaAnalysisError

__all__ = ["largest", "order", "ranked", "smallest", "steady"]

Item = TypeVar("Item")

#: Significant digits of the largest value that are kept: far above rounding (1e-16) and the
#: stopping rules of the fits (1e-11), far below any difference that a reader could see.
DIGITS = 9


def steady(values: Any) -> NDArray[np.float64]:
    """Round numbers to nine digits of the largest of them; missing and infinite ones stay.

    >>> a, b = 0.1 + 0.2, 0.3
    >>> a == b, len(set(steady([a, b, 1.0]).tolist()))
    (False, 2)
    """
    found = np.asarray(values, dtype=float)
    sizes = np.abs(found[np.isfinite(found)])
    if not sizes.size or sizes.max() == 0.0:
        return found.copy()
    places = DIGITS - 1 - int(np.floor(np.log10(sizes.max())))
    # beyond 10^±300 the factor itself would not be a number
    return found.round(places) if abs(places) < 300 else found.copy()


def order(values: Any, *, descending: bool = False) -> NDArray[np.intp]:
    """Positions that sort numbers; ties stay in the order of the input, missing ones go last.

    >>> order([0.3, 0.1, 0.1 + 0.2]).tolist()
    [1, 0, 2]
    >>> order([0.3, 0.1, 0.1 + 0.2], descending=True).tolist()
    [0, 2, 1]
    """
    found = steady(values)
    return np.argsort(-found if descending else found, kind="stable")


def largest(values: Any) -> int:
    """Position of the largest number, the first one among ties; missing ones are passed over.

    >>> largest([0.3, float("nan"), 0.1 + 0.2])
    0
    """
    return _pick(order(values, descending=True), values)


def smallest(values: Any) -> int:
    """Position of the smallest number, as :func:`largest`.

    >>> smallest([0.1 + 0.2, 0.3, 0.4])
    0
    """
    return _pick(order(values), values)


def _pick(places: NDArray[np.intp], values: Any) -> int:
    found = np.asarray(values, dtype=float)
    if not places.size or np.isnan(found[places[0]]):
        raise MetaAnalysisError("there is no number to choose from")
    return int(places[0])


def ranked(items: Iterable[Item], key: Callable[[Item], float]) -> list[Item]:
    """Sort things by a computed number, as :func:`order` sorts numbers.

    >>> ranked({"a": 0.3, "b": 0.1}.items(), key=lambda pair: pair[1])
    [('b', 0.1), ('a', 0.3)]
    """
    found = list(items)
    return [found[i] for i in order([key(one) for one in found])]

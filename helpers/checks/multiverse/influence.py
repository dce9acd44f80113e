"""Which choice moves the answer: the variance over a grid, taken apart by choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import ties
from ...door import pd


def influence_table(
    value: NDArray[np.float64], codes: NDArray[np.intp], choices: Mapping[str, tuple[Any, ...]]
) -> pd.DataFrame:
    """Take the variance of a value over a grid apart by choice, most influential first.

    `value`, shape (C,), and `codes`, shape (C, D), are those of every combination of choices; the
    table is that of `MultiverseResult.influence_of_choices`. `share` is the total-effect
    sensitivity index (Homma and Saltelli 1996, doi:10.1016/0951-8320(96)00002-6), computed exactly
    on the grid.

    >>> value = np.array([1.0, 2.0, 1.0, 2.0])
    >>> codes = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> influence_table(value, codes, {"a": ("x", "y"), "b": ("u", "v")})["share"].to_dict()
    {'b': 100.0, 'a': 0.0}
    """
    spread = float(value.var())
    rows = []
    for d, labels in enumerate(choices.values()):
        _, inverse = np.unique(np.delete(codes, d, axis=1), axis=0, return_inverse=True)
        place = inverse.reshape(-1)
        size = np.bincount(place)
        deviation = value - (np.bincount(place, weights=value) / size)[place]
        low, high = np.full(size.size, np.inf), np.full(size.size, -np.inf)
        np.minimum.at(low, place, value)
        np.maximum.at(high, place, value)
        paired = size > 1
        switch = (high - low)[paired]
        level, effect = _level_means(codes[paired[place], d], deviation[paired[place]])
        largest = float(switch.max(initial=0.0))
        moves = largest > 1e-12 * float(np.abs(value).max())
        share = 100.0 * float((deviation**2).mean()) / spread if moves else 0.0
        rows.append(
            {
                "levels": len(labels),
                "share": share,
                "range": float(np.ptp(effect)) if moves else 0.0,
                "lowest": labels[level[ties.smallest(effect)]] if moves else None,
                "highest": labels[level[ties.largest(effect)]] if moves else None,
                "mean_switch": float(switch.mean()) if moves else 0.0,
                "largest_switch": largest if moves else 0.0,
            }
        )
    table = pd.DataFrame(rows, index=pd.Index(list(choices), name="choice"))
    return table.iloc[ties.order(table["share"], descending=True)]


def _level_means(
    code: NDArray[np.intp], value: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Levels present and the mean of the values at each."""
    level, place = np.unique(code, return_inverse=True)
    return level, np.bincount(place, weights=value) / np.bincount(place)

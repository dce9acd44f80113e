"""Which subsets of studies a GOSH analysis goes through."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from ...arguments import generator
from ...errors import UnsupportedError

#: Up to this many subsets are all fitted.
MAX_ALL = 2**20
#: Number of subsets sampled if there are more than `MAX_ALL` and none was asked for.
SAMPLED = 100_000
_CELLS = 2_000_000  # random numbers held at once


def number_of_subsets(k: int, min_size: int = 2) -> int:
    """Subsets of k studies with at least `min_size` of them."""
    return sum(comb(k, size) for size in range(min_size, k + 1))


def _listed(k: int, min_size: int) -> NDArray[np.bool_]:
    """All subsets with at least `min_size` studies, shape (R, k)."""
    if k <= 20:
        codes = np.arange(2**k)
        codes = codes[np.bitwise_count(codes) >= min_size]
        out = np.empty((len(codes), k), dtype=bool)
        for study in range(k):
            out[:, study] = (codes >> study) & 1
        return out
    # More studies, but few subsets because few studies may be missing: list what is left out.
    rows = []
    for missing in range(k - min_size, -1, -1):
        gone = np.array(list(combinations(range(k), missing)), dtype=np.intp)
        part = np.ones((len(gone), k), dtype=bool)
        np.put_along_axis(part, gone.reshape(len(gone), missing), False, axis=1)
        rows.append(part)
    return np.concatenate(rows)


def choose_subsets(
    k: int, subsets: str | int, min_size: int, seed: int
) -> tuple[NDArray[np.bool_], bool]:
    """Membership of the studies in each subset, and whether the subsets are a sample.

    Up to `MAX_ALL` possible subsets: all of them, or a sample without replacement. Above: each
    study is in or out with probability 1/2, which makes every subset equally likely; draws are
    independent and those below `min_size` are drawn again.
    """
    if not 2 <= min_size <= k:
        raise UnsupportedError(f"min_size={min_size!r}: expected a number from 2 to {k}")
    if subsets != "all" and not (isinstance(subsets, (int, np.integer)) and subsets >= 1):
        raise UnsupportedError(f"subsets={subsets!r}: expected 'all' or a whole number above 0")
    total = number_of_subsets(k, min_size)
    rng = generator(seed)
    if total <= MAX_ALL:
        member = _listed(k, min_size)
        if subsets == "all" or int(subsets) >= total:
            return member, False
        return member[np.sort(rng.choice(total, int(subsets), replace=False))], True
    rows = SAMPLED if subsets == "all" else int(subsets)
    member = np.empty((rows, k), dtype=bool)
    for part in np.array_split(member, 1 + rows * k // _CELLS):
        part[...] = rng.random(part.shape) < 0.5
    short = np.flatnonzero(member.sum(axis=1) < min_size)
    while short.size:
        member[short] = rng.random((short.size, k)) < 0.5
        short = short[member[short].sum(axis=1) < min_size]
    return member, True

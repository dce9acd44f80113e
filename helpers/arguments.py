"""Checks of single arguments, each written once: all calls refuse the same values alike.

Beside them, the type of most arguments.
"""

from __future__ import annotations

from collections.abc import Collection
from math import isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import UnsupportedError

#: Array of floats, of any shape; and where counts, truths or places are among them.
Array = NDArray[np.float64]
AnyArray = NDArray[Any]
#: Level of intervals where a call names none; the other defaults are in `helpers.engine.options`.
LEVEL = 0.95


def _real(value: Any) -> float | None:
    """Plain float of one finite number, None of anything else (True is not a number)."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        return None
    # A single-precision 0.95 means 0.95, not the 0.949999988 that it is in double precision.
    plain = float(str(value)) if isinstance(value, np.floating) else float(value)
    return plain if isfinite(plain) else None


def level_of(level: Any, name: str = "level") -> float:
    """Check a confidence or test level: a number strictly between 0 and 1.

    >>> level_of(np.float32(0.95))
    0.95
    >>> level_of(95)
    Traceback (most recent call last):
        ...
    helpers.errors.UnsupportedError: level=95: expected a number between 0 and 1
    """
    plain = _real(level)
    if plain is None or not 0.0 < plain < 1.0:
        raise UnsupportedError(f"{name}={level!r}: expected a number between 0 and 1")
    return plain


def number_from_zero(name: str, value: Any) -> float:
    """Check a finite number of at least 0.

    >>> number_from_zero("add", 0.5)
    0.5
    """
    plain = _real(value)
    if plain is None or plain < 0.0:
        raise UnsupportedError(f"{name}={value!r}: expected a number of at least 0")
    return plain


def whole_number(name: str, value: Any, lowest: int, highest: int | None = None) -> int:
    """Check a whole number of at least `lowest`; 7.5 would become 7 silently.

    >>> whole_number("quad_points", 7, 1, 100)
    7
    >>> whole_number("draws", 0, 1)
    Traceback (most recent call last):
        ...
    helpers.errors.UnsupportedError: draws=0: expected a whole number of at least 1
    """
    fits = isinstance(value, Integral) and not isinstance(value, (bool, np.bool_))
    if not (fits and lowest <= int(value) and (highest is None or int(value) <= highest)):
        bounds = f"of at least {lowest}" if highest is None else f"from {lowest} to {highest}"
        raise UnsupportedError(f"{name}={value!r}: expected a whole number {bounds}")
    return int(value)


def generator(seed: Any, *more: int) -> np.random.Generator:
    """Make a generator of random numbers from a seed, and from what it is for.

    >>> bool(generator(1).random() == generator(1).random() != generator(1, 2).random())
    True
    """
    start = whole_number("seed", seed, 0)
    return np.random.default_rng([start, *more] if more else start)


def one_of(name: str, value: Any, allowed: Collection[str]) -> str:
    """Check a word against those that exist.

    >>> one_of("model", "glmm", ("random", "glmm"))
    'glmm'
    """
    if not isinstance(value, str) or value not in allowed:
        raise UnsupportedError(f"{name}={value!r}: expected one of {', '.join(allowed)}")
    return value

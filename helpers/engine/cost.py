"""What a long computation costs, said before it starts."""

from __future__ import annotations

import warnings

from ..errors import LongComputationWarning

#: Kind of fit -> microseconds for each of its studies on one core of 2025 (benchmarks/sweep.py).
_PACE = {
    "effects": 0.15,
    "one rate": 0.2,
    "selected counts": 3.0,
    "new counts": 11.0,
    "profiles of counts": 100.0,
    "beta-binomial": 30.0,
    "clusters of effects": 35.0,
    "clusters of counts": 200.0,
    "regressions of effects": 0.7,
    "regressions of counts": 15.0,
    "regressions of new counts": 30.0,
    "groups of effects": 0.7,
    "groups of counts": 8.0,
    "groups of effects, one by one": 5.0,
    "groups of counts, one by one": 20.0,
    "tests": 1.0,
}
_WORTH_SAYING = 5.0  # seconds


def spoken(seconds: float) -> str:
    """Duration of at least two seconds, to one significant digit.

    >>> spoken(44.0), spoken(100.0), spoken(5400.0)
    ('40 seconds', '2 minutes', '2 hours')
    """
    unit, size = next(
        ((name, size) for name, size in (("hour", 3600), ("minute", 60)) if seconds >= 1.5 * size),
        ("second", 1),
    )
    number = int(float(f"{seconds / size:.0e}"))
    return f"{number:,} {unit}s"


def announce(kind: str, fits: float, studies: float) -> None:
    """Warn (`LongComputationWarning`) before `fits` fits of `studies` studies each take seconds."""
    seconds = 1e-6 * _PACE[kind] * fits * studies
    if seconds > _WORTH_SAYING:
        warnings.warn(
            f"{int(fits):,} fits of up to {int(studies):,} studies: about {spoken(seconds)} on one "
            "core. Fewer draws, subsets or studies take less",
            LongComputationWarning,
            stacklevel=3,
        )

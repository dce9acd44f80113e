"""Rows of batched results: data classes whose arrays have one row for each replicate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

FitT = TypeVar("FitT")


def take_fits(fit: FitT, rows: NDArray[np.intp]) -> FitT:
    """Pick replicates of a batched fit to counts (`GLMMFit`), in the order given."""
    changed: dict[str, Any] = {}
    for item in fields(fit):  # type: ignore[arg-type]
        value = getattr(fit, item.name)
        if isinstance(value, np.ndarray):
            changed[item.name] = value[rows]
        elif is_dataclass(value):
            changed[item.name] = value.take(rows)
    return replace(fit, **changed)  # type: ignore[type-var]


def joined(parts: Sequence[FitT]) -> FitT:
    """Put the chunks of a batch together; what is no array is that of the first."""
    first = parts[0]
    if len(parts) == 1:
        return first
    arrays = {}
    for item in fields(first):  # type: ignore[arg-type]
        if isinstance(getattr(first, item.name), np.ndarray):
            arrays[item.name] = np.concatenate([getattr(part, item.name) for part in parts])
    return replace(first, **arrays)  # type: ignore[type-var]


def put(into: FitT, values: FitT, rows: slice | NDArray[np.intp]) -> None:
    """Write the arrays of one result into rows of another."""
    for item in fields(into):  # type: ignore[arg-type]
        old, new = getattr(into, item.name), getattr(values, item.name)
        if isinstance(old, np.ndarray):
            old[rows] = new
        elif is_dataclass(old) and type(old) is type(new):
            put(old, new, rows)

"""Results as values that JSON can represent: the one home of every ``to_dict()``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Turn a value, whatever it holds, into plain Python; what is missing or infinite is None.

    A result gives its own ``to_dict()``, any other data class (a caution, a reference, a test of
    heterogeneity) its fields, an interval its two limits, a table its rows with the index.
    """
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:  # most of a large table
        return value
    if kind is float:
        return value if math.isfinite(value) else None
    if hasattr(value, "reset_index"):
        value = value.reset_index().to_dict(orient="records")
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    elif is_dataclass(value) and not isinstance(value, type):
        value = {one.name: getattr(value, one.name) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def picked(result: Any, names: str) -> dict[str, Any]:
    """Collect attributes by their names, which stand in one string.

    >>> picked(1 + 2j, "real imag")
    {'real': 1.0, 'imag': 2.0}
    """
    return {name: getattr(result, name) for name in names.split()}


def told(result: Any) -> dict[str, Any]:
    """Collect what a result says of itself: cautions, methods and their sources."""
    said = result.methods()
    return {"cautions": result.cautions, "methods": str(said), "references": said.references}

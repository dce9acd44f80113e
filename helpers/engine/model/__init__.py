"""The core of the toolkit: studies and choices, and all that is needed to fit them again."""

from __future__ import annotations

from .core import Drawn, Fitted, FittedRegression, Model, Progress, model_of, shared_variance

__all__ = [
    "Drawn",
    "Fitted",
    "FittedRegression",
    "Model",
    "Progress",
    "model_of",
    "shared_variance",
]

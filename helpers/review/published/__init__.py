"""Every published number and ours: what agrees, to how many digits, and why not all."""

from .numbers import Reproduction, reproduction
from .status import STATUSES, Comparison, UnexplainedError, compare
from .verdicts import VERDICTS, Check, CheckedClaim, claims, claims_frame

__all__ = [
    "STATUSES",
    "VERDICTS",
    "Check",
    "CheckedClaim",
    "Comparison",
    "Reproduction",
    "UnexplainedError",
    "claims",
    "claims_frame",
    "compare",
    "reproduction",
]

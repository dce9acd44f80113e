"""Every published number beside ours: what agrees, to how many digits, and why not all."""

from helpers.reproduction.claims import VERDICTS, Check, Claim, claims, claims_frame
from helpers.reproduction.report import Reproduction, reproduction
from helpers.reproduction.status import STATUSES, Comparison, UnexplainedError, compare

__all__ = [
    "STATUSES",
    "VERDICTS",
    "Check",
    "Claim",
    "Comparison",
    "Reproduction",
    "UnexplainedError",
    "claims",
    "claims_frame",
    "compare",
    "reproduction",
]

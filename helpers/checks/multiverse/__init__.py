"""Every combination of defensible choices, in one batch."""

from .analysis import multiverse
from .result import MultiverseResult, Share

__all__ = ["MultiverseResult", "Share", "multiverse"]

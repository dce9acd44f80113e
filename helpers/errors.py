"""The errors and warnings that the helpers give on purpose: callers can tell them from bugs."""

from __future__ import annotations


class MetaAnalysisError(ValueError):
    """Base of every error that the helpers raise on purpose."""


class UnsupportedError(MetaAnalysisError):
    """A combination of options that has no defined meaning or is not implemented."""


class ConvergenceError(MetaAnalysisError):
    """An iterative fit did not reach its stopping rule."""


class LongComputationWarning(UserWarning):
    """A call that takes more than some seconds says so before it starts.

    ``warnings.simplefilter("ignore", LongComputationWarning)`` silences it.
    """

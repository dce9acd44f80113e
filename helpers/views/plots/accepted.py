"""Which results a plot takes: what it cannot draw it says in a sentence, with what can."""

from __future__ import annotations

from typing import Any

from ...errors import UnsupportedError
from ...models.base import Coefficients, Pooled


def pooled_of(fit: Any, what: str) -> Any:
    """Give a result that pools one mean, of whatever model.

    Raises
    ------
    UnsupportedError
        Groups, a regression, or no result of pooling.

    Examples
    --------
    >>> pooled_of([3, 8], "forest")
    Traceback (most recent call last):
    ...
    helpers.errors.UnsupportedError: forest() needs a fit of pool(), not list
    """
    if hasattr(fit, "groups"):
        raise UnsupportedError(
            f"{what}() draws one pooled result: give it .overall, or one of .groups"
        )
    if isinstance(fit, Coefficients) and not (isinstance(fit, Pooled) and fit.formula == "1"):
        raise UnsupportedError(
            f"{what}() draws one pooled estimate, which a fit with moderators does not have: "
            "bubble() draws a numeric moderator, subgroup_forest() groups"
        )
    if not isinstance(fit, Pooled):
        raise UnsupportedError(f"{what}() needs a fit of pool(), not {type(fit).__name__}")
    return fit


def diagnosed_of(fit: Any, what: str) -> Any:
    """Give a result with deletion diagnostics: of pooling, of a regression or of groups.

    Raises
    ------
    UnsupportedError
        Anything else, such as the diagnostics themselves.

    Examples
    --------
    >>> diagnosed_of([3, 8], "baujat")
    Traceback (most recent call last):
    ...
    helpers.errors.UnsupportedError: baujat() needs a fit of pool(), not list
    """
    if not hasattr(fit, "influence"):
        raise UnsupportedError(f"{what}() needs a fit of pool(), not {type(fit).__name__}")
    return fit

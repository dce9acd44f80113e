"""Tables of results: pooled estimates, and our values compared with published ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import pandas as pd

from ... import printing
from ...engine.normal.prediction import displayed_prediction
from ...errors import MetaAnalysisError, UnsupportedError
from ..subject import NEUTRAL, Subject
from .frames import numbers, require
from .markup import Table


def pooled_table(
    fits: Mapping[str, Any], caption: str = "Pooled estimates", *, subject: Subject = NEUTRAL
) -> Table:
    """Print pooled estimates below each other.

    Parameters
    ----------
    fits : mapping of label to PoolResult
        All pool proportions, or none does.
    caption : str, optional
        As in :func:`table`.
    subject : Subject
        What studies and counts are called.

    Returns
    -------
    Table
        Its notes give the methods of the fits and every caution. A dash is printed where a
        prediction interval is not defined or not shown.

    Examples
    --------
    >>> from helpers import pool
    >>> fit = pool(events=[7, 3, 12], n=[269, 80, 140], study=["A", "B", "C"], model="common")
    >>> pooled_table({"three studies": fit}).name
    'table-pooled-estimates'
    """
    if not fits:
        raise MetaAnalysisError("pooled_table() needs at least one result")
    kinds = {fit.n is None for fit in fits.values()}
    if len(kinds) > 1:
        raise UnsupportedError("pooled_table() cannot mix proportions and other effects")
    plain = kinds.pop()
    digits, factor = (2, 1) if plain else (1, 100)

    def bounds(pair: Any) -> str:
        return printing.between(pair[0] * factor, pair[1] * factor, digits)

    lines, notes = [], []
    for label, fit in fits.items():
        line: dict[str, Any] = {"analysis": label, "k": fit.k}
        if not plain:
            line |= {"events": fit.events, "n": fit.n}
        line |= {"estimate": fit.estimate, "ci": bounds(fit.ci)}
        limits, reason = displayed_prediction(fit)
        line["prediction"] = None if limits is None else bounds(limits)
        if limits is None and fit.model != "common":
            notes.append(f"{label}: no prediction interval ({reason})")
        lines.append(line | {"tau2": fit.tau2, "I2": fit.heterogeneity.I2})
        notes += [f"{label}: {caution.message}" for caution in fit.cautions]
    levels = printing.listing(dict.fromkeys(f"{100 * fit.level:g}" for fit in fits.values()))
    return numbers(
        lines,
        caption,
        {
            "analysis": "", "k": (printing.capital(subject.studies), ""),
            "events": (subject.events, "count"), "n": (subject.n, "count"),
            "estimate": ("Estimate", "number" if plain else "percent"),
            "ci": (f"{levels}% CI", ""),
            "prediction": (f"{levels}% prediction interval", ""),
            "tau2": ("τ²", "number3"), "I2": (f"I²{printing.IN_PERCENT}", "number1"),
        },
        notes=[*_methods(fits.values()), *dict.fromkeys(notes)],
    )  # fmt: skip


def _methods(fits: Iterable[Any]) -> list[str]:
    """Give the methods of the fits, once for fits that differ in their studies alone."""
    largest: dict[tuple[Any, ...], Any] = {}
    for fit in fits:
        fixed = getattr(getattr(fit, "options", None), "tau2", None)
        key = (fit.measure, fit.model, fit.tau2_method, fixed, fit.ci_method, fit.level)
        if key not in largest or fit.k > largest[key].k:
            largest[key] = fit
    return list(dict.fromkeys(str(fit.methods()) for fit in largest.values()))


def comparison_table(
    frame: pd.DataFrame, caption: str = "Comparison with the published values", *, digits: int = 5
) -> Table:
    """Compare our values with published ones and count the digits that agree.

    Parameters
    ----------
    frame : DataFrame
        Columns quantity, ours, published; a published value may be missing.
    caption : str, optional
        As in :func:`table`.
    digits : int
        Significant digits to print.

    Returns
    -------
    Table
        Digits that agree as :func:`helpers.printing.agreeing_digits` counts them.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame(
    ...     {"quantity": ["estimate"], "ours": [0.0682211], "published": [0.0682210]}
    ... )
    >>> print(comparison_table(frame))
    Comparison with the published values
    Quantity     Ours Published Digits that agree
    estimate 0.068221  0.068221                 5
    """
    require(frame, ["quantity", "ours", "published"])
    agree = [
        pd.NA if pd.isna(ours) or pd.isna(theirs) else printing.agreeing_digits(ours, theirs)
        for ours, theirs in zip(frame["ours"], frame["published"], strict=True)
    ]
    show = partial(printing.significant, digits=digits)
    return numbers(
        frame.assign(agree=pd.array(agree, dtype="Int64")),
        caption,
        {"quantity": "", "ours": show, "published": show}
        | {"agree": ("Digits that agree", printing.digits_text)},
    )

"""Cautions of every result of a report, each once, with what to do about it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..engine.summaries import Caution
    from .analysis import Analysis

__all__ = ["ADVICE", "ListedCaution", "cautions_of"]

with Path(__file__).with_name("advice.toml").open("rb") as _file:
    #: Code of a caution -> what to do about it.
    ADVICE: dict[str, str] = tomllib.load(_file)


@dataclass(frozen=True, slots=True)
class ListedCaution:
    """One caution: where it arose, its code and message, and what to do."""

    where: str
    code: str
    message: str
    advice: str


def cautions_of(analysis: Analysis) -> tuple[ListedCaution, ...]:
    """Collect the cautions of all results of a report.

    Examples
    --------
    >>> import pandas as pd
    >>> from helpers.reporting.analysis import ColumnNames, analyse
    >>> table = pd.DataFrame({"study": ["a"], "events": [3], "n": [40]})
    >>> [one.code for one in cautions_of(analyse(table, ColumnNames()))]
    ['single-study', 'sparse-cells']
    """
    found: dict[tuple[str, str], ListedCaution] = {}

    def add(where: str, cautions: Iterable[Caution]) -> None:
        for one in cautions:
            found.setdefault(
                (one.code, one.message),
                ListedCaution(where, one.code, one.message, ADVICE.get(one.code, "")),
            )

    add("Pooled estimate", analysis.fit.cautions)
    if analysis.beside is not None:
        add("Second model", analysis.beside.cautions)
    if analysis.groups is not None:
        add("Subgroups", analysis.groups.cautions)
        for name, fit in analysis.groups:
            add(f"Subgroup {name}", fit.cautions)
    for column, regression in analysis.regressions.items():
        add(f"Meta-regression on {column}", regression.cautions)
    if analysis.rates is not None:
        add("Events per person-time", analysis.rates.cautions)
    for name, test in analysis.tests.items():
        add(name, test.cautions)
    return tuple(found.values())

"""Cautions of every result of a report, each once, with what to do about it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import printing

if TYPE_CHECKING:
    from .analysis import Analysis

with Path(__file__).with_name("advice.toml").open("rb") as _file:
    #: Code of a caution -> what to do about it.
    ADVICE: dict[str, str] = tomllib.load(_file)


#: Where the cautions arise that are about the table and not about a result.
TABLE = "The table"


@dataclass(frozen=True, slots=True)
class ListedCaution:
    """One caution: where it arose, its code and message, and what to do."""

    where: str
    code: str
    message: str
    advice: str


def cautions_of(analysis: Analysis) -> tuple[ListedCaution, ...]:
    """Collect the cautions of all results of a report.

    >>> import pandas as pd
    >>> from helpers.reporting.analysis import ColumnNames, analyse
    >>> table = pd.DataFrame({"study": ["a"], "events": [3], "n": [40]})
    >>> [one.code for one in cautions_of(analyse(table, ColumnNames()))]
    ['single-study', 'sparse-cells']
    """
    parts: list[tuple[str, Any]] = [
        (TABLE, analysis.remarks),
        ("Pooled estimate", analysis.fit),
        ("Second model", analysis.beside),
        ("Subgroups", analysis.groups),
        *((f"Subgroup {name}", fit) for name, fit in analysis.groups or ()),
        *(
            (f"Meta-regression on {printing.readable(name)}", fit)
            for name, fit in analysis.regressions.items()
        ),
        ("Clusters", analysis.levels),
        ("Clusters, robust", analysis.robust),
        ("Risk of bias", analysis.ratings),
        ("Events per person-time", analysis.rates),
        *analysis.tests.items(),
    ]
    found: dict[tuple[str, str], ListedCaution] = {}
    for where, part in parts:
        for one in part if isinstance(part, tuple) else part.cautions if part is not None else ():
            listed = ListedCaution(where, one.code, one.message, ADVICE.get(one.code, ""))
            found.setdefault((one.code, one.message), listed)
    return tuple(found.values())

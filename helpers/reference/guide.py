"""The decision guide: which measure, model, interval and test for which data, and why.

The recommendations stand in a TOML file. Each is justified by a source, or by numbers that are
looked up in the results of the simulation (``benchmarks/results/coverage.csv``) when the page is
made; a recommendation without either is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import printing
from ..door import pd
from ..errors import MetaAnalysisError
from ..evidence.pages import page_content
from ..views.prose import Sentence
from .names import check_use

_COLUMNS = ("family", "sizes", "k", "proportion", "tau", "quantity", "estimator", "method")
_SUMMARIES = {"mean": "mean", "lowest": "min", "highest": "max"}


@dataclass(frozen=True, slots=True)
class Option:
    """One answer to a question of the guide."""

    when: str  # the data
    use: str  # what to do with them
    call: str
    why: str  # the reason with its numbers
    source: tuple[str, ...]  # keys in the bibliography
    numbers: dict[str, float]  # what was looked up, as fractions


@dataclass(frozen=True, slots=True)
class Decision:
    """A question with its answers."""

    id: str
    question: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """What the guide says for one kind of data: step -> what to do."""

    data: str
    steps: dict[str, str]


@dataclass(frozen=True, slots=True)
class Guide:
    """The guide: its questions, and the same as ways through, for the picture."""

    decisions: tuple[Decision, ...]
    paths: tuple[Way, ...]

    def text(self) -> Sentence:
        """Write the questions with their answers, calls, reasons and sources."""
        parts = []
        for decision in self.decisions:
            parts.append(f"### {decision.question}")
            for one in decision.options:
                cited = f" {{cite:p}}`{','.join(one.source)}`" if one.source else ""
                parts.append(f"{one.when}\n: **{one.use}.** `{one.call}`\n\n  {one.why}{cited}")
        return Sentence("\n\n".join(parts))

    def frame(self) -> pd.DataFrame:
        """Give the ways as a table: one row per step, one column per kind of data."""
        ways = {path.data: path.steps.values() for path in self.paths}
        return pd.DataFrame({"step": self.paths[0].steps.keys()} | ways)


def look_up(coverage: pd.DataFrame, number: Mapping[str, Any]) -> float:
    """Look a number up in the results of the simulation.

    `number` has ``performance`` and ``summary`` ("mean", "lowest" or "highest" over the scenarios),
    and for any other column of `coverage` its value or a list of values.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"k": [5, 5, 10], "performance": "coverage", "value": [0.9, 0.8, 1.0]})
    >>> look_up(rows, {"performance": "coverage", "summary": "lowest", "k": 5})
    0.8
    """
    rows = coverage[coverage["performance"] == number["performance"]]
    for key, wanted in number.items():
        if key in ("performance", "summary", "name"):
            continue
        if key not in _COLUMNS or key not in rows:
            raise MetaAnalysisError(f"{key!r} is no column of the simulation's results")
        rows = rows[rows[key].isin(wanted if isinstance(wanted, list) else [wanted])]
    if rows.empty or number["summary"] not in _SUMMARIES:
        raise MetaAnalysisError(f"no scenario of the simulation fits {dict(number)}")
    return float(rows["value"].agg(_SUMMARIES[number["summary"]]))


def read_guide(results: str | Path, path: str | Path | None = None) -> Guide:
    """Read the guide and look its numbers up.

    Parameters
    ----------
    results : str or Path
        CSV file of the simulation.
    path : str or Path, optional
        TOML file with ``[[decision]]`` (id, question), ``[[decision.option]]`` (when, use, call,
        why, source, uses), ``[[decision.option.number]]`` (name and the arguments of `look_up`),
        and ``[[path]]`` (data, steps). By default the book's own.

    Raises
    ------
    MetaAnalysisError
        An option has neither source nor number, a call does not exist, or the ways differ in
        their steps.
    """
    coverage = pd.read_csv(results, keep_default_na=False)
    content = page_content("decision_guide.toml", path)
    decisions = []
    for table in content["decision"]:
        options = tuple(_option(row, coverage, table["id"]) for row in table["option"])
        decisions.append(Decision(table["id"], table["question"], options))
    paths = tuple(Way(row["data"], dict(row["steps"])) for row in content["path"])
    if len({tuple(path.steps) for path in paths}) != 1:
        raise MetaAnalysisError("the ways through the guide do not have the same steps")
    return Guide(tuple(decisions), paths)


def _option(row: Mapping[str, Any], coverage: pd.DataFrame, where: str) -> Option:
    numbers = {one["name"]: look_up(coverage, one) for one in row.get("number", [])}
    if not numbers and not row["source"]:
        raise MetaAnalysisError(f"{where}: {row['use']!r} has neither a source nor a number")
    for use in row["uses"]:
        check_use(use)
    shown = {name: printing.percent(value) for name, value in numbers.items()}
    why = " ".join(row["why"].split()).format(**shown)
    return Option(row["when"], row["use"], row["call"], why, tuple(row["source"]), numbers)

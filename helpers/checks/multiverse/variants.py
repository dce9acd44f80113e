"""Versions of the data: every combination of exclusions and corrections, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arguments import Array
from ...engine.effects import Measure, get_measure
from ...engine.studies import from_counts
from ...errors import MetaAnalysisError
from .grid import Choice

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Variants:
    """V versions of the data of k studies, arrays of shape (V, k).

    `sizes` holds patients ("proportion") and person-time ("rate"), as far as given; `keep` the
    studies that no exclusion leaves out; `problem` why a version has no meaning, if it has none.
    """

    labels: tuple[str, ...]
    events: Array
    sizes: dict[str, Array]
    keep: Mask
    problem: tuple[str, ...]

    def counts(self, rows: NDArray[np.intp], kind: str) -> tuple[Array, Array, Mask]:
        """Events, sizes and who takes part in a likelihood; harmless numbers elsewhere."""
        x, n = self.events[rows], self.sizes[kind][rows]
        used = self.keep[rows] & np.isfinite(x) & np.isfinite(n)
        return np.where(used, x, 0.0), np.where(used, n, 1.0), used

    def effects(
        self, rows: NDArray[np.intp], measure: Measure, add: float, to: str
    ) -> tuple[Array, Array, Mask]:
        """Effects, variances and who takes part in inverse variance."""
        x, n, known = self.counts(rows, measure.kind)
        x = np.where(known, x, 1.0)
        n = np.where(known, n, 2.0)
        # "if0all" is decided within each version, by the studies that are left
        yi, vi = measure.effects(x, n, add=add, to=to)  # type: ignore[arg-type]
        used = known & np.isfinite(yi) & np.isfinite(vi)
        return np.where(used, yi, 0.0), np.where(used, vi, 1.0), used


def build_variants(
    values: Mapping[str, Array],
    labels: tuple[str, ...],
    choices: Sequence[Choice],
    levels: NDArray[np.intp],
    fields: Mapping[str, str],
) -> Variants:
    """Apply each combination of data levels.

    `values` holds arrays of shape (k,), `levels`, shape (V, D), the levels of the D choices about
    the data, and `fields` the name of a field in a correction -> name in `values`.
    """
    _check(values, labels, "")
    place = {label: i for i, label in enumerate(labels)}
    for choice in choices:
        for label, level in zip(choice.labels, choice.values, strict=True):
            if isinstance(level, dict):
                new = {name: column.copy() for name, column in values.items()}
                _replace(new, {}, level, place, fields, "")
                _check(new, labels, f"choices[{choice.name!r}][{label!r}]: ")
    shape = (len(levels), len(labels))
    out = {name: np.broadcast_to(column, shape).copy() for name, column in values.items()}
    keep = np.ones(shape, dtype=bool)
    problem = []
    for v, codes in enumerate(levels):
        row = {name: column[v] for name, column in out.items()}
        owner: dict[tuple[str, int], tuple[str, float]] = {}
        trouble = ""
        for choice, code in zip(choices, codes, strict=True):
            level = choice.values[code]
            if isinstance(level, dict):
                clash = _replace(row, owner, level, place, fields, choice.name)
                trouble = trouble or clash
            elif level is not None:
                keep[v] &= ~level
        problem.append(trouble or _impossible(row, labels))
    kinds = {"proportion": "n", "rate": "time"}
    sizes = {kind: out[name] for kind, name in kinds.items() if name in out}
    return Variants(labels, out["events"], sizes, keep, tuple(problem))


def _check(values: Mapping[str, Array], labels: tuple[str, ...], where: str) -> None:
    """Let the ordinary door of the engine look at the counts."""
    try:
        for name, size in (("raw", "n"), ("raw-rate", "time")):
            if size in values:
                given = (None, values["events"], values[size], labels, get_measure(name))
                from_counts(*given, add=0.0, to="none", needs_effect=False)
    except MetaAnalysisError as error:
        if not where:
            raise
        raise MetaAnalysisError(f"{where}{error}") from error


def _replace(
    row: dict[str, Array],
    owner: dict[tuple[str, int], tuple[str, float]],
    level: Mapping[str, Mapping[str, float]],
    place: Mapping[str, int],
    fields: Mapping[str, str],
    name: str,
) -> str:
    """Write a correction into one version; say so if another one disagrees."""
    clash = ""
    for study, new in level.items():
        i = place[study]
        for field, value in new.items():
            target = fields[field]
            before = owner.get((target, i))
            if before is not None and before[1] != value:
                clash = f"{before[0]} and {name} give different {field} for {study}"
            owner[target, i] = (name, value)
            row[target][i] = value
    return clash


def _impossible(row: Mapping[str, Array], labels: tuple[str, ...]) -> str:
    """Corrections that are possible alone can together give more events than patients."""
    if "n" not in row:
        return ""
    known = np.isfinite(row["events"]) & np.isfinite(row["n"])
    over = known & (np.where(known, row["events"], 0.0) > np.where(known, row["n"], 0.0))
    if not over.any():
        return ""
    i: Any = int(np.argmax(over))
    return f"together the corrections give {labels[i]} more events than patients"

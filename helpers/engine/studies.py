"""The studies behind a result: checked input, with excluded rows kept and explained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import Array
from ..door import pd
from ..errors import MetaAnalysisError
from .effects import Measure, Rule, correct_cells

_SHOWN = 20
_ARRAYS = ("events", "size", "yi", "vi", "included", "corrected")
#: Squares and products of a few effects and weights up to this size are finite numbers.
LARGEST = 1e75


@dataclass(frozen=True, slots=True)
class StudyData:
    """Input of one analysis, one entry for each row given, in input order."""

    labels: tuple[str, ...]  # study labels
    #: `events`, `size`: counts and patients (or person-time) as given; None when effects were
    #: given.
    events: Array | None
    size: Array | None
    #: `yi`, `vi`: effects and sampling variances on the model scale; NaN where not defined.
    yi: Array
    vi: Array
    included: NDArray[np.bool_]  # whether the study takes part
    reason: tuple[str, ...]  # why a study does not take part; empty for those that do
    corrected: NDArray[np.bool_]  # whether a zero-cell correction changed the counts behind `yi`
    k: int = field(init=False, repr=False, compare=False)  # number of studies that take part

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", int(np.count_nonzero(self.included)))
        for name in _ARRAYS:  # nobody else holds them, and nobody writes to them
            values = getattr(self, name)
            if values is not None:
                values.flags.writeable = False

    @property
    def taken(self) -> tuple[str, ...]:
        """Labels of the studies that take part, in input order."""
        return tuple(s for s, taken in zip(self.labels, self.included, strict=True) if taken)

    def only(self, keep: NDArray[np.bool_], reason: str) -> StudyData:
        """Copy in which studies outside `keep` are excluded for `reason`."""
        why = tuple(
            old if (stay or not taken) else reason
            for old, stay, taken in zip(self.reason, keep, self.included, strict=True)
        )
        return replace(self, included=self.included & keep, reason=why)

    def take(self, rows: Sequence[int] | NDArray[Any]) -> StudyData:
        """Copy with the given rows only."""
        index = np.asarray(rows)
        kept = {name: getattr(self, name) for name in _ARRAYS}
        arrays = {name: None if a is None else a[index] for name, a in kept.items()}
        labels, reason = (tuple(told[i] for i in index) for told in (self.labels, self.reason))
        return StudyData(labels=labels, reason=reason, **arrays)  # type: ignore[arg-type]


def read_columns(
    data: pd.DataFrame | None, given: dict[str, Any], study: Any
) -> tuple[dict[str, Array], tuple[str, ...], dict[str, str]]:
    """Columns of `data`, or arrays, as floats (NaN = missing), with labels and names of each.

    `given` maps arguments to column names or arrays. Every problem is told in one message.
    """
    problems: list[str] = []
    raw: dict[str, Any] = {}
    names: dict[str, str] = {}
    for argument, value in {**given, "study": study}.items():
        if value is None:
            if argument in ("events", "yi", "vi"):
                problems.append(f"{argument} is missing: expected a column name or values")
            continue
        names[argument] = argument
        if isinstance(value, str):
            names[argument] = f"{argument} (column {value!r})"
            if data is None:
                problems.append(f"{argument}={value!r} names a column, but no data were given")
            elif value not in data.columns:
                columns = ", ".join(map(str, data.columns))
                problems.append(f"{argument}: no column {value!r}; the columns are {columns}")
            else:
                raw[argument] = data[value]
        else:
            raw[argument] = one_per_study(value, argument, problems)
    if problems:
        raise MetaAnalysisError("; ".join(problems))
    refuse_other_rows(raw, names)
    lengths = {argument: _length(value) for argument, value in raw.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{names[a]} has {n}" for a, n in lengths.items())
        raise MetaAnalysisError(f"all inputs need the same number of studies: {listed}")
    labels = _labels(raw.pop("study", None), next(iter(lengths.values())))
    values = {a: _numbers(v, names[a], labels, problems) for a, v in raw.items()}
    if not labels:
        problems.append("there is no study: the table has no row; was everything filtered out?")
    if problems:
        raise MetaAnalysisError(_join(problems))
    return values, labels, names


def one_per_study(value: Any, name: str, problems: list[str]) -> Any:
    """Values in one dimension, with None for what is masked; a problem for anything else."""
    if _is_plain(value) and value.ndim == 1:
        return value
    expected = "expected one value per study (a list, an array, a Series or a column name)"
    if isinstance(value, Iterator):
        value = list(value)
    if isinstance(value, (Mapping, Set)) and not hasattr(value, "dtype"):
        problems.append(f"{name} is a {type(value).__name__}; {expected}")
        return value
    if getattr(getattr(value, "dtype", None), "names", None):
        problems.append(f"{name} has several fields; {expected}")
        return value
    if isinstance(value, np.ma.MaskedArray):
        hidden = np.ma.getmaskarray(value) & (value.ndim == 1)
        value = value.data.astype(object)
        value[hidden] = None
    shape = getattr(value, "shape", None)
    if shape is None:
        try:
            shape = np.asarray(value, dtype=object).shape
        except ValueError:  # rows of different shapes: not one value each either
            shape = (len(value), "?")
    if len(shape) > 1:
        listed = " x ".join(map(str, shape))
        problems.append(f"{name} has {len(shape)} dimensions ({listed}); {expected}")
    return value


def refuse_other_rows(raw: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """Refuse Series with other indexes: by position, rows of different studies would be paired."""
    indexed = [(a, v.index) for a, v in raw.items() if hasattr(v, "index") and hasattr(v, "iloc")]
    for argument, index in indexed[1:]:
        first, reference = indexed[0]
        if len(index) == len(reference) and not index.equals(reference):
            row = next(i for i, (a, b) in enumerate(zip(reference, index, strict=True)) if a != b)
            one, other = (labels[row : row + 1].tolist()[0] for labels in (reference, index))
            raise MetaAnalysisError(
                f"{names[first]} and {names[argument]} are Series with different indexes: row "
                f"{row + 1} is {one!r} in one and {other!r} in the other. Align "
                f"them ({argument}.reindex({first}.index)), or give arrays (.to_numpy()) if they "
                "belong together by position"
            )


def _length(value: Any) -> int:
    """Entries of a column; 1 for what has no length."""
    try:
        return len(value)
    except TypeError:
        return 1


def _is_plain(values: Any) -> bool:
    """Whether a column is of a numeric type, so that it holds numbers only.

    A list may hide a True among them, and a masked array values that count for nothing.
    """
    kind = getattr(getattr(values, "dtype", None), "kind", "O")
    return kind in "iuf" and not isinstance(values, np.ma.MaskedArray)


@lru_cache(maxsize=64)
def _numbered(k: int) -> tuple[str, ...]:
    return tuple(f"Study {i + 1}" for i in range(k))


def _labels(study: Any, k: int) -> tuple[str, ...]:
    if study is None:
        return _numbered(k)
    column = hasattr(study, "iloc")  # numpy asks pandas for each entry on its own
    labels = tuple(
        map(str, study.tolist() if column else np.atleast_1d(np.asarray(study, dtype=object)))
    )
    if len(set(labels)) < len(labels):
        twice = sorted(label for label, times in Counter(labels).items() if times > 1)
        raise MetaAnalysisError(f"study labels must be unique; repeated: {', '.join(twice)}")
    return labels


def _numbers(values: Any, name: str, labels: tuple[str, ...], problems: list[str]) -> Array:
    """Floats with NaN for missing; what is not a number is reported with its study."""
    if _is_plain(values):
        plain = values.to_numpy() if hasattr(values, "to_numpy") else values
        return np.array(plain, dtype=float, ndmin=1)
    column = np.atleast_1d(np.asarray(values, dtype=object))
    out = np.full(column.shape, np.nan)
    for i, value in enumerate(column):
        if value is None or type(value).__name__ in ("NAType", "NaTType"):
            continue
        if isinstance(value, (bool, np.bool_, str, bytes)):
            problems.append(f"{labels[i]}, {name}: {value!r} is not a number")
            continue
        try:
            out[i] = float(value)
        except (TypeError, ValueError):
            problems.append(f"{labels[i]}, {name}: {value!r} is not a number")
        except OverflowError:
            problems.append(f"{labels[i]}, {name}: the number is too large to compute with")
    return out


def _join(problems: list[str]) -> str:
    shown = problems[:_SHOWN]
    if len(problems) > _SHOWN:
        shown.append(f"and {len(problems) - _SHOWN} more")
    return "; ".join(shown)


def _check(
    bad: NDArray[np.bool_],
    values: Array,
    name: str,
    expected: str,
    labels: tuple[str, ...],
    problems: list[str],
) -> None:
    if bad.any():
        problems.extend(
            f"{labels[i]}, {name}: {values[i]:g}, expected {expected}" for i in np.nonzero(bad)[0]
        )


def from_counts(
    data: pd.DataFrame | None,
    events: Any,
    size: Any,
    study: Any,
    measure: Measure,
    *,
    add: float,
    to: Rule | None,
    needs_effect: bool,
) -> StudyData:
    """Check counts and turn them into effects.

    Studies with a missing count, or (if `needs_effect`) without a defined effect under the
    zero-cell rule, are excluded with the reason.
    """
    unit = "time" if measure.kind == "rate" else "n"
    values, labels, names = read_columns(data, {"events": events, unit: size}, study)
    x, n = values["events"], values[unit]
    problems: list[str] = []
    known_x, known_n = ~np.isnan(x), ~np.isnan(n)
    whole = np.isfinite(x) & (x == np.rint(x))
    bad_x = known_x & (~whole | (x < 0))
    _check(bad_x, x, names["events"], "a whole number of at least 0", labels, problems)
    if measure.kind == "rate":
        bad_n = known_n & ~(np.isfinite(n) & (n > 0))
        _check(bad_n, n, names[unit], "a positive time", labels, problems)
    else:
        bad_n = known_n & ~(np.isfinite(n) & (n == np.rint(n)) & (n >= 1))
        _check(bad_n, n, names[unit], "a whole number of at least 1", labels, problems)
        over = known_x & known_n & ~bad_x & ~bad_n & (x > n)
        problems.extend(
            f"{labels[i]}, {names['events']}: {x[i]:g} events exceed {n[i]:g} patients"
            for i in np.nonzero(over)[0]
        )
    if problems:
        raise MetaAnalysisError(_join(problems))
    complete = known_x & known_n
    reason = np.full(x.shape, "", dtype=object)
    if not complete.all():
        reason[known_x & ~known_n] = f"{unit} missing"
        reason[~known_x & known_n] = "events missing"
        reason[~known_x & ~known_n] = f"events and {unit} missing"
    safe = np.where(complete, x, 1.0), np.where(complete, n, 2.0)
    cells = correct_cells(*safe, measure.kind, add=add, to=to or measure.default_rule)
    yi, vi = (np.where(complete, a, np.nan) for a in measure.effects(*cells, to="none"))
    corrected = np.isfinite(yi) & (cells[0] != x)
    if needs_effect:
        lost = complete & ~(np.isfinite(yi) & np.isfinite(vi))
        reason[lost] = f"no finite {measure.label} without a zero-cell correction"
        complete = complete & ~lost
    return StudyData(labels, x, n, yi, vi, complete, tuple(reason.tolist()), corrected)


def from_effects(
    data: pd.DataFrame | None, yi: Any, vi: Any, study: Any, size: Any = None
) -> StudyData:
    """Check effects and sampling variances."""
    values, labels, names = read_columns(data, {"yi": yi, "vi": vi, "n": size}, study)
    y, v = values["yi"], values["vi"]
    problems: list[str] = []
    known = (np.abs(y) <= LARGEST) & (v >= 1 / LARGEST) & (v <= LARGEST)
    reason: tuple[str, ...] = ("",) * len(labels)
    if not known.all():
        missing_y, missing_v = np.isnan(y), np.isnan(v)
        known = ~(missing_y | missing_v)
        _check(np.isinf(y), y, names["yi"], "a finite effect", labels, problems)
        bad_v = ~missing_v & ~(np.isfinite(v) & (v > 0))
        _check(bad_v, v, names["vi"], "a positive variance", labels, problems)
        unit = f"a size from {1 / LARGEST:g} to {LARGEST:g}; change the unit"
        large = np.isfinite(y) & (np.abs(y) > LARGEST)
        _check(large, y, names["yi"], unit, labels, problems)
        beyond = ~missing_v & ~bad_v & ((v > LARGEST) | (v < 1 / LARGEST))
        _check(beyond, v, names["vi"], unit, labels, problems)
        reason = tuple(
            ("yi and vi missing" if b else "yi missing") if a else ("vi missing" if b else "")
            for a, b in zip(missing_y, missing_v, strict=True)
        )
    n = values.get("n")
    if n is not None:
        bad_n = ~(np.isfinite(n) & (n > 0))
        _check(bad_n, n, names["n"], "a positive size", labels, problems)
    if problems:
        raise MetaAnalysisError(_join(problems))
    return StudyData(labels, None, n, y, v, known, reason, np.zeros(y.shape, dtype=bool))

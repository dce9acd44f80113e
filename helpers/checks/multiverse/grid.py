"""The grid of choices: options of `pool`, exclusions and corrections, and their combinations.

The versions of the data, one for each combination of exclusions and corrections, are checked here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arguments import Array, one_of
from ...engine import options as defaults
from ...engine.effects import MEASURES, Measure, get_measure
from ...engine.studies import from_counts
from ...errors import MetaAnalysisError, UnsupportedError

Mask = NDArray[np.bool_]

_POOLED = tuple(name for name, m in MEASURES.items() if m.kind != "effect")
_GROUP_TAU2 = ("separate", "common")
#: Options that may decide the model where it is not named.
_WORDS = ("method", "tau2_method", "ci_method", "add", "to")
#: Options that may vary, with their defaults (None: decided by `helpers.engine.options`).
OPTIONS: dict[str, Any] = {
    "measure": defaults.MEASURE,
    "model": None,
    "method": None,
    "tau2_method": None,
    "ci_method": None,
    "quad_points": defaults.QUAD_POINTS,
    "add": None,
    "to": None,
    "back_transform": defaults.BACK_TRANSFORM,
    "group_tau2": "separate",
}
#: Columns of results, whose names a choice cannot have.
RESULT_COLUMNS: frozenset[str] = frozenset(
    (
        "mu se tau2 estimate ci_lower ci_upper prediction_lower prediction_upper k events n time "
        "difference df p estimate_1 estimate_2 estimate_difference tau2_1 tau2_2 k_1 k_2 "
        "events_1 events_2 converged status reason multiplicity"
    ).split()
)


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice: its name, the labels of its levels and what they stand for.

    `values` holds option values, or for a choice about the data None (as given), a boolean
    array (True = left out) or a mapping of study -> {field: value}.
    """

    name: str
    is_option: bool
    labels: tuple[Any, ...]
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """All C combinations of D choices, and the N distinct specifications behind them.

    `codes`, shape (C, D), holds the level of each choice in each combination, and `row`, shape
    (C,), the specification that it amounts to: an option without a role in a model does not make a
    second analysis of it. `options` are those of each specification, None where one has no role,
    and `levels`, shape (N, D), has -1 there.
    """

    choices: tuple[Choice, ...]
    codes: NDArray[np.intp]
    row: NDArray[np.intp]
    options: tuple[dict[str, Any], ...]
    levels: NDArray[np.intp]


def read_choices(
    choices: Mapping[str, Any], labels: Sequence[str], fields: Sequence[str]
) -> tuple[Choice, ...]:
    """Check the choices, as `helpers.multiverse` takes them; `fields` may be corrected."""
    if not choices:
        raise MetaAnalysisError("choices: there is nothing to choose from")
    found = []
    for name, given in choices.items():
        if name in OPTIONS:
            if isinstance(given, (str, bytes)) or not isinstance(given, Sequence):
                raise MetaAnalysisError(f"choices[{name!r}]: expected a list of values")
            values = tuple(given)
            for value in values:
                check_option(name, value)
            found.append(Choice(name, True, values, values))
        elif name in RESULT_COLUMNS:
            raise MetaAnalysisError(f"choices[{name!r}]: this is the name of a column of results")
        elif isinstance(given, Mapping):
            marks = tuple(str(label) for label in given)
            values = tuple(
                _data_level(f"choices[{name!r}][{label!r}]", value, labels, fields)
                for label, value in given.items()
            )
            found.append(Choice(name, False, marks, values))
        else:
            raise UnsupportedError(
                f"choices[{name!r}]: not an option ({', '.join(OPTIONS)}); a choice about the "
                "data is a mapping of name to None, an exclusion or a correction"
            )
        if not found[-1].labels or len(set(found[-1].labels)) < len(found[-1].labels):
            raise MetaAnalysisError(f"choices[{name!r}]: expected distinct levels, at least one")
    return tuple(found)


def check_option(name: str, value: Any) -> None:
    """Refuse an option value that no model knows."""
    if name == "measure":
        one_of(name, value, _POOLED)
    elif name == "group_tau2":
        one_of(name, value, _GROUP_TAU2)
    else:
        defaults.check_option(name, value)


def _data_level(where: str, value: Any, labels: Sequence[str], fields: Sequence[str]) -> Any:
    """None, a mask of the studies left out, or a correction."""
    if value is None:
        return None
    known = set(labels)
    if isinstance(value, Mapping):
        out: dict[str, dict[str, float]] = {}
        for study, new in value.items():
            if study not in known:
                raise MetaAnalysisError(f"{where}: no study {study!r}")
            if not isinstance(new, Mapping) or not new or set(new) - set(fields):
                raise MetaAnalysisError(
                    f"{where}, {study}: expected new values by field ({', '.join(fields)})"
                )
            out[study] = {field: float(v) for field, v in new.items()}
        return out
    given = np.asarray(value)
    if given.dtype == np.bool_:
        if given.shape != (len(labels),):
            raise MetaAnalysisError(
                f"{where}: expected {len(labels)} booleans (True = left out), got {given.size}"
            )
        return given.copy()
    names = [str(v) for v in np.atleast_1d(np.asarray(value, dtype=object))]
    unknown = [v for v in names if v not in known]
    if unknown:
        raise MetaAnalysisError(
            f"{where}: no study {', '.join(map(repr, unknown))}; expected None, booleans (True = "
            "left out), labels of studies to leave out, or corrections by study"
        )
    return np.isin(np.asarray(labels, dtype=object), names)


def options_with_a_role(options: Mapping[str, Any], contrast: bool = False) -> dict[str, Any]:
    """Options with None for those that do not matter beside the others.

    The default interval of a GLMM depends on the number of studies and stays None as well.

    >>> kept = options_with_a_role({**OPTIONS, "model": "glmm", "tau2_method": "DL"})
    >>> kept["tau2_method"], kept["add"], kept["quad_points"]
    (None, None, 7)
    """
    out = dict(options)
    scale = get_measure(out["measure"])
    if out["model"] is None:
        words = {name: out[name] for name in _WORDS}
        out["model"] = defaults.default_model(scale.name, **words)
    model = out["model"]
    if model != "common":
        out["method"] = None
    likelihood = model == "glmm" or out["method"] == "likelihood"
    if out["method"] is None and model == "common":
        out["method"] = "inverse-variance"
    if model == "random":
        out["tau2_method"] = out["tau2_method"] or defaults.TAU2_METHOD
    else:
        out["tau2_method"] = None
    if out["ci_method"] is None and model != "glmm":
        out["ci_method"] = defaults.default_ci_method(model, defaults.FEW_STUDIES)
    if model != "glmm":
        out["quad_points"] = None
    if likelihood:
        out["add"] = out["to"] = None
    else:
        out["to"] = out["to"] or scale.default_rule
        add = defaults.ADD if out["add"] is None else float(out["add"])
        out["add"] = None if out["to"] == "none" else add
    if not scale.needs_size:
        out["back_transform"] = None
    if model == "common" or not contrast:
        out["group_tau2"] = None
    return out


def _names_inverse_variance(choices: tuple[Choice, ...], fixed: Mapping[str, Any]) -> bool:
    """Whether any word of the grid belongs to random effects by inverse variance alone.

    The model is then the same in the whole grid, so that nothing varies but what is named.
    """
    values = [(name, value) for name, value in fixed.items()]
    values += [(c.name, value) for c in choices if c.is_option for value in c.values]
    return any(
        defaults.default_model(defaults.MEASURE, **{name: value}) == "random"
        for name, value in values
        if name in _WORDS
    )


def _matters(choice: Choice, kept: Mapping[str, Any]) -> bool:
    """Whether a choice has a role beside the options that were kept."""
    return not choice.is_option or choice.name == "ci_method" or kept[choice.name] is not None


def build_grid(choices: tuple[Choice, ...], fixed: Mapping[str, Any], contrast: bool) -> Grid:
    """Combine the choices and merge the combinations that amount to the same analysis."""
    sizes = [len(c.labels) for c in choices]
    codes = np.array(list(product(*(range(size) for size in sizes))), dtype=np.intp)
    which = [d for d, c in enumerate(choices) if c.is_option]
    data = [d for d, c in enumerate(choices) if not c.is_option]
    base = {**OPTIONS, **fixed}
    inverse = _names_inverse_variance(choices, fixed)
    reduced: dict[tuple[int, ...], dict[str, Any]] = {}
    for code in product(*(range(sizes[d]) for d in which)):
        chosen = {choices[d].name: choices[d].values[i] for d, i in zip(which, code, strict=True)}
        options_here = {**base, **chosen}
        if options_here["model"] is None and inverse:
            options_here["model"] = "random"
        reduced[code] = options_with_a_role(options_here, contrast)
    seen: dict[tuple[Any, ...], int] = {}
    options: list[dict[str, Any]] = []
    levels: list[list[int]] = []
    row = np.empty(len(codes), dtype=np.intp)
    keys = {code: tuple(kept.values()) for code, kept in reduced.items()}
    for c, code in enumerate(codes.tolist()):
        option_code = tuple(code[d] for d in which)
        key = (keys[option_code], *(code[d] for d in data))
        if key not in seen:
            seen[key] = len(options)
            kept = reduced[option_code]
            options.append(kept)
            levels.append(
                [code[d] if _matters(choice, kept) else -1 for d, choice in enumerate(choices)]
            )
        row[c] = seen[key]
    return Grid(choices, codes, row, tuple(options), np.array(levels, dtype=np.intp))


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

"""What a column may hold, and the check of a whole table against such descriptions."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

from ..door import pd
from ..errors import MetaAnalysisError
from .given import RATING, RATING_WORDING
from .grid import UTF8, Sheet, printable, unreadable
from .problems import OR_EMPTY, CellProblem

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?((0|[1-9][0-9]*)(\.[0-9]+)?|\.[0-9]+)")
_EXPONENT = re.compile(_NUMBER.pattern + r"([eE][-+]?[0-9]+)?")
# above this, a double no longer tells neighbouring whole numbers apart
_LARGEST = 2**53
_DTYPES = {"integer": "Int64", "number": "float64", "text": "str"}
_THOUSANDS = re.compile(r"-?[0-9]{1,3}([,'’ \u00a0\u2009\u202f][0-9]{3})+(\.[0-9]+)?")
_MONTHS = "(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_TYPED = "and no date: a spreadsheet makes one of 3-6 or 3/6, unless the cell is formatted as text"
#: How cells of real tables differ from a number, and what is to be written instead.
_FORMS = tuple(
    (re.compile(form, re.IGNORECASE), f", {hint}")
    for form, hint in (
        (rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}|[0-9]+[-. ]{_MONTHS}|{_MONTHS}[-. ][0-9]", _TYPED),
        (r"[<>≤≥]", "and no limit: the cell stays empty where the number is not known"),
        (r"-?[0-9.,]+ *(\(|\[|±|\+/-)", "without the text in brackets or after ±"),
        (r"[0-9.,]+ */ *[0-9.,]+", "without the slash and what follows it"),
        (r"-?[0-9.,]+ *([-–—]|to) *[0-9.,]+", "and no range"),
        (r"-?[0-9.,]+ *([*†‡§¶#^]+|[¹²³⁰⁴-⁹ᵃ-ᶻ]+)$", "without the sign of a footnote"),
        (r"-?[0-9][0-9.,]*( *[a-z]{2,}| +[a-z])\.?$", "without the unit or word after it"),
    )
)
_MISSING_WORDS = {"na", "n/a", "nan", "<na>", "null", "none", "-", "–", ".", "?", "missing"}


@dataclass(frozen=True, slots=True)
class ColumnSchema:
    """What the cells of one column may hold, and how they are read."""

    name: str
    kind: Literal["integer", "number", "text"]
    required: bool = True
    unique: bool = False
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    allowed: tuple[str, ...] = ()  # the only texts permitted, in their order; empty for any
    pattern: str = ""  # regular expression that the whole text has to match
    wording: str = ""  # what the pattern means, for messages; empty to show the pattern itself

    def expected(self, hint: str = "") -> str:
        """Return one phrase that says what a cell may hold, with a hint on how to write it."""
        if self.kind == "text":
            words = "text"
            if self.allowed:
                words = "one of " + " | ".join(self.allowed)
            elif self.pattern:
                words = self.wording or f"text of the form {self.pattern}"
        else:
            words = "a whole number" if self.kind == "integer" else "a number"
            if self.minimum is not None and self.maximum is not None:
                words += f" from {self.minimum:g} to {self.maximum:g}"
            elif self.minimum is not None:
                words += f", {self.minimum:g} or more"
            elif self.above is not None:
                words += f" above {self.above:g}"
        return words + hint + ("" if self.required else OR_EMPTY)


@dataclass(frozen=True, slots=True)
class TableRule:
    """A condition between columns; a row that fails it is reported at the first of them."""

    columns: tuple[str, ...]  # the rule is left out while one of them is absent
    expected: str
    holds: Callable[..., bool]  # of the values of a row in these columns, None where one is missing


def at_most(smaller: str, larger: str) -> TableRule:
    """Make the rule that one number is no larger than another, where both are there."""
    return TableRule(
        (smaller, larger),
        f"at most the number in column {larger!r}",
        lambda x, y: x is None or y is None or x <= y,
    )


#: What the column of each role holds; effects and limits may be bounded by their scale.
_HELD: dict[str, dict[str, Any]] = {
    "study": {"kind": "text", "unique": True},
    "events": {"kind": "integer", "minimum": 0},
    "n": {"kind": "integer", "minimum": 1},
    "time": {"kind": "number", "above": 0},
    "effect": {"kind": "number"},
    "se": {"kind": "number", "above": 0},
    "variance": {"kind": "number", "above": 0},
    "lower": {"kind": "number"},
    "upper": {"kind": "number"},
    "by": {"kind": "text"},
    "cluster": {"kind": "text"},
    "risk_of_bias": {"kind": "text", "pattern": RATING, "wording": RATING_WORDING},
    "follow_up": {"kind": "number", "above": 0},
    "reported_rate": {"kind": "number", "minimum": 0, "maximum": 1},
}
_BOUNDED: dict[str, dict[str, Any]] = {
    "ratio": {"above": 0},
    "proportion": {"minimum": 0, "maximum": 1},
}


def describe(
    roles: Mapping[str, str],
    numeric: Sequence[str] = (),
    *,
    required: Collection[str] = ("study",),
    scale: str = "",
) -> list[ColumnSchema]:
    """Describe the columns of a table of studies by their roles; none may have two."""
    bounds = dict.fromkeys(("effect", "lower", "upper"), _BOUNDED.get(scale, {}))
    columns = [
        ColumnSchema(roles[role], required=role in required, **(held | bounds.get(role, {})))
        for role, held in _HELD.items()
        if role in roles
    ]
    columns += [ColumnSchema(name, "number", required=False) for name in numeric]
    names = [column.name for column in columns]
    if len(set(names)) < len(names):
        raise MetaAnalysisError(f"each column can have one role only, got {', '.join(names)}")
    return columns


def _read_cell(cell: object, column: ColumnSchema) -> Any:
    """Turn one cell that is not empty into a value, or raise ValueError with what is expected."""
    if column.kind == "text":
        return _read_text(cell, column)
    if isinstance(cell, str):
        pattern = _INTEGER if column.kind == "integer" else _NUMBER
        if not pattern.fullmatch(cell):
            word = cell.lower() in _MISSING_WORDS and not column.required
            advice = "; leave the cell empty where the value is missing" if word else ""
            raise ValueError(column.expected(_hint(cell, column)) + advice)
        if column.kind == "integer" and len(cell) > 20:
            # too long to become a number at all
            raise ValueError(column.expected(", not above 2^53"))
        value = int(cell) if column.kind == "integer" else float(cell)
    elif isinstance(cell, bool) or type(cell).__name__ == "bool":
        raise ValueError(column.expected(", not a truth value"))
    elif isinstance(cell, Integral):
        value = int(cell)
    elif isinstance(cell, Real):
        value = float(cell)
        if column.kind == "integer" and value.is_integer():
            # pandas stores whole numbers as floats; the number is the same
            value = int(value)
    else:
        raise ValueError(column.expected(f", not {type(cell).__name__}"))
    if not math.isfinite(value) or (column.kind == "integer" and not isinstance(value, int)):
        raise ValueError(column.expected())
    if abs(value) > _LARGEST:
        raise ValueError(column.expected(", not above 2^53"))
    return value


def _read_text(cell: object, column: ColumnSchema) -> str:
    if isinstance(cell, Integral) and not isinstance(cell, bool):
        # a label such as 12 in a data frame
        cell = str(cell)
    if not isinstance(cell, str):
        raise ValueError(column.expected(f", not {type(cell).__name__}"))
    if unreadable(cell):
        raise ValueError(UTF8)
    if cell != cell.strip():
        raise ValueError(column.expected(", without spaces around it"))
    return cell


def _hint(cell: str, column: ColumnSchema) -> str:
    """Say what is unusual about a text that is no number."""
    if unreadable(cell):
        return f", in {UTF8}"
    if cell != cell.strip():
        return ", without spaces around it"
    if "%" in cell and column.kind == "integer":
        return ", without a percent sign: the count alone"
    if "%" in cell:
        return ", without a percent sign (a proportion: 4.9% is 0.049)"
    if _THOUSANDS.fullmatch(cell):
        return ", without thousands separators"
    unusual = next((hint for form, hint in _FORMS if form.match(cell)), "")
    if unusual:
        return unusual
    if not cell.isascii() and any(char.isdigit() for char in cell):
        return ", in the plain digits 0-9"
    if cell == column.name:
        return " (a row that repeats the header is to be deleted)"
    if "," in cell and column.kind == "number":
        return ", with a decimal point and no comma"
    if column.kind == "integer" and re.fullmatch(r"-?[0-9]{1,3}(\.[0-9]{3})+", cell):
        return ", without decimals or thousands separators"
    if column.kind == "integer" and _NUMBER.fullmatch(cell.replace(",", ".")):
        return ", without decimals"
    if re.fullmatch(r"-?0[0-9]+(\.[0-9]+)?", cell):
        return ", without leading zeros"
    if any(char.isdigit() for char in cell):
        return ", in plain digits"
    return ""


def _layout_problems(
    grid: Sheet, columns: Sequence[ColumnSchema], strict: bool
) -> list[CellProblem]:
    """Collect what is wrong with records, header and the text of columns that nobody described."""
    problems = list(grid.problems)
    asked = [column.name for column in columns]
    seen: set[str] = set()
    for place, name in enumerate(grid.header):
        expected = ""
        if not name.strip():
            expected = "a name for this column"
        elif unreadable(name):
            expected = UTF8
        elif name in seen:
            expected = "a column name used once"
        elif name != name.strip():
            expected = "a column name without spaces around it"
        elif strict and name not in asked:
            expected = "no column of this name"
        seen.add(name)
        if expected:
            problems.append(grid.problem(grid.header_row, grid.label(place), name, expected))
        if name not in asked:
            problems += [
                grid.problem(row, printable(name), cell, UTF8)
                for row, cell in grid.column(place)
                if isinstance(cell, str) and unreadable(cell)
            ]
    there = ", ".join(printable(name) for name in grid.header)
    lacking = "a column of exactly this name in the header"
    missing = [name for name in asked if name not in seen]
    return problems + [grid.problem(grid.header_row, name, there, lacking) for name in missing]


def _read_column(grid: Sheet, column: ColumnSchema) -> tuple[list[Any], list[CellProblem]]:
    """Read and check the cells of a column: None where one is empty or cannot be used."""
    values, problems = [], []
    first: dict[Any, int] = {}  # row in which a value was used
    for row, cell in grid.column(grid.header.index(column.name)):
        value, expected = None, ""
        if not (isinstance(cell, str) and cell == ""):
            try:
                value = _read_cell(cell, column)
            except ValueError as error:
                expected = str(error)
        if not expected and (column.required if value is None else _outside(value, column)):
            value, expected = None, column.expected()
        elif column.unique and value is not None and first.setdefault(value, row) != row:
            expected = f"a value used once (also in row {first[value]})"
        if expected:
            problems.append(grid.problem(row, column.name, cell, expected))
        values.append(value)
    return values, problems


def _outside(value: Any, column: ColumnSchema) -> bool:
    """Tell whether a value is none that the column may hold."""
    return (
        (column.minimum is not None and value < column.minimum)
        or (column.maximum is not None and value > column.maximum)
        or (column.above is not None and value <= column.above)
        or (bool(column.allowed) and value not in column.allowed)
        or (bool(column.pattern) and not re.fullmatch(column.pattern, value))
    )


def read_columns(
    grid: Sheet,
    columns: Sequence[ColumnSchema],
    rules: Sequence[TableRule] = (),
    *,
    strict: bool = False,
) -> dict[str, list[Any]]:
    """Check every cell of a table and return the values of the described columns, in their order.

    An empty cell is None. Other columns are left alone, or refused when `strict`. `EvidenceError`
    has every problem of the table.
    """
    problems = _layout_problems(grid, columns, strict)
    bad: set[tuple[int | None, str]] = set()
    values: dict[str, list[Any]] = {}
    for column in columns:
        if column.name in grid.header:
            values[column.name], wrong = _read_column(grid, column)
            problems += wrong
            bad |= {(one.row, one.column) for one in wrong}
    readable = [rule for rule in rules if set(rule.columns) <= set(values)]
    for rule in sorted(readable, key=lambda one: len(one.columns)):
        name = rule.columns[0]
        cells = grid.column(grid.header.index(name))
        given = zip(*(values[column] for column in rule.columns), strict=True)
        for (row, cell), of_row in zip(cells, given, strict=True):
            # a condition between columns says nothing about a row with a cell wrong by itself
            wrong_already = any((row, column) in bad for column in rule.columns)
            if not wrong_already and not rule.holds(*of_row):
                problems.append(grid.problem(row, name, cell, rule.expected))
                bad.add((row, name))
    grid.refuse(problems)
    return values


def as_frame(values: Mapping[str, list[Any]], columns: Sequence[ColumnSchema]) -> pd.DataFrame:
    """Make a frame of what `read_columns` gives.

    Columns are ``int64`` (``Int64`` when a value is missing), ``float64``, ``str`` or, where the
    texts are fixed, an ordered categorical.
    """
    made: dict[str, Any] = {}
    for column in columns:
        cells = values[column.name]
        kind: Any = _DTYPES[column.kind]
        if column.kind == "integer" and None not in cells:
            kind = "int64"
        made[column.name] = pd.array(cells, dtype=kind)
        if column.allowed:
            kind = pd.CategoricalDtype(list(column.allowed), ordered=True)
            made[column.name] = pd.Categorical(made[column.name], dtype=kind)
    return pd.DataFrame(made)


def infer(cells: Sequence[str]) -> pd.Series:
    """Type a column that nobody described: numbers where every cell is one, else text as written.

    Empty cells are missing. A number with leading zeros is text.

    >>> infer(["12.5", "", "1e-3"]).tolist()
    [12.5, nan, 0.001]
    >>> infer(["007", "12"]).tolist()
    ['007', '12']
    """
    filled = [cell for cell in cells if cell != ""]
    values: list[Any] = [cell if cell != "" else None for cell in cells]
    if filled and all(_INTEGER.fullmatch(cell) and len(cell) < 16 for cell in filled):
        whole = [None if cell is None else int(cell) for cell in values]
        return pd.Series(whole, dtype="Int64" if None in whole else "int64")
    if filled and all(_EXPONENT.fullmatch(cell) and math.isfinite(float(cell)) for cell in filled):
        return pd.Series(
            [None if cell is None else float(cell) for cell in values], dtype="float64"
        )
    return pd.Series(values, dtype="str")

"""Formulas to design matrices, with terms, excluded rows and rank checked.

The formula language is formulaic's (Wilkinson and Rogers 1973, doi:10.2307/2346786): ``a + b``,
``a * b``, ``C(a, contr.treatment("base"))``, ``bs(x, df=4)``, ``log(x)``. Without an explicit
contrast the first level in order (of the categories, or alphabetical) is the reference. A name in
backquotes is a column of the table, whatever characters it has (see `quoted`).
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import printing
from ..arguments import Array
from ..door import pd
from ..errors import MetaAnalysisError

_DEPENDENT = 1e-9  # share of a column's length that must be new for full rank


@dataclass(frozen=True, slots=True)
class Design:
    """A design matrix and what its columns mean."""

    formula: str  # its right-hand side
    X: Array  # included rows, shape (k, p)
    names: tuple[str, ...]  # of the coefficients
    terms: dict[str, tuple[int, ...]]  # columns of each term, without the intercept
    intercept: int | None  # its column
    spec: Any  # formulaic's model specification, for new rows
    levels: dict[str, tuple[Any, ...]]  # of each categorical column of the table
    columns: tuple[str, ...]  # of the table, that the formula uses
    #: Identifier in `spec` -> column that the formula names in backquotes.
    stands_for: dict[str, str] = field(default_factory=dict)

    @property
    def p(self) -> int:
        """Number of coefficients."""
        return len(self.names)

    @property
    def moderators(self) -> tuple[int, ...]:
        """Positions of the columns that an omnibus test covers: all but the intercept."""
        kept = tuple(i for i in range(self.p) if i != self.intercept)
        return kept or tuple(range(self.p))

    @property
    def said(self) -> str:
        """The formula in a sentence: a plain sum in words, any other as it is written."""
        named = [term.strip(" `") for term in self.formula.split("+")]
        plain = named == list(self.columns)
        return printing.listing(map(printing.readable, named)) if plain else f"`{self.formula}`"


def _right_side(formula: str) -> str:
    text = str(formula).strip()
    tilde = _QUOTED.sub(lambda m: "_" * len(m[0]), text).find("~")  # not one in a name
    if tilde >= 0:
        if text[:tilde].strip():
            raise MetaAnalysisError(
                f"formula {formula!r}: only moderators are named, without a left-hand side"
            )
        text = text[tilde + 1 :]
    if not text.strip():
        raise MetaAnalysisError("the formula is empty; '1' fits the intercept alone")
    return text.strip()


def quoted(column: str) -> str:
    """Write the name of a column so that a formula takes it for nothing else."""
    return "`" + column.replace("`", "``") + "`"


_QUOTED = re.compile(r"`((?:[^`]|``)*)`")
# formulaic calls the constant so; a column of this name would silently take its place
_CONSTANT = re.compile(_QUOTED.pattern + r"""|(?<![\w.`"'])Intercept(?![\w.`"'(])""")


def _identified(formula: str, columns: Iterable[str]) -> tuple[str, dict[str, str]]:
    """Put an identifier in the place of each column in backquotes, and say which is which.

    formulaic takes some quoted names for syntax: `1` for the constant, `.` for all columns.
    """
    known = tuple(columns)
    text = str(formula)
    if "Intercept" in known:
        text = _CONSTANT.sub(lambda m: m[0] if m[0].startswith("`") else "`Intercept`", text)
    names = list(dict.fromkeys(m.replace("``", "`") for m in _QUOTED.findall(text)))
    missing = [name for name in names if name not in known]
    if missing:
        raise MetaAnalysisError(_no_column(formula, missing, known))
    stem = "column_"
    while any(stem in one for one in (text, *known)):
        stem += "_"
    stands_for = {f"{stem}{place}": name for place, name in enumerate(names)}
    found = {name: identifier for identifier, name in stands_for.items()}
    text = _QUOTED.sub(lambda m: found[m[1].replace("``", "`")], text)
    return _right_side(text), stands_for


def _in_words(text: str, stands_for: dict[str, str]) -> str:
    """Put the columns back: bare where they are a whole factor, else in backquotes."""
    for identifier, name in stands_for.items():
        bare = quoted(name) if name == "Intercept" else name
        pieces = re.split(rf"((?:^|:){identifier}(?=$|:|\[))", text)
        pieces[1::2] = [one.replace(identifier, bare) for one in pieces[1::2]]
        pieces[::2] = [
            quoted(name).join(re.split(rf"\b{identifier}\b", one)) for one in pieces[::2]
        ]
        text = "".join(pieces)
    return text


def _no_column(formula: str, missing: Iterable[str], columns: Iterable[str]) -> str:
    return (
        f"formula {formula!r}: no column {', '.join(map(repr, missing))}; "
        f"the columns are {', '.join(columns)}"
    )


def _message(error: Exception, stands_for: dict[str, str]) -> str:
    return _in_words(str(error).splitlines()[0], stands_for)


def _names(expression: str) -> set[str]:
    """Variables in a factor such as ``bs(x, df=4)`` or ``np.log(x)``."""
    tree = ast.parse(expression.strip().strip("{}"), mode="eval")
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    owners = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and id(node) not in called | owners
    }


def required_columns(formula: str, data: pd.DataFrame) -> tuple[str, ...]:
    """Columns of the table that the formula uses, in the order of the table.

    formulaic's own list leaves out the arguments of splines, so that the factors are read here.
    """
    from formulaic import Formula
    from formulaic.errors import FormulaicError

    columns = [str(c) for c in data.columns]
    text, stands_for = _identified(formula, columns)
    wanted: set[str] = set()
    try:
        for term in Formula(text):
            for factor in term.factors:
                method = str(factor.eval_method.value)
                if method == "lookup":
                    wanted.add(str(factor.expr))
                elif method == "python":
                    wanted |= _names(str(factor.expr))
    except (FormulaicError, SyntaxError) as error:
        raise MetaAnalysisError(f"formula {formula!r}: {_message(error, stands_for)}") from None
    wanted = {stands_for.get(name, name) for name in wanted}
    missing = sorted(wanted - set(columns))
    if missing:
        raise MetaAnalysisError(_no_column(formula, missing, columns))
    twice = sorted(name for name in wanted if columns.count(name) > 1)
    if twice:
        raise MetaAnalysisError(
            f"formula {formula!r}: the table has several columns named "
            f"{', '.join(map(repr, twice))}; rename them, so that it is clear which is meant"
        )
    return tuple(c for c in columns if c in wanted)


def columns_of(data: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Columns of a table by their names as text, which need not be text in the table."""
    place = {str(name): i for i, name in enumerate(data.columns)}
    return data.iloc[:, [place[name] for name in names]].set_axis(list(names), axis=1)


def build_design(
    formula: str, data: pd.DataFrame, labels: tuple[str, ...], left_out: str = ""
) -> Design:
    """Design matrix of complete rows; an error names what cannot be evaluated or told apart.

    `left_out` says which rows are not among them and why, for a moderator that lost a level.
    """
    from formulaic import model_matrix

    used = required_columns(formula, data)
    text, stands_for = _identified(formula, map(str, data.columns))
    table = columns_of(data, used).reset_index(drop=True)
    levels: dict[str, tuple[Any, ...]] = {}
    _refuse_constant(formula, table, left_out)
    for column in used:
        series = table[column]
        if str(series.dtype) == "category":
            # A level that no included row has would make an empty column.
            table[column] = series.cat.remove_unused_categories()
            levels[column] = tuple(table[column].cat.categories)
        elif getattr(series.dtype, "kind", "") not in tuple("biuf"):
            levels[column] = _sorted_levels(column, series.unique())
    matrix, x, names = _evaluated(
        lambda columns: model_matrix(text, columns, na_action="ignore", context=None),
        table,
        stands_for,
        f"formula {formula!r}",
        lambda name, row: f"formula {formula!r}: {name} of {labels[row]}",
    )
    spec = matrix.model_spec
    found = {str(term): tuple(map(int, at)) for term, at in spec.term_indices.items()}
    intercept = found.pop("1", ())
    terms = {_in_words(term, stands_for): at for term, at in found.items()}
    flat = [term for term, at in terms.items() if not at or (len(names) == 1 and not np.ptp(x))]
    if flat:
        raise MetaAnalysisError(
            f"formula {formula!r}: {', '.join(flat)} has one level in the {len(x)} included "
            "studies, so that there is nothing to compare; expected at least two levels"
        )
    _check_rank(formula, x, names)
    return Design(
        _right_side(formula),
        x,
        names,
        terms,
        intercept[0] if intercept else None,
        spec,
        levels,
        used,
        stands_for,
    )


def _sorted_levels(column: str, found: Any) -> tuple[Any, ...]:
    """Levels in their order; text and numbers together have none."""
    kinds = {isinstance(level, str) for level in found}
    if len(kinds) > 1:
        raise MetaAnalysisError(
            f"moderator {column!r} mixes text and numbers ({', '.join(map(repr, found[:5]))}): "
            "write every level as text, or every value as a number"
        )
    return tuple(sorted(found))


def _refuse_constant(formula: str, table: pd.DataFrame, left_out: str) -> None:
    """Name the moderators that have one value in all included studies.

    Without this a moderator with one level leaves a model of the mean alone, and what is called
    the test of the moderators is a test of that mean.
    """
    flat = [c for c in table.columns if (table[c] == table[c].iloc[0]).all()]
    if len(table) > 1 and flat:
        named = ", ".join(f"{c!r} (always {table[c].iloc[0]})" for c in flat)
        raise MetaAnalysisError(
            f"formula {formula!r}: in the {len(table)} included studies there is one value of "
            f"{named}, so that there is nothing to compare{left_out}; expected at least two "
            "values. Leave it out of the formula ('1' is a model without moderators)"
        )


def _check_rank(formula: str, x: Array, names: tuple[str, ...]) -> None:
    """Name every column that adds nothing to the columns before it."""
    problems: list[str] = []
    kept: list[int] = []
    basis = np.zeros((len(x), 0))
    for j, name in enumerate(names):
        column = x[:, j]
        length = float(np.linalg.norm(column))
        if length == 0.0:
            problems.append(f"{name} is 0 in every row")
            continue
        rest = column.copy()
        for _ in range(2):  # once more for the digits
            rest = rest - basis @ (basis.T @ rest)
        new = float(np.linalg.norm(rest))
        if new > _DEPENDENT * length:
            basis = np.column_stack([basis, rest / new])
            kept.append(j)
            continue
        weights = np.linalg.lstsq(x[:, kept], column, rcond=None)[0]
        share = np.abs(weights) * np.linalg.norm(x[:, kept], axis=0) > 1e-6 * length
        others = [names[i] for i, on in zip(kept, share, strict=True) if on]
        problems.append(f"{name} is a linear combination of {', '.join(others)}")
    if problems:
        hint = " (a natural spline beside an intercept needs constraints='center')"
        raise MetaAnalysisError(
            f"formula {formula!r}: the moderators cannot be told apart: {'; '.join(problems)}"
            f"{hint if any('cr(' in q for q in problems) else ''}"
        )


def design_of_rows(design: Design, data: pd.DataFrame) -> Array:
    """Design matrix of new rows, with the contrasts and spline knots of the fit."""
    wanted = design.columns
    absent = sorted(set(wanted) - set(map(str, data.columns)))
    if absent:
        raise MetaAnalysisError(f"new data: no column {', '.join(map(repr, absent))}")
    table = columns_of(data, wanted).reset_index(drop=True)
    for column, known in design.levels.items():
        strange = sorted({str(v) for v in table[column]} - {str(v) for v in known})
        if strange:
            raise MetaAnalysisError(
                f"new data, column {column!r}: {', '.join(strange)} not seen in the fit; "
                f"expected one of {', '.join(map(str, known))}"
            )
    _, x, _ = _evaluated(
        lambda columns: design.spec.get_model_matrix(columns, na_action="ignore", context=None),
        table,
        design.stands_for,
        "new data",
        lambda name, row: f"new data, row {row + 1}: {name}",
    )
    return x


def _evaluated(
    make: Callable[[pd.DataFrame], Any],
    table: pd.DataFrame,
    stands_for: dict[str, str],
    where: str,
    cell: Callable[[str, int], str],
) -> tuple[Any, Array, tuple[str, ...]]:
    """Make a matrix of columns and name its own; `where` and `cell` name places in messages."""
    from formulaic.errors import DataMismatchWarning, FormulaicError

    table = table.assign(**{one: table[name] for one, name in stands_for.items()})
    if table.columns.empty:
        table = table.assign(_=1.0)  # formulaic counts the rows of a column
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DataMismatchWarning)
            matrix = make(table)
    except (FormulaicError, DataMismatchWarning, ValueError, TypeError) as error:
        raise MetaAnalysisError(f"{where}: {_message(error, stands_for)}") from error
    x = np.asarray(matrix, dtype=float)
    names = tuple(_in_words(str(name), stands_for) for name in matrix.columns)
    bad = np.argwhere(~np.isfinite(x))
    if bad.size:
        row, column = (int(i) for i in bad[0])
        raise MetaAnalysisError(
            f"{cell(names[column], row)} is {x[row, column]}; expected a finite number"
        )
    return matrix, x, names

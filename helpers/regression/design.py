"""Formulas to design matrices, with terms, excluded rows and rank checked.

The formula language is formulaic's (Wilkinson and Rogers 1973, doi:10.2307/2346786): ``a + b``,
``a * b``, ``C(a, contr.treatment("base"))``, ``bs(x, df=4)``, ``log(x)``. Without an explicit
contrast the first level in order (of the categories, or alphabetical) is the reference.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from helpers.errors import MetaAnalysisError

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

__all__ = ["Design", "build_design", "design_of_rows", "required_columns"]

_DEPENDENT = 1e-9  # share of a column's length that must be new for full rank


@dataclass(frozen=True, slots=True)
class Design:
    """A design matrix and what its columns mean.

    Attributes
    ----------
    formula : str
        Right-hand side, as given.
    X : ndarray, shape (k, p)
        Columns of the model, for the included rows only.
    names : tuple of str
        Names of the columns (coefficients).
    terms : dict of str to tuple of int
        Positions of each term's columns, without the intercept.
    intercept : int or None
        Position of the intercept.
    spec : object
        formulaic's model specification, for new rows.
    levels : dict of str to tuple
        Levels of each categorical column that was used.
    columns : tuple of str
        Columns of the table that the formula uses.
    """

    formula: str
    X: Array
    names: tuple[str, ...]
    terms: dict[str, tuple[int, ...]]
    intercept: int | None
    spec: Any
    levels: dict[str, tuple[Any, ...]]
    columns: tuple[str, ...]

    @property
    def p(self) -> int:
        """Number of coefficients."""
        return len(self.names)

    @property
    def moderators(self) -> tuple[int, ...]:
        """Positions of the columns that an omnibus test covers: all but the intercept."""
        kept = tuple(i for i in range(self.p) if i != self.intercept)
        return kept or tuple(range(self.p))


def _right_side(formula: str) -> str:
    text = str(formula).strip()
    if "~" in text:
        left, text = text.split("~", 1)
        if left.strip():
            raise MetaAnalysisError(
                f"formula {formula!r}: only moderators are named, without a left-hand side"
            )
    if not text.strip():
        raise MetaAnalysisError("the formula is empty; '1' fits the intercept alone")
    return text.strip()


def _message(error: Exception) -> str:
    return str(error).splitlines()[0]


def _names(expression: str) -> set[str]:
    """Variables in a factor such as ``bs(x, df=4)`` or ``np.log(`time to event`)``."""
    quoted = re.findall(r"`([^`]+)`", expression)
    text = re.sub(r"`[^`]+`", "0", expression)
    tree = ast.parse(text.strip().strip("{}"), mode="eval")
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    owners = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return set(quoted) | {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and id(node) not in called | owners
    }


def required_columns(formula: str, data: pd.DataFrame) -> tuple[str, ...]:
    """Columns of the table that the formula uses, in the order of the table.

    Raises
    ------
    MetaAnalysisError
        The formula cannot be read, or names a column that the table does not have.

    Notes
    -----
    formulaic's own list leaves out the arguments of splines, so that the factors are read here.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"g": ["a"], "x": [1.0], "z": [2.0]})
    >>> required_columns("log(x) + g", table), required_columns("bs(x, df=4)", table)
    (('g', 'x'), ('x',))
    """
    from formulaic import Formula
    from formulaic.errors import FormulaicError

    wanted: set[str] = set()
    try:
        for term in Formula(_right_side(formula)):
            for factor in term.factors:
                method = str(factor.eval_method.value)
                if method == "lookup":
                    wanted.add(str(factor.expr))
                elif method == "python":
                    wanted |= _names(str(factor.expr))
    except (FormulaicError, SyntaxError) as error:
        raise MetaAnalysisError(f"formula {formula!r}: {_message(error)}") from None
    missing = sorted(wanted - set(map(str, data.columns)))
    if missing:
        raise MetaAnalysisError(
            f"formula {formula!r}: no column {', '.join(map(repr, missing))}; "
            f"the columns are {', '.join(map(str, data.columns))}"
        )
    return tuple(str(c) for c in data.columns if str(c) in wanted)


def build_design(
    formula: str, data: pd.DataFrame, labels: tuple[str, ...], left_out: str = ""
) -> Design:
    """Design matrix of complete rows.

    Parameters
    ----------
    formula : str
        Moderators.
    data : DataFrame
        Included rows, without missing moderators.
    labels : tuple of str
        Their study labels, for messages.
    left_out : str
        Which rows are not among them and why, for the message on a moderator that lost a level.

    Raises
    ------
    MetaAnalysisError
        A formula that cannot be evaluated, a moderator that is not finite or has the same value
        in all rows, or columns that are linear combinations of others (all named).

    Examples
    --------
    >>> import pandas as pd
    >>> d = build_design("g", pd.DataFrame({"g": ["a", "b", "a"]}), ("1", "2", "3"))
    >>> d.names, d.terms
    (('Intercept', 'g[T.b]'), {'g': (1,)})
    """
    from formulaic import model_matrix
    from formulaic.errors import FormulaicError

    used = required_columns(formula, data)
    table = data.loc[:, list(used)].reset_index(drop=True)
    levels: dict[str, tuple[Any, ...]] = {}
    _refuse_constant(formula, table, left_out)
    for column in used:
        series = table[column]
        if str(series.dtype) == "category":
            # A level that no included row has would make an empty column.
            table[column] = series.cat.remove_unused_categories()
            levels[column] = tuple(table[column].cat.categories)
        elif not _is_numeric(series):
            levels[column] = tuple(sorted(series.unique()))
    if not used:
        import pandas as pd

        table = pd.DataFrame({"_": np.ones(len(data))})
    try:
        matrix = model_matrix(_right_side(formula), table, na_action="ignore", context=None)
    except (FormulaicError, ValueError, TypeError) as error:
        raise MetaAnalysisError(f"formula {formula!r}: {_message(error)}") from error
    spec = matrix.model_spec
    x = np.asarray(matrix, dtype=float)
    names = tuple(map(str, matrix.columns))
    bad = np.argwhere(~np.isfinite(x))
    if bad.size:
        row, column_ = (int(i) for i in bad[0])
        raise MetaAnalysisError(
            f"formula {formula!r}: {names[column_]} of {labels[row]} is {x[row, column_]}; "
            "expected a finite number"
        )
    terms = {str(term): tuple(map(int, at)) for term, at in spec.term_indices.items()}
    intercept = terms.pop("1", ())
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
    )


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


def _is_numeric(series: pd.Series[Any]) -> bool:
    return series.dtype.kind in "biuf" if hasattr(series.dtype, "kind") else False


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
    """Design matrix of new rows, with the contrasts and spline knots of the fit.

    Raises
    ------
    MetaAnalysisError
        A moderator is absent, missing, not finite, or has a level that the fit did not see.
    """
    from formulaic.errors import DataMismatchWarning, FormulaicError

    wanted = design.columns
    absent = sorted(set(wanted) - set(map(str, data.columns)))
    if absent:
        raise MetaAnalysisError(f"new data: no column {', '.join(map(repr, absent))}")
    table = data.reset_index(drop=True)
    for column, known in design.levels.items():
        strange = sorted({str(v) for v in table[column]} - {str(v) for v in known})
        if strange:
            raise MetaAnalysisError(
                f"new data, column {column!r}: {', '.join(strange)} not seen in the fit; "
                f"expected one of {', '.join(map(str, known))}"
            )
    if not wanted:
        import pandas as pd

        table = pd.DataFrame({"_": np.ones(len(data))})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DataMismatchWarning)
            matrix = design.spec.get_model_matrix(table, na_action="ignore", context=None)
    except (FormulaicError, DataMismatchWarning, ValueError, TypeError) as error:
        raise MetaAnalysisError(f"new data: {_message(error)}") from error
    x = np.asarray(matrix, dtype=float)
    bad = np.argwhere(~np.isfinite(x))
    if bad.size:
        row, column_ = (int(i) for i in bad[0])
        raise MetaAnalysisError(
            f"new data, row {row + 1}: {design.names[column_]} is {x[row, column_]}; "
            "expected a finite number"
        )
    return x

"""The pandera side: ranges, fixed texts, uniqueness and conditions between columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

    from .columns import ColumnSchema, TableRule

DTYPES = {"integer": "Int64", "number": "float64", "text": "str"}


def frame_schema(columns: Sequence[ColumnSchema], rules: Sequence[TableRule]) -> pa.DataFrameSchema:
    """Return the pandera schema of a frame of nullable integers, floats and text.

    Rules that read an absent column are left out.
    """
    import pandera.pandas as pa

    names = {column.name for column in columns}
    return pa.DataFrameSchema(
        {
            column.name: pa.Column(
                DTYPES[column.kind],
                _checks(column),
                nullable=not column.required,
                unique=column.unique,
                report_duplicates="exclude_first",
            )
            for column in columns
        },
        checks=[
            # pandera would otherwise pass over every row with a gap in any column
            pa.Check(rule.holds, name=str(place), ignore_na=False)
            for place, rule in enumerate(rules)
            if names.issuperset(rule.columns)
        ],
        strict=True,
    )


def _checks(column: ColumnSchema) -> list[Any]:
    import pandera.pandas as pa

    checks = []
    if column.minimum is not None:
        checks.append(pa.Check.ge(column.minimum))
    if column.maximum is not None:
        checks.append(pa.Check.le(column.maximum))
    if column.above is not None:
        checks.append(pa.Check.gt(column.above))
    if column.allowed:
        checks.append(pa.Check.isin(column.allowed))
    if column.pattern:
        checks.append(pa.Check.str_matches(rf"^(?:{column.pattern})\Z"))
    return checks


def failures(
    frame: pd.DataFrame, columns: Sequence[ColumnSchema], rules: Sequence[TableRule]
) -> Iterator[tuple[int, tuple[str, ...], str]]:
    """Yield each failed check of a frame: row, columns that were read, what was expected."""
    import pandera.pandas as pa

    try:
        frame_schema(columns, rules).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        described = {column.name: column for column in columns}
        # the collected failure_cases of pandera 0.35 drop text columns; the single ones do not
        for single in error.schema_errors:
            if not hasattr(single.failure_cases, "columns") or "index" not in single.failure_cases:
                raise
            rows = [int(row) for row in dict.fromkeys(single.failure_cases["index"])]
            if isinstance(single.schema, pa.DataFrameSchema):
                rule = rules[int(single.check.name)]
                yield from ((row, rule.columns, rule.expected) for row in rows)
                continue
            column = described[single.schema.name]
            repeated = "duplicate" in str(single.reason_code).lower()
            for row in rows:
                expected = column.expected()
                if repeated:
                    same = frame[column.name] == frame.loc[row, column.name]
                    expected = f"a value used once (also in row {frame.index[same][0]})"
                yield row, (column.name,), expected

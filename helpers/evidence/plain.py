"""A reader's own table without pandas, with the messages of `read_own`.

Where only numpy is installed (in a browser) a table is read in the same way, cell by cell, and
refused with the same words; a test compares the two readers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .columns import layout_problems, read_column
from .given import on_model_scale
from .grid import Source
from .opening import open_table
from .own import (
    COUNTS,
    EFFECTS,
    choose_columns,
    prepare,
    refuse_no_study,
    scale_of,
    understood,
    values_of,
)


@dataclass(frozen=True, slots=True)
class Counts:
    """Labels, each once, with counts or effects: one entry a study."""

    study: tuple[str, ...]
    events: tuple[int | None, ...]  # None where a count is missing, and for effects
    size: tuple[float | None, ...]
    rows: tuple[int, ...]  # of the spreadsheet
    roles: Mapping[str, str]  # study; events and n or time, or effect and its spread; others named
    understood: str  # empty for a plain CSV file with our names
    scale: str = ""  # of effects, empty for counts
    yi: tuple[float, ...] = ()  # effects on the scale of the model, nan where missing
    vi: tuple[float, ...] = ()  # their sampling variances
    lopsided: tuple[int, ...] = ()  # places of effects that are far from the middle of their limits
    #: Role of a column of text (by, cluster, risk_of_bias) -> its cells, None where one is empty.
    texts: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)


def read_counts(
    source: Source,
    given: Mapping[str, str | None] | None = None,
    *,
    file: str | None = None,
    scale: str | None = None,
) -> Counts:
    r"""Read and check the labels, counts or effects, and groups of a table, as `read_own` does.

    Parameters
    ----------
    source, given, missing, sheet, scale
        As in `helpers.evidence.own.read_own`; a group, a cluster and a rating are read where their
        columns are named.
    file : str, optional
        Name for messages.

    Examples
    --------
    >>> counts = read_counts(b"Author;Cases;Total\nA;3;40\nB;NR;50\n")
    >>> counts.events, counts.size, counts.rows
    ((3, None), (40, 50), (2, 3))
    """
    given = dict(given or {})
    named = [name for name in given.values() if name is not None]
    opened = open_table(source, wanted=named, file=file)
    chosen = choose_columns(opened, given, options=False)
    known = ("study", *COUNTS, *EFFECTS)
    texts = [role for role in ("by", "cluster", "risk_of_bias") if given.get(role) is not None]
    roles: dict[str, str] = {role: chosen[role] for role in (*known, *texts) if role in chosen}
    guessed_scale, scale = scale is None, scale_of(roles, scale)
    grid, columns, rules = prepare(opened, roles, scale=scale)
    problems = layout_problems(grid, columns)
    values = {}
    for column in columns:
        if column.name in grid.header:
            values[column.name], wrong = read_column(grid, column)
            problems += wrong
    for rule in rules:  # each that one number is at most another
        if not set(rule.columns) <= set(values):
            continue
        small, large = rule.columns
        cells = grid.column(grid.header.index(small))
        for (row, cell), x, n in zip(cells, values[small], values[large], strict=True):
            if x is not None and n is not None and x > n:
                problems.append(grid.problem(row, small, cell, rule.expected))
    grid.refuse(problems)
    needed = [values[name] for name in values_of(roles)]
    refuse_no_study(grid, roles, any(None not in row for row in zip(*needed, strict=True)))
    said = understood(opened, roles, given, scale if guessed_scale else "")
    one = {role: tuple(values[name]) for role, name in roles.items()}
    nothing = (None,) * len(grid.rows)
    yi, vi, far = list[float](), list[float](), list[int]()
    if scale:
        yi, vi, far = on_model_scale(one, scale)
    return Counts(
        study=one["study"],
        events=one.get("events", nothing),
        size=one.get("n", one.get("time", nothing)),
        rows=grid.rows,
        roles=roles,
        understood=said,
        scale=scale,
        yi=tuple(yi),
        vi=tuple(vi),
        lopsided=tuple(far),
        texts={role: one[role] for role in texts},
    )

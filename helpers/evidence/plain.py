"""A reader's own table without pandas, with the messages of `read_own`.

Where only numpy is installed (in a browser) a table is read in the same way, cell by cell, and
refused with the same words; a test compares the two readers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .given import on_model_scale
from .grid import Source
from .own import COUNTS, EFFECTS, read_cells


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
    texts = [role for role in ("by", "cluster", "risk_of_bias") if given.get(role) is not None]
    only = ("study", *COUNTS, *EFFECTS, *texts)
    own = read_cells(source, given, scale=scale, file=file, only=only, options=False)
    roles, scale = own.roles, own.scale
    one = {role: tuple(own.values[name]) for role, name in roles.items()}
    nothing = (None,) * len(own.rows)
    yi, vi, far = list[float](), list[float](), list[int]()
    if scale:
        yi, vi, far = on_model_scale(one, scale)
    return Counts(
        study=one["study"],
        events=one.get("events", nothing),
        size=one.get("n", one.get("time", nothing)),
        rows=own.rows,
        roles=roles,
        understood=own.understood,
        scale=scale,
        yi=tuple(yi),
        vi=tuple(vi),
        lopsided=tuple(far),
        texts={role: one[role] for role in texts if role in one},
    )

"""Tables of the page: one look, readable by everyone.

A table is a real HTML table with a caption and header cells, inside a box that scrolls (long and
wide tables keep their header in view) and that the keyboard reaches. Colours and spacing come from
the site's stylesheet, so that a table follows the page into the dark. The bytes depend on the data
alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from .. import printing
from ..engine.normal.prediction import displayed_prediction
from ..errors import MetaAnalysisError, UnsupportedError
from .slugs import slug
from .subject import NEUTRAL, Subject

__all__ = ["Link", "Table", "comparison_table", "pooled_table", "table"]


MISSING = "\N{EN DASH}"
Format = str | Callable[[Any], str]


def _percent(value: float, digits: int) -> str:
    return printing.number(100 * value, digits)


# "percent" and its kin print the unit in the heading, not in each cell.
_FORMATS: Mapping[str, Callable[[Any], str]] = {
    # a number that is kept as it was printed gets the minus of its neighbours
    "text": lambda value: re.sub(r"^-(?=\d)", printing.MINUS, str(value)),
    "count": printing.count,
    "year": lambda value: str(int(value)),
    "number": printing.number,
    "number1": partial(printing.number, digits=1),
    "number3": partial(printing.number, digits=3),
    "number5": partial(printing.number, digits=5),
    "percent": partial(_percent, digits=1),
    "percent2": partial(_percent, digits=2),
    "significant": printing.significant,
    "p": partial(printing.p_value, symbol=""),
}


#: Headings of columns that are symbols or limits; others are their names with blanks.
_HEADINGS: Mapping[str, str] = {
    **{symbol: symbol for symbol in ("p", "Q", "df", "n")},
    **{"tau2": "τ²", "I2": "I²", "ci_lower": "Lower", "ci_upper": "Upper"},
}
LONG = 34  # characters of a cell from which it may wrap
NAME_LENGTH = 60  # characters of a caption that make an id

# What fits beside each other on a phone of 390 px: pixels of its column, of a character of the
# sans that tables are set in, of the blank between two columns, and how many characters of a
# heading stay on one line (figures.css).
_PHONE, _CHARACTER, _GUTTER, _HEADING = 350, 6.5, 17.6, 12


#: Rules of cards, for the pages of the book and for reports.
CARDS = Path(__file__).with_name("cards.css")


class Link(str):
    """Text of a cell that leads somewhere.

    Parameters
    ----------
    text : str
        What the reader sees.
    address : str
        Where it leads, beginning with http:// or https://; on pages of the book also a place of
        the same page (``#name``) or a file below ``downloads/``.

    Raises
    ------
    MetaAnalysisError
        For another kind of address.

    Examples
    --------
    >>> Link("Goodman 1965", "https://doi.org/10.1080/00401706.1965.10490252")
    'Goodman 1965'
    """

    __slots__ = ("address",)
    address: str

    def __new__(cls, text: str, address: str) -> Link:
        """Check the address and keep it beside the text."""
        if not re.match(r"(https?://|downloads/|#)[^\s\"'<>]+$", address):
            raise MetaAnalysisError(f"a link needs an address of the web, not {address!r}")
        made = super().__new__(cls, text)
        made.address = address
        return made


@dataclass(frozen=True, slots=True)
class Table:
    """A finished table: shown by a notebook as HTML, by a terminal as text."""

    name: str  # Its id on the page
    caption: str  # What the table shows
    body: str  # The HTML ``<table>`` itself
    text: str  # The same cells as plain text
    long: bool = False  # Whether the box has a limited height and scrolls
    cards: bool = (
        False  # Whether each row becomes a card on a phone, which has no room for its columns
    )
    search: bool = False  # Whether pages put a field above it that filters its rows

    @property
    def html(self) -> str:
        """The table in its box."""
        kind = "table-scroll table-long" if self.long else "table-scroll"
        kind += " table-cards" if self.cards else ""
        kind += " table-search" if self.search else ""
        # An inline limit keeps long tables in their box where the stylesheet is not loaded.
        limit = "; max-height: 70vh" if self.long else ""
        return (
            f'<div class="{kind}" id="{self.name}" role="region" tabindex="0" '
            f'aria-label="{escape(self.caption, quote=True)}" style="overflow: auto{limit}">\n'
            f"{self.body}\n</div>"
        )

    def renamed(self, name: str) -> Table:
        """Give the same table under another id."""
        return replace(self, name=name)

    def __repr__(self) -> str:
        return f"{self.caption}\n{self.text}"

    def _repr_html_(self) -> str:
        return self.html

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": repr(self)}


def table(
    frame: pd.DataFrame,
    caption: str,
    *,
    formats: Mapping[str, Format] | None = None,
    labels: Mapping[str, str] | None = None,
    groups: str | None = None,
    notes: Iterable[str] = (),
    name: str | None = None,
    long: bool | None = None,
    search: bool = False,
) -> Table:
    """Print a frame as a table of the page.

    Parameters
    ----------
    frame : DataFrame
        The first column names the rows. The index is not shown.
    caption : str
        What the table shows; also its accessible name.
    formats : mapping of column to format, optional
        "text", "count", "year", "number", "number1", "number3", "number5", "percent", "percent2"
        (fractions, unit in the heading), "significant", "p", or a function from value to text.
        Without one, whole numbers are counts, a column ``p`` has p-values, other numbers two
        decimals, and the rest is text.
    labels : mapping of column to heading, optional
        By default column names with blanks for underscores, symbols as the field prints them
        (``tau2`` is τ²), and the unit of percentages.
    groups : str, optional
        Column whose values become headings over groups of rows.
    notes : iterable of str
        Lines under the table.
    name : str, optional
        Id of the table on the page; made of the caption by default.
    long : bool, optional
        Whether the table scrolls in a box of limited height; above 20 rows by default.
    search : bool
        Whether pages put a field above it that filters its rows; without a script it has none.

    Returns
    -------
    Table
        Missing cells are printed as a dash. Where the columns do not fit on a phone, each row is a
        card there, with the headings beside the cells and without those that are missing.

    Raises
    ------
    MetaAnalysisError
        When a named column does not exist or no caption is given.
    UnsupportedError
        For an unknown format.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"disease": ["LBCL", "MM"], "patients": [5806, 1193]})
    >>> print(table(frame, caption="Patients by disease"))
    Patients by disease
    Disease  Patients
       LBCL     5,806
         MM     1,193
    """
    formats, labels, notes = dict(formats or {}), dict(labels or {}), list(notes)
    require(frame, [*formats, *labels, *([groups] if groups else [])])
    if not caption.strip():
        raise MetaAnalysisError("a table needs a caption")
    name = name or f"table-{slug(caption, NAME_LENGTH)}"
    shown = _printed(frame, formats)
    headings = {
        column: labels[column] if column in labels else _heading(str(column), formats.get(column))
        for column in shown.columns
    }
    columns = [column for column in shown.columns if column != groups]
    cards = too_wide([headings[column] for column in columns], [shown[c] for c in columns])
    return Table(
        name=name,
        caption=caption,
        body=_body(shown, caption, headings, groups, notes, _numeric(frame), cards),
        text=shown.rename(columns=headings).to_string(index=False),
        long=len(frame) > 20 if long is None else long,
        cards=cards,
        search=search,
    )


def too_wide(headings: Iterable[str], columns: Iterable[Iterable[str]]) -> bool:
    """Say whether columns of text under their headings need more than the width of a phone.

    Examples
    --------
    >>> too_wide(["Study", "Deaths", "Patients"], [["Neelapu 2023"], ["13"], ["101"]])
    False
    >>> too_wide(["Study", "Note"], [["Neelapu 2023"], ["deaths of unknown cause are left out"]])
    True
    """
    pixels = 0.0
    for place, (heading, cells) in enumerate(zip(headings, columns, strict=True)):
        longest = max((len(text) for text in cells), default=0)
        if longest > LONG and place:
            return True
        words = max(map(len, heading.split()), default=0)
        characters = max(min(longest, LONG), words, min(len(heading), _HEADING))
        pixels += characters * _CHARACTER + _GUTTER
    return pixels > _PHONE


def named_cells(headings: Iterable[str]) -> str:
    """Give a table the headings of its columns beside the first, for the cells of its cards.

    They stand in its style, once for each column and not for each cell: cards.css puts them
    before the cells.

    Examples
    --------
    >>> print(named_cells(["Deaths", "95% CI"]))
     style="--c2: &quot;Deaths&quot;; --c3: &quot;95% CI&quot;"
    """
    named = (
        f"--c{place}: {json.dumps(' '.join(heading.split()), ensure_ascii=False)}"
        for place, heading in enumerate(headings, 2)
    )
    return f' style="{escape("; ".join(named), quote=True)}"'


def _heading(column: str, kind: Format | None) -> str:
    """Heading of a column that has no label."""
    heading = _HEADINGS.get(column, printing.capital(column.replace("_", " ")))
    return _with_unit(heading, kind)


def _with_unit(heading: str, kind: Format | None) -> str:
    percent = isinstance(kind, str) and kind.startswith("percent")
    return f"{heading}{printing.IN_PERCENT}" if percent else heading


def numbers(
    data: pd.DataFrame | Mapping[str, Any] | Sequence[Mapping[str, Any]],
    caption: str,
    columns: Mapping[str, Any],
    **options: Any,
) -> Table:
    """Print columns of a frame, with the heading and the format of each.

    `columns` are shown in their order, those that the data lack are left out. Each has a format of
    :func:`table` (empty for the usual one), or a heading and a format; a heading gets the unit of
    percentages.

    >>> print(numbers({"a": ["x"], "b": [0.25]}, "Shares", {"a": "", "b": ("Part", "percent")}))
    Shares
    A Part, %
    x    25.0
    """
    frame = pd.DataFrame(data)
    shown = {column: said for column, said in columns.items() if column in frame}
    formats: dict[str, Format] = {}
    labels: dict[str, str] = {}
    for column, said in shown.items():
        heading, kind = said if isinstance(said, tuple) else ("", said)
        if heading:
            labels[column] = _with_unit(heading, kind)
        if kind:
            formats[column] = kind
    made = frame[list(shown)].reset_index(drop=True)
    return table(made, caption, formats=formats, labels=labels, **options)


def of_rows(
    rows: pd.DataFrame | Iterable[Any],
    caption: str,
    columns: Mapping[str, Any],
    **options: Any,
) -> Table:
    """Print a line for each row, with what makes the cells beside the heading of their column.

    The cells of a column are a field of the rows, or what a function makes of a row; a format of
    :func:`table` may follow. A heading gets the unit of percentages.

    >>> rows = [{"name": "x", "events": 1, "n": 4}]
    >>> columns = {"Name": "name", "Without": (lambda row: row["n"] - row["events"], "count")}
    >>> print(of_rows(rows, "People without an event", columns))
    People without an event
    Name Without
       x       3
    """
    if isinstance(rows, pd.DataFrame):
        rows = rows.astype("object").to_dict("records")
    rows = list(rows)
    cells: dict[str, list[Any]] = {}
    shown: dict[str, Any] = {}
    for heading, said in columns.items():
        made, kind = said if isinstance(said, tuple) else (said, "")
        cells[heading] = [_field(row, made) if isinstance(made, str) else made(row) for row in rows]
        shown[heading] = (heading, kind)
    return numbers(cells, caption, shown, **options)


def _field(row: Any, name: str) -> Any:
    return row[name] if isinstance(row, Mapping) else getattr(row, name)


def require(frame: pd.DataFrame, columns: Iterable[str]) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise MetaAnalysisError(
            f"no column {printing.listing(map(repr, missing))}; there are "
            f"{printing.listing(map(repr, frame.columns))}"
        )


def _numeric(frame: pd.DataFrame) -> list[str]:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return [c for c in frame.columns if is_numeric_dtype(frame[c]) and not is_bool_dtype(frame[c])]


def _printed(frame: pd.DataFrame, formats: Mapping[str, Format]) -> pd.DataFrame:
    from pandas.api.types import is_integer_dtype

    printed = {}
    numeric = _numeric(frame)
    for column in frame.columns:
        values = frame[column]
        usual = "text"
        if column in numeric:
            usual = "count" if is_integer_dtype(values) else "number"
            year = str(column).casefold().rpartition(" ")[2].rpartition("_")[2] == "year"
            usual = "year" if year and is_integer_dtype(values) else usual
            usual = "p" if column == "p" else usual
        chosen = formats.get(column, usual)
        if isinstance(chosen, str) and chosen not in _FORMATS:
            raise UnsupportedError(
                f"no format {chosen!r} for column {column!r}; there are "
                f"{printing.listing(_FORMATS)}"
            )
        function = _FORMATS[chosen] if isinstance(chosen, str) else chosen
        if chosen == "percent":  # digits follow the numbers of the column
            known = [float(v) for v in values if not pd.isna(v) and not isinstance(v, Link)]
            function = partial(_percent, digits=printing.places(*known))
        printed[column] = [
            MISSING if pd.isna(value) else value if isinstance(value, Link) else function(value)
            for value in values
        ]
    return pd.DataFrame(printed, dtype=object)


def _body(
    shown: pd.DataFrame,
    caption: str,
    headings: Mapping[str, str],
    groups: str | None,
    notes: Iterable[str],
    numeric: Iterable[str],
    cards: bool,
) -> str:
    """Print the table itself; `shown` holds text, `numeric` the columns that are set flush right.

    Scope on every header cell says the same as pairs of ids, in a fifth of the bytes.
    """
    stub = next(column for column in shown.columns if column != groups)
    inner = [column for column in headings if column not in (stub, groups)]
    sides = {column: "gt_right" if column in numeric else "gt_left" for column in inner}
    heads = "".join(
        f'<th class="gt_col_heading gt_columns_bottom_border {sides.get(column, "gt_left")}" '
        f'scope="col">{_head(headings[column])}</th>'
        for column in (stub, *inner)
    )
    opened = [f'class="gt_row {sides[column]}">' for column in inner]
    across = _span(1 + len(inner))
    rows: dict[str, list[str]] = {}  # by the heading of their group
    cells = shown[[stub, *inner]].itertuples(index=False, name=None)
    members = [""] * len(shown) if groups is None else shown[groups]
    for group, (label, *texts) in zip(members, cells, strict=True):
        line = [f'<tr><th scope="row" class="gt_row gt_left gt_stub">{_cell(label)}</th>']
        for kind, text in zip(opened, texts, strict=True):
            lacks = ' data-none=""' if cards and text in ("", MISSING) else ""
            line.append(f"<td{lacks} {kind}{_cell(text)}</td>")
        rows.setdefault(group, []).append("".join([*line, "</tr>"]))
    lines = []
    for group, made in rows.items():
        if groups is not None:
            heading = f'<th class="gt_group_heading"{across} scope="colgroup">{_text(group)}</th>'
            lines.append(f'<tr class="gt_group_heading_row">{heading}</tr>')
        lines += made
    foot = "\n".join(
        f'<tr class="gt_sourcenotes"><td class="gt_sourcenote"{across}>'
        f'<span class="gt_from_md">{_text(note)}</span></td></tr>'
        for note in notes
    )
    names = named_cells(headings[column] for column in inner) if cards else ""
    return (
        f'<table class="gt_table"{names}>\n<caption><span>{_text(caption)}</span></caption>\n'
        f'<thead><tr class="gt_col_headings">{heads}</tr></thead>'
        f'<tbody class="gt_table_body">{chr(10).join(lines)}</tbody>'
        f"{f'<tfoot>{foot}</tfoot>' if foot else ''}</table>"
    )


def _span(columns: int) -> str:
    return f' colspan="{columns}"' if columns > 1 else ""


def _text(text: str) -> str:
    return escape(text, quote=False)


def _head(text: str) -> str:
    """Escape a heading, and keep a long one from wrapping after every word."""
    return f'<span class="long">{_text(text)}</span>' if len(text) > 14 else _text(text)


def _cell(text: str) -> str:
    """Escape a cell, and let long text wrap; short cells stay on one line."""
    safe = _text(text)
    if isinstance(text, Link):
        safe = f'<a href="{escape(text.address, quote=True)}">{safe}</a>'
    return f'<span class="wrap">{safe}</span>' if len(text) > LONG else safe


def pooled_table(
    fits: Any,
    caption: str = "Pooled estimates",
    *,
    name: str | None = None,
    prediction: bool = True,
    subject: Subject = NEUTRAL,
) -> Table:
    """Print pooled estimates below each other.

    Parameters
    ----------
    fits : PoolResult, SubgroupResult, mapping of label to PoolResult, or iterable of PoolResult
        All pool proportions, or none does. An iterable is labelled by model.
    caption, name : str, optional
        As in :func:`table`.
    prediction : bool
        Whether to show prediction intervals; a dash stands where one is not defined or not shown.
    subject : Subject
        What studies and counts are called.

    Returns
    -------
    Table
        Its notes hold the methods of the fits and every caution.

    Examples
    --------
    >>> from helpers import pool
    >>> fit = pool(events=[7, 3, 12], n=[269, 80, 140], study=["A", "B", "C"], model="common")
    >>> pooled_table({"three studies": fit}).name
    'table-pooled-estimates'
    """
    named = _named(fits)
    if not named:
        raise MetaAnalysisError("pooled_table() needs at least one result")
    kinds = {fit.n is None for fit in named.values()}
    if len(kinds) > 1:
        raise UnsupportedError("pooled_table() cannot mix proportions and other effects")
    plain = kinds.pop()
    digits, factor = (2, 1) if plain else (1, 100)

    def bounds(pair: Any) -> str:
        return printing.between(pair[0] * factor, pair[1] * factor, digits)

    lines, notes = [], []
    for label, fit in named.items():
        line: dict[str, Any] = {"analysis": label, "k": fit.k}
        if not plain:
            line |= {"events": fit.events, "n": fit.n}
        line |= {"estimate": fit.estimate, "ci": bounds(fit.ci)}
        if prediction:
            limits, reason = displayed_prediction(fit)
            line["prediction"] = None if limits is None else bounds(limits)
            if limits is None and fit.model != "common":
                notes.append(f"{label}: no prediction interval ({reason})")
        lines.append(line | {"tau2": fit.tau2, "I2": fit.heterogeneity.I2})
        notes += [f"{label}: {caution.message}" for caution in fit.cautions]
    levels = printing.listing(dict.fromkeys(f"{100 * fit.level:g}" for fit in named.values()))
    return numbers(
        lines,
        caption,
        {
            "analysis": "", "k": (printing.capital(subject.studies), ""),
            "events": (subject.events, "count"), "n": (subject.n, "count"),
            "estimate": ("Estimate", "number" if plain else "percent"),
            "ci": (f"{levels}% CI", ""),
            "prediction": (f"{levels}% prediction interval", ""),
            "tau2": ("τ²", "number3"), "I2": (f"I²{printing.IN_PERCENT}", "number1"),
        },
        notes=[*_methods(named.values()), *dict.fromkeys(notes)],
        name=name,
    )  # fmt: skip


def _methods(fits: Iterable[Any]) -> list[str]:
    """Give the methods of the fits, once for fits that differ in their studies alone."""
    largest: dict[tuple[Any, ...], Any] = {}
    for fit in fits:
        fixed = getattr(getattr(fit, "options", None), "tau2", None)
        key = (fit.measure, fit.model, fit.tau2_method, fixed, fit.ci_method, fit.level)
        if key not in largest or fit.k > largest[key].k:
            largest[key] = fit
    return list(dict.fromkeys(str(fit.methods()) for fit in largest.values()))


def _named(fits: Any) -> dict[str, Any]:
    if hasattr(fits, "groups"):
        groups = {str(level): fit for level, fit in fits.groups.items()}
        return {**groups, "All": fits.overall}
    if isinstance(fits, Mapping):
        return {str(label): fit for label, fit in fits.items()}
    if hasattr(fits, "estimate"):
        return {str(fits.model): fits}
    listed = list(fits)
    named = {str(fit.model): fit for fit in listed}
    if len(named) < len(listed):
        raise MetaAnalysisError(
            "pooled_table() cannot tell fits of one model apart: give a mapping from label to fit"
        )
    return named


def comparison_table(
    frame: pd.DataFrame,
    caption: str = "Ours beside the published values",
    *,
    digits: int = 5,
    name: str | None = None,
    **options: Any,
) -> Table:
    """Print our values beside published ones and count the digits that agree.

    Parameters
    ----------
    frame : DataFrame
        Columns quantity, ours, published; further columns (such as a reason why the rest
        differs) are printed after them. A published value may be missing.
    caption, name : str, optional
        As in :func:`table`.
    digits : int
        Significant digits to print.
    **options
        Handed to :func:`table`.

    Returns
    -------
    Table
        Digits that agree as :func:`helpers.printing.agreeing_digits` counts them.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame(
    ...     {"quantity": ["estimate"], "ours": [0.0682211], "published": [0.0682210]}
    ... )
    >>> print(comparison_table(frame))
    Ours beside the published values
    Quantity     Ours Published Digits that agree
    estimate 0.068221  0.068221                 5
    """
    require(frame, ["quantity", "ours", "published"])
    agree = [
        pd.NA if pd.isna(ours) or pd.isna(theirs) else printing.agreeing_digits(ours, theirs)
        for ours, theirs in zip(frame["ours"], frame["published"], strict=True)
    ]
    rest = [c for c in frame.columns if c not in ("quantity", "ours", "published")]
    shown = frame[["quantity", "ours", "published"]].assign(
        agree=pd.array(agree, dtype="Int64"), **{column: frame[column] for column in rest}
    )
    show = partial(printing.significant, digits=digits)
    formats = {
        "ours": show,
        "published": show,
        "agree": printing.digits_text,
        **options.pop("formats", {}),
    }
    labels = {
        "agree": "Digits that agree",
        **options.pop("labels", {}),
    }
    return table(shown, caption, formats=formats, labels=labels, name=name, **options)

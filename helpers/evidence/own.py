"""A reader's own table, read as it is: columns guessed, missing counts kept as missing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..arguments import one_of
from ..door import pd
from ..errors import MetaAnalysisError
from .columns import (
    ColumnSchema,
    TableRule,
    as_frame,
    at_most,
    describe,
    infer,
    read_columns,
)
from .given import SCALES, scale_by_name
from .grid import Sheet, Source, is_frame, whole
from .opening import MISSING_WORDS, Opened, guess, names, open_table, ours, plain_name
from .problems import CellProblem, EvidenceError

#: Words in the name of a column of follow-up in years.
_IN_YEARS = frozenset("years year yr yrs jahre jahren ans années años".split())
#: What the columns that every table needs hold, and the option that names each.
_NEEDED = {
    "study": ("labels of the studies", "--study"),
    "events": ("events", "--events"),
    "n": ("people at risk", "--n"),
    "time": ("person-time", "--time"),
    "effect": ("effects", "--effect"),
    "se": ("standard errors", "--se"),
    "variance": ("variances", "--variance"),
    "lower": ("lower limits", "--lower"),
    "upper": ("upper limits", "--upper"),
}
#: Roles of a table of counts, and of one of effects.
COUNTS, EFFECTS = ("events", "n", "time"), ("effect", "se", "variance", "lower", "upper")
#: Events and people in one cell.
_OUT_OF = re.compile(r"[0-9]+ *(/|of|out of) *[0-9]+\b")
_COUNT = re.compile(r"-?[0-9]+([.,][0-9]+)?")
#: Counts of one of two arms, besides the names that programs give them.
_OF_AN_ARM = re.compile(
    r"(events?|cases|deaths|n|total) (treat(ed|ment)?|trt|exp(erimental)?|int(ervention)?|active"
    r"|drug|ctrl|con(trols?)?|comparator|placebo)"
)
#: How far an effect may be off, in one of these ways; the first is asked for.
_SPREADS = (("se",), ("variance",), ("lower", "upper"))


@dataclass(frozen=True, slots=True)
class OwnTable:
    """A checked table, the columns that play a role, and what the file was taken for."""

    data: pd.DataFrame
    #: study; events and n or time, or effect and se or lower and upper; by, follow_up, cluster and
    #: risk_of_bias where there is one.
    roles: Mapping[str, str]
    rows: tuple[int, ...]  # of the spreadsheet, one a row of `data`
    understood: str  # empty for a plain CSV file with our names
    scale: str = ""  # of effects, as in `helpers.evidence.given.SCALES`; empty for counts

    @property
    def follow_up_unit(self) -> str:
        """Years where the name of the column says so, and else months."""
        words = plain_name(self.roles.get("follow_up", "")).split()
        return "years" if _IN_YEARS & {*words} else "months"


def choose_columns(
    opened: Opened,
    given: Mapping[str, str | None],
    taken: Sequence[str] = (),
    *,
    options: bool = True,
) -> dict[str, str]:
    r"""Take the columns that were named, and guess the others; ask for what cannot be guessed.

    Person-time takes the place of the people where it is named, or where there are no people. The
    error names the `options` of the command where there are such.

    >>> opened = open_table(b"Author,Cases,Total\nA,3,40\n")
    >>> choose_columns(opened, {"n": "Total"})
    {'n': 'Total', 'study': 'Author', 'events': 'Cases'}
    """
    header = opened.sheet.header
    roles, needed = find_roles(header, given, taken)
    lacking = [role for role in needed if role not in roles]
    by_name = guess(header)
    for role in lacking:
        if role in by_name:
            raise MetaAnalysisError(
                f"each column can have one role only: {by_name[role]!r} has another, so there is "
                f"not yet {_asked(role, options)}"
            )
    if lacking:
        advice = [*_advice(header, lacking, options), *_layout_advice(opened.sheet, lacking)]
        asked = "; ".join([*(_asked(role, options) for role in lacking), *advice])
        file = opened.sheet.file
        there = ", ".join(repr(name) for name in header)
        raise EvidenceError([CellProblem(file, opened.sheet.header_row, "", there, asked)])
    return roles


def find_roles(
    header: Sequence[str], given: Mapping[str, str | None], taken: Sequence[str] = ()
) -> tuple[dict[str, str], list[str]]:
    """Give the columns that were named or guessed, by role, and the roles that a table needs.

    >>> find_roles(["Author", "yi", "vi", "n"], {})
    ({'study': 'Author', 'effect': 'yi', 'variance': 'vi'}, ['study', 'effect', 'variance'])
    """
    roles = {role: name for role, name in given.items() if name is not None}
    used = [*roles.values(), *taken]
    if len(set(used)) < len(used):
        raise MetaAnalysisError(f"each column can have one role only, got {', '.join(used)}")
    guessed = guess(header, used)
    if "time" in roles and "n" in roles:
        raise MetaAnalysisError(
            f"people ({roles['n']!r}) and person-time ({roles['time']!r}): name one of the two"
        )
    if _gives_effects(roles, guessed):
        needed = ["study", "effect", *_spread(roles, guessed)]
    else:
        timed = "time" in roles or ("n" not in roles and "n" not in guessed and "time" in guessed)
        needed = ["study", "events", "time" if timed else "n"]
    for role in {*COUNTS, *EFFECTS} - set(needed):
        guessed.pop(role, None)
    for role, name in guessed.items():
        if role == "follow_up_years" or name in roles.values():
            continue
        roles.setdefault(role, name)
    if "follow_up" not in roles and "follow_up_years" in guessed:
        roles["follow_up"] = guessed["follow_up_years"]
    return roles, needed


def _gives_effects(roles: Mapping[str, str], guessed: Mapping[str, str]) -> bool:
    """Tell whether a table gives effects: they are named, or there are no events and they are."""
    named, counts = ({*group} & set(roles) for group in (EFFECTS, COUNTS))
    if named and counts:
        one, other = (
            ", ".join(repr(roles[role]) for role in sorted(some)) for some in (counts, named)
        )
        raise MetaAnalysisError(f"counts ({one}) and effects ({other}): name one of the two")
    ways = [" and ".join(map(repr, way)) for way in _SPREADS if {*way} & named]
    if len(ways) > 1:
        raise MetaAnalysisError(f"{'; '.join(ways)}: name one of these for an effect")
    sized = {"n", "time"} & set(guessed)
    if named or counts or ("events" in guessed and sized):
        return bool(named)
    return "effect" in guessed and any({*way} <= {*guessed} for way in _SPREADS)


def _spread_there(guessed: Mapping[str, str]) -> list[str]:
    """Name the columns that say how far effects may be off, where no column is called an effect."""
    whole_ways = (way for way in _SPREADS if {*way} <= {*guessed})
    return [guessed[role] for role in next(whole_ways, ())]


def _spread(roles: Mapping[str, str], guessed: Mapping[str, str]) -> tuple[str, ...]:
    """Take the standard error, the variance or both limits: what was named, or what is there."""
    ways = (way for known in (roles, guessed) for way in _SPREADS if {*way} & {*known})
    return next(ways, _SPREADS[0])


def _advice(header: Sequence[str], lacking: Sequence[str], options: bool) -> Iterator[str]:
    """Say what other columns hold that are no counts of one group."""
    if not {"events", "n"} & set(lacking):
        return
    known = names()
    of = {
        what: [one for one in header if plain_name(one) in known[what]]
        for what in ("two_arms", "without_event", "share")
    }
    of["two_arms"] += [one for one in header if _OF_AN_ARM.fullmatch(plain_name(one))]
    if len(of["two_arms"]) > 1:
        columns = ", ".join(map(repr, dict.fromkeys(of["two_arms"])))
        yield (
            f"{columns} are of two arms, and one group of people is pooled: choose the events and "
            "the people of one arm, or add a column of effects (such as log odds ratios) and one "
            "of their standard errors"
        )
    elif of["without_event"]:
        yield (
            f"{of['without_event'][0]!r} counts people without the event: add a column of all "
            "people"
        )
    elif of["share"] and "events" in lacking:
        yield (
            f"{of['share'][0]!r} is a share: add the counts, or choose it as effect, of the scale "
            "proportion, with its limits"
        )
    elif {"events", "n"} <= set(lacking) and (spread := _spread_there(guess(header))):
        there = " and ".join(repr(name) for name in spread)
        how = " with --effect" if options else ""
        yield f"{there} may belong to effects: if so, choose the column of effects{how} instead"


def _layout_advice(sheet: Sheet, lacking: Sequence[str]) -> Iterator[str]:
    """Say how a table is to be turned or its header written where the names are elsewhere."""
    known = {name for role in lacking for name in names()[role]}
    below = [str(cell) for cell in next(iter(sheet.cells), ()) if str(cell).strip()]
    beside = {plain_name(str(record[0])) for record in sheet.cells}
    unnamed = [name for name in sheet.header if re.fullmatch(r"\(column [0-9]+\)", name)]
    if len(beside & known) > 1:
        yield (
            "the names are in the first column: exchange rows and columns (Paste special, "
            "Transpose), so that each study has a row"
        )
    elif known & {plain_name(cell) for cell in below}:
        yield (
            f"row {sheet.rows[0]} has names of columns too ({', '.join(map(repr, below))}): write "
            "one row of names, a different one over each column"
        )
    elif sum(bool(_COUNT.fullmatch(name)) for name in sheet.header) > 1:
        yield (
            f"row {sheet.header_row} looks like a study: write a row with the names of the columns "
            "above it"
        )
    elif unnamed:
        yield (
            f"row {sheet.header_row} has no name for {', '.join(map(repr, unnamed))}: write it "
            "there (a cell merged over several rows has its text in the first)"
        )
    for place, name in enumerate(sheet.header):
        cells = [str(record[place]) for record in sheet.cells if str(record[place]).strip()]
        if {"events", "n"} & set(lacking) and cells and all(map(_OUT_OF.match, cells)):
            yield (
                f"{name!r} has events and people in one cell, as in {cells[0]!r}: write them "
                "into two columns"
            )


def _asked(role: str, options: bool) -> str:
    what, option = _NEEDED[role]
    return f"a column of {what} (choose it{f' with {option}' if options else ''})"


def usable_sheet(
    opened: Opened,
    roles: Mapping[str, str],
    numbers: Sequence[str],
    missing: Sequence[str] = (),
) -> Sheet:
    """Keep the columns with a role, each cell in the form that the checks of cells expect.

    A word for a missing number becomes an empty cell, a decimal comma a point; a row without label
    and counts, such as a footnote, is named by its number, and labels that are used twice get the
    year and, where that is not enough, their row. Counts stay as they are.
    """
    sheet = opened.sheet
    header = sheet.header
    counts = [roles[role] for role in (*COUNTS, *EFFECTS) if role in roles]
    words = MISSING_WORDS | {word.strip().casefold() for word in missing}
    used = list(dict.fromkeys([*roles.values(), *numbers]))
    problems = []
    for name in used:
        if name in opened.repeated or header.count(name) > 1:
            expected = "a column name used once"
            problems.append(sheet.problem(sheet.header_row, name, name, expected))
    cells = []
    places = [header.index(name) if name in header else None for name in used]
    for row, record in zip(sheet.rows, sheet.cells, strict=True):
        made = []
        for name, place in zip(used, places, strict=True):
            if place is None:
                continue
            cell = record[place]
            if isinstance(cell, str) and (name in counts or name in numbers):
                if cell.strip().casefold() in words:
                    cell = ""
                elif name in numbers:
                    cell = _pointed(cell, opened, sheet, row, name, problems)
            made.append(cell)
        cells.append(made)
    sheet.refuse(problems)
    kept = [name for name, place in zip(used, places, strict=True) if place is not None]
    if {roles["study"], *counts} <= set(kept):
        label, *places_of_counts = (kept.index(name) for name in (roles["study"], *counts))
        for row, made in zip(sheet.rows, cells, strict=True):
            if made[label] == "" and all(made[place] == "" for place in places_of_counts):
                made[label] = f"(row {row})"
        _tell_apart(sheet, cells, label)
    return replace(sheet, header=tuple(kept), cells=tuple(tuple(made) for made in cells))


def _tell_apart(sheet: Sheet, cells: list[list[Any]], label: int) -> None:
    """Add the year to labels that are used twice, and the row to those that still are."""
    years = [i for i, name in enumerate(sheet.header) if plain_name(name) in names()["year"]]
    labels = [made[label] for made in cells]
    if len(set(labels)) < len(labels) and len(years) == 1:
        for made, record in zip(cells, sheet.cells, strict=True):
            year = str(record[years[0]]).strip()
            if made[label] != "" and year and year not in str(made[label]):
                made[label] = f"{made[label]} {year}"
        labels = [made[label] for made in cells]
    used = Counter(labels)
    for row, made in zip(sheet.rows, cells, strict=True):
        if made[label] != "" and used[made[label]] > 1:
            made[label] = f"{made[label]} (row {row})"


def _pointed(
    cell: str, opened: Opened, sheet: Sheet, row: int, name: str, problems: list[CellProblem]
) -> str:
    """Write a decimal comma as a point where the table has such; a point is then ambiguous."""
    if not opened.decimal_comma:
        return cell
    if re.fullmatch(r"-?[0-9]+,[0-9]+", cell):
        return cell.replace(",", ".")
    if re.search(r"[0-9]\.[0-9]", cell):
        expected = "a number with a decimal comma, as in other cells, and no point"
        problems.append(sheet.problem(row, name, cell, expected))
    return cell


def read_own(
    source: Source,
    given: Mapping[str, str | None],
    *,
    numeric: Sequence[str] = (),
    missing: Sequence[str] = (),
    sheet: str | int | None = None,
    scale: str | None = None,
) -> OwnTable:
    r"""Open a table, find its columns and check them.

    Parameters
    ----------
    source : str, path, bytes, file-like or pandas.DataFrame
        As in `helpers.evidence.opening.open_table`.
    given : mapping
        Roles (``study, events, n, time, effect, se, lower, upper, by, follow_up, cluster,
        risk_of_bias``) and the columns that were named for them; None where none was.
    numeric : sequence of str
        Further columns that hold numbers.
    missing : sequence of str
        Words for a missing number, besides the usual ones.
    sheet : str or int, optional
        Sheet of a spreadsheet.
    scale : str, optional
        What the effects are, of `helpers.evidence.given.SCALES`; by default what the name of their
        column says, and else "raw".

    Raises
    ------
    EvidenceError
        With every bad cell of the columns that are used, or the columns that cannot be guessed.

    Examples
    --------
    >>> own = read_own(b"Author;Cases;Total\nA;3;40\nB;NR;50\n", {})
    >>> own.understood
    "semicolons; study = 'Author', events = 'Cases', n = 'Total'"
    >>> own.data["Cases"].tolist()
    [3, <NA>]
    """
    own = read_cells(source, given, numeric=numeric, missing=missing, sheet=sheet, scale=scale)
    data, roles, asked = as_frame(own.values, own.columns), own.roles, own.opened.sheet
    if is_frame(source):
        result = source.copy()
        for name in data:
            if name != roles.get("by"):  # a group keeps its type, such as an order
                result[name] = data[name].array
        return OwnTable(result, roles, own.rows, own.understood, own.scale)
    rest = {
        name: infer([record[place] for record in asked.cells])
        for place, name in enumerate(asked.header)
        if name not in data
    }
    data = data.assign(**rest)[list(asked.header)]
    return OwnTable(data, roles, own.rows, own.understood, own.scale)


@dataclass(frozen=True, slots=True)
class OwnCells:
    """The checked cells of a table by column, None where one is empty."""

    values: Mapping[str, list[Any]]
    columns: list[ColumnSchema]
    roles: Mapping[str, str]
    rows: tuple[int, ...]  # of the spreadsheet
    understood: str
    scale: str
    opened: Opened


def read_cells(
    source: Source,
    given: Mapping[str, str | None],
    *,
    numeric: Sequence[str] = (),
    missing: Sequence[str] = (),
    sheet: str | int | None = None,
    scale: str | None = None,
    file: str | None = None,
    only: Collection[str] = (),
    options: bool = True,
) -> OwnCells:
    """Open a table, find its columns and check their cells, as `read_own` does.

    Of the roles those of `only` are read, if there are any.
    """
    named = [name for name in (*given.values(), *numeric) if name is not None]
    opened = open_table(source, wanted=named, sheet=sheet, file=file)
    roles = choose_columns(opened, given, numeric, options=options)
    if only:
        roles = {role: roles[role] for role in only if role in roles}
    guessed_scale, scale = scale is None, scale_of(roles, scale)
    grid, columns, rules = prepare(opened, roles, numeric, missing, scale)
    values = read_columns(grid, columns, rules)
    needed = [roles[role] for role in (*COUNTS, *EFFECTS) if role in roles]
    if not any(None not in row for row in zip(*(values[n] for n in needed), strict=True)):
        what = "both counts" if "events" in roles else "an effect and its spread"
        listed = (" and " if len(needed) == 2 else ", ").join(map(repr, needed))
        kind = "counts" if "events" in roles else "numbers"
        raise whole(grid.file, f"no row with {what}", f"{kind} in {listed}")
    said = understood(opened, roles, given, scale if guessed_scale else "")
    return OwnCells(values, columns, roles, grid.rows, said, scale, opened)


def scale_of(roles: Mapping[str, str], scale: str | None) -> str:
    """Give the scale of the effects of a table, empty for counts."""
    if "effect" not in roles:
        if scale is not None:
            raise MetaAnalysisError(f"scale={scale!r} is of effects, and the table gives counts")
        return ""
    scale = scale_by_name(roles["effect"]) if scale is None else one_of("scale", scale, SCALES)
    if scale in ("ratio", "proportion") and "lower" not in roles:
        to, what = ("logarithms", "log-ratio") if scale == "ratio" else ("logits", "logit")
        raise MetaAnalysisError(
            f"scale {scale!r} needs limits (--lower, --upper), because the standard error or the "
            f"variance of a {scale} is usually that of its {to[:-1]}; give {to} with scale "
            f"{what!r}, or scale 'raw' where they belong to the numbers as they are"
        )
    return scale


def prepare(
    opened: Opened,
    roles: Mapping[str, str],
    numeric: Sequence[str],
    missing: Sequence[str],
    scale: str,
) -> tuple[Sheet, list[ColumnSchema], list[TableRule]]:
    """Give the cells of the columns with a role, what each may hold, and rules between them."""
    columns = describe(roles, numeric, scale=scale)
    numbers = [column.name for column in columns if column.kind == "number"]
    grid = usable_sheet(opened, roles, numbers, missing)
    if "lower" in roles:
        effect = roles["effect"]
        return grid, columns, [at_most(roles["lower"], effect), at_most(effect, roles["upper"])]
    if "n" not in roles:
        return grid, columns, []
    rule = at_most(roles["events"], roles["n"])
    if _swapped(grid, roles):
        rule = replace(rule, expected=f"{rule.expected}; the two columns may be swapped")
    return grid, columns, [rule]


def understood(
    opened: Opened, roles: Mapping[str, str], given: Mapping[str, str | None], scale: str = ""
) -> str:
    """Say in one line what a layout and its columns were taken for; nothing where all is usual.

    `scale` is that of effects which nobody named.
    """
    said = list(opened.understood)
    if scale not in ("", "raw"):
        said.append(f"{roles['effect']!r} is a {scale.replace('-', ' ')}")
    found = [
        f"{role} = {name!r}"
        for role, name in roles.items()
        if given.get(role) is None and plain_name(name) not in (plain_name(role), ours(role))
    ]
    if found:
        said.append(", ".join(found))
    return "; ".join(said)


def _swapped(grid: Sheet, roles: Mapping[str, str]) -> bool:
    """Tell whether most rows have more events than people."""
    if not {roles["events"], roles["n"]} <= set(grid.header):
        return False
    one, two = (grid.header.index(roles[role]) for role in ("events", "n"))
    pairs = [(str(record[one]), str(record[two])) for record in grid.cells]
    known = [(float(x), float(n)) for x, n in pairs if x.isdecimal() and n.isdecimal()]
    return len(known) > 1 and 2 * sum(x > n for x, n in known) > len(known)

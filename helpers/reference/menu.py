"""Methods and conventions as entries, read from TOML files and shown as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import MetaAnalysisError
from ..evidence.pages import page_content, record
from ..views.prose import Sentence, list_table
from .names import check_use, registered_values

__all__ = [
    "Convention",
    "Conventions",
    "Menu",
    "MenuOption",
    "Method",
    "read_conventions",
    "read_menu",
]

_NONE = "\N{EN DASH}"
#: What the conventions say of a package that lacks a method.
NOT_OFFERED = "Not offered."


@dataclass(frozen=True, slots=True)
class Method:
    """One value of an option, or one call."""

    value: str  # what is typed
    name: str  # the method in words
    formula: str  # in LaTeX without dollar signs; may be empty
    source: tuple[str, ...]  # keys in the bibliography
    metafor: str  # how the R packages call it; empty if they do not have it or it is not known
    meta: str
    test: str  # compares our values with R's; empty if the names come from documentation


@dataclass(frozen=True, slots=True)
class MenuOption:
    """The methods behind one argument, or one family of calls."""

    id: str
    title: str
    uses: tuple[str, ...]  # calls that take the option (see `check_use`)
    registry: str  # where the code lists the values (see `registered_values`); may be empty
    methods: tuple[Method, ...]


@dataclass(frozen=True, slots=True)
class Menu:
    """The method menu: options by id, in the order of the file."""

    options: Mapping[str, MenuOption]

    def values(self, option: str) -> tuple[str, ...]:
        """Values of one option, in the order of the file."""
        return tuple(method.value for method in self.options[option].methods)

    def table(
        self, option: str, results: Mapping[str, str], heading: str = "Our cohorts"
    ) -> Sentence:
        """Show the methods of one option as a table of the page, with formulas and citations.

        Parameters
        ----------
        option : str
            Id of the option.
        results : mapping of str to str
            What each value gives on the data; every value must be there.
        heading : str
            Heading of the results.
        """
        group = self.options[option]
        _agree(f"results of {option!r}: missing", results, self.values(option))
        rows = [["Method", heading, "Formula, source, names in R"]]
        for method in group.methods:
            result = results[method.value]
            rows.append([f"`{method.value}` {method.name}", result, _behind(method)])
        listed = list_table(group.title, rows, "28 24 48", name=f"menu-{group.id}", class_="menu")
        return Sentence(f"{_used(group.uses)}\n\n{listed}")

    def tables(self, *parts: tuple[str, Mapping[str, str], str]) -> Sentence:
        """Show several tables below each other; each part holds the arguments of `table`."""
        return Sentence("\n\n".join(str(self.table(*part)) for part in parts))


@dataclass(frozen=True, slots=True)
class Convention:
    """One statistical choice that could have gone another way."""

    id: str
    title: str
    choice: str  # what we do
    why: str
    metafor: str  # what the R packages do
    meta: str
    source: tuple[str, ...]  # keys in the bibliography
    tests: tuple[str, ...]  # names of the tests that hold the code to the choice
    uses: tuple[str, ...]  # calls and defaults it is about (see `check_use`)


@dataclass(frozen=True, slots=True)
class Conventions:
    """All conventions by theme, in the order of the file."""

    themes: Mapping[str, tuple[Convention, ...]]

    def __iter__(self) -> Iterator[Convention]:
        return (entry for entries in self.themes.values() for entry in entries)

    def theme(self, *names: str) -> Sentence:
        """Show the entries of one theme, or of several, as a list of definitions."""
        entries = [entry for name in names for entry in self.themes[name]]
        return Sentence("\n\n".join(map(_definition, entries)))


def _definition(entry: Convention) -> str:
    parts = [
        f"{entry.choice} *Why:* {entry.why}",
        _practice(entry),
        f"*Source:* {_cited(entry.source)}. {_used(entry.uses)}.",
    ]
    body = "\n\n  ".join(filter(None, parts))
    return f"[{entry.title}]{{#convention-{entry.id}}}\n: {body}"


def _practice(entry: Convention) -> str:
    if entry.metafor == entry.meta == NOT_OFFERED:  # the page says so once for all
        return ""
    if entry.metafor == entry.meta:
        return f"*metafor and meta:* {entry.meta}"
    return f"*metafor:* {entry.metafor} *meta:* {entry.meta}"


def _cited(keys: Iterable[str]) -> str:
    found = tuple(keys)
    return f"{{cite:t}}`{','.join(found)}`" if found else _NONE


def _used(uses: Iterable[str]) -> str:
    return "*Here:* " + ", ".join(f"`{_short(use)}`" for use in uses)


def _short(use: str) -> str:
    """Name without what a reader can do without: a function alone, an attribute with its class."""
    name, bracket, option = use.partition("(")
    parts = name.split(".")
    alone = parts[-1].islower() and not parts[-2][:1].isupper()
    return ".".join(parts[-1:] if alone else parts[-2:]) + bracket + option


def _behind(method: Method) -> str:
    """Write formula, source and names in R as paragraphs."""
    names = [
        f"{package} {name}"
        for package, name in (("metafor", method.metafor), ("meta", method.meta))
        if name
    ]
    known = "values compared" if method.test else "by documentation"
    in_r = f"{', '.join(names)} ({known})" if names else "no name in metafor or meta"
    if method.test and not names:
        in_r += " (compared with other values from R)"
    formula = [rf"$\displaystyle {method.formula}$"] if method.formula else []
    return "\n\n".join([*formula, f"{_cited(method.source)}; {in_r}"])


def _agree(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse values that are not those of the code, each once."""
    here, there = list(given), set(known)
    if set(here) != there or len(here) > len(there):
        raise MetaAnalysisError(
            f"{what} {sorted(there - set(here)) or 'none'}, "
            f"unknown {sorted(set(here) - there) or 'none'}"
        )


def read_menu(path: str | Path | None = None) -> Menu:
    """Read the method menu and compare it with the code.

    Parameters
    ----------
    path : str or Path, optional
        TOML file with tables ``[[option]]`` (id, title, uses, registry) and under each
        ``[[option.method]]`` with the fields of `Method`. By default the book's own.

    Raises
    ------
    MetaAnalysisError
        Fields are missing, a call does not exist, or the values differ from those of the code.
    """
    options = {}
    for table in page_content("method_menu.toml", path)["option"]:
        name = str(table.get("id"))
        methods = tuple(
            record(Method, row, f"{name}, method {row.get('value')!r}")
            for row in table.pop("method", [])
        )
        group = record(MenuOption, {**table, "methods": []}, f"option {name!r}")
        shown = tuple(method.value for method in methods)
        known = registered_values(group.registry) if group.registry else shown
        _agree(f"option {name!r}: without an entry", shown, known)
        for use in group.uses:
            check_use(use)
        options[name] = replace(group, methods=methods)
    return Menu(options)


def read_conventions(path: str | Path | None = None) -> Conventions:
    """Read the conventions and compare the calls they name with the code.

    Parameters
    ----------
    path : str or Path, optional
        TOML file with one array of tables per theme, each with the fields of `Convention`. By
        default the book's own.

    Raises
    ------
    MetaAnalysisError
        Fields are missing, an id is taken twice, or a call or default does not exist.
    """
    themes: dict[str, tuple[Convention, ...]] = {}
    seen: set[str] = set()
    for theme, rows in page_content("conventions.toml", path).items():
        entries = []
        for row in rows:
            entry = record(Convention, row, f"{theme}, entry {row.get('id')!r}")
            if entry.id in seen:
                raise MetaAnalysisError(f"{theme}: the id {entry.id!r} is taken")
            seen.add(entry.id)
            for use in entry.uses:
                check_use(use)
            entries.append(entry)
        themes[theme] = tuple(entries)
    return Conventions(themes)

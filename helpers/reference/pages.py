"""Pages of the reference as Markdown, for the book's Sphinx."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from ..views.prose import Sentence
from .contents import Entry, Room, entries, rooms
from .docstrings import LISTS, Docstring, fields_of, markdown, parse_docstring, typed
from .examples import ExampleStep, run_examples
from .names import PACKAGE

__all__ = ["room_index", "room_page"]

ROOT = Path(__file__).resolve().parents[2]
Runner = Callable[[Any, str], tuple[ExampleStep, ...]]


@cache
def _names() -> dict[str, str]:
    """Every dotted name by which a documented object may be called -> its name here."""
    known: dict[str, str] = {}
    for room in rooms():
        for entry in entries(room):
            last = entry.name.rsplit(".", 1)[1]
            for name in (entry.name, f"{entry.module}.{last}"):
                known.setdefault(name, entry.name)
    return known


def room_page(room: Room, address: str | None, run: Runner = run_examples) -> str:
    """Write one page of the reference, without its title, as Markdown with Sphinx's directives.

    The path of a file is appended to `address`, where its source can be read; `run` runs the
    examples of an object. `ExampleError` when one prints something else than its docstring says.

    Examples
    --------
    >>> from helpers.reference import rooms
    >>> page = room_page(rooms()[3], "https://example.org/")
    >>> "{py:function} meta_regression(" in page
    True
    """
    makers = _makers(room)
    parts = []
    for module in room.modules:
        loaded: Any = import_module(module)
        doc = parse_docstring(loaded.__doc__)
        parts += [f"## `{module}`", _linked(markdown(f"{doc.summary}\n\n{doc.text}"), room)]
        mine = [entry for entry in entries(room) if entry.module == module]
        parts += [_entry(entry, room, address, run, makers) for entry in mine]
    return "\n\n".join(parts) + "\n"


def room_index() -> Sentence:
    """Write the list of all names with what each does, page by page.

    Examples
    --------
    >>> str(room_index()).count("{py:obj}") > 100
    True
    """
    parts = []
    for room in rooms():
        parts.append(f"### [{room.title}](reference/{room.id}.md)")
        lines = []
        for entry in entries(room):
            if entry.kind != "data":
                doc = parse_docstring(inspect.getdoc(entry.found))
                name = entry.name.removeprefix(f"{PACKAGE}.")
                lines.append(f"{{py:obj}}`{name} <{entry.name}>`\n: {markdown(doc.summary)}")
        parts.append("\n\n".join(lines))
    return Sentence("\n\n".join(parts))


def _told(found: Any) -> Docstring:
    """Read the docstring of a function; what it returns may be told by the annotation alone."""
    doc = parse_docstring(inspect.getdoc(found))
    given = getattr(inspect.unwrap(found), "__annotations__", {}).get("return", "None")
    if "Returns" in doc.lists or given == "None":
        return doc
    lists = {**doc.lists, "Returns": ((typed(str(given)), "", ""),)}
    return replace(doc, lists={name: lists[name] for name in LISTS if name in lists})


def _makers(room: Room) -> dict[str, list[str]]:
    """Class -> functions of the page whose docstrings say that they return it."""
    made: dict[str, list[str]] = {}
    for entry in entries(room):
        if entry.kind == "function":
            for name, kind, _ in _told(entry.found).lists.get("Returns", ()):
                for word in re.findall(r"\b[A-Z]\w+", f"{name} {kind}"):
                    made.setdefault(word, []).append(entry.name)
    return made


def _entry(
    entry: Entry, room: Room, address: str | None, run: Runner, makers: dict[str, list[str]]
) -> str:
    if entry.kind == "data":
        return _data(entry)
    doc = _told(entry.found)
    fields = fields_of(entry.found) if entry.kind == "class" else ()
    if any(text for _, _, text in fields):
        doc.lists["Attributes"] = fields
    steps = run(entry.found, entry.name)
    lines = [_body(doc, room, steps)]
    module, _, last = entry.name.rpartition(".")
    if entry.kind == "class":
        if makers.get(last):
            made = ", ".join(f"{{py:obj}}`{n.rsplit('.', 1)[1]} <{n}>`" for n in makers[last])
            lines.insert(1, f"Comes from {made}.")
        lines += _members(entry, room, run)
    if address is not None:
        lines.append(f"[Source]({_source(entry.found, address)})")
    # readers call functions, and those classes whose objects no function gives them
    called = entry.kind == "function" or doc.lists.get("Parameters") or "Examples" in doc.texts
    signature = _signature(entry.found) if called else ""
    body = "\n\n".join(lines)
    # With the module apart the index says "pool() (in module helpers)", not "built-in function".
    return f"::::::{{py:{entry.kind}}} {last}{signature}\n:module: {module}\n\n{body}\n\n::::::"


def _members(entry: Entry, room: Room, run: Runner) -> Iterator[str]:
    """Methods and properties of a class that have a docstring of their own."""
    for name, member in vars(entry.found).items():
        plain = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
        shown = plain.fget if isinstance(plain, property) else plain
        if name.startswith("_") or not inspect.isfunction(shown) or not shown.__doc__:
            continue
        full = f"{entry.name}.{name}"
        kind = "property" if isinstance(plain, property) else "method"
        signature = "" if kind == "property" else _signature(shown, skip=member is plain)
        doc = parse_docstring(inspect.getdoc(shown)) if kind == "property" else _told(shown)
        body = _body(doc, room, run(shown, full))
        yield f":::::{{py:{kind}}} {name}{signature}\n\n{body}\n\n:::::"


def _data(entry: Entry) -> str:
    value = entry.found
    listed = isinstance(value, (tuple, list, set, frozenset, dict)) or hasattr(value, "keys")
    if isinstance(value, Path):  # where the files lie on a reader's machine is for the reader
        value = value.relative_to(ROOT).as_posix()
    names = (
        ", ".join(f"`{getattr(one, '__name__', one)}`" for one in value)
        if listed
        else f"`{value!r}`"
    )
    text = f"{'Names' if hasattr(value, 'keys') else 'Values'}: {names}." if listed else names
    module, _, last = entry.name.rpartition(".")
    return f"::::::{{py:data}} {last}\n:module: {module}\n\n{text}\n\n::::::"


def _signature(found: Any, *, skip: bool = False) -> str:
    """Write the arguments with their defaults, without types (the text has them)."""
    signature = inspect.signature(found)
    given = list(signature.parameters.values())[1 if skip else 0 :]
    plain = []
    for one in given:
        default = one.default
        if default is not one.empty:
            default = _Default(default)
        plain.append(one.replace(annotation=one.empty, default=default))
    return str(inspect.Signature(plain))


class _Default:
    """A default as one types it; what cannot be typed is three dots."""

    def __init__(self, value: Any) -> None:
        self.text = repr(value)

    def __repr__(self) -> str:
        return "..." if "<" in self.text or "\n" in self.text else self.text


def _body(doc: Docstring, room: Room, steps: tuple[ExampleStep, ...]) -> str:
    parts = [_linked(markdown(f"{doc.summary}\n\n{doc.text}"), room)]
    for section, items in doc.lists.items():
        parts += [f"```{{rubric}} {section}\n```", _definitions(items, section, room)]
    for section, text in doc.texts.items():
        if section != "Examples":
            parts += [f"```{{rubric}} {section}\n```", _linked(markdown(text), room)]
    if steps:
        parts.append("```{rubric} Example\n```")
        for step in steps:
            parts.append(f"```python\n{step.code}\n```")
            if step.output:
                parts.append(f"```{{code-block}} text\n:class: printed\n\n{step.output}\n```")
    return "\n\n".join(parts)


def _definitions(items: tuple[tuple[str, str, str], ...], section: str, room: Room) -> str:
    made = []
    for name, kind, text in items:
        shown = _plain(name) if section in ("Returns", "Yields") and not kind else f"`{name}`"
        typed = f" ({_plain(kind)})" if kind else ""
        head = _linked(f"{shown}{typed}", room)
        body = _linked(markdown(text), room).replace("\n", "\n  ") if text else ""
        # an empty definition is none: write such names as a paragraph
        made.append(f"{head}\n: {body}" if body else head)
    return "\n\n".join(made)


def _plain(text: str) -> str:
    text = re.sub(r"([*<$\[\]])", r"\\\1", text)
    return re.sub(r"""(["'])([\w.-]+)\1""", r'`"\2"`', text)


def _linked(text: str, room: Room) -> str:
    """Link names in backticks that stand in the reference."""
    known = _names()

    def link(match: re.Match[str]) -> str:
        name = match[1]
        candidates = [name, *(f"{module}.{name}" for module in room.modules), f"{PACKAGE}.{name}"]
        target = next((known[c] for c in candidates if c in known), None)
        return f"{{py:obj}}`{name} <{target}>`" if target else match[0]

    return re.sub(r"(?<![`{}\w])`([\w.]+)`(?!`)", link, text)


def _source(found: Any, address: str) -> str:
    path = Path(inspect.getsourcefile(found) or "").resolve().relative_to(ROOT).as_posix()
    return f"{address}{path}#L{inspect.getsourcelines(found)[1]}"

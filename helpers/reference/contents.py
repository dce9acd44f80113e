"""What is on which page of the reference."""

from __future__ import annotations

import ast
import inspect
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from .names import PACKAGE

__all__ = ["Entry", "Room", "entries", "rooms"]


@dataclass(frozen=True, slots=True)
class Room:
    """A page of the reference, with the dotted names of its modules."""

    id: str
    title: str
    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A public function, class or value."""

    name: str  # the dotted name that a reader imports
    module: str  # dotted name of the module that offers it
    kind: str  # "function", "class" or "data"
    found: Any


@cache
def rooms() -> tuple[Room, ...]:
    """List the pages with their modules.

    Examples
    --------
    >>> [room.id for room in rooms()][:3]
    ['evidence', 'effects', 'pooling']
    """
    pages = tomllib.loads(Path(__file__).with_name("contents.toml").read_text(encoding="utf-8"))
    return tuple(
        Room(page, about["title"], tuple(f"{PACKAGE}.{module}" for module in about["modules"]))
        for page, about in pages.items()
    )


def entries(room: Room) -> tuple[Entry, ...]:
    """List what the modules of a page offer; nothing stands on two pages.

    Functions, then classes, then values, by module; those of the door first, in the order of their
    names. A module without ``__all__`` offers what it defines.

    Examples
    --------
    >>> entries(rooms()[2])[0].name
    'helpers.pool'
    """
    found: list[Entry] = []
    for module in room.modules:
        loaded: Any = import_module(module)
        looked = (_entry(module, name, getattr(loaded, name)) for name in public_names(loaded))
        known = {one.name for one in found}  # a room may offer what its modules do
        made = [one for one in looked if one is not None and one.name not in known]
        order = {"function": 0, "class": 1, "data": 2}
        found += sorted(
            made, key=lambda one: (order[one.kind], one.name.count("."), one.name.lower())
        )
    return tuple(found)


@cache
def public_names(module: Any) -> tuple[str, ...]:
    """Names that a module lists in ``__all__``, or else defines at its top and does not hide."""
    if hasattr(module, "__all__"):
        return tuple(module.__all__)
    names: list[str | None] = []
    for one in ast.parse(inspect.getsource(module)).body:
        targets = getattr(one, "targets", [getattr(one, "target", None)])
        names += [getattr(one, "name", None), *(getattr(to, "id", None) for to in targets)]
    return tuple(name for name in names if name is not None and not name.startswith("_"))


def _entry(module: str, name: str, offered: Any) -> Entry | None:
    if inspect.ismodule(offered):  # a room, whose names have their own entries
        return None
    # the function under decorators such as ``functools.cache``; anything else as it is
    inner = inspect.unwrap(offered) if callable(offered) else offered
    found = inner if inspect.isfunction(inner) else offered
    if inspect.isfunction(found) or inspect.isclass(found):
        kind = "class" if inspect.isclass(found) else "function"
    else:
        kind = "data"
    home = getattr(found, "__module__", module) if kind != "data" else module
    review = f"{PACKAGE}.review"
    # What the review only puts into its own words is described where it is made.
    if not str(home).startswith(review if module.startswith(review) else PACKAGE):
        return None
    return Entry(_offered_as(module, name, offered), module, kind, found)


def _offered_as(module: str, name: str, offered: Any) -> str:
    """Give the name by which a chapter has it: from the door, from a room of the door, or deep."""
    front: Any = import_module(PACKAGE)
    doors = {PACKAGE: front, f"{PACKAGE}.review": front.review}
    doors |= {f"{PACKAGE}.{room}": getattr(front, room) for room in front.ROOMS}
    for door, package in doors.items():
        if name in public_names(package) and getattr(package, name) is offered:
            return f"{door}.{name}"
    return f"{module}.{name}"

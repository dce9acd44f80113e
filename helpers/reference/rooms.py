"""What is on which page of the reference."""

from __future__ import annotations

import inspect
import pkgutil
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import helpers
from helpers.errors import MetaAnalysisError

__all__ = ["ROOMS", "Entry", "Room", "entries", "rooms"]

#: Page -> (title, modules in order). Modules that stand nowhere come on the last page.
ROOMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "evidence": ("Evidence", ("evidence",)),
    "effects": ("Effects", ("effects", "measures", "proportion_intervals")),
    "pooling": ("Pooling", ("pooling", "beta_binomial", "multilevel", "dependence")),
    "subgroups": (
        "Subgroups and regression",
        ("subgroups", "regression", "moderators", "moderator_tables"),
    ),
    "influence": ("Influence and resampling", ("influence", "resampling")),
    "bias": ("Small-study effects", ("bias",)),
    "bayes": ("Bayes", ("bayes",)),
    "rates": ("Rates", ("rates",)),
    "causes": ("Causes of death", ("causes",)),
    "multiverse": ("Multiverse and simulation", ("multiverse", "simulation")),
    "published": (
        "Published results and corrections",
        (
            "reproduction",
            "published_models",
            "published_tests",
            "published_comparison",
            "corrections",
        ),
    ),
    "plots": ("Plots", ("plots",)),
    "tables": ("Tables and prose", ("tables", "prose")),
    "tools": ("Tools of the book", ("menu", "reference", "distributions", "errors")),
}
LAST = "tools"
#: Modules that serve others and are called by no chapter.
INTERNAL = (
    "batch_intervals",
    "distributions_pure",
    "shared_results",
    "subgroup_glmm",
    "subgroup_likelihood",
)


@dataclass(frozen=True, slots=True)
class Room:
    """A page of the reference.

    Attributes
    ----------
    id, title : str
    modules : tuple of str
        Dotted names.
    """

    id: str
    title: str
    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A public function, class or value.

    Attributes
    ----------
    name : str
        The dotted name that a reader imports.
    module : str
        Dotted name of the module that offers it.
    kind : str
        "function", "class" or "data".
    found : object
    """

    name: str
    module: str
    kind: str
    found: Any


def rooms() -> tuple[Room, ...]:
    """List the pages with all public modules.

    Examples
    --------
    >>> [room.id for room in rooms()][:3]
    ['evidence', 'effects', 'pooling']
    """
    placed = {module for _, modules in ROOMS.values() for module in modules}
    public = [m.name for m in pkgutil.iter_modules(helpers.__path__) if not m.name.startswith("_")]
    rest = tuple(name for name in public if name not in placed and name not in INTERNAL)
    return tuple(
        Room(key, title, tuple(f"helpers.{m}" for m in (*modules, *(rest if key == LAST else ()))))
        for key, (title, modules) in ROOMS.items()
    )


def entries(room: Room) -> tuple[Entry, ...]:
    """List what the modules of a page offer; nothing stands on two pages.

    Parameters
    ----------
    room : Room

    Returns
    -------
    tuple of Entry
        Functions, then classes, then values, by module, in the order of their names.

    Raises
    ------
    MetaAnalysisError
        A module does not say what is public (``__all__``).

    Examples
    --------
    >>> entries(rooms()[2])[0].name
    'helpers.pool'
    """
    found: list[Entry] = []
    for module in room.modules:
        loaded: Any = import_module(module)
        names = getattr(loaded, "__all__", None)
        if names is None:
            raise MetaAnalysisError(f"{module} has no __all__")
        looked = (_entry(module, name, getattr(loaded, name)) for name in names)
        made = [one for one in looked if one is not None]
        order = {"function": 0, "class": 1, "data": 2}
        found += sorted(made, key=lambda one: (order[one.kind], one.name.lower()))
    return tuple(found)


def _entry(module: str, name: str, found: Any) -> Entry | None:
    if inspect.ismodule(found):  # a module that is called like its function
        found = getattr(found, name)
    offered, found = found, _undecorated(found)
    if inspect.isfunction(found) or inspect.isclass(found):
        kind = "class" if inspect.isclass(found) else "function"
    else:
        kind = "data"
    home = getattr(found, "__module__", module) if kind != "data" else module
    if not str(home).startswith("helpers"):
        return None
    top = helpers.__all__
    short = name in top and _same(getattr(helpers, name), name, offered) and kind != "data"
    return Entry(f"helpers.{name}" if short else f"{module}.{name}", module, kind, found)


def _undecorated(found: Any) -> Any:
    """Give the function under decorators such as ``functools.cache``; anything else as it is."""
    inner = inspect.unwrap(found) if callable(found) else found
    return inner if inspect.isfunction(inner) else found


def _same(offered: Any, name: str, found: Any) -> bool:
    """Tell whether the package offers this object, or a module that is called like it."""
    return offered is found or (inspect.ismodule(offered) and getattr(offered, name) is found)

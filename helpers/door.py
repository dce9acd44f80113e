"""Doors of rooms: public names whose modules load when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazy"]


def lazy(
    package: str, homes: Mapping[str, str], modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    Parameters
    ----------
    package : str
        ``__name__`` of the package.
    homes : mapping
        Public name -> module that defines it, relative to the package (".models.pooling").
    modules : mapping
        Public name -> module that is meant by it.

    Returns
    -------
    tuple of callable
        A name that was asked for is kept, so that it is looked up once.

    Examples
    --------
    >>> find, names = lazy("helpers", {"pool": ".models.pooling"}, {})
    >>> find("pool").__module__, names()
    ('helpers.models.pooling', ['pool'])
    """

    def find(name: str) -> Any:
        if name in homes:
            found = getattr(import_module(homes[name], package), name)
        elif name in modules:
            found = import_module(modules[name], package)
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, found)
        return found

    return find, lambda: sorted({*homes, *modules})

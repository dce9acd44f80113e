"""Doors of rooms: public names that load when they are first used, and strings as they are read."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["homes", "lazy", "pd", "show_strings_as_read"]


class _Later:
    """A library that is loaded when something of it is first used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


if TYPE_CHECKING:
    import pandas as pd
else:
    #: A fit of arrays needs no pandas, and half of the time of an import would be that of pandas.
    pd = _Later("pandas")


def homes(names: Mapping[str, str]) -> dict[str, str]:
    """Give the module that defines each name, from the names of each module.

    >>> homes({".models.pooling": "pool pool_effects"})
    {'pool': '.models.pooling', 'pool_effects': '.models.pooling'}
    """
    return {name: module for module, defined in names.items() for name in defined.split()}


def lazy(
    package: str, homes: Mapping[str, str], modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    `homes` names the module that defines each name, `modules` the module that is meant by it, both
    relative to the package. What was asked for is kept, so that it is looked up once.

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


def as_read(text: str) -> str:
    r"""Give a string in quotes, as it is read: the blanks that do not break stay blanks.

    Python's own ``repr`` writes ``\xa0`` for them, and JupyterLab prints that in the prose.

    >>> as_read("95%\xa0CI") == "'95%\xa0CI'"
    True
    >>> print(as_read("Miller's"))
    "Miller's"
    """
    quote = '"' if "'" in text and '"' not in text else "'"

    def plain(letter: str) -> str:
        read = letter.isprintable() or unicodedata.category(letter) == "Zs"
        return letter if read else repr(letter)[1:-1]

    return quote + "".join(map(plain, text)) + quote


def show_strings_as_read() -> None:
    """Let a notebook's kernel, now or when it starts, show strings with `as_read`.

    Values in the prose of a chapter (``{eval}``) are strings that the kernel shows. Where IPython
    is not loaded nothing happens.
    """
    ipython, pretty = map(sys.modules.get, ("IPython", "IPython.lib.pretty"))
    if ipython is None or pretty is None:
        return

    def show(text: str, printer: Any, cycle: bool) -> None:
        printer.text(as_read(text))

    pretty.for_type(str, show)  # shells to come, as in a kernel that was forked after the import
    if (shell := ipython.get_ipython()) is not None:
        shell.display_formatter.formatters["text/plain"].for_type(str, show)

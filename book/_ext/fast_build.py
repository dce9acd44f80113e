"""Sphinx extension: pages are read and written on all cores, and nothing is done twice.

Each mend stands for something that belongs upstream; the site is the same, byte for byte.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import pybtex.plugin
import sphinx.builders
from dependencies import collect_seldom
from docutils import nodes
from sphinx import addnodes

# Both write their results when all pages have been read: the numbers of sections come with
# "env-get-updated", the contents with "builder-inited". They do not declare it.
SAFE = ("sphinx_multitoc_numbering", "sphinx_external_toc")


def _find_plugins_once() -> None:
    """Spare the bibliography the search in the metadata of all packages at each use."""
    pybtex.plugin._load_entry_point = cache(pybtex.plugin._load_entry_point)


def titles_alone(toc: nodes.Element) -> nodes.Element:
    """Give a copy of a page's table of contents without its headings below the title.

    Sphinx copies all headings of all pages into the sidebar of each page and then takes them out.
    """
    slim = toc.deepcopy()
    for item in slim.children:
        if isinstance(item, nodes.Element) and len(item) > 1:
            below = list(item.findall(addnodes.toctree))
            if below:
                item[1][:] = below  # type: ignore[index]
            else:
                item.pop(1)
    return slim


def _slim_sidebar(app: Any) -> None:
    if app.builder.format != "html":
        return
    env, whole = app.env, app.builder._get_local_toctree
    slim: dict[str, nodes.Element] = {}

    def local_toctree(docname: str, collapse: bool = True, **options: Any) -> str:
        if not options.get("titles_only"):
            return whole(docname, collapse=collapse, **options)
        if slim.keys() != env.tocs.keys():
            slim.clear()
            slim.update({name: titles_alone(toc) for name, toc in env.tocs.items()})
        full, env.tocs = env.tocs, slim
        try:
            return whole(docname, collapse=collapse, **options)
        finally:
            env.tocs = full

    app.builder._get_local_toctree = local_toctree


def dealt(pages: Sequence[Any], processes: int) -> list[Sequence[Any]]:
    """Deal pages out like cards: what stands together in the alphabet is alike in length.

    Examples
    --------
    >>> dealt("abcdef", 1)
    ['ae', 'bf', 'c', 'd']
    """
    hands = min(len(pages), 4 * processes)
    return [pages[i::hands] for i in range(hands)]


def _on_all_cores(app: Any) -> None:
    collect_seldom()
    app.parallel = os.cpu_count() or 1
    for name in SAFE:
        app.extensions[name].parallel_read_safe = True
        app.extensions[name].parallel_write_safe = True
    sphinx.builders.make_chunks = dealt
    _slim_sidebar(app)


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    _find_plugins_once()
    app.connect("builder-inited", _on_all_cores)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

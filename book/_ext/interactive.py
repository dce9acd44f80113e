"""Sphinx extension: the script of interactive pictures, on the pages that have one.

The files come from ``helpers/views/interactive/assets`` and lie in ``interactive/`` of the site,
outside ``_static``, whose scripts Jupyter Book adds to every page.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path
from typing import Any

from helpers.views.interactive.live_picture import ASSETS, KINDS

FOLDER = "interactive"
STYLE = "interactive.css"
_KIND = re.compile(r'<div class="interactive" data-interactive="([a-z]+)">')


def scripts_of(body: str) -> list[str]:
    """Give the scripts that the pictures of a page need, each once.

    Parameters
    ----------
    body : str
        HTML of the page.

    Examples
    --------
    >>> scripts_of('<div class="interactive" data-interactive="curve">')
    ['common.js', 'curve.js']
    >>> scripts_of("<p>none</p>")
    []
    """
    return list(dict.fromkeys(name for kind in _KIND.findall(body) for name in KINDS[kind]))


def _address(context: dict[str, Any], name: str) -> str:
    mark = hashlib.sha256((ASSETS / name).read_bytes()).hexdigest()[:8]
    return f"{context['pathto'](f'{FOLDER}/{name}', resource=True)}?v={mark}"


def page_context(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Name style and scripts in the head of a page with an interactive picture."""
    scripts = scripts_of(context.get("body") or "") if app.builder.name == "html" else []
    if not scripts:
        return
    lines = [f'<link rel="stylesheet" href="{_address(context, STYLE)}" />']
    lines += [f'<script defer src="{_address(context, name)}"></script>' for name in scripts]
    context["metatags"] = "\n".join([context.get("metatags") or "", *lines])


def _copy(app: Any, error: Exception | None) -> None:
    if error is None and app.builder.name == "html":
        folder = Path(app.outdir) / FOLDER
        folder.mkdir(exist_ok=True)
        for path in sorted(ASSETS.iterdir()):
            shutil.copyfile(path, folder / path.name)


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("html-page-context", page_context)
    app.connect("build-finished", _copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

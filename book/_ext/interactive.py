"""Sphinx extension: the script of interactive pictures, on the pages that have one.

The files come from ``helpers/views/interactive/assets`` and lie in ``interactive/`` of the site,
outside ``_static``, whose scripts Jupyter Book adds to every page. Many numbers are a script of
their own, which the page reads when their picture comes near the window.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

from helpers.views.interactive.live_picture import ASSETS, KINDS

FOLDER = "interactive"
STYLE = "interactive.css"
_KIND = re.compile(r'<div class="interactive" data-interactive="([a-z]+)">')


_MANY = 50_000  # letters of data, from which on they are not part of the page
_DATA = re.compile(
    r'(<div class="interactive" data-interactive="\w+">\s*<script type="application/json")>'
    r"(.*?)</script>",
    re.DOTALL,
)


def apart(body: str) -> tuple[str, dict[str, str]]:
    """Take the data out of the pictures that have much of it.

    Parameters
    ----------
    body : str
        HTML of the page.

    Returns
    -------
    body : str
        The HTML, which names the script in place of the data, with ``{}`` for its address.
    scripts : dict of name to str
        What each script says.

    Examples
    --------
    >>> data = '{"name":"one","rows":"' + 50_000 * "a" + '"}'
    >>> head = '<div class="interactive" data-interactive="curve"><script type="application/json"'
    >>> body, scripts = apart(f"{head}>{data}</script></div>")
    >>> body[len(head) :]
    ' data-name="one" data-from="data-one.js"></script></div>'
    >>> scripts["data-one.js"][:34]
    'window.interactive.data["one"]={"n'
    >>> apart(f"{head}>{{}}</script></div>")[1]
    {}
    """
    scripts: dict[str, str] = {}

    def take(match: re.Match[str]) -> str:
        if len(match[2]) < _MANY:
            return match[0]
        name = json.loads(match[2])["name"]
        file = f"data-{name}.js"
        scripts[file] = f"window.interactive.data[{json.dumps(name)}]={match[2]};\n"
        return f'{match[1]} data-name="{name}" data-from="{file}"></script>'

    return _DATA.sub(take, body), scripts


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


def _address(context: dict[str, Any], name: str, content: bytes) -> str:
    mark = hashlib.sha256(content).hexdigest()[:8]
    return f"{context['pathto'](f'{FOLDER}/{name}', resource=True)}?v={mark}"


def page_context(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Name style and scripts in the head of a page with an interactive picture."""
    scripts = scripts_of(context.get("body") or "") if app.builder.name == "html" else []
    if not scripts:
        return
    addresses = {
        name: _address(context, name, (ASSETS / name).read_bytes()) for name in (STYLE, *scripts)
    }
    lines = [f'<link rel="stylesheet" href="{addresses[STYLE]}" />']
    lines += [f'<script defer src="{addresses[name]}"></script>' for name in scripts]
    context["body"], many = apart(context["body"])
    for name, content in many.items():
        folder = Path(app.outdir) / FOLDER
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
        at = _address(context, name, content.encode())
        context["body"] = context["body"].replace(f'data-from="{name}"', f'data-from="{at}"')
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

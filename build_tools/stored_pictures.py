"""Pictures in stored outputs: as ``<img>``, which shows before the first run; inline on the site.

JupyterLab, VS Code and GitHub take inline ``<svg>`` out of the outputs of a notebook that is not
trusted, and leave its labels as a wall of text. An image whose address holds the drawing stays.
On the site the drawing is inline again, where it follows the theme and can be searched.
"""

from __future__ import annotations

import copy
import html
import re
from collections.abc import Callable
from urllib.parse import quote, unquote

from nbformat import NotebookNode

_SVG = re.compile(r"<svg\b.*?</svg>", re.S)
_START = "data:image/svg+xml;charset=utf-8,"
_IMAGE = re.compile(rf'<img src="{re.escape(_START)}([^"]*)"[^>]*>')
_PLAIN = " =:/;,()@!*~+-.|{}[]^`"  # signs that need no escape in an address between double quotes


def as_images(page: str) -> str:
    """Put each drawing of a page of HTML into the address of an image.

    Examples
    --------
    >>> as_images('<figure><svg viewBox="0 0 1 1"><title>A dot</title></svg></figure>')[:60]
    '<figure><img src="data:image/svg+xml;charset=utf-8,%3Csvg vi'
    """
    return _SVG.sub(_image, page)


def inline(page: str) -> str:
    """Put the drawings back: the opposite of `as_images`.

    Examples
    --------
    >>> page = '<p><svg><title>100% & a "dot" #1</title></svg></p>'
    >>> inline(as_images(page)) == page
    True
    """
    return _IMAGE.sub(lambda image: unquote(image[1]), page)


def _image(svg: re.Match[str]) -> str:
    words = [re.search(rf"<{tag}\b[^>]*>(.*?)</{tag}>", svg[0], re.S) for tag in ("title", "desc")]
    alt = ". ".join(html.unescape(found[1]).strip().rstrip(".") for found in words if found)
    widest = re.search(r"max-width: (\d+)px", svg[0])
    width = f"max-width: {widest[1]}px; " if widest else ""
    return (
        f'<img src="{_START}{quote(svg[0], safe=_PLAIN)}" alt="{html.escape(alt)}" '
        f'style="display: block; width: 100%; {width}background: white">'
    )


def store(notebook: NotebookNode) -> NotebookNode:
    """Make images of the drawings in the outputs of a notebook, in place."""
    return _with_pages(notebook, as_images)


def inlined(notebook: NotebookNode) -> NotebookNode:
    """Copy of a stored notebook with its drawings inline."""
    return _with_pages(copy.deepcopy(notebook), inline)


def _with_pages(notebook: NotebookNode, change: Callable[[str], str]) -> NotebookNode:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/html" in data:
                data["text/html"] = change(data["text/html"])
    return notebook

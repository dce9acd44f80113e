"""Pictures in stored outputs: as ``<img>``, which shows before the first run; inline on the site.

JupyterLab, VS Code and GitHub take inline ``<svg>`` out of the outputs of a notebook that is not
trusted, and leave its labels as a wall of text. An image whose address holds the drawing stays.
On the site the drawing is inline again, where it follows the theme and can be searched.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import html
import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, unquote

import nbformat
from nbformat import NotebookNode
from PIL import Image

_SVG = re.compile(r"<svg\b.*?</svg>", re.S)
_START = "data:image/svg+xml;charset=utf-8,"
_IMAGE = re.compile(rf'<img src="{re.escape(_START)}([^"]*)"[^>]*>')
_HOLDER = re.compile(
    rf'<div class="picture-(?P<form>scroll|narrow|slide)"[^>]*>\s*{_IMAGE.pattern}\s*</div>\s*'
)
_FALLBACK = re.compile(r"var\(\s*--[\w-]+\s*,\s*([^()]*)\)")
_PLAIN = " =:/;,()@!*~+-.|{}[]^`"  # signs that need no escape in an address between double quotes

#: Drawings as PNG by the hash of what they are made of, so that a build draws what has changed.
PNG = Path(__file__).resolve().parents[1] / "_build" / "png"
SCALE = 1.5  # pixels of a PNG to one of CSS: sharp on most screens
COLOURS = 64


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


# -- plain notebooks ------------------------------------------------------------------------------


def with_png(notebook: NotebookNode) -> NotebookNode:
    """Copy in which each drawing of an output is a PNG before the rest of that output.

    Of the forms of a picture, those for phones and for slides are left out.
    """
    made = copy.deepcopy(notebook)
    for cell in made.cells:
        if "outputs" in cell:
            cell.outputs = [part for output in cell.outputs for part in _parts(output)]
    return made


def _parts(output: NotebookNode) -> list[NotebookNode]:
    page = output.get("data", {}).get("text/html", "")
    found = [
        drawing
        for holder in (*_HOLDER.finditer(page), *_IMAGE.finditer(_HOLDER.sub("", page)))
        if holder.groupdict().get("form") not in {"narrow", "slide"}
        for drawing in _IMAGE.finditer(holder[0])
    ]
    if found:
        output.data["text/html"] = _IMAGE.sub("", _HOLDER.sub("", page))
    return [*map(_png_output, found), output]


def _png_output(image: re.Match[str]) -> NotebookNode:
    picture = png(unquote(image[1]))
    with Image.open(io.BytesIO(picture)) as opened:
        width, height = (round(side / SCALE) for side in opened.size)
    (alt,) = re.findall(r' alt="([^"]*)"', image[0])
    return nbformat.v4.new_output(
        "display_data",
        data={
            "image/png": base64.b64encode(picture).decode("ascii"),
            "text/plain": html.unescape(alt),
        },
        metadata={"image/png": {"alt": html.unescape(alt), "width": width, "height": height}},
    )


def png(drawing: str) -> bytes:
    """Draw an SVG of `helpers.views.plots` as PNG, on white, in the letters of the book."""
    import resvg_py  # what runs chapters does without it, and without the views

    from helpers.views.plots.style import FAMILY, FONTS

    while (plain := _FALLBACK.sub(r"\1", drawing)) != drawing:  # no theme: each colour as it is
        drawing = plain
    fonts = sorted(str(path) for path in FONTS.glob("*.ttf"))
    made_of = repr((drawing, SCALE, COLOURS, resvg_py.__version__)).encode()
    stored = PNG / f"{hashlib.sha256(made_of).hexdigest()[:24]}.png"
    if not stored.exists():
        drawn = resvg_py.svg_to_bytes(
            svg_string=drawing,
            background="white",
            zoom=SCALE,
            skip_system_fonts=True,
            font_files=fonts,
            font_family=FAMILY,
            sans_serif_family=FAMILY,
        )
        with Image.open(io.BytesIO(bytes(drawn))) as opened:
            few = opened.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        PNG.mkdir(parents=True, exist_ok=True)
        being_written = stored.with_suffix(f".{os.getpid()}")
        few.save(being_written, "png", compress_level=6)
        being_written.replace(stored)  # at once, for whoever builds at the same time
    return stored.read_bytes()

"""Files of a figure for a manuscript: the drawing, a page, and pixels at print resolution."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import UnsupportedError
from ..views.plots import Picture, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DPI", "FORMATS", "figure_files"]

#: Kinds of file of each figure, by the ending of the name.
FORMATS: tuple[str, ...] = ("svg", "pdf", "png", "tiff")
#: Pixels per inch of PNG and TIFF; what journals ask for.
DPI = 300

_VARIABLE = re.compile(r"var\(--[\w-]+, ([^()]+)\)")
_SIZE = re.compile(
    r"display: block; width: 100%; height: auto; min-width: [^;]+; max-width: [^;]+; "
)


def figure_files(
    picture: Picture, figure: Figure, formats: Sequence[str] = FORMATS
) -> dict[str, bytes]:
    r"""Print a figure as files, on white, in the light colours: names of files and their content.

    `figure` is what `picture` was made of, whose name becomes that of the files. PDF holds its
    fonts, TIFF is compressed without loss, no file has a date. `UnsupportedError` for a format that
    is not one of `FORMATS`.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from helpers.views import plots
    >>> fig, ax = plt.subplots(figsize=(2, 1))
    >>> made = plots.show(ax, "line", caption="It rises.", alt="A line.", title="Line")
    >>> files = figure_files(made, fig, ["pdf", "png"])
    >>> [(name, content[:4]) for name, content in files.items()]
    [('figure-line.pdf', b'%PDF'), ('figure-line.png', b'\x89PNG')]
    """
    unknown = [one for one in formats if one not in FORMATS]
    if unknown:
        raise UnsupportedError(f"figures are written as {', '.join(FORMATS)}, not {unknown[0]!r}")
    name = f"figure-{picture.name}"
    found: dict[str, bytes] = {}
    with style.theme():
        if "svg" in formats:
            found["svg"] = _alone(picture)
        if "pdf" in formats:
            found["pdf"] = _pdf(figure)
        if "png" in formats or "tiff" in formats:
            found |= _pixels(figure)
    return {f"{name}.{one}": found[one] for one in formats}


def _alone(picture: Picture) -> bytes:
    """Make the drawing of the page a file: plain colours, and its size."""
    svg, found = picture.svg, 1
    while found:  # a fallback may be a variable with a fallback of its own
        svg, found = _VARIABLE.subn(r"\1", svg)
    svg = _SIZE.sub("", svg, count=1)
    size = f'<svg width="{picture.width:g}" height="{picture.height:g}" '
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{svg.replace("<svg ", size, 1)}\n'.encode()


def _pdf(figure: Figure) -> bytes:
    import matplotlib

    buffer = io.BytesIO()
    # 42: fonts stay fonts, so that a journal can edit the words
    with matplotlib.rc_context({"pdf.fonttype": 42}):
        figure.savefig(
            buffer,
            format="pdf",
            facecolor=style.SURFACE.light,
            metadata={"CreationDate": None, "ModDate": None},
        )
    return buffer.getvalue()


def _pixels(figure: Figure) -> dict[str, bytes]:
    """Draw once, and store the same pixels as PNG and TIFF."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    buffer, dpi, face = io.BytesIO(), figure.get_dpi(), figure.get_facecolor()
    try:
        figure.set_dpi(DPI)
        figure.set_facecolor(style.SURFACE.light)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        size, raw = canvas.get_width_height(), bytes(canvas.buffer_rgba())
    finally:
        figure.set_dpi(dpi)
        figure.set_facecolor(face)
    image = Image.frombytes("RGBA", size, raw).convert("RGB")
    image.save(buffer, format="PNG", compress_level=3, dpi=(DPI, DPI))
    png, buffer = buffer.getvalue(), io.BytesIO()
    image.save(buffer, format="TIFF", compression="tiff_lzw", dpi=(DPI, DPI))
    return {"png": png, "tiff": buffer.getvalue()}

"""Files of a figure for a manuscript: the drawing, a page, and pixels at print resolution."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import UnsupportedError
from ..views.plots import Picture, style
from ..views.plots.frame import Figure

if TYPE_CHECKING:
    from PIL.Image import Image

_PACKING: Mapping[str, Any] = {"png": {"compress_level": 3}, "tiff": {"compression": "tiff_lzw"}}

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
    # packing leaves this core to the other formats
    with style.theme(), ThreadPoolExecutor(1) as aside:
        kinds = [one for one in formats if one in _PACKING]
        packed = {}
        if kinds:
            pixels = _pixels(figure)
            packed = {one: aside.submit(_packed, pixels, one) for one in kinds}
        if "svg" in formats:
            found["svg"] = _alone(picture)
        if "pdf" in formats:
            found["pdf"] = _pdf(figure)
        found |= {one: waited.result() for one, waited in packed.items()}
    return {f"{name}.{one}": found[one] for one in formats}


def import_writers() -> None:
    """Import what a process beside this one would import anew."""
    for name in ("backend_agg", "backend_pdf"):
        import_module(f"matplotlib.backends.{name}")  # with the fonts' tools
    for name in ("Png", "Tiff"):
        import_module(f"PIL.{name}ImagePlugin")


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


def _pixels(figure: Figure) -> Image:
    """Draw at 300 dpi, without the transparency that no figure has."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL.Image import frombuffer

    dpi, face, before = figure.get_dpi(), figure.get_facecolor(), figure.canvas
    try:
        figure.set_dpi(DPI)
        figure.set_facecolor(style.SURFACE.light)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        drawn = canvas.buffer_rgba()
        size = drawn.shape[1], drawn.shape[0]
        return frombuffer("RGBA", size, drawn, "raw", "RGBA", 0, 1).convert("RGB")
    finally:
        figure.set_dpi(dpi)
        figure.set_facecolor(face)
        figure.set_canvas(before)  # that of the pixels would keep their memory


def _packed(pixels: Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    pixels.save(buffer, format=kind, dpi=(DPI, DPI), **_PACKING[kind])
    return buffer.getvalue()

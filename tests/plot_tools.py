"""What tests of pictures share: where the words of a figure stand."""

from __future__ import annotations

from functools import cache

import numpy as np
from matplotlib.backends.backend_agg import RendererAgg

__all__ = ["assert_all_words_inside", "assert_no_words_collide", "word_boxes"]


@cache
def _letters(dpi):
    return RendererAgg(1, 1, dpi)


def word_boxes(ax, *, whole=False, drawn=False):
    """Places of all visible words of the axes and their insets, in CSS pixels.

    `whole` looks at all axes of the figure. A figure that was `drawn` has its words in place; any
    other is drawn here, without rendering, which takes as long as a picture of it.
    """
    figure = ax.get_figure(root=True)
    if not drawn:
        figure.draw_without_rendering()
    # letters as the plots measure them, whoever drew the figure
    renderer = _letters(figure.dpi) if drawn else None
    found = {}
    parts = [part for one in (figure.axes if whole else [ax]) for part in (one, *one.child_axes)]
    for part in dict.fromkeys(parts):
        labels = []
        if part.axison:
            labels = [part.xaxis.label, part.yaxis.label]
            # Matplotlib keeps labels of ticks beyond the limits without drawing them.
            for axis, (low, high) in (
                (part.xaxis, sorted(part.get_xlim())),
                (part.yaxis, sorted(part.get_ylim())),
            ):
                ticks = zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=True)
                labels += [label for at, label in ticks if low <= at <= high]
        legend = part.get_legend()
        keys = [*legend.get_texts(), legend.get_title()] if legend else []
        titles = [part.title, part._left_title, part._right_title]
        for text in (*part.texts, *labels, *keys, *titles):
            if text.get_text().strip() and text.get_visible():
                box = text.get_window_extent(renderer)
                found[text] = box.extents * 72 / figure.dpi
    for text in figure.texts if whole else ():
        found[text] = text.get_window_extent(renderer).extents * 72 / figure.dpi
    return found


def assert_no_words_collide(ax, found=None):
    # Half a pixel of overhang is the slant of a letter, not a collision.
    slack = 0.5
    found = word_boxes(ax) if found is None else found
    texts = [text.get_text() for text in found]
    left, low, right, high = np.array([*found.values()]).T
    across = (right[:, None] > left + slack) & (right > left[:, None] + slack)
    up = (high[:, None] > low + slack) & (high > low[:, None] + slack)
    pairs = np.argwhere(np.triu(across & up, 1))
    assert not len(pairs), [(texts[i], texts[j]) for i, j in pairs[:5]]


def assert_all_words_inside(ax, found=None):
    across, up = 72 * ax.get_figure(root=True).get_size_inches()
    for text, box in (word_boxes(ax) if found is None else found).items():
        assert box[0] >= -0.5, text.get_text()
        assert box[1] >= -0.5, text.get_text()
        assert box[2] <= across + 0.5, text.get_text()
        assert box[3] <= up + 0.5, text.get_text()

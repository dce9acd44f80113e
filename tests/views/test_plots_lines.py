"""Curves with Monte Carlo bands: positions, words, table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from plot_tools import assert_all_words_inside, assert_no_words_collide

from helpers.errors import MetaAnalysisError
from helpers.views.plots import lines, show
from helpers.views.plots.note import note_of

WORDS = {"x_label": "Studies", "y_label": "Coverage", "title": "Coverage", "caption": "It falls."}


def curves(names=("Wald", "Knapp-Hartung"), x=(3.0, 10.0, 40.0)):
    return pd.DataFrame(
        [
            {"studies": at, "curve": name, "value": 0.8 + 0.03 * i + 0.001 * at, "mcse": 0.01}
            for i, name in enumerate(names)
            for at in x
        ]
    )


def line_of(ax, place):
    return next(line for line in ax.lines if line.get_gid() == f"curve-{place}")


def test_marks_stand_at_the_values_in_order():
    frame = curves().sample(frac=1, random_state=1)
    ax = lines(frame, x="studies", **WORDS)
    for place, name in enumerate(dict.fromkeys(frame["curve"])):
        part = frame[frame["curve"] == name].sort_values("studies")
        assert np.allclose(line_of(ax, place).get_xydata(), part[["studies", "value"]])


def test_the_band_is_two_standard_errors_wide():
    ax = lines(curves(("Wald",)), x="studies", **WORDS)
    band = ax.collections[0].get_paths()[0].get_extents()
    assert band.ymin == pytest.approx(0.803 - 1.96 * 0.01, abs=1e-4)
    assert band.ymax == pytest.approx(0.84 + 1.96 * 0.01, abs=1e-4)


def test_the_alternative_text_says_ends_and_reference():
    note = note_of(lines(curves(), x="studies", reference=("promised", 0.95), **WORDS))
    assert "Wald: from 80% at 3 to 84% at 40." in note.alt
    assert "promised: 95%." in note.alt
    assert note.caption == "It falls."
    assert "Monte Carlo SE" in note.table.body


def test_small_values_and_proportions_across_keep_their_digits():
    frame = curves(("one",), x=(0.02, 0.5)).assign(value=[0.0123, 0.0456])
    note = note_of(lines(frame, x="studies", **WORDS))
    assert "from 1.2% at 2% to 4.6% at 50%" in note.alt


@pytest.mark.parametrize("log", [False, True])
def test_words_do_not_collide(log):
    names = ("double arcsine, harmonic mean", "double arcsine, inverse variance", "one pot")
    frame = curves(names, x=(20, 25, 50, 100, 300, 1000, 3000, 10000, 30000))
    frame["value"] = frame["value"].clip(upper=0.9)
    ax = lines(frame, x="studies", log=log, reference=("truth", 0.5), **WORDS)
    assert_no_words_collide(ax)
    assert_all_words_inside(ax)


def test_one_point_is_drawn():
    ax = lines(curves(("one",), x=(5.0,)), x="studies", **WORDS)
    assert len(line_of(ax, 0).get_xydata()) == 1
    assert show(ax, "one-point").alt


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (curves().drop(columns="mcse"), "no column 'mcse'"),
        (curves().iloc[:0], "points"),
        (curves().assign(value=np.nan), "missing values"),
        (curves().assign(studies=0.0), "above 0"),
        (curves(tuple("abcde")), "up to 4 curves"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(frame, words):
    with pytest.raises(MetaAnalysisError, match=words):
        lines(frame, x="studies", **WORDS)


def test_long_names_stand_in_two_lines_rather_than_cut():
    names = tuple(f"a method with a rather long name, number {i}" for i in range(3))
    ax = lines(curves(names), x="studies", reference=("promised", 0.9), **WORDS)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [*names, "promised"]
    assert_all_words_inside(ax)
    assert_no_words_collide(ax)

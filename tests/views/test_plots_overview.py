import numpy as np
import pytest
from matplotlib.colors import to_hex

from helpers import printing
from helpers.errors import MetaAnalysisError
from helpers.review import palette
from helpers.review.plots import study_overview
from helpers.views.plots import show
from helpers.views.plots.note import note_of


def marks(ax):
    return {
        c.get_gid(): c for c in ax.collections if c.get_gid() and c.get_gid().startswith("marks-")
    }


def test_every_cohort_has_a_mark_at_its_size_and_follow_up(cohorts):
    ax = study_overview(cohorts)
    shown = np.vstack([np.asarray(c.get_offsets()) for c in marks(ax).values()])
    assert len(shown) == len(cohorts)
    assert sorted(shown[:, 1]) == sorted(cohorts["patients"])
    known = cohorts["median_follow_up_months"].dropna()
    assert sorted(shown[shown[:, 0] >= 0, 0]) == pytest.approx(sorted(known))


def test_cohorts_without_follow_up_stand_in_the_strip(cohorts):
    ax = study_overview(cohorts)
    lost = cohorts[cohorts["median_follow_up_months"].isna()]
    shown = np.vstack([np.asarray(c.get_offsets()) for c in marks(ax).values()])
    assert sorted(shown[shown[:, 0] < 0, 1]) == sorted(lost["patients"])
    assert ax.get_xlim()[0] < shown[:, 0].min()


def test_colour_and_fill_tell_disease_and_setting(cohorts):
    for name, found in marks(study_overview(cohorts)).items():
        _, entity, setting = name.split("-", 2)
        colour = palette.ENTITY[entity.upper()].light
        if setting == "trial":
            assert {to_hex(c) for c in found.get_facecolor()} == {colour}
        else:
            assert len(found.get_facecolor()) == 0
            assert {to_hex(c) for c in found.get_edgecolor()} == {colour}


def test_areas_grow_with_the_share_of_deaths(cohorts):
    rate = (cohorts["nonrelapse_deaths"] / cohorts["patients"]).sort_values()
    areas = np.sort(
        np.concatenate([c.get_sizes() for c in marks(study_overview(cohorts)).values()])
    )
    assert np.all(np.diff(areas) >= 0)
    assert areas == pytest.approx(16 + 1000 * rate.to_numpy())


def test_names_hide_neither_marks_nor_each_other(cohorts):
    ax = study_overview(cohorts, label=12)
    ax.figure.draw_without_rendering()
    names = [text for text in ax.texts if text.get_text() in set(cohorts["cohort"])]
    assert len(names) >= 6
    boxes = [text.get_window_extent() for text in names]
    points = [ax.transData.transform(o) for c in marks(ax).values() for o in c.get_offsets()]
    ties = [line.get_transform().transform(line.get_xydata()) for line in ax.lines]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
        assert not any(box.contains(*point) for point in points)
        mark = ax.transData.transform(names[i].xy)
        beside = box.y0 < mark[1] < box.y1
        tied = [one for one, end in ties if box.contains(*end) and abs(one[0] - mark[0]) < 9]
        assert beside or tied, names[i].get_text()
    assert len(ties) < len(names)


def test_words_and_table_hold_the_values(cohorts):
    note = note_of(study_overview(cohorts))
    assert printing.count(cohorts["patients"].sum()) in note.alt
    assert printing.count(cohorts["patients"].sum()) in note.caption
    for entity, size in cohorts["entity"].value_counts().items():
        assert f"{entity} {size}" in note.alt
    for row in cohorts.itertuples():
        line = next(line for line in note.table.text.splitlines() if row.cohort in line)
        assert printing.count(row.patients) in line.split()


@pytest.mark.parametrize("months", [np.nan, 12.0])
def test_one_cohort_with_or_without_follow_up_is_enough(cohorts, months):
    one = cohorts.head(1).assign(median_follow_up_months=months)
    assert show(study_overview(one), "one").alt


def test_missing_columns_and_empty_tables_are_errors(cohorts):
    with pytest.raises(MetaAnalysisError, match="no column 'patients'"):
        study_overview(cohorts.drop(columns="patients"))
    with pytest.raises(MetaAnalysisError, match="at least one"):
        study_overview(cohorts.head(0))

import pytest

from helpers.errors import MetaAnalysisError
from helpers.review.plots import icon_array
from helpers.views.plots import show
from helpers.views.plots.icon_array_plot import ACROSS
from helpers.views.plots.note import note_of


def squares(ax):
    """Squares drawn of each group: five corners each."""
    return {
        p.get_gid().removeprefix("squares-"): len(p.get_path().vertices) // 5 for p in ax.patches
    }


def test_each_group_has_its_squares_and_all_together_fill_the_field():
    drawn = squares(icon_array({"a": 0.0345, "b": 0.0337}, rest="c"))
    assert drawn == {"a": 35, "b": 33, "rest": 932}
    assert sum(drawn.values()) == 1000


def test_running_sums_round_so_that_groups_together_are_right():
    drawn = squares(icon_array({"a": 0.0004, "b": 0.0004, "c": 0.0004}, rest="d"))
    assert drawn == {"b": 1, "rest": 999}


def test_squares_follow_each_other_row_by_row():
    ax = icon_array({"a": 0.06}, rest="b")
    corners = ax.patches[0].get_path().vertices[::5]
    assert corners[:, 0].tolist() == [i % ACROSS for i in range(60)]
    assert corners[:, 1].tolist() == [i // ACROSS for i in range(60)]


def test_words_and_table_say_the_counts():
    note = note_of(icon_array({"died": 0.25}, rest="alive", total=200, unit="people"))
    assert note.alt == "Of 200 people, 50 died and 150 alive."
    assert "75" in note.table.text
    assert "150" in note.table.text


def test_key_texts_do_not_meet():
    ax = icon_array(
        {"died of an infection": 0.034, "died of another or unknown cause": 0.03},
        rest="did not die like this",
    )
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.get_legend().get_texts()]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize(
    "shares", [{}, {"a": 1.2}, {"a": -0.1}, {"a": 0.6, "b": 0.6}, dict.fromkeys("abcd", 0.1)]
)
def test_impossible_shares_are_errors(shares):
    with pytest.raises(MetaAnalysisError, match="icon_array"):
        icon_array(shares, rest="r")


def test_the_picture_is_light():
    assert len(show(icon_array({"a": 0.07}, rest="b"), "field").svg) < 80_000

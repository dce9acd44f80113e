"""Any valid table is read back equal, and a wrong cell is always reported where it is."""

import csv
import io
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.evidence import CellProblem, EvidenceError, read_cohorts

NAMES = ["study", "events", "n", "follow_up", "rate"]
LABELS = (
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
    .map(str.strip)
    .filter(bool)
)
BAD_COUNTS = ["", "-1", "2.5", "1.0", "1,297", "1e3", "0x1", "1_0", " 1", "01", "inf", "NA", "x"]
BAD_NUMBERS = ["-1", "4,5", "1e3", "inf", "nan", "NA", "0x1", " 2", "01", "x", "4.9%"]


@st.composite
def tables(draw):
    labels = draw(st.lists(LABELS, min_size=1, max_size=6, unique=True))
    rows = []
    for label in labels:
        n = draw(st.integers(1, 10_000))
        events = draw(st.integers(0, n))
        months = draw(st.none() | st.integers(1, 9_999).map(lambda x: x / 100))
        rate = draw(st.none() | st.integers(0, 1000).map(lambda x: x / 1000))
        rows.append([label, events, n, months, rate])
    return rows


layouts = st.fixed_dictionaries(
    {
        "lineterminator": st.sampled_from(["\n", "\r\n"]),
        "quoting": st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    }
)


def written(rows, layout):
    """Return the file as bytes and the line on which each record starts."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, **layout)
    # a line break inside a cell always needs quotes, also the one that this file does not use
    loud = csv.writer(out, lineterminator=layout["lineterminator"], quoting=csv.QUOTE_ALL)
    writer.writerow(NAMES)
    starts = []
    for row in rows:
        starts.append(1 + len(re.findall(r"\r\n|\r|\n", out.getvalue())))
        cells = ["" if cell is None else str(cell) for cell in row]
        (loud if re.search(r"[\r\n]", cells[0]) else writer).writerow(cells)
    return out.getvalue().encode("utf-8"), starts


def read(source):
    return read_cohorts(source, follow_up="follow_up", reported_rate="rate")


def as_rows(table):
    table = table.astype(object)
    return table.where(table.notna(), None).to_numpy().tolist()


@given(tables(), layouts, st.booleans())
def test_written_tables_are_read_back_equal(rows, layout, mark):
    content, _ = written(rows, layout)
    table = read(b"\xef\xbb\xbf" + content if mark else content)
    assert list(table) == NAMES
    assert as_rows(table) == rows
    assert table.index.tolist() == list(range(len(rows)))


@given(tables())
def test_frames_pass_unchanged(rows):
    frame = pd.DataFrame(rows, columns=NAMES).astype(
        {"study": "str", "follow_up": "float64", "rate": "float64"}
    )
    before = frame.copy(deep=True)
    pd.testing.assert_frame_equal(read(frame), before)
    pd.testing.assert_frame_equal(frame, before)


@given(tables(), layouts, st.data())
def test_a_wrong_cell_is_reported_in_its_place(rows, layout, data):
    place = data.draw(st.integers(0, len(rows) - 1), label="row")
    column = data.draw(st.sampled_from(NAMES), label="column")
    if column == "study":
        choices = ["", " ", f" {rows[place][0]}"] + [row[0] for row in rows[:place]]
    elif column == "events":
        choices = [*BAD_COUNTS, str(rows[place][2] + 1)]
    elif column == "n":
        choices = [*BAD_COUNTS, "0"]
    elif column == "follow_up":
        choices = [*BAD_NUMBERS, "0"]
    else:
        choices = [*BAD_NUMBERS, "1.001"]
    value = data.draw(st.sampled_from(choices), label="value")
    rows[place][NAMES.index(column)] = value
    content, starts = written(rows, layout)
    with pytest.raises(EvidenceError) as caught:
        read(content)
    (problem,) = caught.value.problems
    assert (problem.row, problem.column) == (starts[place], column)
    assert problem.value == value
    assert problem.expected


@given(tables(), st.data())
def test_every_one_of_several_wrong_cells_is_reported(rows, data):
    wrong = data.draw(
        st.lists(
            st.tuples(st.integers(0, len(rows) - 1), st.sampled_from(NAMES[1:])),
            min_size=1,
            unique=True,
        )
    )
    for place, column in wrong:
        rows[place][NAMES.index(column)] = "wrong"
    content, starts = written(rows, {"lineterminator": "\n", "quoting": csv.QUOTE_MINIMAL})
    with pytest.raises(EvidenceError) as caught:
        read(content)
    found = {(problem.row, problem.column) for problem in caught.value.problems}
    assert found == {(starts[place], column) for place, column in wrong}
    assert len(caught.value.problems) == len(wrong)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8")))
def test_any_bytes_give_a_table_or_our_error(content):
    found: tuple[CellProblem, ...] = ()
    table = pd.DataFrame({"study": ["A"], "events": [0], "n": [0]})
    message = b""
    try:
        table = read_cohorts(b"study,events,n\n" + content)
    except EvidenceError as error:
        found = error.problems
        message = str(error).encode("utf-8")
    # a table was read, or there is a message with at least one problem
    assert bool(found) == (table["n"] == 0).all()
    assert not found or message.startswith(str(len(found)).encode())
    assert table["study"].is_unique
    assert (table["events"] <= table["n"]).all()

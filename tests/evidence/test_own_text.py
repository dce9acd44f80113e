"""A reader's table as text or frame: encoding, separator, layout and rows are found and said."""

from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd
import pytest
from nightly import nightly
from report_tools import case

from helpers.errors import MetaAnalysisError
from helpers.evidence import EvidenceError
from helpers.evidence.opening import open_table
from helpers.evidence.own import read_own


def test_semicolons_and_decimal_commas_are_read_and_said():
    own = read_own(case(3), {})
    assert own.understood == "semicolons; decimal commas"
    assert own.data["study"].tolist() == ["Müller 2019", "B 2020", "C 2021"]
    assert own.data["follow_up"].tolist() == [12.5, 9.0, 18.5]


TEXT = "Müller – Studie;events;n;follow_up\nA;12;100;12,5\nB;7;85;9,0\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (TEXT.encode(), "semicolons"),
        (b"\xef\xbb\xbf" + TEXT.encode(), "semicolons"),
        (TEXT.encode("cp1252"), "Windows-1252; semicolons"),
        (TEXT.encode("utf-16"), "UTF-16; semicolons"),
        (TEXT.encode("utf-16-le"), "UTF-16; semicolons"),
        (TEXT.encode("utf-16-be"), "UTF-16; semicolons"),
        (TEXT.replace(";", "\t").encode(), "tabs"),
        (b"sep=;\r\n" + TEXT.encode(), "semicolons"),
        (TEXT.replace("\n", "\r").encode(), "semicolons"),
    ],
)
def test_an_encoding_and_a_separator_are_found_and_said(content, said):
    own = read_own(content, {"study": "Müller – Studie"})
    assert own.understood.startswith(f"{said}; decimal commas")
    assert own.data.to_numpy().tolist() == [["A", 12, 100, 12.5], ["B", 7, 85, 9.0]]
    assert own.rows == (2, 3)


@pytest.mark.parametrize(
    "text",
    [
        'study authors xi ni\n1 "Li et al." 16 17\n2 "Wu, A" 10 12\n3 "Yang" 4 8\n',
        'study  authors      xi   ni\n1      "Li et al." 16  17\n2      "Wu, A"    10   12\n'
        "3      Yang         4    8\n",
        'study authors\t\txi\tni\n1     "Li et al."\t16\t\t17\n2     "Wu, A"\t10\t\t12\n'
        '3     "Yang"\t4\t\t8\n',
    ],
)
def test_a_table_that_a_program_for_statistics_wrote_is_read(text):
    own = read_own(text.encode(), {"study": "authors"})
    assert own.understood.startswith("spaces")
    assert own.data[["authors", "xi", "ni"]].to_numpy().tolist() == [
        ["Li et al.", 16, 17],
        ["Wu, A", 10, 12],
        ["Yang", 4, 8],
    ]


def test_blank_rows_of_a_spreadsheet_are_no_records():
    own = read_own(case(9), {})
    assert own.data["study"].tolist() == ["A 2019", "B 2020", "C 2021"]
    assert own.rows == (2, 4, 5)
    assert own.understood == "one blank row skipped"


def test_rows_are_those_of_the_spreadsheet():
    with pytest.raises(EvidenceError) as raised:
        read_own(case(15), {"study": "Study\n(country)"})
    assert [problem.row for problem in raised.value.problems] == [4]


def test_the_rows_of_a_frame_keep_their_index_and_missing_counts():
    frame = pd.DataFrame(
        {"study": list("abc"), "events": [3, None, 5], "n": [40, 50, 60]}, index=[7, 8, 9]
    )
    own = read_own(frame, {})
    assert own.data.index.tolist() == [7, 8, 9]
    assert own.data["events"].tolist()[::2] == [3, 5]
    assert open_table(frame).understood == ()


def test_only_used_columns_can_refuse_a_table():
    assert read_own(case(11), {}).data["Moraxella"].tolist() == [1, 2, 0]
    odd = b"study,events,n,,x,x,\x93q\nA,3,40,,1,2,\xff\nB,5,50,9,1,2,\n"
    assert read_own(odd, {}).data["events"].tolist() == [3, 5]
    with pytest.raises(EvidenceError, match="used once"):
        read_own(b"study,events,n,n\nA,3,40,4\n", {})


@pytest.mark.parametrize(
    ("table", "row", "said"),
    [
        ("Table 1,,,,\nStudy,axi-cel,,tisa-cel,\n,Events,N,Events,N\nA,3,40,2,30\n", 2,
         "row 3 has names of columns too ('Events', 'N', 'Events', 'N')"),
        ("Study,CAR-T,,Follow-up\n,Deaths,N,months\nA,3,40,12\nB,6,50,9\n", 2,
         "row 2 has no name for '(column 1)'"),
        ("study,A 2020,B 2021\nevents,3,6\nn,40,50\n", 1, "exchange rows and columns"),
        ("study,Deaths n/N (%)\nA,3/40 (7.5)\nB,6/50 (12)\n", 1,
         "'Deaths n/N (%)' has events and people in one cell, as in '3/40 (7.5)'"),
    ],
)  # fmt: skip
def test_a_layout_that_is_no_table_of_studies_says_how_to_make_it_one(table, row, said):
    with pytest.raises(EvidenceError) as raised:
        read_own(table.encode(), {})
    (problem,) = raised.value.problems
    assert problem.row == row
    assert said in problem.expected


def test_a_column_without_a_name_can_be_chosen():
    table = b"Study,CAR-T,,Follow-up\n,Deaths,N,months\nA,3,40,12\nB,6,50,9\n"
    own = read_own(table, {"study": "(column 1)"})
    assert own.data["(column 1)"].tolist() == ["A", "B"]


def fuzzed(rng):
    """Make a table of counts, its bytes in a random layout, and whether they were damaged."""
    k = int(rng.integers(1, 9))
    n = rng.integers(1, 10 ** rng.integers(1, 6), k)
    events = np.floor(rng.random(k) * (n + 1)).astype(int)
    labels = [
        f"{rng.choice(['Müller', 'O’Hara', 'Li', 'A, B', 'x;y'])} {2000 + i}" for i in range(k)
    ]
    ages = np.round(20 + 60 * rng.random(k), 2)
    header = list([("study", "events", "n"), ("Author", "Cases", "Total")][rng.integers(2)])
    rows = [
        [*header, "note"],
        *([a, str(x), str(y), "t"] for a, x, y in zip(labels, events, n, strict=True)),
    ]
    separator = str(rng.choice([",", ";", "\t", "|"]))
    comma = separator != "," and rng.random() < 0.5
    rows[0].insert(3, "age")
    for row, age in zip(rows[1:], ages, strict=True):
        row.insert(3, f"{age:.2f}".replace(".", "," if comma else "."))
    if rng.random() < 0.3:
        rows.insert(0, ["Table 1"])
    if rng.random() < 0.3:
        rows.insert(int(rng.integers(1, len(rows) + 1)), [""] * 5)
    out = io.StringIO(newline="")
    ends = str(rng.choice(["\n", "\r\n", "\r"]))
    csv.writer(out, delimiter=separator, lineterminator=ends).writerows(rows)
    encoding = str(rng.choice(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]))
    content = out.getvalue().encode(encoding)
    damaged = rng.random() < 0.4
    if damaged:
        hit = bytearray(content)
        for _ in range(int(rng.integers(1, 6))):
            place = int(rng.integers(len(hit)))
            hit[place : place + int(rng.integers(2))] = bytes(
                rng.integers(0, 256, rng.integers(3)).tolist()
            )
        content = bytes(hit)
    return (labels, events.tolist(), n.tolist(), ages.tolist()), content, damaged


def read_or_refuse(seeds):
    refused = 0
    for seed in seeds:
        expected, content, damaged = fuzzed(np.random.default_rng(seed))
        try:
            own = read_own(content, {}, numeric=["age"])
        except MetaAnalysisError:  # one error with places; anything else is a traceback
            assert damaged, (seed, content)
            refused += 1
            continue
        if not damaged:
            names = [own.roles[role] for role in ("study", "events", "n")]
            found = tuple(own.data[name].tolist() for name in [*names, "age"])
            assert found == expected, (seed, content)
    return refused


@pytest.mark.parametrize("seeds", [range(300), nightly(range(300, 10_300))], ids=str)
def test_tables_in_any_layout_are_read_alike_or_refused(seeds):
    assert 0 < read_or_refuse(seeds) < 0.4 * len(seeds)

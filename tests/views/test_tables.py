import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from helpers import load_cohorts, pool, printing, subgroups
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.review import tables
from helpers.views.tables import CARDS, MISSING, Link, table
from helpers.views.tables.markup import MOST_OF_A_CARD


class Cells(HTMLParser):
    """Read rows of cell texts, and check that tags close in order."""

    VOID = frozenset({"br", "col", "hr", "img"})

    def __init__(self, html):
        super().__init__()
        self.rows, self.open, self.scopes, self.caption = [], [], [], ""
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "th":
            self.scopes.append(dict(attrs).get("scope"))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "caption" in self.open:
            self.caption += data
        elif self.open and ("td" in self.open or "th" in self.open):
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def fits():
    cohorts = load_cohorts()
    return subgroups(
        cohorts[cohorts["entity"].isin(["MM", "MCL"])],
        by="entity",
        events="nonrelapse_deaths",
        n="patients",
        study="cohort",
        measure="logit",
        model="random",
    )


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "disease": ["LBCL", "MM <new>", "IL"],
            "kind": ["a & b", "a & b", "c"],
            "patients": [5806, 1193, 265],
            "rate": [0.0724, np.nan, -0.0001],
            "month": pd.array([12, pd.NA, 24], dtype="Int64"),
        }
    )


def test_every_value_is_printed_in_its_format_and_missing_as_a_dash(frame):
    made = tables.table(frame, "Caption", formats={"rate": "percent"})
    cells = Cells(made.html)
    assert cells.rows[1:] == [
        ["LBCL", "a & b", "5,806", "7.2", "12"],
        ["MM <new>", "a & b", "1,193", MISSING, MISSING],
        ["IL", "c", "265", "0.0", "24"],
    ]


def test_a_number_kept_as_text_gets_a_true_minus():
    frame = pd.DataFrame({"quantity": ["t", "-cel"], "published": ["-7.3596", "5-6"]})
    assert Cells(tables.table(frame, "Caption").html).rows[1:] == [
        ["t", "\N{MINUS SIGN}7.3596"],
        ["-cel", "5-6"],
    ]


def test_a_table_has_caption_scopes_label_and_keyboard_access(frame):
    made = tables.table(frame, 'Caption with "quotes" & <signs>', name="my-table")
    cells = Cells(made.html)
    assert cells.caption == 'Caption with "quotes" & <signs>'
    assert cells.scopes == ["col"] * 5 + ["row"] * 3
    head = made.html.splitlines()[0]
    assert 'id="my-table" role="region" tabindex="0"' in head
    assert 'aria-label="Caption with &quot;quotes&quot; &amp; &lt;signs&gt;"' in head


def test_group_headings_span_their_rows_and_are_escaped(frame):
    made = tables.table(frame, "Caption", groups="kind")
    cells = Cells(made.html)
    assert ["a & b"] in cells.rows
    assert "colgroup" in cells.scopes
    assert len(cells.rows) == 1 + 2 + 3


def test_the_page_alone_decides_on_colours(frame):
    html = tables.table(frame, "Caption", notes=["A note"]).html
    assert "<style" not in html
    assert not re.search(r"#[0-9a-f]{3,6}\b|color", html)
    assert re.findall(r' id="[^"]*"', html) == [' id="table-caption"']


def test_the_same_table_has_the_same_bytes(frame):
    once, twice = (tables.table(frame, "Caption", notes=["A note"]) for _ in range(2))
    assert once == twice


def test_headings_and_notes_are_escaped(frame):
    made = tables.table(frame, "Caption", labels={"rate": "p < q"}, notes=["a < b"])
    cells = Cells(made.html)
    assert "p < q" in cells.rows[0]
    assert cells.rows[-1] == ["a < b"]


def test_long_tables_scroll_in_a_box_and_short_ones_do_not():
    long = pd.DataFrame({"row": [str(i) for i in range(21)]})
    assert "table-long" in tables.table(long, "Caption").html
    assert "table-long" not in tables.table(long.head(20), "Caption").html


def test_plain_text_shows_the_same_cells(frame):
    text = repr(tables.table(frame, "Caption", formats={"rate": "percent"}))
    assert text.startswith("Caption\n")
    assert "5,806" in text
    assert "7.2" in text


@pytest.mark.parametrize("options", [{"formats": {"x": "count"}}, {"labels": {"x": "X"}}])
def test_unknown_columns_are_named(frame, options):
    with pytest.raises(MetaAnalysisError, match="no column 'x'"):
        tables.table(frame, "Caption", **options)


def test_unknown_formats_and_empty_captions_are_errors(frame):
    with pytest.raises(UnsupportedError, match="no format 'roman'"):
        tables.table(frame, "Caption", formats={"rate": "roman"})
    with pytest.raises(MetaAnalysisError, match="caption"):
        tables.table(frame, " ")


def test_the_pooled_table_equals_the_results(fits):
    cells = Cells(tables.pooled_table({**fits.groups, "All": fits.overall}).html)
    rows = {row[0]: row for row in cells.rows}
    for label, fit in {**fits.groups, "All": fits.overall}.items():
        low, high = fit.ci
        assert rows[label][:6] == [
            label,
            str(fit.k),
            printing.count(fit.events),
            printing.count(fit.n),
            printing.number(100 * fit.estimate, 1),
            printing.between(100 * low, 100 * high),
        ]
        assert rows[label][-2:] == [
            printing.number(fit.tau2, 3),
            printing.number(fit.heterogeneity.I2, 1),
        ]
    assert str(fits.overall.methods()) in " ".join(" ".join(row) for row in cells.rows)


def test_a_common_effect_has_no_prediction_interval_in_the_table():
    fit = pool(events=[3, 8, 6], n=[40, 60, 90], model="common")
    rows = Cells(tables.pooled_table({"common": fit}).html).rows
    at = next(i for i, head in enumerate(rows[0]) if "prediction" in head)
    assert rows[1][at] == MISSING


def test_the_comparison_table_counts_digits_and_keeps_missing_values():
    frame = pd.DataFrame(
        {
            "quantity": ["estimate", "tau2"],
            "ours": [0.0682211, 0.28],
            "published": [0.0682210, np.nan],
        }
    )
    cells = Cells(tables.comparison_table(frame).html)
    assert cells.rows == [
        ["Quantity", "Ours", "Published", "Digits that agree"],
        ["estimate", "0.068221", "0.068221", "5"],
        ["tau2", "0.28000", MISSING, MISSING],
    ]


def test_a_link_leads_where_it_says_and_stays_text():
    frame = pd.DataFrame({"a": ["x"], "b": [Link("a <source>", "https://doi.org/10.1/x?a=1&b=2")]})
    made = table(frame, "Sources")
    assert '<a href="https://doi.org/10.1/x?a=1&amp;b=2">a &lt;source&gt;</a>' in made.html
    assert "a <source>" in made.text
    for address in ("downloads/data/cohorts.csv", "#codebook-cohorts"):
        assert Link("x", address).address == address
    for address in (
        "javascript:alert(1)",
        "https://x y",
        'https://x"onclick="y',
        "ftp://x",
        "a.html",
    ):
        with pytest.raises(MetaAnalysisError, match="address of the web"):
            Link("x", address)


def test_cells_of_cards_know_their_headings_and_what_is_missing():
    frame = pd.DataFrame(
        {"kind": ["one", "one", "two"], "row": ["A", "B", "C"], "first": ["x", None, "z" * 40],
         "second": [1, 2, 3]}
    )  # fmt: skip
    made = table(frame, "Cards", groups="kind", labels={"first": 'The "first"'})
    assert "table-cards" in made.html
    soup = BeautifulSoup(made.html, "html.parser")
    rows = [tr.find_all("td") for tr in soup.tbody.find_all("tr") if tr.find("td")]
    assert soup.table["style"] == r'--c2: "The \"first\""; --c3: "Second"'
    assert [[td.has_attr("data-none") for td in tds] for tds in rows] == [
        [False, False], [True, False], [False, False],
    ]  # fmt: skip
    few = table(frame.replace("z" * 40, "z"), "No cards", groups="kind").html
    assert "table-cards" not in few
    assert not {'style="--', "data-none"} & set(re.findall(r"style=\"--|data-none", few))


def test_a_table_that_does_not_fit_a_phone_has_cards():
    frame = pd.DataFrame(
        {"rule": ["one"], "reason": ["a reason that takes more than one line here"]}
    )
    assert "table-cards" in table(frame, "Rules").html
    assert "table-cards" not in table(frame[["reason", "rule"]], "Names").html
    numbers = pd.DataFrame({name: [1234.5] for name in ("study", *"abcdefgh")})
    assert "table-cards" in table(numbers, "Many columns").html
    assert "table-cards" not in table(numbers[["study", *"abc"]], "Few columns").html


def test_cards_are_made_of_as_many_columns_as_their_sheet_names():
    named = re.findall(
        r":nth-child\((\d+)\)::before \{ content: var\(--c(\d+)\)", CARDS.read_text()
    )
    places = [str(place) for place in range(2, MOST_OF_A_CARD + 1)]
    assert named == list(zip(places, places, strict=True))
    most = pd.DataFrame({f"outcome {i}": ["12 of 345"] for i in range(MOST_OF_A_CARD)})
    assert "table-cards" in table(most, "As many as there are names").html
    more = table(most.assign(last="1 of 2"), "One more").html
    assert "table-cards" not in more
    assert "--c" not in more


def test_a_searched_table_says_so_and_others_do_not():
    frame = pd.DataFrame({"a": ["x"], "b": ["y"]})
    assert 'class="table-scroll table-search"' in table(frame, "Searched", search=True).html
    assert "table-search" not in table(frame, "Not searched").html


def test_symbols_limits_and_units_print_without_a_label():
    frame = pd.DataFrame(
        {
            "study": ["A"],
            "n": [12],
            "tau2": [0.2],
            "p": [0.0004],
            "crude_rate": [0.125],
            "ci_lower": [0.1],
        }
    )
    text = str(table(frame, "Caption", formats={"crude_rate": "percent"}))
    head, row = text.splitlines()[1:3]
    assert head.replace("\xa0", " ").split() == [
        *("Study", "n", "τ²", "p", "Crude", "rate,", "%", "Lower")
    ]
    assert row.replace("\xa0", " ").split() == ["A", "12", "0.20", "<", "0.001", "12.5", "0.10"]
    plain = str(table(frame, "Caption", formats={"p": "number"}, labels={"tau2": "Variance"}))
    assert "Variance" in plain
    assert "0.00" in plain


def test_every_cell_of_any_text_is_where_the_frame_has_it():
    texts = ['A & "b"', "<b>x</b>", "it's " + "long " * 20, "\\1 \\g<0>", "</td>", "<i>&\"'"]
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "study": rng.permutation(texts),
            "n": rng.integers(0, 999, 6),
            'a <heading> of "many" words': rng.permutation(texts),
            "group": ["two <", "one", "two <", "one", "two <", "one"],
        }
    )
    made = table(frame, "Cap <&>", groups="group", notes=["a<b", "c"])
    soup = BeautifulSoup(made.body, "html.parser")
    head, *rows = [
        [cell.get_text() for cell in row.find_all(("th", "td"))] for row in soup.find_all("tr")
    ]
    inner = list(frame.columns[:3])
    assert head == ["Study", "n", 'A <heading> of "many" words']
    wanted = []
    for group in ("two <", "one"):  # as they come, each under its heading
        wanted.append([group])
        wanted += frame.loc[frame["group"] == group, inner].astype(str).to_numpy().tolist()
    assert rows == [*wanted, ["a<b"], ["c"]]
    assert soup.table["style"] == r'--c2: "n"; --c3: "A <heading> of \"many\" words"'
    right = [cell.get_text() for cell in soup.find_all(class_="gt_right")]
    assert right == ["n", *(row[1] for row in wanted if len(row) > 1)]
    assert {cell["colspan"] for cell in soup.find_all(colspan=True)} == {"3"}


def test_long_text_may_wrap_and_short_text_stays_on_one_line():
    frame = pd.DataFrame({"a": ["x" * 34, "y" * 35], "b": ["&" * 34, "&" * 35]})
    soup = BeautifulSoup(table(frame, "Caption").body, "html.parser")
    assert [one.get_text() for one in soup.find_all(class_="wrap")] == ["y" * 35, "&" * 35]

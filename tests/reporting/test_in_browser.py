"""What the page in the reader's browser gets: the numbers of `pool`, in words and as a drawing."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import openpyxl
import pytest
import report_tools

from helpers import load_cohorts, pool, subgroups
from helpers.evidence import data_folder
from helpers.evidence.own import read_own
from helpers.reporting import report
from helpers.reporting.in_browser import analyse, analyse_json, look

CONTENT = (data_folder() / "cohorts.csv").read_bytes()
ROLES = {"study": "cohort", "events": "nonrelapse_deaths", "n": "patients"}
SVG = "{http://www.w3.org/2000/svg}"


def case(number):
    return report_tools.case(number).read_bytes()


@pytest.mark.parametrize("model", ["glmm", "random", "common"])
def test_numbers_are_those_of_pool(model):
    shown = analyse(CONTENT, **ROLES, model=model)
    fit = pool(load_cohorts(), **ROLES, model=model)
    plain = dict(shown["fit"])
    prediction, tau2_ci = plain.pop("prediction_interval"), plain.pop("tau2_ci")
    assert json.loads(json.dumps(plain)) == json.loads(json.dumps(fit.to_dict()))
    if model == "common":
        assert (prediction, tau2_ci) == (None, None)
    else:
        assert prediction == list(fit.prediction_interval())
        assert tau2_ci == list(fit.tau2_ci())
    assert "574 of 7,604" in dict(shown["rows"])["Events of patients"]


def test_the_table_of_studies_can_be_read_back():
    shown = analyse(CONTENT, **ROLES, model="glmm")
    rows = list(csv.DictReader(io.StringIO(shown["csv"])))
    assert len(rows) == 52
    assert sum(float(row["weight"]) for row in rows) == pytest.approx(100)


def test_marks_lie_where_the_numbers_are():
    shown = analyse(CONTENT, **ROLES, model="glmm")
    drawing = ET.fromstring(shown["svg"])
    marks = drawing.findall(f".//{SVG}rect[@class='study']")
    studies = shown["fit"]["studies"]
    assert len(marks) == len(studies) == 52
    centre = [float(m.get("x")) + float(m.get("width")) / 2 for m in marks]
    values = [row["estimate"] for row in studies]
    # one straight axis: equal distances on paper for equal differences of proportions
    far, near = values.index(max(values)), values.index(min(values))
    scale = (centre[far] - centre[near]) / (values[far] - values[near])
    for place, value in zip(centre, values, strict=True):
        assert place == pytest.approx(centre[near] + scale * (value - values[near]), abs=0.05)
    assert drawing.find(f"{SVG}desc").text.startswith("Each of 52 studies")


@pytest.mark.parametrize("k", [1, 2, 3, 200])
def test_few_and_many_studies_are_drawn(k):
    lines = "".join(f"Study <{i}> & a long name of a cohort,{i % 7},{20 + i}\n" for i in range(k))
    shown = analyse(f"study,events,n\n{lines}".encode(), model="random")
    drawing = ET.fromstring(shown["svg"])
    assert len(drawing.findall(f".//{SVG}rect[@class='study']")) == k
    assert (shown["fit"]["prediction_interval"] is None) == (k < 5)


def test_a_study_that_is_left_out_stays_visible_with_its_reason():
    table = b"study,events,n\nA,3,40\nB,0,30\nC,5,50\n"
    shown = analyse(table, model="random", measure="log", to="none")
    studies = dict(shown["rows"])["Studies"]
    assert studies.startswith("2 (left out: B (row 3): ")
    assert "no finite" in studies
    assert "Pooled (2 of 3 studies)" in shown["svg"]
    assert [row["included"] for row in shown["fit"]["studies"]] == [True, False, True]


@pytest.mark.parametrize(
    ("number", "k", "left"),
    [
        (3, 3, []),
        (9, 3, []),
        (10, 2, ["B 2020 (row 3): events missing", "C 2021 (row 4): n missing"]),
    ],
)
def test_a_table_is_read_as_the_command_reads_it(number, k, left):
    own = read_own(case(number), {})
    shown = analyse(case(number))
    assert shown["fit"]["k"] == k
    assert shown["understood"] == own.understood
    assert [row[1] for row in shown["table"]["rows"]] == own.data[own.roles["study"]].tolist()
    assert [row[0] for row in shown["table"]["rows"]] == list(map(str, own.rows))
    said = dict(shown["rows"])["Studies"]
    assert said == (f"{k} (left out: {'; '.join(left)})" if left else str(k))
    assert [row[-1] for row in shown["table"]["rows"] if row[-1].endswith("missing")] == [
        text.partition(": ")[2] for text in left
    ]


def test_columns_are_found_by_name_or_asked_for():
    shown = analyse(case(14))
    assert shown["roles"] == {"study": "Author", "events": "Cases", "n": "Total"}
    assert look(case(14))["roles"] == shown["roles"]
    unknown = b"Author,Mild,Severe,Total\nA,3,4,40\nB,5,6,50\n"
    assert look(unknown)["roles"] == {"study": "Author", "n": "Total"}
    # what the reader named goes first, as long as the table has it
    named = look(unknown, columns={"events": "Severe", "by": "Mild", "effect": "gone"})["roles"]
    assert named == {"events": "Severe", "by": "Mild", "study": "Author", "n": "Total"}
    answer = json.loads(analyse_json(json.dumps({"content": unknown.decode()})))
    assert [one["expected"] for one in answer["problems"]] == ["a column of events (choose it)"]
    assert analyse(unknown, events="Severe")["fit"]["events"] == 10
    assert analyse(case(16), events="severe_events")["roles"]["events"] == "severe_events"


def test_odd_rows_are_pointed_out():
    assert "“Total” (row 7) equals the sum" in analyse(case(2))["cautions"][0]


def test_rows_of_problems_are_those_of_the_spreadsheet():
    request = {"content": case(15).decode(), "study": "Study\n(country)"}
    answer = json.loads(analyse_json(json.dumps(request)))
    assert [one["row"] for one in answer["problems"]] == [4]


def test_no_cell_of_a_download_is_a_formula():
    for row in csv.reader(io.StringIO(analyse(case(17))["csv"])):
        for cell in row:
            number = re.fullmatch(r"-?[0-9.]+(e[-+]?[0-9]+)?", cell)
            assert number or cell.lstrip()[:1] not in tuple("=+-@"), cell


@pytest.mark.parametrize("per", [100, 10_000])
def test_person_time_gives_rates(per):
    shown = analyse(case(13), per=per)
    fit = report(case(13), per=per).analysis.fit
    assert shown["fit"]["estimate"] == pytest.approx(fit.estimate, rel=1e-10)
    assert f"events per {per:,} person-years" in shown["headline"]
    assert dict(shown["rows"])["Events in person-years"] == "78 in 5,398"
    assert f"{fit.estimate:.2f} (" in shown["svg"]
    assert "%</text>" not in shown["svg"]


def test_proportions_are_given_per_so_many_people():
    shown = analyse(case(1), per=100_000)
    fit = shown["fit"]
    assert f"{1e5 * fit['estimate']:.1f} per\N{NO-BREAK SPACE}100,000" in shown["headline"]
    assert f"{1e5 * fit['estimate']:.1f} ({1e5 * fit['ci'][0]:.1f} to " in shown["svg"]
    assert shown["table"]["rows"][0][4] == f"{1e5 * 47 / 177413:.1f}"


def test_a_spreadsheet_is_shown_row_by_row_and_its_sheets_are_named():
    book = openpyxl.Workbook()
    book.active.title = "Read me"
    book.active.append(["Our data"])
    data = book.create_sheet("Data")
    for row in ([], ["Author", "Cases", "Total"], ["A, 2019", 3, 40], [], ["B", "=1+1", 50]):
        data.append(row)
    out = io.BytesIO()
    book.save(out)
    seen = look(out.getvalue(), file="mine.xlsx")
    assert seen["sheets"] == ["Data", "Read me"]
    assert seen["roles"] == {"study": "Author", "events": "Cases", "n": "Total"}
    assert list(csv.reader(io.StringIO(seen["text"])))[2:] == [
        ["A, 2019", "3", "40"],
        ["", "", ""],
        ["B", "a formula without a stored value", "50"],
    ]
    request = {
        "base64": base64.b64encode(out.getvalue()).decode(),
        "look": True,
        "sheet": "Read me",
    }
    assert json.loads(analyse_json(json.dumps(request)))["text"] == "Our data\n"
    refused = json.loads(analyse_json(json.dumps({"content": seen["text"]})))
    assert [(one["row"], one["column"]) for one in refused["problems"]] == [(5, "Cases")]


@pytest.mark.parametrize("hidden", [1, 3])
def test_a_spreadsheet_of_one_sheet_is_shown_with_its_hidden_rows(hidden):
    book = openpyxl.Workbook()
    for row in (["study", "events", "n"], *([f"S{i}", i, 40] for i in range(5))):
        book.active.append(row)
    for place in range(2, 2 + hidden):
        book.active.row_dimensions[place].hidden = True
    out = io.BytesIO()
    book.save(out)
    seen = look(out.getvalue())
    assert seen["sheets"] == ["Sheet"]
    assert len(seen["text"].splitlines()) == 6


@pytest.mark.parametrize("k", [390, 391, 2000])
def test_many_rows_keep_the_picture_and_the_list_short(k):
    lines = "".join(f"S{i},{i % 20},{50 + i % 300}\n" for i in range(k))
    shown = analyse(f"study,events,n\n{lines}".encode(), model="common")
    drawing = ET.fromstring(shown["svg"])
    assert len(drawing.findall(f".//{SVG}rect[@class='study']")) == k
    assert float(drawing.get("height")) < 6000
    assert len(shown["table"]["rows"]) == min(k, 500)
    assert len(list(csv.reader(io.StringIO(shown["csv"])))) == k + 1


def test_mistakes_come_back_as_places():
    request = {"content": "study,events,n\nA,5,4\nB,x,9\n", "model": "glmm", "file": "mine.csv"}
    answer = json.loads(analyse_json(json.dumps(request)))
    assert answer["ok"] is False
    assert [(p["row"], p["column"], p["value"]) for p in answer["problems"]] == [
        (2, "events", "5"),
        (3, "events", "x"),
    ]
    assert answer["message"].startswith("2 problems in mine.csv")


def test_choices_that_do_not_go_together_are_refused_in_words():
    request = {"content": "study,events,n\nA,1,4\n", "model": "glmm", "measure": "arcsine"}
    answer = json.loads(analyse_json(json.dumps(request)))
    assert answer["ok"] is False
    assert "defined for measure logit" in answer["message"]


@pytest.mark.parametrize("group_tau2", ["separate", "common"])
def test_groups_are_those_of_subgroups(group_tau2):
    columns = {"by": "entity"}
    shown = analyse(CONTENT, **ROLES, columns=columns, group_tau2=group_tau2, model="random")
    found = subgroups(
        load_cohorts(), by="entity", **ROLES, model="random", group_tau2=group_tau2
    ).summary_frame()
    (groups,) = shown["groups"]
    rows = {row[0]: row[1:] for row in groups["rows"]}
    assert set(rows) == set(found.index)
    for name, line in found.iterrows():
        assert int(rows[name][0]) == line["k"]
        assert float(rows[name][1]) == pytest.approx(100 * line["estimate"], abs=0.051)
        assert float(rows[name][3]) == pytest.approx(line["tau2"], abs=0.00051)
    assert groups["notes"][0].startswith("Test between groups: Q = ")
    alone = analyse(b"study,events,n,g\nA,3,40,x\nB,5,60,x\n", columns={"by": "g"})
    assert alone["groups"][0]["notes"][0].startswith("No comparison: ")


def test_ratios_are_drawn_on_a_logarithmic_axis_and_ratings_are_compared():
    table = (
        b"study,OR,lower,upper,rob\nA,0.5,0.25,1,low\nB,2,1,4,high\nC,1,0.5,2,low\n"
        b"D,1.5,0.75,3,some concerns\n"
    )
    shown = analyse(table, columns={"risk_of_bias": "rob"}, model="glmm")
    assert shown["fit"]["measure"] == "log-ratio"
    # four standard errors that are alike: the mean of the logarithms, whatever tau2 is
    middle = (0.5 * 2 * 1 * 1.5) ** 0.25
    assert shown["fit"]["estimate"] == pytest.approx(middle, rel=1e-9)
    (ratings,) = shown["groups"]
    assert [row[:2] for row in ratings["rows"]] == [
        ["Low risk", "2"], ["High risk", "1"], ["Some concerns", "1"], ["All but high risk", "3"],
    ]  # fmt: skip
    assert float(ratings["rows"][3][2]) == pytest.approx((0.5 * 1.5) ** (1 / 3), abs=0.0051)
    drawing = ET.fromstring(shown["svg"])
    marks = drawing.findall(f".//{SVG}rect[@class='study']")
    centre = [float(m.get("x")) + float(m.get("width")) / 2 for m in marks]
    # equal ratios are equal distances
    assert centre[1] - centre[2] == pytest.approx(centre[2] - centre[0], abs=0.05)
    assert shown["table"]["head"][:3] == ["Row", "Study", "Estimate"]


@pytest.mark.parametrize("shift", [0.0, -5.0])
def test_effects_are_drawn_at_their_place_also_below_zero(shift):
    values = [shift - 0.2, shift + 0.5, shift + 0.3]
    lines = "".join(f"S{i},{value},0.1\n" for i, value in enumerate(values))
    shown = analyse(f"study,yi,sei\n{lines}".encode(), model="common")
    drawing = ET.fromstring(shown["svg"])
    marks = drawing.findall(f".//{SVG}rect[@class='study']")
    centre = [float(m.get("x")) + float(m.get("width")) / 2 for m in marks]
    scale = (centre[1] - centre[0]) / 0.7
    assert centre[2] - centre[0] == pytest.approx(0.5 * scale, abs=0.05)
    assert 250 <= min(centre) < max(centre) <= 560


def test_the_page_needs_numpy_alone():
    code = (
        "import sys\n"
        "for name in ('scipy', 'pandas', 'statsmodels', 'matplotlib'):\n"
        "    sys.modules[name] = None\n"
        "from helpers.reporting.in_browser import analyse\n"
        "for model in ('glmm', 'random', 'common'):\n"
        "    shown = analyse(b'study,events,n\\nA,3,40\\nB,8,60\\nC,16,50\\n', model=model)\n"
        "table = b'study,events,n,g\\nA,3,40,x\\nB,8,60,x\\nC,16,50,y\\nD,9,60,y\\n'\n"
        "for tau2 in ('separate', 'common'):\n"
        "    assert analyse(table, columns={'by': 'g'}, group_tau2=tau2)['groups'][0]['rows']\n"
        "analyse(b'study,OR,lower,upper\\nA,1,0.5,2\\nB,2,1,4\\n')\n"
        "print(shown['backend'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "helpers.engine.distributions_pure"


@pytest.mark.parametrize("model", ["glmm", "random", "common"])
def test_effects_keep_the_model_that_was_chosen_and_take_the_place_of_counts(model):
    """Three effects with equal variances: the common mean is their average, whatever τ² is."""
    content = b"study,effect,se\nA,1,0.5\nB,2,0.5\nC,6,0.5\n"
    made = analyse(content, model=model, measure="logit")
    assert made["fit"]["estimate"] == pytest.approx(3.0)
    assert (made["fit"]["tau2"] > 0) == (model != "common")

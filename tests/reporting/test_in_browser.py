"""What the page in the reader's browser gets: the numbers of `pool`, in words and as a drawing."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from helpers import load_cohorts, pool
from helpers.evidence import data_folder
from helpers.reporting.in_browser import analyse, analyse_json

CONTENT = (data_folder() / "cohorts.csv").read_bytes()
ROLES = {"study": "cohort", "events": "nonrelapse_deaths", "n": "patients"}
SVG = "{http://www.w3.org/2000/svg}"


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
    assert studies.startswith("2 (left out: B: ")
    assert "no finite" in studies
    assert "Pooled (2 of 3 studies)" in shown["svg"]
    assert [row["included"] for row in shown["fit"]["studies"]] == [True, False, True]


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


def test_the_page_needs_numpy_alone():
    code = (
        "import sys\n"
        "for name in ('scipy', 'pandas', 'statsmodels', 'matplotlib', 'pandera'):\n"
        "    sys.modules[name] = None\n"
        "from helpers.reporting.in_browser import analyse\n"
        "for model in ('glmm', 'random', 'common'):\n"
        "    shown = analyse(b'study,events,n\\nA,3,40\\nB,8,60\\nC,16,50\\n', model=model)\n"
        "print(shown['backend'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "helpers.engine.distributions_pure"

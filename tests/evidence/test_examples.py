"""The example tables: readable, with a source, and in agreement with what was published."""

from __future__ import annotations

import re

import pytest

from helpers.evidence import data_folder, read_cohorts

FOLDER = data_folder() / "examples"
TABLES = sorted(FOLDER.glob("*.csv"))
README = (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_an_example_passes_the_checks_and_names_its_source(path):
    header = path.read_text().splitlines()[0].split(",")
    usual = {"by": "group", "follow_up": "follow_up"}
    roles = {role: column for role, column in usual.items() if column in header}
    assert len(read_cohorts(path, **roles)) >= 6
    part = README.split(f"**`{path.name}`.**")[1].split("\n**")[0]
    assert re.search(r"https://doi\.org/10\.\d+/", part)
    assert b"\r" not in path.read_bytes()


def test_there_are_three_examples_and_a_licence_note():
    assert len(TABLES) == 3
    assert "CC0 1.0" in README


def test_strokes_agree_with_the_abstract_of_the_review():
    data = read_cohorts(FOLDER / "stroke.csv", follow_up="follow_up").set_index("study")
    assert data["n"].sum() == 2900 / 2  # as many people in the other arms
    primary = data[data["group"] == "primary"]
    assert len(primary) == 5
    eaft = data.loc["EAFT 1993"]
    # risk per year in secondary prevention: 8.4 percentage points less with warfarin (20 in 507)
    assert 100 * (eaft["events"] / eaft["person_years"] - 20 / 507) == pytest.approx(8.4, abs=0.05)
    follow_up = 12 * data["person_years"] / data["n"]
    assert data["follow_up"].to_numpy() == pytest.approx(follow_up.to_numpy(), abs=0.005)


def test_placebo_responses_are_the_counts_of_both_sources():
    data = read_cohorts(FOLDER / "ankylosing_spondylitis.csv")
    assert data["events"].tolist() == [23, 12, 19, 9, 39, 6, 9, 10]
    assert data["n"].tolist() == [107, 44, 51, 39, 139, 20, 78, 35]


def test_viral_suppression_agrees_with_the_people_without_it():
    data = read_cohorts(FOLDER / "viral_suppression.csv", numeric="care_quality")
    without = [18, 9, 147, 158, 50, 18, 145, 8, 127, 9, 112, 32, 14]
    assert (data["n"] - data["events"]).tolist() == without

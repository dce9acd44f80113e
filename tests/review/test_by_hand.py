"""The five cohorts of the sums by hand: those of the data, replaced where one is missing."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest

from helpers import load_cohorts, review
from helpers.errors import MetaAnalysisError
from helpers.review.by_hand import FIVE

BOOK = Path(__file__).resolve().parents[2] / "book"
FIVE_CALL = "review.five_cohorts("
RAW = ["nonrelapse_deaths", "patients", "median_follow_up_months"]


def test_the_five_are_those_of_the_file_in_their_order():
    table = load_cohorts().set_index("cohort").loc[list(FIVE)]
    five = review.five_cohorts(load_cohorts())
    assert five["cohort"].tolist() == list(FIVE)
    assert five[["events", "n", "months"]].to_numpy().tolist() == table[RAW].to_numpy().tolist()
    assert five["events"].between(1, five["n"] - 1).all()
    assert five["product"].value_counts().min() >= 2  # two groups that can be pooled


def test_an_edited_count_reaches_the_five():
    table = load_cohorts()
    table.loc[table["cohort"] == FIVE[2], "nonrelapse_deaths"] = 30
    assert review.five_cohorts(table)["events"].tolist() == [9, 5, 30, 13, 6]


def test_a_missing_cohort_is_replaced_and_one_without_deaths_is_not_used():
    table = load_cohorts()
    table = table[table["cohort"] != FIVE[1]]
    table.loc[table["cohort"] == FIVE[0], "nonrelapse_deaths"] = 0
    found = review.five_cohorts(table)
    assert found["cohort"].tolist()[:3] == list(FIVE[2:])
    assert len(found) == 5
    assert not {FIVE[0], FIVE[1]} & set(found["cohort"])
    assert not found["product"].str.contains("+", regex=False).any()


def test_fewer_than_three_are_refused_in_words():
    few = load_cohorts()
    few = few[few["cohort"].isin(FIVE[:2])]
    with pytest.raises(MetaAnalysisError, match=r"at least three cohorts.*there are 2\. Leave .*load_cohorts"):
        review.five_cohorts(few)


def sums(path: Path) -> str:
    """Imports of a chapter and its cells by hand, as one piece of code."""
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    imports = [
        ast.unparse(node)
        for node in ast.parse(code[0].source).body
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    return "\n".join([*imports, *(cell.source for cell in code if "by-hand" in cell.id)])


SUMS = {
    path.stem: code for path in sorted(BOOK.glob("*.ipynb")) if FIVE_CALL in (code := sums(path))
}
TABLES = {
    "other cohorts": lambda table: table[~table["cohort"].isin(FIVE)].sample(20, random_state=1),
    "three cohorts": lambda table: table[table["cohort"].isin(FIVE)].iloc[-3:],
    "most patients die": lambda table: table.assign(
        nonrelapse_deaths=(0.9 * table["patients"]).astype(int)
    ),
    "ten times the patients": lambda table: table.assign(patients=10 * table["patients"]),
}


def test_the_chapters_by_hand_are_found():
    assert {"bayes", "dependence", "heterogeneity", "multiverse", "subgroups"} <= set(SUMS)


@pytest.mark.parametrize("edit", TABLES)
@pytest.mark.parametrize("chapter", SUMS)
def test_by_hand_and_function_agree_on_any_table(chapter, edit):
    """The cells assert it themselves; a reader's table must not make them fail."""
    tree = ast.parse(SUMS[chapter])
    assert any(isinstance(node, ast.Assert) for node in ast.walk(tree))
    names = {"cohorts": TABLES[edit](load_cohorts()).reset_index(drop=True)}
    exec(compile(tree, chapter, "exec"), names)


def test_a_sum_that_is_wrong_is_seen():
    wrong = SUMS["dependence"].replace("three.sigma2_between * S", "three.sigma2_between")
    with pytest.raises(AssertionError):
        exec(wrong, {"cohorts": load_cohorts()})

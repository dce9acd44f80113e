"""The five cohorts of the sums by hand: those of the data, replaced where one is missing."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
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
    with pytest.raises(
        MetaAnalysisError, match=r"at least three cohorts.*there are 2\. Leave .*load_cohorts"
    ):
        review.five_cohorts(few)


def code_of(path: Path) -> list:
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


def sums(path: Path) -> str:
    """Imports of a chapter and its cells by hand, as one piece of code."""
    code = code_of(path)
    imports = [
        ast.unparse(node)
        for node in ast.parse(code[0].source).body
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    return "\n".join([*imports, *(cell.source for cell in code if "by-hand" in cell.id)])


def comparisons(code: str) -> list[tuple[str, bool]]:
    """Assertions of a piece of code, and whether each says in words what it compared."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Assert):
            found.append((ast.unparse(node), node.msg is not None))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("np.testing."):
            said = any(keyword.arg == "err_msg" for keyword in node.keywords)
            found.append((ast.unparse(node), said))
    return found


def drawn(spread: float, size: int):
    """Cohorts with counts and follow-up at random, whose logits differ by `spread`."""

    def edit(table: pd.DataFrame) -> pd.DataFrame:
        rng, k = np.random.default_rng(1), len(table)
        n = rng.integers(12, size, k)
        deaths = rng.binomial(n, 1 / (1 + np.exp(-rng.normal(-2, spread, k))))
        return table.assign(
            patients=n,
            nonrelapse_deaths=np.clip(deaths, 1, n - 1),
            median_follow_up_months=rng.uniform(2, 70, k),
        )

    return edit


CHAPTERS = sorted(BOOK.glob("*.ipynb"))
SUMS = {path.stem: code for path in CHAPTERS if FIVE_CALL in (code := sums(path))}
#: Chapters of methods: each is worked out by hand.
METHODS = {
    *("effect_sizes", "pooling", "heterogeneity", "subgroups", "meta_regression", "time_at_risk"),
    *("small_study_effects", "dependence", "bayes", "multiverse"),
}
TABLES = {
    "as they are": lambda table: table,
    "other cohorts": lambda table: table[~table["cohort"].isin(FIVE)].sample(20, random_state=1),
    "three cohorts": lambda table: table[table["cohort"].isin(FIVE)].iloc[-3:],
    "most patients die": lambda table: table.assign(
        nonrelapse_deaths=(0.9 * table["patients"]).astype(int)
    ),
    "ten times the patients": lambda table: table.assign(patients=10 * table["patients"]),
    "alike and small": drawn(0.0, 60),
    "alike and large": drawn(0.1, 1000),
    "unlike": drawn(3.0, 1000),
}


def test_the_chapters_by_hand_are_found():
    assert set(SUMS) >= METHODS


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_what_a_chapter_asserts_is_said_in_words(path):
    bare = [text for cell in code_of(path) for text, said in comparisons(cell.source) if not said]
    assert bare == []


def test_an_assertion_without_words_is_seen():
    code = "assert a == b\nassert a == b, 'a and b'\nnp.testing.assert_allclose(a, b)"
    assert [said for _, said in comparisons(code)] == [False, True, False]


@pytest.mark.parametrize("chapter", SUMS)
def test_sums_by_hand_are_in_view(chapter):
    cells = [cell for cell in code_of(BOOK / f"{chapter}.ipynb") if "by-hand" in cell.id]
    assert not [cell.id for cell in cells if cell.metadata.get("tags")]
    assert comparisons(cells[-1].source)


@pytest.mark.parametrize("edit", TABLES)
@pytest.mark.parametrize("chapter", SUMS)
def test_by_hand_and_function_agree_on_any_table(chapter, edit):
    """The cells assert it themselves; a reader's table must not make them fail."""
    assert comparisons(SUMS[chapter])
    names = {"cohorts": TABLES[edit](load_cohorts()).reset_index(drop=True)}
    exec(compile(SUMS[chapter], chapter, "exec"), names)


@pytest.mark.parametrize(
    ("chapter", "right", "wrong"),
    [
        ("dependence", "three.sigma2_between * S", "three.sigma2_between"),
        ("effect_sizes", "1 / (n - x)", "1 / n"),
        ("effect_sizes", "z**2 / (2 * n)", "z**2 / n"),
        ("effect_sizes", "(s - 1 / s) / size", "s / size"),
        ("pooling", "(a**2).sum() / a.sum()", "a.mean()"),
        ("pooling", "+ np.log(np.sum(1 / (vi + t)))", ""),
        ("pooling", "/ (k - 1)", "/ k"),
        ("pooling", "stats.norm.pdf(z), -8", "stats.norm.pdf(z), -1"),
        ("pooling", "0.975, k - 2", "0.975, k - 1"),
        ("time_at_risk", "weights=1 / vi", "weights=vi"),
        ("time_at_risk", "x.sum() / years.sum()", "np.mean(x / years)"),
        ("small_study_effects", "weights=1 / se**2", "weights=1 / se"),
        ("small_study_effects", "weights=1 / (vi + tau2)", "weights=1 / vi"),
    ],
)
def test_a_sum_that_is_wrong_is_seen(chapter, right, wrong):
    assert right in SUMS[chapter]
    with pytest.raises(AssertionError, match=r"by hand \(x\), by \w+ \(y\)"):
        exec(SUMS[chapter].replace(right, wrong), {"cohorts": drawn(1.5, 100)(load_cohorts())})

"""The table with planted errors: the reader finds exactly those that it is said to find."""

from __future__ import annotations

import pytest
from pandas.testing import assert_series_equal

from helpers import EvidenceError, load_cohorts, read_cohorts
from helpers.errors import MetaAnalysisError
from helpers.teaching import planted_file, planted_key, verdict
from helpers.teaching.planted import COLUMNS, ROWS, planted_table, without_found_errors

ROLES = {"by": "group", "follow_up": "follow_up", "reported_rate": "reported_rate"}


def test_the_file_is_made_from_our_table_and_the_key():
    assert planted_file().read_text(encoding="utf-8") == planted_table()


def test_the_reader_finds_exactly_the_errors_that_it_can_find():
    found = verdict()
    assert (found["found"] == (found["loader"] == "finds")).all()
    with pytest.raises(EvidenceError) as caught:
        read_cohorts(planted_file(), **ROLES)
    named = {(p.row, p.column) for p in caught.value.problems}
    planted = found[found["loader"] == "finds"]
    assert named == set(zip(planted["row"], planted["column"], strict=True))
    assert len(caught.value.problems) == len(planted)


def test_both_kinds_of_error_are_planted_and_explained():
    key = planted_key()
    assert (key["loader"] == "finds").sum() >= 8
    assert (key["loader"] == "cannot find").sum() >= 6
    assert (key["hint"].str.len() > 10).all()
    assert not key.duplicated(["cohort", "column"]).any()
    kinds = set(key["kind"])
    assert {"transposed denominators", "cohort entered twice", "negative count"} <= kinds


def test_without_any_error_the_table_is_ours():
    clean = read_cohorts(planted_table(planted_key().head(0)).encode(), **ROLES)
    ours = load_cohorts().head(ROWS)
    for name, column in COLUMNS.items():
        assert_series_equal(clean[name], ours[column].astype(clean[name].dtype), check_names=False)


def test_silent_errors_stay_in_a_table_that_is_accepted():
    left = without_found_errors()
    clean = read_cohorts(planted_table(planted_key().head(0)).encode(), **ROLES)
    silent = planted_key().query("loader == 'cannot find'")
    assert len(left) == len(clean) + (silent["original"] == "").sum()
    changed = left.set_index("study").loc[clean["study"], ["events", "n"]].to_numpy()
    assert (changed != clean[["events", "n"]].to_numpy()).any()


def test_transposed_denominators_cannot_be_seen_in_the_sums():
    left = without_found_errors().set_index("study")
    clean = load_cohorts().set_index("cohort")
    pair = planted_key().query("kind == 'transposed denominators'")["cohort"].tolist()
    assert left.loc[pair, "n"].sum() == clean.loc[pair, "patients"].sum()
    assert left.loc[pair, "n"].tolist() == clean.loc[pair[::-1], "patients"].tolist()


def test_a_key_that_does_not_fit_the_table_is_an_error():
    key = planted_key()
    with pytest.raises(MetaAnalysisError, match="not in the table"):
        planted_table(key.head(1).assign(cohort="Nobody 1999"))
    with pytest.raises(MetaAnalysisError, match="the key has '1'"):
        planted_table(key.head(1).assign(original="1"))

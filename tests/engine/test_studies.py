"""Columns of studies are read by what they hold, and refused with the rows at fault."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from helpers import pool
from helpers.errors import MetaAnalysisError


def test_series_are_refused_where_their_indexes_part_and_by_length_where_it_differs():
    events = pd.Series([1, 2, 3], index=list("abc"))
    n = pd.Series([10, 20, 30], index=list("acb"))
    with pytest.raises(MetaAnalysisError, match="row 2 is 'b' in one and 'c' in the other"):
        pool(events=events, n=n)
    aligned = pool(events=events, n=n.reindex(events.index))
    assert aligned.data.size is not None
    assert aligned.data.size.tolist() == [10, 30, 20]
    with pytest.raises(MetaAnalysisError, match="events has 3, n has 2"):
        pool(events=events, n=n[:2])


def test_only_labels_that_repeat_are_told():
    with pytest.raises(MetaAnalysisError, match=r"must be unique; repeated: a, c$"):
        pool(events=[1, 2, 3, 4, 5], n=[10] * 5, study=list("cabac"))


@pytest.mark.parametrize("dtype", ["Int64", "Float64", object])
def test_a_missing_value_of_a_nullable_column_leaves_its_study_out(dtype):
    fit = pool(events=pd.Series([1, pd.NA, 3], dtype=dtype), n=[10, 20, 30])
    assert fit.core.labels == ("Study 1", "Study 3")
    assert fit.mu == pool(events=[1, 3], n=[10, 30]).mu
    full = pool(events=pd.Series([1, 2, 3], dtype=dtype), n=[10, 20, 30])
    assert full.mu == pool(events=np.array([1, 2, 3]), n=[10, 20, 30]).mu


@pytest.mark.parametrize(("wrong", "rest"), [(20, ""), (21, "; and 1 more"), (33, "; and 13 more")])
def test_a_long_list_of_problems_is_cut_and_counted(wrong, rest):
    with pytest.raises(MetaAnalysisError) as refused:
        pool(events=["x"] * wrong, n=[10] * wrong)
    said = str(refused.value)
    assert said.count("is not a number") == 20
    assert said.endswith(f"Study 20, events: 'x' is not a number{rest}")

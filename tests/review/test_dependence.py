import csv
from collections import Counter

import numpy as np
import pytest

from helpers import load_cohorts, load_sources, pool, pool_multilevel
from helpers.errors import UnsupportedError
from helpers.evidence import data_folder
from helpers.review.choices import COLUMNS
from helpers.review.dependence import (
    CONTRASTS,
    SHARED,
    clusters,
    compare_dependence,
    dependence_frame,
    dependence_methods,
    sharing_frame,
)


@pytest.fixture(scope="module")
def rows():
    return compare_dependence()


def test_a_publication_is_a_cluster():
    sources = load_sources().set_index("cohort")["publication"]
    found = clusters("publication")
    assert found.tolist() == sources.reindex(load_cohorts()["cohort"]).tolist()


def test_the_table_counts_the_lines_of_the_file_of_sources():
    table = sharing_frame()
    with (data_folder() / "sources.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    for shared, column in (("publication", "publication"), ("source", "trial_or_registry")):
        sizes = Counter(line[column] or line["publication"] for line in lines)
        related = sum(1 for line in lines if sizes[line[column] or line["publication"]] > 1)
        assert table.loc[shared].tolist() == [len(sizes), related, max(sizes.values())]
    # what stands before a bracket or a comma, where it is one country
    told = [line["region"].split(" (")[0].split(",")[0] for line in lines]
    several = ("and", "Israel", "International", "Europe")
    alone = [name if not any(w in line["region"] for w in several) else line["publication"]
             for name, line in zip(told, lines, strict=True)]  # fmt: skip
    sizes = Counter(name or line["publication"] for name, line in zip(alone, lines, strict=True))
    related = sum(size for size in sizes.values() if size > 1)
    assert table.loc["country"].tolist() == [len(sizes), related, max(sizes.values())]


@pytest.mark.parametrize("shared", SHARED)
def test_cohorts_of_one_publication_are_never_split(shared):
    together = clusters(shared)
    publication = clusters("publication")
    assert together.groupby(publication).nunique().max() == 1


def test_a_country_is_one_that_is_named_alone():
    country = clusters("country")
    by_cohort = dict(zip(load_cohorts()["cohort"], country, strict=True))
    assert by_cohort["Jacobson 2022 B"] == by_cohort["Nastoupil 2020"] == "USA"
    assert by_cohort["Jacobson 2022 A"] == "jacobson2022zuma5"  # USA and France
    assert by_cohort["Bishop 2022"] == "bishop2022"  # international


def test_something_else_cannot_be_shared():
    with pytest.raises(UnsupportedError, match="publication, source, country"):
        clusters("author")


def test_naive_rows_are_the_usual_results(rows):
    for name, model in (("naive", "glmm"), ("naive (normal)", "random")):
        fit = pool(load_cohorts(), **COLUMNS, model=model, ci_method="t")
        naive = next(row for row in rows if row.model == name)
        assert naive.estimate == pytest.approx(fit.estimate, rel=1e-12)
        assert naive.ci == pytest.approx(fit.ci, rel=1e-12)


def test_the_trusted_model_is_never_left_for_the_third_level(rows):
    """With variance between clusters too, the intervals are those of the counts' own model."""
    cohorts = load_cohorts()
    row = next(r for r in rows if r.shared == "country" and r.model == "three-level")
    fit = pool_multilevel(
        cohorts, cluster=clusters("country").tolist(), **COLUMNS, model="glmm", ci_method="t"
    )
    assert row.ci == pytest.approx(fit.ci, rel=1e-12)
    assert fit.loglik >= pool(cohorts, **COLUMNS, model="glmm").loglik - 1e-9


def test_without_variance_between_clusters_the_three_level_model_is_the_usual_one(rows):
    """Then cohorts vary on their own, and estimates and intervals must be the same."""
    found = 0
    for row in rows:
        naive = next(r for r in rows if r.quantity == row.quantity and r.model == "naive")
        if row.model == "three-level" and row.sigma2_between == 0:
            assert row.estimate == pytest.approx(naive.estimate, rel=1e-8)
            assert row.width == pytest.approx(naive.width, rel=1e-6)
            found += 1
    assert found


def test_every_quantity_has_every_way(rows):
    assert len(rows) == (1 + len(CONTRASTS)) * (2 + 2 * len(SHARED))
    frame = dependence_frame(rows)
    assert (frame.loc[frame["shared"] == "independent", "relative_width"] == 1).all()
    robust = frame[(frame["quantity"] == "pooled rate") & (frame["model"] == "robust (CR2)")]
    logit = np.log(robust[["lower", "upper"]] / (1 - robust[["lower", "upper"]]))
    alone = pool(load_cohorts(), **COLUMNS, model="random", ci_method="t").conf_int(scale="model")
    expected = (logit["upper"] - logit["lower"]) / (alone.upper - alone.lower)
    assert robust["relative_width"].tolist() == pytest.approx(expected.tolist(), rel=1e-9)
    assert (frame["lower"] < frame["estimate"]).all()
    assert (frame["estimate"] < frame["upper"]).all()
    assert (frame["clusters"] <= frame["k"]).all()


def test_methods_name_their_sources():
    assert [reference.key for reference in dependence_methods().references] == [
        "konstantopoulos2011",
        "pustejovsky2018",
    ]

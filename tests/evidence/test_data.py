"""The tables in data/: a valid Frictionless package, consistent with each other, and the facts."""

import csv
import json
import math
import re
from collections import Counter, defaultdict

import pytest
from frictionless import Package, Resource
from reference_values import PATH

from helpers import evidence
from helpers.evidence import (
    codebook,
    data_folder,
    load_audit,
    load_causes,
    load_cohorts,
    load_context,
    load_corrections,
    load_inferred_overlap,
    load_published,
    load_related_reviews,
    load_sources,
    read_cohorts,
)
from helpers.evidence.package import described, refresh

TABLES = [one["name"] for one in described()["resources"]]


def test_package_passes_frictionless():
    report = Package(str(data_folder() / "datapackage.json")).validate()
    assert report.flatten(["name", "rowNumber", "fieldName", "note"]) == []
    assert report.valid
    assert len(report.tasks) == len(TABLES)
    assert report.stats["warnings"] == 0


def test_frictionless_notices_a_changed_byte(tmp_path):
    for file in (one for one in data_folder().iterdir() if one.is_file()):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    cohorts = tmp_path / "cohorts.csv"
    cohorts.write_bytes(cohorts.read_bytes().replace(b",269,7,", b",268,7,"))
    report = Package(str(tmp_path / "datapackage.json")).validate()
    assert report.flatten(["type"]) == [["hash-count"]]
    assert [task.name for task in report.tasks if not task.valid] == ["cohorts"]


@pytest.mark.parametrize("name", TABLES)
def test_files_are_utf8_with_plain_line_ends_and_commas(name):
    content = (data_folder() / f"{name}.csv").read_bytes()
    assert not content.startswith(b"\xef\xbb\xbf")
    assert b"\r" not in content
    assert content.endswith(b"\n")
    assert content.decode("utf-8")
    widths = {len(row) for row in csv.reader(content.decode("utf-8").splitlines(), strict=True)}
    assert len(widths) == 1


def test_every_file_is_described_and_every_description_has_a_file():
    assert {path.stem for path in data_folder().glob("*.csv")} == set(TABLES)


def test_description_is_complete():
    package = described()
    for key in ("name", "title", "description", "version", "licenses", "sources", "contributors"):
        assert package[key], key
    for one in package["resources"]:
        assert one["title"]
        assert one["description"]
        assert one["encoding"] == "utf-8"
        assert one["dialect"]["delimiter"] == ","
        assert one["schema"]["missingValues"] == [""]
        assert one["schema"]["primaryKey"]
        for field in one["schema"]["fields"]:
            assert field["description"], field["name"]
            assert isinstance(field["unit"], str), field["name"]
            assert "constraints" in field, field["name"]


def test_sizes_and_hashes_are_current():
    assert refresh(write=False) == []


@pytest.mark.parametrize("name", TABLES)
def test_codebook_has_one_row_per_column_of_the_file(name):
    header = (data_folder() / f"{name}.csv").read_text(encoding="utf-8").split("\n", 1)[0]
    book = codebook(name)
    assert book["column"].tolist() == header.split(",")
    assert list(book) == ["column", "type", "unit", "meaning", "allowed"]
    assert (book[["column", "type", "meaning", "allowed"]] != "").all(axis=None)


@pytest.mark.parametrize(
    ("load", "table"),
    [
        (load_cohorts, "cohorts"),
        (load_causes, "causes"),
        (load_sources, "sources"),
        (load_audit, "audit"),
        (load_corrections, "corrections"),
        (load_inferred_overlap, "inferred_overlap"),
        (load_related_reviews, "related_reviews"),
    ],
)
def test_docstrings_name_every_column(load, table):
    words = re.findall(r"\w+", load.__doc__)
    columns = codebook(table)["column"].tolist()
    assert list(load()) == columns
    assert set(columns) <= set(words)
    assert f"{len(columns)} columns" in load.__doc__


#: Every table without a function of its own; templates are there to be filled in, not read.
CONTEXT = [
    name
    for name in TABLES
    if not hasattr(evidence, f"load_{name}")
    and not name.startswith("published_")
    and not name.endswith("template")
]


@pytest.mark.parametrize("name", CONTEXT)
def test_a_table_of_context_has_the_columns_of_its_codebook_and_a_line_in_the_docstring(name):
    assert list(load_context(name)) == codebook(name)["column"].tolist()
    assert f"``{name}``: " in load_context.__doc__


def test_a_table_of_context_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(evidence.EvidenceError, match="later_cohorts"):
        load_context("later")


@pytest.mark.parametrize(
    "name", ["pooled", "regressions", "coefficients", "tests", "column_sums", "claims"]
)
def test_docstring_of_published_tables_gives_their_columns_and_size(name):
    text = " ".join(load_published.__doc__.split())
    size, columns = re.search(rf"``{name}``: .*?\((\d+) rows; ``([^`]*)``", text).groups()
    assert columns.split(", ") == codebook(f"published_{name}")["column"].tolist()
    assert int(size) == len(load_published(name))


def test_docstring_of_causes_gives_its_size():
    assert f"{len(load_causes())} rows" in load_causes.__doc__


# the facts ---------------------------------------------------------------------------------


def test_totals_of_the_review():
    cohorts = load_cohorts()
    assert len(cohorts) == 52
    assert cohorts["patients"].sum() == 7604
    assert cohorts["nonrelapse_deaths"].sum() == 574
    assert cohorts["setting"].value_counts().to_dict() == {"real-world": 34, "trial": 18}
    assert cohorts["entity"].value_counts().to_dict() == {"LBCL": 31, "MM": 13, "MCL": 5, "IL": 3}
    assert cohorts["median_follow_up_months"].isna().sum() == 1
    assert cohorts["enrolment_ended"].isna().sum() == 1
    assert cohorts["reported_nrm"].notna().sum() == 14


def test_cohorts_agree_with_the_table_that_r_computed_on():
    known = json.loads(PATH.read_text(encoding="utf-8"))["data"]
    ours = load_cohorts()
    assert ours["cohort"].tolist() == [name.replace("_", " ") for name in known["Study_Name"]]
    assert ours["patients"].tolist() == known["Patient_number"]
    assert ours["nonrelapse_deaths"].tolist() == known["deaths"]
    assert ours["year"].tolist() == known["year"]
    assert ours["entity"].tolist() == known["Entity"]
    assert ours["product"].str.replace(" ", "").tolist() == [
        "+".join(part.lower() for part in reversed(name.split("+")))
        if name == "Axi-cel+Tisa-cel"
        else name.lower()
        for name in known["Product"]
    ]
    settings = {"CT": "trial", "RW": "real-world"}
    assert ours["setting"].tolist() == [settings[name] for name in known["Setting"]]
    for column, name in (
        ("median_follow_up_months", "FU"),
        ("reported_nrm", "NRM_Reported"),
        ("reported_nrm_month", "NRM_Timepoint"),
    ):
        values = [None if math.isnan(x) else x for x in ours[column].astype("float64")]
        assert values == known[name], column


def test_named_levels_are_ordered_categoricals():
    cohorts = load_cohorts()
    assert list(cohorts["entity"].cat.categories) == ["LBCL", "MCL", "MM", "IL"]
    assert list(cohorts["setting"].cat.categories) == ["trial", "real-world"]
    assert list(cohorts["treatment_line"].cat.categories) == ["earlier", "later"]
    assert list(cohorts["enrolment_ended"].cat.categories) == ["before 2020", "2020 or later"]
    assert list(cohorts["product"].cat.categories) == [
        *("axi-cel", "brexu-cel", "tisa-cel", "liso-cel", "ide-cel", "cilta-cel"),
        *("tisa-cel + axi-cel", "ide-cel + cilta-cel"),
    ]
    for name in ("entity", "product", "setting", "phase", "treatment_line", "enrolment_ended"):
        assert cohorts[name].cat.ordered
        assert set(cohorts[name].dropna()) == set(cohorts[name].cat.categories), name


def test_integers_are_nullable_only_where_values_are_missing():
    cohorts = load_cohorts()
    assert (
        cohorts.dtypes[["patients", "nonrelapse_deaths", "year"]].astype(str).tolist()
        == ["int64"] * 3
    )
    assert str(cohorts["reported_nrm_month"].dtype) == "Int64"
    assert str(cohorts["median_follow_up_months"].dtype) == "float64"


def test_published_overall_estimate_is_kept_to_the_last_digit():
    pooled = load_published("pooled").set_index(["analysis", "level"])
    overall = pooled.loc[("all cohorts", "all")]
    assert overall["random_estimate_printed"] == "0.06822097631994897"
    assert overall["random_lower_printed"] == "0.05778212547975631"
    assert overall["random_upper_printed"] == "0.08038480565956292"
    assert overall["common_estimate_printed"] == "0.07548658601234277"
    assert overall["random_estimate"] == 0.06822097631994897
    assert overall.isna().sum() == 3  # there are no groups to compare
    assert overall["cohorts":"patients"].tolist() == [52, 574, 7604]


def test_printed_decimals_survive():
    coefficients = load_published("coefficients").set_index(["model", "term"])
    setting = coefficients.loc[("MM: setting", "real-world")]
    assert setting["p_printed"] == "0.0630"
    assert setting["upper_printed"] == "0.0460"
    assert setting["upper"] == 0.046
    intercept = coefficients.loc[("LBCL: product", "intercept")]
    assert intercept[["p", "p_printed", "p_relation"]].tolist() == [0.0001, "<.0001", "<"]
    tests = load_published("tests").set_index(["test", "subset"])
    assert tests.loc[("Egger regression", "real-world"), "p_printed"] == "0.0180"
    assert tests.loc[("Egger regression", "IL"), "estimate_se_printed"] == "0.3880"


@pytest.mark.parametrize("name", ["pooled", "regressions", "coefficients", "tests"])
def test_numbers_are_the_printed_texts(name):
    table = load_published(name)
    printed = [column for column in table if column.endswith("_printed")]
    assert printed
    for column in printed:
        number, text = table[column.removesuffix("_printed")], table[column]
        assert number.isna().tolist() == text.isna().tolist()
        expected = [float(one.removeprefix("<")) for one in text.dropna()]
        assert number.dropna().tolist() == expected
        relation = column.replace("_printed", "_relation")
        bounded = text.dropna().str.startswith("<").tolist()
        if relation in table:
            assert (table[relation].dropna() == "<").tolist() == bounded
        else:
            assert not any(bounded)


# one table against the others ---------------------------------------------------------------


def test_sources_cover_exactly_the_cohorts_in_their_order():
    cohorts, sources = load_cohorts(), load_sources()
    assert sources["cohort"].tolist() == cohorts["cohort"].tolist()
    assert sources["year"].tolist() == cohorts["year"].tolist()
    trials = sources["data_source"] == "clinical trial"
    assert trials.tolist() == (cohorts["setting"] == "trial").tolist()


def test_cohorts_of_one_publication_share_its_facts():
    sources = load_sources()
    facts = sources.groupby("publication")[["title", "journal", "year", "doi", "pmid"]]
    assert (facts.nunique(dropna=False) == 1).all(axis=None)
    per_doi = sources.dropna(subset="doi").groupby("doi")["publication"].nunique()
    assert (per_doi == 1).all()


def test_every_difference_in_sources_is_explained_in_the_audit():
    sources = load_sources().set_index("cohort")
    audit = set(zip(load_audit()["cohort"], load_audit()["field"], strict=True))
    for column, field in (("patients_check", "patients"), ("deaths_check", "nonrelapse_deaths")):
        differing = sources.index[sources[column] == "differs"]
        assert len(differing)
        assert {(cohort, field) for cohort in differing} <= audit


def test_audit_quotes_the_value_that_the_table_has():
    cohorts = load_cohorts().set_index("cohort")
    audit = load_audit()
    numbers = audit[audit["field"].isin(cohorts.columns)]
    assert len(numbers) > 10
    for row in numbers.itertuples():
        assert float(row.review_value) == cohorts.loc[row.cohort, row.field], row.cohort


def test_corrections_start_from_the_published_value_of_an_audited_cell():
    cohorts = load_cohorts().set_index("cohort")
    audit = load_audit().set_index(["cohort", "field"])
    corrections = load_corrections()
    values = corrections[corrections["kind"] != "exclude"]
    assert len(values) > 5
    for row in values.itertuples():
        assert row.as_published == cohorts.loc[row.cohort, row.column], row.cohort
        found = audit.loc[(row.cohort, row.column), "source_value"].removeprefix("about ")
        # a source that gives nothing can only lead to a missing value
        assert (found == "not seen") == (row.kind == "remove")
        assert row.kind == "remove" or float(found) == row.corrected
    for cohort in corrections.loc[corrections["kind"] == "exclude", "cohort"]:
        assert cohort in cohorts.index
        named = audit["note"].str.contains(cohort).any()
        assert named or (cohort, "design") in audit.index


def test_infused_patients_are_the_only_numbers_that_fit_what_was_printed():
    kwon = load_corrections().set_index("id").loc["kwon-infused"]
    (n_a, n_b), total = kwon["as_published"], 261
    fits = [
        (a, total - a)
        for a in range(total)
        if math.floor(100 * a / n_a + 0.5) == 88 and math.floor(100 * (total - a) / n_b + 0.5) == 82
    ]
    assert fits == [tuple(kwon["corrected"])]


def test_inferred_overlap_is_seven_cohorts_marked_as_inferred():
    overlap = load_inferred_overlap()
    cohorts = load_cohorts().set_index("cohort")
    assert len(overlap) == 7
    assert set(overlap["status"]) == {"inferred"}
    assert set(cohorts.loc[overlap["cohort"], "setting"]) == {"real-world"}
    egger = load_published("tests").set_index("subset").loc["no potential overlap", "cohorts"]
    assert egger == len(cohorts) - len(overlap)


def test_causes_of_all_deaths_add_up():
    causes = load_causes()
    deaths = load_cohorts()["nonrelapse_deaths"].sum()
    for grouping in ("all, eleven causes", "all, eight causes"):
        assert causes.loc[causes["grouping"] == grouping, "deaths"].sum() == deaths
    eight = causes[causes["grouping"] == "all, eight causes"]
    assert set(eight["certainty"]) == {"exact"}


def test_eight_causes_are_sums_of_the_eleven():
    causes = load_causes()
    eleven, eight = (
        causes[causes["grouping"] == name].set_index("cause")["deaths"]
        for name in ("all, eleven causes", "all, eight causes")
    )
    rest = ["organ failure", "other", "unknown"]
    assert eight["neurotoxicity or ICANS"] == (
        eleven["ICANS"] + eleven["neurotoxicity, not specified"]
    )
    assert eight["organ failure, other or unknown"] == eleven[rest].sum()
    same = eight.index.intersection(eleven.index)
    assert len(same) == 6
    assert eight[same].equals(eleven[same])


def test_causes_by_group_add_up_to_the_known_causes():
    causes = load_causes()
    whole = causes[causes["grouping"] == "all, eight causes"].set_index("cause")["deaths"]
    known = whole.drop("organ failure, other or unknown")
    for grouping in ("setting", "entity"):
        table = causes[causes["grouping"] == grouping]
        assert table.groupby("cause", observed=True)["deaths"].sum().to_dict() == known.to_dict()
        assert set(table["certainty"]) == {"exact"}


@pytest.mark.parametrize(
    ("grouping", "subset"),
    [
        ("entity", "known causes by entity"),
        ("setting", "known causes by setting"),
        ("setting, without COVID-19", "known causes by setting without COVID-19"),
        ("product", "known causes by product (six single products)"),
    ],
)
def test_causes_meet_the_printed_column_sums(grouping, subset):
    sums = load_published("column_sums")
    printed = sums[sums["subset"] == subset].set_index("level")["deaths"].to_dict()
    causes = load_causes()
    ours = causes[causes["grouping"] == grouping].groupby("level")["deaths"].sum().to_dict()
    assert ours == printed
    assert printed


@pytest.mark.parametrize(
    ("grouping", "levels", "subset"),
    [
        ("entity", None, "known causes by entity"),
        ("setting", None, "known causes by setting"),
        ("setting, without COVID-19", None, "known causes by setting without COVID-19"),
        ("product", None, "known causes by product (six single products)"),
        ("product", ["axi-cel", "liso-cel", "tisa-cel"], "axi-cel vs liso-cel vs tisa-cel"),
        ("product", ["axi-cel", "tisa-cel"], "axi-cel vs tisa-cel"),
        ("product", ["ide-cel", "cilta-cel"], "ide-cel vs cilta-cel"),
    ],
)
def test_causes_reproduce_the_printed_chi_squared(grouping, levels, subset):
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    causes = load_causes()
    for row in causes[causes["grouping"] == grouping].itertuples():
        if levels is None or row.level in levels:
            counts[row.level][row.cause] = row.deaths
    rows = {level: sum(by_cause.values()) for level, by_cause in counts.items()}
    columns = Counter()
    for by_cause in counts.values():
        columns.update(by_cause)
    total = sum(rows.values())
    statistic = sum(
        (deaths - rows[level] * columns[cause] / total) ** 2
        / (rows[level] * columns[cause] / total)
        for level, by_cause in counts.items()
        for cause, deaths in by_cause.items()
    )
    tests = load_published("tests").set_index("subset")
    subset = subset if subset.startswith("known") else f"known causes: {subset}"
    printed = tests.loc[subset, "statistic_printed"]
    decimals = len(printed.split(".")[1])
    assert f"{statistic:.{decimals}f}" == printed
    assert tests.loc[subset, "df1"] == (len(rows) - 1) * (len(columns) - 1)


def test_published_groups_count_the_cohorts_of_the_table():
    cohorts = load_cohorts()
    pooled = load_published("pooled")
    for by in ("entity", "product", "setting"):
        groups = pooled[pooled["analysis"] == by].set_index("level")
        ours = cohorts.groupby(by, observed=True).agg(
            cohorts=("cohort", "size"), patients=("patients", "sum"),
            nonrelapse_deaths=("nonrelapse_deaths", "sum"),
        )  # fmt: skip
        for column in ours:
            assert groups[column].to_dict() == ours[column].to_dict(), (by, column)


def test_common_estimates_are_the_published_totals():
    pooled = load_published("pooled")
    crude = pooled["nonrelapse_deaths"] / pooled["patients"]
    assert (abs(pooled["common_estimate"] - crude) < 1e-9).all()


def test_published_models_and_coefficients_belong_together():
    models = load_published("regressions").set_index("model")
    coefficients = load_published("coefficients")
    per_model = coefficients.groupby("model", sort=False)
    assert coefficients["model"].drop_duplicates().tolist() == models.index.tolist()
    sizes = per_model.size()
    for model in models.itertuples():
        assert sizes[model.Index] == model.cohorts - model.qe_df == model.f_df1 + 1
        assert (coefficients.loc[coefficients["model"] == model.Index, "df"] == model.f_df2).all()
    contrasts = coefficients["term"] != "intercept"
    assert coefficients["factor"].notna().equals(contrasts)
    assert coefficients["reference"].notna().equals(contrasts)


def test_egger_tests_count_the_cohorts_of_the_table():
    cohorts = load_cohorts()
    egger = load_published("tests").query("test == 'Egger regression'").set_index("subset")
    assert (egger["cohorts"] == egger["df1"] + 2).all()
    for column in ("entity", "setting"):
        for level, size in cohorts[column].value_counts().items():
            assert egger.loc[level, "cohorts"] == size
    assert egger.loc["more than 80 patients", "cohorts"] == (cohorts["patients"] > 80).sum()


def test_template_is_read_as_a_readers_table():
    template = read_cohorts(data_folder() / "template.csv", by="group", follow_up="follow_up")
    assert list(template) == ["study", "events", "n", "group", "follow_up"]
    assert len(template) == 3
    assert template["study"].str.startswith("Example").all()


def test_readme_names_every_file_and_no_machine_path():
    text = (data_folder() / "README.md").read_text(encoding="utf-8")
    for name in TABLES:
        assert f"`{name}.csv`" in text
    assert "/work" not in text
    assert "/work" not in (data_folder() / "datapackage.json").read_text(encoding="utf-8")


def test_frictionless_and_our_loader_read_the_same_cells():
    package = Package(str(data_folder() / "datapackage.json"))
    resource = package.get_resource("cohorts")
    assert isinstance(resource, Resource)
    theirs = [row.to_dict() for row in resource.read_rows()]
    ours = load_cohorts().astype(object)
    ours = ours.where(ours.notna(), None).to_dict(orient="records")
    for one in theirs:
        for name in ("median_follow_up_months", "reported_nrm"):
            one[name] = None if one[name] is None else float(one[name])
    assert theirs == ours


# since the review ----------------------------------------------------------------------------


def test_deaths_implied_by_a_rounded_rate_are_the_only_whole_numbers_that_round_to_it():
    later = load_context("later_cohorts")
    implied = later[later["evidence"] == "count implied"]
    assert len(implied) > 5
    for row in implied.itertuples():
        percent = 100 * row.reported_nrm
        assert percent == round(percent), row.report  # printed without decimals
        fits = [
            x
            for x in range(row.patients + 1)
            if percent - 0.5 <= 100 * x / row.patients < percent + 0.5
        ]
        assert (fits[0], fits[-1]) == (row.deaths_fewest, row.deaths_most), row.report


def test_later_cuts_name_a_cohort_of_the_table_with_its_disease_and_product():
    later, cohorts = load_context("later_cohorts"), load_cohorts().set_index("cohort")
    cuts = later[later["earlier_cohort"].notna()]
    assert set(cuts["setting"]) == {"trial"}
    for row in cuts.itertuples():
        named = cohorts.loc[row.earlier_cohort]
        assert (row.entity, row.product) == (named["entity"], named["product"]), row.report
    replaced = later.loc[later["update"] == "replace", "earlier_cohort"]
    assert replaced.is_unique


def test_the_items_of_prisma_are_its_twenty_seven():
    assert load_context("reporting_items")["number"].tolist() == list(range(1, 28))


def test_definitions_are_of_publications_in_the_sources():
    assert set(load_context("nrm_definitions")["publication"]) <= set(load_sources()["publication"])


def test_changes_of_rules_come_in_order_of_time():
    dates = load_context("rules_since_2024")["date"]
    assert dates.str[:7].is_monotonic_increasing
    assert (dates.str[:4].astype(int) >= 2024).all()


def test_every_registered_trial_has_a_number_that_a_register_knows():
    numbers = load_sources()["registration"].dropna()
    assert numbers.str.fullmatch(r"NCT\d{8}|JapicCTI-\d{6}").all()
    trials = load_sources().query("data_source == 'clinical trial'")
    assert trials.loc[trials["registration"].isna(), "cohort"].tolist() == ["Lin 2023"]

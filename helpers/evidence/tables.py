"""The book's own tables: each function is the way to one file in ``data/`` and its codebook.

`EvidenceError` names every cell of a file that does not satisfy its description.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, get_args

from ..door import pd
from .columns import TableRule, as_frame, at_most, read_columns
from .grid import read_grid
from .package import columns_of, data_folder, resource
from .problems import CellProblem, EvidenceError

Published = Literal["pooled", "regressions", "coefficients", "tests", "column_sums", "claims"]
Context = Literal[
    "infection_context",
    "prevention_guidance",
    "later_cohorts",
    "forecasts_2024",
    "rules_since_2024",
    "review_methods",
    "reporting_items",
    "nrm_definitions",
]


def _between(estimate: str, lower: str, upper: str) -> TableRule:
    def holds(*printed: float | str | None) -> bool:
        if None in printed:
            return True
        middle, low, high = (float(str(value).removeprefix("<")) for value in printed)
        return low <= middle <= high

    return TableRule((estimate, lower, upper), f"a number from {lower!r} to {upper!r}", holds)


def _together(first: str, second: str, expected: str) -> TableRule:
    return TableRule((first, second), expected, lambda one, two: one is not None or two is None)


_REFERENCE = TableRule(
    ("doi", "url"), "a DOI or an address", lambda doi, url: doi is not None or url is not None
)


_RULES: dict[str, list[TableRule]] = {
    "cohorts": [
        TableRule(
            ("cohort", "first_author", "year", "arm"),
            "first author, year and arm",
            lambda cohort, author, year, arm: (
                cohort == f"{author} {year}" + ("" if arm is None else f" {arm}")
            ),
        ),
        at_most("nonrelapse_deaths", "patients"),
        TableRule(
            ("phase", "setting"),
            "a phase for a trial and none for a real-world cohort",
            lambda phase, setting: (phase is not None) == (setting == "trial"),
        ),
        _together("reported_nrm", "reported_nrm_month", "a proportion, as a month is given"),
    ],
    "sources": [
        TableRule(
            ("doi", "doi_status"),
            "an identifier unless doi_status is missing",
            lambda doi, status: (doi is None) == (status == "missing"),
        )
    ],
    "corrections": [
        TableRule(
            ("kind", "column", "as_published"),
            "exclude without a column and a value, or another kind with both",
            lambda kind, *cells: all((cell is None) == (kind == "exclude") for cell in cells),
        ),
        TableRule(
            ("corrected", "kind"),
            "a value for replace and an empty cell for remove or exclude",
            lambda corrected, kind: (corrected is not None) == (kind == "replace"),
        ),
    ],
    "published_pooled": [
        at_most("nonrelapse_deaths", "patients"),
        _between("common_estimate", "common_lower", "common_upper"),
        _between("random_estimate", "random_lower", "random_upper"),
    ],
    "published_coefficients": [
        _between("estimate", "lower", "upper"),
        _together("reference", "factor", "the level that the term is compared with"),
    ],
    "published_claims": [_together("value", "unit", "the unit of the value")],
    "published_tests": [_together("estimate", "estimate_name", "the value of the estimate")],
    "infection_context": [
        at_most("infection_deaths", "nonrelapse_deaths"),
        at_most("from_day", "to_day"),
        _between("value", "lower", "upper"),
        _together("value", "lower", "the value of the interval"),
        _REFERENCE,
    ],
    "prevention_guidance": [
        _REFERENCE,
        _together("doi", "key", "the DOI of the entry in the bibliography"),
    ],
    "later_cohorts": [
        at_most("deaths_fewest", "deaths_most"),
        at_most("deaths_most", "patients"),
        TableRule(
            ("evidence", "deaths_fewest", "deaths_most"),
            "a count where one is stated or implied, and none elsewhere",
            lambda evidence, *deaths: (
                (evidence in ("count stated", "count implied")) == (None not in deaths)
            ),
        ),
        TableRule(
            ("update", "deaths_fewest"),
            "none where no count is known",
            lambda update, deaths: update == "none" or deaths is not None,
        ),
        TableRule(
            ("update", "earlier_cohort"),
            "replace only with an earlier cohort, and add only without one",
            lambda update, earlier: (
                update == "none" or (update == "replace") == (earlier is not None)
            ),
        ),
        TableRule(
            ("update", "shared_patients"),
            "not add, as the patients may be in another cohort",
            lambda update, shared: update != "add" or shared is None,
        ),
    ],
    "review_methods": [
        TableRule(
            ("known", "found"),
            "a text where something was found, and none elsewhere",
            lambda known, found: (known is None) == (found == "no"),
        )
    ],
    "reporting_items": [
        TableRule(
            ("where_seen", "seen"),
            "a place where the item was seen, and none elsewhere",
            lambda where, seen: (where is None) == (seen == "not seen"),
        )
    ],
    "template": [at_most("events", "n")],
}


def _key_rule(key: Sequence[str]) -> TableRule:
    used: set[tuple[object, ...]] = set()

    def holds(*values: object) -> bool:
        new = values not in used
        used.add(values)
        return new

    others = ", ".join(repr(name) for name in key[1:])
    return TableRule(tuple(key), f"a combination used once with {others}", holds)


def _load(table: str) -> pd.DataFrame:
    """Read one of our tables, checked; each caller gets a copy of its own."""
    description = resource(table)
    content = (data_folder() / description["path"]).read_bytes()
    return _checked(table, json.dumps(description), content).copy()


@lru_cache(maxsize=64)  # more than there are tables
def _checked(table: str, described: str, content: bytes) -> pd.DataFrame:
    """Check a table against its description and rules, once for the same bytes of both."""
    description = json.loads(described)
    columns = columns_of(table)
    rules = list(_RULES.get(table, ()))
    key = description["schema"]["primaryKey"]
    if len(key) > 1:
        rules.append(_key_rule(key))
    names = tuple(column.name for column in columns)
    grid = read_grid(content, names, file=f"data/{description['path']}")
    return as_frame(read_columns(grid, columns, rules, strict=True), columns)


def _one_of(name: str, known: Sequence[str], what: str) -> str:
    """Refuse the name of a table that there is not."""
    if name not in known:
        raise EvidenceError([CellProblem(what, None, "", str(name), "one of " + " | ".join(known))])
    return name


def is_published(cohorts: pd.DataFrame) -> bool:
    """Say whether a table is that of the review, cell by cell, so that stored results are its own.

    Examples
    --------
    >>> is_published(load_cohorts()), is_published(load_cohorts().head(3))
    (True, False)
    """
    return cohorts.equals(load_cohorts())


def load_cohorts() -> pd.DataFrame:
    """Load the 52 cohorts of the review: patients, nonrelapse deaths and what kind they are.

    Returns
    -------
    pandas.DataFrame
        One row per cohort, sorted by label, 15 columns: ``cohort, first_author, year, arm,
        entity, product, setting, phase, treatment_line, enrolment_ended, patients,
        nonrelapse_deaths, median_follow_up_months, reported_nrm, reported_nrm_month``.
        ``arm, entity, product, setting, phase, treatment_line, enrolment_ended`` are ordered
        categoricals, counts and year ``int64``, ``reported_nrm_month`` ``Int64``. Meaning and
        units: ``codebook("cohorts")``.

    Notes
    -----
    Source: the study tables of Cordas dos Santos et al. 2024 (doi:10.1038/s41591-024-03084-6) as
    its authors published them with their code; see ``data/README.md``.

    Examples
    --------
    >>> cohorts = load_cohorts()
    >>> cohorts.shape
    (52, 15)
    >>> cohorts[["cohort", "entity", "product", "patients", "nonrelapse_deaths"]].head(3)
               cohort entity              product  patients  nonrelapse_deaths
    0   Abramson 2020   LBCL             liso-cel       269                  7
    1     Akthar 2023     MM  ide-cel + cilta-cel       139                  7
    2    Berning 2024   LBCL   tisa-cel + axi-cel       172                 30
    """
    return _load("cohorts")


def load_causes() -> pd.DataFrame:
    """Load the causes of the nonrelapse deaths: overall and by setting, disease and product.

    Returns
    -------
    pandas.DataFrame
        117 rows, 5 columns: ``grouping, level, cause, deaths, certainty``. The groupings
        overlap, so select one grouping before adding up. ``certainty`` is ``exact``, or
        ``within 1`` for a count that may be one too low or too high. Meaning and units:
        ``codebook("causes")``.

    Notes
    -----
    Source: inferred for this project from published figures and printed tests; see
    ``data/README.md``.

    Examples
    --------
    >>> causes = load_causes()
    >>> whole = causes[causes["grouping"] == "all, eight causes"]
    >>> whole[["cause", "deaths", "certainty"]].head(3)
                                cause  deaths certainty
    11  cardiovascular or respiratory      42     exact
    12                            CRS      27     exact
    13                    haemorrhage      19     exact
    """
    return _load("causes")


def load_sources() -> pd.DataFrame:
    """Load the publication behind each cohort, and how far it could be checked.

    Returns
    -------
    pandas.DataFrame
        One row per cohort, in the order of :func:`load_cohorts`, 14 columns: ``cohort,
        publication, title, journal, year, doi, doi_status, pmid, trial_or_registry,
        registration, region, data_source, patients_check, deaths_check``. Meaning:
        ``codebook("sources")``.

    Notes
    -----
    Source: looked up publication by publication; ``doi_status`` says which identifiers were
    seen. Cohorts of one publication share ``publication``.

    Examples
    --------
    >>> load_sources()[["cohort", "publication", "doi_status", "patients_check"]].head(3)
              cohort    publication doi_status patients_check
    0  Abramson 2020   abramson2020  confirmed      confirmed
    1    Akthar 2023     akhtar2023    missing    not checked
    2   Berning 2024    berning2024  confirmed      confirmed
    """
    return _load("sources")


def load_audit() -> pd.DataFrame:
    """Load the values of the review that differ from a primary source, or were in doubt.

    Returns
    -------
    pandas.DataFrame
        One row per finding, 7 columns: ``cohort, field, review_value, source_value, kind,
        source, note``. Both values are text, since a source may say "about 134" or nothing.
        Meaning: ``codebook("audit")``.

    Notes
    -----
    Source: the publications of the cohorts; ``source`` names the text that was seen.

    Examples
    --------
    >>> load_audit()[["cohort", "field", "review_value", "source_value", "kind"]].head(2)
              cohort     field review_value source_value        kind
    0  Bethge 2022 A  patients          183          173  transposed
    1  Bethge 2022 B  patients          173          183  transposed
    """
    return _load("audit")


def load_corrections() -> pd.DataFrame:
    """Load what each finding of the audit would change in the table of cohorts.

    Returns
    -------
    pandas.DataFrame
        One row per changed cell or left-out cohort, 9 columns: ``id, cohort, column,
        as_published, corrected, kind, certainty, source, reason``. Rows that make sense only
        together share ``id``. Meaning: ``codebook("corrections")``.

    Notes
    -----
    Source: derived from the findings of :func:`load_audit`; ``helpers.evidence.corrections``
    applies them. :func:`load_cohorts` always gives the review's own values.

    Examples
    --------
    >>> load_corrections()[["id", "cohort", "as_published", "corrected", "certainty"]].head(2)
                id         cohort  as_published  corrected certainty
    0  bethge-arms  Bethge 2022 A         183.0      173.0      fact
    1  bethge-arms  Bethge 2022 B         173.0      183.0      fact
    """
    return _load("corrections")


def load_inferred_overlap() -> pd.DataFrame:
    """Load the cohorts that the review left out for potential overlap, as far as inferred.

    Returns
    -------
    pandas.DataFrame
        One row per cohort, 2 columns: ``cohort, status``; the status is always ``inferred``.
        Meaning: ``codebook("inferred_overlap")``.

    Notes
    -----
    Source: the only choice of seven cohorts that reproduces a printed test; see
    ``data/README.md``. The review does not name them.

    Examples
    --------
    >>> load_inferred_overlap().head(2)
             cohort    status
    0   Akthar 2023  inferred
    1  Berning 2024  inferred
    """
    return _load("inferred_overlap")


def load_related_reviews() -> pd.DataFrame:
    """Load other syntheses of mortality or malignancy after T-cell redirecting therapy.

    Returns
    -------
    pandas.DataFrame
        One row per work, 8 columns: ``work, journal, year, doi, studies, patients, outcome,
        headline``. Meaning: ``codebook("related_reviews")``.

    Notes
    -----
    Source: the works themselves; ``doi`` is empty where none was seen.

    Examples
    --------
    >>> load_related_reviews()[["work", "year", "patients"]].head(1)
                             work  year  patients
    0  Cordas dos Santos preprint  2024      7788
    """
    return _load("related_reviews")


def load_context(name: Context) -> pd.DataFrame:
    """Load one table of facts in addition to those of the review.

    Parameters
    ----------
    name : str
        ``infection_context``: what others report of deaths from infection, when, of what and how
        many (one row per fact).
        ``prevention_guidance``: what guidance says by time window, and the evidence for and
        against it. Not medical advice.
        ``later_cohorts``: reports since the search of the review, with the class of their
        evidence; a rate implies a count only if it is a crude share.
        ``forecasts_2024``: forecasts made from the table of 2024 and frozen;
        `helpers.review.forecasts_frame` computes them again, and
        `helpers.review.frozen_forecasts` refuses a file that was changed.
        ``rules_since_2024``: changes of labels, indications and monitoring, in order of time.
        ``review_methods``: how the review was made, and what was not found.
        ``reporting_items``: the 27 items of PRISMA 2020 (doi:10.1136/bmj.n71) in our words, and
        whether public texts answer them.
        ``nrm_definitions``: how publications of the cohorts count nonrelapse mortality; for the
        others no definition was seen.

    Returns
    -------
    pandas.DataFrame
        Columns, meaning and units: ``codebook(name)``.

    Raises
    ------
    EvidenceError
        If there is no such table.

    Notes
    -----
    Source: collected without a systematic search. Columns of each table name the text, say what
    was seen of it, and mark secondary texts.

    Examples
    --------
    >>> load_context("later_cohorts")[["report", "patients", "deaths_fewest", "evidence"]].head(2)
                      report  patients  deaths_fewest      evidence
    0     ZUMA-12 three-year        40              2  count stated
    1  CARTITUDE-1 later cut        97             18  count stated
    >>> load_context("reporting_items")["seen"].value_counts()["seen"]
    np.int64(10)
    """
    return _load(_one_of(name, get_args(Context), "context"))


def load_published(name: Published) -> pd.DataFrame:
    """Load one table of published results, as printed and as numbers.

    Parameters
    ----------
    name : {"pooled", "regressions", "coefficients", "tests", "column_sums", "claims"}
        ``pooled``: overall and subgroup estimates (42 rows; ``analysis, level, cohorts,
        nonrelapse_deaths, patients, common_estimate, common_lower, common_upper,
        random_estimate, random_lower, random_upper, p_between``).
        ``regressions``: one row per meta-regression (12 rows; ``model, entity, cohorts, tau2,
        tau2_se, i2_percent, h2, r2_percent, qe, qe_df, qe_p, f, f_df1, f_df2, f_p``).
        ``coefficients``: one row per coefficient of them (34 rows; ``model, term, factor,
        reference, estimate, se, t, df, p, lower, upper``).
        ``tests``: Egger, correlation, rank sum, permutation and chi-squared tests (20 rows;
        ``test, subset, cohorts, draws, statistic_name, statistic, df1, df2, p, estimate_name,
        estimate, estimate_se``).
        ``column_sums``: deaths in the columns of the tested tables (14 rows; ``test, subset,
        level, deaths``).
        ``claims``: what the abstract claims, in our words (14 rows; ``claim, statement, value,
        unit``).

    Returns
    -------
    pandas.DataFrame
        The columns above; meaning and units in ``codebook("published_" + name)``. After every
        printed number ``x`` (``float64``) follows ``x_printed`` with the text as printed, so that
        the digits that were printed can be compared. After a p value there is also
        ``x_relation``: ``"="``, or ``"<"`` when only a bound was printed (``<.0001``), and then
        the number is that bound.

    Raises
    ------
    EvidenceError
        If there is no such table.

    Notes
    -----
    Source: output and code of the review as published by its authors; see ``data/README.md``.

    Examples
    --------
    >>> models = load_published("regressions").set_index("model")
    >>> models.loc[["MM: setting"], ["f", "f_p", "f_p_printed", "f_p_relation"]]
                      f    f_p f_p_printed f_p_relation
    model
    MM: setting  4.3732  0.063      0.0630            =
    >>> load_published("coefficients")[["p", "p_printed", "p_relation"]].head(2)
            p p_printed p_relation
    0  0.0001    <.0001          <
    1  0.0509    0.0509          =
    """
    table = f"published_{_one_of(name, get_args(Published), 'published results')}"
    frame = _load(table)
    for field in resource(table)["schema"]["fields"]:
        if field.get("printed"):
            _spread(frame, field["name"])
    return frame


def _spread(frame: pd.DataFrame, column: str) -> None:
    """Put the number, the printed text and, for a p value, the relation side by side."""
    printed = frame[column]
    place = list(frame.columns).index(column)
    frame[column] = printed.str.removeprefix("<").astype("float64")
    frame.insert(place + 1, f"{column}_printed", printed)
    if column == "p" or column.endswith("_p") or column.startswith("p_"):
        relation = printed.str.startswith("<").map({True: "<", False: "="}).astype("str")
        frame.insert(place + 2, f"{column}_relation", relation.where(printed.notna()))

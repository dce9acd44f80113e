"""The appendices on methods are true: what they name exists, and nothing that exists is missing."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import tomllib
from functools import cache
from pathlib import Path

import nbformat
import pytest
from prose_check import typed_numbers

import helpers
from helpers import aftercare, load_cohorts, pool, pool_effects, pool_rates, subgroups
from helpers.checks import bias
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.evidence import EvidenceError
from helpers.evidence.pages import page_file
from helpers.models.bayes import Flat, HalfNormal, posterior
from helpers.reference.menu import Convention, read_conventions, read_menu
from helpers.reference.names import check_use, find_object, registered_values

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
CONVENTIONS = read_conventions()
MENU = read_menu()
METHODS = [method for option in MENU.options.values() for method in option.methods]
ENTRIES = list(CONVENTIONS)

# Lists of names that are no list of values of an option, each with the reason.
NO_MENU = {
    "helpers.checks.bias.data.CORRELATED": "a property of some measures",
    "helpers.checks.multiverse.grid.OPTIONS": "names of options, whose values the menu has",
    "helpers.checks.interval_coverage.INTERVALS": "names of the chapter for STUDY_INTERVALS",
    "helpers.engine.normal.intervals.KNAPP_HARTUNG": "a part of MU_METHODS",
    "helpers.engine.literature.REFERENCES": "sources",
    "helpers.engine.shown.SYMBOLS": "how names of numbers are printed",
    "helpers.engine.options.LIKELIHOOD_MEASURES": "a part of MEASURES",
    "helpers.models.multilevel.CI_METHODS": "a part of MU_METHODS",
    "helpers.models.new_study.SIDES": "sides of a bound",
    "helpers.checks.bias.null.TESTS": "rows of a result",
    "helpers.checks.simulation.performance.CELL": "columns of a result",
}


@cache
def names_of_tests() -> set[str]:
    """Names of all test functions of the project."""
    names: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        names.update(re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.M))
    return names


BIBLIOGRAPHY = set(
    re.findall(r"^@\w+\{([^,\s]+)", (BOOK / "references.bib").read_text(encoding="utf-8"), re.M)
)


def sources_of(page: str) -> str:
    return "\n".join(cell.source for cell in nbformat.read(BOOK / page, as_version=4).cells)


# --- every name exists ---------------------------------------------------------------------------


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.id)
def test_a_convention_is_complete(entry: Convention) -> None:
    for field in ("title", "choice", "why", "metafor", "meta"):
        assert getattr(entry, field).strip(), field
    assert entry.source
    assert entry.tests
    assert entry.uses


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.id)
def test_the_tests_that_hold_a_convention_exist(entry: Convention) -> None:
    assert set(entry.tests) <= names_of_tests(), sorted(set(entry.tests) - names_of_tests())


@pytest.mark.parametrize("method", METHODS, ids=lambda m: f"{m.value}, {m.name}")
def test_a_method_of_the_menu_is_complete(method) -> None:
    assert method.value
    assert method.name
    assert method.source
    assert not method.test or method.test in names_of_tests()
    assert "|" not in method.value + method.name


def test_values_compared_with_r_are_compared_in_tests_that_read_them() -> None:
    reading = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for text in [path.read_text(encoding="utf-8")]
        if "reference_values" in text or "reference_r" in text
        for name in re.findall(r"^def (test_\w+)", text, re.M)
    }
    assert {m.test for m in METHODS if m.test} <= reading


def test_every_source_is_in_the_bibliography() -> None:
    cited = {key for entry in ENTRIES for key in entry.source}
    cited |= {key for method in METHODS for key in method.source}
    assert cited <= BIBLIOGRAPHY, sorted(cited - BIBLIOGRAPHY)


def test_no_result_is_typed_into_the_entries() -> None:
    """Numbers in the texts are definitions in code or formulas; results are computed."""
    texts = [getattr(e, f) for e in ENTRIES for f in ("title", "choice", "why", "metafor", "meta")]
    texts += [text for m in METHODS for text in (m.name, m.metafor, m.meta)]
    found = [hit for text in texts for hit in typed_numbers(text)]
    assert not found


# --- nothing is missing --------------------------------------------------------------------------


# Rooms whose lists are words of the book (statuses, causes, advice) and no options of a method.
WITHOUT_OPTIONS = {"evidence", "reference", "reporting", "review", "teaching", "views"}


def lists_of_names() -> dict[str, tuple[str, ...]]:
    """Public constants of the engine that list names."""
    found = {}
    for module in pkgutil.walk_packages(helpers.__path__, "helpers."):
        room = module.name.split(".")[1]
        if room in WITHOUT_OPTIONS:
            continue
        loaded = importlib.import_module(module.name)
        own = re.findall(r"^([A-Z][A-Z0-9_]*)(?:: [^=]+)? = ", inspect.getsource(loaded), re.M)
        for name in {*own, *filter(str.isupper, getattr(loaded, "__all__", ()))}:
            value = getattr(loaded, name)
            listed = isinstance(value, (tuple, dict)) and all(isinstance(v, str) for v in value)
            if listed:
                found[f"{module.name}.{name}"] = tuple(value)
    return found


def test_every_list_of_values_in_the_code_has_a_table() -> None:
    lists = lists_of_names()
    assert len(lists) > 12
    shown = {option.registry for option in MENU.options.values()}
    known = [lists.get(name, ()) for name in shown]
    missing = {
        name
        for name, values in lists.items()
        if name not in shown and name not in NO_MENU and values not in known
    }
    assert not missing
    assert set(NO_MENU) <= set(lists), "an exception that no longer exists"


def test_every_table_and_theme_is_on_its_page() -> None:
    menu, conventions = sources_of("method_menu.ipynb"), sources_of("conventions.ipynb")
    for option in MENU.options:
        assert re.search(rf'(menu\.table\(|\()\s*"{option}",', menu), option
    themes = re.findall(r"conventions\.theme\(([^)]*)\)", conventions)
    assert {part.strip().strip('"') for call in themes for part in call.split(",")} == set(
        CONVENTIONS.themes
    )


@pytest.mark.parametrize(
    ("option", "ask"),
    [
        ("method", lambda: pool(events=[1], n=[9], method="?")),
        ("back_transform", lambda: pool(events=[1], n=[9], back_transform="?")),
        ("estimator", lambda: bias.trim_and_fill([0, 1, 3], [1, 1, 1], estimator="?")),
        ("fail_safe", lambda: bias.fail_safe_n([0, 1, 3], [1, 1, 1], method="?")),
        ("likelihood", lambda: posterior(events=[1], n=[9], likelihood="?")),
    ],
)
def test_values_without_a_list_in_the_code_are_those_of_the_error_message(option, ask) -> None:
    assert not MENU.options[option].registry
    with pytest.raises(UnsupportedError, match="expected") as refused:
        ask()
    offered = re.split(r", | or ", str(refused.value).split("expected ")[1].removeprefix("one of "))
    assert {value.strip("'") for value in offered} == set(MENU.values(option))


def test_all_options_without_a_list_are_among_these() -> None:
    bare = {name for name, option in MENU.options.items() if not option.registry}
    assert bare == {"method", "back_transform", "estimator", "fail_safe", "likelihood"}


# --- what the texts say about defaults -----------------------------------------------------------


def test_defaults_are_those_of_the_conventions() -> None:
    """Each assertion is a sentence of the conventions page."""
    data = load_cohorts()
    columns = {"events": "nonrelapse_deaths", "n": "patients", "study": "cohort"}
    random, glmm, common = (pool(data, **columns, model=m) for m in ("random", "glmm", "common"))
    assert (random.tau2_method, glmm.tau2_method, common.tau2_method) == ("REML", "ML", None)
    assert random.ci_method == "knapp-hartung-max1"
    assert glmm.ci_method == common.ci_method == "wald"
    assert random.options.study_ci == "wilson"
    assert glmm.options.quad_points == 7
    assert common.options.method == "inverse-variance"
    for fit in (random, glmm):
        assert fit.prediction_interval() == fit.prediction_interval("t-k-2")
    assert random.tau2_ci() == random.tau2_ci("q-profile")
    assert glmm.tau2_ci() == glmm.tau2_ci("profile")
    assert pool_effects([0, 1, 3], [1, 1, 1]).ci_method == "knapp-hartung-max1"
    months = "median_follow_up_months"
    assert pool_rates(data, **columns, follow_up=months).options.study_ci == "exact"
    assert subgroups(data, by="entity", **columns, model="glmm").group_tau2 == "separate"


def test_defaults_of_the_other_rooms_are_those_of_the_conventions() -> None:
    y, v = [0.1, 0.5, 0.2, 0.9], [0.04, 0.05, 0.03, 0.06]
    fit = pool_effects(y, v)
    assert bias.egger(fit).df == 2
    assert bias.egger(fit, model="random").df is None
    assert bias.thompson_sharp(fit).df == 2
    assert aftercare.bootstrap(fit, draws=20).kind == "parametric"
    default = posterior(events=[3, 8, 6], n=[40, 60, 90])
    assert (default.likelihood, default.tau_prior, default.mu_prior) == (
        "binomial",
        HalfNormal(0.5),
        Flat(),
    )
    assert posterior(yi=y, vi=v).likelihood == "normal"


# --- the checks bite -----------------------------------------------------------------------------


def test_a_value_without_an_entry_and_an_entry_without_a_value_are_refused(tmp_path) -> None:
    text = page_file("method_menu.toml").read_text(encoding="utf-8")
    path = tmp_path / "menu.toml"
    path.write_text(text.replace('value = "REML"', 'value = "REMK"'), encoding="utf-8")
    with pytest.raises(MetaAnalysisError, match=r"without an entry \['REML'\].*\['REMK'\]"):
        read_menu(path)


def test_a_table_needs_a_result_for_every_value() -> None:
    with pytest.raises(MetaAnalysisError, match="missing \\['common'\\]"):
        MENU.table("subgroup_tau2", {"separate": "1"})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('why = "x"', "", "missing why"),
        ('why = "x"', 'why = "x"\nopinion = "y"', "unknown opinion"),
        ("points=7", "points=9", "the default is 7"),
        ("pool(quad_points=7)", "pool(points)", "the options are"),
        ("helpers.pool(quad_points=7)", "helpers.pooled", "there is no 'pooled'"),
    ],
)
def test_a_convention_that_does_not_agree_with_the_code_is_refused(
    tmp_path, old: str, new: str, message: str
) -> None:
    text = """
[[theme]]
id = "a"
title = "A"
choice = "x"
why = "x"
metafor = "x"
meta = "x"
source = ["knapp2003"]
tests = ["test_x"]
uses = ["helpers.pool(quad_points=7)"]
"""
    path = tmp_path / "conventions.toml"
    path.write_text(text, encoding="utf-8")
    assert [entry.id for entry in read_conventions(path)] == ["a"]
    path.write_text(text + text, encoding="utf-8")
    with pytest.raises(MetaAnalysisError, match="taken"):
        read_conventions(path)
    changed = text.replace(old, new)
    assert changed != text
    path.write_text(changed, encoding="utf-8")
    with pytest.raises(MetaAnalysisError, match=message):
        read_conventions(path)


@pytest.mark.parametrize("name", ["os.path", "helpers._HOME", "helpers.pool.nothing", "helpers.no"])
def test_only_public_names_that_exist_are_found(name: str) -> None:
    with pytest.raises(MetaAnalysisError):
        find_object(name)


def test_registries_may_be_tuples_mappings_literals_unions_or_packages() -> None:
    assert registered_values("helpers.engine.options.MODELS") == ("common", "random", "glmm")
    assert "t-k-2" in registered_values("helpers.engine.normal.prediction.PREDICTION_METHODS")
    assert registered_values("helpers.models.subgroup_analysis.GroupTau2") == ("separate", "common")
    assert registered_values("helpers.models.bayes.priors.MuPrior") == ("Flat", "Normal")
    assert "gosh" in registered_values("helpers.engine.aftercare.DELETIONS")
    with pytest.raises(MetaAnalysisError, match="no list of values"):
        registered_values("helpers.pool")


def test_a_use_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(MetaAnalysisError, match="expected a name"):
        check_use("pool it")


def test_tables_of_pages_have_a_folder_of_their_own() -> None:
    assert {path.suffix for path in BOOK.iterdir() if path.is_file()} == {".bib", ".ipynb", ".md"}
    tables = sorted((BOOK / "_data").iterdir())
    assert {path.suffix for path in tables} == {".toml", ".xlsx"}  # and the template of a table
    for path in (path for path in tables if path.suffix == ".toml"):
        assert path == page_file(path.name)
        assert tomllib.loads(path.read_text(encoding="utf-8"))


def test_a_missing_table_of_a_page_is_named() -> None:
    with pytest.raises(EvidenceError, match=r"(?s)book/_data/lesson\.toml.*file of your own"):
        page_file("lesson.toml")

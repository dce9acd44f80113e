"""One vocabulary: the same name for the same thing, and calls that fit on a card.

Fields, properties, methods and parameters of what is public are read from the code itself, so that
the next result and the next function are seen as well. CONTRIBUTING.md says why each name is what
it is.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import pytest

import helpers
from helpers.engine.keywords import EffectKeywords, PoolKeywords, RegressionKeywords
from helpers.reference.names import grouped_options

ROOT = Path(__file__).resolve().parents[1]
#: Rooms whose names users meet; the engine's batches and the pages' parts are no results.
ROOMS = ("helpers.checks", "helpers.models", "helpers.review", "helpers.engine.aftercare")
#: Name that is refused -> the name of the same thing.
REFUSED = {
    r"se_(tau2?|rho|mu|slope|intercept|delta)": "a standard error ends in _se: tau2_se",
    r"(p|rejection|power)_se|monte_carlo_(error|se)": "a Monte Carlo error ends in mcse",
    r"replicates|n_?sim|n_?boot|nrep|reps": "simulated and resampled data sets are draws",
    r"to_frame|table_frame|as_frame|data_frame": "a table of a result is frame()",
    r"conf_?level|confidence": "level",
    r"conf_?interval|confint": "ci, or conf_int() where there is a choice",
    r"p_?values?|pval": "p",
    r"rng|random_state|random_seed": "seed",
    r"vcov|cov_params": "covariance",
    r"hat|hatvalues": "leverage",
    r"included_labels|study_labels|slab": "labels",
    r"QE|QM|QE_df|QE_p": "heterogeneity.Q, .df and .p; statistic of a test",
    r"theta": "mu",
    r"as_dict|to_json|asdict": "to_dict",
    r"rep|test_method|ci_type": "ci_method",
}
#: What is a table, a sentence or a value by call in one result is so in all.
CALLED = ("frame", "summary_frame", "to_dict", "methods", "conf_int", "prediction_interval")
READ = ("ci", "estimate", "labels", "level", "studies", "tau2_se")


def modules() -> list[Any]:
    return [
        import_module(one.name)
        for one in walk_packages(helpers.__path__, "helpers.")
        if not one.name.endswith("__main__")
    ]


def public_results() -> list[type]:
    found = {
        thing
        for module in modules()
        if module.__name__.startswith(ROOMS)
        for name, thing in vars(module).items()
        if inspect.isclass(thing)
        and is_dataclass(thing)
        and thing.__module__.startswith(ROOMS)
        and not name.startswith("_")
        and any(hasattr(thing, one) for one in CALLED)
    }
    return sorted(found, key=lambda one: (one.__module__, one.__name__))


def public_calls() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in helpers.__all__:
        thing = getattr(helpers, name)
        if inspect.isfunction(thing):
            found[f"helpers.{name}"] = thing
        elif name in helpers.ROOMS:
            for inner in getattr(thing, "__all__", ()):
                if inspect.isfunction(getattr(thing, inner)):
                    found[f"helpers.{name}.{inner}"] = getattr(thing, inner)
    return found


RESULTS, CALLS = public_results(), public_calls()


def names_of(kind: type) -> set[str]:
    """Fields, properties, methods and the parameters of these."""
    found = {one.name for one in fields(kind)}
    for name, thing in inspect.getmembers(kind):
        if name.startswith("_"):
            continue
        found.add(name)
        if inspect.isfunction(thing):
            found |= set(inspect.signature(thing).parameters)
    return found


def refused(names: set[str]) -> dict[str, str]:
    return {
        name: why
        for name in names
        for pattern, why in REFUSED.items()
        if re.fullmatch(pattern, name)
    }


def test_the_inventory_sees_what_is_public() -> None:
    assert {"PoolResult", "BootstrapResult", "SimulationResult", "CauseShare"} <= {
        one.__name__ for one in RESULTS
    }
    assert {"helpers.pool", "helpers.bias.egger", "helpers.plots.forest"} <= set(CALLS)


@pytest.mark.parametrize("kind", RESULTS, ids=lambda one: one.__name__)
def test_a_result_uses_no_second_name_for_a_thing(kind: type) -> None:
    assert refused(names_of(kind)) == {}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_uses_no_second_name_for_a_thing(name: str) -> None:
    words = set(inspect.signature(CALLS[name]).parameters) | set(grouped_options(CALLS[name]))
    assert refused(words) == {}


@pytest.mark.parametrize("kind", RESULTS, ids=lambda one: one.__name__)
def test_what_is_called_and_what_is_read_is_so_on_every_result(kind: type) -> None:
    own = {one.name for one in fields(kind)}
    for name in CALLED:
        assert name not in own, name
        assert not isinstance(inspect.getattr_static(kind, name, None), property), name
    for name in READ:
        assert name in own or not inspect.isfunction(getattr(kind, name, None)), name


#: Words that name columns of a table.
NAMED_COLUMNS = ("events", "n", "yi", "effect")


def test_a_table_is_data_and_this_review_s_own_is_cohorts() -> None:
    wrong = {}
    for name, call in CALLS.items():
        words = inspect.signature(call).parameters
        if "data" in words and not any(one in words for one in (*NAMED_COLUMNS, "formula")):
            wrong[name] = "no columns are named: the table is cohorts"
        if "cohorts" in words and any(one in words for one in NAMED_COLUMNS):
            wrong[name] = "columns are named: the table is data"
    assert wrong == {}


def test_groups_are_made_by_something_in_every_call() -> None:
    for name in ("helpers.subgroups", "helpers.report", "helpers.read_cohorts"):
        assert "by" in inspect.signature(CALLS[name]).parameters
    # a column of groups is by
    assert [
        name for name, call in CALLS.items() if "group" in inspect.signature(call).parameters
    ] == []


def test_clusters_are_counted_and_cluster_says_which() -> None:
    for kind in RESULTS:
        kinds = {one.name: str(one.type) for one in fields(kind)}
        assert kinds.get("clusters", "int") == "int", kind
        assert not inspect.isfunction(getattr(kind, "clusters", None)), kind


def test_a_variance_is_a_number_and_whose_it_is_has_another_word() -> None:
    for kind in RESULTS:
        kinds = {one.name: str(one.type) for one in fields(kind)}
        assert not any(word in kinds.get("tau2", "") for word in ("str", "Literal", "Tau2")), kind
    words = inspect.signature(helpers.subgroups).parameters
    assert "group_tau2" in words
    assert "tau2" not in words


def test_a_public_call_has_at_most_ten_parameters() -> None:
    wide = {name for name, call in CALLS.items() if len(inspect.signature(call).parameters) > 10}
    assert wide == set()


def test_keyword_groups_agree_in_what_they_share() -> None:
    groups = [one.__annotations__ for one in (PoolKeywords, EffectKeywords, RegressionKeywords)]
    for name in set().union(*groups):
        assert len({str(group[name]) for group in groups if name in group}) == 1, name


@pytest.mark.parametrize(
    ("call", "given"),
    [
        (helpers.pool, {"events": [1, 2], "n": [9, 9]}),
        (helpers.pool_effects, {"yi": [0.1, 0.2], "vi": [0.1, 0.1]}),
        (helpers.meta_regression, {"data": None, "formula": "1"}),
        (helpers.pool_multilevel, {"cluster": "x"}),
        (helpers.posterior, {"events": [1, 2], "n": [9, 9]}),
        (helpers.report, {"table": b""}),
        (helpers.bias.egger, {}),
        (helpers.bias.simulate_null, {}),
    ],
)
def test_a_word_that_a_call_does_not_know_is_refused_with_the_words_that_it_knows(
    call: Any, given: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match=rf"^{call.__name__}\(\) got an unexpected .*'levels'"):
        call(**given, levels=0.9)
    known = ", ".join(grouped_options(call))
    assert known
    with pytest.raises(TypeError, match=re.escape(known)):
        call(**given, unheard_of=1)


def test_no_two_classes_have_one_name() -> None:
    names = Counter(
        node.name
        for path in (ROOT / "helpers").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_names_that_contributors_are_told_to_avoid_are_refused() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.split("### One name for one thing")[1].split("\n\n")[2]
    told = {
        word for row in table.splitlines()[2:] for word in re.findall(r"`(\w+)`", row.split("|")[3])
    }
    assert len(told) > 12
    # These are right elsewhere: Cochran's Q, a method among several, a table that is called.
    assert set(refused(told)) == told - {"Q", "method", "frame"}


def test_names_become_words_in_one_place() -> None:
    """A column called follow_up is "follow-up" in every figure, table, heading and sentence."""
    found = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "helpers").rglob("*.py")
        if re.search(r"replace\(\s*(['\"])_\1,\s*(['\"]) \2", path.read_text(encoding="utf-8"))
    ]
    assert found == ["helpers/printing/words.py"]

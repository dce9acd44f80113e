"""The names that chapters and readers rely on."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import pkgutil
import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import helpers
from helpers import load_cohorts, pool, review
from helpers.arguments import LEVEL
from helpers.engine.literature import REFERENCES
from helpers.engine.shown import Shown
from helpers.reference import entries, rooms

ROOT = Path(__file__).resolve().parents[1]
BIBLIOGRAPHY = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
KEYS = dict(
    # within one entry: the one before may have no DOI
    re.findall(
        r"^@\w+\{([^,]+),(?:(?!^@).)*?\bdoi\s*=\s*\{([^}]+)\}", BIBLIOGRAPHY, flags=re.M | re.S
    )
)


@pytest.mark.parametrize("name", helpers.__all__)
def test_every_public_name_resolves(name):
    found = getattr(helpers, name)
    assert callable(found) or (name in helpers.ROOMS and found.__doc__)
    assert name in dir(helpers)


def test_the_door_names_the_home_of_each_function():
    for package, homes in ((helpers, helpers.HOMES), (review, review.HOMES)):
        for name, home in homes.items():
            assert getattr(package, name) is getattr(import_module(home, package.__name__), name), (
                name
            )
        assert sorted({*homes, *package.ROOMS}) == sorted(package.__all__)


@pytest.mark.parametrize("room", ["checks", "engine", "evidence", "models", "review", "views"])
def test_names_are_listed_only_where_the_list_is_read(room):
    """Where a page of the reference shows some names only, and where those of others are handed on.

    Elsewhere a leading underscore says the same, and a list would be one more thing to keep.
    """
    contents = tomllib.loads((ROOT / "helpers/reference/contents.toml").read_text(encoding="utf-8"))
    pages = {module for page in contents.values() for module in page["modules"]}
    for path in sorted((ROOT / "helpers" / room).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT / "helpers").with_suffix("").parts)
        module = import_module(f"helpers.{name}".removesuffix(".__init__"))
        if not hasattr(module, "__all__"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8")).body
        if name in pages:
            made = {getattr(one, "name", "") for one in tree}
            for one in tree:
                to = one.targets if isinstance(one, ast.Assign) else [getattr(one, "target", None)]
                made |= {getattr(name, "id", "") for name in to}
            assert {one for one in made if one[:1] not in ("", "_")} != set(module.__all__), (
                f"{path}: without this list the page shows the same names"
            )
        else:
            imported = {
                one.asname or one.name
                for node in tree
                if isinstance(node, ast.ImportFrom)
                for one in node.names
            }
            assert path.name == "__init__.py" or imported & set(module.__all__), (
                f"{path}: nobody reads this __all__; a leading underscore marks what is inner"
            )


def test_no_module_is_called_like_a_function_or_class_in_it():
    for path in sorted((ROOT / "helpers").rglob("*.py")):
        stem = path.parent.name if path.name == "__init__.py" else path.stem
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert stem not in {getattr(node, "name", "") for node in tree.body}, path


def test_no_helper_is_taken_for_a_test():
    """``make check`` names files of helpers to pytest, which would run a function called test…."""
    found = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in sorted((ROOT / "helpers").rglob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test")
    ]
    assert found == []


def test_chapters_import_from_the_door_alone():
    for path in sorted((ROOT / "book").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                found = re.findall(
                    r"^\s*(?:from|import) (helpers\S*)", "".join(cell["source"]), re.M
                )
                assert set(found) <= {"helpers"}, path.name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'pools'"):
        helpers.pools  # noqa: B018


@pytest.mark.parametrize("model", ["common", "random", "glmm"])
def test_a_pooled_result_keeps_the_contract(model):
    data = load_cohorts()
    fit = pool(data, events="nonrelapse_deaths", n="patients", study="cohort", model=model)
    for name in ("mu", "se", "tau2", "estimate"):
        assert type(getattr(fit, name)) is float, name
    for pair in (fit.ci, fit.conf_int(scale="model"), fit.conf_int(scale="display")):
        assert all(type(limit) is float for limit in pair)
        assert pair.lower < pair.upper
    assert fit.converged is True
    assert {"Q", "df", "p", "I2", "H2"} <= set(fit.heterogeneity.__slots__)
    assert list(fit.studies.index) == list(data["cohort"])
    assert fit.studies["weight"].sum() == pytest.approx(100)
    assert json.loads(json.dumps(fit.to_dict()))["estimate"] == fit.estimate
    assert fit.methods().references
    assert len(fit.leave_one_out()) == len(data)
    assert len(fit.cumulative(by=data["year"])) == len(data)
    assert len(fit.baujat()) == len(data)
    assert len(fit.influence().frame()) == len(data)
    assert list(fit.shrunken_estimates().index) == list(data["cohort"])
    if model != "common":
        assert fit.prediction_interval().lower < fit.ci.lower
        assert fit.tau2_ci().lower < fit.tau2 < fit.tau2_ci().upper


def test_every_reference_of_a_result_is_in_the_bibliography_with_its_doi():
    missing = {key for key, doi in REFERENCES.items() if doi and KEYS.get(key) != doi}
    assert missing == set()
    without = [key for key, doi in REFERENCES.items() if not doi]
    assert without == ["viechtbauer2021"]
    assert "@misc{viechtbauer2021," in BIBLIOGRAPHY


def test_sources_have_one_home():
    """A DOI that is typed beside a sentence is not compared with the bibliography."""
    typed = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "helpers").rglob("*.py"))
        if re.search(r'\bReference\("', path.read_text(encoding="utf-8"))
    ]
    assert typed == []


def test_keys_of_the_bibliography_are_unique():
    keys = re.findall(r"^@\w+\{([^,]+),", BIBLIOGRAPHY, flags=re.M)
    assert len(keys) == len(set(keys))


#: Of the maximiser of a fit, not of the data.
OF_THE_SEARCH = {"scan_margin", "iterations", "curvature", "mass_error"}


def test_every_public_number_is_named_in_a_test():
    """A number of a result that no test asks for by its name is compared with nothing."""
    number = re.compile(r"\b(float|int|Array|Interval|NDArray)\b")
    texts = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    named = {*re.findall(r"\.(\w+)|[\"'](\w+)[\"']|(\w+)=", texts)}
    named = {name for pair in named for name in pair}
    found = []
    for room in rooms():
        for entry in entries(room):
            if not dataclasses.is_dataclass(entry.found):
                continue
            kinds = {one.name: str(one.type) for one in dataclasses.fields(entry.found)}
            for name, member in vars(entry.found).items():
                if isinstance(member, property):
                    kinds[name] = str(inspect.signature(member.fget).return_annotation)
            found += [
                f"{entry.name}.{name}"
                for name, kind in kinds.items()
                if number.search(kind)
                and name not in named | OF_THE_SEARCH
                and not name.startswith("_")
            ]
    assert found == []


#: Filled row by row, or kept as it grows.
GROWS = {"Solution", "Surface", "Records"}


def own_members(kind):
    """Functions or classes of the engine, models and checks, each where it is defined."""
    for room in ("engine", "models", "checks"):
        folder = import_module(f"helpers.{room}")
        for one in pkgutil.walk_packages(folder.__path__, f"helpers.{room}."):
            module = import_module(one.name)
            for name, found in vars(module).items():
                if kind(found) and found.__module__ == one.name:
                    yield name, found


def own_calls():
    """Functions and public methods of the engine, models and checks."""
    yield from own_members(inspect.isfunction)
    for name, one in own_members(inspect.isclass):
        for method, found in vars(one).items():
            if inspect.isfunction(found) and not method.startswith("_"):
                yield f"{name}.{method}", found


def test_results_are_frozen_and_show_themselves_in_one_way():
    classes = [(n, c) for n, c in own_members(inspect.isclass) if dataclasses.is_dataclass(c)]
    assert len(classes) > 80
    thawed = {n for n, c in classes if not c.__dataclass_params__.frozen}
    loose = {n for n, c in classes if "__slots__" not in vars(c)}
    shown = {n for n, c in classes if issubclass(c, Shown) and c.__repr__ is not Shown.__repr__}
    assert (thawed, loose, shown) == (GROWS, set(), set())


def test_calls_agree_on_seeds_draws_and_how_arguments_are_given():
    """A seed is 1, a level 95%; two doors to a call have its defaults; none is positional only."""
    defaults = {}
    for name, call in own_calls():
        for given in inspect.signature(call).parameters.values():
            assert given.kind is not given.POSITIONAL_ONLY, (name, given.name)
            if given.default is not given.empty:
                at = f"{name.rpartition('.')[2]} {given.name}"
                defaults.setdefault(at, {})[call.__module__] = given.default
    for at, values in defaults.items():
        argument = at.split()[1]
        for value in values.values():
            assert argument != "seed" or value == 1, at
            assert argument != "level" or value in (LEVEL, None), at
    draws = {at.split()[0]: set(v.values()) for at, v in defaults.items() if at.endswith(" draws")}
    assert draws == {
        "bootstrap": {2000},
        "bootstrap_prediction": {25_000},
        "calibrated_test": {1000},
        "coverage": {1000},
        "permutation_test": {1000, 1999},  # of moderators, and of signs with the observed ones
        "prediction_interval": {25_000},
        "simulate_null": {2000},
        "simulate_power": {2000},
    }


def test_defaults_that_a_docstring_states_are_those_of_the_call():
    stated = re.compile(r"^(\w+) : .*\bdefault ([-+.\d_e]*\d|True|False|\".*?\")", re.MULTILINE)
    told = 0
    for name, call in own_calls():
        given = inspect.signature(call).parameters
        for argument, text in stated.findall(inspect.getdoc(call) or ""):
            if argument in given and given[argument].default is not None:
                told += 1
                assert given[argument].default == ast.literal_eval(text), (name, argument)
    assert told > 3

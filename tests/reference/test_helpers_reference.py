"""The reference, the migration page and the build status say what the code and the data say."""

from __future__ import annotations

import csv
import inspect
import json
import platform
import re
import shutil
import sys
import tomllib
from dataclasses import dataclass, is_dataclass
from functools import reduce
from pathlib import Path

import pytest
from reference_values import PATH

import helpers
from helpers import load_cohorts, reference, shared_results
from helpers.errors import MetaAnalysisError
from helpers.evidence.package import described
from helpers.evidence.pages import page_file
from helpers.reference import status
from helpers.reference.docstrings import fields_of, markdown
from helpers.reference.status import hash_of, installed

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
R = json.loads(PATH.read_text(encoding="utf-8"))
MIGRATION = page_file("migration_reference.toml")

ROOMS = reference.rooms()
ENTRIES = [entry for room in ROOMS for entry in reference.entries(room)]


# --- pages from docstrings -----------------------------------------------------------------------


def test_every_room_has_a_page_and_every_page_a_room():
    pages = {path.stem: path.read_text(encoding="utf-8") for path in BOOK.glob("reference/*.md")}
    assert set(pages) == {room.id for room in ROOMS}
    for name, text in pages.items():
        assert f"\n% api: {name}\n" in text


def test_every_public_name_is_on_one_page():
    names = [entry.name for entry in ENTRIES]
    assert len(names) == len(set(names))
    assert {f"helpers.{name}" for name in helpers.HOMES} <= set(names)
    for room in helpers.ROOMS:
        assert any(name.startswith(f"helpers.{room}.") for name in names), room


def test_every_name_has_a_summary_and_can_be_imported_as_written():
    for entry in ENTRIES:
        door, *names = entry.name.split(".")
        assert door == "helpers"
        found = reduce(getattr, names, helpers)  # from the door, through the rooms that it names
        found = getattr(found, names[-1], found) if inspect.ismodule(found) else found
        plain = inspect.unwrap(found) if callable(found) else found
        assert plain is entry.found or entry.kind == "data", entry.name
        if entry.kind != "data":
            assert reference.parse_docstring(inspect.getdoc(entry.found)).summary, entry.name


def test_a_function_under_a_decorator_is_a_function_with_its_arguments():
    kinds = {entry.name: entry.kind for entry in ENTRIES}
    wrapped = [
        f"{module}.{name}"
        for room in ROOMS
        for module in room.modules
        for name, found in vars(sys.modules[module]).items()
        if callable(found) and hasattr(found, "__wrapped__") and found.__module__ == module
    ]
    assert wrapped, "no public function is cached any more: this test sees nothing"
    assert all(kinds.get(name, "function") == "function" for name in wrapped)


def test_no_page_shows_an_address_in_memory_or_on_the_disk():
    for room in ROOMS:
        page = reference.room_page(room, "https://example.org/", lambda found, name: ())
        assert not re.search(r"0x[0-9a-f]{6,}", page), room.id
        assert str(ROOT) not in page, f"{room.id}: a path of this machine"
    page = reference.room_page(ROOMS[10], "https://example.org/", lambda found, name: ())
    assert "{py:function} published_models()" in page


def test_parameters_in_the_text_are_those_of_the_signature():
    doc = reference.parse_docstring(helpers.pool_effects.__doc__)
    named = {n.strip("*") for text, _, _ in doc.lists["Parameters"] for n in text.split(", ")}
    assert named <= set(inspect.signature(helpers.pool_effects).parameters)


def test_a_page_shows_the_output_of_its_examples_and_links_its_names():
    room = next(room for room in ROOMS if room.id == "effects")
    page = reference.room_page(room, "https://example.org/")
    for entry in reference.entries(room):
        module, _, name = entry.name.rpartition(".")
        named = (
            rf"\{{py:{entry.kind}\}} {re.escape(name)}(\(.*\).*)?\n:module: {re.escape(module)}\n"
        )
        assert re.search(named, page), entry.name
    steps = reference.run_examples(helpers.engine.effects.get_measure)
    assert steps
    assert steps[0].code in page
    assert "https://example.org/helpers/engine/effects.py#L" in page


def documented(text: str):
    """Make a function whose docstring has this example."""

    def made(): ...

    made.__module__ = "helpers"
    made.__doc__ = f"Show.\n\nExamples\n--------\n{text}\n"
    return made


def test_a_rotten_example_is_refused():
    with pytest.raises(reference.ExampleError, match=r"1 \+ 1 gave '2'"):
        reference.run_examples(documented(">>> 1 + 1\n3"))


def test_an_expected_error_is_shown_without_its_trace():
    error = "ValueError: invalid literal for int() with base 10: 'a'"
    text = f'>>> x = int("a")\nTraceback (most recent call last):\n    ...\n{error}'
    (step,) = reference.run_examples(documented(text))
    assert step.output == error


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("a * b costs $5", r"a \* b costs \$5"),
        ("``x * y`` and `a*b`", "``x * y`` and `a*b`"),
        ('"wald" or "t"', '`"wald"` or `"t"`'),
        (".. math:: x^2", "$$\nx^2\n$$"),
        (
            "See :func:`pool`, doi:10.1000/ab.",
            "See `pool`, [doi:10.1000/ab](https://doi.org/10.1000/ab).",
        ),
        (
            "==  ===\nx   y\n==  ===\n1   a|b\n==  ===",
            "| x | y |\n|---|---|\n| 1 | a\\|b |",
        ),
        ("mean\n    The mean.\nse\n    Its error.", "mean\n: The mean.\n\nse\n: Its error."),
    ],
)
def test_docstrings_become_markdown(text, made):
    assert markdown(text) == made


@dataclass
class Measured:
    """What was measured."""

    #: Height and width, in metres; a comment that goes on over
    #: two lines
    height: float
    width: int
    side: str = "left"  # {"left", "right"}: Where it stands
    _kept: int = 0  # Not for readers
    told: tuple[str, ...] = ()


@dataclass
class Weighed(Measured):
    """What was weighed, too."""

    weight: float | None = None  # In kilograms
    width: int = 2  # In feet


def test_fields_are_told_by_the_comments_at_them():
    size = "Height and width, in metres; a comment that goes on over two lines"
    side = ("side", '{"left", "right"}', "Where it stands")
    told = ("told", "tuple of str", "")
    assert fields_of(Measured) == (("height, width", "float, int", size), side, told)
    own = (("weight", "float or None", "In kilograms"), ("width", "int", "In feet"))
    assert fields_of(Weighed)[:2] == own
    assert fields_of(Weighed)[3:] == (side, told)


def test_what_a_field_means_stands_once_and_is_on_the_page():
    classes = [e for e in ENTRIES if e.kind == "class" and is_dataclass(e.found)]
    assert not [e.name for e in classes if "Attributes\n" in inspect.getdoc(e.found)]
    room = next(room for room in ROOMS if room.id == "bias")
    page = reference.room_page(room, None, lambda found, name: ())
    assert "`Q_small_p, Q_residual_p` (float)\n: Chi-squared p-values with 1 and k - 2" in page
    assert "`sentence` (str)\n: The method in words" in page  # of the base


def test_what_a_function_returns_is_its_annotation_where_the_docstring_says_no_more():
    assert "Returns" not in reference.parse_docstring(helpers.bias.egger.__doc__).lists
    room = next(room for room in ROOMS if room.id == "bias")
    page = reference.room_page(room, None, lambda found, name: ())
    egger = page[page.index("{py:function} egger(") :]
    assert egger[egger.index("{rubric} Returns") :].splitlines()[1:4] == ["```", "", "BiasTest"]


# --- migration -----------------------------------------------------------------------------------


def test_the_values_of_r_are_the_reference_values():
    with MIGRATION.open("rb") as file:
        content = tomllib.load(file)
    for step in content["step"]:
        for value in step["value"]:
            found = R
            for key in value["path"].split("/"):
                found = found[int(key)] if isinstance(found, list) else found[key]
            assert value["r"] == found, value["path"]
    for name, version in content["versions"].items():
        assert R["versions"][name] == version


def test_ours_meet_r_and_every_step_is_on_the_page():
    steps = reference.read_migration(MIGRATION)
    page = (BOOK / "migration.ipynb").read_text(encoding="utf-8")
    for step in steps:
        assert f'\\"{step.id}\\"' in page
        assert all(abs(v.ours - v.r) <= abs(v.r) * 10.0**-v.digits for v in step.values)
        for v in step.values:
            error = abs(v.ours - v.r) / abs(v.r)
            assert error <= 10.0**-v.agree
            assert v.agree == 10 or error > 0.1 * 10.0**-v.agree


#: A name in a call of R that has to be a column of the table, or to be made in the call.
R_NAME = re.compile(
    r"\b(?:xi|ni|ti|cluster|subgroup|studlab)\s*=\s*(\w+)|mods = ~ (\w+)|metaprop\((\w+), (\w+)"
)


def test_a_call_of_r_names_columns_of_the_table_and_their_first_level():
    """A reader who runs it on the file gets the numbers beside it."""
    with (ROOT / "data" / "cohorts.csv").open(encoding="utf-8", newline="") as file:
        columns = set(next(csv.reader(file)))
    for step in reference.read_migration(MIGRATION):
        made = set(re.findall(r"(?:^|\$)(\w+) ?<-", step.r_code, re.MULTILINE))
        used = [name for found in R_NAME.findall(step.r_code) for name in found if name]
        assert set(used) <= columns | made, step.id
        for name in re.findall(r"mods = ~ (\w+)", step.r_code):
            levels = list(load_cohorts()[name].cat.categories)
            if levels[0] != min(levels):  # R sorts the text of a file by the alphabet
                assert f'relevel(factor(cohorts${name}), "{levels[0]}")' in step.r_code


def test_a_value_that_differs_from_r_is_refused(tmp_path):
    path = tmp_path / "migration.toml"
    text = MIGRATION.read_text(encoding="utf-8")
    path.write_text(text.replace("r = -3.6224343547057836", "r = -3.63"), encoding="utf-8")
    with pytest.raises(MetaAnalysisError, match="R printed"):
        reference.read_migration(path)


# --- codebook and status -------------------------------------------------------------------------


def test_the_codebook_shows_every_column_of_every_table():
    views = reference.codebook_views()
    for number, table in enumerate(described()["resources"]):
        assert table["title"] in str(views[2 * number])
        for field in table["schema"]["fields"]:
            assert field["name"] in views[2 * number + 1].text


def test_the_files_of_the_data_are_listed_with_their_sizes():
    lines = reference.data_files().text.splitlines()[1:]
    assert len(lines) == len(described()["resources"])
    for line, one in zip(lines, described()["resources"], strict=True):
        text = (ROOT / "data" / one["path"]).read_text(encoding="utf-8")
        cells = list(csv.reader(text.splitlines(keepends=True)))
        assert line.split()[-3:] == [one["path"], str(len(cells) - 1), str(len(cells[0]))]


def test_the_status_is_the_same_when_made_again():
    one, other = (str(reference.build_status(ROOT, "1 May 2026")) for _ in range(2))
    assert one == other
    assert "Last commit: 1 May 2026" in one
    assert f"This build ran on {status.processor()}" in one


def test_the_status_says_on_which_processors_the_outputs_were_the_same(tmp_path, monkeypatch):
    (tmp_path / "_build").mkdir()
    (tmp_path / "helpers").mkdir()
    code = tmp_path / "helpers" / "a.py"
    code.write_text("x = 1\n", encoding="utf-8")
    here = hash_of([code], tmp_path)
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    assert status.seen(tmp_path, here) == []
    status.see(tmp_path)
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Zen")
    status.see(tmp_path)
    status.see(tmp_path)
    plain, zen = status.seen(tmp_path, here)
    assert plain.startswith(platform.machine())
    assert zen == f"{plain}, OpenBLAS as on Zen"
    code.write_text("x = 2\n", encoding="utf-8")  # of other code nothing was seen
    assert status.seen(tmp_path, hash_of([code], tmp_path)) == []


def test_the_hash_follows_names_and_contents(tmp_path):
    first, second = tmp_path / "a.py", tmp_path / "b.py"
    first.write_text("x", encoding="utf-8")
    before = hash_of([first], tmp_path)
    shutil.move(first, second)
    assert hash_of([second], tmp_path) != before


def test_a_package_without_a_pin_is_refused():
    with pytest.raises(MetaAnalysisError, match="does not pin numpy"):
        installed("scipy==1.0\n")


def test_tests_are_counted(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "helpers").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text(
        "def test_b(): ...\ndef c(): ...\n", encoding="utf-8"
    )
    (tmp_path / "helpers" / "d.py").write_text('def e():\n    """F.\n\n    >>> 1\n    1\n    """\n')
    assert reference.count_tests(tmp_path) == {"functions": 1, "files": 1, "examples": 1}


def test_definitions_are_counted_wherever_a_statement_may_stand(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "helpers").mkdir()
    places = (
        "if x:\n    {}\nelif y:\n    {}\nelse:\n    {}\n",
        "try:\n    {}\nexcept A:\n    {}\nelse:\n    {}\nfinally:\n    {}\n",
        "for i in x:\n    {}\nelse:\n    {}\n",
        "while x:\n    {}\n",
        "with x:\n    {}\n",
        "match x:\n    case 1:\n        {}\n    case _:\n        {}\n",
        "def outer(a=lambda: 1):\n    {}\n",
        "class Outer:\n    {}\n",
    )
    expected = sum(place.count("{}") for place in places)
    for folder, name, line in (
        ("tests", "test_{}.py", "def test_it(): ..."),
        ("helpers", "m{}.py", "def it(): '>>> 1'"),
    ):
        for i, place in enumerate(places):
            text = place.replace("{}", line)
            (tmp_path / folder / name.format(i)).write_text(text, encoding="utf-8")
    found = reference.count_tests(tmp_path)
    assert found == {"functions": expected, "files": len(places), "examples": expected}


def test_tests_are_counted_again_only_where_a_file_changed(tmp_path, monkeypatch):
    monkeypatch.setenv(shared_results.FOLDER, str(tmp_path / "shared"))
    monkeypatch.setenv(shared_results.STATE, "this test")
    (tmp_path / "tests").mkdir()
    (tmp_path / "helpers").mkdir()
    file = tmp_path / "tests" / "test_a.py"
    file.write_text("def test_a(): pass\n", encoding="utf-8")
    parsed = []
    parse = status.ast.parse
    monkeypatch.setattr(status.ast, "parse", lambda text: parsed.append(text) or parse(text))
    counts = [reference.count_tests(tmp_path)["functions"] for _ in range(2)]
    assert (counts, len(parsed)) == ([1, 1], 1)
    file.write_text("def test_a(): pass\ndef test_b(): pass\n", encoding="utf-8")
    assert reference.count_tests(tmp_path)["functions"] == 2

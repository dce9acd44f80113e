"""The page of symbols: every letter of the formulas is on it, and what it names exists."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import nbformat

from helpers.evidence.pages import page_file
from helpers.models.bayes import Posterior
from helpers.models.regression_result import RegressionResult
from helpers.models.result import PoolResult
from helpers.reference.names import find_object

BOOK = Path(__file__).resolve().parents[2] / "book"
PAGE = (BOOK / "symbols.md").read_text(encoding="utf-8")
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", re.S)
WORDS = re.compile(r"\\(?:text|mathrm|operatorname|mathcal|mathbf|begin|end)\{([^}]*)\}")
GREEK = (
    "alpha beta gamma delta varepsilon epsilon zeta eta theta kappa lambda mu nu xi pi rho sigma "
    "tau phi chi psi omega Delta Phi Sigma Omega Lambda"
).split()


def formulas(text: str) -> list[str]:
    plain = re.sub(r"```.*?```", "", text, flags=re.S)
    return [one or other for one, other in FORMULA.findall(plain)]


def letters(formula: str) -> set[str]:
    """Greek letters and single Latin letters of a formula."""
    plain = WORDS.sub(" ", formula)
    commands = set(re.findall(r"\\([a-zA-Z]+)", plain))
    plain = re.sub(r"\\[a-zA-Z]+", " ", plain)
    return (commands & set(GREEK)) | set(re.findall(r"[a-zA-Z]", plain))


def used() -> Iterator[tuple[str, str]]:
    for path in sorted(BOOK.glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                yield from ((path.name, one) for one in formulas(cell.source))
    with page_file("method_menu.toml").open("rb") as file:
        for option in tomllib.load(file)["option"]:
            yield from (("method_menu.toml", m["formula"]) for m in option.get("method", []))


def test_every_letter_of_a_formula_is_explained():
    known = set().union(*(letters(one) for one in formulas(PAGE)))
    missing = {(where, letter) for where, one in used() for letter in letters(one) - known}
    assert not missing


def test_no_letter_is_explained_that_no_formula_has():
    there = set().union(*(letters(one) for _, one in used()))
    assert set().union(*(letters(one) for one in formulas(PAGE))) <= there


def test_the_search_for_letters_sees_them():
    assert letters(r"\hat\mu \pm z\sqrt{\tau^2} \text{se} \mathrm{Var}") == {"mu", "tau", "z"}


def test_names_in_code_exist():
    for name in re.findall(r"`(helpers\.[\w.]+)`", PAGE):
        find_object(name)
    for kind, result in (("fit", PoolResult), ("reg", RegressionResult), ("post", Posterior)):
        for name in re.findall(rf"`{kind}\.(\w+)", PAGE):
            assert hasattr(result, name), f"{kind}.{name}"


def test_every_linked_page_is_a_page_of_the_book():
    for name in re.findall(r"\]\((\w+\.(?:ipynb|md))\)", PAGE):
        assert (BOOK / name).is_file(), name

"""What the numbers mean, on every page: NRM, prediction intervals, and patients of a thousand."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
PATTERNS = (
    "book/*.ipynb",
    "book/*.md",
    "book/_data/*.toml",
    "helpers/**/*.toml",
    "helpers/**/*.py",
    "README.md",
)
PAGES = sorted(
    path for pattern in PATTERNS for path in ROOT.glob(pattern) if path.name != "changelog.md"
)
#: A prediction interval is for the true rate of a new, similar cohort: not of a centre, and it
#: was never observed. Nonrelapse mortality is no price and not the treatment's doing.
FALSE = {
    "a prediction interval is not for a centre": r"\bnew\s+centre|\bfor a centre\b"
    r"|in (a )?single (new )?centres?,? it|\*(next|our)\* centre",
    "the interval of the pooled rate is not about centres": r"\bmean of all (such )?centres",
    "a prediction interval is not for a hospital": r"\b(hospital|clinic|centre)\b[^.?]{0,80}"
    r"\bits own( true)? rate",
    "a mean across cohorts is no patient's risk": r"\brisk of a patient\b",
    "NRM is no price": r"\bprice of (a |the )?treatment",
    "NRM is not caused by the treatment": r"\b(die|died|dies|dying) (of|from) the treatment",
    "NRM is defined by what came before death": r"\bd(ie|ied|ies|ying|eaths?) without (a )?relapse",
    "the rest of the squares did not all live or die of cancer": r"or died of (their|the) cancer",
}


def texts(path):
    if path.suffix != ".ipynb":
        return [path.read_text(encoding="utf-8")]
    return [cell.source for cell in nbformat.read(path, as_version=4).cells]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_place_that_is_searched_exists(pattern):
    assert any(ROOT.glob(pattern))


@pytest.mark.parametrize("why", FALSE)
def test_no_page_says_what_the_numbers_do_not_mean(why):
    found = [
        f"{path.relative_to(ROOT)}: {hit.group(0)!r}"
        for path in PAGES
        for text in texts(path)
        for hit in re.finditer(FALSE[why], text, re.IGNORECASE)
    ]
    assert not found, why


def test_so_many_of_a_thousand_is_the_mean_wherever_it_stands():
    """Where 1,000 times the median is printed, the mean stands in the same cell."""
    median = re.compile(
        r"1000 \* (fit|mixed|glmm|post|pooled)\.estimate|per_1000\(\s*(fit|mixed|glmm)\.estimate"
        r"|icon_array\([^)]*(fit|mixed|glmm|post)\.estimate"
    )
    lonely = [
        f"{path.relative_to(ROOT)}: {text[:60]!r}"
        for path in PAGES
        for text in texts(path)
        if median.search(text) and "mean_estimate" not in text
    ]
    assert not lonely


def test_the_glossary_defines_nonrelapse_mortality_by_what_came_before():
    glossary = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
    entry = re.search(r"^nonrelapse mortality\n((?:  .*\n)+)", glossary, re.MULTILINE).group(1)
    assert "without prior relapse or progression of the treated cancer" in entry
    assert "whatever the cause" in entry
    assert "not treatment-related mortality" in entry

"""Each file of reference values names the script that makes it again, and what none makes."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from reference_values import load

HERE = Path(__file__).parent
README = (HERE / "README.md").read_text(encoding="utf-8")


def compared() -> list[dict[str, str]]:
    """Rows of the table that the script stored."""
    made_by, *lines = (HERE / "reference_r.tsv").read_text(encoding="utf-8").splitlines()
    assert made_by.startswith("# made by reference.R: R ")
    return list(csv.DictReader(lines, delimiter="\t"))


def test_every_file_of_values_has_a_script_that_the_readme_names() -> None:
    for values in [*HERE.glob("*.json"), *HERE.glob("*.tsv")]:
        (script,) = re.findall(
            rf"Rscript tests/reference_values/({values.stem.partition('_')[0]}\.R)", README
        )
        assert f'"{values.name}"' in (HERE / script).read_text(encoding="utf-8")
        assert f"`{values.name}`" in README


def test_every_entry_is_made_by_the_script_or_named_as_not_traced() -> None:
    made = {row["entry"].partition("/")[0] for row in compared()}
    _, _, untraced = README.partition("**Not traced.**")
    named = set(re.findall(r"`(\w+)", untraced))
    assert set(load()) - {"versions", "data"} <= made | named


def test_what_the_script_compared_lies_within_what_it_allows() -> None:
    rows = compared()
    assert len({row["entry"] for row in rows}) == len(rows) > 200
    for row in rows:
        assert float(row["difference"]) <= float(row["allowed"]) <= 1e-4, row
        entry = load()
        for name in row["entry"].split("/"):
            entry = entry[name]
    text = (HERE / "reference.R").read_text(encoding="utf-8")
    for method in ("REML", "DL", "PM", "ML", "knha", "rma.glmm", "rma.mv", "permutest", "robust"):
        assert method in text

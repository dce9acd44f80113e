"""From R to Python: the same analysis in both, with what each gives.

The calls stand in a TOML file together with what R printed for them, so that a page of the book
can run our call and set its values beside those of R.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import printing
from ..errors import MetaAnalysisError
from ..evidence.pages import page_content
from ..views.prose import Sentence

__all__ = ["Migration", "MigrationStep", "MigrationValue", "read_migration"]


@dataclass(frozen=True, slots=True)
class MigrationValue:
    """One number of an analysis."""

    name: str
    r: float  # what R printed
    ours: float  # what our call gives
    path: str  # where the value of R stands in the reference values of the tests
    digits: int  # significant digits that must agree

    @property
    def agree(self) -> int:
        """Significant digits in which the two agree."""
        return printing.agreeing_digits(self.ours, self.r)


@dataclass(frozen=True, slots=True)
class MigrationStep:
    """One analysis in both languages."""

    id: str
    title: str
    package: str  # of R
    r_code: str
    python_code: str
    values: tuple[MigrationValue, ...]
    note: str  # what differs; may be empty

    def show(self) -> Sentence:
        """Both calls side by side, and their numbers below."""
        rows = "\n".join(
            f"| {value.name} | {printing.significant(value.r, 8)} | "
            f"{printing.significant(value.ours, 8)} | {printing.digits_text(value.agree)} |"
            for value in self.values
        )
        note = f"\n\n{self.note}" if self.note else ""
        return Sentence(
            f"### {self.title}\n\n"
            "::::{grid} 1 1 2 2\n:gutter: 2\n:class-container: side-by-side\n\n"
            f":::{{grid-item}}\n**R ({self.package})**\n\n```r\n{self.r_code}\n```\n:::\n\n"
            f":::{{grid-item}}\n**Python (helpers)**\n\n```python\n{self.python_code}\n```\n:::\n"
            "::::\n\n"
            f"| Value | R | helpers | Digits that agree |\n|---|---:|---:|---:|\n{rows}{note}"
        )


@dataclass(frozen=True, slots=True)
class Migration:
    """All analyses, with the versions of R and its packages."""

    versions: Mapping[str, str]
    steps: tuple[MigrationStep, ...]

    def __iter__(self) -> Iterator[MigrationStep]:
        return iter(self.steps)

    def show(self, *ids: str) -> Sentence:
        """Show the steps with these ids below each other."""
        by_id = {step.id: step for step in self.steps}
        return Sentence("\n\n".join(str(by_id[name].show()) for name in ids))


def read_migration(path: str | Path | None = None) -> Migration:
    """Read the calls, run ours and compare the results with those of R.

    Parameters
    ----------
    path : str or Path, optional
        TOML file with ``[versions]``, ``start`` (lines that all our calls assume) and
        ``[[step]]`` (id, title, package, r, python, note), each with ``[[step.value]]`` (name,
        r, ours: an expression, path, digits). By default the book's own.

    Raises
    ------
    MetaAnalysisError
        A value agrees with that of R in fewer digits than the file asks for.
    """
    content = page_content("migration_reference.toml", path)
    start: dict[str, Any] = {}
    exec(compile(content["start"], "start", "exec"), start)
    steps = []
    for table in content["step"]:
        names = dict(start)
        exec(compile(table["python"], table["id"], "exec"), names)
        values = []
        for row in table["value"]:
            ours = float(eval(compile(row["ours"], table["id"], "eval"), names))
            value = MigrationValue(row["name"], row["r"], ours, row["path"], row["digits"])
            if not abs(ours - value.r) <= abs(value.r) * 10.0**-value.digits:
                raise MetaAnalysisError(
                    f"{table['id']}, {value.name}: ours is {ours!r}, R printed {value.r!r}"
                )
            values.append(value)
        calls = (table["r"].strip(), table["python"].strip())
        named = (table["id"], table["title"], table["package"])
        note = " ".join(table["note"].split())
        steps.append(MigrationStep(*named, *calls, tuple(values), note))
    return Migration(content["versions"], tuple(steps))

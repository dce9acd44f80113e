"""One published number and ours, and what to call the difference.

A printed number has so many decimals; ours is *identical as printed* when it rounds to the same
text. Numbers that a program wrote with all the digits it has hold more digits than its own
iterations settle, and more than every processor computes alike: there ours is the *same to
rounding* when at least four significant digits agree, more than any journal prints of them.
Everything else *differs*, and needs a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from ... import printing
from ...errors import MetaAnalysisError
from ...evidence import load_published
from ..decimals import prints_as, significant_digits

Source = Literal["pooled", "regressions", "coefficients", "tests", "column_sums"]
#: Published table -> the columns that name a row: the analysis, and a level where it has several.
NAMES: dict[Source, tuple[str, ...]] = {
    "pooled": ("analysis", "level"),
    "regressions": ("model",),
    "coefficients": ("model", "term"),
    "tests": ("test", "subset"),
    "column_sums": ("subset", "level"),
}

IDENTICAL = "identical as printed"
ROUNDING = "same to rounding"
DIFFERS = "differs"
STATUSES = (IDENTICAL, ROUNDING, DIFFERS)

LONG = 6  # significant digits from which a published number is a program's, not a person's
ENOUGH = 4  # significant digits that must agree in such a number


class UnexplainedError(MetaAnalysisError):
    """A published number is not reproduced and no reason is named."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One published number and ours."""

    source: str  # Published table that holds it ("pooled", "regressions", …)
    #: What it is; together with the source they name it once
    analysis: str
    level: str
    quantity: str
    published: str  # As printed, with a leading "<" where only a bound was printed
    ours: float
    #: Significant digits that agree (15: all that a double can hold); for a bound that holds, the
    #: digits of the bound
    digits: int
    status: str  # One of `STATUSES`
    note: str = ""  # Why it differs, or what the agreement does not prove
    #: Whether the published number was itself used to recover our data, so that agreement is no
    #: evidence
    by_construction: bool = False

    @property
    def name(self) -> str:
        """Name of the number, for messages."""
        parts = (self.source, self.analysis, self.level, self.quantity)
        return " / ".join(part for part in parts if part)


def compare(
    source: str,
    analysis: str,
    level: str,
    quantity: str,
    published: str,
    ours: float,
    *,
    note: str = "",
    reason: str = "",
    by_construction: bool = False,
) -> Comparison:
    """Compare a published number with ours.

    Parameters
    ----------
    source, analysis, level, quantity : str
        What the number is.
    published : str
        As printed; "<.0001" is a bound.
    ours : float
    note : str
        Said of the number whatever its status.
    reason : str
        Said if it differs.
    by_construction : bool
        As in `Comparison`.

    Raises
    ------
    UnexplainedError
        When the two differ and there is no reason.

    Examples
    --------
    >>> compare("tests", "Egger regression", "all cohorts", "p", "0.0045", 0.004497).status
    'identical as printed'
    >>> compare("regressions", "MM: product", "", "f_p", "<.0001", 4.7e-5).digits
    1
    >>> compare("pooled", "entity", "IL", "estimate", "0.0566037735849", 0.0566037).status
    'same to rounding'
    """
    ours = float(ours)
    text = published.strip()
    same, long = prints_as(ours, text), significant_digits(text)
    bound = text.startswith("<")
    digits = (long if same else 0) if bound else printing.agreeing_digits(ours, float(text))
    if same and long <= printing.MOST_DIGITS:
        status = IDENTICAL
    elif long >= LONG and digits >= ENOUGH:
        status = ROUNDING
    else:
        status = DIFFERS
    said = " ".join(part for part in (note, reason if status == DIFFERS else "") if part)
    found = Comparison(
        source, analysis, level, quantity, text, ours, digits, status, said, by_construction
    )
    if status == DIFFERS and not reason:
        raise UnexplainedError(
            f"{found.name}: published {text}, ours {ours:.12g}, and no reason is named"
        )
    return found


def beside(
    source: Source, recompute: Callable[[Mapping[str, Any]], Mapping[str, float | None]]
) -> list[dict[str, Any]]:
    """Compare each printed number of a published table with ours.

    `recompute` gives our numbers of a row by column, none where there are none. Each number has the
    columns of `NAMES`, `quantity`, `ours`, `published`, `printed` (text) and `line`, its row.
    `MetaAnalysisError` where a number is published that `recompute` gives as None.
    """
    rows = []
    lines: list[dict[str, Any]] = load_published(source).to_dict("records")  # type: ignore[assignment]
    for line in lines:
        head = {name: line[name] for name in NAMES[source]}
        for quantity, ours in recompute(line).items():
            if pd.isna(line[quantity]):
                continue
            if ours is None:
                where = ", ".join(map(str, head.values()))
                raise MetaAnalysisError(f"{where}: {quantity} is published, and ours has none")
            rows.append(
                {
                    **head,
                    "quantity": quantity,
                    "ours": float(ours),
                    "published": float(line[quantity]),
                    "printed": str(line.get(f"{quantity}_printed", line[quantity])),
                    "line": line,
                }
            )
    return rows

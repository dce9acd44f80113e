"""A hand-out from another field, so that nothing is learnt by heart: its sums, and their key.

The table is ``data/examples/ankylosing_spondylitis.csv`` (provenance in the README beside it): how
many people improved under placebo in earlier trials. No number of it stands in the reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import printing
from ..evidence import data_folder
from ..models.pooling import pool
from ..views.prose import Sentence, list_table
from .paper import document, html_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Handout", "handout", "write_handout"]

_TITLE = "Eight trials under placebo"
_ASKED = (
    "Guess first: of 100 people who get placebo in the next, similar trial, how many will improve? "
    "Write one number, and a range that you would bet on.",
    "Compute the share, the logit ln(x / (n - x)), its variance 1/x + 1/(n - x) and the weight "
    "1/variance of each trial.",
    "Compute the weighted mean of the logits and turn it back into a percentage.",
    "Compute Q, the sum of weight times squared distance from the mean, and DerSimonian and "
    "Laird's variance between the trials.",
    "Give the 95% confidence interval of the mean and the 95% prediction interval with random "
    "effects. Into which of the two should the next trial fall?",
)


@dataclass(frozen=True, slots=True)
class Handout:
    """A table to work on, and what comes out.

    Attributes
    ----------
    table : DataFrame
        One row per trial: `trial`, `improved`, `people`.
    worked : DataFrame
        With `share`, `logit`, `variance`, `weight`, all as printed.
    results : dict of str to str
        What the tasks ask for, as printed.
    """

    table: pd.DataFrame
    worked: pd.DataFrame
    results: dict[str, str]

    def shown(self) -> Sentence:
        """Give the table of the sheet, for the page of the lecturer."""
        rows: list[tuple[str, ...]] = [("Trial", "Improved", "People")]
        rows += [tuple(map(str, row)) for row in self.table.itertuples(index=False)]
        return list_table(_TITLE, rows, "50 25 25")

    def sheet(self) -> str:
        """Give the page to hand out, with empty columns."""
        blank = self.table.assign(share="", logit="", variance="", weight="")
        tasks = "".join(f"<li>{task}</li>" for task in _ASKED)
        return document(_TITLE, f"{html_table(blank)}<ol>{tasks}</ol>")

    def key(self) -> str:
        """Give the page for the teacher."""
        said = "".join(f"<li>{what}: {value}</li>" for what, value in self.results.items())
        return document(f"{_TITLE}: key", f"{html_table(self.worked)}<ul>{said}</ul>")


def handout() -> Handout:
    """Make the hand-out and its key.

    Returns
    -------
    Handout

    Examples
    --------
    >>> handout().results["Q"]
    '12.98 on 7 degrees of freedom'
    """
    import pandas as pd

    given = pd.read_csv(data_folder() / "examples" / "ankylosing_spondylitis.csv")
    x, n = given["events"].to_numpy(float), given["n"].to_numpy(float)
    fit = pool(
        events=given["events"], n=given["n"], study=given["study"], measure="logit",
        model="random", tau2_method="DL", ci_method="wald",
    )  # fmt: skip
    common = pool(events=given["events"], n=given["n"], measure="logit", model="common")
    variance = 1.0 / x + 1.0 / (n - x)
    table = given.rename(columns={"study": "trial", "events": "improved", "n": "people"})
    table = table[["trial", "improved", "people"]]
    columns = {
        "logit": (np.log(x / (n - x)), 3),
        "variance": (variance, 4),
        "weight": (1.0 / variance, 2),
    }
    worked = table.assign(
        share=[printing.percent(p) for p in x / n],
        **{name: [printing.number(v, d) for v in values] for name, (values, d) in columns.items()},
    )
    het = fit.heterogeneity
    results = {
        "All people together": printing.percent(x.sum() / n.sum()),
        "Weighted mean of the logits, back-transformed": printing.percent(common.estimate),
        "Q": f"{printing.number(het.Q)} on {het.df} degrees of freedom",
        "Variance between the trials": printing.number(fit.tau2, 4),
        "Random effects, 95% confidence interval": printing.percent_range(fit.ci, 1),
        "95% prediction interval": printing.percent_range(fit.prediction_interval(), 1),
    }
    return Handout(table, worked, results)


def write_handout(folder: str | Path) -> list[Path]:
    """Write ``students/handout.html`` and ``teacher/handout_key.html``."""
    made, written = handout(), []
    for name, text in (
        ("students/handout.html", made.sheet()),
        ("teacher/handout_key.html", made.key()),
    ):
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
        written.append(path)
    return written

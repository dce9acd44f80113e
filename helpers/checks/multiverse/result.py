"""The result of a multiverse: one row per specification, and what it says as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import printing, ties
from ...door import pd
from ...engine.json_values import picked, plain
from ...engine.literature import Methods, references
from ...engine.shown import DASH, Row, Shown, listed, number
from ...errors import MetaAnalysisError
from .contrast import Contrast
from .grid import RESULT_COLUMNS, Grid, Variants


@dataclass(frozen=True, slots=True, repr=False)
class Share(Shown):
    """How many specifications satisfy a condition."""

    #: Specifications that satisfy it, and those to which it can be put
    count: int
    of: int
    #: Specifications without an answer: undefined, failed, or without the number that the condition
    #: asks for
    left_out: int

    def _said(self) -> Iterator[Row]:
        share = printing.share(self.count, self.of) if self.of else DASH
        yield "share", share
        yield "left out", printing.count(self.left_out)

    @property
    def fraction(self) -> float:
        """`count` / `of`; NaN if there is none."""
        return self.count / self.of if self.of else float("nan")


@dataclass(frozen=True, slots=True, repr=False)
class MultiverseResult(Shown):
    """Every specification of a grid of choices, analysed."""

    choices: Mapping[str, tuple[Any, ...]]  # Name of each choice -> its levels
    contrast: Contrast | None  # The two groups whose difference was analysed
    level: float  # Level of all intervals
    #: Size of the full grid. Combinations that differ only in an option without a role (say,
    #: quadrature points of an inverse-variance model) are one specification.
    combinations: int
    columns: Mapping[str, NDArray[Any]]  # The results, one entry for each specification (read-only)
    #: What was combined, and the versions of the data
    grid: Grid
    variants: Variants
    version: NDArray[np.intp]  # Version of the data behind each specification

    def _headline(self) -> str:
        if self.contrast is None:
            return "pooled estimates"
        first, second = self.contrast.levels
        return f"{first} minus {second}"

    def _said(self) -> Iterator[Row]:
        status = self.columns["status"]
        counts = {kind: int((status == kind).sum()) for kind in ("ok", "undefined", "failed")}
        found = ", ".join(f"{printing.count(n)} {kind}" for kind, n in counts.items() if n)
        yield "specifications", f"{printing.count(len(self))} ({found})"
        values = np.asarray(self.columns[self.target], dtype=float)[status == "ok"]
        if values.size:
            low, middle, high = np.quantile(values, [0.0, 0.5, 1.0]).tolist()
            yield "estimates", f"median {number(middle)}, {number(low)} to {number(high)}"
        yield "choices", listed(self.choices)

    def __len__(self) -> int:
        return len(self.grid.options)

    def frame(self) -> pd.DataFrame:
        """One row per specification; index "specification", counted from 1.

        The choices come first (missing where an option has no role), then the results and
        `status`: "ok"; "undefined" (the choices cannot be combined, or nothing is left to
        pool); "failed" (no maximum, no bounded interval); with the `reason`. `multiplicity` is
        the number of combinations that amount to the specification.

        Without a contrast: `mu`, `se`, `tau2` (model scale), `estimate`, `ci_lower`,
        `ci_upper`, `prediction_lower`, `prediction_upper` (display scale), `k`, `events`,
        `n` or `time`, `converged`. By likelihood, studies without an event (or with nothing else)
        have an infinite `mu`, no `se` and exact limits, as in `helpers.pool`; their
        difference from another group is undefined. With a contrast: `difference`, `se`, `df`,
        `ci_lower`, `ci_upper`, `p` on the model scale (for logit a log odds ratio),
        `estimate_1`, `estimate_2` and their `estimate_difference` on the display scale, `tau2_1`,
        `tau2_2`, `k_1`, `k_2`, `events_1`, `events_2`.
        """
        table: dict[str, Any] = {}
        for d, choice in enumerate(self.grid.choices):
            levels = self.grid.levels[:, d]
            if choice.is_option:
                values = [options[choice.name] for options in self.grid.options]
                if choice.name == "quad_points":
                    table[choice.name] = pd.array(values, dtype="Int64")
                else:
                    table[choice.name] = values
            else:
                table[choice.name] = [choice.labels[i] for i in levels]
        for name, result in self.columns.items():
            column = np.array(result)
            table[name] = pd.Series(column).astype("Int64").array if name in _WHOLE else column
        index = pd.RangeIndex(1, len(self) + 1, name="specification")
        return pd.DataFrame(table, index=index)

    @property
    def target(self) -> str:
        """Column that the multiverse is about, on the scale that all measures share."""
        return "estimate" if self.contrast is None else "estimate_difference"

    def summary_frame(self) -> pd.DataFrame:
        """One-row table: how many analyses, and the spread of their estimates."""
        status = self.columns["status"]
        values = np.asarray(self.columns[self.target])[status == "ok"]
        row: dict[str, Any] = {
            "combinations": self.combinations,
            "specifications": len(self),
            "ok": int((status == "ok").sum()),
            "undefined": int((status == "undefined").sum()),
            "failed": int((status == "failed").sum()),
        }
        at = np.quantile(values, [0.0, 0.25, 0.5, 0.75, 1.0]) if values.size else np.full(5, np.nan)
        row |= dict(zip(("lowest", "lower_quartile", "median"), at[:3].tolist(), strict=True))
        row |= dict(zip(("upper_quartile", "highest"), at[3:].tolist(), strict=True))
        return pd.DataFrame([row], index=pd.Index([self.target], name="quantity"))

    def share(self, condition: str | Callable[[pd.DataFrame], pd.Series]) -> Share:
        """Share of the specifications that satisfy a condition.

        Parameters
        ----------
        condition : str or callable
            An expression in the columns of `frame` ("difference > 0 and p < 0.05"), or a
            function of the frame that gives booleans (missing: no answer).

        Returns
        -------
        Share
            Specifications that are not "ok", or miss a value that the expression names, are
            left out of the denominator and counted.

        Raises
        ------
        MetaAnalysisError
            An unknown column, or an answer that is not boolean.
        """
        frame = self.frame()
        ok = frame.loc[frame["status"] == "ok"]
        if isinstance(condition, str):
            # pandas reports unknown names as NameError subclasses with the name in the text
            try:
                answer: Any = ok.eval(condition)
            except pd.errors.UndefinedVariableError as error:
                columns = ", ".join(map(str, frame.columns))
                raise MetaAnalysisError(f"share: {error}; the columns are {columns}") from error
            named = [c for c in set(re.findall(r"[^\W\d]\w*", condition)) if c in _NUMBERS]
            known = ok[[c for c in named if c in ok]].notna().all(axis=1)
        else:
            answer = condition(ok)
            known = pd.Series(answer, index=ok.index).notna()
        answer = pd.Series(answer, index=ok.index)
        if not answer[known].map(lambda v: isinstance(v, (bool, np.bool_))).all():
            raise MetaAnalysisError("share: the condition must be true or false")
        of = int(known.sum())
        return Share(int(answer[known].astype(bool).sum()), of, len(frame) - of)

    def influence_of_choices(self, of: str | None = None) -> pd.DataFrame:
        """How much each choice moves the answer, most influential first.

        Parameters
        ----------
        of : str, optional
            Column of `frame`; default `target`.

        Returns
        -------
        DataFrame
            Index "choice"; columns `levels`; `share`, the percentage of the variance over the
            grid that remains, on average, when all other choices are fixed; `range` between the
            average effects of the levels, `lowest` and `highest` level (missing if the choice
            moves nothing); `mean_switch` and `largest_switch`, mean and largest range of the
            value over the levels with all else fixed.

        Notes
        -----
        All columns compare like with like: combinations that differ in this choice alone.
        `share` is the total-effect sensitivity index (Homma and Saltelli 1996,
        doi:10.1016/0951-8320(96)00002-6), computed exactly on the grid; it counts what the
        choice does alone and in interactions, so that shares need not add up to 100.
        Combinations without a result are left out.
        """
        name = of or self.target
        if name not in self.columns or name not in _NUMBERS:
            raise MetaAnalysisError(f"influence_of_choices: no numeric column {name!r}")
        value = np.asarray(self.columns[name], dtype=float)[self.grid.row]
        ok = (self.columns["status"][self.grid.row] == "ok") & np.isfinite(value)
        if not ok.any():
            raise MetaAnalysisError("influence_of_choices: no specification has a result")
        return influence_table(value[ok], self.grid.codes[ok], self.choices)

    def to_dict(self) -> dict[str, Any]:
        """Everything that JSON can represent; missing values are None."""
        influence = self.influence_of_choices() if (self.columns["status"] == "ok").any() else None
        return plain(
            picked(self, "choices level combinations")
            | {
                "contrast": self.contrast and picked(self.contrast, "by levels"),
                "summary": self.summary_frame().iloc[0].to_dict(),
                "influence": [] if influence is None else influence,
                "methods": str(self.methods()),
                "specifications": self.frame().to_dict(orient="records"),
            }
        )

    def methods(self) -> Methods:
        """Say in one sentence what was done, with references."""
        return Methods(
            f"All {self.combinations:,} combinations of {len(self.choices)} analytical choices "
            f"({', '.join(self.choices)}) were analysed; they amount to {len(self):,} distinct "
            "specifications.",
            references("steegen2016", "simonsohn2020"),
        )


_WHOLE = ("k", "k_1", "k_2", "events", "events_1", "events_2", "n", "multiplicity")
_NUMBERS = RESULT_COLUMNS - {"converged", "status", "reason", "multiplicity"}


def influence_table(
    value: NDArray[np.float64], codes: NDArray[np.intp], choices: Mapping[str, tuple[Any, ...]]
) -> pd.DataFrame:
    """Take the variance of a value over a grid apart by choice, most influential first.

    `value`, shape (C,), and `codes`, shape (C, D), are those of every combination of choices; the
    table is that of `MultiverseResult.influence_of_choices`. `share` is the total-effect
    sensitivity index (Homma and Saltelli 1996, doi:10.1016/0951-8320(96)00002-6), computed exactly
    on the grid.

    >>> value = np.array([1.0, 2.0, 1.0, 2.0])
    >>> codes = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> influence_table(value, codes, {"a": ("x", "y"), "b": ("u", "v")})["share"].to_dict()
    {'b': 100.0, 'a': 0.0}
    """
    spread = float(value.var())
    rows = []
    for d, labels in enumerate(choices.values()):
        _, inverse = np.unique(np.delete(codes, d, axis=1), axis=0, return_inverse=True)
        place = inverse.reshape(-1)
        size = np.bincount(place)
        deviation = value - (np.bincount(place, weights=value) / size)[place]
        low, high = np.full(size.size, np.inf), np.full(size.size, -np.inf)
        np.minimum.at(low, place, value)
        np.maximum.at(high, place, value)
        paired = size > 1
        switch = (high - low)[paired]
        level, at = np.unique(codes[paired[place], d], return_inverse=True)
        effect = np.bincount(at, weights=deviation[paired[place]]) / np.bincount(at)
        largest = float(switch.max(initial=0.0))
        moves = largest > 1e-12 * float(np.abs(value).max())
        share = 100.0 * float((deviation**2).mean()) / spread if moves else 0.0
        rows.append(
            {
                "levels": len(labels),
                "share": share,
                "range": float(np.ptp(effect)) if moves else 0.0,
                "lowest": labels[level[ties.smallest(effect)]] if moves else None,
                "highest": labels[level[ties.largest(effect)]] if moves else None,
                "mean_switch": float(switch.mean()) if moves else 0.0,
                "largest_switch": largest if moves else 0.0,
            }
        )
    table = pd.DataFrame(rows, index=pd.Index(list(choices), name="choice"))
    return table.iloc[ties.order(table["share"], descending=True)]

"""The multiverse of one claim: how many analyses support it, and what decides it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ... import printing
from ...door import pd
from ...engine.literature import Methods, references
from ...engine.shown import Row, Shown, listed
from ...errors import MetaAnalysisError
from .result import MultiverseResult, Share, influence_table


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim of the book, as a number that is to lie above another one."""

    key: str  # its name in code
    statement: str  # what is claimed, as a sentence without a full stop
    quantity: str  # what every analysis estimates
    null: float  # the value that the quantity exceeds if the claim is right
    unit: Literal["percent", "ratio"]  # of fractions, or of a ratio of two of them


@dataclass(frozen=True, slots=True, repr=False)
class ClaimMultiverse(Shown):
    """Every defensible analysis of one claim.

    An analysis *supports* the claim when its estimate lies above `claim.null`, and supports it
    *with its interval* when the whole interval does. A share of analyses is no probability: the
    analyses use the same deaths, and some are more plausible than others.
    """

    claim: Claim
    choices: Mapping[str, tuple[str, ...]]  # Name of each of the D choices -> its levels
    #: Level of each choice in each of the N specifications, -1 where it has no role, shape (N, D)
    levels: NDArray[np.intp] = field(compare=False)
    codes: NDArray[np.intp] = field(compare=False)  # The full grid of combinations, shape (C, D)
    #: Specification that each combination amounts to, shape (C,)
    row: NDArray[np.intp] = field(compare=False)
    #: Estimate and interval in the claim's unit; NaN where there is no result, shape (N,)
    value: NDArray[np.float64] = field(compare=False)
    lower: NDArray[np.float64] = field(compare=False)
    upper: NDArray[np.float64] = field(compare=False)
    #: Why there is no result; empty where there is one, shape (N,)
    reason: NDArray[np.object_] = field(compare=False)
    level: float  # Level of the intervals
    #: The analyses themselves, where they are pooled estimates
    multiverse: MultiverseResult | None = field(default=None, compare=False)
    #: Analyses that differ in their data or their method. Two choices may leave out the same cohort
    #: (the spontaneous reports have no follow-up either); such analyses have two names.
    distinct: int = 0

    def _headline(self) -> str:
        return self.claim.statement

    def _said(self) -> Iterator[Row]:
        distinct = f" ({printing.count(self.distinct)} distinct)" if self.distinct else ""
        yield "analyses", f"{printing.count(len(self))}{distinct}"
        if len(self):
            low, middle, high = np.quantile(self.value[self.ok], [0.0, 0.5, 1.0]).tolist()
            spread = f"{self.printed(low)} to {self.printed(high)}"
            yield "estimates", f"median {self.printed(middle)}, {spread}"
            yield "supporting", self._percent(self.share_supporting)
            yield "with interval", self._percent(self.share_certain)
        yield "choices", listed(self.choices)

    def __post_init__(self) -> None:
        for array in (self.levels, self.codes, self.row, self.value, self.lower, self.upper):
            array.flags.writeable = False
        self.reason.flags.writeable = False

    def __len__(self) -> int:
        """Specifications that have a result."""
        return int(self.ok.sum())

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Which specifications have a result."""
        return np.asarray(self.reason == "", dtype=bool)

    @property
    def supports(self) -> NDArray[np.bool_]:
        """Which specifications support the claim by direction."""
        return self.ok & (np.where(self.ok, self.value, -np.inf) > self.claim.null)

    @property
    def certain(self) -> NDArray[np.bool_]:
        """Which specifications support the claim with their whole interval."""
        return self.ok & (np.where(self.ok, self.lower, -np.inf) > self.claim.null)

    @property
    def opposes(self) -> NDArray[np.bool_]:
        """Which specifications have their whole interval on the other side."""
        return self.ok & (np.where(self.ok, self.upper, np.inf) < self.claim.null)

    def _share(self, which: NDArray[np.bool_]) -> Share:
        return Share(int(which.sum()), len(self), len(self.value) - len(self))

    @property
    def share_supporting(self) -> Share:
        """Share of the analyses whose estimate supports the claim."""
        return self._share(self.supports)

    @property
    def share_certain(self) -> Share:
        """Share of the analyses whose whole interval supports the claim."""
        return self._share(self.certain)

    @property
    def share_opposing(self) -> Share:
        """Share of the analyses whose whole interval contradicts the claim."""
        return self._share(self.opposes)

    @property
    def sentence(self) -> str:
        """In how many analyses the claim is supported, for a sentence that names it."""
        of = printing.count(len(self))
        return (
            f"is supported by the estimate in {self._percent(self.share_supporting)} of {of} "
            f"analyses and by the whole {printing.level_text(self.level)} interval in "
            f"{self._percent(self.share_certain)}"
        )

    @staticmethod
    def _percent(share: Share) -> str:
        # "All" and "none" are counts; 99.96% must not be printed as either.
        if share.count in (0, share.of):
            return printing.percent(share.fraction, 0)
        return printing.percent(share.fraction, 1)

    def frame(self) -> pd.DataFrame:
        """One row per specification; index "specification", counted from 1.

        The choices (missing where one has no role), `value`, `lower`, `upper`, `supports`,
        `certain`, `reason`.
        """
        table: dict[str, Any] = {
            name: [labels[i] if i >= 0 else None for i in self.levels[:, d]]
            for d, (name, labels) in enumerate(self.choices.items())
        }
        table |= {"value": self.value, "lower": self.lower, "upper": self.upper}
        table |= {"supports": self.supports, "certain": self.certain, "reason": self.reason}
        index = pd.RangeIndex(1, len(self.value) + 1, name="specification")
        return pd.DataFrame(table, index=index)

    def find(self, levels: Mapping[str, str]) -> int:
        """Give the number of the specification with these levels (of choices by name).

        Names that are no choice of this claim are passed over, and so are choices without a role in
        a specification.
        """
        mine = self.ok.copy()
        for d, (name, labels) in enumerate(self.choices.items()):
            if name not in levels:
                continue
            if levels[name] not in labels:
                raise MetaAnalysisError(
                    f"{name}: no level {levels[name]!r}; there are {', '.join(labels)}"
                )
            code = self.levels[:, d]
            mine &= (code == labels.index(levels[name])) | (code == -1)
        found = np.flatnonzero(mine)
        if found.size != 1:
            raise MetaAnalysisError(
                f"{found.size} specifications have these levels, expected exactly 1"
            )
        return int(found[0]) + 1

    def summary_frame(self) -> pd.DataFrame:
        """One-row table, index "claim".

        `statement`, `analyses`, `distinct`, `supporting`, `certain`, `opposing` (fractions of
        the analyses), `lowest`, `median`, `highest` (estimates) and `null`, in the claim's unit.
        """
        low, middle, high = np.quantile(self.value[self.ok], [0.0, 0.5, 1.0]).tolist()
        row = {
            "statement": self.claim.statement,
            "analyses": len(self),
            "distinct": self.distinct,
            "supporting": self.share_supporting.fraction,
            "certain": self.share_certain.fraction,
            "opposing": self.share_opposing.fraction,
            "lowest": low,
            "median": middle,
            "highest": high,
            "null": self.claim.null,
        }
        return pd.DataFrame([row], index=pd.Index([self.claim.key], name="claim"))

    def by_choice(self) -> pd.DataFrame:
        """Say what each level does: one row per choice and level.

        Columns `choice`, `level`, `analyses`, `supporting`, `certain` (fractions; missing where
        no analysis has the level) and the `median` estimate.
        """
        rows = []
        for d, (name, labels) in enumerate(self.choices.items()):
            for i, label in enumerate(labels):
                mine = self.ok & (self.levels[:, d] == i)
                n = int(mine.sum())
                rows.append(
                    {
                        "choice": name,
                        "level": label,
                        "analyses": n,
                        "supporting": (self.supports & mine).sum() / n if n else np.nan,
                        "certain": (self.certain & mine).sum() / n if n else np.nan,
                        "median": float(np.median(self.value[mine])) if n else np.nan,
                    }
                )
        return pd.DataFrame(rows)

    def influence(self, of: Literal["value", "lower"] = "value") -> pd.DataFrame:
        """How much each choice moves the estimates, or the limit that decides the support.

        `of` is "value" (the estimates) or "lower" (limits of their intervals); ratios are taken on
        the log scale. Columns as in `MultiverseResult.influence_of_choices`.
        """
        if of not in ("value", "lower"):
            raise MetaAnalysisError(f"of={of!r}: expected 'value' or 'lower'")
        ok = self.ok[self.row]
        if not ok.any():
            raise MetaAnalysisError("influence: no analysis has a result")
        numbers = (self.value if of == "value" else self.lower)[self.row][ok]
        if self.claim.unit == "ratio":
            numbers = np.log(numbers)
        return influence_table(numbers, self.codes[ok], self.choices)

    def methods(self) -> Methods:
        """Say in one sentence what was done, with references."""
        return Methods(
            f"We analysed the claim in all {printing.count(len(self))} analyses that "
            f"{printing.counted(len(self.choices), 'analytical choice')} allow "
            f"({', '.join(self.choices)}); an analysis supports the claim if its estimate lies "
            f"above {self.printed(self.claim.null)}, and with its interval if the whole "
            f"{printing.level_text(self.level)} interval does.",
            references("steegen2016", "simonsohn2020"),
        )

    def printed(self, value: float) -> str:
        """Print a value in the claim's unit."""
        return printing.percent(value) if self.claim.unit == "percent" else printing.number(value)

"""What a table may hold besides counts: effects with standard errors or limits, and ratings."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from statistics import NormalDist

from ..errors import MetaAnalysisError

#: What the numbers of a table of effects are -> the measure on whose scale they are pooled.
SCALES = {
    "raw": "effect",
    "ratio": "log-ratio",
    "log-ratio": "log-ratio",
    "proportion": "logit",
    "logit": "logit",
}
#: Level of the confidence limits in a table.
LIMITS_LEVEL = 0.95
_TURNED = frozenset({"effect", "lower", "upper"})  # numbers on the scale of the table

#: What ratings of the risk of bias are called in a report and in the page, in their order.
RATINGS = {"low": "Low risk", "some": "Some concerns", "high": "High risk"}

_RATIOS = "odds|risk|relative risk|hazard|rate|prevalence|incidence rate"
_RATIO = re.compile(
    rf"((pooled|crude|unadjusted|adjusted|a|c|i)? ?(or|rr|hr|irr|pr)|({_RATIOS})s? ?ratio"
    r"|relative risk)( .*)?"
)
_LOG = re.compile(r"(log|ln) ?(.+)")

#: Words for a rating -> low, some or high; those of RoB 2, ROBINS-I, Cochrane's first tool, signs.
_WORDS = {
    "low": "low|low risk|l|\\+|green|good|yes",
    "some": "some concerns?|some|moderate|moderate risk|medium|medium risk|unclear|unclear risk|\\?"
    "|yellow|fair|no information|ni|s|m|u",
    "high": "high|high risk|h|-|–|−|red|poor|serious|serious risk|critical|critical risk|no|c",
}
RATING = "(?i:" + "|".join(_WORDS.values()) + ")"
RATING_WORDING = (
    "a rating: low; some concerns, moderate or unclear; high, serious or critical (or +, ?, -)"
)


def rating_of(text: str) -> str:
    """Tell what a rating of the risk of bias means: low, some or high.

    >>> rating_of("Serious"), rating_of("Some concerns"), rating_of("+")
    ('high', 'some', 'low')
    """
    for level, words in _WORDS.items():
        if re.fullmatch(words, text.strip(), re.IGNORECASE):
            return level
    raise MetaAnalysisError(f"{text!r} is no rating of the risk of bias: expected {RATING_WORDING}")


def scale_by_name(column: str) -> str:
    """Guess from the name of a column what its numbers are: a ratio, its logarithm, or neither.

    >>> scale_by_name("Hazard ratio"), scale_by_name("logOR"), scale_by_name("yi")
    ('ratio', 'log-ratio', 'raw')
    """
    spaced = re.sub(r"[^a-z]+", " ", column.casefold()).strip()
    log = _LOG.fullmatch(spaced)
    if log and _RATIO.fullmatch(log.group(2).strip()):
        return "log-ratio"
    return "ratio" if _RATIO.fullmatch(spaced) else "raw"


def on_model_scale(
    cells: Mapping[str, Sequence[float | None]], scale: str
) -> tuple[list[float], list[float], list[int]]:
    """Effects and sampling variances on the scale on which they are pooled, nan where missing.

    `cells` holds the columns by role: effect, with variance, with se, or with lower and upper.
    Limits of a 95% interval lie 1.96 standard errors from the effect on that scale. A standard
    error or a variance belongs to the scale of the model: that of a ratio is the one of its
    logarithm. The last value is the places of the effects that are far from the middle of their
    limits, by more than a tenth of the width: rounded numbers stay within it.

    >>> yi, vi, far = on_model_scale({"effect": [2.0], "lower": [1.0], "upper": [4.0]}, "ratio")
    >>> round(yi[0], 4), round(vi[0] ** 0.5, 4), far
    (0.6931, 0.3537, [])
    >>> on_model_scale({"effect": [2.0], "lower": [1.0], "upper": [4.0]}, "raw")[2]
    [0]
    """
    on_scale = {
        role: [_turned(value, scale) for value in cells[role]] for role in _TURNED & {*cells}
    }
    yi = on_scale["effect"]
    if "lower" not in cells:
        power, spread = (1, cells["variance"]) if "variance" in cells else (2, cells["se"])
        return yi, [math.nan if value is None else float(value) ** power for value in spread], []
    apart = 2.0 * NormalDist().inv_cdf(0.5 + LIMITS_LEVEL / 2)
    ends = list(zip(on_scale["lower"], on_scale["upper"], strict=True))
    far = [
        i
        for i, (y, (a, b)) in enumerate(zip(yi, ends, strict=True))
        if abs(y - (a + b) / 2) > 0.1 * (b - a)  # False where one is missing
    ]
    return yi, [((b - a) / apart) ** 2 for a, b in ends], far


def _turned(value: float | None, scale: str) -> float:
    """Put a number of the table on the scale of the model."""
    if value is None or value != value:
        return math.nan
    value = float(value)
    if scale == "ratio":
        return math.log(value)
    if scale == "proportion":
        return math.log(value / (1.0 - value))
    return value

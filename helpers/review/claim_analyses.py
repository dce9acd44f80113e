"""The book's claims, each in every defensible analysis at once.

`claim_multiverse` is the one place that defines which analyses count; every page that says
"supported in so many analyses" calls it, or `multiverse_frame` for all claims.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import product
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from ..arguments import LEVEL, one_of
from ..checks.multiverse.analysis import multiverse
from ..checks.multiverse.claim_result import Claim, ClaimMultiverse
from ..checks.multiverse.result import MultiverseResult
from ..engine.effects import get_measure, study_interval
from ..errors import MetaAnalysisError
from ..evidence import load_causes
from ..shared_results import shared_in_a_build
from .claim_choices import (
    WORDS,
    data_choices,
    method_choices,
    patient_years,
    without_idle,
)

__all__ = [
    "CLAIMS",
    "PUBLISHED",
    "Claim",
    "ClaimMultiverse",
    "answerable",
    "claim_multiverse",
    "judge",
    "multiverse_frame",
]

#: The claims by key.
CLAIMS: Mapping[str, Claim] = MappingProxyType(
    {key: Claim(key, **said) for key, said in WORDS["claims"].items()}
)

#: What the review did, for `ClaimMultiverse.find`.
PUBLISHED: Mapping[str, str] = MappingProxyType(WORDS["published"])

_GROUPS = {
    "mcl-lbcl": ("entity", ("MCL", "LBCL")),
    "axi-tisa": ("product", ("axi-cel", "tisa-cel")),
    "cilta-ide": ("product", ("cilta-cel", "ide-cel")),
}


def claim_multiverse(
    cohorts: pd.DataFrame, claim: str, *, null: float | None = None
) -> ClaimMultiverse:
    """Analyse one claim in every defensible way.

    Parameters
    ----------
    cohorts : DataFrame
        As `helpers.load_cohorts` gives it (the published values: the corrections are a choice).
    claim : str
        A key of `CLAIMS`: "overall", "mcl-lbcl", "axi-tisa", "cilta-ide", "infection" or
        "infection-half".
    null : float, optional
        Another value that the quantity is to exceed.

    Raises
    ------
    UnsupportedError
        An unknown claim.
    MetaAnalysisError
        A table that the corrections do not fit, or an impossible `null`.

    Notes
    -----
    Choices about the data: eligibility (without the spontaneous reports, without the cohorts
    whose selection is not public, without the smallest), shortest follow-up, corrections of the
    audit, overlap; for axi-cel versus tisa-cel also whether indolent lymphoma counts. Choices of
    the method: measure, model, estimator of tau2, interval, and for a contrast whether the two
    groups share tau2 and whether deaths are counted per patient or per patient-year.

    Left out on purpose: common-effect models (the cohorts differ by more than chance), the raw
    and the log proportion (their variances depend on their estimates, which pulls the mean down),
    and the double arcsine in contrasts (its way back depends on the sizes of each group).

    A contrast is shown as the ratio of the two pooled estimates, a scale that all measures share.
    The limits of its interval are those of the model scale, stretched so that the difference
    there falls on the log ratio: the interval contains 1 exactly when the interval of the model
    scale contains 0.

    Causes have no pooled analysis, because they are public as totals alone. "infection" compares
    the deaths from infection with those from the next most frequent specific cause; the choices
    are whether effects that only CAR T-cells have count as one cause, whether deaths from
    COVID-19 are counted or left out, the setting and the interval (given the sum of the two counts
    the first is binomial). The causes of deaths without a specific cause are not guessed.
    The totals are those of all deaths of the review, whatever cohorts are given.
    "infection-half" is the share; its choices are the deaths in the denominator, COVID-19, the
    setting and the interval. COVID-19 is an infection in every analysis that counts it.

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> result = claim_multiverse(load_cohorts(), "infection")
    >>> result.share_supporting.of == len(result)
    True
    """
    one_of("claim", claim, CLAIMS)
    about = CLAIMS[claim]
    if null is not None:
        if not (np.isfinite(null) and null > 0):
            raise MetaAnalysisError(f"null={null!r}: expected a finite number above 0")
        about = replace(about, null=float(null))
    if claim in _CAUSES:
        return _CAUSES[claim](about)
    return _analyse(cohorts, about, data_choices(cohorts))


def _analyse(cohorts: pd.DataFrame, about: Claim, data: Mapping[str, Any]) -> ClaimMultiverse:
    """Analyse a claim about rates with the choices of the data."""
    claim, data = about.key, dict(data)
    if claim == "axi-tisa":
        indolent = (cohorts["entity"] == "IL").to_numpy(dtype=bool)
        data["disease"] = {"LBCL alone": indolent, "with indolent lymphoma": None}
    table = cohorts.assign(years=patient_years(cohorts))
    given: dict[str, Any] = {"events": "nonrelapse_deaths", "n": "patients", "time": "years"}
    relevant = np.ones(len(cohorts), dtype=bool)
    if claim in _GROUPS:
        by, groups = _GROUPS[claim]
        given["contrast"] = {"by": by, "levels": groups}
        relevant = cohorts[by].isin(groups).to_numpy(dtype=bool)
    data = without_idle(data, cohorts["cohort"].tolist(), relevant)
    choices = {**method_choices(claim in _GROUPS), **data}
    return judge(multiverse(table, choices, study="cohort", **given), about)


def answerable(cohorts: pd.DataFrame) -> tuple[str, ...]:
    """Give the claims that a table can answer: a comparison needs cohorts of both groups.

    Parameters
    ----------
    cohorts : DataFrame
        As `helpers.load_cohorts` gives it, or some of its rows.

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> table = load_cohorts()
    >>> answerable(table[table["entity"] == "MM"])
    ('overall', 'cilta-ide', 'infection', 'infection-half')
    """

    def has(by: str, groups: tuple[str, ...]) -> bool:
        return set(groups) <= set(cohorts[by].astype(str))

    return tuple(key for key in CLAIMS if has(*_GROUPS.get(key, ("entity", ()))))


@shared_in_a_build
def multiverse_frame(cohorts: pd.DataFrame, claims: Iterable[str] | None = None) -> pd.DataFrame:
    """Summarise the multiverse of each claim: one row per claim.

    Parameters
    ----------
    cohorts : DataFrame
        As `helpers.load_cohorts` gives it.
    claims : iterable of str, optional
        Keys of `CLAIMS`; all by default.

    Returns
    -------
    DataFrame
        Index "claim" (the key); columns as in `ClaimMultiverse.summary_frame`, and `sentence`.

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> multiverse_frame(load_cohorts(), ["infection"]).index.tolist()
    ['infection']
    """
    keys = list(CLAIMS if claims is None else claims)
    unknown = [key for key in keys if key not in CLAIMS]
    if unknown or not keys:
        named = ", ".join(map(repr, unknown)) or "there is nothing to summarise"
        raise MetaAnalysisError(f"claims: {named}; expected some of {', '.join(CLAIMS)}")
    data = data_choices(cohorts)
    found = [
        _CAUSES[key](CLAIMS[key]) if key in _CAUSES else _analyse(cohorts, CLAIMS[key], data)
        for key in keys
    ]
    table = pd.concat([one.summary_frame() for one in found])
    return table.assign(sentence=[one.sentence for one in found])


def judge(result: MultiverseResult, claim: Claim) -> ClaimMultiverse:
    """Judge a claim by a multiverse of your own.

    Parameters
    ----------
    result : MultiverseResult
        With a contrast, for a claim about the ratio of two groups; without one otherwise.
    claim : Claim

    Raises
    ------
    MetaAnalysisError
        A ratio claimed of a multiverse without a contrast, or the reverse.

    Examples
    --------
    >>> result = multiverse(
    ...     events=[3, 8, 1], n=[40, 60, 9], choices={"measure": ["logit", "arcsine"]}
    ... )
    >>> claim = Claim("rate", "The rate is above 5%", "Pooled rate", 0.05, "percent")
    >>> judge(result, claim).share_supporting.count
    2
    """
    if (claim.unit == "ratio") != (result.contrast is not None):
        raise MetaAnalysisError(
            f"claim {claim.key!r} is about a {claim.unit}: a ratio needs a multiverse with a "
            "contrast, a percentage one without"
        )
    columns = result.columns
    reason = np.array(columns["reason"], dtype=object)
    if result.contrast is None:
        value, lower, upper = (
            np.array(columns[name]) for name in ("estimate", "ci_lower", "ci_upper")
        )
    else:
        value, lower, upper = _ratio(columns)
        # A group without a death has no ratio; the two scales may disagree about a tie.
        undefined = (reason == "") & ~np.isfinite(value)
        reason[undefined] = "the ratio of the two rates is not defined"
    choices: dict[str, tuple[str, ...]] = {}
    for name, levels in result.choices.items():
        known = WORDS["levels"].get(name, {})
        choices[WORDS["names"].get(name, name)] = tuple(known.get(str(x), str(x)) for x in levels)
    return ClaimMultiverse(
        claim,
        MappingProxyType(choices),
        result.grid.levels.copy(),
        result.grid.codes.copy(),
        result.grid.row.copy(),
        value,
        lower,
        upper,
        reason,
        result.level,
        result,
        _distinct(result, reason),
    )


def _distinct(result: MultiverseResult, reason: Any) -> int:
    """Count the analyses that differ in their data or their method, not in words alone."""
    variants, contrast = result.variants, result.contrast
    inside = True if contrast is None else contrast.first | contrast.second
    seen = set()
    marks: dict[tuple[int, str], tuple[bytes, ...]] = {}
    for i in np.flatnonzero(reason == ""):
        options, v = result.grid.options[i], int(result.version[i])
        kind = get_measure(options["measure"]).kind
        if (v, kind) not in marks:
            size, events = variants.sizes[kind][v], variants.events[v]
            used = variants.keep[v] & np.isfinite(size) & np.isfinite(events) & inside
            marks[v, kind] = (used.tobytes(), events[used].tobytes(), size[used].tobytes())
        seen.add((tuple(options.values()), marks[v, kind]))
    return len(seen)


def _ratio(columns: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Ratio of the pooled estimates, with the limits of the difference stretched onto it."""
    names = ("estimate_1", "estimate_2", "difference", "ci_lower", "ci_upper")
    first, second, difference, low, high = (np.asarray(columns[n], dtype=float) for n in names)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = np.log(first) - np.log(second)
        apart = np.isfinite(log_ratio) & (difference * log_ratio > 0)
        log_ratio[~apart] = np.nan
        stretch = log_ratio / difference
    return np.exp(log_ratio), np.exp(stretch * low), np.exp(stretch * high)


_DEATHS = (
    "all nonrelapse deaths",
    "without unknown",
    "without unknown, organ failure, other",
)
# COVID-19 is an infection. Its deaths may be left out, to see what remains without the pandemic;
# counting them as deaths of another cause would be an error, not a choice.
_COVID = ("counted as infection", "left out")
_OTHERS = ("each cause by itself", "CAR T-cell-specific effects together")
_SETTINGS = ("all", "trial", "real-world")
_INTERVALS = ("wilson", "clopper-pearson", "agresti-coull")


def _parts(where: str) -> tuple[str, ...]:
    return _SETTINGS[1:] if where == "all" else (where,)


def _deaths_by_cause() -> pd.Series[Any]:
    keys = ["grouping", "level", "cause"]
    return load_causes().groupby(keys, observed=True)["deaths"].sum()


def _leading(claim: Claim) -> ClaimMultiverse:
    """Deaths from infection relative to those from the next most frequent specific cause."""
    from .causes import SPECIFIC

    total = _deaths_by_cause()
    counts: dict[tuple[str, ...], tuple[float, float]] = {}
    for others, covid, where in product(_OTHERS, _COVID, _SETTINGS):
        grouping = "setting" if covid == _COVID[0] else "setting, without COVID-19"
        deaths: dict[str, float] = {}
        for part in _parts(where):
            for cause, number in total[grouping, part].items():
                together = others == _OTHERS[1] and cause in SPECIFIC
                name = "CAR T-cell-specific" if together else str(cause)
                deaths[name] = deaths.get(name, 0.0) + float(number)
        infections = deaths.pop("infection")
        counts[others, covid, where] = (infections, infections + max(deaths.values()))
    choices = {"other causes": _OTHERS, "COVID-19 deaths": _COVID, "setting": _SETTINGS}
    return _counted(claim, choices, counts, odds=True)


def _infection(claim: Claim) -> ClaimMultiverse:
    """Share of infection among the deaths, from the totals by cause."""
    from .causes import cause_table

    total = _deaths_by_cause()
    by_setting = cause_table("setting")
    whole = total["all, eleven causes", "all"]
    counts: dict[tuple[str, ...], tuple[float, float]] = {}
    for deaths, covid, where in product(_DEATHS, _COVID, _SETTINGS):
        parts = _parts(where)
        with_covid, without = (
            sum(float(total[grouping, part, "infection"]) for part in parts)
            for grouping in ("setting", "setting, without COVID-19")
        )
        if deaths == _DEATHS[0]:
            size = float(sum(by_setting.deaths[by_setting.row(part)] for part in parts))
        elif deaths == _DEATHS[1]:
            # Unknown deaths are counted over all settings together alone.
            size = float(whole.sum() - whole["unknown"]) if where == "all" else np.nan
        else:
            size = sum(float(total["setting", part].sum()) for part in parts)
        counts[deaths, covid, where] = (
            (with_covid, size) if covid == _COVID[0] else (without, size - (with_covid - without))
        )
    choices = {"deaths counted": _DEATHS, "COVID-19 deaths": _COVID, "setting": _SETTINGS}
    return _counted(claim, choices, counts, odds=False)


def _counted(
    claim: Claim,
    choices: Mapping[str, tuple[str, ...]],
    counts: Mapping[tuple[str, ...], tuple[float, float]],
    *,
    odds: bool,
) -> ClaimMultiverse:
    """Shares with binomial intervals; as odds, the ratio of the two counts that make a share."""
    names = tuple(name.title() for name in _INTERVALS)
    choices = {**choices, "interval of the share": names}
    codes = np.array(list(product(*(range(len(x)) for x in choices.values()))), dtype=np.intp)
    value, lower, upper = (np.full(len(codes), np.nan) for _ in range(3))
    reason = np.full(len(codes), "", dtype=object)
    for i, code in enumerate(codes.tolist()):
        labels = [levels[c] for levels, c in zip(choices.values(), code, strict=True)]
        events, size = counts[tuple(labels[:-1])]
        if not np.isfinite(size):
            reason[i] = "deaths of unknown cause are not counted by setting"
            continue
        low, high = study_interval([events], [size], method=_INTERVALS[code[-1]], level=LEVEL)
        value[i], lower[i], upper[i] = events / size, low[0], high[0]
    if odds:
        # Given their sum, the first of two multinomial counts is binomial.
        value, lower, upper = (x / (1.0 - x) for x in (value, lower, upper))
    return ClaimMultiverse(
        claim,
        MappingProxyType(choices),
        codes.copy(),
        codes,
        np.arange(len(codes), dtype=np.intp),
        value,
        lower,
        upper,
        reason,
        LEVEL,
        distinct=int((reason == "").sum()),
    )


_CAUSES: Mapping[str, Callable[[Claim], ClaimMultiverse]] = {
    "infection": _leading,
    "infection-half": _infection,
}

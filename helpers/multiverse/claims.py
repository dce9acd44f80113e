"""The book's claims, each in every defensible analysis at once.

`claim_multiverse` is the one place that defines which analyses count; every page that says
"holds in so many analyses" calls it, or `claims_frame` for all claims.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.effects import get_measure, study_interval
from helpers.errors import MetaAnalysisError, UnsupportedError
from helpers.evidence import load_causes
from helpers.multiverse import multiverse
from helpers.multiverse.claim_choices import (
    LEVELS,
    NAMES,
    data_choices,
    method_choices,
    patient_years,
    without_idle,
)
from helpers.multiverse.claim_result import Claim, ClaimMultiverse
from helpers.multiverse.result import MultiverseResult

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CLAIMS",
    "PUBLISHED",
    "Claim",
    "ClaimMultiverse",
    "claim_multiverse",
    "claims_frame",
    "judge",
]

#: The claims by key.
CLAIMS: Mapping[str, Claim] = MappingProxyType(
    {
        claim.key: claim
        for claim in (
            Claim(
                "overall",
                "Pooled nonrelapse mortality is above one in twenty",
                "Pooled nonrelapse mortality",
                0.05,
                "percent",
            ),
            Claim(
                "mcl-lbcl",
                "Nonrelapse mortality is higher in MCL than in LBCL",
                "Nonrelapse mortality, MCL relative to LBCL",
                1.0,
                "ratio",
            ),
            Claim(
                "axi-tisa",
                "Nonrelapse mortality is higher after axi-cel than after tisa-cel",
                "Nonrelapse mortality, axi-cel relative to tisa-cel",
                1.0,
                "ratio",
            ),
            Claim(
                "cilta-ide",
                "Nonrelapse mortality is higher after cilta-cel than after ide-cel",
                "Nonrelapse mortality, cilta-cel relative to ide-cel",
                1.0,
                "ratio",
            ),
            Claim(
                "infection",
                "Infection causes more than half of the nonrelapse deaths",
                "Share of infection among nonrelapse deaths",
                0.5,
                "percent",
            ),
        )
    }
)

#: What the review did, for `ClaimMultiverse.find`.
PUBLISHED: Mapping[str, str] = MappingProxyType(
    {
        "measure": "logit",
        "model": "binomial or Poisson GLMM",
        "interval": "Wald",
        "tau² of the two groups": "one for each",
        "eligibility": "as published",
        "follow-up": "any",
        "corrections": "as published",
        "overlap": "all kept",
        "disease": "LBCL alone",
        "deaths counted": "all nonrelapse deaths",
        "COVID-19 is": "an infection",
        "setting": "all",
        "interval of the share": "Wilson",
    }
)

_GROUPS = {
    "mcl-lbcl": ("entity", ("MCL", "LBCL")),
    "axi-tisa": ("product", ("axi-cel", "tisa-cel")),
    "cilta-ide": ("product", ("cilta-cel", "ide-cel")),
}


def claim_multiverse(
    cohorts: pd.DataFrame, claim: str, *, null: float | None = None, level: float = 0.95
) -> ClaimMultiverse:
    """Analyse one claim in every defensible way.

    Parameters
    ----------
    cohorts : DataFrame
        As `helpers.load_cohorts` gives it (the published values: the corrections are a choice).
    claim : str
        A key of `CLAIMS`: "overall", "mcl-lbcl", "axi-tisa", "cilta-ide" or "infection".
    null : float, optional
        Another value that the quantity is to exceed.
    level : float
        Level of all intervals.

    Returns
    -------
    ClaimMultiverse

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
    audit, overlap; for axi-cel against tisa-cel also whether indolent lymphoma counts. Choices of
    the method: measure, model, estimator of tau2, interval, and for a contrast whether the two
    groups share tau2 and whether deaths are counted per patient or per patient-year.

    Left out on purpose: common-effect models (the cohorts differ by more than chance), the raw
    and the log proportion (their variances go with their estimates, which pulls the mean down),
    and the double arcsine in contrasts (its way back depends on the sizes of each group).

    A contrast is shown as the ratio of the two pooled estimates, a scale that all measures share.
    The limits of its interval are those of the model scale, stretched so that the difference
    there falls on the log ratio: the interval holds 1 exactly when the interval of the model
    scale holds 0.

    The share of infection has no pooled analysis, because causes are public as totals alone. Its
    choices are the deaths in the denominator, COVID-19, the setting and the interval.

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> result = claim_multiverse(load_cohorts(), "infection")
    >>> result.share_supporting.of == len(result)
    True
    """
    if claim not in CLAIMS:
        raise UnsupportedError(f"claim={claim!r}: expected one of {', '.join(CLAIMS)}")
    about = CLAIMS[claim]
    if null is not None:
        if not (np.isfinite(null) and null > 0):
            raise MetaAnalysisError(f"null={null!r}: expected a finite number above 0")
        about = replace(about, null=float(null))
    return _analyse(cohorts, about, level, None)


def _analyse(
    cohorts: pd.DataFrame, about: Claim, level: float, data: Mapping[str, Any] | None
) -> ClaimMultiverse:
    """Analyse a claim; the choices of the data may be at hand already."""
    claim = about.key
    if claim == "infection":
        return _infection(cohorts, about, level)
    data = dict(data_choices(cohorts) if data is None else data)
    if claim == "axi-tisa":
        indolent = (cohorts["entity"] == "IL").to_numpy(dtype=bool)
        data["disease"] = {"LBCL alone": indolent, "with indolent lymphoma": None}
    table = cohorts.assign(years=patient_years(cohorts))
    given: dict[str, Any] = {"events": "nonrelapse_deaths", "n": "patients", "time": "years"}
    if claim in _GROUPS:
        by, groups = _GROUPS[claim]
        given["contrast"] = {"by": by, "levels": groups}
        relevant = cohorts[by].isin(groups).to_numpy(dtype=bool)
        data = without_idle(data, cohorts["cohort"].tolist(), relevant)
    choices = {**method_choices(claim in _GROUPS), **data}
    return judge(multiverse(table, choices, study="cohort", **given, level=level), about)


def claims_frame(cohorts: pd.DataFrame, claims: Iterable[str] | None = None) -> pd.DataFrame:
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
    >>> claims_frame(load_cohorts(), ["infection"]).index.tolist()
    ['infection']
    """
    import pandas as pd

    keys = list(CLAIMS if claims is None else claims)
    unknown = [key for key in keys if key not in CLAIMS]
    if unknown or not keys:
        named = ", ".join(map(repr, unknown)) or "there is nothing to summarise"
        raise MetaAnalysisError(f"claims: {named}; expected some of {', '.join(CLAIMS)}")
    data = data_choices(cohorts)
    found = [_analyse(cohorts, CLAIMS[key], 0.95, data) for key in keys]
    table = pd.concat([one.summary_frame() for one in found])
    return table.assign(sentence=[one.sentence for one in found])


def judge(result: MultiverseResult, claim: Claim) -> ClaimMultiverse:
    """Judge a claim by a multiverse of your own.

    Parameters
    ----------
    result : MultiverseResult
        With a contrast, for a claim about the ratio of two groups; without one otherwise.
    claim : Claim

    Returns
    -------
    ClaimMultiverse

    Raises
    ------
    MetaAnalysisError
        A ratio claimed of a multiverse without a contrast, or the reverse.

    Examples
    --------
    >>> result = multiverse(
    ...     events=[3, 8, 1], n=[40, 60, 9], choices={"measure": ["logit", "arcsine"]}
    ... )
    >>> claim = Claim("rate", "The rate is above 5 %", "Pooled rate", 0.05, "percent")
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
        reason[(reason == "") & ~np.isfinite(value)] = "the ratio of the two rates is not defined"
    return ClaimMultiverse(
        claim,
        MappingProxyType(
            {
                NAMES.get(name, name): tuple(LEVELS.get((name, str(x)), str(x)) for x in levels)
                for name, levels in result.choices.items()
            }
        ),
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
    first, second, difference = (
        np.asarray(columns[name], dtype=float)
        for name in ("estimate_1", "estimate_2", "difference")
    )
    known = np.isfinite(difference)
    usable = known & (np.where(known, first, 0.0) > 0) & (np.where(known, second, 0.0) > 0)
    log_ratio = np.where(
        usable, np.log(np.where(usable, first, 1.0)) - np.log(np.where(usable, second, 1.0)), np.nan
    )
    stretch = np.full(log_ratio.shape, np.nan)
    apart = usable & (np.where(usable, difference, 0.0) * np.where(usable, log_ratio, 0.0) > 0)
    stretch[apart] = log_ratio[apart] / difference[apart]
    limits = [
        np.exp(stretch * np.asarray(columns[name], dtype=float))
        for name in ("ci_lower", "ci_upper")
    ]
    return np.exp(np.where(apart, log_ratio, np.nan)), limits[0], limits[1]


_DEATHS = (
    "all nonrelapse deaths",
    "without unknown",
    "without unknown, organ failure, other",
)
_COVID = ("an infection", "not an infection", "left out")
_SETTINGS = ("all", "trial", "real-world")
_INTERVALS = ("wilson", "clopper-pearson", "agresti-coull")


def _infection(cohorts: pd.DataFrame, claim: Claim, level: float) -> ClaimMultiverse:
    """Share of infection among the deaths, from the totals by cause."""
    causes = load_causes()
    total = causes.groupby(["grouping", "level", "cause"], observed=True)["deaths"].sum()
    died = cohorts.groupby(cohorts["setting"].astype(str), observed=True)["nonrelapse_deaths"].sum()
    whole = total["all, eleven causes", "all"]
    counts: dict[tuple[str, str, str], tuple[float, float]] = {}
    for where, deaths, covid in product(_SETTINGS, _DEATHS, _COVID):
        parts = _SETTINGS[1:] if where == "all" else (where,)
        with_covid = sum(float(total["setting", part, "infection"]) for part in parts)
        without = sum(float(total["setting, without COVID-19", p, "infection"]) for p in parts)
        if deaths == _DEATHS[0]:
            size = float(sum(died[part] for part in parts))
        elif deaths == _DEATHS[1]:
            # Unknown deaths are counted over all settings together alone.
            size = float(whole.sum() - whole["unknown"]) if where == "all" else np.nan
        else:
            size = sum(float(total["setting", part].sum()) for part in parts)
        infections = with_covid if covid == _COVID[0] else without
        counts[where, deaths, covid] = (
            infections,
            size - (with_covid - without) if covid == _COVID[2] else size,
        )
    choices = {
        "deaths counted": _DEATHS,
        "COVID-19 is": _COVID,
        "setting": _SETTINGS,
        "interval of the share": tuple(name.title() for name in _INTERVALS),
    }
    codes = np.array(list(product(*(range(len(x)) for x in choices.values()))), dtype=np.intp)
    value, lower, upper = (np.full(len(codes), np.nan) for _ in range(3))
    reason = np.full(len(codes), "", dtype=object)
    for i, (d, c, s, m) in enumerate(codes.tolist()):
        events, size = counts[_SETTINGS[s], _DEATHS[d], _COVID[c]]
        if not np.isfinite(size):
            reason[i] = "deaths of unknown cause are not counted by setting"
            continue
        low, high = study_interval([events], [size], method=_INTERVALS[m], level=level)
        value[i], lower[i], upper[i] = events / size, low[0], high[0]
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
        level,
        distinct=int((reason == "").sum()),
    )

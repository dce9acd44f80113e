"""Cohorts that are not independent: of one publication, one registry or one country.

Three levels of sharing are looked at. A cohort whose registry or country is not known is nested in
its publication alone, which makes dependence look smaller than it may be. Beside the naive result
stands the three-level model of the counts (`helpers.pool_multilevel`). Cluster-robust inference
with the small-sample correction CR2 and Satterthwaite degrees of freedom (Pustejovsky and Tipton
2018, doi:10.1080/07350015.2016.1247004) is defined for normally distributed logits; it stands
beside the naive result of that model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from .. import printing
from ..arguments import one_of
from ..engine.effects import get_measure
from ..engine.json_values import picked
from ..engine.literature import Methods, references
from ..engine.normal.intervals import Interval
from ..engine.shown import Shown
from ..evidence import load_cohorts, load_sources
from ..models.multilevel import pool_multilevel
from ..models.pooling import pool
from ..models.regression import meta_regression
from .choices import COLUMNS

#: What cohorts may share, with its name in a sentence.
SHARED: Mapping[str, str] = MappingProxyType(
    {"publication": "one publication", "source": "one trial or registry", "country": "one country"}
)
#: Contrasts of the book: column, the two groups.
CONTRASTS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "MCL versus LBCL": ("entity", "LBCL", "MCL"),
        "axi-cel versus tisa-cel": ("product", "tisa-cel", "axi-cel"),
        "cilta-cel versus ide-cel": ("product", "ide-cel", "cilta-cel"),
    }
)
_COUNTRIES = (
    "USA", "UK", "Germany", "France", "Italy", "Spain", "Netherlands", "Japan", "China", "Israel",
    "Canada", "Europe",
)  # fmt: skip
_CHOICES: dict[str, Any] = {**COLUMNS, "measure": "logit", "ci_method": "t"}
# Naive model with which each model is compared, and the choices of both.
_NAIVE = {"naive": "glmm", "naive (normal)": "random"}
_MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "three-level": ("naive", {"model": "glmm"}),
    "robust (CR2)": ("naive (normal)", {"model": "random", "robust": "CR2"}),
}


@dataclass(frozen=True, slots=True, repr=False)
class Dependent(Shown):
    """One quantity under one assumption about which cohorts belong together."""

    quantity: str  # "pooled rate", or a contrast
    shared: str  # "independent", or a key of `SHARED`
    #: "naive" or "three-level" (binomial counts), "naive (normal)" or "robust (CR2)" (normally
    #: distributed logits)
    model: str
    estimate: float  # The pooled proportion, or the odds ratio of the contrast
    ci: Interval  # 95%, on the same scale
    width: float  # Width of the interval on the logit scale
    df: float  # Degrees of freedom of the t distribution behind the interval
    #: Cohorts and clusters
    k: int
    clusters: int
    sigma2_between: float  # Variance between clusters; NaN where the model has none


def clusters(shared: str, cohorts: pd.DataFrame | None = None) -> pd.Series[str]:
    """Say for each cohort to which cluster it belongs.

    Parameters
    ----------
    shared : {"publication", "source", "country"}
        What cohorts of a cluster have in common. "source" is the trial or registry, "country" the
        only country that is named. Where there is none, or several, the publication stands in.
    cohorts : DataFrame, optional
        With column ``cohort``; ``load_cohorts()`` by default.

    Returns
    -------
    Series of str
        Index as the cohorts.

    Raises
    ------
    UnsupportedError
        For anything else.

    Examples
    --------
    >>> publication = clusters("publication")
    >>> len(publication), publication.nunique()
    (52, 45)
    """
    one_of("shared", shared, SHARED)
    frame = load_cohorts() if cohorts is None else cohorts
    sources = load_sources().set_index("cohort").reindex(frame["cohort"])
    column = {"publication": "publication", "source": "trial_or_registry", "country": "region"}
    text = sources[column[shared]].astype(object)
    if shared == "country":
        text = text.map(_country, na_action="ignore")
    # A cohort of the reader's own has no line among the sources: it stands alone.
    own = sources["publication"].astype(object).to_numpy(object)
    own = np.where(sources["publication"].isna().to_numpy(), frame["cohort"].astype(object), own)
    values = np.where(text.isna().to_numpy(), own, text.to_numpy(object))
    return pd.Series(values, index=frame.index, name=shared, dtype=str)


def _country(region: str) -> str | None:
    found = [name for name in _COUNTRIES if re.search(rf"\b{name}\b", region)]
    return found[0] if len(found) == 1 and found[0] != "Europe" else None


def sharing_frame(cohorts: pd.DataFrame | None = None) -> pd.DataFrame:
    """Count how the cohorts cluster: one row for each kind of sharing.

    Examples
    --------
    >>> sharing_frame().loc["publication"].tolist()
    [45, 14, 2]
    """
    rows = {}
    for shared in SHARED:
        sizes = clusters(shared, cohorts).value_counts()
        rows[shared] = {
            "clusters": len(sizes),
            "cohorts in shared clusters": int(sizes[sizes > 1].sum()),
            "largest cluster": int(sizes.max()),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("shared")


def compare_dependence(cohorts: pd.DataFrame | None = None) -> tuple[Dependent, ...]:
    """Give the pooled rate and the book's contrasts, naive and with dependence.

    Parameters
    ----------
    cohorts : DataFrame, optional
        Cohorts; ``load_cohorts()`` by default.

    Returns
    -------
    tuple of Dependent
        For each quantity whose groups are in the table: independent cohorts (GLMM, t, and beside it
        normally distributed logits, REML, t), then for each kind of sharing the three-level GLMM
        (t) and cluster-robust inference (CR2) on the three-level model of the logits.

    Examples
    --------
    >>> rows = compare_dependence()
    >>> [row.clusters for row in rows if row.quantity == "pooled rate"][:3]
    [52, 52, 45]
    """
    frame = load_cohorts() if cohorts is None else cohorts
    found = []
    for quantity in ("pooled rate", *CONTRASTS):
        part, formula, term = _part(frame, quantity)
        if formula != "1" and part[formula].nunique() < 2:
            continue
        for name, model in _NAIVE.items():
            line, k = _naive(part, formula, term, model)
            found.append(_dependent(quantity, "independent", name, line, k, k, np.nan))
        for shared in SHARED:
            cluster = clusters(shared, part).tolist()
            for name, (_, choices) in _MODELS.items():
                fit = pool_multilevel(part, formula, cluster=cluster, **_CHOICES, **choices)
                line, size = fit.coefficients.loc[term], (fit.k, fit.clusters)
                found.append(
                    _dependent(quantity, shared, name, line, *size, float(fit.sigma2_between))
                )
    return tuple(found)


def _part(frame: pd.DataFrame, quantity: str) -> tuple[pd.DataFrame, str, str]:
    """Cohorts of a quantity, the formula of its models, and the term that it is."""
    if quantity == "pooled rate":
        return frame, "1", "Intercept"
    column, reference, other = CONTRASTS[quantity]
    part = frame[frame[column].astype(str).isin([reference, other])]
    values = pd.Categorical(part[column].astype(str), categories=[reference, other])
    return part.assign(**{column: values}), column, f"{column}[T.{other}]"


def _naive(part: pd.DataFrame, formula: str, term: str, kind: str) -> tuple[Any, int]:
    """Estimate and limits as if the cohorts were independent, and their number."""
    if formula != "1":
        model = meta_regression(part, formula, **_CHOICES, model=kind)
        return model.coefficients.loc[term], model.k
    fit = pool(part, **_CHOICES, model=kind)
    lower, upper = fit.conf_int(scale="model")
    line = {"estimate": fit.mu, "ci_lower": lower, "ci_upper": upper, "df": fit.k - 1}
    return line, fit.k


def _dependent(
    quantity: str, shared: str, model: str, line: Any, k: int, groups: int, between: float
) -> Dependent:
    show = get_measure("logit").inverse if quantity == "pooled rate" else np.exp
    lower, upper = float(line["ci_lower"]), float(line["ci_upper"])
    estimate, *limits = (float(show(x)) for x in (float(line["estimate"]), lower, upper))
    ci, df = Interval(*limits), float(line["df"])
    return Dependent(quantity, shared, model, estimate, ci, upper - lower, df, k, groups, between)


def dependence_frame(rows: tuple[Dependent, ...] | None = None) -> pd.DataFrame:
    """Give the results of `compare_dependence` as a table, with widths relative to naive.

    The naive interval is the one of the same distribution, binomial or normal.

    Examples
    --------
    >>> frame = dependence_frame()
    >>> frame.loc[frame["model"] == "naive", "relative_width"].unique().tolist()
    [1.0]
    """
    listed = compare_dependence() if rows is None else rows
    naive = {(row.quantity, row.model): row.width for row in listed if row.model in _NAIVE}
    return pd.DataFrame(
        [
            {
                **picked(row, "quantity shared model k clusters estimate"),
                "lower": row.ci.lower,
                "upper": row.ci.upper,
                "df": row.df,
                "relative_width": row.width
                / naive[row.quantity, _MODELS.get(row.model, (row.model,))[0]],
            }
            for row in listed
        ]
    )


def contrast_sentences(frame: pd.DataFrame) -> str:
    """Say for which contrasts the interval excludes no difference in every model, in some, in none.

    Parameters
    ----------
    frame : DataFrame
        As `dependence_frame` gives it.

    Examples
    --------
    >>> contrast_sentences(dependence_frame())  # doctest: +ELLIPSIS
    'The interval excludes no difference in every model for axi-cel versus tisa-cel and...'
    """
    rows = frame[frame["quantity"] != "pooled rate"]
    if rows.empty:
        return "The table has no pair of groups to compare."
    clear = ((rows["lower"] > 1) | (rows["upper"] < 1)).groupby(rows["quantity"], sort=False)
    share = clear.mean()
    kinds = {
        "in every model for {}": share[share == 1],
        "in some models for {}": share[(share > 0) & (share < 1)],
        "in no model for {}": share[share == 0],
    }
    said = [
        text.format(printing.listing(found.index)) for text, found in kinds.items() if len(found)
    ]
    return f"The interval excludes no difference {'; '.join(said)}."


def dependence_methods() -> Methods:
    """Say how dependence was handled, with references."""
    return Methods(
        "Dependence between cohorts was modelled with a three-level binomial-normal generalised "
        "linear mixed model; cluster-robust (CR2) intervals of normally distributed logits "
        "were added.",
        references("konstantopoulos2011", "pustejovsky2018"),
    )

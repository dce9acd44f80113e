"""Effect measures for one proportion or one rate, and study-level confidence intervals.

A `Measure` turns counts into an effect on its own scale (``yi``) with a sampling variance
(``vi``) and turns any value on that scale back into a proportion in [0, 1] or a rate in
[0, inf). Zero and full cells follow an explicit rule (`add`, `to`) whose defaults are those of
metafor's ``escalc``.

========================  ========  =====================================  =================
name                      metafor   yi                                     vi
========================  ========  =====================================  =================
``raw``                   PR        x/n                                    p(1-p)/n
``log``                   PLN       log(x/n)                               1/x - 1/n
``logit``                 PLO       log(x/(n-x))                           1/x + 1/(n-x)
``arcsine``               PAS       asin sqrt(x/n)                         1/(4n)
``double-arcsine``        PFT       half the Freeman-Tukey sum             1/(4n+2)
``raw-rate``              IR        x/t                                    x/t^2
``log-rate``              IRLN      log(x/t)                               1/x
``sqrt-rate``             IRS       sqrt(x/t)                              1/(4t)
``freeman-tukey-rate``    IRFT      half of sqrt(x/t) + sqrt((x+1)/t)      1/(4t)
========================  ========  =====================================  =================

x: events, n: patients, t: person-time.

References
----------
Freeman MF, Tukey JW (1950), doi:10.1214/aoms/1177729756 (both Freeman-Tukey transformations);
Miller JJ (1978), doi:10.1080/00031305.1978.10479283 (inverse of the double arcsine);
Barendregt JJ et al. (2013), doi:10.1136/jech-2013-203104 (its inverse-variance form);
Schwarzer G et al. (2019), doi:10.1002/jrsm.1348 (how the inverse can mislead).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arguments import LEVEL, Array, one_of
from ..errors import MetaAnalysisError, UnsupportedError
from .distributions import chi2_isf, chi2_ppf, expit, norm_ppf
from .proportion_intervals import agresti_coull, clopper_pearson, wilson

Rule = Literal["only0", "all", "if0all", "none"]
_Formula = Callable[[Array, Array], Array]

__all__ = [
    "MEASURES",
    "RULES",
    "STUDY_INTERVALS",
    "Measure",
    "correct_cells",
    "effective_size",
    "get_measure",
    "study_interval",
]

#: Added to cells by default.
ADD = 0.5
#: Where the zero-cell correction is added.
RULES: tuple[Rule, ...] = ("only0", "all", "if0all", "none")
#: Study-level intervals: name -> function of events, n and level (None: made here).
STUDY_INTERVALS: dict[str, Callable[[Array, Array, float], tuple[Array, Array]] | None] = {
    "wilson": wilson,
    "clopper-pearson": clopper_pearson,
    "agresti-coull": agresti_coull,
    "exact": None,
    "wald": None,
}


@dataclass(frozen=True, slots=True)
class Measure:
    """One effect measure: how counts become effects and how effects become counts again.

    Examples
    --------
    >>> logit_measure = get_measure("logit")
    >>> yi, vi = logit_measure.effects([0, 5], [20, 50])
    >>> [round(float(value), 4) for value in yi]
    [-3.7136, -2.1972]
    >>> round(float(logit_measure.inverse(yi[1])), 6)
    0.1
    """

    name: str  # Name of the measure in every call and result
    code: str  # Name of the same measure in metafor
    #: {"proportion", "rate", "effect"}: What the display scale is; of an "effect" no counts are
    #: known
    kind: Literal["proportion", "rate", "effect"]
    label: str  # Words for axis labels, e.g. "logit proportion".
    #: Whether the zero-cell rule is applied by default (the measure or its variance is not defined,
    #: or degenerate, for zero or full cells)
    corrected: bool
    needs_size: bool  # Whether the inverse needs a sample size (the Freeman-Tukey measures)
    _transform: _Formula
    _variance: _Formula
    _inverse: _Formula

    @property
    def least(self) -> float:
        """Lower end of the display scale: 0, and none for effects that are shown as they are."""
        return -np.inf if self.name == "effect" else 0.0

    @property
    def default_rule(self) -> Rule:
        """Zero-cell rule by default: "only0" where `corrected`, else "none"."""
        return "only0" if self.corrected else "none"

    def transform(self, events: ArrayLike, size: ArrayLike) -> Array:
        """Effects of (already corrected) counts: `size` is patients or person-time."""
        return self._transform(_floats(events), _floats(size))

    def variance(self, events: ArrayLike, size: ArrayLike) -> Array:
        """Give sampling variances of (already corrected) counts."""
        return self._variance(_floats(events), _floats(size))

    def effects(
        self,
        events: ArrayLike,
        size: ArrayLike,
        *,
        add: float = ADD,
        to: Rule | None = None,
    ) -> tuple[Array, Array]:
        """Effects and variances of raw counts under a zero-cell rule.

        Parameters
        ----------
        events, size : array_like
            Events, and patients (proportions) or person-time (rates).
        add : float, default 0.5
            What is added to events, and to patients without events.
        to : {"only0", "all", "if0all", "none"}, optional
            To which studies: those with a zero or full cell, all, all (of a row) if any has such
            a cell, none. Default: "only0" where `corrected`, else "none", as metafor has it.

        Returns
        -------
        yi, vi : ndarray
            Effects and sampling variances, NaN where the measure is not defined.
        """
        x, n = correct_cells(events, size, self.kind, add=add, to=to or self.default_rule)
        defined = self._defined(x, n)
        safe_x, safe_n = np.where(defined, x, 1.0), np.where(defined, n, 2.0)
        yi = np.where(defined, self._transform(safe_x, safe_n), np.nan)
        vi = np.where(defined, self._variance(safe_x, safe_n), np.nan)
        return yi, vi

    def _defined(self, x: Array, n: Array) -> NDArray[np.bool_]:
        """Where effect and variance are finite and the variance is positive."""
        ok = np.isfinite(x) & np.isfinite(n) & (n > 0)
        if self.name in ("logit", "raw", "log"):
            return ok & (x > 0) & (x < n)
        if self.name in ("log-rate", "raw-rate"):
            return ok & (x > 0)
        return ok

    def from_display(self, value: ArrayLike, size: float | None = None) -> Any:
        """Model-scale value of a proportion, rate or effect; infinite at ends never reached.

        Raises
        ------
        MetaAnalysisError
            A value that is no proportion (rate).

        Examples
        --------
        >>> get_measure("logit").from_display([0.0, 0.5]).tolist()
        [-inf, 0.0]
        """
        shown = _floats(value)
        if self.least == -np.inf:
            return shown + 0.0
        outside = ~(shown >= 0.0) | ((shown > 1.0) if self.kind == "proportion" else False)
        if outside.any():
            what = "ratio" if self.kind == "effect" else self.kind
            raise MetaAnalysisError(f"{value!r}: expected a {what}")
        n = 1.0 if size is None else size
        with np.errstate(divide="ignore"):
            return self.transform(shown * n, n)

    def inverse(self, y: ArrayLike, size: ArrayLike | None = None) -> Any:
        """Value on the display scale, never outside its valid range.

        Parameters
        ----------
        y : array_like
            Values on the model scale.
        size : array_like, optional
            Patients or person-time; needed by the Freeman-Tukey measures only, whose inverse
            depends on it (see `effective_size`).

        Raises
        ------
        MetaAnalysisError
            A Freeman-Tukey measure without `size`.
        """
        if self.needs_size and size is None:
            raise MetaAnalysisError(
                f"the inverse of the {self.name} measure needs a sample size (`size`)"
            )
        return self._inverse(_floats(y), _floats(1.0 if size is None else size))


def _floats(values: ArrayLike) -> Array:
    return np.asarray(values, dtype=float)


def correct_cells(
    events: ArrayLike,
    size: ArrayLike,
    kind: str = "proportion",
    *,
    add: float = ADD,
    to: Rule = "only0",
) -> tuple[Array, Array]:
    """Apply the zero-cell rule to counts.

    For a proportion `add` goes to both cells (so the size grows by twice `add`); for a rate it
    goes to the events and leaves the person-time alone.

    Returns
    -------
    events, size : ndarray
        Counts after the correction.

    Raises
    ------
    UnsupportedError
        An unknown rule or a negative `add`.

    Examples
    --------
    >>> x, n = correct_cells([0, 3], [10, 10])
    >>> x.tolist(), n.tolist()
    ([0.5, 3.0], [11.0, 10.0])
    """
    one_of("to", to, RULES)
    if not (isfinite(add) and add >= 0):
        raise UnsupportedError(f"add={add!r}: expected a number of at least 0")
    x, n = _floats(events), _floats(size)
    if x.shape != n.shape:
        x, n = np.broadcast_arrays(x, n)
    touched: Any = to == "all"
    if to in ("only0", "if0all"):
        touched = (x == 0) | (x == n) if kind == "proportion" else x == 0
    if to == "if0all" and x.ndim:
        touched = touched.any(axis=-1, keepdims=True)
    extra = np.where(touched, add, 0.0)
    return x + extra, n + 2.0 * extra if kind == "proportion" else n + 0.0


# --- the transformations -------------------------------------------------------------------


def _double_arcsine(x: Array, n: Array) -> Array:
    return 0.5 * (np.arcsin(np.sqrt(x / (n + 1))) + np.arcsin(np.sqrt((x + 1) / (n + 1))))


def _double_arcsine_inverse(y: Array, n: Array) -> Array:
    """Miller's inverse, written without the cancellation that it has near 0 and 1."""
    lowest = _double_arcsine(np.zeros_like(n), n)
    inside = np.clip(y, lowest, 0.5 * np.pi - lowest)
    sine, cosine = np.sin(2.0 * inside), np.cos(2.0 * inside)
    s = np.clip(((n + 1.0) * sine**2 - 1.0) / (n * sine), 0.0, 1.0)
    small = 0.5 * s**2 / (1.0 + np.sqrt((1.0 - s) * (1.0 + s)))
    return np.where(cosine >= 0, small, 1.0 - small)[()]


def _freeman_tukey_rate_inverse(y: Array, t: Array) -> Array:
    """Exact: the two square roots have sum 2y and squares that differ by 1/t."""
    inside = np.maximum(y, 0.5 / np.sqrt(t))
    return (inside - 0.25 / (inside * t)) ** 2


#: Name -> (name in metafor, kind, words, whether cells are corrected, whether the inverse needs a
#: size), yi and vi of events and patients (or person-time), and the way back.
_FORMULAS: dict[str, tuple[tuple[Any, ...], _Formula, _Formula, _Formula]] = {
    "raw": (
        ("PR", "proportion", "proportion", True, False),
        lambda x, n: x / n,
        lambda x, n: (x / n) * ((n - x) / n) / n,
        lambda y, n: np.clip(y, 0.0, 1.0),
    ),
    "log": (
        ("PLN", "proportion", "log proportion", True, False),
        lambda x, n: np.log(x / n),
        lambda x, n: (n - x) / (x * n),
        lambda y, n: np.exp(np.minimum(y, 0.0)),
    ),
    "logit": (
        ("PLO", "proportion", "logit proportion", True, False),
        lambda x, n: np.log(x / (n - x)),
        lambda x, n: 1.0 / x + 1.0 / (n - x),
        lambda y, n: expit(y),
    ),
    "arcsine": (
        ("PAS", "proportion", "arcsine of the square root of the proportion", False, False),
        lambda x, n: np.arcsin(np.sqrt(x / n)),
        lambda x, n: 0.25 / n,
        lambda y, n: np.sin(np.clip(y, 0.0, 0.5 * np.pi)) ** 2,
    ),
    "double-arcsine": (
        ("PFT", "proportion", "double arcsine proportion", False, True),
        _double_arcsine,
        lambda x, n: 1.0 / (4.0 * n + 2.0),
        _double_arcsine_inverse,
    ),
    "raw-rate": (
        ("IR", "rate", "rate", True, False),
        lambda x, t: x / t,
        lambda x, t: x / t / t,
        lambda y, t: np.maximum(y, 0.0),
    ),
    "log-rate": (
        ("IRLN", "rate", "log rate", True, False),
        lambda x, t: np.log(x / t),
        lambda x, t: 1.0 / x,
        lambda y, t: np.exp(y),
    ),
    "sqrt-rate": (
        ("IRS", "rate", "square root of the rate", False, False),
        lambda x, t: np.sqrt(x / t),
        lambda x, t: 0.25 / t,
        lambda y, t: np.maximum(y, 0.0) ** 2,
    ),
    "freeman-tukey-rate": (
        ("IRFT", "rate", "Freeman-Tukey rate", False, True),
        lambda x, t: 0.5 * (np.sqrt(x / t) + np.sqrt((x + 1.0) / t)),
        lambda x, t: 0.25 / t,
        _freeman_tukey_rate_inverse,
    ),
    "effect": (
        ("GEN", "effect", "effect", False, False),
        lambda x, n: x,
        lambda x, n: n,
        lambda y, n: y + 0.0,
    ),
    # a ratio of odds, risks, hazards or rates, whose logarithm was given
    "log-ratio": (
        ("GEN", "effect", "log ratio", False, False),
        lambda x, n: np.log(x / n),
        lambda x, n: n,
        lambda y, n: np.exp(y),
    ),
}

#: All measures by name.
MEASURES: dict[str, Measure] = {
    name: Measure(name, *about, *formulas) for name, (about, *formulas) in _FORMULAS.items()
}


def get_measure(name: str) -> Measure:
    """Look a measure up by name.

    Raises
    ------
    UnsupportedError
        No measure has this name.

    Examples
    --------
    >>> get_measure("arcsine").code
    'PAS'
    """
    one_of("measure", name, MEASURES)
    return MEASURES[name]


def effective_size(size: ArrayLike, se: float, rule: str, kind: str = "proportion") -> float:
    """Sample size at which a pooled Freeman-Tukey value is back-transformed.

    Parameters
    ----------
    size : array_like
        Patients (or person-time) of the included studies.
    se : float
        Standard error of the pooled value (half-sum scale).
    rule : {"harmonic-mean", "inverse-variance"}
        Harmonic mean of the sizes (Miller 1978, doi:10.1080/00031305.1978.10479283), or the
        size that would have this standard error, 1/(4 se^2) (Barendregt et al. 2013,
        doi:10.1136/jech-2013-203104). The harmonic mean can give a pooled proportion far from
        every study (Schwarzer et al. 2019, doi:10.1002/jrsm.1348).

    Examples
    --------
    >>> round(effective_size([10, 1000], 0.05, "harmonic-mean"), 3)
    19.802
    >>> round(effective_size([10, 1000], 0.05, "inverse-variance"), 9)
    100.0
    """
    one_of("kind", kind, ("proportion", "rate"))
    if rule == "harmonic-mean":
        return float(1.0 / np.mean(1.0 / _floats(size)))
    if rule == "inverse-variance":
        return float(0.25 / se**2)
    raise UnsupportedError(f"back_transform={rule!r}: expected harmonic-mean or inverse-variance")


def study_interval(
    events: ArrayLike,
    size: ArrayLike,
    *,
    method: str = "wilson",
    level: float = LEVEL,
    measure: Measure | None = None,
    yi: ArrayLike | None = None,
    vi: ArrayLike | None = None,
) -> tuple[Array, Array]:
    """Confidence limits of each study's own proportion or rate (display scale).

    Parameters
    ----------
    events, size : array_like
        Counts without correction.
    method : {"wilson", "clopper-pearson", "agresti-coull", "exact", "wald"}
        The first three are for proportions, "exact" (Garwood 1936,
        doi:10.1093/biomet/28.3-4.437) for rates, "wald" works on the scale of `measure` with
        `yi` and `vi`.
    level : float
        Confidence level in (0, 1).

    Returns
    -------
    lower, upper : ndarray
        Limits inside the valid range.

    Raises
    ------
    UnsupportedError
        An unknown method, or one that does not fit the kind of measure.

    Examples
    --------
    >>> lower, upper = study_interval([0], [20], method="wilson")
    >>> float(lower[0]), round(float(upper[0]), 4)
    (0.0, 0.1611)
    """
    measure = measure or MEASURES["logit"]
    one_of("study_ci", method, STUDY_INTERVALS)
    if method == "wald":
        if yi is None or vi is None:
            raise UnsupportedError("study_ci='wald' needs the effects and their variances")
        half = float(norm_ppf(0.5 + 0.5 * level)) * np.sqrt(_floats(vi))
        centre = _floats(yi)
        return measure.inverse(centre - half, size), measure.inverse(centre + half, size)
    x, n = np.atleast_1d(_floats(events)), np.atleast_1d(_floats(size))
    if (method == "exact") != (measure.kind == "rate"):
        raise UnsupportedError(f"study_ci={method!r} is not defined for a {measure.kind}")
    if method == "exact":
        alpha = 1.0 - level
        seen = np.maximum(x, 0.5)
        lower = np.where(x > 0, 0.5 * chi2_ppf(0.5 * alpha, 2.0 * seen), 0.0) / n
        return lower, 0.5 * chi2_isf(0.5 * alpha, 2.0 * x + 2.0) / n
    formula = STUDY_INTERVALS[method]
    assert formula is not None
    low, high = (np.clip(limit, 0.0, 1.0) for limit in formula(x, n, level))
    # At x = 0 and x = n the limits are 0 and 1 exactly; rounding leaves a residue of 1e-17.
    return np.where(x == 0, 0.0, low), np.where(x == n, 1.0, high)

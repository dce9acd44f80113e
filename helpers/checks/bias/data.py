"""What every small-study method starts from: effects, variances and, where known, counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...arguments import LEVEL, Array, level_of
from ...engine.effects import ADD, Measure, get_measure
from ...engine.normal.inverse_variance import fit_inverse_variance
from ...engine.options import EFFECT_MEASURE, MEASURE, TAU2_METHOD, TAU2_METHODS
from ...engine.studies import StudyData, from_counts, from_effects
from ...errors import MetaAnalysisError, UnsupportedError

if TYPE_CHECKING:
    pass

#: Measures whose sampling variance is a function of the estimate itself.
CORRELATED = ("raw", "log", "logit", "raw-rate", "log-rate")


@dataclass(frozen=True, slots=True)
class FunnelData:
    """The included studies of one funnel plot, arrays of shape (k,).

    `yi` and `vi` are on the scale of `measure` ("effect" when effects were given as arrays);
    events and patients `n` are None where they are not known. `model` is that of the fit from
    which the data come, or None; `tau2_method` and `level` are to be used by the method.
    """

    labels: tuple[str, ...]
    yi: Array
    vi: Array
    events: Array | None
    n: Array | None
    measure: Measure
    model: str | None
    tau2_method: str
    level: float

    @property
    def k(self) -> int:
        """Number of studies."""
        return len(self.labels)

    @property
    def counts(self) -> tuple[Array, Array]:
        """Events and patients; an error where they are not known."""
        if self.events is None or self.n is None:
            raise MetaAnalysisError("this test is made from counts: `events` and `n` are needed")
        return self.events, self.n

    @property
    def proportions(self) -> bool:
        """Whether the effects are (transformed) proportions or rates of a single group."""
        return self.measure.kind != "effect"


def require_unequal_errors(vi: Array, so: str) -> None:
    """Refuse studies with one standard error for all, where a method compares small and large.

    `so` says what follows for the method, with its punctuation.
    """
    if np.ptp(vi) <= 1e-13 * vi.max():
        raise MetaAnalysisError(f"all studies have the same standard error{so}")


def funnel_data(
    effects: Any = None,
    vi: Any = None,
    *,
    events: Any = None,
    n: Any = None,
    study: Any = None,
    measure: str | None = None,
    tau2_method: str | None = None,
    level: float | None = None,
    minimum: int = 3,
) -> FunnelData:
    """Collect the included studies of a fit, of effects, or of counts.

    `effects` is a fit or the effects yi, with sampling variances `vi` and, if known, `events` and
    `n`; without it `events` and `n` are turned into `measure` (default "logit"). `tau2_method` and
    `level` are those of the fit, else REML and 95%. `minimum` is the fewest studies that the
    method needs.
    """
    model: str | None = None
    if hasattr(effects, "core") and hasattr(effects, "data"):
        extra = {"vi": vi, "events": events, "n": n, "study": study, "measure": measure}
        given = [name for name, value in extra.items() if value is not None]
        if given:
            raise UnsupportedError(f"a fit brings its own studies; leave out {', '.join(given)}")
        data, x, scale = effects.data, effects.data.events, get_measure(effects.measure)
        model = effects.model
        inherited = effects.tau2_method if effects.tau2_method in TAU2_METHODS else None
        tau2_method, level = tau2_method or inherited, effects.level if level is None else level
    elif effects is None:
        data, x, scale = _of_counts(vi, events, n, study, measure or MEASURE)
    else:
        data, x, scale = _of_effects(effects, vi, events, n, study, measure or EFFECT_MEASURE)
    keep = data.included
    k = int(keep.sum())
    if k < minimum:
        raise MetaAnalysisError(
            f"{k} studies: this method needs at least {minimum} included studies"
        )
    return FunnelData(
        tuple(label for label, stays in zip(data.labels, keep, strict=True) if stays),
        data.yi[keep],
        data.vi[keep],
        None if x is None else x[keep],
        None if data.size is None else data.size[keep],
        scale,
        model,
        tau2_method or TAU2_METHOD,
        level_of(LEVEL if level is None else level),
    )


#: Studies, their events as far as known, and the scale of the effects.
_Given = tuple[StudyData, Array | None, Measure]


def _of_counts(vi: Any, events: Any, n: Any, study: Any, measure: str) -> _Given:
    if events is None or n is None:
        raise MetaAnalysisError("expected a fit, effects with variances, or events with n")
    if vi is not None:
        raise MetaAnalysisError("`vi` belongs to effects; with events and n it is computed")
    scale = get_measure(measure)
    if scale.kind != "proportion":
        raise UnsupportedError(f"measure={scale.name!r}: events and n make a proportion")
    data = from_counts(None, events, n, study, scale, add=ADD, to=None, needs_effect=True)
    return data, data.events, scale


def _of_effects(effects: Any, vi: Any, events: Any, n: Any, study: Any, measure: str) -> _Given:
    if vi is None:
        raise MetaAnalysisError("effects need their sampling variances `vi`")
    scale = get_measure(measure)
    data = from_effects(None, effects, vi, study, n)
    counts: Array | None = None
    if events is not None:
        if n is None:
            raise MetaAnalysisError("`events` need the sample sizes `n`")
        counts = from_counts(
            None, events, n, study, get_measure("arcsine"), add=0.0, to="none", needs_effect=False
        ).events
        if counts is not None and counts.shape != data.yi.shape:
            raise MetaAnalysisError(
                f"{data.yi.size} effects but {counts.size} events: expected the same studies"
            )
    return data, counts, scale


def on_measure(data: FunnelData, measure: str) -> FunnelData:
    """Put the same studies on another scale, from their counts (rates have person-time instead)."""
    if data.measure.kind == "rate":
        raise UnsupportedError("this test is for proportions (events among n patients)")
    scale = get_measure(measure)
    yi, vi = scale.effects(*data.counts)
    return replace(data, yi=yi, vi=vi, measure=scale)


def null_value(data: FunnelData, null: float | str | None, tau2_method: str | None = None) -> float:
    """Effect against which p-values are computed, on the model scale.

    A value, the effect pooled by `tau2_method` ("pooled"), or None: zero for comparative effects.
    Proportions have no natural null (a logit of zero is a rate of 50%): None is refused for them.
    """
    if null is None:
        if data.proportions:
            raise UnsupportedError(
                f"p-values need a null effect, and {data.measure.label}s of single groups have "
                "none (a logit of 0 is a rate of 50%): give null= on the model scale, or "
                "null='pooled'"
            )
        return 0.0
    if isinstance(null, str):
        if null != "pooled":
            raise UnsupportedError(f"null={null!r}: expected a number or 'pooled'")
        method = tau2_method or data.tau2_method
        return float(fit_inverse_variance(data.yi, data.vi, method=method).mu[0])
    value = float(null)
    if not np.isfinite(value):
        raise UnsupportedError(f"null={null!r}: expected a finite number")
    return value

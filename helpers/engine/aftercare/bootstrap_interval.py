"""The interval of the pooled effect by resampling, as `PoolResult.conf_int` gives it."""

from __future__ import annotations

from typing import Any, Literal

from ...arguments import one_of
from ...errors import UnsupportedError
from ..model import Fitted
from ..normal.intervals import Interval
from .resampled import bootstrap
from .sign_flips import permutation_test

_OPTIONS = {"bootstrap": ("draws", "kind", "seed", "interval"), "permutation": ("draws", "seed")}


def resampled_interval(
    fit: Fitted,
    method: str,
    *,
    scale: Literal["display", "model"] = "display",
    level: float | None = None,
    **options: Any,
) -> Interval:
    """Interval of the pooled effect by the bootstrap or by inverting the sign-flip test.

    Options of the bootstrap are those of `bootstrap`, and `interval`, the `method` of
    `BootstrapResult.conf_int` (default "percentile"); of the permutation `draws` and `seed`.

    >>> from helpers import pool
    >>> fit = pool(events=[3, 8, 6, 9, 4, 7], n=[40, 60, 90, 70, 50, 70], ci_method="wald")
    >>> low, high = resampled_interval(fit, "permutation", draws="exact")
    >>> low < fit.estimate < high
    True
    """
    one_of("method", method, _OPTIONS)
    unknown = sorted(set(options) - set(_OPTIONS[method]))
    if unknown:
        raise UnsupportedError(
            f"method={method!r} has no option {', '.join(unknown)}; it has "
            f"{', '.join(_OPTIONS[method])}"
        )
    if method == "bootstrap":
        kind = options.pop("interval", "percentile")
        return bootstrap(fit, **options).conf_int("mu", kind, scale=scale, level=level)
    one_of("scale", scale, ("display", "model"))
    # the interval holds every mean that is not rejected; it does not depend on the one tested
    test = permutation_test(fit, fit.mu, scale="model", level=level, **options)
    limits = test.ci if scale == "display" else test.ci_model
    assert limits is not None  # conf_int=True is the default
    return limits

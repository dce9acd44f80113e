"""What a fit says, in numbers and in sentences."""

from __future__ import annotations

import math
from typing import Any

from ..errors import MetaAnalysisError, UnsupportedError
from .numbers import count, number, p_value
from .units import Unit, as_percent, interval, percent, places, unit_per, value


def unit_of(fit: Any, per: int = 100) -> Unit:
    """Tell how a result's display scale is printed: a proportion per so many people, 100 are %.

    >>> from types import SimpleNamespace
    >>> unit_of(SimpleNamespace(n=90)), unit_of(SimpleNamespace(n=90), 1000)
    ('percent', 'per_1000')
    """
    kind = getattr(fit, "kind", "")
    if kind not in ("proportion", "rate", "effect"):  # tells by its counts
        kind = "effect" if fit.n is None else "proportion"
    return unit_per(per) if kind == "proportion" else "number"


def places_in(fit: Any, unit: Unit) -> int:
    """Count the decimals of the values of a fit in a unit; plain effects have two, rare rates more.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> fit = SimpleNamespace(estimate=0.000236, ci=(0.00019, 0.000293), n=7604)
    >>> places_in(fit, "percent"), places_in(fit, "per_1000"), places_in(fit, "per_100000")
    (3, 2, 1)
    """
    if unit == "number" and getattr(fit, "time", None) is None:
        half = (fit.ci[1] - fit.ci[0]) / 2
        # two significant digits of the half-width where two decimals do not show them
        return 1 - math.floor(math.log10(half)) if 0 < half < 0.05 else 2
    shares = as_percent((fit.estimate, *fit.ci), unit)
    digits = places(*shares, of=shares[0])
    return max(2, digits) if unit == "number" else digits


def _with_interval(
    fit: Any, middle: float, bounds: Any, digits: int | None, unit: Unit | None
) -> str:
    unit = unit or unit_of(fit)
    digits = places_in(fit, unit) if digits is None else digits
    limits = interval(bounds, fit.level, unit=unit, digits=digits)
    return f"{value(middle, unit, digits)} ({limits})"


def estimate(fit: Any, digits: int | None = None, *, unit: Unit | None = None) -> str:
    r"""Print a pooled estimate with its confidence interval.

    Parameters
    ----------
    fit : PoolResult
        Anything with ``estimate``, ``ci``, ``level`` and ``n`` on the display scale.
    digits : int, optional
        Decimals; one for percentages, two for plain effects.
    unit : {"percent", "number", "per_1000", "per_10000", "per_100000"}, optional
        Percentages when the result pools proportions, plain numbers otherwise.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> estimate(SimpleNamespace(estimate=0.0682, ci=(0.0578, 0.0804), level=0.95, n=7604))
    '6.8% (95%\xa0CI 5.8 to 8.0%)'
    """
    return _with_interval(fit, fit.estimate, fit.ci, digits, unit)


def mean_estimate(fit: Any, digits: int | None = None, *, unit: Unit | None = None) -> str:
    r"""Print the mean across studies with its interval: the number for so many of 1,000 patients.

    Parameters
    ----------
    fit : PoolResult
        Anything with ``mean_estimate``, ``mean_conf_int()``, ``level`` and ``n``.
    digits, unit
        As in :func:`estimate`.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> fit = SimpleNamespace(mean_estimate=0.0745, level=0.95, n=7604)
    >>> fit.mean_conf_int = lambda: (0.0633, 0.0874)
    >>> mean_estimate(fit, 0, unit="per_1000")
    '75 per\xa01,000 (95%\xa0CI 63 to 87 per\xa01,000)'
    """
    return _with_interval(fit, fit.mean_estimate, fit.mean_conf_int(), digits, unit)


def prediction(fit: Any, digits: int | None = None, *, unit: Unit | None = None) -> str:
    r"""Print the prediction interval: where the true value of a new, similar study may lie.

    Parameters
    ----------
    fit : PoolResult
        Anything with ``displayed_prediction()``, ``level`` and ``n``.
    digits, unit
        As in :func:`estimate`.

    Raises
    ------
    UnsupportedError
        No prediction interval is shown of this fit, with the reason.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> fit = SimpleNamespace(level=0.95, n=7604)
    >>> fit.displayed_prediction = lambda: ((0.0259, 0.1682), "")
    >>> prediction(fit)
    '95%\xa0prediction interval 2.6 to 16.8%'
    """
    unit = unit or unit_of(fit)
    bounds, reason = fit.displayed_prediction()
    if bounds is None:
        raise UnsupportedError(f"no prediction interval: {reason}; pool at least five")
    if digits is None and unit == "number":
        digits = 2
    return interval(bounds, fit.level, unit=unit, digits=digits, name="prediction interval")


def variation_symbol(fit: Any) -> str:
    """Give the symbol of what a result has for the differences between studies.

    >>> from helpers import pool, pool_beta_binomial
    >>> columns = {"events": [3, 8, 16], "n": [40, 60, 50]}
    >>> variation_symbol(pool(**columns)), variation_symbol(pool_beta_binomial(**columns))
    ('τ²', 'ρ')
    """
    return "ρ" if hasattr(fit, "rho") else "τ²"


def variation(fit: Any) -> str:
    """Print how much studies differ: the variance with I², its two parts, or a correlation.

    >>> from helpers import pool, pool_beta_binomial, pool_multilevel
    >>> columns = {"events": [3, 5, 9, 14, 2, 6], "n": [60, 80, 70, 90, 50, 75]}
    >>> variation(pool(**columns, model="random"))
    'τ² = 0.14, I² = 43.4%'
    >>> variation(pool_multilevel(**columns, cluster=list("aabbcc")))
    'τ² = 0.15 between clusters and 0.000 within, I² = 44.7%'
    >>> variation(pool_beta_binomial(**columns))
    'ρ = 0.008'
    """

    def small(value: float) -> str:
        return number(value, 3 if value < 0.1 else 2)

    if variation_symbol(fit) == "ρ":
        return f"ρ = {small(fit.rho)}"
    parts = small(fit.tau2)
    if hasattr(fit, "sigma2_between"):
        between, within = small(fit.sigma2_between), small(fit.sigma2_within)
        parts = f"{between} between clusters and {within} within"
    return f"τ² = {parts}, I² = {percent(fit.heterogeneity.I2 / 100)}"


def homogeneity_test(fit: Any, name: bool = True) -> str:
    r"""Print the test of one common value: Cochran's Q, or the likelihood ratio of the GLMM.

    >>> from helpers import pool
    >>> fit = pool(events=[3, 0, 11, 5, 0], n=[40, 25, 130, 60, 20], model="glmm")
    >>> homogeneity_test(fit)
    'likelihood-ratio test: χ² = 7.1, df = 4, p\xa0=\xa00.13'
    >>> homogeneity_test(pool(events=[3, 8, 16], n=[40, 60, 50], model="random"), name=False)
    'Q = 9.5, df = 2, p\xa0=\xa00.009'
    """
    found = fit.heterogeneity
    cochran = found.test == "Cochran's Q"
    numbers = (
        f"{'Q' if cochran else 'χ²'} = {number(found.Q, 1)}, df = {count(found.df)}, "
        f"{p_value(found.p)}"
    )
    if not name:
        return numbers
    return f"{found.test if cochran else 'likelihood-ratio test'}: {numbers}"


def cautions(*results: Any) -> str:
    """Say what the cautions of results say, each sentence once.

    Parameters
    ----------
    *results : object
        With ``cautions``, as every fit has them.

    Examples
    --------
    >>> from helpers import pool
    >>> cautions()
    'The fit itself raises no caution.'
    >>> print(cautions(pool(events=[3, 8, 16, 9], n=[40, 60, 50, 55])).split("; the")[0])
    With four studies the between-study variance is poorly estimated
    """
    found = dict.fromkeys(caution.message for result in results for caution in result.cautions)
    return " ".join(found) or "The fit itself raises no caution."


def heterogeneity(fit: Any, many: str = "studies") -> str:
    """Say what the test and I2 say about differences between studies, in words that agree.

    I2 of a random-effects model comes from tau2 and not from the test, so that one may be large
    where the other finds little: the verdict is that of the test, at the level of the fit, and I2
    is given as the estimate that it is. A fit of one study is an error.

    >>> from helpers import pool
    >>> alike = pool(events=[3, 8, 6], n=[40, 60, 50], model="glmm")
    >>> print(heterogeneity(alike).split(" (")[0])
    The test does not show that the studies differ by more than chance explains
    >>> unlike = pool(events=[3, 8, 16], n=[40, 60, 50], model="glmm")
    >>> print(heterogeneity(unlike).split(" (")[0])
    The studies differ by more than chance explains
    """
    found, test = fit.heterogeneity, homogeneity_test(fit)
    if fit.k < 2:
        raise MetaAnalysisError("heterogeneity() needs at least two studies; there is one")
    share_ = percent(found.I2 / 100, 0)
    meaning = "I², the share of the variation that is not due to chance, is"
    if found.p >= 1.0 - fit.level:
        return (
            f"The test does not show that the {many} differ by more than chance explains "
            f"({test}), nor that they are alike. {meaning} estimated at {share_}."
        )
    if found.I2 == 0.0:
        return (
            f"The test finds more variation between the {many} than chance explains ({test}), "
            f"but the variance between them, and with it I², is estimated at zero."
        )
    return (
        f"The {many} differ by more than chance explains ({test}). {meaning} estimated at {share_}."
    )

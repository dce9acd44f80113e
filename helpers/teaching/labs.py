"""Simulations for teaching: the truth is known, so that a method can be seen to fail.

Every lab draws all its meta-analyses at once and returns one row per point of a curve: the value
across, `curve`, `value`, and `mcse`, the Monte Carlo standard error of the value (Morris et al.
2019, doi:10.1002/sim.8086). What the labs have in common, each with its own defaults:

``k``           studies of a meta-analysis
``size``        patients of every study
``proportion``  true proportion of the typical study: its logit is the mean of the true logits
``tau``         standard deviation of the true logits
``draws``       simulated meta-analyses, at least 2
``seed``        the same seed gives the same numbers
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..arguments import LEVEL, generator, whole_number
from ..checks.bias.null import simulate_null
from ..checks.simulation.truth import Scenario, simulate
from ..door import pd
from ..engine.counts.fit import fit_glmm
from ..engine.distributions import expit, logit
from ..engine.effects import get_measure
from ..engine.normal.intervals import Limits, mu_limits, symmetric_limits
from ..engine.normal.inverse_variance import fit_inverse_variance
from ..engine.normal.prediction import prediction_limits
from ..errors import UnsupportedError


def _row(x: float, curve: str, values: Any) -> dict[str, Any]:
    """Mean over draws with its Monte Carlo standard error; draws without a value do not count."""
    found = np.asarray(values, dtype=float)
    found = found[np.isfinite(found)]
    error = float(found.std(ddof=1)) / np.sqrt(found.size)
    return {"x": float(x), "curve": curve, "value": float(found.mean()), "mcse": float(error)}


def _frame(rows: list[dict[str, Any]], x: str, **truth: float) -> pd.DataFrame:
    """Rows as a table; `truth`, what a curve is read against, goes into its ``attrs``."""
    found = pd.DataFrame(rows).rename(columns={"x": x})
    found.attrs.update(truth)
    return found


def _sample(truth: Scenario, draws: int, seed: int, method: str) -> tuple[Any, Any]:
    """Simulate meta-analyses, and fit the logits of all of them by inverse variance."""
    sample: Any = simulate(truth, draws, seed)
    effects = get_measure("logit").effects(sample.events, sample.n)
    return sample, fit_inverse_variance(*effects, method=method)


def _predicted(
    k: int, proportion: float, tau: float, size: int, draws: int, seed: int
) -> tuple[Scenario, Any, Limits, Limits]:
    """Truth, and by REML of each meta-analysis: tau2, limits of the mean and of a new study."""
    whole_number("draws", draws, 2)
    if k < 3:
        raise UnsupportedError(f"studies: found {k}, expected at least 3")
    truth = Scenario(int(k), proportion, tau, sizes=(size,))
    _, fit = _sample(truth, draws, seed, "REML")
    tau2, mean = fit.tau2.tau2, symmetric_limits(fit.mu, fit.se, LEVEL)
    return truth, tau2, mean, prediction_limits(fit.mu, fit.se, tau2, LEVEL, fit.df - 1.0, mean)


def i2_lab(
    sizes: Iterable[int] = (30, 60, 120, 240, 480, 960, 1920),
    taus: Iterable[float] = (0.0, 0.2, 0.4),
    *,
    k: int = 20,
    proportion: float = 0.2,
    draws: int = 1000,
    seed: int = 1,
) -> pd.DataFrame:
    """Mean I2 of studies whose true differences stay the same while the studies grow.

    Parameters
    ----------
    sizes : iterable of int
        Patients of every study.
    taus : iterable of float
        Standard deviation of the true logits.
    k, proportion, draws, seed
        As in every lab.

    Returns
    -------
    DataFrame
        Columns `patients`, `curve` ("τ = 0.2" ...), `value` (fraction, not percent, so that
        it is printed as one), `mcse`. I2 follows DerSimonian and Laird's tau2.

    Examples
    --------
    >>> found = i2_lab(sizes=(50, 1000), taus=(0.3,), draws=200)
    >>> bool(found["value"].iloc[1] > found["value"].iloc[0])
    True
    """
    whole_number("draws", draws, 2)
    rows = []
    for tau in taus:
        for n in sizes:
            truth = Scenario(k, proportion, tau, sizes=(int(n),))
            _, fit = _sample(truth, draws, seed, "DL")
            rows.append(_row(n, f"τ = {tau:g}", fit.I2 / 100.0))
    return _frame(rows, "patients")


def prediction_lab(
    studies: Iterable[int] = (5, 8, 12, 20, 35, 60),
    *,
    tau: float = 0.4,
    proportion: float = 0.2,
    size: int = 200,
    draws: int = 800,
    seed: int = 1,
) -> pd.DataFrame:
    """How often the true rate of a new study lies in the interval of the mean, and in the other.

    Parameters
    ----------
    studies : iterable of int
        Studies of a meta-analysis, three at least.
    tau, proportion, size, draws, seed
        As in every lab.

    Returns
    -------
    DataFrame
        Columns `studies`, `curve` ("confidence interval", "prediction interval"), `value` (exact
        probability for a new study, averaged over the meta-analyses), `mcse`. REML; the
        prediction interval has k - 2 degrees of freedom (doi:10.1111/j.1467-985X.2008.00552.x).

    Examples
    --------
    >>> found = prediction_lab((10,), draws=100).set_index("curve")["value"]
    >>> bool(found["prediction interval"] > found["confidence interval"])
    True
    """
    rows = []
    for k in studies:
        truth, _, mean, new = _predicted(k, proportion, tau, size, draws, seed)
        limits = {
            "confidence interval": mean,
            "prediction interval": new,
        }
        rows += [_row(k, name, truth.within(*pair)) for name, pair in limits.items()]
    return _frame(rows, "studies")


def egger_lab(
    events: Any,
    n: Any,
    proportions: Iterable[float] = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5),
    *,
    tests: Iterable[str] = ("Egger (logit)", "Peters (weights from size)", "Double arcsine"),
    tau: float = 0.4,
    draws: int = 500,
    seed: int = 1,
) -> pd.DataFrame:
    """How often tests for small-study effects reject where nothing is to be found.

    Parameters
    ----------
    events, n : array_like
        Cohorts whose sizes are kept. Their events are not: they are drawn anew.
    proportions : iterable of float
        Typical proportion of the simulated cohorts.
    tests : iterable of str
        Some of the tests of `helpers.bias.simulate_null`.
    tau, draws, seed
        As in every lab.

    Returns
    -------
    DataFrame
        Columns `proportion`, `curve` (the test), `value` (share of sets with p below 0.05),
        `mcse`.

    Examples
    --------
    >>> found = egger_lab([1, 2, 9, 12, 30], [20, 60, 90, 200, 400], (0.1,), draws=50)
    >>> found["curve"].tolist()
    ['Egger (logit)', 'Peters (weights from size)', 'Double arcsine']
    """
    whole_number("draws", draws, 2)
    wanted, rows = tuple(tests), []
    for proportion in proportions:
        run = simulate_null(
            events=events, n=n, mu=float(logit(proportion)), tau2=tau**2, tests=wanted,
            draws=draws, seed=seed,
        )  # fmt: skip
        for name in wanted:
            i = run.tests.index(name)
            rate, error = run.rejection[i], run.rejection_mcse[i]
            rows.append({"x": float(proportion), "curve": name, "value": rate, "mcse": error})
    return _frame(rows, "proportion")


def back_transform_lab(
    largest: Iterable[int] = (20, 50, 100, 300, 1000, 3000, 10000, 30000),
    *,
    small: int = 20,
    k: int = 10,
    proportion: float = 0.03,
    draws: int = 1000,
    seed: int = 1,
) -> pd.DataFrame:
    """Pool double arcsines of small studies and one that grows, and turn them back.

    Parameters
    ----------
    largest : iterable of int
        Patients of the one study that grows.
    small, k : int
        Patients of the others, and studies in all.
    proportion, draws, seed
        As in every lab; all studies have the same true proportion.

    Returns
    -------
    DataFrame
        Columns `patients` (of the largest study), `curve`, `value` (mean pooled proportion),
        `mcse`. Curves: "double arcsine, harmonic mean" (doi:10.1080/00031305.1978.10479283),
        "double arcsine, inverse variance" (doi:10.1136/jech-2013-203104), and "all patients
        together", which is right here because nothing differs between the studies.

    Notes
    -----
    The failure is that of Schwarzer et al. 2019, doi:10.1002/jrsm.1348.

    Examples
    --------
    >>> found = back_transform_lab((10000,), draws=100).set_index("curve")["value"]
    >>> bool(found["double arcsine, harmonic mean"] < 0.02 < found["all patients together"])
    True
    """
    whole_number("draws", draws, 2)
    measure, rows = get_measure("double-arcsine"), []
    for top in largest:
        rng = generator(seed, int(top))
        n = np.array([small] * (k - 1) + [int(top)], dtype=float)
        events = rng.binomial(n.astype(np.int64), proportion, (draws, k)).astype(float)
        size = np.broadcast_to(n, events.shape)
        yi, vi = measure.effects(events, size)
        fit = fit_inverse_variance(yi, vi, method="common")
        harmonic = np.full(draws, 1.0 / np.mean(1.0 / n))
        values = {
            "double arcsine, harmonic mean": measure.inverse(fit.mu, harmonic),
            "double arcsine, inverse variance": measure.inverse(fit.mu, 0.25 / fit.se**2),
            "all patients together": events.sum(axis=1) / n.sum(),
        }
        rows += [_row(top, name, value) for name, value in values.items()]
    return _frame(rows, "patients", proportion=proportion)


def coverage_lab(
    sizes: Iterable[int],
    studies: Iterable[int] | None = None,
    *,
    proportion: float = 0.07,
    tau: float = 0.45,
    draws: int = 400,
    seed: int = 1,
) -> pd.DataFrame:
    """How often three intervals contain the mean logit of binomial studies.

    Events are drawn from binomial distributions with normal true logits, in studies whose sizes
    are drawn from those of real cohorts. So what is on trial is the interval together with the
    model behind it: the logits of few events, with their corrections, are no normal effects with
    known variances.

    Parameters
    ----------
    sizes : iterable of int
        Patients of real cohorts, from which every study draws its size.
    studies : iterable of int, optional
        Studies of a meta-analysis, two at least. By default 3, 5, 10, 20, and as many as there are
        real cohorts.
    proportion, tau, draws, seed
        As in every lab.

    Returns
    -------
    DataFrame
        Columns `studies`, `curve` ("logits, Wald", "logits, Knapp-Hartung": random effects with
        REML, corrected where there is no event; "binomial GLMM, t": k - 1 degrees of freedom),
        `value` (coverage; a fit without convergence does not cover), `mcse`.

    Examples
    --------
    >>> found = coverage_lab([30, 60, 120], (5,), draws=100).set_index("curve")["value"]
    >>> bool(found["logits, Wald"] <= found["binomial GLMM, t"])
    True
    """
    whole_number("draws", draws, 2)
    drawn, rows = tuple(int(n) for n in sizes), []
    for k in sorted({3, 5, 10, 20, len(drawn)}) if studies is None else studies:
        truth = Scenario(int(k), proportion, tau, sizes=drawn)
        sample, reml = _sample(truth, draws, seed, "REML")
        glmm = fit_glmm(sample.events, sample.n, quad_points=7)
        df = np.full(draws, k - 1.0)
        limits = {
            "logits, Wald": mu_limits(reml, "wald", LEVEL),
            "logits, Knapp-Hartung": mu_limits(reml, "knapp-hartung", LEVEL),
            "binomial GLMM, t": symmetric_limits(glmm.beta[:, 0], glmm.se[:, 0], LEVEL, df),
        }
        for name, (low, high) in limits.items():
            rows.append(_row(k, name, (low <= truth.mu) & (truth.mu <= high)))
    return _frame(rows, "studies")


def median_lab(
    taus: Iterable[float] = (0.1, 0.5, 1.0, 1.5),
    *,
    k: int = 30,
    proportion: float = 0.07,
    size: int = 200,
    draws: int = 200,
    seed: int = 1,
) -> pd.DataFrame:
    """Which average of the true rates a pooled rate estimates: the median or the mean.

    Parameters
    ----------
    taus : iterable of float
        Standard deviation of the true logits.
    k, proportion, size, draws, seed
        As in every lab; the proportion is the median of the true rates.

    Returns
    -------
    DataFrame
        Columns `tau`, `curve` ("GLMM, transformed back", "all patients together" and, by
        quadrature, "mean of the true rates"), `value` (mean over the meta-analyses), `mcse`.

    Examples
    --------
    >>> found = median_lab((1.5,), draws=50).set_index("curve")["value"]
    >>> bool(found["GLMM, transformed back"] < found["all patients together"])
    True
    """
    whole_number("draws", draws, 2)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    rows = []
    for tau in taus:
        truth = Scenario(k, proportion, float(tau), sizes=(size,))
        sample: Any = simulate(truth, draws, seed)
        glmm = fit_glmm(sample.events, sample.n, quad_points=7)
        mean = float(weights @ expit(truth.mu + tau * nodes) / weights.sum())
        values = {
            "GLMM, transformed back": expit(glmm.beta[:, 0]),
            "all patients together": sample.events.sum(axis=1) / sample.n.sum(axis=1),
            "mean of the true rates": np.full(draws, mean),
        }
        rows += [_row(tau, name, value) for name, value in values.items()]
    return _frame(rows, "tau", proportion=proportion)


def zero_tau_lab(
    studies: Iterable[int] = (5, 8, 12, 20, 35),
    *,
    tau: float = 0.3,
    proportion: float = 0.2,
    size: int = 50,
    draws: int = 800,
    seed: int = 1,
) -> pd.DataFrame:
    """Judge the prediction interval where tau2 is estimated at zero.

    Parameters
    ----------
    studies : iterable of int
        Studies of a meta-analysis, three at least.
    tau, proportion, size, draws, seed
        As in every lab.

    Returns
    -------
    DataFrame
        Columns `studies`, `curve` ("τ² estimated at zero", the share of meta-analyses;
        "prediction interval, τ² at zero" and "prediction interval, τ² above zero", the exact
        probability that it contains the rate of a new study), `value`, `mcse`. REML and k - 2
        degrees of freedom (doi:10.1111/j.1467-985X.2008.00552.x). A curve has no point where
        fewer than two meta-analyses are of its kind.

    Examples
    --------
    >>> found = zero_tau_lab((8,), draws=100).set_index("curve")["value"]
    >>> bool(found.iloc[1] < found.iloc[2])
    True
    """
    rows = []
    for k in studies:
        truth, tau2, _, new = _predicted(k, proportion, tau, size, draws, seed)
        held, zero = truth.within(*new), tau2 == 0.0
        rows.append(_row(k, "τ² estimated at zero", zero))
        for name, part in (("at zero", zero), ("above zero", ~zero)):
            if part.sum() > 1:
                rows.append(_row(k, f"prediction interval, τ² {name}", held[part]))
    return _frame(rows, "studies")


def correction_lab(
    sizes: Iterable[int] = (10, 20, 40, 80, 160, 320),
    *,
    k: int = 20,
    proportion: float = 0.03,
    tau: float = 0.0,
    draws: int = 400,
    seed: int = 1,
) -> pd.DataFrame:
    """Pool rare events with three ways of treating cohorts without one, and with the counts.

    Parameters
    ----------
    sizes : iterable of int
        Patients of every study.
    k, proportion, tau, draws, seed
        As in every lab.

    Returns
    -------
    DataFrame
        Columns `patients`, `curve` ("half an event where there is none", "half an event in every
        study", "studies without an event left out": logits and REML; "binomial GLMM"), `value`
        (mean pooled proportion; a meta-analysis of which no study is left does not count),
        `mcse`.

    Examples
    --------
    >>> found = correction_lab((20,), draws=100).set_index("curve")["value"]
    >>> bool(found["binomial GLMM"] < found["studies without an event left out"])
    True
    """
    whole_number("draws", draws, 2)
    rows = []
    for n in sizes:
        truth = Scenario(k, proportion, tau, sizes=(int(n),))
        sample: Any = simulate(truth, draws, seed)
        x, size = sample.events, sample.n
        edge = (x == 0) | (x == size)
        values = {}
        for name, add, kept in (
            ("half an event where there is none", 0.5 * edge, np.ones_like(edge)),
            ("half an event in every study", np.full(x.shape, 0.5), np.ones_like(edge)),
            ("studies without an event left out", 0.5 * edge, ~edge),
        ):
            yes, no = x + add, size - x + add
            left = kept.sum(axis=1) > 1
            pooled = np.full(draws, np.nan)
            logits, variances = np.log(yes / no), 1.0 / yes + 1.0 / no
            fit = fit_inverse_variance(logits[left], variances[left], kept[left], method="REML")
            pooled[left] = expit(fit.mu)
            values[name] = pooled
        some = x.any(axis=1)
        counted = np.zeros(draws)
        counted[some] = expit(fit_glmm(x[some], size[some], quad_points=7).beta[:, 0])
        values["binomial GLMM"] = counted
        rows += [_row(n, name, value) for name, value in values.items()]
    return _frame(rows, "patients", proportion=proportion)


def dependence_lab(
    twins: Iterable[int] = (2, 4, 7, 10),
    *,
    k: int = 20,
    shared: float = 1.0,
    tau: float = 0.4,
    proportion: float = 0.2,
    size: int = 100,
    draws: int = 600,
    seed: int = 1,
) -> pd.DataFrame:
    """Count patients twice: centres that are reported twice, and what becomes of the interval.

    Parameters
    ----------
    twins : iterable of int
        Centres that are reported twice.
    k : int
        Centres.
    shared : float
        Share of the patients of a report who are in the other report of their centre as well; the
        others are different patients of the same centre.
    tau, proportion, size, draws, seed
        As in every lab; a report has `size` patients.

    Returns
    -------
    DataFrame
        Columns `twins`, `curve` ("every report on its own", "clustered by centre" (CR1,
        doi:10.1002/jrsm.5), "each centre once"; logits, REML, t intervals), `value` (coverage of
        the mean logit), `mcse`.

    Examples
    --------
    >>> found = dependence_lab((10,), draws=200).set_index("curve")["value"]
    >>> bool(found["every report on its own"] < found["each centre once"])
    True
    """
    whole_number("draws", draws, 2)
    mu, both, rows = float(logit(proportion)), round(shared * size), []
    for m in twins:
        if not 1 <= m <= k:
            raise UnsupportedError(f"twins: found {m}, expected 1 to {k}")
        rng = generator(seed, int(m))
        rate = expit(mu + tau * rng.standard_normal((draws, k)))
        common = rng.binomial(both, rate)
        first, second = (common + rng.binomial(size - both, rate) for _ in range(2))
        events = np.concatenate([first, second[:, :m]], axis=1).astype(float)
        effects = get_measure("logit").effects(events, np.full(events.shape, float(size)))
        fit = fit_inverse_variance(*effects, method="REML")
        once = fit_inverse_variance(*(part[:, :k] for part in effects), method="REML")
        pull = fit.weights / 100.0 * (effects[0] - fit.mu[:, None])
        by_centre = pull[:, :k].copy()
        by_centre[:, :m] += pull[:, k:]
        se = np.sqrt(np.square(by_centre).sum(axis=1) * k / (k - 1.0))
        limits = {
            "every report on its own": mu_limits(fit, "knapp-hartung", LEVEL),
            "clustered by centre": symmetric_limits(fit.mu, se, LEVEL, np.full(draws, k - 1.0)),
            "each centre once": mu_limits(once, "knapp-hartung", LEVEL),
        }
        rows += [_row(m, name, (a <= mu) & (mu <= b)) for name, (a, b) in limits.items()]
    return _frame(rows, "twins")


#: The labs, in the order of their page.
LABS = (
    i2_lab,
    prediction_lab,
    zero_tau_lab,
    median_lab,
    egger_lab,
    back_transform_lab,
    correction_lab,
    coverage_lab,
    dependence_lab,
)

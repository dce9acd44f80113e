"""Results of this room as tables of the page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial

from ... import printing
from ...engine.normal.intervals import Interval
from ...views.tables import Table, of_rows
from .homogeneity import ChiSquaredCheck
from .shares import CauseRate, CauseShare, DeathWeights, ShareBounds

_whole = partial(printing.number, digits=0)


def _limits(ci: Interval, factor: int = 100, digits: int = 1) -> str:
    return printing.between(factor * ci.lower, factor * ci.upper, digits)


def chi_squared_table(checks: Iterable[ChiSquaredCheck]) -> Table:
    """Print the published chi-squared tests, ours, and the p-values of random tables.

    Examples
    --------
    >>> from helpers.review.causes import published_chi_squared
    >>> chi_squared_table(published_chi_squared(draws=99)).name
    'chi-squared-tests'
    """
    checks = tuple(checks)
    return of_rows(
        checks,
        "The published chi-squared tests, ours, and the same with random tables",
        {
            "Known causes": lambda one: re.sub("^known causes:? ", "", one.subset),
            "Published X²": lambda one: one.printed[0],
            "Our X²": (lambda one: one.test.statistic, "significant"),
            "df": lambda one: one.test.df,
            "Published p": lambda one: one.printed[2],
            "Our p": (lambda one: one.test.p, partial(printing.significant, digits=4)),
            "p, random tables": (
                lambda one: one.test.p_monte_carlo,
                partial(printing.number, digits=4),
            ),
            f"{printing.percent(0.95, 0)} CI of that p": lambda one: _limits(one.test.p_ci, 1, 4),
            "Small cells": (lambda one: one.test.small_cells, "percent"),
        },
        notes=[
            f"Random tables: {printing.count(checks[0].test.draws)} per test. Small cells: those "
            "with an expected count below five."
        ],
        name="chi-squared-tests",
    )


def bounds_table(bounds: Mapping[str, ShareBounds]) -> Table:
    """Print shares whatever the deaths without a known cause were.

    Examples
    --------
    >>> from helpers.review.causes import share_bounds
    >>> bounds_table({"all": share_bounds()}).name
    'unknown-causes'
    """
    level = printing.percent(next(iter(bounds.values())).none.level, 0)
    return of_rows(
        bounds,
        "Share of infection under three assumptions about unknown causes",
        {
            "Group": str,
            "Deaths": lambda group: bounds[group].none.n,
            "Unknown": lambda group: bounds[group].unknown,
            "None infection": (lambda group: bounds[group].none.estimate, "percent"),
            "Like others": (lambda group: bounds[group].random.estimate, "percent"),
            "All infection": (lambda group: bounds[group].all.estimate, "percent"),
            "Limits": lambda group: _limits(bounds[group].ci),
        },
        notes=[
            "None, like others, all: assumption about deaths of unknown cause. Limits: from the "
            f"lower {level} limit of the smallest to the upper one of the largest share."
        ],
        name="unknown-causes",
    )


def rates_table(
    rates: Mapping[str, CauseRate], caption: str = "Deaths from infection per 1,000 treated"
) -> Table:
    """Print deaths of a cause per 1,000 treated, with the two estimates behind them.

    Examples
    --------
    >>> from helpers.review.causes import cause_rates
    >>> rates_table(cause_rates(by="setting")).name
    'deaths-per-thousand'
    """
    level = printing.percent(next(iter(rates.values())).level, 0)
    return of_rows(
        rates,
        caption,
        {
            "Group": str,
            "Patients": lambda group: rates[group].n,
            "Mean NRM": (lambda group: rates[group].nrm.mean_estimate, "percent"),
            "Share of the deaths": (lambda group: rates[group].share.estimate, "percent"),
            "Per 1,000 treated": (lambda group: 1000 * rates[group].estimate, _whole),
            f"{level} CI": lambda group: _limits(rates[group].ci, 1000, 0),
        },
        notes=[
            "Mean NRM: across cohorts, by the binomial-normal model. Interval: of the product of "
            "two independent estimates, recovered from the limits of both."
        ],
        name="deaths-per-thousand",
    )


def weights_table(weights: DeathWeights, share: CauseShare, correlations: Iterable[float]) -> Table:
    """Print what a correlation of deaths within cohorts does to the interval of a share.

    Examples
    --------
    >>> from helpers import load_cohorts
    >>> from helpers.review.causes import death_weights, infection_share
    >>> weights_table(death_weights(load_cohorts()), infection_share(), [0, 0.05]).name
    'design-effects'
    """
    ci = f"{printing.percent(share.level, 0)} CI of {printing.percent(share.estimate)}"
    return of_rows(
        correlations,
        f"Share of {share.cause} if deaths in the same cohort resemble each other",
        {
            "Intraclass correlation": lambda icc: printing.number(icc, 2),
            "Design effect": (weights.design_effect, "number1"),
            "Effective number of deaths": (
                lambda icc: share.n / weights.design_effect(icc),
                _whole,
            ),
            ci: lambda icc: _limits(weights.interval(share, icc)),
        },
        name="design-effects",
    )

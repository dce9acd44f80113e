"""Results of this room as tables of the page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from ... import printing
from ...views.tables import Table, numbers, of_rows

if TYPE_CHECKING:
    from .absolute import CauseRate
    from .published import ChiSquaredCheck
    from .shares import CauseShare, ShareBounds
    from .weights import DeathWeights


def chi_squared_table(checks: Iterable[ChiSquaredCheck]) -> Table:
    """Print the published chi-squared tests beside ours and the p-values of random tables.

    Examples
    --------
    >>> from helpers.review.causes import published_chi_squared
    >>> chi_squared_table(published_chi_squared(draws=99)).name
    'chi-squared-tests'
    """
    checks = tuple(checks)
    interval = f"{printing.percent(0.95, 0)} CI of that p"

    def limits(one: ChiSquaredCheck) -> str:
        return printing.between(one.test.p_ci.lower, one.test.p_ci.upper, 4)

    return of_rows(
        checks,
        "The published chi-squared tests, ours, and the same with random tables",
        {
            "Known causes": lambda one: re.sub("^known causes:? ", "", one.subset),
            "Published X²": "statistic_printed",
            "Our X²": (lambda one: one.test.statistic, "significant"),
            "df": lambda one: one.test.df,
            "Published p": "p_printed",
            "Our p": (lambda one: one.test.p, partial(printing.significant, digits=4)),
            "p, random tables": (
                lambda one: one.test.p_monte_carlo,
                partial(printing.number, digits=4),
            ),
            interval: limits,
            "Small cells": (lambda one: one.test.small_cells, "percent"),
        },
        notes=[
            f"Random tables: {printing.count(checks[0].test.draws)} a test. Small cells: those "
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
    lines = [
        {
            "group": group,
            "deaths": found.none.n,
            "unknown": found.unknown,
            "none": found.none.estimate,
            "random": found.random.estimate,
            "all": found.all.estimate,
            "ci": printing.between(100 * found.ci.lower, 100 * found.ci.upper),
        }
        for group, found in bounds.items()
    ]
    level = printing.percent(next(iter(bounds.values())).none.level, 0)
    return numbers(
        lines,
        "Share of infection under three assumptions about unknown causes",
        {
            "group": "",
            "deaths": "",
            "unknown": "",
            "none": ("None infection", "percent"),
            "random": ("Like others", "percent"),
            "all": ("All infection", "percent"),
            "ci": ("Limits", ""),
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
    lines = [
        {
            "group": group,
            "patients": rate.n,
            "nrm": rate.nrm.mean_estimate,
            "share": rate.share.estimate,
            "rate": 1000 * rate.estimate,
            "ci": printing.between(1000 * rate.ci.lower, 1000 * rate.ci.upper, 0),
        }
        for group, rate in rates.items()
    ]
    level = printing.percent(next(iter(rates.values())).level, 0)
    return numbers(
        lines,
        caption,
        {
            "group": "",
            "patients": "",
            "nrm": ("Mean NRM", "percent"),
            "share": ("Share of the deaths", "percent"),
            "rate": ("Per 1,000 treated", partial(printing.number, digits=0)),
            "ci": (f"{level} CI", ""),
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
    lines = []
    for icc in correlations:
        effect = weights.design_effect(icc)
        limits = weights.interval(share, icc)
        lines.append(
            {
                "icc": printing.number(icc, 2),
                "effect": effect,
                "deaths": share.n / effect,
                "ci": printing.between(100 * limits.lower, 100 * limits.upper),
            }
        )
    ci = f"{printing.percent(share.level, 0)} CI of {printing.percent(share.estimate)}"
    return numbers(
        lines,
        f"If deaths of one cohort resemble each other: share of {share.cause}",
        {
            "icc": ("Intraclass correlation", ""),
            "effect": ("Design effect", "number1"),
            "deaths": ("Deaths that count", partial(printing.number, digits=0)),
            "ci": (ci, ""),
        },
        name="design-effects",
    )

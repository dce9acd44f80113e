"""Scripts that compute a report's numbers again, in Python and in R, from the table beside them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .. import printing
from ..engine.effects import get_measure
from ..models.design import quoted
from ..version import __version__
from .analysis import scaled_time

if TYPE_CHECKING:
    from ..models.regression_result import RegressionResult
    from ..models.result import PoolResult
    from .analysis import Analysis

__all__ = ["TABLE", "numbers", "python_script", "r_script"]

#: The checked table, from which the scripts start.
TABLE = "table.csv"

# metafor's names
_MEASURES = {
    "raw": ("PR", "x"),
    "log": ("PLN", "exp(x)"),
    "logit": ("PLO", "plogis(x)"),
    "arcsine": ("PAS", "sin(x)^2"),
    "double-arcsine": ("PFT", "transf.ipft.hm(x, targs = list(ni = n))"),
    "raw-rate": ("IR", "x"),
    "log-rate": ("IRLN", "exp(x)"),
    "sqrt-rate": ("IRS", "x^2"),
}
_TESTS = {"wald": "z", "t": "t", "knapp-hartung": "knha", "knapp-hartung-max1": "adhoc"}


def numbers(analysis: Analysis) -> dict[str, float]:
    """Give the numbers that both scripts print, by name, as the report has them."""
    fit = analysis.fit
    found = {"estimate": fit.estimate, "ci_lower": fit.ci[0], "ci_upper": fit.ci[1]}
    found["tau2"] = fit.tau2
    if analysis.beside is not None:
        found["second model"] = analysis.beside.estimate
    for name, group in analysis.groups or ():
        found[f"group {name}"] = group.estimate
    for name, regression in analysis.regressions.items():
        (place,) = regression.design.moderators
        found[f"slope of {name}"] = regression.coefficients["estimate"].iloc[place]
    if analysis.rates is not None:
        found["events per 100 person-years"] = analysis.rates.estimate
    if analysis.leave_one_out is not None:
        estimates = analysis.leave_one_out["estimate"]
        found |= {"leave-one-out lowest": estimates.min(), "leave-one-out highest": estimates.max()}
    found |= {f"p of {name}": test.p for name, test in analysis.tests.items()}
    return {" ".join(name.split()): float(value) for name, value in found.items()}


def _column(name: str) -> str:
    """Name a column as `TABLE` has it."""
    return printing.no_formula(name)


def _comment(text: str) -> str:
    return f"# {' '.join(printing.legal(text).split())}"


def python_script(analysis: Analysis, title: str) -> str:
    """Write the Python script.

    Examples
    --------
    >>> import pandas as pd
    >>> from helpers.reporting.analysis import ColumnNames, analyse
    >>> table = pd.DataFrame({"study": list("ab"), "events": [3, 9], "n": [40, 50]})
    >>> print(python_script(analyse(table, ColumnNames()), "Mine").splitlines()[0])
    # Mine
    """
    fit, columns = analysis.fit, analysis.columns
    package = __package__.partition(".")[0]
    timed = columns.time is not None
    size = {"time": scaled_time(columns, analysis.per)} if timed else {"n": columns.n}
    roles = {"events": columns.events, **size, "study": columns.study}
    calls = {role: _column(str(name)) for role, name in roles.items()}
    model = f"measure={fit.measure!r}, model={fit.model!r}"
    lines = [
        _comment(title),
        f"# Needs nrm-meta {__version__} (pip install nrm-meta) and {TABLE} beside this file.",
        "# Each line that it prints is a name and a number of the report.",
        "from pathlib import Path",
        "",
        "import pandas as pd",
        "",
        f"from {package} import bias, meta_regression, pool, pool_rates, subgroups",
        "",
        "table = pd.read_csv(",
        f"    Path(__file__).with_name({TABLE!r}),",
        f"    dtype={{{calls['study']!r}: str}},",
        "    keep_default_na=False,",
        "    na_values=[''],",
        "    float_precision='round_trip',",
        ")",
        *(
            [f"table[{calls['time']!r}] = table[{_column(columns.size)!r}] / {analysis.per}"]
            if timed
            else []
        ),
        f"columns = {calls | {'level': fit.level}!r}",
        f"fit = pool(table, **columns, {model})",
        "found = {",
        "    'estimate': fit.estimate,",
        "    'ci_lower': fit.ci[0],",
        "    'ci_upper': fit.ci[1],",
        "    'tau2': fit.tau2,",
        "}",
    ]
    if analysis.beside is not None:
        second = f"measure={analysis.beside.measure!r}, model={analysis.beside.model!r}"
        lines.append(f"found['second model'] = pool(table, **columns, {second}).estimate")
    if analysis.groups is not None:
        by = _column(str(columns.by))
        lines += [
            f"for name, group in subgroups(table, by={by!r}, **columns, {model}):",
            "    found[f'group {name}'] = group.estimate",
        ]
    for name, regression in analysis.regressions.items():
        (place,) = regression.design.moderators
        call = f"meta_regression(table, {quoted(_column(name))!r}, **columns, {model})"
        lines += [
            f"fit_of = {call}",
            f"found[{f'slope of {name}'!r}] = fit_of.coefficients['estimate'].iloc[{place}]",
        ]
    if analysis.rates is not None:
        lines += [
            "rates = pool_rates(",
            f"    table, **columns, follow_up={_column(str(columns.follow_up))!r},",
            "    measure='log-rate', model='glmm',",
            ")",
            "found['events per 100 person-years'] = rates.estimate",
        ]
    if analysis.leave_one_out is not None:
        lines += [
            "without = fit.leave_one_out()['estimate']",
            "found['leave-one-out lowest'] = without.min()",
            "found['leave-one-out highest'] = without.max()",
        ]
    if analysis.tests:  # of counts of people alone
        counts = f"events=table[{calls['events']!r}], n=table[{calls['n']!r}]"
        call_of = {
            "Egger (logit)": f"bias.egger({counts}, measure='logit')",
            "Peters (weights from size)": "bias.peters(fit)",
            "Double arcsine": "bias.arcsine_test(fit)",
        }
        lines += [f"found[{f'p of {name}'!r}] = {call_of[name]}.p" for name in analysis.tests]
    lines += [
        "for name, value in found.items():",
        "    print(' '.join(name.split()), repr(float(value)), sep='\\t')",
    ]
    return "\n".join(lines) + "\n"


def _r(value: str) -> str:
    """Quote a string for R, which reads the escapes of JSON."""
    return json.dumps(printing.legal(value), ensure_ascii=False)


class _Script:
    """Lines of R, each number followed by that of the report."""

    def __init__(self, found: dict[str, float]) -> None:
        self.lines: list[str] = []
        self.found = found

    def add(self, *lines: str) -> None:
        self.lines += lines

    def show(self, name: str, call: str) -> None:
        name = " ".join(name.split())
        self.lines.append(f"show({_r(name)}, {call})  # report: {self.found[name]:.6g}")


def _r_fit(fit: PoolResult | RegressionResult, data: str, more: str = "") -> str:
    """Write the call that fits a model to the rows of a table with events, n and study."""
    measure, _ = _MEASURES[fit.options.measure]
    test = f', test = "{_TESTS[str(fit.options.ci_method)]}"'
    size = "ti" if fit.options.measure.endswith("-rate") else "ni"
    counts = f'measure = "{measure}", xi = events, {size} = n, data = {data}, slab = study{more}'
    if fit.model == "glmm":
        points = f'method = "ML", nAGQ = {fit.options.quad_points}'
        return f"rma.glmm({counts}, {points}{test}, level = level, control = tight)"
    to = fit.options.to or get_measure(fit.options.measure).default_rule
    rule = f'add = {fit.options.add:g}, to = "{to}", '
    method = "EE" if fit.model == "common" else fit.options.tau2_method
    return f'rma({counts}, {rule}method = "{method}"{test}, level = level, control = steady)'


def r_script(analysis: Analysis, title: str) -> str:
    """Write the R script: the same analyses with metafor, whose GLMMs come from lme4.

    It was not run where the report was made, and says so.

    Examples
    --------
    >>> import pandas as pd
    >>> from helpers.reporting.analysis import ColumnNames, analyse
    >>> table = pd.DataFrame({"study": list("ab"), "events": [3, 9], "n": [40, 50]})
    >>> made = r_script(analyse(table, ColumnNames()), "Mine")
    >>> print([line for line in made.splitlines() if line.startswith("fit <-")][0])
    fit <- rma.glmm(measure = "PLO", xi = events, ni = n, data = d, slab = study, \
method = "ML", nAGQ = 7, test = "t", level = level, control = tight)
    """
    fit, columns = analysis.fit, analysis.columns
    made = _Script(numbers(analysis))
    made.add(
        _comment(title),
        f"# The analyses of nrm-meta {__version__} with metafor (and lme4), from {TABLE}.",
        "# This script was not run when the report was made; numbers after # are the report's.",
        "# Both stop later than by default here, so that six digits or so agree.",
    )
    if analysis.one_sided or fit.k < 2:
        made.add("# metafor has no counterpart: there is one study, or nothing varies.")
        return "\n".join(made.lines) + "\n"
    if fit.measure not in _MEASURES or str(fit.options.ci_method) not in _TESTS:
        made.add(_comment(f"metafor has no counterpart of this model: {fit.methods()}"))
        return "\n".join(made.lines) + "\n"
    made.add(
        "library(metafor)",
        f'table <- read.csv("{TABLE}", check.names = FALSE, na.strings = "",',
        '  fileEncoding = "UTF-8")',
        "d <- data.frame(",
        f"  study = as.character(table[[{_r(_column(columns.study))}]]),",
        f"  events = table[[{_r(_column(columns.events))}]],",
        f"  n = table[[{_r(_column(columns.size))}]]{f' / {analysis.per}' if columns.time else ''}",
        ")",
        f"level <- {100 * fit.level:g}",
        'show <- function(name, x) cat(name, format(x, digits = 10), sep = "\\t", fill = TRUE)',
        'tight <- list(glmerCtrl = list(optimizer = "bobyqa", tolPwrss = 1e-11,',
        "  optCtrl = list(rhobeg = 0.02, rhoend = 1e-11, maxfun = 1e5)))",
        "steady <- list(threshold = 1e-12, maxiter = 1000)",
        "n <- d$n",
        f"back <- function(x) {_MEASURES[fit.measure][1]}",
        f"fit <- {_r_fit(fit, 'd')}",
    )
    for name, part in (
        ("estimate", "fit$beta[1]"),
        ("ci_lower", "fit$ci.lb"),
        ("ci_upper", "fit$ci.ub"),
    ):
        made.show(name, f"back({part})")
    made.show("tau2", "fit$tau2")
    if fit.model == "glmm" and fit.n is not None:
        made.add(
            "# the same with lme4: glmer(cbind(events, n - events) ~ 1 + (1 | study), data = d,",
            f"#   family = binomial, nAGQ = {fit.options.quad_points})",
        )
    if analysis.beside is not None:
        made.add(f"second <- {_r_fit(analysis.beside, 'd')}")
        back = "plogis" if fit.n is not None else "exp"
        made.show("second model", f"{back}(second$beta[1])")
    if analysis.groups is not None:
        made.add(f"group <- as.character(table[[{_r(_column(str(columns.by)))}]])")
        for name, group in analysis.groups:
            if group.k < 2 or group.one_sided:
                made.add(_comment(f"group {name}: one study, or nothing varies; not for metafor"))
                continue
            made.add(
                f"part <- d[which(group == {_r(printing.no_formula(str(name)))}), ]", "n <- part$n"
            )
            made.show(f"group {name}", f"back({_r_fit(group, 'part')}$beta[1])")
        made.add("n <- d$n")
    for name, regression in analysis.regressions.items():
        made.add(f"d$x <- table[[{_r(_column(name))}]]", "part <- d[!is.na(d$x), ]")
        call = _r_fit(regression, "part", ", mods = ~ x")
        made.show(f"slope of {name}", f"{call}$beta[2]")
    if analysis.rates is not None:
        made.add(
            f"months <- table[[{_r(_column(str(columns.follow_up)))}]]",
            "d$time <- d$n * months / 1200  # hundreds of person-years",
            "part <- d[!is.na(d$time), ]",
            'rates <- rma.glmm(measure = "IRLN", xi = events, ti = time, data = part, nAGQ = 7,',
            "  control = tight)",
        )
        made.show("events per 100 person-years", "exp(rates$beta[1])")
    if analysis.leave_one_out is not None and fit.k < 3:
        made.add("# without one of two studies there is one, and nothing for metafor to pool")
    elif analysis.leave_one_out is not None:
        again = _r_fit(fit, "d[-i, ]")
        made.add(
            "without <- sapply(seq_len(nrow(d)), function(i) {",
            "  n <- d$n[-i]",
            f"  x <- {again}$beta[1]",
            f"  {_MEASURES[fit.measure][1]}",
            "})",
        )
        made.show("leave-one-out lowest", "min(without)")
        made.show("leave-one-out highest", "max(without)")
    if analysis.tests:
        made.add(
            'logits <- escalc(measure = "PLO", xi = events, ni = n, data = d, to = "only0")',
            'angles <- escalc(measure = "PFT", xi = events, ni = n, data = d)',
            'slope <- function(data) rma(yi, vi, mods = ~ sqrt(vi), data = data, method = "ML", '
            'test = "t", control = steady)',
            "p <- function(model) coef(summary(model))[2, 4]",
        )
    calls = {
        "Egger (logit)": "p(lm(yi ~ sqrt(vi), weights = 1 / vi, data = logits))",
        "Peters (weights from size)": "p(lm(yi ~ I(1 / n), weights = n, data = logits))",
        "Double arcsine": "slope(angles)$pval[2]",
    }
    for name in analysis.tests:
        made.show(f"p of {name}", calls[name])
    return "\n".join(made.lines) + "\n"

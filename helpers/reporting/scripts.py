"""Scripts that compute a report's numbers again, in Python and in R, from the table beside them."""

from __future__ import annotations

import json

from .. import printing
from ..engine.effects import get_measure
from ..evidence.given import LIMITS_LEVEL, RATINGS, rating_of
from ..models.design import quoted
from ..models.regression_result import RegressionResult
from ..models.result import PoolResult
from ..version import __version__
from .analysis import Analysis, ColumnNames, scaled_time

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
    "effect": ("GEN", "x"),
    "log-ratio": ("GEN", "exp(x)"),
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
    if analysis.levels is not None:
        found["three levels"] = analysis.levels.estimate
    if analysis.robust is not None:
        found |= {
            "robust ci_lower": analysis.robust.ci[0],
            "robust ci_upper": analysis.robust.ci[1],
        }
    for name, group in analysis.ratings or ():
        found[f"risk of bias {name}"] = group.estimate
    if analysis.low_risk is not None:
        found["without high risk of bias"] = analysis.low_risk.estimate
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


def _column(name: object) -> str:
    """Name a column as `TABLE` has it."""
    return printing.no_formula(str(name))


def _in_python(name: object) -> str:
    return f"table[{_column(name)!r}]"


def _in_r(name: object) -> str:
    return f"table[[{_r(_column(name))}]]"


def _r(value: str) -> str:
    """Quote a string for R, which reads the escapes of JSON."""
    return json.dumps(printing.legal(value), ensure_ascii=False)


def _rated(analysis: Analysis) -> dict[str, str]:
    """Give each word of the ratings its level."""
    words = analysis.data[str(analysis.columns.risk_of_bias)].dropna().unique()
    return {str(word): RATINGS[rating_of(str(word))] for word in words}


def _comment(text: str) -> str:
    return f"# {' '.join(printing.legal(text).split())}"


#: What puts the numbers of a table on the scale of the model: in Python, and in R.
_ON_SCALE = {"ratio": ("np.log(x)", "log(x)"), "proportion": ("np.log(x / (1 - x))", "qlogis(x)")}
_YI, _VI = "yi of the model", "vi of the model"


def _python_effects(columns: ColumnNames) -> list[str]:
    """Lines that compute effects and variances."""
    on_scale = _ON_SCALE.get(columns.scale, ("x", "x"))[0]
    roles = (columns.effect, columns.lower, columns.upper)
    effect, low, high = (f"on_scale({_in_python(name)})" for name in roles)
    apart = f"2 * NormalDist().inv_cdf({0.5 + LIMITS_LEVEL / 2:g})"
    variance = f"(({high} - {low}) / ({apart})) ** 2"
    if columns.se is not None:
        variance = f"{_in_python(columns.se)} ** 2"
    elif columns.variance is not None:
        variance = _in_python(columns.variance)
    return [
        *("", "", "def on_scale(x):", f"    return {on_scale}", "", ""),
        f"table[{_YI!r}] = {effect}",
        f"table[{_VI!r}] = {variance}",
    ]


def _python_clusters(analysis: Analysis, model: str) -> list[str]:
    """Lines for cohorts within clusters and for ratings of the risk of bias."""
    columns, lines = analysis.columns, []
    if analysis.levels is not None or analysis.robust is not None:
        cluster, study = _in_python(columns.cluster), _in_python(columns.study)
        alone = f"{study}.astype(str) + ' (alone)'"
        lines.append(f"own = {cluster}.astype('str').where({cluster}.notna(), {alone})")
    if analysis.levels is not None:
        how = f"measure={analysis.fit.measure!r}, model={analysis.levels.model!r}"
        call = f"pool_multilevel(table, cluster=list(own), **columns, {how})"
        lines.append(f"found['three levels'] = {call}.estimate")
    if analysis.robust is not None:
        how = f"measure={analysis.fit.measure!r}, model='random', robust='CR2'"
        lines += [
            f"robust = pool_multilevel(table, cluster=list(own), **columns, {how})",
            "found['robust ci_lower'], found['robust ci_upper'] = robust.ci",
        ]
    if columns.risk_of_bias is None:
        return lines
    lines += [
        f"ratings = {_rated(analysis)!r}",
        f"rated = {_in_python(columns.risk_of_bias)}.map(ratings)",
    ]
    call = "pool_effects" if columns.effect is not None else "pool"
    if analysis.ratings is not None:
        lines += [
            f"for name, group in subgroups(table, by=list(rated), **columns, {model}):",
            "    found[f'risk of bias {name}'] = group.estimate",
        ]
    if analysis.low_risk is not None:
        lines += [
            f"rest = table[rated != {RATINGS['high']!r}].reset_index(drop=True)",
            f"rest = {call}(data=rest, **columns, {model})",
            "found['without high risk of bias'] = rest.estimate",
        ]
    return lines


def python_script(analysis: Analysis, title: str) -> str:
    """Write the Python script.

    >>> import pandas as pd
    >>> from helpers.reporting.analysis import ColumnNames, analyse
    >>> table = pd.DataFrame({"study": list("ab"), "events": [3, 9], "n": [40, 50]})
    >>> print(python_script(analyse(table, ColumnNames()), "Mine").splitlines()[0])
    # Mine
    """
    fit, columns = analysis.fit, analysis.columns
    package = __name__.partition(".")[0]
    timed, effects = columns.time is not None, columns.effect is not None
    size = {"time": scaled_time(columns, analysis.per)} if timed else {"n": columns.n}
    roles = {"events": columns.events, **size, "study": columns.study}
    if effects:
        roles = {"yi": _YI, "vi": _VI, "study": columns.study}
    calls = {role: _column(name) for role, name in roles.items()}
    pooled = "pool_effects" if effects else "pool"
    model = f"measure={fit.measure!r}, model={fit.model!r}"
    lines = [
        _comment(title),
        f"# Needs nrm-meta {__version__} (pip install nrm-meta) and {TABLE} beside this file.",
        "# Each line that it prints is a name and a number of the report.",
        "from pathlib import Path",
        *(["from statistics import NormalDist"] if columns.lower is not None else []),
        "",
        *(["import numpy as np"] if effects else []),
        "import pandas as pd",
        "",
        f"from {package} import (",
        "    bias, meta_regression, pool, pool_effects, pool_multilevel, pool_rates, subgroups,",
        ")",
        "",
        "table = pd.read_csv(",
        f"    Path(__file__).with_name({TABLE!r}),",
        f"    dtype={{{calls['study']!r}: str}},",
        "    keep_default_na=False,",
        "    na_values=[''],",
        ")",
        *(
            [f"table[{calls['time']!r}] = {_in_python(columns.size)} / {analysis.per}"]
            if timed
            else _python_effects(columns)
            if effects
            else []
        ),
        f"columns = {calls | {'level': fit.level}!r}",
        f"fit = {pooled}(data=table, **columns, {model})",
        "found = {",
        "    'estimate': fit.estimate,",
        "    'ci_lower': fit.ci[0],",
        "    'ci_upper': fit.ci[1],",
        "    'tau2': fit.tau2,",
        "}",
    ]
    if analysis.beside is not None:
        second = f"measure={analysis.beside.measure!r}, model={analysis.beside.model!r}"
        lines.append(f"found['second model'] = {pooled}(data=table, **columns, {second}).estimate")
    if analysis.groups is not None:
        lines += [
            f"for name, group in subgroups(table, by={_column(columns.by)!r}, **columns, {model}):",
            "    found[f'group {name}'] = group.estimate",
        ]
    lines += _python_clusters(analysis, model)
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
            f"    table, **columns, follow_up={_column(columns.follow_up)!r},",
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
        call_of = {"Egger": "bias.egger(fit)", "Begg and Mazumdar": "bias.begg(fit)"}
        if not effects:
            counts = f"events={_in_python(columns.events)}, n={_in_python(columns.n)}"
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
    method = "EE" if fit.model == "common" else fit.options.tau2_method
    if fit.options.measure in ("effect", "log-ratio") or fit.data.events is None:
        given = f"yi, vi, data = {data}, slab = study{more}, "
    elif fit.model == "glmm":
        points = f'method = "ML", nAGQ = {fit.options.quad_points}'
        return f"rma.glmm({counts}, {points}{test}, level = level, control = tight)"
    else:
        to = fit.options.to or get_measure(fit.options.measure).default_rule
        given = f'{counts}, add = {fit.options.add:g}, to = "{to}", '
    return f'rma({given}method = "{method}"{test}, level = level, control = steady)'


def _r_data(analysis: Analysis) -> list[str]:
    """Lines that make the data of the R script."""
    columns = analysis.columns
    study = f"  study = as.character({_in_r(columns.study)}),"
    if columns.effect is None:
        scaled = f" / {analysis.per}" if columns.time else ""
        return [
            "d <- data.frame(",
            study,
            f"  events = {_in_r(columns.events)},",
            f"  n = {_in_r(columns.size)}{scaled}",
            ")",
        ]
    roles = (columns.effect, columns.lower, columns.upper)
    effect, low, high = (f"on.scale({_in_r(name)})" for name in roles)
    variance = f"(({high} - {low}) / (2 * qnorm({0.5 + LIMITS_LEVEL / 2:g})))^2"
    if columns.se is not None:
        variance = f"{_in_r(columns.se)}^2"
    elif columns.variance is not None:
        variance = _in_r(columns.variance)
    return [
        f"on.scale <- function(x) {_ON_SCALE.get(columns.scale, ('x', 'x'))[1]}",
        "d <- data.frame(",
        study,
        f"  yi = {effect},",
        f"  vi = {variance}",
        ")",
    ]


def _r_clusters(analysis: Analysis, made: _Script) -> None:
    """Add the model of three levels; metafor has that of effects."""
    levels, columns = analysis.levels, analysis.columns
    if analysis.levels is None and analysis.robust is None:
        return
    made.add(
        f"cluster <- as.character({_in_r(columns.cluster)})",
        'cluster <- ifelse(is.na(cluster), paste(d$study, "(alone)"), cluster)',
    )
    if levels is not None and levels.model == "glmm":
        made.add(
            "# three levels of counts: lme4 has the Laplace approximation alone, which differs",
            "# glmer(cbind(events, n - events) ~ 1 + (1 | cluster/study), family = binomial)",
        )
    elif levels is not None and columns.effect is not None:
        call = 'rma.mv(yi, vi, random = ~ 1 | cluster/study, data = d, test = "t")'
        made.show("three levels", f"back({call}$beta[1])")
    if analysis.robust is not None:
        made.add("# the robust interval: robust(..., cluster = cluster, clubSandwich = TRUE)")


def _r_ratings(analysis: Analysis, made: _Script) -> None:
    """Add the groups of a rating, and all but the studies at high risk."""
    if analysis.columns.risk_of_bias is None:
        return
    pairs = [f"{_r(_column(word))} = {_r(level)}" for word, level in _rated(analysis).items()]
    made.add(
        f"words <- c({', '.join(pairs)})",
        f"rating <- unname(words[as.character({_in_r(analysis.columns.risk_of_bias)})])",
    )
    for name, group in analysis.ratings or ():
        if group.k < 2 or group.one_sided:
            made.add(_comment(f"{name}: one study, or nothing varies; not for metafor"))
            continue
        made.add(f"part <- d[which(rating == {_r(str(name))}), ]", "n <- part$n")
        made.show(f"risk of bias {name}", f"back({_r_fit(group, 'part')}$beta[1])")
    low = analysis.low_risk
    if low is not None and low.k > 1 and not low.one_sided:
        made.add(f"part <- d[is.na(rating) | rating != {_r(RATINGS['high'])}, ]", "n <- part$n")
        made.show("without high risk of bias", f"back({_r_fit(low, 'part')}$beta[1])")
    made.add("n <- d$n")


def r_script(analysis: Analysis, title: str) -> str:
    """Write the R script: the same analyses with metafor, whose GLMMs come from lme4.

    It was not run where the report was made, and says so.

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
        *_r_data(analysis),
        f"level <- {100 * fit.level:g}",
        'show <- function(name, x) cat(name, format(x, digits = 10), sep = "\\t", fill = TRUE)',
        'tight <- list(glmerCtrl = list(optimizer = "bobyqa", tolPwrss = 1e-11,',
        "  optCtrl = list(rhobeg = 0.02, rhoend = 1e-11, maxfun = 1e5)))",
        "steady <- list(threshold = 1e-12, maxiter = 1000)",
        *(["n <- d$n"] if columns.effect is None else []),
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
        back = "back" if columns.effect is not None else back
        made.show("second model", f"{back}(second$beta[1])")
    if analysis.groups is not None:
        made.add(f"group <- as.character({_in_r(columns.by)})")
        for name, group in analysis.groups:
            if group.k < 2 or group.one_sided:
                made.add(_comment(f"group {name}: one study, or nothing varies; not for metafor"))
                continue
            made.add(f"part <- d[which(group == {_r(_column(name))}), ]")
            made.add("n <- part$n")
            made.show(f"group {name}", f"back({_r_fit(group, 'part')}$beta[1])")
        made.add("n <- d$n")
    _r_clusters(analysis, made)
    _r_ratings(analysis, made)
    for name, regression in analysis.regressions.items():
        made.add(f"d$x <- {_in_r(name)}", "part <- d[!is.na(d$x), ]")
        call = _r_fit(regression, "part", ", mods = ~ x")
        made.show(f"slope of {name}", f"{call}$beta[2]")
    if analysis.rates is not None:
        made.add(
            f"months <- {_in_r(columns.follow_up)}",
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
    if analysis.tests and columns.effect is None:
        made.add(
            'logits <- escalc(measure = "PLO", xi = events, ni = n, data = d, to = "only0")',
            'angles <- escalc(measure = "PFT", xi = events, ni = n, data = d)',
            'slope <- function(data) rma(yi, vi, mods = ~ sqrt(vi), data = data, method = "ML", '
            'test = "t", control = steady)',
            "p <- function(model) coef(summary(model))[2, 4]",
        )
    calls = {
        "Egger": "coef(summary(lm(yi ~ sqrt(vi), weights = 1 / vi, data = d)))[2, 4]",
        "Begg and Mazumdar": "ranktest(fit)$pval",
        "Egger (logit)": "p(lm(yi ~ sqrt(vi), weights = 1 / vi, data = logits))",
        "Peters (weights from size)": "p(lm(yi ~ I(1 / n), weights = n, data = logits))",
        "Double arcsine": "slope(angles)$pval[2]",
    }
    for name in analysis.tests:
        made.show(f"p of {name}", calls[name])
    return "\n".join(made.lines) + "\n"

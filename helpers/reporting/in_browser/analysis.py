"""From the content of a table to everything the page shows."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ... import printing
from ...engine.distributions import backend
from ...engine.json_values import plain
from ...engine.normal.intervals import Interval
from ...engine.normal.prediction import displayed_prediction
from ...engine.normal.tau2_intervals import is_empty
from ...engine.options import MEASURE
from ...errors import MetaAnalysisError, UnsupportedError
from ...evidence.given import RATINGS, SCALES, rating_of
from ...evidence.opening import open_table, sheet_text
from ...evidence.own import COUNTS, EFFECTS, find_roles
from ...evidence.plain import Counts, read_counts
from ...evidence.pointers import remarks
from ...evidence.problems import EvidenceError
from ...models.pooling import pool, pool_effects
from ...models.population import differs_from_median
from ...models.result import PoolResult
from ...models.subgroup_analysis import GroupTau2, subgroups
from .drawing import forest_svg

#: Roles whose columns are found by their names; the page asks for the others.
ROLES = ("study", *COUNTS, *EFFECTS)


def analyse(
    content: bytes,
    *,
    study: str | None = None,
    events: str | None = None,
    n: str | None = None,
    file: str = "your table",
    per: int = printing.PER[0],
    scale: str | None = None,
    group_tau2: GroupTau2 = "separate",
    columns: Mapping[str, str] | None = None,
    **options: Any,
) -> dict[str, Any]:
    r"""Read a table, pool it with the options of `helpers.pool`, and collect what the page shows.

    Columns that are not named are found by their names, as in `helpers.report`; with a column of
    person-time, in years, rates per so many person-years are pooled. `columns` names others by
    role: ``time``; ``effect`` with ``se`` or ``lower`` and ``upper``, of a `scale`, in place of
    counts; ``by``, groups to compare, with one variance each or a common one; ``risk_of_bias``.

    ``fit``: `PoolResult.to_dict` with ``prediction_interval`` and ``tau2_ci`` (None where they do
    not exist, a limit of None where there is no bound); ``headline``: the result in one sentence;
    ``understood``: what the layout was taken for; ``rows``: pairs of name and printed value;
    ``groups``: tables of groups and of ratings, each with a caption, or with the reason why there
    is none; ``cautions``, those about the table first; ``methods``; ``references``; ``table``: the
    studies as printed; ``svg``: the forest plot; ``csv``: the studies as a table; ``backend``: what
    computed the distribution functions. An error when the table or the choices cannot be used, with
    the reasons.

    Examples
    --------
    >>> shown = analyse(b"study,events,n\nA,3,40\nB,8,60\nC,16,50\n")
    >>> for part in shown["headline"].split("; "):
    ...     print(ascii(part))
    'Pooled estimate (median study) 16.1% (95%\xa0CI 2.9 to 55.1%)'
    'mean across studies 17.7% (95%\xa0CI 3.7 to 55.1%).'
    """
    given = {"study": study, "events": events, "n": n, **(columns or {})}
    table = read_counts(content, given, file=file, scale=scale)
    timed = "time" in table.roles
    labels = [printing.legal(" ".join(label.split())) for label in table.study]
    data = _data(table, per) | {"study": labels}
    usual = SCALES[table.scale] if table.scale else "log-rate" if timed else MEASURE
    options.setdefault("measure", usual)
    if table.scale:  # the first choices of the page are for counts; a common effect stays one
        options["measure"] = usual
        if options.get("model") == "glmm":
            options["model"] = "random"
    pooled: Any = pool_effects if table.scale else pool
    fit = pooled(**data, **options)
    unit = printing.unit_of(fit, per)
    prediction, reason = displayed_prediction(fit)
    tau2_ci, unbounded = _tau2_ci(fit)
    known = None if tau2_ci is None or is_empty(tau2_ci) else tau2_ci
    shown = plain(fit.to_dict() | {"prediction_interval": prediction, "tau2_ci": known})
    said = remarks(
        table.study,
        table.events,
        table.size,
        rows=table.rows,
        lopsided=table.lopsided,
        groups=table.texts.get("by", ()),
    )
    methods, digits = fit.methods(), printing.places_in(fit, unit)
    quantity = f"Rate per {per:,} person-years" if timed else "Proportion"
    if table.scale:
        quantity = table.roles["effect"]
    return {
        "fit": shown,
        "headline": _headline(fit, unit, per),
        "understood": table.understood,
        "roles": dict(table.roles),
        "rows": _rows(fit, prediction or reason, tau2_ci, unbounded, table, unit, per),
        "groups": list(_groups(table, data, options, group_tau2, pooled, unit)),
        "cautions": [*(one.message for one in said), *(c.message for c in fit.cautions)],
        "methods": str(methods),
        "references": [r.doi for r in methods.references],
        "table": _table(shown, table.rows, unit, digits),
        "svg": forest_svg(shown, unit, quantity, digits),
        "csv": _csv(shown["studies"]),
        "backend": backend(),
    }


def _data(table: Counts, per: int) -> dict[str, Any]:
    """Give counts, or effects with their variances, as `helpers.pool` and its like take them."""
    if table.scale:
        return {"yi": list(table.yi), "vi": list(table.vi)}
    timed = "time" in table.roles
    sizes = [math.nan if size is None else size / (per if timed else 1) for size in table.size]
    events = [math.nan if x is None else x for x in table.events]
    return {"events": events, "time" if timed else "n": sizes}


def _groups(
    table: Counts,
    data: dict[str, Any],
    options: dict[str, Any],
    group_tau2: GroupTau2,
    pooled: Any,
    unit: printing.Unit,
) -> Iterator[dict[str, Any]]:
    """Pool the groups, and the ratings of the risk of bias; say why where that cannot be."""
    for role, name in (("by", table.roles.get("by", "")), ("risk_of_bias", "Risk of bias")):
        if role not in table.texts:
            continue
        members = list(table.texts[role])
        if role == "risk_of_bias":
            members = [None if one is None else RATINGS[rating_of(one)] for one in members]
        try:
            found = subgroups(by=members, group_tau2=group_tau2, **data, **options)
            fits = dict(found.groups)
            test = found.test
            said = f"Test between groups: {test.kind}"
            if test.df:
                freedom = printing.counted(test.df, "degree of freedom", "degrees of freedom")
                said = (
                    f"Test between groups: Q = {printing.number(test.statistic, 2)} on {freedom}, "
                    f"{printing.p_value(test.p)}; the command “report” calibrates it by simulation"
                )
            notes = [f"{said}.", *(caution.message for caution in found.cautions)]
        except MetaAnalysisError as error:
            fits, notes = {}, [f"No comparison: {error}"]
        if role == "risk_of_bias" and RATINGS["high"] in members:
            keep = [i for i, one in enumerate(members) if one != RATINGS["high"]]
            rest = {key: [values[i] for i in keep] for key, values in data.items()}
            try:
                fits["All but high risk"] = pooled(**rest, **options)
            except MetaAnalysisError as error:
                notes.append(f"Without studies at high risk: {error}")
        yield {
            "caption": name,
            "head": ["Group", "Studies", f"Estimate{printing.unit_heading(unit)}", "CI", "τ²"],
            "rows": [_group_row(group, fit, unit) for group, fit in fits.items()],
            "notes": notes,
        }


def _group_row(name: str, fit: PoolResult, unit: printing.Unit) -> list[str]:
    digits = printing.places_in(fit, unit)
    numbers = (fit.estimate, *fit.ci)
    value, low, high = (printing.value(one, unit, digits, bare=True) for one in numbers)
    tau2 = "–" if fit.one_sided else printing.number(fit.tau2, 3)
    return [name, printing.count(fit.k), value, f"{low} to {high}", tau2]


def look(
    content: bytes,
    *,
    sheet: str | None = None,
    file: str = "your table",
    columns: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    r"""Say what a table is taken for: its columns, those with a role, its sheets.

    `columns` are those that the reader named, by role; the others are found by their names, as in
    `analyse`. ``text``: the sheet of a spreadsheet as CSV, row by row, or None for a text file.

    Examples
    --------
    >>> look(b"Author;Cases;Total\nA;3;40\n")["roles"]
    {'study': 'Author', 'events': 'Cases', 'n': 'Total'}
    """
    text, sheets = None, list[str]()
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        text, sheets = sheet_text(content, file, sheet)
        content = text.encode("utf-8")
    seen: dict[str, Any] = {"text": text, "sheets": sheets, "header": [], "roles": {}}
    try:
        opened = open_table(content, file=file)
    except EvidenceError:
        if text is None:
            raise
        return seen | {"understood": ""}  # shown all the same: another sheet can be chosen
    header = list(dict.fromkeys(opened.sheet.header))
    named = {role: name for role, name in (columns or {}).items() if name in header}
    found, _ = find_roles(header, named)
    roles = {role: name for role, name in found.items() if role in {*ROLES, *named}}
    return seen | {"header": header, "roles": roles, "understood": "; ".join(opened.understood)}


def analyse_json(request: str) -> str:
    r"""Answer a request of the page, both as JSON: the content of the table and other arguments.

    ``content`` is text, or ``base64`` the bytes of a file. With ``look`` the answer is that of
    `look`. ``{"ok": true, ...}`` with the result, or ``{"ok": false}`` with ``message`` and, for a
    table, ``problems`` (file, row, column, value, expected).

    Examples
    --------
    >>> print(analyse_json('{"content": "study,events,n\\nA,5,4\\n", "model": "glmm"}'))
    ... # doctest: +ELLIPSIS
    {"ok": false, "message": "1 problem in your table:...
    """
    arguments = json.loads(request)
    call: Any = look if arguments.pop("look", False) else analyse
    if "base64" in arguments:
        content = base64.b64decode(arguments.pop("base64"))
    else:
        content = arguments.pop("content").encode("utf-8")
    try:
        answer: dict[str, Any] = {"ok": True, **call(content, **arguments)}
    except EvidenceError as error:
        names = ("file", "row", "column", "value", "expected")
        problems = [{name: getattr(p, name) for name in names} for p in error.problems]
        answer = {"ok": False, "message": str(error), "problems": problems}
    except MetaAnalysisError as error:
        answer = {"ok": False, "message": str(error), "problems": []}
    return json.dumps(answer, ensure_ascii=False, allow_nan=False)


def _headline(fit: PoolResult, unit: printing.Unit, per: int) -> str:
    """Say the estimate, and the mean across studies where it is another number."""
    rate = f" of events per {per:,} person-years" if fit.time is not None else ""
    value = printing.estimate(fit, unit=unit)
    if not differs_from_median(fit):
        return f"Pooled estimate{rate} {value}."
    return (
        f"Pooled estimate{rate} (median study) {value}; mean across studies "
        f"{printing.mean_estimate(fit, unit=unit)}."
    )


def _tau2_ci(fit: PoolResult) -> tuple[Interval | None, str]:
    """Return the interval of tau2, or None with what the data say of it, if anything."""
    try:
        return fit.tau2_ci(), ""
    except UnsupportedError:  # the model, or one study, has no such interval
        return None, ""
    except MetaAnalysisError as error:  # the data do not bound it: the rest is still a result
        return None, str(error)


def _rows(
    fit: PoolResult,
    prediction: Interval | str,
    tau2_ci: Interval | None,
    unbounded: str,
    table: Counts,
    unit: printing.Unit,
    per: int,
) -> list[tuple[str, str]]:
    """Names and printed values of the table of results."""
    level, h = printing.level_text(fit.level), fit.heterogeneity
    unknown = "cannot be estimated without an event, or with nothing but events"
    tau2 = "0 (one common effect)"
    if fit.model != "common":
        tau2 = unknown if fit.one_sided else printing.number(fit.tau2, 3)
    if tau2_ci is not None and is_empty(tau2_ci):
        tau2 += f" (the {level} Q-profile interval is empty)"
    elif tau2_ci is not None:
        bounded = math.isfinite(tau2_ci.upper)
        upper = printing.number(tau2_ci.upper, 3) if bounded else "no upper limit"
        tau2 += f" ({level} CI {printing.number(tau2_ci.lower, 3)} to {upper})"
    if unbounded:
        tau2 += f" (no {level} CI: {unbounded})"
    test = f"Test of one common {'value' if fit.kind == 'effect' else 'rate'} ({h.test})"
    tested = unknown if fit.one_sided else "needs two studies"
    if h.df and not fit.one_sided:
        freedom = f"{h.df} {'degree' if h.df == 1 else 'degrees'} of freedom"
        tested = f"{printing.number(h.Q, 1)} on {freedom}, {printing.p_value(h.p)}"
    mean = printing.mean_estimate(fit, unit=unit) if differs_from_median(fit) else ""
    rows = {"Studies": _studies(fit, table.rows)}
    if fit.time is not None:
        years = printing.count(round(fit.time * per))
        rows["Events in person-years"] = f"{printing.count(fit.events or 0.0)} in {years}"
    elif fit.n is not None and fit.events is not None:
        rows["Events of patients"] = printing.share(fit.events, fit.n)
    pooled = "Pooled estimate (median study)" if mean else "Pooled estimate"
    rows[pooled] = printing.value(fit.estimate, unit, printing.places_in(fit, unit))
    rows[f"{level} confidence interval"] = printing.value_range(fit.ci, unit)
    if mean:
        rows["Mean across studies"] = mean
    rows[f"{level} prediction interval"] = (
        prediction if isinstance(prediction, str) else printing.value_range(prediction, unit)
    )
    rows["τ² (between studies)"] = tau2
    rows["I²"] = unknown if fit.one_sided else f"{printing.number(h.I2, 1)}%"
    rows[test] = tested
    return list(rows.items())


def _studies(fit: PoolResult, rows: Sequence[int]) -> str:
    """Print the number of studies, and each that was left out with its row and the reason."""
    left = printing.each_left_out(fit.data.labels, rows, fit.data.reason)
    return printing.count(fit.k) + (f" (left out: {'; '.join(left)})" if left else "")


#: So many studies are listed on the page; files have all of them.
LISTED = 500


def _table(
    fit: dict[str, Any], rows: Sequence[int], unit: printing.Unit, digits: int
) -> dict[str, Any]:
    """Print the studies as the page lists them, with the row of each and why it was left out."""
    size = "time" if fit["n"] is None else "n"
    counts = ("events", size) if fit["events"] is not None else ()
    head = ["Row", "Study"]
    head += ["Events", "n" if size == "n" else "Person-time"] if counts else []
    head += [f"Estimate{printing.unit_heading(unit)}", "CI lower", "CI upper", "Weight %"]
    left = any(row["reason"] for row in fit["studies"])

    def shown(value: float | None) -> str:
        return "" if value is None else printing.value(value, unit, digits, bare=True)

    body = [
        [
            str(place),
            str(row["study"]),
            *("" if row[name] is None else f"{row[name]:,.10g}" for name in counts),
            *(shown(row[name]) for name in ("estimate", "ci_lower", "ci_upper")),
            f"{row['weight']:.2f}",
            *([printing.readable(row["reason"])] if left else []),
        ]
        for place, row in zip(rows, fit["studies"][:LISTED], strict=False)
    ]
    return {"head": [*head, *(["Left out because"] if left else [])], "rows": body}


def _csv(studies: list[dict[str, Any]]) -> str:
    """Studies as a CSV table, empty where a value is missing; no cell is a formula."""

    def cell(value: Any) -> Any:
        return (
            "" if value is None else printing.no_formula(value) if isinstance(value, str) else value
        )

    out = io.StringIO()
    writer = csv.DictWriter(out, list(studies[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: cell(value) for name, value in row.items()} for row in studies)
    return out.getvalue()

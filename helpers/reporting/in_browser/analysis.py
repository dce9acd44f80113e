"""From the content of a CSV file to everything the page shows."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from ... import printing
from ...engine.distributions import backend
from ...engine.normal.prediction import displayed_prediction
from ...engine.normal.tau2_intervals import is_empty
from ...errors import MetaAnalysisError, UnsupportedError
from ...evidence.plain import read_counts
from ...evidence.problems import EvidenceError
from ...models.pooling import pool
from ...models.population import differs_from_median
from .drawing import forest_svg

if TYPE_CHECKING:
    from ...engine.normal.intervals import Interval
    from ...models.result import PoolResult

__all__ = ["analyse", "analyse_json"]


def analyse(
    content: bytes,
    *,
    study: str = "study",
    events: str = "events",
    n: str = "n",
    file: str = "your table",
    **options: Any,
) -> dict[str, Any]:
    r"""Read a table, pool it with the options of `helpers.pool`, and collect what the page shows.

    ``fit``: `PoolResult.to_dict` with ``prediction_interval`` and ``tau2_ci`` (None where they do
    not exist, a limit of None where there is no bound); ``headline``: the result in one sentence;
    ``rows``: pairs of name and printed value; ``cautions``; ``methods``; ``references``; ``svg``:
    the forest plot; ``csv``: the studies as a table; ``backend``: what computed the distribution
    functions. An error when the table or the choices cannot be used, with the reasons.

    Examples
    --------
    >>> shown = analyse(b"study,events,n\nA,3,40\nB,8,60\nC,16,50\n")
    >>> for part in shown["headline"].split("; "):
    ...     print(ascii(part))
    'Pooled estimate (median study) 16.1% (95%\xa0CI 2.9 to 55.1%)'
    'mean over studies 17.7% (95%\xa0CI 3.7 to 55.1%).'
    """
    table = read_counts(content, study=study, events=events, n=n, file=file)
    fit = pool(events=table.events, n=table.n, study=table.study, **options)
    prediction, reason = displayed_prediction(fit)
    tau2_ci, unbounded = _tau2_ci(fit)
    plain = fit.to_dict()
    plain["prediction_interval"] = None if prediction is None else list(prediction)
    plain["tau2_ci"] = (
        None
        if tau2_ci is None or is_empty(tau2_ci)
        else [v if _finite(v) else None for v in tau2_ci]
    )
    methods = fit.methods()
    return {
        "fit": plain,
        "headline": _headline(fit),
        "rows": _rows(fit, prediction or reason, tau2_ci, unbounded),
        "cautions": [c.message for c in fit.cautions],
        "methods": str(methods),
        "references": [r.doi for r in methods.references],
        "svg": forest_svg(plain),
        "csv": _csv(plain["studies"]),
        "backend": backend(),
    }


def analyse_json(request: str) -> str:
    r"""Answer a request of the page, both as JSON: the content of the table and other arguments.

    ``{"ok": true, ...}`` with the result of `analyse`, or ``{"ok": false}`` with ``message`` and,
    for a table, ``problems`` (file, row, column, value, expected).

    Examples
    --------
    >>> print(analyse_json('{"content": "study,events,n\\nA,5,4\\n", "model": "glmm"}'))
    ... # doctest: +ELLIPSIS
    {"ok": false, "message": "1 problem in your table:...
    """
    arguments = json.loads(request)
    content = arguments.pop("content").encode("utf-8")
    try:
        answer: dict[str, Any] = {"ok": True, **analyse(content, **arguments)}
    except EvidenceError as error:
        names = ("file", "row", "column", "value", "expected")
        problems = [{name: getattr(p, name) for name in names} for p in error.problems]
        answer = {"ok": False, "message": str(error), "problems": problems}
    except MetaAnalysisError as error:
        answer = {"ok": False, "message": str(error), "problems": []}
    return json.dumps(answer, ensure_ascii=False, allow_nan=False)


def _headline(fit: PoolResult) -> str:
    """Say the estimate, and the mean over studies where it is another number."""
    if not differs_from_median(fit):
        return f"Pooled estimate {printing.estimate(fit)}."
    return (
        f"Pooled estimate (median study) {printing.estimate(fit)}; mean over studies "
        f"{printing.mean_estimate(fit)}."
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
    fit: PoolResult, prediction: Interval | str, tau2_ci: Interval | None, unbounded: str
) -> list[tuple[str, str]]:
    """Names and printed values of the table of results."""
    level = printing.level_text(fit.level)
    h = fit.heterogeneity
    unknown = "cannot be estimated without an event, or with nothing but events"
    tau2 = "0 (one common effect)"
    if fit.model != "common":
        tau2 = unknown if fit.one_sided else printing.number(fit.tau2, 3)
    if tau2_ci is not None and is_empty(tau2_ci):
        tau2 += f" (the {level} Q-profile interval is empty)"
    elif tau2_ci is not None:
        upper = printing.number(tau2_ci.upper, 3) if _finite(tau2_ci.upper) else "no upper limit"
        tau2 += f" ({level} CI {printing.number(tau2_ci.lower, 3)} to {upper})"
    if unbounded:
        tau2 += f" (no {level} CI: {unbounded})"
    return [
        ("Studies", _studies(fit)),
        ("Events of patients", printing.share(fit.events or 0.0, fit.n or 1.0)),
        ("Pooled estimate", printing.percent(fit.estimate, printing.places_of(fit))),
        (f"{level} confidence interval", printing.percent_range(fit.ci)),
        *([("Mean over studies", printing.mean_estimate(fit))] if differs_from_median(fit) else []),
        (
            f"{level} prediction interval",
            prediction if isinstance(prediction, str) else printing.percent_range(prediction),
        ),
        ("τ² (between studies)", tau2),
        ("I²", unknown if fit.one_sided else f"{printing.number(h.I2, 1)}%"),
        (
            f"Test of one common rate ({h.test})",
            unknown
            if fit.one_sided
            else f"{printing.number(h.Q, 1)} on {h.df} degrees of freedom, {printing.p_value(h.p)}"
            if h.df
            else "needs two studies",
        ),
    ]


def _studies(fit: PoolResult) -> str:
    """Print the number of studies, and each that was left out with the reason."""
    left = [
        f"{label}: {reason}"
        for label, reason in zip(fit.data.labels, fit.data.reason, strict=True)
        if reason
    ]
    return printing.count(fit.k) + (f" (left out: {'; '.join(left)})" if left else "")


def _finite(value: float) -> bool:
    return abs(value) < float("inf")


def _csv(studies: list[dict[str, Any]]) -> str:
    """Studies as a CSV table, empty where a value is missing."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(studies[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: "" if v is None else v for k, v in row.items()} for row in studies)
    return out.getvalue()

"""The sections of a report, in the order in which it is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from .. import printing
from ..views import prose
from ..views.plots import Picture
from ..views.subject import Subject
from . import sentences, tables
from .analysis import Analysis, NotComputed
from .cautions import cautions_of
from .citations import bibliography, citation
from .html import Section, paragraph

if TYPE_CHECKING:
    from ..engine.literature import Reference

__all__ = ["references_of", "sections"]

#: Sources of what every report does, besides those of its fits.
_ALWAYS = ("higgins2002", "higgins2009")


def sections(
    analysis: Analysis,
    subject: Subject,
    pictures: Mapping[str, Picture],
    missing: Iterable[NotComputed],
) -> list[Section]:
    """Write every section whose results exist, and one on what does not exist."""
    made = [
        _summary(analysis, subject),
        _data(analysis, subject),
        _pooled(analysis, subject, pictures),
    ]
    made.append(_heterogeneity(analysis, subject, pictures))
    if analysis.groups is not None:
        body = [
            paragraph(sentences.groups(analysis, subject)),
            tables.groups_table(analysis, subject).html,
        ]
        made.append(Section("subgroups", "Subgroups", tuple(body)))
    if analysis.regressions:
        made.append(_regressions(analysis, subject, pictures))
    if analysis.rates is not None:
        body = [
            paragraph(sentences.rates(analysis, subject)),
            tables.rates_table(analysis, subject).html,
        ]
        made.append(Section("person-time", "Events per person-time", tuple(body)))
    if analysis.leave_one_out is not None:
        body = [paragraph(sentences.deletion(analysis, subject))]
        body += _shown(pictures, "without-each", "influence", "baujat")
        made.append(Section("single-cohorts", f"What single {subject.studies} do", tuple(body)))
    if analysis.tests:
        body = [
            paragraph(sentences.small_studies(analysis)),
            tables.tests_table(analysis, subject).html,
        ]
        body += _shown(pictures, "funnel")
        made.append(
            Section("small-cohorts", f"Do small {subject.studies} tell another story?", tuple(body))
        )
    made.append(_cautions(analysis, subject))
    reasons = list(missing)
    if reasons:
        made.append(_missing(reasons))
    return [*made, _methods(analysis)]


def _shown(pictures: Mapping[str, Picture], *names: str) -> list[str]:
    return [pictures[name]._repr_html_() for name in names if name in pictures]


def _summary(analysis: Analysis, subject: Subject) -> Section:
    fit = analysis.fit
    numbers = {
        subject.studies: printing.count(fit.k),
        subject.n.lower(): printing.count(fit.n or 0),
        subject.events.lower(): printing.count(fit.events or 0),
    }
    return Section(
        "answer",
        "The answer",
        (
            paragraph(sentences.answer(analysis, subject), "answer"),
            str(prose.facts(numbers)),
            "<h3>How to report it</h3>",
            f"<blockquote>{paragraph(sentences.for_a_paper(analysis, subject))}</blockquote>",
        ),
    )


def _data(analysis: Analysis, subject: Subject) -> Section:
    columns, data = analysis.columns, analysis.data
    roles: list[tuple[str, Any]] = [
        (subject.study, columns.study),
        ("events", columns.events),
        ("people at risk", columns.n),
        ("group", columns.by),
        ("follow-up in months", columns.follow_up),
        ("covariates", ", ".join(columns.covariates) or None),
    ]
    used = "".join(
        f"<li>{escape(role)}: <code>{escape(str(name))}</code></li>"
        for role, name in roles
        if name is not None
    )
    body = [
        paragraph(
            f"The table has {printing.counted(len(data), 'row')} and passed every check: labels "
            "that are used once, whole counts, no more events than people, numbers where numbers "
            f"belong. One row of it is one {subject.study}."
        ),
        f"<ul>{used}</ul>",
    ]
    empty = {
        name: int(data[name].isna().sum())
        for name in (columns.by, columns.follow_up, *columns.covariates)
        if name is not None and data[name].isna().any()
    }
    if empty:
        listed = printing.listing(f"{name} ({printing.count(n)})" for name, n in empty.items())
        body.append(
            paragraph(
                f"Empty cells: {listed}. These {subject.studies} are left out where the column is "
                "needed."
            )
        )
    if analysis.unused:
        body.append(
            paragraph(
                f"Not used: {printing.listing(analysis.unused)}. A numeric column becomes a "
                "moderator when it is named as a covariate; decide that before you look."
            )
        )
    return Section("table", "The table", tuple(body))


def _pooled(analysis: Analysis, subject: Subject, pictures: Mapping[str, Picture]) -> Section:
    body = [
        *_shown(pictures, "forest"),
        "<h3>Does the model matter?</h3>",
        paragraph(sentences.models(analysis, subject)),
        tables.models_table(analysis, subject).html,
    ]
    return Section("pooled", "Pooled estimate", tuple(body))


def _heterogeneity(
    analysis: Analysis, subject: Subject, pictures: Mapping[str, Picture]
) -> Section:
    body = [paragraph(sentences.heterogeneity(analysis, subject)), *_shown(pictures, "prediction")]
    return Section("heterogeneity", f"How different the {subject.studies} are", tuple(body))


def _regressions(analysis: Analysis, subject: Subject, pictures: Mapping[str, Picture]) -> Section:
    body = []
    for place, column in enumerate(analysis.regressions, start=1):
        body.append(f"<h3>{escape(column.replace('_', ' ').capitalize())}</h3>")
        body.append(paragraph(sentences.regression(analysis, column, subject)))
        body += _shown(pictures, f"regression-{place}")
    return Section("meta-regression", "Meta-regression", tuple(body))


def _cautions(analysis: Analysis, subject: Subject) -> Section:
    found, many = cautions_of(analysis), printing.capital(subject.studies)
    general = [
        f"Crude proportions count the events seen so far. {many} that are followed longer see "
        "more of them.",
        f"{many} that share people make every interval too narrow; the table cannot show it.",
        f"Nothing here says whether the {subject.studies} were chosen fairly or answer one "
        "question.",
    ]
    lines = [
        f"<li><strong>{escape(one.where)}</strong> (<code>{escape(one.code)}</code>): "
        f"{escape(one.message, quote=False)}"
        + (f'<span class="advice">{escape(one.advice, quote=False)}</span>' if one.advice else "")
        + "</li>"
        for one in found
    ]
    head = (
        f"The fits carry {printing.counted(len(found), 'caution')}; under each stands what to do."
        if found
        else "The fits carry no caution of their own."
    )
    body = [paragraph(head)]
    if lines:
        body.append(f'<ul class="cautions">{"".join(lines)}</ul>')
    body.append("<h3>What no fit can know</h3>")
    body.append(f"<ul>{''.join(f'<li>{escape(text, quote=False)}</li>' for text in general)}</ul>")
    return Section("cautions", "Cautions", tuple(body))


def _missing(reasons: list[NotComputed]) -> Section:
    items = "".join(
        f"<li><strong>{escape(one.what)}</strong>: {escape(one.reason, quote=False)}</li>"
        for one in reasons
    )
    return Section(
        "not-computed",
        "What this table does not allow",
        (
            paragraph("These parts of a report are missing, each with its reason."),
            f"<ul>{items}</ul>",
        ),
    )


def references_of(analysis: Analysis) -> list[Reference]:
    """Collect the sources of everything that was computed, each once."""
    parts: list[Any] = [analysis.fit, analysis.beside, analysis.rates, analysis.null]
    parts += [*analysis.regressions.values(), *analysis.tests.values()]
    found: dict[str, Reference] = {}
    for part in parts:
        for reference in part.methods().references if part is not None else ():
            found.setdefault(reference.key, reference)
    from ..engine.literature import references

    for reference in references(*_ALWAYS):
        found.setdefault(reference.key, reference)
    return sorted(found.values(), key=lambda one: one.key)


def _methods(analysis: Analysis) -> Section:
    parts: list[Any] = [analysis.fit, analysis.beside, analysis.rates, analysis.null]
    parts += [*analysis.regressions.values(), *analysis.tests.values()]
    said = dict.fromkeys(_sentence(str(part.methods())) for part in parts if part is not None)
    items = []
    for one in references_of(analysis):
        text = citation(one.key) if one.key in bibliography() else one.key
        link = (
            f' <a href="https://doi.org/{escape(one.doi, quote=True)}">doi:{escape(one.doi)}</a>'
            if one.doi
            else ""
        )
        items.append(f"<li>{escape(text, quote=False)}{link}</li>")
    body = (
        paragraph(" ".join(said)),
        "<h3>Sources of the methods</h3>",
        f'<ul class="references">{"".join(items)}</ul>',
    )
    return Section("methods", "Methods and sources", body)


def _sentence(text: str) -> str:
    return text if text.endswith(".") else text + "."

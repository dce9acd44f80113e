"""The sections of a report, in the order in which it is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from .. import printing
from ..engine.literature import Reference, references
from ..evidence.pages import page_content
from ..version import __version__
from ..views import prose
from ..views.plots import Picture
from ..views.subject import Subject
from . import document, sentences, tables
from .analysis import Analysis, NotComputed
from .cautions import TABLE, ListedCaution, cautions_of
from .citations import bibliography, citation
from .exports import DPI
from .files import ARCHIVE
from .html import Section, paragraph

#: Sources of what every report does, besides those of its fits.
_ALWAYS = ("higgins2002", "higgins2009")


def sections(
    analysis: Analysis,
    subject: Subject,
    pictures: Mapping[str, str],
    missing: Iterable[NotComputed],
) -> list[Section]:
    """Write every section whose results exist, and one on what does not exist.

    `pictures` are the HTML of each figure, see `with_files`.
    """
    many = subject.studies
    made = [
        _summary(analysis, subject),
        _data(analysis, subject),
        _pooled(analysis, subject, pictures),
        Section(
            "heterogeneity",
            f"How different the {many} are",
            (
                paragraph(sentences.heterogeneity(analysis, subject)),
                *_shown(pictures, "prediction"),
            ),
        ),
    ]

    def add(name: str, title: str, text: str, *more: str) -> None:
        made.append(Section(name, title, (paragraph(text), *more)))

    if analysis.groups is not None:
        table = tables.groups_table(analysis, subject, analysis.groups).html
        shown = _shown(pictures, "subgroup-forest")
        add("subgroups", "Subgroups", sentences.groups(analysis, subject), table, *shown)
    if analysis.levels is not None or analysis.robust is not None:
        table = tables.clusters_table(analysis, subject).html
        cluster = printing.readable(str(analysis.columns.cluster))
        title = f"{printing.capital(many)} that share a {cluster}"
        add("clusters", title, sentences.clusters(analysis, subject), table)
    if analysis.ratings is not None or analysis.low_risk is not None:
        more = []
        if analysis.ratings is not None:
            more = [tables.groups_table(analysis, subject, analysis.ratings, "ratings").html]
        add("risk-of-bias", "Risk of bias", sentences.risk_of_bias(analysis, subject), *more)
    if analysis.regressions:
        made.append(_regressions(analysis, subject, pictures))
    if analysis.rates is not None:
        table = tables.rates_table(analysis, subject).html
        text = sentences.rates(analysis, subject)
        add("person-time", "Events per person-time", text, table)
    if analysis.leave_one_out is not None:
        shown = _shown(pictures, "without-each", "influence", "baujat")
        text = sentences.deletion(analysis, subject)
        add("single-cohorts", f"What single {many} do", text, *shown)
    if analysis.tests:
        table, text = (
            tables.table_of_tests(analysis, subject).html,
            sentences.small_studies(analysis),
        )
        shown = _shown(pictures, "funnel")
        add("small-cohorts", f"Do small {many} give different results?", text, table, *shown)
    made.append(_cautions(analysis, subject))
    reasons = [
        f"<strong>{escape(one.what)}</strong>: {escape(one.reason, quote=False)}" for one in missing
    ]
    if reasons:
        text = "These parts of a report are missing, each with its reason."
        add("not-computed", "What this table does not allow", text, _list(reasons))
    return [*made, _methods(analysis, subject)]


def _list(items: Iterable[str], kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f"<ul{attribute}>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def _shown(pictures: Mapping[str, str], *names: str) -> list[str]:
    return [pictures[name] for name in names if name in pictures]


def with_files(picture: Picture, files: Iterable[str]) -> str:
    """Give the HTML of a picture, followed by links to the files of it that stand beside the page.

    >>> from helpers.views import plots
    >>> shown = plots.Picture("line", "<svg/>", "Line", "A line.", "It rises.", 9, 9, 9, None)
    >>> print(with_files(shown, ["figure-line.svg", "figure-lines.svg"]).splitlines()[-1])
    <p class="files">This figure as <a href="figure-line.svg" download>SVG</a></p>
    """
    html = picture._repr_html_()
    links = [
        f'<a href="{escape(name, quote=True)}" download>{escape(kind.upper())}</a>'
        for name in files
        for stem, _, kind in [name.rpartition(".")]
        if stem == f"figure-{picture.name}"
    ]
    return f'{html}\n<p class="files">This figure as {", ".join(links)}</p>' if links else html


#: Name or ending of a file -> what it is; the first that fits.
_KINDS: dict[str, str] = page_content("", Path(__file__).with_name("files.toml"))


def files_section(files: Iterable[str], subject: Subject) -> Section:
    """List the files beside the page."""
    rows = [
        f'<a href="{escape(name, quote=True)}" download>{escape(name)}</a>: '
        f"{escape(what.format(study=subject.study))}"
        for name in [ARCHIVE, *files]
        for what in [next((said for end, said in _KINDS.items() if name.endswith(end)), "")]
        if what
    ]
    if not document.possible():
        rows.append(f"No Word document: {escape(document.REASON)}.")
    text = (
        "These files are beside this page. Each figure has its own links below it: PNG and TIFF "
        f"have {DPI} pixels per inch, SVG and PDF none, so that they stay sharp at any size."
    )
    return Section("files", "Files", (paragraph(text), _list(rows)))


def _summary(analysis: Analysis, subject: Subject) -> Section:
    fit = analysis.fit
    paper = sentences.for_a_paper(analysis, subject, methods=False)
    numbers = {subject.study if fit.k == 1 else subject.studies: printing.count(fit.k)}
    if fit.n is not None:
        numbers[subject.n.lower()] = printing.count(fit.n)
    elif fit.time is not None:
        numbers["person-years"] = printing.count(round(fit.time * analysis.per))
    if fit.events is not None:
        numbers[subject.events.lower()] = printing.count(fit.events)
    return Section(
        "answer",
        "The answer",
        (
            paragraph(sentences.answer(analysis, subject), "answer"),
            *_of_the_table(analysis, subject),
            str(prose.facts(numbers)),
            "<h3>How to report it</h3>",
            f"<blockquote>{paragraph(paper)}</blockquote>",
        ),
    )


def _of_the_table(analysis: Analysis, subject: Subject) -> list[str]:
    """Say beside the answer what looks odd in the table: the answer may be wrong because of it."""
    found = [one for one in cautions_of(analysis) if one.where == TABLE]
    if not found:
        return []
    return ["<h3>Check first</h3>", _list((_words_of(one, subject) for one in found), "cautions")]


def _words_of(one: ListedCaution, subject: Subject) -> str:
    """Write what a caution says, and below it what to do."""
    message, advice = (
        escape(sentences.own_nouns(text, subject), quote=False)
        for text in (one.message, one.advice)
    )
    return f'{message} <span class="advice">{advice}</span>' if advice else message


def left_out(analysis: Analysis) -> list[str]:
    """Name each row that no result rests on, with its place in the spreadsheet and the reason."""
    data = analysis.fit.data
    places = analysis.rows or (None,) * len(data.labels)
    return printing.each_left_out(data.labels, places, data.reason)


def _data(analysis: Analysis, subject: Subject) -> Section:
    columns, data = analysis.columns, analysis.data
    fit = analysis.fit
    roles: list[tuple[str, Any]] = [
        (subject.study, columns.study),
        ("events", columns.events),
        (f"{subject.people} at risk", columns.n),
        ("person-years", columns.time),
        (f"effects ({columns.scale.replace('-', ' ')})", columns.effect),
        ("standard errors", columns.se),
        ("variances", columns.variance),
        ("lower limits", columns.lower),
        ("upper limits", columns.upper),
        ("clusters", columns.cluster),
        ("risk of bias", columns.risk_of_bias),
        ("group", columns.by),
        (f"follow-up in {columns.follow_up_unit}", columns.follow_up),
        ("covariates", ", ".join(columns.covariates) or None),
    ]
    used = [
        f"{escape(role)}: <code>{escape(str(name))}</code>"
        for role, name in roles
        if name is not None
    ]
    rule = f"counts are whole numbers, no row has more events than {subject.people}"
    if fit.n is None:
        rule = "counts are whole numbers, person-time is above 0"
    if columns.effect is not None:
        spread = "variances" if columns.variance else "standard errors"
        rule = "each effect lies between its limits" if columns.lower else f"{spread} are above 0"
    labels = data[columns.study].astype(str)
    again = labels.str.fullmatch(r".* \(row [0-9]+\)").any()
    once = "a label used more than once got its row, " if again else "each label is used once, "
    body = [
        paragraph(
            f"The table has {printing.counted(len(data), 'row')} and passed every check: {once}"
            f"{rule}, and numeric columns contain numbers. Each row is taken as one "
            f"{subject.study}."
        ),
        _list(used),
    ]
    if analysis.understood:
        body.insert(0, paragraph(f"Read as: {analysis.understood}."))
    left = left_out(analysis)
    if left:
        head = f"{printing.capital(printing.counted(len(left), *subject.noun))} left out:"
        body.append(paragraph(head) + _list(escape(text, quote=False) for text in left))
    empty = {
        name: int(data[name].isna().sum())
        for name in (
            columns.by,
            columns.risk_of_bias,
            columns.follow_up,
            *columns.covariates,
        )
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
        numeric = any(data[name].dtype.kind in "iuf" for name in analysis.unused)
        role = "moderator (covariate)" if numeric else "group, a cluster or a rating"
        body.append(
            paragraph(
                f"Not used: {printing.listing(analysis.unused)}. Such a column is used as a {role} "
                "only when it is named; decide this before you look at the results."
            )
        )
    return Section("table", "The table", tuple(body))


def _pooled(analysis: Analysis, subject: Subject, pictures: Mapping[str, str]) -> Section:
    body = [
        *_shown(pictures, "forest"),
        "<h3>Does the model matter?</h3>",
        paragraph(sentences.models(analysis, subject)),
        tables.models_table(analysis, subject).html,
    ]
    return Section("pooled", "Pooled estimate", tuple(body))


def _regressions(analysis: Analysis, subject: Subject, pictures: Mapping[str, str]) -> Section:
    body = []
    for place, column in enumerate(analysis.regressions, start=1):
        heading = printing.capital(analysis.moderator(column))
        body.append(f"<h3>{escape(heading)}</h3>")
        body.append(paragraph(sentences.regression(analysis, column, subject)))
        body += _shown(pictures, f"regression-{place}")
    return Section("meta-regression", "Meta-regression", tuple(body))


def _cautions(analysis: Analysis, subject: Subject) -> Section:
    found = [one for one in cautions_of(analysis) if one.where != TABLE]
    general = [
        *(
            [
                f"Crude proportions count the events observed so far; {subject.studies} with "
                "longer follow-up observe more of them."
            ]
            if analysis.fit.n is not None
            else []
            if analysis.fit.events is None
            else ["A rate per person-time assumes that the risk is constant over time."]
        ),
        f"If {subject.studies} share {subject.people}, every interval is too narrow; the "
        "table cannot show this."
        if analysis.columns.cluster is None
        else f"If {subject.studies} share {subject.people}, every interval that takes "
        "them as independent is too narrow.",
        f"Nothing here shows whether the {subject.studies} were selected without bias or address "
        "the same question.",
    ]
    lines = [
        f"<strong>{escape(one.where)}</strong> (<code>{escape(one.code)}</code>): "
        f"{_words_of(one, subject)}"
        for one in found
    ]
    head = (
        f"The fits raise {printing.counted(len(found), 'caution')}, each followed by what to do."
        if found
        else "The fits raise no cautions of their own."
    )
    body = [paragraph(head), *([_list(lines, "cautions")] if lines else [])]
    body += [
        "<h3>What no model can show</h3>",
        _list(escape(text, quote=False) for text in general),
    ]
    return Section("cautions", "Cautions", tuple(body))


def references_of(analysis: Analysis) -> list[Reference]:
    """Collect the sources of everything that was computed, each once, as they are first cited."""
    found = {one.key: one for _, cited in _said(analysis) for one in reversed(cited)}
    order = dict.fromkeys(one.key for _, cited in _said(analysis) for one in cited)
    return [found[key] for key in order]


def _described(analysis: Analysis) -> list[Any]:
    """Methods of every result that describes its own."""
    parts: list[Any] = [analysis.fit, analysis.beside, analysis.levels, analysis.robust]
    parts += [analysis.rates, analysis.null]
    parts += [*analysis.regressions.values(), *analysis.tests.values()]
    return [part.methods() for part in parts if part is not None]


def _said(analysis: Analysis) -> list[tuple[str, tuple[Reference, ...]]]:
    """Each sentence on the methods once, with its sources."""
    said = {
        f"All analyses were done with nrm-meta {__version__}.": (),
        **{f"{str(one).removesuffix('.')}.": one.references for one in _described(analysis)},
        sentences.intervals(analysis): references(*_ALWAYS),
    }
    return list(said.items())


def _ranges(places: Iterable[int]) -> str:
    """Print the numbers of sources, three and more in a row as a range.

    >>> _ranges({4, 1, 2, 3, 6, 7})
    '1–4, 6, 7'
    """
    runs: list[list[int]] = []
    for place in sorted(places):
        if runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return ", ".join(
        f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs
    )


def _methods(analysis: Analysis, subject: Subject) -> Section:
    sources = references_of(analysis)
    numbers = {one.key: place for place, one in enumerate(sources, start=1)}
    pieces: list[str] = []
    opening = ""
    for text, cited in _said(analysis):
        places = _ranges({numbers[one.key] for one in cited})
        text = sentences.own_nouns(text, subject).replace("`", "").removesuffix(".")
        what, by, how = text.partition(" by ")
        if pieces and by and what == opening:  # what was done is said once, and then how
            pieces[-1] = pieces[-1].removesuffix(".") + ";"
            text = f"by {how}"
        opening = what
        pieces.append(escape(text, quote=False) + (f" [{places}]." if places else "."))
    items = []
    for one in sources:
        text = citation(one.key) if one.key in bibliography() else one.key
        link = (
            f' <a href="https://doi.org/{escape(one.doi, quote=True)}">doi:{escape(one.doi)}</a>'
            if one.doi
            else ""
        )
        items.append(f"<li>[{numbers[one.key]}] {escape(text, quote=False)}{link}</li>")
    body = (
        f"<p>{' '.join(pieces)}</p>",
        "<h3>Sources of the methods</h3>",
        f'<ul class="references numbered">{"".join(items)}</ul>',
    )
    return Section("methods", "Methods and sources", body)

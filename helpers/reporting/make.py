"""The call `report` and its result."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Unpack, cast

from .. import printing
from ..door import pd
from ..engine.beside import Begun
from ..engine.json_values import plain
from ..engine.keywords import ReportKeywords, refuse_unknown
from ..errors import MetaAnalysisError
from ..evidence.grid import Source, is_frame, is_open
from ..evidence.own import read_own
from ..printing import PER
from ..version import __version__
from ..views.plots import Picture
from ..views.plots.frame import Figure
from ..views.subject import Subject
from . import document, files, scripts, sentences, tables
from .analysis import Analysis, ColumnNames, NotComputed, Progress, analyse
from .body import files_section, references_of, sections, with_files
from .cautions import ListedCaution, cautions_of
from .exports import FORMATS
from .figures import Drawing
from .html import Section, page

#: Rarer columns of a table.
_COLUMNS = ("time", "effect", "se", "variance", "lower", "upper", "cluster", "risk_of_bias")
#: Options that are no choice of the main model.
_PAGE = frozenset({"follow_up_unit", "missing", "scale", "sheet", "title", *_COLUMNS})
#: What the values of ``results.json`` are.
SCHEMA = "results.schema.json"
#: What a report calls things unless it is told.
USUAL = Subject(n="Participants", outcome="Proportion with the event")
#: Names of a column that say what a row, or what is counted, is called.
_NOUNS = {"arm": "arms", "cohort": "cohorts", "registry": "registries", "trial": "trials"}
_PEOPLE = ("adults", "children", "infants", "men", "patients", "people", "women")


@dataclass(frozen=True, slots=True)
class Report:
    """A finished report."""

    title: str
    analysis: Analysis  # Every result (`fit`, `groups`, `rates`, ...), for further work in Python
    subject: Subject
    source: str  # Name of the table
    sha256: str  # Checksum of the file, empty for a frame
    _drawing: Drawing = field(repr=False, compare=False)

    def __repr__(self) -> str:
        return f"{self.title}. {self.answer}"

    @property
    def pictures(self) -> Mapping[str, Picture]:
        """What is shown, drawn when first asked for; a notebook shows one that ends a cell."""
        return self._drawing.pictures

    @property
    def figures(self) -> Mapping[str, Figure]:
        """The same to work on, or to save in another format."""
        return self._drawing.figures

    @property
    def not_computed(self) -> tuple[NotComputed, ...]:
        """What the table did not allow, with reasons."""
        return (*self.analysis.not_computed, *self._drawing.reasons)

    @property
    def answer(self) -> str:
        """The result in one or two sentences."""
        return sentences.answer(self.analysis, self.subject)

    @property
    def for_a_paper(self) -> str:
        """A paragraph that a paper could print."""
        return sentences.for_a_paper(self.analysis, self.subject)

    @property
    def cautions(self) -> tuple[ListedCaution, ...]:
        """The cautions of all fits, each with what to do about it."""
        return cautions_of(self.analysis)

    @property
    def html(self) -> str:
        """The page alone, without links to files beside it."""
        return self._page(self._sections({}))

    @property
    def _made(self) -> str:
        made = f"Made from {self.source}"
        if self.sha256:
            made += f" (SHA-256 {self.sha256[:12]})"
        return f"{made} by nrm-meta {__version__}, seed {self.analysis.seed}."

    def _sections(self, files: Mapping[str, bytes]) -> list[Section]:
        shown = {name: with_files(one, list(files)) for name, one in self.pictures.items()}
        return sections(self.analysis, self.subject, shown, self.not_computed)

    def _page(self, parts: list[Section]) -> str:
        return page(self.title, self.answer, self._made, parts)

    def frames(self) -> dict[str, pd.DataFrame]:
        """Every table of numbers, unrounded (see `helpers.reporting.tables.frames`)."""
        return tables.frames(self.analysis)

    def to_dict(self) -> dict[str, Any]:
        """Every result as values that JSON can represent; what is missing is None.

        ``results.schema.json``, which stands beside the file, says what each value is.
        """
        found = self.analysis
        made: dict[str, Any] = {
            "$schema": SCHEMA,
            "version": __version__,
            "title": self.title,
            "source": self.source,
            "sha256": self.sha256,
            "seed": found.seed,
            "columns": found.columns,
            "answer": self.answer,
            "pooled": found.fit,
            "beside": found.beside,
            "groups": found.groups,
            "meta_regression": found.regressions,
            "rates": found.rates,
            "clusters": found.columns.cluster
            and {
                "three_levels": found.levels,
                "robust": found.robust,
                "leave_one_out": found.without_cluster,
            },
            "risk_of_bias": found.columns.risk_of_bias
            and {"groups": found.ratings, "without_high": found.low_risk},
            "leave_one_out": found.leave_one_out,
            "influence": found.influence,
            "small_study_tests": found.tests,
            "null_simulation": found.null,
            "cautions": self.cautions,
            "not_computed": self.not_computed,
            "references": [{"key": one.key, "doi": one.doi} for one in references_of(found)],
        }
        return plain(made)

    def write(self, folder: str | os.PathLike[str], *, figures: Sequence[str] = FORMATS) -> Path:
        """Write the page and everything that can be taken from it.

        ``report.html``; ``results.json`` and its schema; one CSV file per table; each figure as
        SVG, PDF, PNG and TIFF (300 dpi); the checked table with a script in Python and one in R
        that recompute the numbers; ``report.docx`` (where python-docx is installed), whose
        figures are the PNG; and ``report.zip`` with all of it.

        Parameters
        ----------
        folder : path
            Made now, or the folder of an earlier report: its files are replaced, all others
            stay. ``manifest.json`` lists the files that the report wrote. Nothing is left
            half-written.
        figures : sequence of str
            Formats of the figures' files: "svg", "pdf", "png", "tiff".

        Raises
        ------
        MetaAnalysisError
            The folder holds something else and no report, or a file of the report was changed.
        """
        texts = {
            SCHEMA: Path(__file__).with_name(SCHEMA).read_text(encoding="utf-8"),
            "again.py": scripts.python_script(self.analysis, self.title),
            "again.R": scripts.r_script(self.analysis, self.title),
            scripts.TABLE: files.table_as_csv(self.analysis.data),
        }
        drawings = self._drawing.files(figures)
        self._drawing.progress("Writing")
        pixels = {name: drawings.get(f"figure-{name}.png") for name in self.pictures}
        drawn = {name: content for name, content in pixels.items() if content is not None}
        parts = self._sections(drawings)
        word: Begun[bytes] | None = None
        if document.possible():
            word = Begun(partial(document.word_document, self.title, self._made, parts, drawn))
        made = files.collect(texts, self.to_dict(), self.frames()) | drawings
        if word is not None:
            made[document.NAME] = word.result()
        html = self._page([*parts, files_section(made, self.subject)]).encode("utf-8")
        return files.write(Path(folder), {"report.html": html, **made})


def report(
    table: Source,
    *,
    study: str | None = None,
    events: str | None = None,
    n: str | None = None,
    by: str | None = None,
    follow_up: str | None = None,
    covariates: str | Sequence[str] = (),
    subject: Subject = USUAL,
    progress: Progress = lambda step: None,
    **options: Unpack[ReportKeywords],
) -> Report:
    r"""Check a table and make a report of it.

    Parameters
    ----------
    table : str, path, bytes, file-like or DataFrame
        One row per study: text with commas, semicolons or tabs (UTF-8, UTF-16 or Windows-1252,
        decimal points or commas), or an xlsx, xls or ods file. The header need not be the first
        row, blank rows are skipped, and a column that is not used may hold anything.
    study, events, n : str, optional
        Columns of the labels, the events and the people at risk; by default those whose names say
        so (``Author``, ``Cases``, ``Total``, ...).
    by, follow_up : str, optional
        Columns of a group and of a follow-up; by default columns with such names.
    covariates : str or sequence of str
        Numeric columns, each tried as a moderator on its own.
    subject : Subject
        What is estimated, and what the studies and the two counts are called; studies and people
        that are not named are called by the names of their columns (``trial``, ``patients``).
    progress : callable
        Called with the name of each step before it begins.
    **options
        How the table is read, heading, and choices of the main model, below.

    Other Parameters
    ----------------
    effect, se : str, optional
        Columns of effects and their standard errors, instead of counts.
    lower, upper : str, optional
        Columns of 95% confidence limits, instead of standard errors.
    variance : str, optional
        Column of sampling variances, instead of standard errors.
    scale : {"raw", "ratio", "log-ratio", "proportion", "logit"}, optional
        What the effects are; by default what the name of their column says (``Hazard ratio``,
        ``logOR``), and else "raw". Ratios and proportions need limits, which are put on the log or
        logit scale.
    cluster : str, optional
        Column of what studies share, such as a registry: a model of three levels, a robust interval
        and leave-one-out by cluster stand beside the result.
    risk_of_bias : str, optional
        Column of ratings (low; some concerns, moderate, unclear; high, serious, critical): the
        groups, the result without those at high risk, and a sign for each in the forest plot.
    time : str, optional
        Column of person-years, instead of people at risk: rates are pooled by a Poisson GLMM. Taken
        by its name (``person_years``, ...) where there is no column of people.
    per : {100, 1000, 10000, 100000}
        Results are per so many people (100 are percentages) or person-years.
    follow_up_unit : {"months", "days", "weeks", "years"}, optional
        By default years where the name of the column says so, and else months.
    missing : str or sequence of str
        Words for a missing number besides ``NA``, ``NR``, ``–`` and the like. A study without
        both counts is left out, and stays visible with the reason.
    sheet : str or int, optional
        Sheet of a spreadsheet, by name or by number from 1.
    title : str, optional
        Heading of the page.
    measure, model, level
        As in `helpers.pool`. By default a GLMM of logits, or of log rates of person-time.
    seed : int
        Of the simulation that calibrates the tests for small-study effects.

    Raises
    ------
    EvidenceError
        With every bad cell of the table at once.
    MetaAnalysisError
        Options that cannot be combined.

    Examples
    --------
    >>> made = report(b"study,events,n\nA 2020,3,40\nB 2021,6,50\nC 2022,5,60\n")
    >>> made.analysis.fit.k, len(made.pictures)
    (3, 5)
    """
    refuse_unknown("report", options, ReportKeywords)
    progress("Checking the table")
    covariates = (covariates,) if isinstance(covariates, str) else tuple(covariates)
    table, source, checksum = _identified(table)
    given: dict[str, Any] = {"study": study, "events": events, "n": n}
    given |= {"by": by, "follow_up": follow_up, **{name: options.get(name) for name in _COLUMNS}}
    missing = options.get("missing", ())
    words = (missing,) if isinstance(missing, str) else tuple(missing)
    rest = {"sheet": options.get("sheet"), "scale": options.get("scale")}
    own = read_own(table, given, numeric=covariates, missing=words, **rest)
    roles: dict[str, Any] = {name: own.roles.get(name) for name in given}
    columns = ColumnNames(
        **roles,
        covariates=covariates,
        follow_up_unit=options.get("follow_up_unit") or own.follow_up_unit,
        scale=own.scale,
    )
    subject = _counted(_named(subject, columns), options.get("per", PER[0]), columns)
    labels = (roles[role] for role in ("study", "by", "cluster", "risk_of_bias"))
    data = own.data.assign(**{name: _shown(own.data[name]) for name in labels if name})
    choices: dict[str, Any] = {name: one for name, one in options.items() if name not in _PAGE}
    analysis = analyse(
        data,
        columns,
        rows=() if is_frame(table) else own.rows,
        understood=own.understood,
        noun=subject.noun,
        progress=progress,
        **choices,
    )
    return Report(
        title=options.get("title") or f"Meta-analysis of {source}",
        analysis=analysis,
        subject=subject,
        source=source,
        sha256=checksum,
        _drawing=Drawing(analysis, subject, progress),
    )


#: What effects are called unless they are told.
_EFFECTS = {"ratio": "Ratio", "log-ratio": "Ratio", "raw": "Effect"}


def _named(subject: Subject, columns: ColumnNames) -> Subject:
    """Take nouns that nobody gave from the names of the columns."""
    study, n = columns.study.strip().lower(), str(columns.n).strip().lower()
    if study in _NOUNS and subject.noun == USUAL.noun:
        subject = replace(subject, study=study, studies=_NOUNS[study])
    if n in _PEOPLE and subject.n == USUAL.n:
        subject = replace(subject, people=n, n=printing.capital(n))
    return subject


def _counted(subject: Subject, per: int, columns: ColumnNames) -> Subject:
    """Give the subject the unit of its results; rates are called by it, effects by their column."""
    subject = replace(subject, per=per)
    if columns.effect is not None and subject.outcome == USUAL.outcome:
        named = columns.effect if columns.scale == "ratio" else _EFFECTS.get(columns.scale)
        return replace(subject, outcome=named or "Proportion", kind=None)
    if columns.time is None:
        return subject
    what = subject.events if subject.outcome == USUAL.outcome else subject.outcome
    years = f"{per:,} person-years"
    return replace(subject, outcome=f"{what} per {years}", kind=None, time=f"Time, {years}")


def _shown(labels: pd.Series[Any]) -> pd.Series[Any]:
    """Replace what pictures and pages cannot hold in labels; a line of a figure is one line."""

    def shown(label: Any) -> Any:
        return (
            printing.legal(" ".join(label.replace("\t", " ").splitlines()))
            if isinstance(label, str)
            else label
        )

    made = labels.map(shown, na_action="ignore")
    if made.equals(labels):  # nothing to replace: a categorical keeps its type and order
        return labels
    if made.nunique() < labels.nunique():
        raise MetaAnalysisError(
            f"column {labels.name!r}: labels differ in line breaks or control characters alone; "
            "give names that can be told apart on a page"
        )
    return made


def _identified(table: Source) -> tuple[Source, str, str]:
    """Name a table and take the checksum of its bytes; an open file is read."""
    if is_frame(table):
        return table, "a data frame", ""
    if isinstance(table, (str, os.PathLike)):
        path = Path(table)
        # a path that cannot be read gets the reader's own message
        content = path.read_bytes() if path.is_file() else b""
        return table, path.name, hashlib.sha256(content).hexdigest()
    if is_open(table):
        read = table.read()
        table = read.encode() if isinstance(read, str) else bytes(read)
    content = bytes(cast("bytes", table))
    return content, "a table", hashlib.sha256(content).hexdigest()

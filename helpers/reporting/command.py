"""The command line: ``report`` makes a report of a table, ``template`` prints an empty one."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

# A report multiplies small matrices, for which threads of BLAS cost four times what they do; NumPy
# reads this when it is imported, below.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from ..arguments import LEVEL
from ..errors import LongComputationWarning, MetaAnalysisError
from ..evidence import EvidenceError, data_folder
from ..evidence.given import SCALES
from ..printing import PER, lower
from ..version import __version__

#: Exit status when the table or the options are wrong.
WRONG_INPUT = 2
#: Exit status when the system does not let a file be read or written.
REFUSED = 1


#: What the help of each command ends with.
STATUS = f"""\
exit status:
  0  done
  {REFUSED}  the system does not let a file be read or written
  {WRONG_INPUT}  the table or an option is wrong: every problem is printed, nothing is written
"""
#: Options that name a column -> its role.
COLUMNS = {
    "--study": "labels; default: by name",
    "--events": "events; default: by name",
    "--n": "people at risk; default: by name",
    "--time": "person-years, in place of people at risk: rates are pooled",
    "--effect": "effects, in place of counts",
    "--se": "their standard errors",
    "--variance --vi": "variances, in place of --se",
    "--lower": "lower 95%% limits, in place of --se",
    "--upper": "upper 95%% limits",
    "--cluster": "what studies share, such as a registry: three levels",
    "--risk-of-bias": "ratings: low, some concerns (moderate), high",
    "--by --group": "groups to compare",
    "--follow-up": "follow-up",
}
EXAMPLES = {
    "": "example:\n  nrm-meta template > my.csv\n  nrm-meta report my.csv\n",
    "template": "example:\n  nrm-meta template > my.csv\n",
    "report": (
        "examples:\n"
        "  nrm-meta report my.csv\n"
        '  nrm-meta report my.csv --by group --outcome "Response" --out responses\n'
        "  nrm-meta report trials.csv --effect HR --lower LCL --upper UCL --scale ratio\n"
        "  nrm-meta report my.xlsx --sheet 2 --events Deaths --time person_years --per 1000\n"
    ),
}


def _ends(command: str) -> dict[str, Any]:
    """Give a parser its example and the meaning of its exit status, in lines as they stand."""
    return {
        "epilog": f"{EXAMPLES[command]}\n{STATUS}",
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nrm-meta",
        description="Meta-analysis of proportions and rates from single groups.",
        **_ends(""),
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser(
        "template",
        help="print a table to start from",
        description="Print a table with three rows to start from, as CSV.",
        **_ends("template"),
    )
    made = commands.add_parser(
        "report",
        help="check a table and make a report of it",
        description="Check a CSV file or a spreadsheet with one row per study and make a folder\n"
        "with report.html, results.json and every table of results as CSV. Columns whose\n"
        "names say what they contain (Author, Cases, Total, group, follow_up, ...) are used\n"
        "without being named. A folder that contains an earlier report gets the new one;\n"
        "files that the report did not write, or that were changed since, are never touched.",
        **_ends("report"),
    )
    made.add_argument("table", help="CSV, xlsx, xls or ods file")
    made.add_argument("--out", metavar="DIR", help="folder to make; default: TABLE-report here")
    columns = made.add_argument_group("columns")
    for names, said in COLUMNS.items():
        columns.add_argument(*names.split(), metavar="COL", help=said)
    columns.add_argument(
        "--scale",
        choices=list(SCALES),
        help="what the effects are; default: by the name of their column, and else raw",
    )
    columns.add_argument(
        "--follow-up-unit",
        choices=["days", "weeks", "months", "years"],
        help="default: years where the name of the column says so, and else months",
    )
    columns.add_argument(
        "--covariate", metavar="COL", action="append", default=[], help="numeric; may be repeated"
    )
    columns.add_argument("--sheet", help="name of the sheet of a spreadsheet, or its number")
    columns.add_argument(
        "--missing",
        metavar="WORDS",
        default="",
        help="words for a missing number, with commas between them, besides NA, NR, – and the like",
    )
    models = made.add_argument_group("model")
    models.add_argument(
        "--measure", help="scale of the effects; default: logit, or log-rate with --time"
    )
    models.add_argument(
        "--model", help="glmm, random or common; default: glmm for logits and log rates"
    )
    models.add_argument(
        "--per",
        type=int,
        choices=PER,
        default=PER[0],
        help="results per so many people (100: percentages) or person-years (%(default)s)",
    )
    models.add_argument("--level", type=float, default=LEVEL, help="of all intervals (%(default)s)")
    models.add_argument("--seed", type=int, default=1, help="of the simulation (%(default)s)")
    words = made.add_argument_group("words")
    words.add_argument("--title", help="heading of the page")
    words.add_argument("--outcome", help="what is estimated")
    words.add_argument("--events-name", help="what the events are called")
    words.add_argument("--n-name", help="what the people are called")
    made.add_argument("--quiet", action="store_true", help="do not tell the progress")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; by default with the arguments of the process.

    The status is 0; 2 when the table or the options are wrong; 1 when the system does not let a
    file be read or written.

    >>> main(["template"])
    study,events,n,group,follow_up
    Example 2021,3,40,trial,12.5
    Example 2022 A,0,25,registry,9
    Example 2022 B,11,130,registry,
    0
    """
    options = _parser().parse_args(arguments)
    try:
        if options.command == "report":
            return _report(options)
        print((data_folder() / "template.csv").read_text(encoding="utf-8"), end="")
        return 0
    except MetaAnalysisError as error:
        print(_in_words(error), file=sys.stderr)
        return WRONG_INPUT
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED


def _in_words(error: MetaAnalysisError) -> str:
    """List every problem of a table; the error itself cuts long lists."""
    if not isinstance(error, EvidenceError):
        return f"error: {error}"
    head = str(error).splitlines()[0]
    lines = [head, *(f"  {problem}" for problem in error.problems)]
    words = dict.fromkeys(one.value for one in error.problems if one.maybe_missing)
    if words:
        named = shlex.quote(",".join(words))
        lines.append(f"Where these words mean that a number is missing, add: --missing {named}")
    return "\n".join(lines)


def _report(options: argparse.Namespace) -> int:
    from .body import left_out
    from .cautions import ADVICE
    from .make import USUAL, report

    def tell(step: str) -> None:
        if not options.quiet:
            print(f"{step} …", file=sys.stderr, flush=True)

    said = {"outcome": options.outcome, "events": options.events_name, "n": options.n_name}
    said["people"] = options.n_name and lower(options.n_name)
    subject = replace(USUAL, **{name: value for name, value in said.items() if value})
    aside = "command table out quiet outcome events_name n_name covariate missing".split()
    choices = {name: value for name, value in vars(options).items() if name not in aside}
    choices["missing"] = [word for word in options.missing.split(",") if word.strip()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LongComputationWarning)  # the progress says what runs
        made = report(
            options.table, covariates=options.covariate, subject=subject, progress=tell, **choices
        )
        folder = made.write(options.out or f"{Path(options.table).stem}-report")
    if not options.quiet:
        if made.analysis.understood:
            print(f"Read as: {made.analysis.understood}.", file=sys.stderr)
        for one in left_out(made.analysis):
            print(f"Left out: {one}.", file=sys.stderr)
    print(made.answer, flush=True)
    for remark in made.analysis.remarks:  # no progress: the answer may be wrong because of it
        print(f"Caution: {remark.message} {ADVICE.get(remark.code, '')}", file=sys.stderr)
    print(folder / "report.html")
    return 0

"""A table in, a report out: checks, models, figures and sentences on one page.

``report("my.csv")`` reads and checks a table with one row per cohort, computes what the chapters of
the book compute, and gives a :class:`Report`; its `write` makes a folder with one self-contained
HTML page, the results as JSON and every table as CSV.
"""

from helpers.report.analysis import Analysis, Columns, NotComputed, analyse
from helpers.report.cautions import ADVICE, ListedCaution
from helpers.report.make import Report, report

__all__ = [
    "ADVICE",
    "Analysis",
    "Columns",
    "ListedCaution",
    "NotComputed",
    "Report",
    "analyse",
    "report",
]

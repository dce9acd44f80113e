"""Teaching: self-check questions, learning goals, simulation labs and planted errors.

========================  =======================================================================
call                      what it is for
========================  =======================================================================
`self_check`              the questions of a chapter, with answers computed from the data
`read_goals`              learning goals of the chapters, as a table
`check`                   an answer to an exercise: right, or a hint
`helpers.teaching.labs`   simulations where the truth is known
`lab`, `came_out`         a lab as its page shows it, and what it found in words
`planted_key`, `verdict`  a table with planted errors, and which of them the reader finds
`read_plans`              lesson plans and common misconceptions
`read_scheme`             tasks and marks of the exam
`handout`                 a table of another field to work on, with its key
`planning_table`          what more cohorts would do to a prediction interval
`cohorts_needed`          the fewest cohorts for a prediction interval of a width
`kappa`                   how far two people agree who selected the same records
`make_paper`              an exam of invented cohorts with its key, drawn from a seed
========================  =======================================================================
"""

from __future__ import annotations

from . import labs
from .checks import CHAPTERS, Feedback, check, self_check
from .course import LEVELS, Goals, Plans, Scheme, read_goals, read_plans, read_scheme
from .design import cohorts_needed, kappa, planning_table
from .handouts import handout
from .lab_pages import came_out, lab
from .paper import make_paper, write_paper
from .planted import planted_file, planted_key, planted_table, verdict, without_found_errors
from .questions import Answer, Question, Quiz

__all__ = [
    "CHAPTERS",
    "LEVELS",
    "Answer",
    "Feedback",
    "Goals",
    "Plans",
    "Question",
    "Quiz",
    "Scheme",
    "came_out",
    "check",
    "cohorts_needed",
    "handout",
    "kappa",
    "lab",
    "labs",
    "make_paper",
    "planning_table",
    "planted_file",
    "planted_key",
    "planted_table",
    "read_goals",
    "read_plans",
    "read_scheme",
    "self_check",
    "verdict",
    "without_found_errors",
    "write_paper",
]

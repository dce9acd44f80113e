"""Numbers and sentences as a journal prints them, computed from results.

Every function returns text (or a display object that holds text), so that no chapter needs a
typed result. Negative numbers carry a true minus, a rounded zero never carries a sign, a unit
stands behind a no-break space (but a percent sign directly behind its number), and a number that is
not finite is an error, never "nan%".

Names that are imported ``as`` themselves are for other rooms; the rest is for chapters, too, and is
listed in the reference.
"""

from __future__ import annotations

from .characters import legal
from .characters import no_formula as no_formula
from .numbers import HARD as HARD
from .numbers import MINUS as MINUS
from .numbers import (
    MOST_DIGITS,
    agreeing_digits,
    between,
    count,
    date,
    digits_text,
    level_text,
    months,
    number,
    p_value,
    significant,
)
from .results import cautions, estimate, mean_estimate, places_in, prediction
from .results import heterogeneity as heterogeneity
from .results import homogeneity_test as homogeneity_test
from .results import unit_of as unit_of
from .results import variation as variation
from .results import variation_symbol as variation_symbol
from .units import IN_PERCENT as IN_PERCENT
from .units import (
    PER,
    factor_of,
    interval,
    per_1000,
    per_many,
    percent,
    percent_range,
    places,
    share,
    unit_heading,
    value,
    value_range,
)
from .units import Unit as Unit
from .words import NAMED as NAMED
from .words import (
    capital,
    counted,
    each_left_out,
    for_group,
    left_out,
    listing,
    lower,
    of_total,
    readable,
    some_of,
    studies,
    times,
    word,
)

__all__ = [
    "MOST_DIGITS",
    "PER",
    "agreeing_digits",
    "between",
    "capital",
    "cautions",
    "count",
    "counted",
    "date",
    "digits_text",
    "each_left_out",
    "estimate",
    "factor_of",
    "for_group",
    "interval",
    "left_out",
    "legal",
    "level_text",
    "listing",
    "lower",
    "mean_estimate",
    "months",
    "number",
    "of_total",
    "p_value",
    "per_1000",
    "per_many",
    "percent",
    "percent_range",
    "places",
    "places_in",
    "prediction",
    "readable",
    "share",
    "significant",
    "some_of",
    "studies",
    "times",
    "unit_heading",
    "value",
    "value_range",
    "word",
]

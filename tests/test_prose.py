import ast
import math
import tomllib
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prose_check import REFUSED, REFUSED_IN_DOCSTRINGS, refused, texts

from helpers import printing
from helpers.errors import MetaAnalysisError

HARD, MINUS = printing.HARD, printing.MINUS
finite = st.floats(allow_nan=False, allow_infinity=False)
fractions = st.floats(0, 1)


def back(text: str) -> float:
    return float(text.replace(MINUS, "-").replace(",", ""))


def result(**changes):
    usual = {"estimate": 0.0682, "ci": (0.0578, 0.0804), "level": 0.95, "n": 7604}
    return SimpleNamespace(**usual | changes)


@given(finite, st.integers(0, 8))
def test_a_printed_number_is_within_half_a_unit_of_the_last_digit(value, digits):
    exact = Decimal(repr(value))
    printed = Decimal(printing.number(value, digits).replace(MINUS, "-").replace(",", ""))
    assert abs(printed - exact) <= Decimal(1).scaleb(-digits) / 2


@given(finite, st.integers(0, 8))
def test_a_number_has_a_true_minus_and_never_a_negative_zero(value, digits):
    text = printing.number(value, digits)
    assert "-" not in text
    assert not (text.startswith(MINUS) and back(text) == 0)


@given(fractions)
def test_a_percentage_never_claims_a_bound_that_was_not_reached(value):
    text = printing.percent(value)
    assert text.endswith("%")
    if text == "0.0%":
        assert value == 0
    if text == "100.0%":
        assert value == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0685, "6.9"),
        (0.06849, "6.8"),
        (-0.0685, f"{MINUS}6.9"),
        (-0.0004, "0.0"),
        (0.0005, "0.1"),
        (0.00049, "<0.1"),
        (0.9995, ">99.9"),
        (0.99949, "99.9"),
        (1, "100.0"),
    ],
)
def test_percentages_round_half_away_from_zero_on_the_decimal_form(value, text):
    assert printing.percent(value) == f"{text}%"


@given(fractions)
def test_a_p_value_is_never_printed_as_zero_or_one(p):
    text = printing.p_value(p)
    assert text.startswith(f"p{HARD}")
    assert 0.001 <= float(text.split(HARD)[-1]) <= 0.99


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0, "< 0.001"),
        (0.00099, "< 0.001"),
        (0.001, "= 0.001"),
        (0.0259, "= 0.026"),
        (0.0994, "= 0.099"),
        (0.0996, "= 0.10"),
        (0.56, "= 0.56"),
        (0.99, "= 0.99"),
        (0.991, "> 0.99"),
        (1, "> 0.99"),
    ],
)
def test_p_values_keep_three_decimals_below_a_tenth_and_two_above(p, text):
    assert printing.p_value(p) == f"p {text}".replace(" ", HARD)


@pytest.mark.parametrize("p", [-0.01, 1.01])
def test_a_p_value_outside_zero_to_one_is_an_error(p):
    with pytest.raises(MetaAnalysisError, match="between 0 and 1"):
        printing.p_value(p)


PRINTERS = [
    printing.number,
    printing.percent,
    printing.count,
    printing.months,
    printing.per_1000,
    printing.p_value,
    printing.significant,
    lambda value: printing.interval((value, value)),
    lambda value: printing.agreeing_digits(value, 1.0),
    lambda value: printing.estimate(result(estimate=value)),
]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "6.8", True])
@pytest.mark.parametrize("printer", PRINTERS)
def test_what_is_not_a_finite_number_is_an_error(printer, value):
    with pytest.raises(MetaAnalysisError, match=r"needs a (finite )?number"):
        printer(value)


@given(st.integers(-(10**12), 10**12))
def test_counts_keep_every_digit(value):
    assert back(printing.count(value)) == value


def test_a_count_with_decimals_is_an_error():
    with pytest.raises(MetaAnalysisError, match="whole number"):
        printing.count(3.5)


def test_small_counts_are_words_and_take_the_right_noun():
    assert printing.counted(0, "cohort") == "no cohorts"
    assert printing.counted(1, "study", "studies") == "one study"
    assert printing.counted(10, "cohort") == "ten cohorts"
    assert printing.counted(1297, "patient") == "1,297 patients"


@given(finite, finite, st.sampled_from(["percent", "number", "per_1000"]))
def test_interval_bounds_stay_in_order(a, b, unit):
    lower, upper = sorted((a, b))
    text = printing.interval((lower, upper), unit=unit)
    core = text.removeprefix(f"95%{HARD}CI ").removesuffix("%")
    low, high = core.removesuffix(f" per{HARD}1,000").split(" to ")
    assert back(low) <= back(high)


def test_an_interval_upside_down_is_an_error():
    with pytest.raises(MetaAnalysisError, match="lower <= upper"):
        printing.interval((0.2, 0.1))


@pytest.mark.parametrize(("level", "text"), [(0.95, "95"), (0.9, "90"), (0.999, "99.9")])
def test_levels_print_as_they_are(level, text):
    assert printing.interval((0.1, 0.2), level).startswith(f"{text}%")


def test_estimates_take_their_unit_from_the_result():
    assert printing.estimate(result()) == f"6.8% (95%{HARD}CI 5.8 to 8.0%)"
    plain = result(n=None, estimate=-1.234, ci=(-2.0, 0.5))
    assert printing.estimate(plain) == f"{MINUS}1.23 (95%{HARD}CI {MINUS}2.00 to 0.50)"


@pytest.mark.parametrize(
    ("ours", "published", "digits"),
    [
        (1.0, 1.0, 10),
        (1.0, 1.0 + 1e-14, 10),
        (0.068221, 0.06822097631994897, 6),
        (0.0682, 0.0678, 2),
        (2.0, 1.0, 0),
        (1e-6, 0.0, 6),
        (-1.2086, -1.2086000001, 10),
        (5e-324, 1e-323, 0),
        (1.7e308, -1.7e308, 0),
    ],
)
def test_agreeing_digits_count_the_logarithmic_relative_error(ours, published, digits):
    assert printing.agreeing_digits(ours, published) == digits


@given(finite, finite)
def test_agreeing_digits_stay_between_0_and_10(a, b):
    assert 0 <= printing.agreeing_digits(a, b) <= 10


@given(st.floats(1e-300, 1e300), st.integers(1, 12))
def test_significant_digits_are_as_many_as_asked(value, digits):
    text = printing.significant(value, digits)
    mantissa, _, power = text.partition(" × 10")
    power = power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    printed = Decimal(mantissa.replace(",", "")).scaleb(int(power or 0))
    exact = Decimal(repr(value))
    assert abs(printed - exact) <= Decimal(1).scaleb(exact.adjusted() - digits + 1) / 2
    assert not math.isclose(float(printed), 0) or value < 1e-300


def test_lists_read_as_a_sentence():
    assert printing.listing("A") == "A"
    assert printing.listing(["A", "B"]) == "A and B"
    assert printing.listing(["A", "B", "C"], "or") == "A, B or C"
    with pytest.raises(MetaAnalysisError, match="at least one"):
        printing.listing([])


def test_shares_name_part_whole_and_percentage():
    assert printing.share(574, 7604) == "574 of 7,604 (7.5%)"
    with pytest.raises(MetaAnalysisError, match="part <= whole"):
        printing.share(3, 2)


@pytest.mark.parametrize(
    ("part", "total", "text"),
    [
        (0, 13, "none of the 13"),
        (1, 3, "one of the three"),
        (13, 13, "all 13"),
        (2, 2, "both"),
        (0, 2, "neither of the two"),
        (1, 1, "the only one"),
    ],
)
def test_a_part_of_a_known_number_is_never_no_of_it(part, total, text):
    assert printing.of_total(part, total) == text


@pytest.mark.parametrize("level", ["before 2020", "2020 or later", "above 13.3 months", "no trial"])
def test_a_group_that_reads_as_no_name_is_in_quotes(level):
    assert printing.for_group(level) == f"for the group “{level}”"
    assert printing.for_group("LBCL") == "for LBCL"


def test_a_ratio_that_prints_as_one_is_no_multiple():
    assert printing.times(1.004) == "to two decimals the same as"
    assert printing.times(1.006) == "1.01 times"
    assert printing.times(0.96, 1) == "to one decimal the same as"


def test_rows_left_out_are_counted_with_their_reason():
    assert printing.left_out(["", "", "median_follow_up_months missing"]) == (
        "One study is left out (median follow-up missing)."
    )
    assert "Two cohorts are" in printing.left_out(["a", "b"], "cohort", "cohorts")
    with pytest.raises(MetaAnalysisError, match="at least one"):
        printing.left_out(["", ""])


def test_years_of_a_table_carry_no_comma():
    import pandas as pd

    from helpers.views.tables import table

    shown = table(pd.DataFrame({"year": [2024], "patients": [2024]}), "Years and patients").text
    assert "2024" in shown
    assert shown.count("2,024") == 1


HELPERS = Path(__file__).resolve().parents[1] / "helpers"


def spoken(source: str) -> list[str]:
    """Texts of a module that a reader may meet: every string but the docstrings."""
    tree = ast.parse(source)
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    silent = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, kinds) and node.body and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent
    ]


def test_no_generated_sentence_has_a_word_that_no_journal_prints():
    said = {path: spoken(path.read_text("utf-8")) for path in sorted(HELPERS.rglob("*.py"))}
    said |= {
        path: texts(tomllib.loads(path.read_text("utf-8")))
        for path in sorted(HELPERS.rglob("*.toml"))
    }
    found = [
        f"{path.relative_to(HELPERS)}: {text!r}: {REFUSED[word]}"
        for path, every in said.items()
        for text in every
        for word in refused(text)
    ]
    assert len(said) > 200
    assert found == []


def docstrings(source: str) -> list[str]:
    """Docstrings of a module, its classes and its functions."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    every = (
        ast.get_docstring(one) for one in ast.walk(ast.parse(source)) if isinstance(one, kinds)
    )
    return [one for one in every if one]


def test_no_docstring_has_a_turn_that_the_reference_should_not_print():
    said = {path: docstrings(path.read_text("utf-8")) for path in sorted(HELPERS.rglob("*.py"))}
    found = [
        f"{path.relative_to(HELPERS)}: {text.splitlines()[0]!r}: {REFUSED_IN_DOCSTRINGS[word]}"
        for path, every in said.items()
        for text in every
        for word in refused(text, REFUSED_IN_DOCSTRINGS)
    ]
    assert sum(map(len, said.values())) > 2000
    assert found == []


def test_a_turn_is_seen_across_lines_and_words_of_programming_are_not():
    source = (
        'def f():\n    """Limits.\n\n    The interval\n    holds zero, one row a study.\n    """\n'
    )
    assert len(refused(docstrings(source)[0], REFUSED_IN_DOCSTRINGS)) == 2
    assert refused("`values` holds arrays; a row stands for a study.", REFUSED_IN_DOCSTRINGS) == []


def test_a_refused_word_is_seen_where_it_is_said_and_not_where_it_is_thought():
    source = '"""It holds."""\ndef f(x):\n    """Goes with."""\n    return f"So {x} holds."\n'
    assert [word for text in spoken(source) for word in refused(text)] == ["holds?"]
    assert refused("One unit more goes with a higher value") == ["(?:goes|go) (?:together )?with"]
    assert refused("The threshold of the household, and outstanding thresholds") == []

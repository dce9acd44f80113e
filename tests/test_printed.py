import pytest

from helpers.errors import MetaAnalysisError
from helpers.review.decimals import prints_as, significant_digits


@pytest.mark.parametrize(
    ("value", "printed", "same"),
    [
        (0.01797, "0.0180", True),
        (0.01794, "0.0180", False),
        (0.00004, "<.0001", True),
        (0.0001, "<.0001", False),
        (110.0, "110", True),
        (-7.35964, "-7.3596", True),
        (0.25, "0.2", True),
        (0.25, "0.3", True),
        (4.7e-5, "0.0000", True),
        (float("nan"), "<.0001", False),
        (float("-inf"), "<.0001", False),
        (float("nan"), "0.5", False),
    ],
)
def test_rounding_follows_the_printed_digits(value, printed, same):
    assert prints_as(value, printed) is same


def test_significant_digits_are_counted_without_leading_zeros():
    assert significant_digits("0.05660377358490568") == 16
    assert significant_digits("28") == 2


@pytest.mark.parametrize("text", ["", "n.s.", "nan", "<"])
def test_what_is_no_number_is_an_error(text):
    with pytest.raises(MetaAnalysisError, match="not a printed number"):
        prints_as(1.0, text)

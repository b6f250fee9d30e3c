"""Numbers as text: true minus signs, and a dash for an unknown value."""

from __future__ import annotations

import math

import pytest

from general_circuits import formatting


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.304, "0.30"), (-0.25, "−0.25"), (-12.0, "−12.00"), (0.0, "0.00"), (-0.001, "0.00"), (math.nan, "–")],
)
def test_a_plain_number_has_two_decimals_and_a_sign_below_zero(value: float, text: str) -> None:
    assert formatting.plain(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.304, "+0.30"), (-0.25, "−0.25"), (-12.0, "−12.00"), (0.0, "+0.00"), (-0.001, "+0.00"), (math.inf, "–")],
)
def test_a_signed_number_has_its_sign_and_two_decimals(value: float, text: str) -> None:
    assert formatting.signed(value) == text


def test_decimals_can_be_chosen() -> None:
    assert (formatting.plain(-1.2345, 1), formatting.signed(1.2345, 3)) == ("−1.2", "+1.234")


def test_an_interval_has_two_signed_ends_and_is_a_dash_if_it_is_unknown() -> None:
    assert formatting.interval(-0.25, 0.5) == "−0.25 to +0.50"
    assert formatting.interval(0.0004, 0.1, 3) == "+0.000 to +0.100"
    assert formatting.interval(math.nan, math.nan) == "–"
    assert formatting.interval(-0.25, 0.5, is_change=False) == "−0.25 to 0.50"


@pytest.mark.parametrize(
    ("unit", "text"), [("accuracy", "+0.30"), ("general share of the margin", "0.30"), ("ratio of variances", "0.30")]
)
def test_a_change_has_its_sign_and_a_share_has_none(unit: str, text: str) -> None:
    assert formatting.of_unit(0.3, unit) == text
    assert formatting.is_change(unit) == text.startswith("+")


def test_a_table_is_markdown_in_which_bars_do_not_end_a_cell() -> None:
    table = formatting.markdown_table(("name", "value"), [("a|b", "1"), ("c", "2")])
    assert table == "| name | value |\n|---|---|\n| a\\|b | 1 |\n| c | 2 |\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.000999, "< 0.001"), (0.0, "< 0.001"), (0.001, "0.001"), (0.0456, "0.046"), (1.0, "1"), (math.nan, "–")],
)
def test_a_p_value_has_two_digits_down_to_a_thousandth(value: float, text: str) -> None:
    assert formatting.p_value(value) == text

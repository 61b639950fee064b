"""Numbers with units, from text and for people."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.settings.units import format_quantity, parse_quantity

PREFIXES = {"f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}


@given(
    digits=st.decimals(-9999, 9999, places=3, allow_nan=False),
    prefix=st.sampled_from(sorted(PREFIXES)),
    unit=st.sampled_from(["V", "A", "s", "S", "ohm", "J", "K"]),
    space=st.sampled_from(["", " "]),
)
def test_a_prefix_is_the_same_number_as_an_exponent(
    digits: object, prefix: str, unit: str, space: str
) -> None:
    text = f"{digits}{space}{prefix}{unit}"
    assert parse_quantity(text, unit) == float(f"{digits}e{PREFIXES[prefix]}")


@pytest.mark.parametrize(
    "text", ["50ms", "50 ms", "5e-2", "0.05", " 50 ms ", "5E-2 s", "5e-2s", ".05 s", "5e1 ms"]
)
def test_spellings_of_50_ms_are_one_number(text: str) -> None:
    assert parse_quantity(text, "s") == 0.05


@pytest.mark.parametrize(
    "value", [True, None, [], "", "ms", "50 mV", "5 sm", "nan", "1,5", "1 s 2", "0x10"]
)
def test_what_is_no_number_of_the_unit_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="number of s"):
        parse_quantity(value, "s")


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, "1e999"])
def test_what_is_not_finite_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="finite"):
        parse_quantity(value, "V")


@pytest.mark.parametrize(
    "value", [5e-324, 1e-310, -1e-320, "1e-101 V", "9e-86 fV", 1e101, -1e308, "1e92 GV", 10**101]
)
def test_a_magnitude_that_double_precision_cannot_compute_with_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"0 or a magnitude of 1e-100 to 1e\+100"):
        parse_quantity(value, "V")


@pytest.mark.parametrize("value", [0, -0.0, 1e-100, 1e100, "-1e100 V", "0 V"])
def test_zero_and_the_bounds_themselves_are_quantities(value: object) -> None:
    assert parse_quantity(value, "V") == float(str(value).removesuffix("V"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e308, "1e+299 GJ"),
        (-1.7976931348623157e308, "-1.798e+299 GJ"),
        (5e-324, "4.941e-309 fJ"),
        (999.96, "1 kJ"),
        (999.94, "999.9 J"),
        (1e9, "1 GJ"),
        (9.9999e11, "1000 GJ"),
        (1e-15, "1 fJ"),
    ],
)
def test_every_finite_number_is_written_for_people(value: float, text: str) -> None:
    assert format_quantity(value, "J") == text


def test_a_plain_number_with_a_unit_is_told_to_have_none() -> None:
    with pytest.raises(ValueError, match="a number without a unit, such as 5e-3; got the unit '%'"):
        parse_quantity("1 %", "1")


@given(st.floats(1e-14, 1e11), st.sampled_from([1, -1]))
def test_what_is_written_for_people_reads_back_to_its_four_digits(value: float, sign: int) -> None:
    text = format_quantity(sign * value, "S")
    assert parse_quantity(text, "S") == pytest.approx(sign * value, rel=5.1e-4)


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.2e-7, "320 nS"), (0, "0 S"), (0.99996, "1 S"), (999.96e-9, "1 µS"), (1e-9, "1 nS")],
)
def test_numbers_for_people_take_the_prefix_that_fits(value: float, text: str) -> None:
    assert format_quantity(value, "S") == text


@pytest.mark.parametrize(
    "value", [10**400, "9" * 400, "9" * 5000, "9" * 400 + " mV", "1e999999999999999999 mV", "1e400"]
)
def test_a_number_of_hundreds_of_digits_is_no_finite_number(value: object) -> None:
    with pytest.raises(ValueError, match="finite number of V"):
        parse_quantity(value, "V")

"""Numbers, statuses and readings as instruments send them, and what is none."""

from __future__ import annotations

import math

import pytest

from hwloop.array.operations import Flag
from hwloop.errors import UnexpectedReply
from hwloop_drivers.instruments.families.common import (
    NumberForm,
    agreed,
    parse_number,
    parse_pairs,
    parse_reading,
    parse_status,
)
from hwloop_drivers.instruments.families.source_meter import measured
from tests.drivers.instruments.test_keithley_2600b import Wire

WIRE = Wire({})


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ("+1.000206E-06", 1.000206e-6),  # 2400, user's manual
        ("-3.500000e-09", -3.5e-9),  # 2600B
        ("+9.91000000E+037", 9.91e37),  # three digits of exponent: 34401A family
        ("0", 0.0),
        (" 12.5 ", 12.5),
    ],
)
def test_a_decimal_number_is_taken(reply: str, value: float) -> None:
    assert parse_number(WIRE, "?", reply) == value


@pytest.mark.parametrize(
    "reply",
    ["nan", "inf", "-inf", "Infinity", "1_000", "1e400", "", "1.2.3", "1e", "+-1", "١٢", "1 2"],
)
def test_what_python_would_take_or_a_lost_byte_leaves_is_no_number(reply: str) -> None:
    with pytest.raises(UnexpectedReply, match="not a number"):
        parse_number(WIRE, "?", reply)


@pytest.mark.parametrize("reply", ["-1", "1.5", "4.3e9", "1e300"])
def test_a_status_is_a_whole_number_of_bits(reply: str) -> None:
    assert parse_status(WIRE, "?", "4.096000E+03") == 4096
    with pytest.raises(UnexpectedReply, match="not a status"):
        parse_status(WIRE, "?", reply)
    with pytest.raises(UnexpectedReply, match="not a status"):
        parse_pairs(WIRE, "?", f"1e-6,{reply}", 1, NumberForm())


@pytest.mark.parametrize(
    "current_a", [9.9e37, 9.91e37, -9.91e37, 1e38, math.inf, -math.inf, math.nan]
)
def test_a_code_for_no_reading_is_flagged_and_never_a_number(current_a: float) -> None:
    found = measured(current_a, 0, compliance=8)
    assert math.isnan(found.current_a)
    assert found.flags == Flag.OVER_RANGE


def test_the_bits_of_a_status_are_told_apart() -> None:
    assert measured(1e-6, 0b0100, compliance=8, over_range=1).current_a == 1e-6
    assert measured(1e-6, 0b1000, compliance=8, over_range=1).flags == Flag.COMPLIANCE
    assert measured(1e-6, 0b0001, compliance=8, over_range=1).flags == Flag.OVER_RANGE


FORMS = [
    ["+1.234567E-06", "-9.000000E-09", "+0.000000E+00"],  # SCPI: a plus before all
    ["1.234567000e-06", "-9.000000000e-09", "0.000000000e+00"],  # TSP: none
]


@pytest.mark.parametrize("readings", FORMS)
def test_readings_of_one_form_are_taken_whatever_their_sign(readings: list[str]) -> None:
    form = NumberForm()
    for text in (*readings, *reversed(readings)):
        assert parse_reading(WIRE, "?", text, form) == float(text)


@pytest.mark.parametrize("readings", FORMS)
def test_reading_with_a_digit_lost_or_doubled_anywhere_is_refused(readings: list[str]) -> None:
    for text in readings:
        for place, character in enumerate(text):
            if not character.isdigit():
                continue
            for damaged in (text[:place] + text[place + 1 :], text[:place] + text[place - 1 :]):
                form = NumberForm()
                parse_reading(WIRE, "?", readings[0], form)
                if damaged != text and damaged.count(".") == 1:
                    with pytest.raises(UnexpectedReply):
                        parse_reading(WIRE, "?", damaged, form)


def test_reading_without_the_plus_that_all_have_is_refused() -> None:
    form = NumberForm()
    parse_reading(WIRE, "?", "+1.234567E-06", form)
    with pytest.raises(UnexpectedReply, match="not the form of the readings before"):
        parse_reading(WIRE, "?", "1.234567E-06", form)


def test_code_for_no_reading_has_a_form_of_its_own() -> None:
    form = NumberForm()
    assert parse_reading(WIRE, "?", "+9.9E37", form) == 9.9e37
    assert parse_reading(WIRE, "?", "+1.234567E-06", form) == 1.234567e-6


def test_answers_that_came_twice_are_one_and_every_change_of_a_byte_shows() -> None:
    twice = "+1.2E-06,+0;+1.2E-06,+0"
    assert agreed(WIRE, "?", twice, ";") == "+1.2E-06,+0"
    for place in range(len(twice)):
        for damaged in (
            twice[:place] + twice[place + 1 :],
            twice[:place] + twice[place] + twice[place:],
            twice[:place] + chr(ord(twice[place]) ^ 1) + twice[place + 1 :],
        ):
            with pytest.raises(UnexpectedReply, match="twice and not alike"):
                agreed(WIRE, "?", damaged, ";")

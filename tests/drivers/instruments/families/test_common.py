"""Numbers, statuses and readings as instruments send them, and what is none."""

from __future__ import annotations

import math

import pytest

from hwloop.array.operations import Flag
from hwloop.errors import UnexpectedReply
from hwloop_drivers.instruments.families.common import parse_number, parse_pairs, parse_status
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
        parse_pairs(WIRE, "?", f"1e-6,{reply}", 1)


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

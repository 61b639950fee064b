"""What wires are, and what they cannot be."""

import math

import pytest

from hwloop_sim.circuit import Wires


def test_lead_is_driver_selector_and_a_segment() -> None:
    between = Wires(row_ohm=1.0, driver_ohm=50.0, selector_ohm=9.0, sense_ohm=31.0)
    assert between.lead_conductance_s() == (1 / 60, 0.0, 0.0, 1 / 40)


def test_terminal_without_resistance_holds_its_end() -> None:
    assert Wires(row_ends="both", col_ends="top").lead_conductance_s() == (
        math.inf,
        math.inf,
        math.inf,
        0.0,
    )


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_refuses_a_resistance_that_is_none(value: float) -> None:
    with pytest.raises(ValueError, match=r"sense_ohm .* is not a finite resistance"):
        Wires(sense_ohm=value)


def test_refuses_an_unknown_end() -> None:
    with pytest.raises(ValueError, match="col_ends 'left' is none of top, bottom, both"):
        Wires(col_ends="left")  # type: ignore[arg-type]

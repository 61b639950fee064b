"""The time that cables take to charge, against arithmetic done by hand."""

from __future__ import annotations

import math

import pytest

from hwloop.array.line_bounds import DriveCircuit
from hwloop.array.settings import ArraySettings
from hwloop.errors import ConfigError, Unsupported
from hwloop_drivers.station.cables import Cables, charging_s
from tests.drivers.fake_bench import fake_array


@pytest.mark.parametrize(
    ("cable_f", "step_v", "limit_a", "series_ohm", "expected_s"),
    [
        (500e-12, 0.1, 100e-9, 0.0, 0.5e-3),  # C dV / I
        (500e-12, -0.1, 100e-9, 0.0, 0.5e-3),
        (100e-9, 0.1, 1e-6, 0.0, 10e-3),
        (500e-12, 2.0, math.inf, 50.0, 172.7e-9),  # 25 ns times ln(1000), 6.908
        (1e-9, 1.0, 1e-3, 1e3, 7.908e-6),  # 1 us and 6.908 of 1 us
    ],
)
def test_cable_charges_in_c_dv_over_i_and_ln_1000_of_rc(
    cable_f: float, step_v: float, limit_a: float, series_ohm: float, expected_s: float
) -> None:
    needed_s = charging_s(step_v, cable_f=cable_f, limit_a=limit_a, series_ohm=series_ohm)
    assert needed_s == pytest.approx(expected_s, rel=1e-3)


def _cables() -> Cables:
    circuits = {"rows": DriveCircuit(50.0), "columns": DriveCircuit(0.0, 1e-6)}
    return Cables(500e-12, {**circuits, "gates": DriveCircuit(0.0, 1e-6)})


def test_wait_is_that_of_the_slowest_line_which_steps() -> None:
    cables = _cables()
    assert cables.wait_s({}) == 0
    assert cables.wait_s({"rows": 1.0, "columns": 0.0}) == pytest.approx(172.7e-9, rel=1e-3)
    assert cables.wait_s({"rows": 1.0, "columns": -0.5}) == pytest.approx(250e-6)


def test_pulse_shorter_than_its_cable_is_refused_with_the_time_and_the_cable() -> None:
    cables = _cables()
    cables.refuse_pulse(2.0, 173e-9)
    with pytest.raises(Unsupported) as refused:
        cables.refuse_pulse(2.0, 100e-9)
    assert str(refused.value) == (
        "width_s 100 ns is below the 172.7 ns in which the cable of the rows, 500 pF through 50 ohm,"
        " charges to 2 V"
    )


def _array(**limits: float) -> ArraySettings:
    array = fake_array("1T1R")
    return array.model_copy(update={"limits": array.limits.model_copy(update=limits)})


def test_cable_that_takes_seconds_is_refused_in_the_words_of_the_station_file() -> None:
    # 2 V, 500 pF and 1 nA would be 1 s; 0.1 nA 10 s. The gate has a limit of its own, 3 V.
    slow = Cables(500e-12, {"columns": DriveCircuit(0.0, 1e-10)})
    Cables(500e-12, {"columns": DriveCircuit(0.0, 1e-9)}).refuse_slow(_array())
    words = r"the columns, 500 pF at 100 pA, charges by 2 V in 10 s: above 5 s"
    with pytest.raises(ConfigError, match=words) as told:
        slow.refuse_slow(_array())
    assert "wiring.cable_f" in str(told.value)
    gates = Cables(500e-12, {"gates": DriveCircuit(0.0, 2e-10)})
    with pytest.raises(ConfigError, match=r"the gates, .* by 3 V in 7\.5 s"):
        gates.refuse_slow(_array())


def test_without_a_cable_nothing_waits_and_every_width_is_taken() -> None:
    none = Cables(0.0, {"rows": DriveCircuit(1e6, 1e-9)})
    assert none.wait_s({"rows": 1.0}) == 0
    none.refuse_pulse(1.0, 1e-12)
    none.refuse_slow(_array())

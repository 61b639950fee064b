"""Cables that charge behind the outputs of the virtual bench, against arithmetic done by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from hwloop.array.operations import PulseMap
from hwloop.station.station import load_station
from hwloop.types import FloatArray
from hwloop_sim.cells.device import Device
from hwloop_sim.virtual.circuit.cables import Charge
from hwloop_sim.virtual.circuit.circuit import Circuit
from hwloop_sim.virtual.circuit.clock import BenchClock
from tests.drivers.running_bench import STATIONS, copy_station

STATION = next(path for path in STATIONS if path.stem == "virtual_4x4")
ROW_CONDUCTANCE_S, CELL_CONDUCTANCE_S = 4 * 10e-9, 10e-9


class Resistors(Device):
    """Sixteen cells of 10 nS."""

    @property
    def conductance_s(self) -> FloatArray:
        return np.full((4, 4), CELL_CONDUCTANCE_S)

    def check(self, pulse: PulseMap) -> None:
        pass

    def pulse(self, pulse: PulseMap) -> None:
        pass


def _circuit(folder: Path, cable: str) -> tuple[Circuit, BenchClock]:
    """Row 0 and column 0 on their sources, the other columns and rows on ground."""
    station = load_station(
        copy_station(STATION, folder, **{"wiring:\n": f"wiring:\n  cable_f: {cable}\n"})
    )
    clock = BenchClock()
    circuit = Circuit(station, Resistors(), clock, quiet_v=1.1)
    grounds = {f"1!3!{n}" for n in range(1, 9)} - {"1!3!1", "1!3!5"}
    circuit.set_closed("matrix", frozenset(grounds | {"1!1!1", "1!2!5"}))
    circuit.drive("col_smu", volts=0.0, limit_a=1e-3)
    circuit.drive("row_smu", volts=0.0, limit_a=1e-3)
    clock.advance(1.0)
    return circuit, clock


def test_source_at_its_limit_charges_its_cable_in_c_dv_over_i(tmp_path: Path) -> None:
    # 500 pF by 0.1 V at 100 nA: 0.5 ms. Until then it gives its limit, then what the cells take.
    circuit, clock = _circuit(tmp_path, "500 pF")
    circuit.drive("row_smu", volts=0.1, limit_a=100e-9)
    clock.advance(0.25e-3)
    early = circuit.read("row_smu")
    assert (early.amperes, early.limited) == (100e-9, True)
    assert early.volts == pytest.approx(0.05)
    assert circuit.read("col_smu").amperes == pytest.approx(-0.05 * CELL_CONDUCTANCE_S)
    clock.advance(0.251e-3)
    settled = circuit.read("row_smu")
    assert settled.amperes == pytest.approx(0.1 * ROW_CONDUCTANCE_S)
    assert circuit.read("col_smu").amperes == pytest.approx(-0.1 * CELL_CONDUCTANCE_S)
    assert not settled.limited


def test_source_without_a_limit_charges_its_cable_through_its_resistor(tmp_path: Path) -> None:
    # 1 nF behind 50 ohm: 50 ns. After one of them 1/e of 1 V is left, which is 7.36 mA.
    circuit, clock = _circuit(tmp_path, "1 nF")
    circuit.drive("row_smu", volts=1.0, series_ohm=50.0)
    clock.advance(50e-9)
    early = circuit.read("row_smu")
    assert early.volts == pytest.approx(1 - math.exp(-1), rel=1e-5)
    assert early.amperes == pytest.approx(math.exp(-1) / 50, rel=1e-5)
    clock.advance(50e-9 * math.log(1000) - 50e-9)
    assert circuit.read("row_smu").volts == pytest.approx(0.999, rel=1e-5)


def test_limit_and_resistor_charge_one_after_the_other() -> None:
    # 1 V, 1 mA, 100 ohm, 1 nF: 0.9 V by slewing in 0.9 us, the last 0.1 V with 0.1 us.
    charge = Charge(0.0, -1.0, 0.0, limit_a=1e-3, series_ohm=100.0, cable_f=1e-9)
    assert charge.at(0.45e-6) == pytest.approx((-0.45, -1e-3))
    assert charge.at(0.9e-6) == pytest.approx((-0.9, -1e-3))
    assert charge.at(1.0e-6) == pytest.approx((-1 + 0.1 / math.e, -1e-3 / math.e))
    assert charge.at(1.0) == (-1.0, 0.0)


def test_step_on_the_way_begins_where_the_cable_is(tmp_path: Path) -> None:
    # 0.05 V of 0.1 V reached when the level goes back to 0: as long again at the same limit.
    circuit, clock = _circuit(tmp_path, "500 pF")
    circuit.drive("row_smu", volts=0.1, limit_a=100e-9)
    clock.advance(0.25e-3)
    circuit.drive("row_smu", volts=0.0, limit_a=100e-9)
    clock.advance(0.2e-3)
    assert circuit.read("row_smu").volts == pytest.approx(0.01)
    assert circuit.read("row_smu").amperes == -100e-9
    clock.advance(0.06e-3)
    assert circuit.read("row_smu").amperes == pytest.approx(0.0, abs=1e-15)


def test_output_that_is_let_go_charges_no_cable(tmp_path: Path) -> None:
    circuit, _ = _circuit(tmp_path, "500 pF")
    circuit.drive("row_smu", volts=0.1, limit_a=100e-9)
    circuit.drive("row_smu", volts=None)
    assert circuit.read("row_smu").amperes == 0.0


def test_without_a_cable_a_level_is_reached_at_once(tmp_path: Path) -> None:
    circuit, _ = _circuit(tmp_path, "0")
    circuit.drive("row_smu", volts=0.1, limit_a=100e-9)
    assert circuit.read("row_smu").amperes == pytest.approx(0.1 * ROW_CONDUCTANCE_S)

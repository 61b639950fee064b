"""The circuit against arithmetic done by hand."""

from pathlib import Path

import numpy as np
import pytest

from hwloop.operations import FloatArray, PulseMap
from hwloop.station import Station, load_station
from hwloop_sim.device import Device
from hwloop_sim.virtual.circuit import Circuit
from hwloop_sim.virtual.clock import BenchClock

STATION = Path(__file__).parents[3] / "stations" / "virtual_4x4.yaml"


class Resistors(Device):
    """Cells that only count what they are given."""

    def __init__(self) -> None:
        self.given: list[PulseMap] = []

    @property
    def conductance_s(self) -> FloatArray:
        return np.arange(1.0, 17.0).reshape(4, 4) * 1e-6

    def check(self, pulse: PulseMap) -> None:
        pass

    def pulse(self, pulse: PulseMap) -> None:
        self.given.append(pulse)


@pytest.fixture
def bench() -> tuple[Circuit, Resistors, BenchClock]:
    station: Station = load_station(STATION)
    device, clock = Resistors(), BenchClock()
    return Circuit(station, device, clock, quiet_v=1.1), device, clock


def _close(circuit: Circuit, row: int, col: int) -> None:
    grounds = {f"1!3!{n}" for n in range(1, 9)} - {f"1!3!{row + 1}", f"1!3!{col + 5}"}
    circuit.set_closed("matrix", frozenset(grounds | {f"1!1!{row + 1}", f"1!2!{col + 5}"}))


def test_column_meter_sees_the_selected_cell_alone(bench: tuple) -> None:
    circuit, _, _ = bench
    _close(circuit, 1, 2)
    circuit.drive("row_smu", volts=0.05, limit_a=1e-3)
    circuit.drive("col_smu", volts=0.0, limit_a=1e-3)
    assert circuit.sense("col_smu").amperes == pytest.approx(-0.05 * 7e-6, rel=1e-9)
    assert circuit.sense("row_smu").amperes == pytest.approx(0.05 * 26e-6, rel=1e-9)


def test_output_at_its_limit_is_a_current_source(bench: tuple) -> None:
    circuit, _, _ = bench
    _close(circuit, 0, 0)
    circuit.drive("row_smu", volts=1.0, limit_a=1e-6)
    circuit.drive("col_smu", volts=0.0)
    sensed = circuit.sense("row_smu")
    assert sensed.limited
    assert sensed.amperes == pytest.approx(1e-6)
    assert sensed.volts == pytest.approx(1e-6 / 10e-6, rel=1e-6)  # row 0: 1+2+3+4 µS


def test_half_select_pulse_reaches_the_selected_cell_for_its_width(bench: tuple) -> None:
    circuit, device, clock = bench
    _close(circuit, 3, 0)
    circuit.drive("row_smu", volts=0.0)
    circuit.drive("col_smu", volts=-1.0)
    clock.advance(1.0)  # half-selected: nothing happens
    circuit.drive("row_smu", volts=1.0)
    clock.advance(0.05)
    circuit.drive("row_smu", volts=0.0)
    (pulse,) = device.given
    assert pulse.width_s == pytest.approx(0.05)
    assert pulse.amplitude_v[3, 0] == pytest.approx(2.0, rel=1e-6)
    assert np.count_nonzero(pulse.amplitude_v) == 1


def test_floating_row_settles_between_its_columns(bench: tuple) -> None:
    circuit, _, _ = bench
    circuit.set_closed("matrix", frozenset({"1!2!5", "1!3!6"}))  # col0 driven, col1 grounded
    circuit.drive("col_smu", volts=1.0)
    lines = circuit.line_volts()
    assert 0 < lines["row0"] < 1
    assert circuit.sense("col_smu").amperes > 0


def test_stuck_relay_stays_whatever_is_told(bench: tuple) -> None:
    circuit, _, _ = bench
    circuit.stick("matrix", "1!1!1", closed=False)
    _close(circuit, 0, 0)
    assert "matrix:1!1!1" not in circuit.closed_channels()

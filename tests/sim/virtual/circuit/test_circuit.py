"""The circuit against arithmetic done by hand."""

from pathlib import Path

import numpy as np
import pytest

from hwloop.array.operations import PulseMap
from hwloop.errors import Unsupported
from hwloop.station.station import Station, load_station
from hwloop.types import FloatArray
from hwloop_sim.cells.device import Device
from hwloop_sim.virtual.circuit.circuit import Circuit
from hwloop_sim.virtual.circuit.clock import BenchClock

STATION = Path(__file__).parents[4] / "stations" / "virtual_4x4.yaml"


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


class KnowsOnlyTwoVolts(Resistors):
    """Cells measured with one pulse, as those of a pulse table."""

    def check(self, pulse: PulseMap) -> None:
        if abs(np.abs(pulse.amplitude_v).max() - 2.0) > 1e-3:
            raise Unsupported("only 2 V was measured")


class KnowsEveryVoltage(Resistors):
    @property
    def half_select(self) -> bool:
        return True


def _pulse_cell_3_0(device: Device, *, volts: float, quiet_v: float, harmless_v: float) -> Circuit:
    clock = BenchClock()
    circuit = Circuit(load_station(STATION), device, clock, quiet_v=quiet_v, harmless_v=harmless_v)
    _close(circuit, 3, 0)
    circuit.drive("row_smu", volts=0.0)
    circuit.drive("col_smu", volts=0.0)
    circuit.drive("row_smu", volts=volts)
    clock.advance(0.05)
    circuit.drive("row_smu", volts=0.0)
    return circuit


def test_pulse_up_to_the_half_select_limit_changes_a_cell_whose_model_covers_it() -> None:
    device = KnowsOnlyTwoVolts()
    circuit = _pulse_cell_3_0(device, volts=2.0, quiet_v=0.1, harmless_v=2.2)
    assert len(device.given) == 4  # columns at 0 V: the whole of row 3 sees it
    assert circuit.pulses.sum() == 4
    assert circuit.unmodelled == []


def test_model_of_every_voltage_is_given_half_selected_cells_which_are_not_counted() -> None:
    device = KnowsEveryVoltage()
    circuit = _pulse_cell_3_0(device, volts=1.0, quiet_v=0.1, harmless_v=1.1)
    assert [np.abs(pulse.amplitude_v).max() for pulse in device.given] == pytest.approx([1.0] * 4)
    assert circuit.pulses.sum() == 0


def test_model_of_one_pulse_leaves_harmless_voltages_alone_and_says_so_of_others() -> None:
    device = KnowsOnlyTwoVolts()
    assert _pulse_cell_3_0(device, volts=1.0, quiet_v=0.1, harmless_v=1.1).unmodelled == []
    said = _pulse_cell_3_0(device, volts=1.5, quiet_v=0.1, harmless_v=1.1).unmodelled
    assert len(said) == 4
    assert "only 2 V was measured" in said[0]
    assert device.given == []


def test_read_voltages_change_no_cell() -> None:
    device = KnowsEveryVoltage()
    _pulse_cell_3_0(device, volts=0.1, quiet_v=0.1, harmless_v=1.1)
    assert device.given == []


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

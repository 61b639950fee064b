"""What the meter reads of known resistors, against circuits solved by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.array.biasing import Scheme
from hwloop.station.station import Station
from hwloop_drivers.station.wired_circuit import Connection, WiredCircuit
from tests.drivers.fake_bench import SHAPE, fake_station

KOHM = np.array([[10.0, 12.0, 15.0, 18.0], [22.0, 27.0, 33.0, 39.0], [47.0, 56.0, 68.0, 82.0]])
CELLS_S = 1e-3 / KOHM


def _circuit(scheme: Scheme, **series_ohm: float) -> WiredCircuit:
    data = fake_station(scheme, without="columns" if scheme == "floating" else "")
    return WiredCircuit(Station.parse(data), series_ohm)


@pytest.mark.parametrize("scheme", ["V/2", "V/3", "grounded", "1T1R"])
def test_a_read_without_resistors_is_the_current_of_its_cell(scheme: Scheme) -> None:
    np.testing.assert_allclose(_circuit(scheme).read_conductance_s(CELLS_S), CELLS_S, rtol=1e-6)


def test_a_resistor_of_the_rows_takes_the_current_of_the_whole_row() -> None:
    seen = _circuit("V/2", on_rows=1e3).read_conductance_s(CELLS_S)
    # The row is a divider: 1 kohm and all of its cells in parallel, to columns at 0 V.
    row_v = 1 / (1 + 1e3 * CELLS_S.sum(axis=1))
    np.testing.assert_allclose(seen, CELLS_S * row_v[:, None], rtol=1e-6)


def test_a_resistor_of_a_1t1r_array_is_in_series_with_one_cell() -> None:
    seen = _circuit("1T1R", on_rows=1e3, on_columns=2e3).read_conductance_s(CELLS_S)
    np.testing.assert_allclose(seen, 1 / (1 / CELLS_S + 3e3), rtol=1e-6)


def test_a_floating_read_has_the_path_over_the_three_other_cells_in_it() -> None:
    data = {
        "name": "two_by_two",
        "scheme": "floating",
        "instruments": {name: {"kind": "any", "address": f"GPIB::{name}"} for name in ("s", "m")},
        "wiring": {
            "drive": {"rows": "s"},
            "lines": {
                "row0": {"s": "1", "gnd": "2"},
                "row1": {"s": "3", "gnd": "4"},
                "col0": {"gnd": "5"},
                "col1": {"gnd": "6"},
            },
        },
    }
    cells_s = 1 / np.array([[10e3, 20e3], [40e3, 80e3]])
    seen = WiredCircuit(Station.parse(data), {"s": 1e3}).read_conductance_s(cells_s)
    # Cell (0, 0) beside (0, 1), (1, 1) and (1, 0) in series, behind 1 kohm.
    around_ohm = 1 / (1 / 10e3 + 1 / (20e3 + 80e3 + 40e3))
    assert seen[0, 0] == pytest.approx(1 / (around_ohm + 1e3), rel=1e-6)
    around_ohm = 1 / (1 / 80e3 + 1 / (40e3 + 10e3 + 20e3))
    assert seen[1, 1] == pytest.approx(1 / (around_ohm + 1e3), rel=1e-6)


@pytest.mark.parametrize("scheme", ["V/2", "V/3", "grounded", "floating", "1T1R"])
def test_the_cells_are_found_from_their_reads(scheme: Scheme) -> None:
    circuit = _circuit(scheme, on_rows=1e3, on_columns=500.0)
    found = circuit.cells_conductance_s(circuit.read_conductance_s(CELLS_S))
    np.testing.assert_allclose(found, CELLS_S, rtol=1e-4)


def test_reads_that_no_cells_explain_are_returned_themselves() -> None:
    circuit = _circuit("1T1R", on_rows=1e3)
    beyond_s = np.full(SHAPE, 2e-3)  # more than the 1 mS of the resistor alone
    np.testing.assert_array_equal(circuit.cells_conductance_s(beyond_s), beyond_s)


def test_lines_that_are_not_named_are_on_ground() -> None:
    connection = Connection({"col0": "on_columns"}, {"on_columns": 0.1})
    current_a = _circuit("grounded").current_a(CELLS_S, connection, meter="on_columns")
    # The column sees its three cells in parallel to ground.
    assert current_a == pytest.approx(0.1 * CELLS_S[:, 0].sum(), rel=1e-6)

"""The array of a virtual bench through lines of some resistance, against SuperLU and the emulator."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop_sim.circuit import Crossbar, Wires
from hwloop_sim.virtual.circuit.array_interior import interior
from tests.sim.circuit.network import by_sparse_lu, network

CELLS_CONDUCTANCE_S = np.random.default_rng(8).uniform(1e-5, 1e-3, (3, 5))
ENDS = [("left", "bottom"), ("right", "top"), ("both", "both"), ("left", "top")]


@pytest.mark.parametrize(("row_ends", "col_ends"), ENDS)
def test_currents_through_resistive_lines_are_those_of_the_emulators_circuit(
    row_ends: str, col_ends: str
) -> None:
    wires = Wires(row_ohm=3.0, col_ohm=7.0, selector_ohm=11.0, row_ends=row_ends, col_ends=col_ends)
    rows_v = np.array([0.2, 0.0, -0.1])
    current_a = (
        interior(CELLS_CONDUCTANCE_S, wires).terminal_conductance_s @ np.r_[rows_v, np.zeros(5)]
    )
    wanted_a = Crossbar(CELLS_CONDUCTANCE_S, wires).multiply(rows_v[None])[0]
    np.testing.assert_allclose(-current_a[3:], wanted_a, rtol=1e-9)


@pytest.mark.parametrize(("row_ohm", "col_ohm"), [(3.0, 7.0), (2.0, 0.0), (0.0, 2.0)])
def test_voltages_and_currents_are_those_of_a_nodal_analysis(
    row_ohm: float, col_ohm: float
) -> None:
    wires = Wires(row_ohm=row_ohm, col_ohm=col_ohm, selector_ohm=11.0, row_ends="both")
    terminal_v = np.array([0.2, 0.0, -0.1, 0.05, 0.0, -0.2, 0.1, 0.0])
    circuit = network(CELLS_CONDUCTANCE_S, terminal_v[:3], terminal_v[3:], wires)
    word_v, bit_v = circuit.volts(by_sparse_lu(circuit))
    cell_v = (word_v - bit_v).astype(np.float64)
    cell_a = CELLS_CONDUCTANCE_S * cell_v
    inside = interior(CELLS_CONDUCTANCE_S, wires)
    np.testing.assert_allclose(inside.cell_v(terminal_v), cell_v, rtol=0, atol=1e-12)
    into_a = np.concatenate([cell_a.sum(axis=1), -cell_a.sum(axis=0)])
    np.testing.assert_allclose(
        inside.terminal_conductance_s @ terminal_v, into_a, rtol=0, atol=1e-15
    )


def test_resistances_of_drivers_and_meters_are_left_to_the_instruments() -> None:
    bare = interior(CELLS_CONDUCTANCE_S, Wires(row_ohm=2.0))
    with_ends = interior(CELLS_CONDUCTANCE_S, Wires(row_ohm=2.0, driver_ohm=1e3, sense_ohm=1e3))
    np.testing.assert_array_equal(with_ends.terminal_conductance_s, bare.terminal_conductance_s)


def test_ideal_lines_are_the_limit_of_little_resistance() -> None:
    ideal, nearly = (
        interior(CELLS_CONDUCTANCE_S, None),
        interior(CELLS_CONDUCTANCE_S, Wires(row_ohm=1e-6, col_ohm=1e-6)),
    )
    np.testing.assert_allclose(
        nearly.terminal_conductance_s, ideal.terminal_conductance_s, rtol=1e-6, atol=1e-9
    )
    terminal_v = np.linspace(-1, 1, 8)
    np.testing.assert_allclose(nearly.cell_v(terminal_v), ideal.cell_v(terminal_v), atol=1e-6)


@pytest.mark.parametrize(("row_ohm", "col_ohm"), [(2.0, 1.0), (2.0, 0.0), (0.0, 2.0)])
def test_no_current_where_every_terminal_has_one_voltage(row_ohm: float, col_ohm: float) -> None:
    inside = interior(CELLS_CONDUCTANCE_S, Wires(row_ohm=row_ohm, col_ohm=col_ohm))
    np.testing.assert_allclose(inside.terminal_conductance_s.sum(axis=1), 0.0, atol=1e-12)
    np.testing.assert_allclose(inside.cell_v(np.ones(8)), 0.0, atol=1e-12)

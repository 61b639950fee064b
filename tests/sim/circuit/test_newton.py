"""Cells that are not linear, and cells behind transistors, against arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.errors import BackendError
from hwloop_sim.circuit import (
    BehindTransistor,
    Polynomial,
    Sinh,
    Wires,
    solve,
    solve_cells,
)
from tests.sim.circuit.cases import SCHEMES, biased, four_decades, wires, with_faults


def test_one_cell_in_series_with_a_resistor() -> None:
    found = solve_cells([[1e-3]], Sinh(4.0), row_v=[1.0], wires=Wires(driver_ohm=1000.0))
    volts, ampere = found.cell_v[0, 0], found.cell_a[0, 0]
    assert ampere == pytest.approx(1e-3 * np.sinh(4 * volts) / 4, rel=1e-13)
    assert volts + 1000 * ampere == pytest.approx(1.0, rel=1e-13)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_law_that_is_a_line_gives_the_linear_circuit(scheme: str) -> None:
    cells_conductance_s = with_faults(9, 8)
    row_v, col_v = biased(scheme, 9, 8)
    linear = solve(cells_conductance_s, row_v=row_v, col_v=col_v, wires=wires(30.0))
    law = Polynomial(())
    newton = solve_cells(cells_conductance_s, law, row_v=row_v, col_v=col_v, wires=wires(30.0))
    np.testing.assert_allclose(newton.cell_v, linear.cell_v, rtol=0, atol=1e-11)
    np.testing.assert_allclose(newton.col_a, linear.col_a, rtol=0, atol=1e-11 * 1e-2)


def test_currents_balance_at_every_line_of_a_floating_array() -> None:
    cells_conductance_s = four_decades(20, 20)
    row_v, col_v = biased("floating", 20, 20)
    found = solve_cells(cells_conductance_s, Sinh(8.0), row_v=row_v, col_v=col_v, wires=wires(1.0))
    through_a = np.abs(found.cell_a).sum(axis=1)
    lost = np.abs(found.cell_a.sum(axis=1))[np.isnan(row_v)]
    assert (lost / through_a[np.isnan(row_v)]).max() < 1e-9
    assert found.row_a.sum() == pytest.approx(found.col_a.sum(), rel=1e-10)


def test_batches_and_populations_equal_runs_of_one() -> None:
    cells_conductance_s = np.stack([four_decades(4, 3, seed) for seed in range(2)])
    row_v = np.random.default_rng(0).uniform(-1, 1, (2, 3, 4))
    row_v[0, 1, 2] = np.nan
    together = solve_cells(cells_conductance_s, Sinh(2.0), row_v=row_v, wires=wires(100.0))
    for a, v in np.ndindex(2, 3):
        alone = solve_cells(
            cells_conductance_s[a], Sinh(2.0), row_v=row_v[a, v], wires=wires(100.0)
        )
        np.testing.assert_allclose(together.cell_v[a, v], alone.cell_v, rtol=1e-11)
        np.testing.assert_allclose(together.col_a[a, v], alone.col_a, rtol=1e-9)


def test_steep_cells_behind_steep_wires_converge() -> None:
    found = solve_cells(
        np.full((6, 6), 1e-4), Sinh(20.0), row_v=np.full(6, 3.0), wires=wires(100.0)
    )
    assert found.residual <= 1e-11
    assert found.col_a.sum() == pytest.approx(found.row_a.sum(), rel=1e-12)


def test_cell_behind_its_transistor_shares_the_voltage() -> None:
    law = BehindTransistor(Sinh(5.0), np.array([[2e3], [np.inf]]))
    found = solve_cells(np.full((2, 1), 1e-3), law, row_v=[1.0, 1.0], wires=Wires())
    ampere = found.cell_a[0, 0]
    device_v = 1.0 - 2e3 * ampere
    assert ampere == pytest.approx(1e-3 * np.sinh(5 * device_v) / 5, rel=1e-12)
    assert found.cell_a[1, 0] == 0.0


def test_law_that_falls_is_refused_with_cell_and_voltage() -> None:
    with pytest.raises(BackendError, match=r"vector 0, cell \(0, 1\): at 1 V the slope"):
        solve_cells([[0.0, 1e-3]], Polynomial((0.0, -1.0)), row_v=[1.0], wires=Wires())


def test_law_too_steep_for_its_voltage_is_an_error() -> None:
    with pytest.raises(
        BackendError, match=r"the circuit of Sinh\(nonlinearity_per_v=1000.0\) is not solved"
    ):
        solve_cells([[1e-3]], Sinh(1000.0), row_v=[1.0], wires=Wires())


@pytest.mark.parametrize("nonlinearity_per_v", [0.0, -1.0, np.nan])
def test_refuses_a_sinh_without_a_voltage(nonlinearity_per_v: float) -> None:
    with pytest.raises(ValueError, match="nonlinearity_per_v"):
        Sinh(nonlinearity_per_v)


def test_refuses_a_transistor_of_negative_resistance() -> None:
    with pytest.raises(ValueError, match=r"ohm has -1\.0"):
        BehindTransistor(Sinh(1.0), np.array(-1.0))

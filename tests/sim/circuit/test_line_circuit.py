"""The step that measures line resistances has a solver of its own: both find the same array."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.steps.characterise.line_circuit import LineResistances, conductance_through_lines_s
from hwloop_sim.circuit import Crossbar, Wires


@pytest.mark.parametrize("cell_conductance_s", [1e-6, 1e-4, 1e-2])
@pytest.mark.parametrize("shape", [(1, 1), (4, 7), (32, 16)])
@pytest.mark.parametrize(("row_ohm", "col_ohm"), [(1.0, 1.0), (0.1, 30.0)])
def test_the_step_and_the_emulator_see_the_same_conductances(
    row_ohm: float, col_ohm: float, shape: tuple[int, int], cell_conductance_s: float
) -> None:
    seen_conductance_s = conductance_through_lines_s(
        cell_conductance_s, shape, LineResistances(row_ohm, col_ohm, 50.0, 10.0)
    )
    wires = Wires(row_ohm=row_ohm, col_ohm=col_ohm, driver_ohm=50.0, sense_ohm=10.0)
    emulated_conductance_s = Crossbar(
        np.full(shape, cell_conductance_s), wires
    ).transfer_conductance_s()
    np.testing.assert_allclose(
        seen_conductance_s, emulated_conductance_s, rtol=0, atol=1e-11 * cell_conductance_s
    )

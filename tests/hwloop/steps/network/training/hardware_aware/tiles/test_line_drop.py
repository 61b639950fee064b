"""The drop along the lines of a block, against the emulator's exact solver of the circuit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.steps.network.training.hardware_aware.tiles.line_drop import transfer_conductance_s
from hwloop.steps.network.training.hardware_aware.tiles.settings import TileWires
from hwloop_sim.circuit import Wires
from hwloop_sim.circuit.crossbar import Crossbar

OHM = st.floats(0.01, 200)


@settings(max_examples=30)
@given(
    rows=st.integers(1, 9),
    cols=st.integers(1, 9),
    left=st.integers(0, 4),
    below=st.integers(0, 4),
    ohms=st.tuples(OHM, OHM, OHM, OHM),
    seed=st.integers(0, 99),
)
def test_the_transfer_is_that_of_the_solver_of_the_emulator(
    rows: int, cols: int, left: int, below: int, ohms: tuple[float, ...], seed: int
) -> None:
    """A block beside its driver and above its meter is one on a larger array of 0 S elsewhere."""
    cells_conductance_s = 10 ** np.random.default_rng(seed).uniform(-6, -3, (rows, cols))
    whole_conductance_s = np.zeros((rows + below, left + cols))
    whole_conductance_s[:rows, left:] = cells_conductance_s
    kinds = dict(zip(("row_ohm", "col_ohm", "driver_ohm", "sense_ohm"), ohms, strict=True))
    solved = Crossbar(whole_conductance_s, Wires(**kinds)).transfer_conductance_s()
    found = transfer_conductance_s(
        cells_conductance_s, TileWires.parse(kinds), left=left, below=below
    )
    np.testing.assert_allclose(found, solved[:rows, left:], rtol=1e-7)


def test_a_single_cell_is_in_series_with_its_lines() -> None:
    """1 / (1/G + driver + 3 row + 2 col + sense), by hand."""
    wires = TileWires.parse({"row_ohm": 7, "col_ohm": 5, "driver_ohm": 50, "sense_ohm": 20})
    found = transfer_conductance_s(np.array([[1e-3]]), wires, left=2, below=1)
    assert found[0, 0] == pytest.approx(1 / (1000 + 50 + 3 * 7 + 2 * 5 + 20), rel=1e-12)


def test_a_line_without_resistance_is_nearly_ideal() -> None:
    """Rows without resistance, columns of 10 Ω: within the 1 mΩ that stands for none."""
    cells_conductance_s = np.full((6, 4), 1e-4)
    exact = Crossbar(cells_conductance_s, Wires(col_ohm=10)).transfer_conductance_s()
    found = transfer_conductance_s(cells_conductance_s, TileWires.parse({"col_ohm": 10}))
    np.testing.assert_allclose(found, exact, rtol=1e-5)
    assert (found < 0.998 * cells_conductance_s).any()

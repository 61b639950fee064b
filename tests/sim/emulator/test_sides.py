"""Multiplication from the columns: the same circuit, the other way round."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwloop.array.operations import Flag, VectorBatch
from hwloop.errors import BackendError, Unsupported
from hwloop.types import FloatArray
from hwloop_sim.circuit import Sinh, Wires, solve, solve_cells
from hwloop_sim.circuit.wires import ColEnds, RowEnds
from hwloop_sim.emulator.transposed import TransposedCells, transposed_wires
from tests.emulated import DEVICE, Steps, emulated, read_all

LINES: dict[str, Any] = {
    "row_ohm": 7.0,
    "col_ohm": 20.0,
    "driver_ohm": 90.0,
    "sense_ohm": 30.0,
    "selector_ohm": 3.0,
}
VARIED = DEVICE | {
    "shift": {"distribution": "lognormal", "median_conductance_s": "100 uS", "sigma": 0.8}
}


def _conductance_s(rows: int, cols: int, **sim: Any) -> Any:
    return read_all(emulated(rows, cols, device=VARIED, **sim)) / 0.1


def test_without_wires_it_is_the_product_with_the_transposed_array() -> None:
    vectors_v = np.random.default_rng(1).uniform(-0.2, 0.2, (9, 5))
    reading = emulated(6, 5, device=VARIED).multiply(VectorBatch(vectors_v, "cols"))
    expected = vectors_v @ _conductance_s(6, 5).T
    np.testing.assert_allclose(reading.current_a, expected, rtol=1e-12)
    assert (reading.flags == 0).all()


@pytest.mark.parametrize("row_ends", ["left", "right", "both"])
@pytest.mark.parametrize("col_ends", ["top", "bottom", "both"])
def test_with_wires_the_rows_take_what_the_circuit_drives_into_them(
    row_ends: RowEnds, col_ends: ColEnds
) -> None:
    lines = LINES | {"row_ends": row_ends, "col_ends": col_ends}
    vectors_v = np.random.default_rng(2).uniform(-0.2, 0.2, (7, 5))
    solution = solve(
        _conductance_s(6, 5), row_v=np.zeros((7, 6)), col_v=vectors_v, wires=Wires(**lines)
    )
    backend = emulated(6, 5, device=VARIED, wires=lines)
    current_a = backend.multiply(VectorBatch(vectors_v, "cols")).current_a
    np.testing.assert_allclose(current_a, -solution.row_a, rtol=1e-9, atol=1e-18)


def test_a_passive_array_answers_alike_from_both_sides() -> None:
    """The theorem of reciprocity: 1 V at column j drives into row i what 1 V at i drives into j."""
    backend = emulated(6, 5, device=VARIED, wires=LINES)
    by_rows_a = backend.multiply(VectorBatch(0.1 * np.eye(6))).current_a
    by_cols_a = backend.multiply(VectorBatch(0.1 * np.eye(5), "cols")).current_a
    np.testing.assert_allclose(by_cols_a, by_rows_a.T, rtol=1e-9)


@pytest.mark.parametrize("wires", [None, LINES])
def test_cells_see_the_voltage_the_other_way_round(wires: dict[str, Any] | None) -> None:
    law = {"law": "sinh", "nonlinearity_per_v": 3.0}
    backend = emulated(4, 3, device=VARIED, cell_law=law, wires=wires)
    vectors_v = np.random.default_rng(3).uniform(-0.4, 0.4, (5, 3))
    current_a = backend.multiply(VectorBatch(vectors_v, "cols")).current_a
    solution = solve_cells(
        _conductance_s(4, 3),
        Sinh(3.0),
        row_v=np.zeros((5, 4)),
        col_v=vectors_v,
        wires=Wires(**(wires or {})),
    )
    np.testing.assert_allclose(current_a, -solution.row_a, rtol=1e-6, atol=1e-15)


class Bent(Steps):
    """Cells of I = G (V + V²): another current at the opposite voltage."""

    linear = False

    def current_a(self, voltage_v: FloatArray) -> FloatArray:
        return self.conductance_s * (voltage_v + voltage_v**2)


def test_a_cell_that_rectifies_has_its_column_above_its_row() -> None:
    """By hand: the cell is at -v, I = G (-v + v²) from row to column, so G (v - v²) into the row."""
    cells = TransposedCells(Bent(np.array([[1e-4, 2e-4, 3e-4]])))
    into_rows_a = cells.current_a(np.array([[0.1], [0.2], [-0.3]]))
    np.testing.assert_allclose(into_rows_a, [[9e-6], [32e-6], [-117e-6]], rtol=1e-12)


@pytest.mark.parametrize("ends", ["left", "right", "both"])
def test_exchanging_rows_and_columns_twice_changes_no_resistance(ends: RowEnds) -> None:
    wires = Wires(**LINES, row_ends=ends)
    assert transposed_wires(transposed_wires(wires)) == wires
    assert transposed_wires(None) is None


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 9), cols=st.integers(1, 9), tile=st.integers(1, 5))
def test_tiles_add_up_to_the_whole(rows: int, cols: int, tile: int) -> None:
    vectors_v = np.linspace(-0.2, 0.2, 2 * cols).reshape(2, cols)
    tiles = {"tiles": {"rows": tile, "cols": 2}}
    backend = emulated(rows, cols, device=VARIED, converters=tiles)
    current_a = backend.multiply(VectorBatch(vectors_v, "cols")).current_a
    expected = vectors_v @ _conductance_s(rows, cols).T
    np.testing.assert_allclose(current_a, expected, rtol=1e-12, atol=1e-18)


def test_rows_have_converters_with_errors_and_a_range_of_their_own() -> None:
    adc = {"bits": 8, "range": {"kind": "calibrated", "margin": 0.1}, "gain_sigma": 0.05}
    backend = emulated(6, 6, device=VARIED, converters={"adc": adc})
    vectors_v = np.random.default_rng(5).uniform(-0.2, 0.2, (50, 6))
    by_rows = backend.multiply(VectorBatch(vectors_v)).current_a
    by_cols = backend.multiply(VectorBatch(vectors_v, "cols")).current_a
    said = [event.message for event in backend.take_events() if "ADC: 8 bits" in event.message]
    assert len(said) == 2
    for current_a in (by_rows, by_cols):
        assert np.unique(np.round(current_a, 15)).size <= 256
    gains = [
        np.polyfit((vectors_v @ conductance_s)[:, 0], current_a[:, 0], 1)[0]
        for conductance_s, current_a in (
            (_conductance_s(6, 6), by_rows),
            (_conductance_s(6, 6).T, by_cols),
        )
    ]
    assert abs(gains[0] - gains[1]) > 1e-3


def test_noise_is_that_of_the_cells_of_each_row() -> None:
    conductance_s = _conductance_s(3, 4)
    backend = emulated(3, 4, device=VARIED, read_noise=0.05)
    vectors_v = np.tile([0.1, -0.2, 0.05, 0.15], (20_000, 1))
    current_a = backend.multiply(VectorBatch(vectors_v, "cols")).current_a
    sigma_a = 0.05 * np.sqrt(np.square(vectors_v[:1]) @ np.square(conductance_s.T))[0]
    np.testing.assert_allclose(current_a.std(axis=0), sigma_a, rtol=0.03)


def test_a_column_at_its_compliance_spoils_every_row_of_its_vector() -> None:
    conductance_s = _conductance_s(6, 5)
    most_a = 0.2 * conductance_s.sum(axis=0).max()
    backend = emulated(6, 5, device=VARIED, current_a=0.9 * most_a)
    vectors_v = np.zeros((2, 5))
    vectors_v[0, conductance_s.sum(axis=0).argmax()] = 0.2
    vectors_v[1] = 1e-3
    reading = backend.multiply(VectorBatch(vectors_v, "cols"))
    assert (reading.flags[0] == Flag.COMPLIANCE).all()
    assert np.isnan(reading.current_a[0]).all()
    assert np.isfinite(reading.current_a[1]).all()


def test_vectors_of_the_wrong_length_are_named_by_their_side() -> None:
    backend = emulated(6, 5)
    with pytest.raises(BackendError, match="voltage_v has 6 cols; the array has 5"):
        backend.multiply(VectorBatch(np.zeros((1, 6)), "cols"))
    with pytest.raises(ValueError, match="driven 'columns' is neither rows nor cols"):
        VectorBatch(np.zeros((1, 6)), "columns")  # type: ignore[arg-type]


def test_a_dac_refuses_what_is_beyond_its_range_on_either_side() -> None:
    dac = {"bits": 8, "low_v": "-0.1 V", "high_v": "0.1 V"}
    backend = emulated(6, 5, device=VARIED, converters={"dac": dac})
    for driven, lines in (("rows", 6), ("cols", 5)):
        with pytest.raises(Unsupported, match="DAC"):
            backend.multiply(VectorBatch(np.full((1, lines), 0.2), driven))  # type: ignore[arg-type]

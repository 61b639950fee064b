"""An emulated array whose lines float has the sneak paths of its circuit in all that it answers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import fsolve

from hwloop.array.operations import PulseMap, ReadMap, VectorBatch
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.kind import OpenRequest
from hwloop.types import FloatArray
from hwloop_sim.circuit import Wires, solve
from hwloop_sim.emulator.backend import SimSettings, open_sim
from hwloop_sim.emulator.lines import ArrayLines
from hwloop_sim.emulator.readout import Tiles
from tests.emulated import DEVICE, Steps, array
from tests.sim.emulator.test_lines import Bent, HalfSelect

EVERY = np.ones((3, 4), dtype=np.bool_)


def lines(shape: tuple[int, int], wires: Wires | None = None, tiles: Tiles | None = None):  # type: ignore[no-untyped-def]
    return ArrayLines(wires, tiles or Tiles(), "floating", shape)


def two_terminal_conductance_s(siemens: FloatArray, row: int, col: int) -> float:
    """Conductance between a row and a column, all else floating, from the graph's Laplacian."""
    rows, cols = siemens.shape
    laplacian = np.zeros((rows + cols, rows + cols))
    laplacian[:rows, rows:], laplacian[rows:, :rows] = -siemens, -siemens.T
    np.fill_diagonal(laplacian, -laplacian.sum(axis=1))
    ends = np.zeros(rows + cols)
    ends[row], ends[rows + col] = 1.0, -1.0
    return float(1.0 / (ends @ np.linalg.pinv(laplacian) @ ends))


def random_conductance_s(shape: tuple[int, ...], seed: int = 0) -> FloatArray:
    drawn: FloatArray = 10 ** np.random.default_rng(seed).uniform(-6, -4, shape)
    return drawn


def floating_sim(rows: int, cols: int) -> CrossbarBackend:
    settings = ArraySettings.parse(
        array(rows, cols).model_dump(exclude={"biasing"}) | {"biasing": "floating"}
    )
    request = OpenRequest(settings, None, np.random.default_rng(1))
    return open_sim(SimSettings.parse({"device": DEVICE}), request)


def test_a_read_of_four_cells_is_the_cell_beside_the_three_others_in_series() -> None:
    siemens = np.array([[10e-6, 20e-6], [30e-6, 40e-6]])
    read_a = lines((2, 2)).read(Steps(siemens), np.ones((2, 2), dtype=np.bool_), 0.1)
    wanted_s = 10e-6 + 1 / (1 / 20e-6 + 1 / 30e-6 + 1 / 40e-6)
    assert read_a[0, 0] == pytest.approx(0.1 * wanted_s, rel=1e-12)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)])
def test_every_read_is_that_of_the_graph_between_its_two_lines(shape: tuple[int, ...]) -> None:
    siemens = random_conductance_s(shape)
    read_a = lines((3, 4)).read(Steps(siemens), EVERY, -0.2)
    for *outer, row, col in np.ndindex(shape):
        wanted_s = two_terminal_conductance_s(siemens[tuple(outer)], row, col)
        assert read_a[(*outer, row, col)] == pytest.approx(-0.2 * wanted_s, rel=1e-9)


def test_only_the_cells_that_are_asked_for_are_read_and_the_others_later() -> None:
    cells, some = Steps(random_conductance_s((3, 4))), np.zeros((3, 4), dtype=np.bool_)
    some[1, 2] = some[2, 0] = True
    wiring = lines((3, 4))
    first_a, whole_a = wiring.read(cells, some, 0.1), wiring.read(cells, EVERY, 0.1)
    np.testing.assert_array_equal(first_a[some], whole_a[some])
    assert np.isfinite(whole_a).all()
    cells.pulse(PulseMap(np.full((3, 4), 2.0), 1e-3))
    moved_s = two_terminal_conductance_s(cells.conductance_s, 1, 2)
    assert wiring.read(cells, some, 0.1)[1, 2] == pytest.approx(0.1 * moved_s, rel=1e-9)


def test_cells_that_do_not_conduct_leave_lines_without_a_path() -> None:
    siemens = np.zeros((3, 4))
    siemens[0, 0], siemens[1, 1], siemens[1, 2] = 1e-5, 2e-5, 3e-5
    read_a = lines((3, 4)).read(Steps(siemens), EVERY, 0.1)
    np.testing.assert_allclose(read_a, 0.1 * siemens, rtol=1e-12, atol=1e-30)


def test_wires_are_in_the_path_of_a_read() -> None:
    siemens = np.array([[1e-4]])
    wires = Wires(row_ohm=10.0, col_ohm=20.0, driver_ohm=50.0, sense_ohm=30.0)
    read_a = lines((1, 1), wires).read(Steps(siemens), np.ones((1, 1), dtype=np.bool_), 0.1)
    assert read_a[0, 0] == pytest.approx(0.1 / (1e4 + 110.0), rel=1e-12)


def test_a_product_is_the_sum_of_reads_of_single_cells() -> None:
    siemens = random_conductance_s((3, 4))
    vectors_v = np.array([[0.1, -0.1, 0.1], [0.1, 0.1, 0.1], [0.0, 0.2, 0.0]])
    apparent_s = np.array(
        [[two_terminal_conductance_s(siemens, row, col) for col in range(4)] for row in range(3)]
    )
    product_a = lines((3, 4)).multiply(Steps(siemens), vectors_v, slice(0, 3))
    np.testing.assert_allclose(product_a, vectors_v @ apparent_s, rtol=1e-9)


def test_each_tile_floats_by_itself() -> None:
    siemens = random_conductance_s((3, 4))
    wiring = lines((3, 4), tiles=Tiles(rows=2, cols=2))
    read_a = wiring.read(Steps(siemens), EVERY, 0.1)
    wanted_s = two_terminal_conductance_s(siemens[:2, 2:], 1, 0)
    assert read_a[1, 2] == pytest.approx(0.1 * wanted_s, rel=1e-9)
    # A tile of one row: no path leads around its cells.
    assert read_a[2, 0] == pytest.approx(0.1 * siemens[2, 0], rel=1e-12)


def bent_read_a(conductance_s: FloatArray, read_v: float) -> float:
    """Current from row 0 to column 0 of 2 × 2 cells of I = G sinh(3 V)/3, the rest floating."""

    def current_a(row: int, col: int, volts: float) -> float:
        return float(conductance_s[row, col] * np.sinh(3 * volts) / 3)

    def excess(floating_v: FloatArray) -> list[float]:
        row_v, col_v = floating_v
        through = current_a(1, 1, row_v - col_v)
        return [
            1e6 * (current_a(1, 0, row_v) + through),
            1e6 * (current_a(0, 1, read_v - col_v) + through),
        ]

    _, col_v = fsolve(excess, [read_v / 3, 2 * read_v / 3], xtol=1e-13)
    return current_a(0, 0, read_v) + current_a(0, 1, read_v - col_v)


@pytest.mark.parametrize("population", [False, True])
def test_cells_that_are_not_linear_are_read_by_their_own_law(population: bool) -> None:
    siemens = np.array([[10e-6, 20e-6], [30e-6, 40e-6]])
    cells = Bent(np.stack([siemens, 2 * siemens]) if population else siemens)
    wiring, every = lines((2, 2)), np.ones((2, 2), dtype=np.bool_)
    wanted_a = bent_read_a(siemens, 0.9)
    read_a = wiring.read(cells, every, 0.9)[..., 0, 0]
    np.testing.assert_allclose(
        read_a, wanted_a * np.array([1, 2]) if population else wanted_a, rtol=1e-8
    )
    product_a = wiring.multiply(cells, np.array([[0.9, 0.0], [0.0, 0.4]]), slice(0, 2))
    np.testing.assert_allclose(product_a[..., 0, 0], read_a, rtol=1e-12)


def test_a_pulse_meets_the_state_that_the_pulse_before_it_has_left() -> None:
    siemens = random_conductance_s((2, 2))
    amplitude_v = np.array([[1.2, 0.0], [1.0, 0.0]])
    cells = HalfSelect(siemens)
    for stress in lines((2, 2)).stresses(cells, PulseMap(amplitude_v, 1e-3, 2)):
        cells.pulse(stress)
    state_s = siemens.copy()
    for row, volts in ((0, 1.2), (0, 1.2), (1, 1.0), (1, 1.0)):
        row_v, col_v = np.full(2, np.nan), np.array([0.0, np.nan])
        row_v[row] = volts
        cell_v = solve(state_s, row_v=row_v, col_v=col_v, wires=Wires()).cell_v
        state_s = np.maximum(state_s + 1e-6 * cell_v, 0.0)
    np.testing.assert_allclose(cells.conductance_s, state_s, rtol=1e-12)


def test_the_emulator_answers_with_the_sneak_paths_and_says_that_products_are_superposed() -> None:
    backend = floating_sim(3, 4)
    assert backend.description.multiply == "superposition"
    read_a = backend.read(ReadMap.every_cell((3, 4), read_v=0.1)).current_a
    # Between a row and a column of equal cells the conductance is rows·cols/(rows + cols - 1) cells:
    # by Foster's theorem, which gives every cell of the graph its share of rows + cols - 1.
    np.testing.assert_allclose(read_a, 0.1e-6 * 12 / 6, rtol=1e-9)
    began_s = backend.now_s()
    product_a = backend.multiply(VectorBatch(np.full((2, 3), 0.1))).current_a
    np.testing.assert_allclose(product_a, 3 * read_a[:2], rtol=1e-9)
    assert backend.now_s() - began_s == pytest.approx(2 * 12 * 1e-3)

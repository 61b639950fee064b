"""A row that is read carries all its cells; beyond its compliance nothing read with it is a number."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.array.biasing import Scheme
from hwloop_sim.circuit import Wires
from hwloop_sim.emulator.lines import ArrayLines
from hwloop_sim.emulator.readout import Tiles
from tests.emulated import Steps
from tests.sim.emulator.test_lines import Bent

CONDUCTANCE_S = np.array([[10e-6, 30e-6], [5e-6, 10e-6]])


def wiring(
    scheme: Scheme = "V/2", wires: Wires | None = None, tiles: Tiles | None = None
) -> ArrayLines:
    return ArrayLines(wires, tiles or Tiles(), scheme, (2, 2))


@pytest.mark.parametrize("scheme", ["V/2", "V/3", "grounded"])
@pytest.mark.parametrize("read_v", [0.1, -0.1])
def test_every_cell_of_a_row_beyond_its_compliance_is_limited(
    scheme: Scheme, read_v: float
) -> None:
    # The rows carry 4 µA and 1.5 µA, the most conductive cell 3 µA.
    cells = Steps(CONDUCTANCE_S)
    limited = wiring(scheme).limited(cells, read_v, bound_a=3.5e-6)
    np.testing.assert_array_equal(limited, [[True, True], [False, False]])
    assert wiring(scheme).limited(cells, read_v, bound_a=4.1e-6) is None


@pytest.mark.parametrize("scheme", ["floating", "1T1R"])
def test_a_row_whose_other_cells_see_no_held_column_carries_one_cell(scheme: Scheme) -> None:
    assert wiring(scheme).limited(Steps(CONDUCTANCE_S), 0.1, bound_a=1e-9) is None


def test_resistances_in_the_path_take_from_the_current_of_a_row() -> None:
    # 40 µS behind 25 kohm are 20 µS: 2 µA instead of 4 µA at 0.1 V.
    wires = Wires(driver_ohm=25e3)
    cells = Steps(CONDUCTANCE_S)
    assert wiring(wires=wires).limited(cells, 0.1, bound_a=2.01e-6) is None
    limited = wiring(wires=wires).limited(cells, 0.1, bound_a=1.99e-6)
    np.testing.assert_array_equal(limited, [[True, True], [False, False]])


def test_each_array_of_a_population_and_each_tile_has_rows_of_its_own() -> None:
    both = Steps(np.stack([CONDUCTANCE_S, CONDUCTANCE_S[::-1]]))
    limited = wiring().limited(both, 0.1, bound_a=3.5e-6)
    assert limited is not None
    np.testing.assert_array_equal(limited[..., 0], [[True, False], [False, True]])
    tiled = wiring(tiles=Tiles(cols=1)).limited(Steps(CONDUCTANCE_S), 0.1, bound_a=2e-6)
    np.testing.assert_array_equal(tiled, [[False, True], [False, False]])


@pytest.mark.parametrize("wires", [None, Wires(driver_ohm=1.0)])
def test_a_law_of_the_cells_counts_in_the_current_of_a_row(wires: Wires | None) -> None:
    # 40 µS · sinh(3 · 0.5)/3 = 28.4 µA, where a linear row carries 20 µA.
    limited = wiring(wires=wires).limited(Bent(CONDUCTANCE_S), 0.5, bound_a=28e-6)
    np.testing.assert_array_equal(limited, [[True, True], [False, False]])
    assert wiring(wires=wires).limited(Bent(CONDUCTANCE_S), 0.5, bound_a=29e-6) is None


@pytest.mark.parametrize("wires", [None, Wires(driver_ohm=1e-3)])
@pytest.mark.parametrize("make", [Steps, Bent])
def test_a_vector_is_spoilt_by_any_row_beyond_its_compliance(
    wires: Wires | None, make: type[Steps]
) -> None:
    vectors_v = np.array([[0.1, 0.0], [0.05, 0.2], [0.0, -0.3]])
    limited = wiring(wires=wires).limited_products(
        make(CONDUCTANCE_S), vectors_v, slice(0, 2), bound_a=3.5e-6
    )
    # The rows carry 4 µA, 2 and 3 µA, 4.5 µA; a little more by the law.
    np.testing.assert_array_equal(limited, [[True, True], [False, False], [True, True]])


@pytest.mark.parametrize("make", [Steps, Bent])
def test_a_floating_product_is_spoilt_where_one_of_its_reads_is(make: type[Steps]) -> None:
    cells = make(CONDUCTANCE_S)
    read_a = wiring("floating").read(cells, np.ones((2, 2), dtype=np.bool_), 0.1)
    bound_a = float(np.sort(read_a.ravel())[-2:].mean())  # only the largest read is beyond it
    limited = wiring("floating").limited_products(
        cells, np.array([[0.1, 0.1], [0.0, 0.1]]), slice(0, 2), bound_a=bound_a
    )
    assert read_a.argmax() == 1
    np.testing.assert_array_equal(limited, [[False, True], [False, False]])

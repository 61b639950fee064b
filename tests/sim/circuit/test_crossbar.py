"""An array whose state is kept: its matrix, and what makes it anew."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop_sim.circuit import Crossbar, solve
from hwloop_sim.circuit import crossbar as module
from tests.sim.circuit.cases import wires, with_faults


@pytest.mark.parametrize("shape", [(12, 7), (7, 12), (1, 1)])
def test_transfer_is_what_each_row_alone_gives(shape: tuple[int, int]) -> None:
    cells_conductance_s = with_faults(*shape, seed=5)
    transfer_conductance_s = Crossbar(cells_conductance_s, wires(20.0)).transfer_conductance_s()
    alone_a = solve(cells_conductance_s, row_v=np.eye(shape[0]), wires=wires(20.0)).col_a
    np.testing.assert_allclose(
        transfer_conductance_s, alone_a, rtol=0, atol=1e-12 * cells_conductance_s.max()
    )


def test_multiplication_is_the_same_before_and_after_the_matrix_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row_v = np.random.default_rng(1).uniform(-0.2, 0.2, (3, 2, 9, 10))
    crossbar = Crossbar(np.stack([[with_faults(10, 8, s + t) for s in range(2)] for t in range(3)]), wires(5.0))  # fmt: skip
    first_a = crossbar.multiply(row_v)
    second_a = crossbar.multiply(row_v)
    monkeypatch.setattr(module, "run", None)
    third_a = crossbar.multiply(row_v)
    assert first_a.shape == (3, 2, 9, 8)
    np.testing.assert_allclose(second_a, first_a, rtol=0, atol=1e-11 * np.abs(first_a).max())
    np.testing.assert_array_equal(third_a, second_a)
    one_a = crossbar.multiply(row_v[0, 0, 0])[0, 0]
    np.testing.assert_allclose(one_a, third_a[0, 0, 0], rtol=1e-12)


def test_floating_rows_are_solved_and_not_multiplied() -> None:
    crossbar = Crossbar(with_faults(6, 6), wires(5.0))
    crossbar.transfer_conductance_s()
    row_v = np.array([0.1, np.nan, 0.1, 0.1, 0.0, 0.1])
    expected = solve(with_faults(6, 6), row_v=row_v, wires=wires(5.0)).col_a
    np.testing.assert_array_equal(crossbar.multiply(row_v), expected)


def test_crossbar_keeps_its_state_when_the_array_it_was_made_of_changes() -> None:
    cells_conductance_s = with_faults(6, 6)
    crossbar = Crossbar(cells_conductance_s, wires(5.0))
    before_conductance_s = crossbar.transfer_conductance_s()
    cells_conductance_s[2, 3] *= 2
    assert (
        Crossbar(cells_conductance_s, wires(5.0)).transfer_conductance_s()[2, 3]
        > before_conductance_s[2, 3]
    )
    np.testing.assert_array_equal(crossbar.transfer_conductance_s(), before_conductance_s)


def test_solution_of_a_crossbar_is_that_of_its_cells() -> None:
    crossbar = Crossbar(with_faults(6, 4), wires(5.0))
    found = crossbar.solve(row_v=np.ones(6), col_v=[0.0, np.nan, 0.1, 0.2])
    assert found.col_a[1] == 0.0
    assert not crossbar.conductance_s.flags.writeable

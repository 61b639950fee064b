"""How wrong the approximation is, and whether it knows."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.errors import Unsupported
from hwloop_sim.circuit import Wires, first_order, solve
from tests.sim.circuit.cases import four_decades, wires

ENDS = [("left", "bottom"), ("right", "top"), ("both", "both")]


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("size", [4, 16, 64])
@pytest.mark.parametrize("ohm", [0.01, 0.1, 1.0])
def test_error_is_the_one_it_gives_while_that_is_small(
    ohm: float, size: int, ends: tuple[str, str]
) -> None:
    between = Wires(row_ohm=ohm, col_ohm=ohm, row_ends=ends[0], col_ends=ends[1])  # type: ignore[arg-type]
    cells_conductance_s = four_decades(size, size)
    row_v = np.random.default_rng(0).uniform(-0.2, 0.2, (2, size))
    near = first_order(cells_conductance_s, row_v=row_v, wires=between)
    exact = solve(cells_conductance_s, row_v=row_v, wires=between)
    error = np.abs(near.cell_v - exact.cell_v).max() / np.abs(row_v).max()
    if near.error < 0.1:
        assert 0.5 * near.error < error < 2 * near.error
    assert near.error <= 2 * near.lost**2 * size


def test_ideal_wires_lose_nothing() -> None:
    near = first_order(
        four_decades(3, 4), row_v=[1.0, 2.0, 3.0], col_v=0.5, wires=Wires(row_ends="both")
    )
    assert near.lost == near.error == 0.0
    np.testing.assert_allclose(near.col_a, np.array([0.5, 1.5, 2.5]) @ four_decades(3, 4))
    np.testing.assert_allclose(near.row_a, near.cell_a.sum(axis=1))


def test_refuses_a_floating_line() -> None:
    with pytest.raises(Unsupported, match="floating"):
        first_order(np.ones((2, 2)), row_v=[1.0, np.nan], wires=wires(1.0))

"""Which outputs of a scheme are at their compliance during a pulse; currents added up by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.array.biasing import Scheme
from hwloop.array.operations import PulseMap
from hwloop_sim.emulator.pulse_limits import PulseLimits
from hwloop_sim.emulator.tile import Tile
from tests.emulated import Steps

WHOLE = [Tile(slice(0, 4), slice(0, 4))]
CASES: list[tuple[Scheme, float]] = [
    ("grounded", 200e-6),  # the row: its cell and three others, 50 µA each
    ("V/2", 125e-6),  # the row, and the column: 50 µA, and three times 25
    ("V/3", 100e-6),  # the row and the column: 50 and three thirds; parked: 9 thirds less 3
    ("1T1R", 50e-6),  # the selected cell alone
    ("floating", 50e-6),  # at least the selected cell
]


def _pulse(amplitude_v: float) -> PulseMap:
    volts = np.zeros((4, 4))
    volts[1, 2] = amplitude_v
    return PulseMap(volts, 1e-3)


@pytest.mark.parametrize(("scheme", "largest_a"), CASES)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_pulse_is_limited_from_the_largest_current_of_an_output_on(
    scheme: Scheme, largest_a: float, sign: int
) -> None:
    cells = Steps(np.full((4, 4), 1e-4))  # 50 µA at 0.5 V
    for share, limited in ((1.01, False), (0.99, True)):
        found = PulseLimits(WHOLE, scheme, bound_a=share * largest_a).limited(
            cells, _pulse(sign * 0.5)
        )
        assert (found is not None) == limited
        if found is not None:
            assert np.argwhere(found).tolist() == [[1, 2]]


def test_a_row_is_that_of_the_tile_of_the_cell() -> None:
    cells = Steps(np.full((4, 4), 1e-4))
    halves = [Tile(slice(0, 4), slice(0, 2)), Tile(slice(0, 4), slice(2, 4))]
    limits = PulseLimits(halves, "grounded", bound_a=150e-6)  # two cells a row: 100 µA
    assert limits.limited(cells, _pulse(0.5)) is None
    assert limits.limited(cells, _pulse(0.8)) is not None  # 160 µA


def test_each_array_of_a_population_and_each_cell_has_its_own_limit() -> None:
    cells = Steps(np.stack([np.full((4, 4), 1e-4), np.full((4, 4), 1e-5)]))
    volts = np.full((4, 4), 0.5)
    volts[3] = 0.1
    found = PulseLimits(WHOLE, "grounded", bound_a=150e-6).limited(cells, PulseMap(volts, 1e-3))
    assert found is not None
    assert found[0, :3].all()  # 200 µA a row
    assert not found[0, 3].any()  # 40 µA
    assert not found[1].any()  # 20 µA

"""Rhythm on the emulator: every cell sees the interval between its own pulses, and the clock all."""

from __future__ import annotations

import numpy as np
import pytest

from hwloop.array.operations import PulseMap, PulsePair
from hwloop.types import FloatArray
from hwloop_sim.cells.composed import NonIdealDevice
from hwloop_sim.cells.effect import Effect
from hwloop_sim.emulator.backend import EmulatedArray
from tests.emulated import Steps
from tests.sim.emulator.test_backend import emulated


class Diary(Effect):
    """Keeps when each cell was pulsed, by its own clock."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.pulsed_s: list[tuple[float, float]] = []

    def elapsed(self, conductance_s: FloatArray, duration_s: float) -> FloatArray:
        self.now_s += duration_s
        return conductance_s

    def pulsed(
        self, before_conductance_s: FloatArray, after_conductance_s: FloatArray, pulse: PulseMap
    ) -> FloatArray:
        self.pulsed_s.append((self.now_s, float(pulse.amplitude_v.flat[0])))
        return after_conductance_s


def diary_of_cells() -> tuple[EmulatedArray, Diary]:
    """An emulated array of 3 × 4 cells whose pulses are kept with their times."""
    diary, backend = Diary(), emulated()
    assert isinstance(backend, EmulatedArray)
    backend._cells = NonIdealDevice(Steps(np.full((3, 4), 1e-4)), [diary])
    return backend, diary


@pytest.mark.parametrize("cells", [1, 12])
def test_each_cell_waits_the_interval_and_the_clock_counts_every_cell(cells: int) -> None:
    backend, diary = diary_of_cells()
    amplitude_v = np.where(np.arange(12).reshape(3, 4) < cells, 1.0, 0.0)
    backend.pulse(PulseMap(amplitude_v, 1e-3, count=3, interval_s=0.02))
    ends_s = [end_s for end_s, _ in diary.pulsed_s]
    # From the end of one pulse to the end of the next: the interval and the width of the next.
    np.testing.assert_allclose(np.diff(ends_s), [0.021, 0.021], rtol=1e-12)
    assert backend.now_s() == pytest.approx(cells * (3 * 1e-3 + 2 * 0.02), rel=1e-12)


def test_a_pair_gives_both_its_pulses_in_order_an_interval_apart() -> None:
    backend, diary = diary_of_cells()
    ones = np.ones((3, 4))
    backend.pair(PulsePair(1.0 * ones, -0.5 * ones, 1e-3, 2e-3, interval_s=0.05))
    (first_s, first_v), (second_s, second_v) = diary.pulsed_s
    assert (first_v, second_v) == (1.0, -0.5)
    assert second_s - first_s == pytest.approx(0.052, rel=1e-12)
    assert backend.now_s() == pytest.approx(12 * 0.053, rel=1e-12)
    assert np.allclose(backend._cells.conductance_s, 1e-4 + 0.5e-6, rtol=1e-12)


def test_a_train_without_an_interval_is_applied_at_once() -> None:
    backend, diary = diary_of_cells()
    backend.pulse(PulseMap(np.ones((3, 4)), 1e-3, count=3))
    assert len(diary.pulsed_s) == 1

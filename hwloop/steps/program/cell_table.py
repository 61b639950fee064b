"""Table of the cells of an array while it is programmed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hwloop.steps.program.targets import TargetsAndWindows
from hwloop.types import BoolArray, FloatArray

IntArray = NDArray[np.int64]

LEFT_ALONE, REACHED, WAITING = 0, 1, 2
STUCK, GIVEN_UP, BUDGET, UNREADABLE, RELAXED = -1, -2, -3, -4, -5

MEANINGS = {
    REACHED: "reached",
    STUCK: "do not respond",
    GIVEN_UP: "given up by the algorithm",
    BUDGET: "budget used up",
    UNREADABLE: "could not be read",
    RELAXED: "left their window while waiting",
}


@dataclass(eq=False)
class CellTable:
    """Maps of all cells, flat; ``status`` as in :data:`MEANINGS`, 0 left alone, 2 not yet decided.

    ``seen_conductance_s``: the latest read; ``verified_conductance_s``: the one that ended its
    programming. ``smallest_jump_conductance_s``: of a pulse that took a cell over its window.
    """

    targets: TargetsAndWindows
    status: IntArray = field(init=False)
    seen_conductance_s: FloatArray = field(init=False)
    verified_conductance_s: FloatArray = field(init=False)
    pulses_up: IntArray = field(init=False)
    pulses_down: IntArray = field(init=False)
    energy_j: FloatArray = field(init=False)
    stress_s: FloatArray = field(init=False)
    smallest_jump_conductance_s: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        target_conductance_s = self.targets.target_conductance_s.ravel()
        self.target_conductance_s = target_conductance_s
        self.low_conductance_s, self.high_conductance_s = (
            self.targets.low_conductance_s.ravel(),
            self.targets.high_conductance_s.ravel(),
        )
        self.status = np.where(np.isfinite(target_conductance_s), WAITING, LEFT_ALONE).astype(
            np.int64
        )
        self.seen_conductance_s = np.full(target_conductance_s.shape, np.nan)
        self.verified_conductance_s = np.full(target_conductance_s.shape, np.nan)
        self.pulses_up = np.zeros(target_conductance_s.shape, np.int64)
        self.pulses_down = np.zeros(target_conductance_s.shape, np.int64)
        self.energy_j = np.zeros(target_conductance_s.shape)
        self.stress_s = np.zeros(target_conductance_s.shape)
        self.smallest_jump_conductance_s = np.full(target_conductance_s.shape, np.inf)

    @property
    def pulses(self) -> IntArray:
        """Pulses of both polarities, (cells,)."""
        return self.pulses_up + self.pulses_down

    @property
    def wanted(self) -> BoolArray:
        """Cells that have a target, (cells,)."""
        wanted: BoolArray = self.status != LEFT_ALONE
        return wanted

    def side(self, index: IntArray) -> NDArray[np.int8]:
        """Return 1 for cells below their window, -1 above it, 0 within."""
        seen_conductance_s = self.seen_conductance_s[index]
        below, above = (
            seen_conductance_s < self.low_conductance_s[index],
            seen_conductance_s > self.high_conductance_s[index],
        )
        return below.astype(np.int8) - above.astype(np.int8)

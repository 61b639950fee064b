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

    ``seen_s``: the latest read; ``verified_s``: the one that ended its programming.
    ``smallest_jump_s``: of a pulse that took a cell over its window.
    """

    targets: TargetsAndWindows
    status: IntArray = field(init=False)
    seen_s: FloatArray = field(init=False)
    verified_s: FloatArray = field(init=False)
    pulses_up: IntArray = field(init=False)
    pulses_down: IntArray = field(init=False)
    energy_j: FloatArray = field(init=False)
    stress_s: FloatArray = field(init=False)
    smallest_jump_s: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        target_s = self.targets.target_s.ravel()
        self.target_s = target_s
        self.low_s, self.high_s = self.targets.low_s.ravel(), self.targets.high_s.ravel()
        self.status = np.where(np.isfinite(target_s), WAITING, LEFT_ALONE).astype(np.int64)
        self.seen_s = np.full(target_s.shape, np.nan)
        self.verified_s = np.full(target_s.shape, np.nan)
        self.pulses_up = np.zeros(target_s.shape, np.int64)
        self.pulses_down = np.zeros(target_s.shape, np.int64)
        self.energy_j = np.zeros(target_s.shape)
        self.stress_s = np.zeros(target_s.shape)
        self.smallest_jump_s = np.full(target_s.shape, np.inf)

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
        seen_s = self.seen_s[index]
        below, above = seen_s < self.low_s[index], seen_s > self.high_s[index]
        return below.astype(np.int8) - above.astype(np.int8)

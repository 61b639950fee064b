"""Known resistors in the array's place, for the self-test of a bench."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwloop.array.operations import PulseMap
from hwloop.types import FloatArray
from hwloop_sim.cells.device import Device


class DummyArray(Device):
    """Resistors that no voltage changes, ohms as (rows, cols)."""

    def __init__(self, ohm: Sequence[Sequence[float]]) -> None:
        self._conductance_s: FloatArray = 1.0 / np.array(ohm, dtype=np.float64)

    @property
    def conductance_s(self) -> FloatArray:
        """Their conductances, (rows, cols)."""
        return self._conductance_s

    def check(self, pulse: PulseMap) -> None:
        """They bear every pulse."""

    def pulse(self, pulse: PulseMap) -> None:
        """Nothing happens."""

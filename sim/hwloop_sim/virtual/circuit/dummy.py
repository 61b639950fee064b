"""Known resistors in place of the array, for the self-test of a bench."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.types import FloatArray
from hwloop_sim.cells.device import Device


class DummyArray(Device):
    """Resistors that no voltage changes, given in ohms as (rows, cols)."""

    def __init__(self, ohm: Sequence[Sequence[float]]) -> None:
        self._conductance_s: FloatArray = 1.0 / np.array(ohm, dtype=np.float64)

    @property
    @override
    def conductance_s(self) -> FloatArray:
        return self._conductance_s

    @override
    def check(self, pulse: PulseMap) -> None:
        pass

    @override
    def pulse(self, pulse: PulseMap) -> None:
        pass

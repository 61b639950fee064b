"""Cells and the circuit between them, as functions of the states of the cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hwloop.types import FloatArray
from hwloop_sim.cells.device import ContinuousDevice


@dataclass(frozen=True)
class CoupledCells:
    """The equations of a device model whose voltages follow from the states, (..., rows, cols).

    ``voltage_v``: the voltage of every cell in a state, volts. ``selected``: the index of the
    selected cell of each array in the flat map.
    """

    device: ContinuousDevice
    voltage_v: Callable[[FloatArray], FloatArray]
    selected: NDArray[np.intp]

    @cached_property
    def low(self) -> FloatArray:
        """Return the lowest states of the model, (..., rows, cols)."""
        return self.device.within(np.full(self.device.state.shape, -np.inf))

    @cached_property
    def high(self) -> FloatArray:
        """Return the highest states of the model, (..., rows, cols)."""
        return self.device.within(np.full(self.device.state.shape, np.inf))

    def conductance_s(self, state: FloatArray) -> FloatArray:
        """Return the conductances in a state, (..., rows, cols), siemens."""
        self.device.take_state(state)
        return self.device.conductance_s

    def difference(self, one: FloatArray, other: FloatArray) -> FloatArray:
        """Return the largest relative difference of the conductances of each array, (..., 1, 1)."""
        one_s, other_s = self.conductance_s(one), self.conductance_s(other)
        off = np.abs(one_s - other_s) / np.maximum(np.abs(one_s), 1e-30)
        largest: FloatArray = off.max(axis=(-2, -1), keepdims=True)
        return largest

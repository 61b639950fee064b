"""The guard: the only way to a backend, which refuses what would harm the array."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from hwloop.array.limits import check_operation
from hwloop.array.line_bounds import LineBounds
from hwloop.array.operations import Answer, Flag, Operation, PulseMap, PulsePair, Ramp, Reading
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import CrossbarBackend, Description
from hwloop.backend.holding import refuse_hold
from hwloop.backend.shapes import check_shape
from hwloop.backend.wrapper import Wrapper
from hwloop.errors import BackendError, LimitError
from hwloop.messages import cell_name
from hwloop.types import BoolArray, FloatArray


class CellHistory(Protocol):
    """History of an array's cells over its runs.

    ``pulses``: of each cell before this run, (rows, cols).
    """

    pulses: NDArray[np.int64]

    def add(self, pulses: NDArray[np.int64], energy_j: FloatArray) -> None:
        """Count pulses and joules of each cell, (rows, cols); negative ones are taken back."""


def line_bounds(description: Description, array: ArraySettings) -> LineBounds | None:
    """Return the bounds of a backend's lines; None where they have the levels of the scheme."""
    if description.drives is None:
        return None
    return LineBounds(
        array.biasing,
        array.geometry.shape,
        drives=description.drives,
        most_conductance_s=None if array.range is None else array.range.high_conductance_s,
    )


class Guard(Wrapper):
    """A backend that checks every operation against the array's limits before passing it on.

    ``pulses``: pulses that each cell has had in its life, (..., rows, cols), counted on from
    ``array.pulses_before`` and those of ``history``, which is told of every pulse before it is
    applied, with the most energy that the compliance allows.
    """

    def __init__(
        self, inner: CrossbarBackend, array: ArraySettings, history: CellHistory | None = None
    ) -> None:
        super().__init__(inner)
        self._array = array
        self._history = history
        self._shape = inner.description.shape
        self._lines = line_bounds(inner.description, array)
        self._closed = False
        before = np.broadcast_to(np.array(array.pulses_before, dtype=np.int64), self._shape)
        self.pulses: NDArray[np.int64] = before.copy()
        if history is not None:
            self.pulses += history.pulses
        self._most = int(self.pulses.max())  # no cell has had more pulses

    @override
    def perform(self, operation: Operation) -> Answer:
        self.check(operation)
        if isinstance(operation, PulseMap):
            # Counted before it is applied: a pulse that failed half-way may have reached the cell.
            self._count(operation.addressed, operation.count)
            if self._history is not None:
                self._note(self._history, operation.addressed * operation.count, operation)
        if isinstance(operation, PulsePair):
            self._count(operation.addressed, 2)
            if self._history is not None:
                for pulse in operation.pulses:
                    self._note(self._history, pulse.addressed * 1, pulse)
        if isinstance(operation, Ramp):
            return self._ramp(operation)
        return self._inner.perform(operation)

    def _ramp(self, ramp: Ramp) -> Answer:
        """Count every pulse of the ramp before it, and take off those not needed after it."""
        self._count(ramp.addressed, ramp.steps)
        if self._history is not None:
            for pulse in ramp.pulses():
                self._note(self._history, pulse.addressed * 1, pulse)
        reading = self._inner.perform(ramp)
        if isinstance(reading, Reading):
            not_applied = reading.flags & Flag.NOT_ADDRESSED != 0
            self.pulses -= ramp.addressed * not_applied.sum(axis=0)
            if self._history is not None:
                for pulse, spared in zip(ramp.pulses(), not_applied, strict=True):
                    self._note(self._history, pulse.addressed * spared * -1, pulse)
        return reading

    def _count(self, addressed: BoolArray, count: int) -> None:
        self.pulses += addressed if count == 1 else addressed * count
        self._most += int(count)

    def _note(self, history: CellHistory, pulses: NDArray[np.int64], pulse: PulseMap) -> None:
        """Tell the history of pulses of each cell that are like ``pulse``."""
        each_j = np.abs(pulse.amplitude_v) * self._array.limits.current_a * pulse.width_s
        history.add(pulses, pulses * each_j)

    @override
    def check(self, operation: Operation) -> None:
        if self._closed:
            raise BackendError("the backend is closed; open it again to go on")
        check_shape(operation, self._shape)
        refuse_hold(operation, holds=self._inner.description.holds)
        check_operation(operation, self._array.limits, self._array.biasing, self._lines)
        if isinstance(operation, PulseMap):
            self._check_life(operation.addressed, operation.count)
        if isinstance(operation, PulsePair):
            self._check_life(operation.addressed, 2)
        if isinstance(operation, Ramp):
            self._check_life(operation.addressed, operation.steps)
        self._inner.check(operation)

    @override
    def close(self) -> None:
        self._closed = True
        self._inner.close()

    def _check_life(self, addressed: BoolArray, count: int) -> None:
        bound = self._array.limits.pulses_per_device
        if self._most + int(count) <= bound:
            return
        worst = np.where(addressed, self.pulses, -1)
        place = tuple(int(i) for i in np.unravel_index(worst.argmax(), worst.shape))
        # In Python's integers, which do not wrap around.
        after = int(worst[place]) + count
        if worst[place] >= 0 and after > bound:
            raise LimitError(
                f"{cell_name(place)}: this would be pulse {after} of its life; exceeds"
                f" limits.pulses_per_device {bound}"
            )

"""The guard: the only way to a backend, which refuses what would harm the array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from hwloop.array.limits import check_operation
from hwloop.array.operations import Flag, Operation, PulseMap, Ramp, Reading, ReadMap, VectorBatch
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.wrapper import Wrapper
from hwloop.errors import BackendError, LimitError
from hwloop.messages import cell_name
from hwloop.types import BoolArray


class Guard(Wrapper):
    """A backend that checks every operation against the array's limits before passing it on.

    Counts the pulses of every cell, ``pulses``: (..., rows, cols), starting from
    ``array.pulses_before``.
    """

    def __init__(self, inner: CrossbarBackend, array: ArraySettings) -> None:
        super().__init__(inner)
        self._array = array
        self._shape = inner.description.shape
        self._closed = False
        before = np.broadcast_to(np.array(array.pulses_before, dtype=np.int64), self._shape)
        self.pulses: NDArray[np.int64] = before.copy()
        self._most = int(before.max())  # no cell has had more pulses

    @override
    def perform(self, operation: Operation) -> Reading | None:
        self.check(operation)
        if isinstance(operation, PulseMap):
            # Counted before it is applied: a pulse that failed half-way may have reached the cell.
            self._count(operation.addressed, operation.count)
        if isinstance(operation, Ramp):
            return self._ramp(operation)
        return self._inner.perform(operation)

    def _ramp(self, ramp: Ramp) -> Reading | None:
        """Count all pulses before, and take off those that were not needed after."""
        self._count(ramp.addressed, ramp.steps)
        reading = self._inner.perform(ramp)
        if reading is not None:
            spared = (reading.flags & Flag.NOT_ADDRESSED != 0).sum(axis=0)
            self.pulses -= ramp.addressed * spared
        return reading

    def _count(self, addressed: BoolArray, count: int) -> None:
        self.pulses += addressed * count
        self._most += int(count)

    @override
    def check(self, operation: Operation) -> None:
        if self._closed:
            raise BackendError("the backend is closed; open it again to go on")
        self._check_shape(operation)
        check_operation(operation, self._array.limits, self._array.biasing)
        if isinstance(operation, PulseMap):
            self._check_life(operation.addressed, operation.count)
        if isinstance(operation, Ramp):
            self._check_life(operation.addressed, operation.steps)
        self._inner.check(operation)

    @override
    def close(self) -> None:
        self._closed = True
        self._inner.close()

    def _check_shape(self, operation: Operation) -> None:
        match operation:
            case PulseMap():
                shape, name = operation.amplitude_v.shape, "amplitude_v"
            case ReadMap():
                shape, name = operation.addressed.shape, "addressed"
            case Ramp():
                shape, name = operation.start_v.shape, "start_v"
            case VectorBatch():
                self._check_vector_shape(operation)
                return
            case _:
                return
        if shape not in (self._shape, self._shape[-2:]):
            raise BackendError(f"{name} has shape {shape}; the array has {self._shape}")

    def _check_vector_shape(self, operation: VectorBatch) -> None:
        *population, _, rows = operation.voltage_v.shape
        wanted = self._shape[-2]
        if rows != wanted:
            raise BackendError(f"voltage_v has {rows} rows; the array has {wanted}")
        if tuple(population) not in ((), self._shape[:-2]):
            raise BackendError(
                f"voltage_v is for a population {tuple(population)}; the backend holds"
                f" {self._shape[:-2]}"
            )

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

"""An ideal array that remembers what it was asked, for tests of what stands around it."""

from __future__ import annotations

import numpy as np

from hwloop.array.geometry import Geometry
from hwloop.array.operations import (
    Answer,
    Flag,
    Operation,
    PulseMap,
    PulsePair,
    Ramp,
    Reading,
    ReadMap,
    VectorBatch,
    Wait,
    unlimited,
)
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import CrossbarBackend, Description, Event
from hwloop.backend.wrapper import OneVerbBackend

ARRAY = {
    "rows": 2,
    "cols": 4,
    "biasing": "V/2",
    "limits": {
        "positive_v": 2.0,
        "negative_v": -2.0,
        "read_v": 0.2,
        "half_select_v": 1.0,
        "current_a": 1e-3,
        "pulse_width_s": 0.1,
        "pulse_energy_j": 1.0,
        "pulses_per_device": 3,
    },
    "read": {"read_v": 0.1},
}


def array_settings(**changes: object) -> ArraySettings:
    return ArraySettings.parse(ARRAY | changes)


class SpyBackend(OneVerbBackend):
    """Each pulse adds 1 µS to a cell of 1 µS; fails at the operation number ``fail_at``."""

    def __init__(
        self,
        shape: tuple[int, int] = (2, 4),
        *,
        population: tuple[int, ...] = (),
        fail_at: int | None = None,
        error: BaseException | None = None,
    ) -> None:
        geometry = Geometry(rows=shape[0], cols=shape[1])
        self._description = Description("spy", geometry, population)
        self.conductance_s = np.full(self._description.shape, 1e-6)
        self.asked: list[Operation] = []
        self.made_safe = 0
        self.closed = 0
        self.events: list[Event] = []
        self._fail_at = fail_at
        self._error = error
        self._now_s = 0.0

    @property
    def description(self) -> Description:
        return self._description

    def now_s(self) -> float:
        return self._now_s

    def perform(self, operation: Operation) -> Answer:
        if len(self.asked) == self._fail_at:
            assert self._error is not None
            raise self._error
        if isinstance(operation, Ramp):  # in pulses and reads, each of them asked
            return CrossbarBackend.ramp(self, operation)
        self.asked.append(operation)
        self._now_s += 1.0 + (operation.duration_s if isinstance(operation, Wait) else 0.0)
        match operation:
            case PulseMap():
                risen = 1e-6 * operation.count * operation.addressed
                self.conductance_s = self.conductance_s + risen
                return unlimited(operation, self.description.shape)
            case PulsePair():
                self.conductance_s = self.conductance_s + 2e-6 * operation.addressed
                return unlimited(operation, self.description.shape)
            case ReadMap():
                current_a = np.where(
                    operation.addressed, self.conductance_s * operation.read_v, np.nan
                )
                flags = np.where(np.isnan(current_a), Flag.NOT_ADDRESSED, 0).astype(np.uint8)
                return Reading(current_a, flags)
            case VectorBatch():
                current_a = operation.voltage_v @ self.conductance_s
                return Reading(current_a, np.zeros(current_a.shape, dtype=np.uint8))
        return None

    def take_events(self) -> list[Event]:
        events, self.events = self.events, []
        return events

    def make_safe(self) -> None:
        self.made_safe += 1

    def close(self) -> None:
        self.closed += 1

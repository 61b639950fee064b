"""Small procedures and an ideal array for the tests of the core."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.array.geometry import Geometry
from hwloop.array.operations import (
    Flag,
    Operation,
    PulseMap,
    PulsePair,
    Reading,
    ReadMap,
    VectorBatch,
    Wait,
    unlimited,
)
from hwloop.array.settings import ArraySettings
from hwloop.backend.base import CrossbarBackend, Description, Event, MultiplyMode
from hwloop.backend.shapes import check_shape
from hwloop.errors import BackendError
from hwloop.procedure.procedure import Procedure, from_data
from hwloop.types import FlagArray, FloatArray

_LIMITS = {
    "positive_v": 2.5,
    "negative_v": -3,
    "read_v": 0.2,
    "half_select_v": 1.5,
    "current_a": 1e-3,
    "pulse_width_s": 0.1,
    "pulse_energy_j": 1e-3,
    "pulses_per_device": 1000,
}
_PROCEDURE: dict[str, Any] = {
    "name": "tiny",
    "seed": 5,
    "array": {
        "rows": 2,
        "cols": 2,
        "limits": _LIMITS,
        "read": {"read_v": 0.05, "both_polarities": True},
    },
    "backends": {
        "sim": {
            "device": {
                "model": "pulse_table",
                "calibration": "shumilin2024_2V_50ms",
                "gain": 10,
                "shift": {"distribution": "lognormal", "median_conductance_s": 3e-8, "sigma": 0.5},
            }
        }
    },
    "steps": [
        {
            "step": "train_manhattan",
            "settings": {
                "patterns": ["01", "10"],
                "outputs": ["0", "1"],
                "held_out_patterns": ["11"],
                "beta_per_a": 6e6,
                "max_updates": 8,
                "pulse": {"amplitude_v": 2, "width_s": 0.05},
            },
        }
    ],
}


class LinearArray(CrossbarBackend):
    """An ideal array: Ohm's law, and each volt-pulse adds a millionth of a siemens.

    ``done``: every operation that reached it. ``calls``: make_safe and close among them.
    """

    def __init__(
        self,
        conductance_s: FloatArray,
        *,
        name: str = "linear",
        multiply: MultiplyMode = "parallel",
    ) -> None:
        self.conductance_s = np.array(conductance_s, dtype=np.float64)
        self.done: list[Operation] = []
        self.calls: list[str] = []
        self.events: list[Event] = []
        *population, rows, cols = self.conductance_s.shape
        self._description = Description(
            name, Geometry(rows=rows, cols=cols), tuple(population), multiply
        )
        self._now_s = 0.0
        self._closed = False

    @property
    def description(self) -> Description:
        return self._description

    def pulse(self, pulse: PulseMap) -> FlagArray:
        self._begin(pulse)
        self.conductance_s = self.conductance_s + 1e-6 * pulse.count * pulse.amplitude_v
        return unlimited(pulse, self._description.shape)

    def pair(self, pair: PulsePair) -> FlagArray:
        self._begin(pair)
        both_v = pair.first_v + pair.second_v
        self.conductance_s = self.conductance_s + 1e-6 * both_v
        return unlimited(pair, self._description.shape)

    def read(self, read: ReadMap) -> Reading:
        self._begin(read)
        addressed = np.broadcast_to(read.addressed, self.conductance_s.shape)
        current_a = np.where(addressed, self.conductance_s * read.read_v, np.nan)
        return Reading(current_a, np.where(addressed, 0, Flag.NOT_ADDRESSED).astype(np.uint8))

    def multiply(self, batch: VectorBatch) -> Reading:
        self._begin(batch)
        driven_rows = batch.driven == "rows"
        cells = self.conductance_s if driven_rows else np.swapaxes(self.conductance_s, -1, -2)
        current_a = batch.voltage_v @ cells
        return Reading(current_a, np.zeros(current_a.shape, np.uint8))

    def wait(self, wait: Wait) -> None:
        self._begin(wait)

    def now_s(self) -> float:
        return self._now_s

    def make_safe(self) -> None:
        self.calls.append("make_safe")

    def close(self) -> None:
        self.calls.append("close")
        self._closed = True

    def take_events(self) -> list[Event]:
        events, self.events = self.events, []
        return events

    def _begin(self, operation: Operation) -> None:
        if self._closed:
            raise BackendError("the linear array is closed")
        check_shape(operation, self._description.shape)
        self.check(operation)
        self.done.append(operation)
        self._now_s += self.duration_s(operation) + 1e-3


@pytest.fixture(scope="session")
def linear_array() -> type[LinearArray]:
    """The class of ideal arrays."""
    return LinearArray


@pytest.fixture
def procedure_data() -> dict[str, Any]:
    """A complete procedure for a 2×2 array as plain data, to be changed by a test."""
    return copy.deepcopy(_PROCEDURE)


@pytest.fixture(scope="session")
def tiny_procedure() -> Callable[..., Procedure]:
    """``tiny_procedure("seed=3", ...)``: that procedure, validated, with overrides."""

    def make(*overrides: str, folder: Path = Path()) -> Procedure:
        return from_data(
            copy.deepcopy(_PROCEDURE), folder=folder, text="text: as read\n", overrides=overrides
        )

    return make


@pytest.fixture(scope="session")
def array_settings() -> Callable[..., ArraySettings]:
    """``array_settings(rows, cols, biasing=..., positive_v=...)``: an array and its limits."""

    def make(rows: int = 2, cols: int = 2, **changes: Any) -> ArraySettings:
        limits = _LIMITS | {key: changes.pop(key) for key in list(changes) if key in _LIMITS}
        if "gate_v" in changes:
            limits["gate_v"] = changes.pop("gate_v")
        read = {"read_v": min(0.05, limits["read_v"])}
        data = {"rows": rows, "cols": cols, "limits": limits, "read": read}
        return ArraySettings.parse(data | changes)

    return make

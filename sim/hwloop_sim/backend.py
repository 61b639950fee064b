"""The emulator as a backend: device model, read noise, compliance, and a clock that only counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, InstanceOf, PlainSerializer, ValidationInfo

from hwloop import plugins
from hwloop.backend import CrossbarBackend, Description, Event
from hwloop.errors import BackendError, ConfigError
from hwloop.operations import (
    Flag,
    FloatArray,
    Operation,
    PulseMap,
    Reading,
    ReadMap,
    VectorBatch,
    Wait,
)
from hwloop.plugins import BackendKind, OpenRequest
from hwloop.settings import Settings
from hwloop.units import Fraction, PositiveSecond
from hwloop_sim.device import Device, DeviceKind


@dataclass(frozen=True)
class ChosenDevice:
    """A device model with its validated settings."""

    kind: DeviceKind[Any]
    settings: Settings

    def dump(self) -> dict[str, Any]:
        """As it stands in a procedure."""
        return {"model": self.kind.name, **self.settings.model_dump(mode="json")}


def _choose(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, dict) or not isinstance(value.get("model"), str):
        raise ValueError("expected a mapping whose key 'model' names a device model")
    settings = {key: item for key, item in value.items() if key != "model"}
    try:
        kind: DeviceKind[Any] = plugins.load(plugins.DEVICES, value["model"])
        folder = Path((info.context or {}).get("folder", "."))
        return ChosenDevice(kind, kind.settings.parse(settings, folder=folder))
    except ConfigError as exc:
        raise exc.below("device") from None


class SimSettings(Settings):
    """What is emulated.

    ``device``: ``model`` names the device model, the other keys are its settings. ``read_noise``:
    standard deviation of each cell's current in each read, as a fraction of it. ``read_time_s``:
    what one read, or one vector of a multiplication, takes on the emulator's clock.
    """

    device: Annotated[
        InstanceOf[ChosenDevice], BeforeValidator(_choose), PlainSerializer(ChosenDevice.dump)
    ]
    read_noise: Fraction = 0.0
    read_time_s: PositiveSecond = 1e-3


class EmulatedArray(CrossbarBackend):
    """A population of arrays of one device model; see :class:`SimSettings`."""

    def __init__(
        self,
        device: Device,
        request: OpenRequest,
        *,
        read_noise: float = 0.0,
        read_time_s: float = 1e-3,
        identity: dict[str, object] | None = None,
    ) -> None:
        population = () if request.population is None else (request.population,)
        self._description = Description(
            name="sim",
            geometry=request.array.geometry,
            population=population,
            multiply="parallel",
            identity=identity or {},
        )
        self._device = device
        self._rng = request.rng
        self._compliance_a = request.array.limits.current_a
        self._read_noise = read_noise
        self._read_time_s = read_time_s
        self._now_s = 0.0
        self._closed = False

    @property
    def description(self) -> Description:
        """Geometry, population, and the device model with its settings."""
        return self._description

    def now_s(self) -> float:
        """Emulated seconds since the array was made."""
        return self._now_s

    def check(self, operation: Operation) -> None:
        """Whether the device model is valid for a pulse."""
        if isinstance(operation, PulseMap):
            self._device.check(operation)

    def duration_s(self, operation: Operation) -> float:
        """Cells are pulsed and read one after the other; a vector is multiplied at once."""
        match operation:
            case ReadMap():
                cells = int(operation.addressed.sum(axis=(-2, -1)).max())
                reads = 2 * cells if operation.both_polarities else cells
                return float(reads * self._read_time_s)
            case VectorBatch():
                return float(operation.voltage_v.shape[-2] * self._read_time_s)
        return super().duration_s(operation)

    def pulse(self, pulse: PulseMap) -> None:
        """Apply the pulses to the device model."""
        self._begin(pulse)
        self._device.pulse(pulse)

    def read(self, read: ReadMap) -> Reading:
        """Currents of the addressed cells, with read noise."""
        self._begin(read)
        ideal_a = self._device.conductance_s * read.read_v
        if self._read_noise:
            draws = 2 if read.both_polarities else 1
            noise = self._rng.normal(size=(draws, *ideal_a.shape)).mean(axis=0)
            ideal_a = ideal_a * (1 + self._read_noise * noise)
        reading = self._metered(ideal_a)
        addressed = np.broadcast_to(read.addressed, ideal_a.shape)
        reading.current_a[~addressed] = np.nan
        reading.flags[~addressed] = Flag.NOT_ADDRESSED
        return reading

    def multiply(self, batch: VectorBatch) -> Reading:
        """Column currents; the noise of a column is that of its cells added in quadrature."""
        self._begin(batch)
        conductance_s = self._device.conductance_s
        current_a = batch.voltage_v @ conductance_s
        if self._read_noise:
            variance = np.square(batch.voltage_v) @ np.square(conductance_s)
            noise = self._rng.normal(size=current_a.shape)
            current_a = current_a + self._read_noise * np.sqrt(variance) * noise
        return self._metered(current_a)

    def wait(self, wait: Wait) -> None:
        """Move the clock."""
        self._begin(wait)

    def make_safe(self) -> None:
        """Nothing is driven between operations."""

    def close(self) -> None:
        """Refuse every later operation."""
        self._closed = True

    def take_events(self) -> list[Event]:
        """Those of the device model."""
        return self._device.take_events()

    def _begin(self, operation: Operation) -> None:
        if self._closed:
            raise BackendError("the emulated array is closed")
        self.check(operation)
        self._now_s += self.duration_s(operation)

    def _metered(self, current_a: FloatArray) -> Reading:
        """What a meter at the array's compliance shows: NaN and a flag beyond it."""
        beyond = np.abs(current_a) > self._compliance_a
        flags = np.where(beyond, Flag.COMPLIANCE, 0).astype(np.uint8)
        return Reading(np.where(beyond, np.nan, current_a), flags)


def open_sim(settings: SimSettings, request: OpenRequest) -> EmulatedArray:
    """Make the emulated array that ``settings`` describe."""
    population = () if request.population is None else (request.population,)
    shape = (*population, *request.array.geometry.shape)
    device_rng, array_rng = request.rng.spawn(2)
    chosen = settings.device
    try:
        device = chosen.kind.make(chosen.settings, shape, device_rng)
    except ConfigError as exc:
        raise exc.below("backends.sim.device") from None
    return EmulatedArray(
        device,
        OpenRequest(request.array, request.population, array_rng),
        read_noise=settings.read_noise,
        read_time_s=settings.read_time_s,
        identity={"emulator": "hwloop_sim", **settings.model_dump(mode="json")},
    )


SIM = BackendKind(
    name="sim",
    summary="Emulated array or population: device model, variability, noise",
    settings=SimSettings,
    open=open_sim,
)

"""Pulse response: each pulse changes a cell by what the same pulse did to a device near that state.

ΔG(G) and its distribution are the measured ones: for a cell at G one of the ``neighbours``
measured pulses whose starting conductance is nearest is drawn, each alike, and its ΔG is added.
Scatter from cycle to cycle, its dependence on the state and its skewness are so those of the
trains. Source: the lookup tables of CrossSim, S. Agarwal et al., IJCNN 2016,
doi:10.1109/IJCNN.2016.7727298, there as cumulative distributions in bins of G.
Valid for the pulses that were measured, one a direction, and between the lowest and the highest
conductance measured, where cells are held, with an event. Successive changes are drawn
independently, so that read noise in the trains is taken for scatter of the device; where it exceeds
what many pulses do together, the mean response comes out too weak: average such trains first. How
cells differ is not learnt: use the effect ``device_to_device``. No current-voltage relation.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field, model_validator
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.backend.base import Event
from hwloop.messages import cell_names
from hwloop.settings.model import Settings
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.cells.device import Device, DeviceKind
from hwloop_sim.cells.known_pulses import SAME, refuse_unknown
from hwloop_sim.cells.variability import InitialState, draw_initial
from hwloop_sim.devices.common.measured_trains import MeasuredTrains


class PulseResponseDeviceSettings(Settings):
    """Settings of cells that respond as measured.

    ``up``, ``down``: measured trains of each direction; one of them may be left out.
    ``neighbours``: how many measured pulses a cell draws from; all, if there are fewer.
    ``initial``: left out, cells begin at the mean of the trains' first values.
    """

    up: MeasuredTrains | None = None
    down: MeasuredTrains | None = None
    neighbours: Annotated[int, Field(strict=True, ge=1)] = 20
    initial: InitialState | None = None

    @model_validator(mode="after")
    def _some_and_distinct(self) -> PulseResponseDeviceSettings:
        if not self.trains:
            raise ValueError("give trains for up, for down, or for both")
        if self.up and self.down:
            up_v, down_v = self.up.amplitude_v, self.down.amplitude_v
            if np.isclose(up_v, down_v, rtol=SAME, atol=0):
                raise ValueError(f"up and down have the same amplitude_v, {up_v:g}")
        return self

    @property
    def trains(self) -> list[MeasuredTrains]:
        """Return the trains that were given, up before down."""
        return [trains for trains in (self.up, self.down) if trains is not None]


class _Response:
    """ΔG against G of one direction, sorted by G, siemens."""

    def __init__(self, trains: MeasuredTrains, neighbours: int) -> None:
        pairs = [(np.array(one[:-1]), np.diff(one)) for one in trains.conductance_s]
        start_conductance_s = np.concatenate([start for start, _ in pairs])
        order = np.argsort(start_conductance_s, kind="stable")
        self.amplitude_v = trains.amplitude_v
        self._start_conductance_s = start_conductance_s[order]
        self._change_conductance_s = np.concatenate([change for _, change in pairs])[order]
        self._neighbours = min(neighbours, self._start_conductance_s.size)

    def draw(self, conductance_s: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Draw a ΔG for each conductance, siemens."""
        first = np.searchsorted(self._start_conductance_s, conductance_s) - self._neighbours // 2
        first = np.clip(first, 0, self._start_conductance_s.size - self._neighbours)
        pick = first + rng.integers(0, self._neighbours, size=conductance_s.shape)
        change_conductance_s: FloatArray = self._change_conductance_s[pick]
        return change_conductance_s


class PulseResponse(Device):
    """Cells that respond to pulses as the measured device did, and only to the measured pulses."""

    def __init__(
        self,
        settings: PulseResponseDeviceSettings,
        shape: tuple[int, ...],
        rng: np.random.Generator,
    ) -> None:
        self._trains = settings.trains
        self._responses = [_Response(trains, settings.neighbours) for trains in self._trains]
        values = [np.array(one) for trains in self._trains for one in trains.conductance_s]
        self._low_conductance_s = min(float(one.min()) for one in values)
        self._high_conductance_s = max(float(one.max()) for one in values)
        self._rng = rng
        first_conductance_s = float(np.mean([one[0] for one in self._trains[0].conductance_s]))
        initial = first_conductance_s if settings.initial is None else settings.initial
        self._conductance_s = draw_initial(
            initial,
            shape,
            rng,
            low_conductance_s=self._low_conductance_s,
            high_conductance_s=self._high_conductance_s,
        )
        self._at_bound = np.zeros(shape, dtype=np.bool_)
        self._events: list[Event] = []

    @property
    @override
    def conductance_s(self) -> FloatArray:
        return self._conductance_s

    @override
    def set_conductance(self, conductance_s: FloatArray) -> None:
        self._conductance_s = np.clip(
            conductance_s, self._low_conductance_s, self._high_conductance_s
        )

    @override
    def check(self, pulse: PulseMap) -> None:
        refuse_unknown(pulse, self._trains, source="pulse_response: the trains were measured")

    @override
    def pulse(self, pulse: PulseMap) -> None:
        self.check(pulse)
        amplitude_v = np.broadcast_to(pulse.amplitude_v, self._conductance_s.shape)
        conductance_s = self._conductance_s.copy()
        held = np.zeros(conductance_s.shape, dtype=np.bool_)
        for response in self._responses:
            mask = np.isclose(amplitude_v, response.amplitude_v, rtol=SAME, atol=0)
            moving_conductance_s = conductance_s[mask]
            beyond = np.zeros(moving_conductance_s.shape, dtype=np.bool_)
            for _ in range(pulse.count if moving_conductance_s.size else 0):
                moved_conductance_s = moving_conductance_s + response.draw(
                    moving_conductance_s, self._rng
                )
                moving_conductance_s = np.clip(
                    moved_conductance_s, self._low_conductance_s, self._high_conductance_s
                )
                beyond |= moved_conductance_s != moving_conductance_s
            conductance_s[mask] = moving_conductance_s
            held[mask] |= beyond
        self._conductance_s = conductance_s
        self._note(held)

    @override
    def take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _note(self, held: BoolArray) -> None:
        new = held & ~self._at_bound
        self._at_bound |= held
        if not new.any():
            return
        count = int(new.sum())
        some = ", ".join(cell_names(new)) + (", …" if count > 3 else "")
        self._events.append(
            Event(
                "warning",
                f"held at an end of the measured range, {self._low_conductance_s:.4g} to"
                f" {self._high_conductance_s:.4g} S:"
                f" {count} {'cell' if count == 1 else 'cells'}: {some}",
            )
        )


PULSE_RESPONSE = DeviceKind(
    name="pulse_response",
    summary="Every pulse does what it did to a measured device near that state",
    settings=PulseResponseDeviceSettings,
    make=PulseResponse,
)

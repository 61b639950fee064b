"""The pulse table: a cell is a position in a measured series of conductances.

G = K · [(T(m) − T(0)) + shift], after the emulation of the 4×4 spintronic array: T is the table, m
the number of pulses the cell has had, K the gain that gives it a usable range, and ``shift`` the
spread from device to device. Valid for the pulse that the table was measured with and for no other;
at the end of the table the cell saturates.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.backend.base import Event
from hwloop.errors import ConfigError
from hwloop.messages import cell_names
from hwloop.settings.model import Settings
from hwloop.settings.units import Fraction, Number
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.calibration.file import TableReference
from hwloop_sim.cells.device import Device, DeviceKind
from hwloop_sim.cells.known_pulses import KnownPulse, refuse_unknown
from hwloop_sim.cells.variability import ConductanceSpread


class PulseTableSettings(Settings):
    """A table, its gain K, its spread from device to device, its scatter from cycle to cycle.

    ``shift``: left out, it is T(0), and the cell is the measured device itself. ``cycle_to_cycle``:
    each step of the table is multiplied by a lognormal factor of mean 1 whose logarithm has this
    standard deviation.
    """

    calibration: TableReference
    gain: Number = Field(default=1.0, gt=0)
    shift: ConductanceSpread | None = None
    cycle_to_cycle: Fraction = 0.0


class PulseTableDevice(Device):
    """Cells that move along one measured table, each from its own beginning.

    Set to a conductance, a cell keeps its position in the table, and with it its further steps.
    """

    def __init__(
        self, settings: PulseTableSettings, shape: tuple[int, ...], rng: np.random.Generator
    ) -> None:
        table = np.array(settings.calibration.conductance_s)
        self._calibration = settings.calibration
        self._gain = settings.gain
        self._scatter = settings.cycle_to_cycle
        self._rise_conductance_s = table - table[0]
        self._rng = rng
        if settings.shift is None:
            self._shift_conductance_s = np.full(shape, table[0])
        else:
            self._shift_conductance_s = _draw_shift(settings.shift, shape, rng)
        _refuse_negative(self._rise_conductance_s, self._shift_conductance_s)
        self._position = np.zeros(shape, dtype=np.int64)
        self._deviation_conductance_s = np.zeros(shape)
        self._events: list[Event] = []

    @property
    @override
    def conductance_s(self) -> FloatArray:
        conductance: FloatArray = self._gain * (
            self._rise_conductance_s[self._position]
            + self._deviation_conductance_s
            + self._shift_conductance_s
        )
        return conductance

    @override
    def check(self, pulse: PulseMap) -> None:
        measured = self._calibration.conditions
        known = KnownPulse(amplitude_v=measured.amplitude_v, width_s=measured.width_s)
        source = f"pulse_table: the table {self._calibration.title!r} was measured"
        refuse_unknown(pulse, [known], source=source)

    @override
    def pulse(self, pulse: PulseMap) -> None:
        addressed = np.broadcast_to(pulse.addressed, self._position.shape)
        end = self._rise_conductance_s.size - 1
        before = self._position
        self._position = np.minimum(before + addressed * pulse.count, end)
        if self._scatter:
            self._scatter_steps(before, self._position)
        self._note_saturation((before < end) & (self._position == end))

    @override
    def set_conductance(self, conductance_s: FloatArray) -> None:
        nominal_conductance_s = self._rise_conductance_s[self._position] + self._shift_conductance_s
        self._deviation_conductance_s = conductance_s / self._gain - nominal_conductance_s

    @override
    def take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _scatter_steps(self, before: np.ndarray, after: np.ndarray) -> None:
        while (moving := before < after).any():
            step_conductance_s = (
                self._rise_conductance_s[np.minimum(before + 1, after)]
                - self._rise_conductance_s[before]
            )
            spread = self._rng.normal(size=step_conductance_s.shape) * self._scatter
            factor = np.exp(spread - self._scatter**2 / 2)
            self._deviation_conductance_s = self._deviation_conductance_s + np.where(
                moving, (factor - 1) * step_conductance_s, 0.0
            )
            before = np.where(moving, before + 1, before)
        self._hold_at_zero()

    def _hold_at_zero(self) -> None:
        """Clip negative conductances, which no passive device has, to 0 S, and report the cells."""
        least_conductance_s = -(
            self._rise_conductance_s[self._position] + self._shift_conductance_s
        )
        below = self._deviation_conductance_s < least_conductance_s
        if below.any():
            self._deviation_conductance_s = np.maximum(
                self._deviation_conductance_s, least_conductance_s
            )
            some = ", ".join(cell_names(below))
            self._events.append(
                Event("warning", f"held at 0 S, where cycle-to-cycle scatter went below: {some}")
            )

    def _note_saturation(self, saturated: BoolArray) -> None:
        count = int(saturated.sum())
        if count == 0:
            return
        some = ", ".join(cell_names(saturated)) + (", …" if count > 3 else "")
        self._events.append(
            Event(
                "warning",
                f"saturated: {count} {'cell' if count == 1 else 'cells'} reached the end of the"
                f" conductance table after {self._rise_conductance_s.size - 1} pulses, further ones"
                " change"
                f" nothing: {some}",
            )
        )


def _draw_shift(
    shift: ConductanceSpread, shape: tuple[int, ...], rng: np.random.Generator
) -> FloatArray:
    try:
        return shift.draw(shape, rng)
    except ConfigError as exc:
        raise exc.below("shift") from None


def _refuse_negative(rise_conductance_s: FloatArray, shift_conductance_s: FloatArray) -> None:
    """Raise :class:`ConfigError` where table and shift make a conductance negative."""
    lowest_conductance_s = rise_conductance_s.min() + shift_conductance_s
    if (lowest_conductance_s < 0).any():
        raise ConfigError(
            f"{next(cell_names(lowest_conductance_s < 0))}: its shift"
            f" {shift_conductance_s[lowest_conductance_s < 0][0]:.4g} S makes"
            f" the conductance negative; this table needs at least {-rise_conductance_s.min():.4g}"
            " S",
            key="shift",
        )


PULSE_TABLE = DeviceKind(
    name="pulse_table",
    summary="A cell moves along a measured table of conductance against pulse number",
    settings=PulseTableSettings,
    make=PulseTableDevice,
)

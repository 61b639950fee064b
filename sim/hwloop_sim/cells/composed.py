"""A device model with non-idealities, which is again a device for emulator and virtual bench."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from typing_extensions import override

from hwloop.array.operations import PulseMap
from hwloop.backend.base import Event
from hwloop.errors import ConfigError, Unsupported
from hwloop.messages import cell_names
from hwloop.types import BoolArray, FloatArray
from hwloop_sim.calibration.twin import RangeWatch
from hwloop_sim.cells.current_law import law_current_a
from hwloop_sim.cells.device import ContinuousDevice, Device
from hwloop_sim.cells.effect import Effect, ReadNoise
from hwloop_sim.circuit import CellLaw

_CHANGES = ("begin", "pulsed", "held", "elapsed", "read")


class NonIdealDevice(Device):
    """Cells of a device model with effects that act in the order given.

    Without any effect it equals the device model to the last bit. ``watch``: reports cells that
    leave the range in which a calibration was measured. ``law``: the current-voltage law of a model
    that has none of its own. Effects that change the state need a model with
    :meth:`Device.set_conductance`; :class:`ConfigError` otherwise.
    """

    def __init__(
        self,
        device: Device,
        effects: Sequence[Effect],
        *,
        watch: RangeWatch | None = None,
        law: CellLaw | None = None,
    ) -> None:
        if law is not None and not device.linear:
            raise ConfigError(
                "the device model has a current-voltage law of its own",
                key="backends.sim.cell_law",
            )
        self._device = device
        self._watch = watch
        self._law = law
        self._events: list[Event] = []
        self._by_hook = {
            hook: [effect for effect in effects if effect.does(hook)]
            for hook in (*_CHANGES, "seen")
        }
        for hook, moved in (("elapsed", device.volatile), ("read", False)):
            if not moved and all(effect.limiting for effect in self._by_hook[hook]):
                self._by_hook[hook] = []
        self.read_noise = [effect for effect in effects if isinstance(effect, ReadNoise)]
        self.time_varying = any(effect.time_varying for effect in effects)
        self._seen_conductance_s: FloatArray | None = None
        self._checked: PulseMap | None = None
        changing = any(self._by_hook[hook] for hook in _CHANGES)
        if changing and type(device).set_conductance is Device.set_conductance:
            raise ConfigError(
                f"{type(device).__name__} cannot be set to a conductance, which these effects need",
                key="backends.sim.effects",
            )
        self._change("begin", lambda effect, state_conductance_s: effect.begin(state_conductance_s))

    @property
    @override
    def conductance_s(self) -> FloatArray:
        if self._seen_conductance_s is None:
            seen_conductance_s = self._device.conductance_s
            for effect in self._by_hook["seen"]:
                seen_conductance_s = effect.seen(seen_conductance_s)
            self._seen_conductance_s = seen_conductance_s
        return self._seen_conductance_s

    @property
    @override
    def linear(self) -> bool:
        return self._law is None and self._device.linear

    @property
    @override
    def still_v(self) -> float:
        return self._device.still_v

    @property
    @override
    def half_select(self) -> bool:
        return self._device.half_select

    @override
    def current_a(self, voltage_v: FloatArray) -> FloatArray:
        if self._law is not None:
            return law_current_a(self._law, self.conductance_s, voltage_v)
        if self._device.linear:
            return self.conductance_s * voltage_v
        model_conductance_s, shown_conductance_s = self._device.conductance_s, self.conductance_s
        if shown_conductance_s is model_conductance_s:
            return self._device.current_a(voltage_v)
        share = np.divide(
            shown_conductance_s,
            model_conductance_s,
            out=np.zeros_like(shown_conductance_s),
            where=model_conductance_s > 0,
        )
        without_model_a = np.where(model_conductance_s > 0, 0.0, shown_conductance_s) * voltage_v
        return self._device.current_a(voltage_v) * share + without_model_a

    @property
    @override
    def volatile(self) -> bool:
        return self._device.volatile or bool(self._by_hook["elapsed"])

    @override
    def check(self, pulse: PulseMap) -> None:
        if pulse is not self._checked:
            self._device.check(pulse)
            self._checked = pulse
            if self._watch is not None:
                self._watch.note(pulse)

    @override
    def pulse(self, pulse: PulseMap) -> None:
        if not self._by_hook["pulsed"]:
            self._device.pulse(pulse)
            self._seen_conductance_s = None
            return
        if self._pulsed_at_once(pulse):
            return
        before_conductance_s = self._device.conductance_s
        self._device.pulse(pulse)
        self._change(
            "pulsed",
            lambda effect, state_conductance_s: effect.pulsed(
                before_conductance_s, state_conductance_s, pulse
            ),
        )

    @property
    def continuous(self) -> ContinuousDevice | None:
        """Return the device model, if its pulses are the integration of an equation, or None."""
        device = self._device
        return device if isinstance(device, ContinuousDevice) and device.deterministic else None

    def integrate(
        self, pulse: PulseMap, final_state: Callable[[ContinuousDevice], FloatArray]
    ) -> None:
        """Apply a pulse whose end ``final_state(device)`` computes; effects act on it once.

        ``pulse``: with the voltages at its beginning. Needs a model that is :attr:`continuous`.
        """
        device = self._integrable
        before_conductance_s = device.conductance_s
        device.check(pulse)
        device.begin_pulse(pulse)
        self.take_state(final_state(device))
        self._change(
            "pulsed",
            lambda effect, state_conductance_s: effect.pulsed(
                before_conductance_s, state_conductance_s, pulse
            ),
        )

    @property
    def _integrable(self) -> ContinuousDevice:
        device = self.continuous
        if device is None:
            raise Unsupported(f"{type(self._device).__name__} has no state to be integrated")
        return device

    @property
    def state(self) -> FloatArray:
        """Return the state of a device model that is :attr:`continuous`, (..., rows, cols)."""
        return self._integrable.state

    def take_state(self, state: FloatArray) -> None:
        """Set the device model to a state of a pulse in progress; see :meth:`integrate`."""
        self._integrable.take_state(state)
        self._seen_conductance_s = None

    def _pulsed_at_once(self, pulse: PulseMap) -> bool:
        """Pulse and scatter in one loop of the model; return False where it has none."""
        first, *others = self._by_hook["pulsed"]
        scatter = first.step_scatter(pulse)
        state_conductance_s = (
            None if scatter is None else self._device.scattered_conductance_s(pulse, scatter)
        )
        if state_conductance_s is None:
            return False
        before_conductance_s = self._device.conductance_s
        for effect in others:
            state_conductance_s = effect.pulsed(before_conductance_s, state_conductance_s, pulse)
        self._seen_conductance_s = None
        self._device.set_conductance(self._held_at_zero(state_conductance_s))
        return True

    @override
    def wait(self, duration_s: float) -> None:
        self._device.wait(duration_s)
        if self._device.volatile:
            self._seen_conductance_s = None
        if duration_s > 0:
            self._change(
                "elapsed",
                lambda effect, state_conductance_s: effect.elapsed(state_conductance_s, duration_s),
            )

    def hold(self, conductance_s: FloatArray, addressed: BoolArray) -> None:
        """Set the addressed cells to conductances, or the nearest that the model has, siemens.

        Both (..., rows, cols). Effects that limit the state act on it. Raises :class:`Unsupported`
        where the model has no state that could be set.
        """
        now_conductance_s = self._device.conductance_s
        self._device.set_conductance(np.where(addressed, conductance_s, now_conductance_s))
        self._seen_conductance_s = None
        everywhere = np.broadcast_to(addressed, now_conductance_s.shape)
        self._change(
            "held",
            lambda effect, state_conductance_s: effect.held(state_conductance_s, everywhere),
        )

    @override
    def set_conductance(self, conductance_s: FloatArray) -> None:
        self._device.set_conductance(conductance_s)
        self._seen_conductance_s = None

    @property
    def changed_by_reads(self) -> bool:
        """Return whether an effect changes the state in a read."""
        return bool(self._by_hook["read"])

    def note_read(self, voltage_v: Callable[[], FloatArray]) -> None:
        """Let the effects act on a read at ``voltage_v()``, volts, (reads, ..., rows, cols).

        ``voltage_v`` is a function, since most arrays have no effect that needs the voltages.
        """
        if self._by_hook["read"]:
            seen_v = voltage_v()
            self._change(
                "read", lambda effect, state_conductance_s: effect.read(state_conductance_s, seen_v)
            )

    @override
    def take_events(self) -> list[Event]:
        events, self._events = self._events, []
        watched = self._watch.events(self._device.conductance_s) if self._watch else []
        return [*self._device.take_events(), *events, *watched]

    def _change(self, hook: str, act: Callable[[Effect, FloatArray], FloatArray]) -> None:
        """Let the effects of one moment act, and write their state into the device model."""
        effects = self._by_hook[hook]
        if not effects:
            return
        self._seen_conductance_s = None
        begin_conductance_s = state_conductance_s = self._device.conductance_s
        for effect in effects:
            state_conductance_s = act(effect, state_conductance_s)
        if state_conductance_s is not begin_conductance_s:
            self._device.set_conductance(self._held_at_zero(state_conductance_s))

    def _held_at_zero(self, state_conductance_s: FloatArray) -> FloatArray:
        """Clip negative conductances, which no passive device has, to 0 S, and report the cells."""
        if state_conductance_s.min(initial=0.0) >= 0:
            return state_conductance_s
        below = state_conductance_s < 0
        if not below.any():  # but there is a NaN
            return state_conductance_s
        some = ", ".join(cell_names(below))
        self._events.append(
            Event("warning", f"held at 0 S, where an effect would have gone below: {some}")
        )
        return np.maximum(state_conductance_s, 0.0)

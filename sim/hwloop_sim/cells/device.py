"""The interface of a device model: conductances of a population of cells, and effects of pulses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from hwloop.array.operations import PulseMap
from hwloop.backend.base import Event
from hwloop.errors import Unsupported
from hwloop.settings.model import Settings
from hwloop.types import FloatArray

if TYPE_CHECKING:
    from hwloop_sim.compiled.counter_based_random import StepScatter

S = TypeVar("S", bound=Settings)

LARGE = 20_000
"""Number of cells, or currents, from which the compiled loops save more than loading them costs."""


class ConductingCells(ABC):
    """Cells as an array's circuit needs to know them, (..., rows, cols)."""

    @property
    @abstractmethod
    def conductance_s(self) -> FloatArray:
        """Return the conductance of every cell, (..., rows, cols), siemens, free of read noise.

        A change of state makes a new array; one that was returned is never modified. Example::

          @property
          def conductance_s(self) -> FloatArray:
              return self._floor_conductance_s + self._state * self._span_conductance_s
        """

    def current_a(self, voltage_v: FloatArray) -> FloatArray:
        """Return the current at a voltage too short to change the state, amperes; by default G · V.

        ``voltage_v``: (..., rows, cols), volts, positive: row above column.
        """
        return self.conductance_s * voltage_v

    @property
    def linear(self) -> bool:
        """Return whether :meth:`current_a` is G · V."""
        return True

    @property
    def still_v(self) -> float:
        """Return the magnitude of voltage, volts, up to which no pulse changes any cell."""
        return 0.0


class Device(ConductingCells):
    """All cells of an emulated population; vectorised over (..., rows, cols)."""

    @abstractmethod
    def check(self, pulse: PulseMap) -> None:
        """Raise :class:`hwloop.errors.Unsupported` where the model is not valid for a pulse.

        Changes nothing: the guard asks before any pulse is applied. The message names the model,
        the value asked for and what the model covers. Example::

          def check(self, pulse: PulseMap) -> None:
              if pulse.highest_gate_v is not None:
                  raise Unsupported(f"my_model: no gate, asked for {pulse.highest_gate_v:g} V")
        """

    @abstractmethod
    def pulse(self, pulse: PulseMap) -> None:
        """Apply ``pulse.count`` pulses of ``pulse.width_s`` to every addressed cell.

        ``pulse.amplitude_v`` broadcasts to (..., rows, cols), volts, row above column; cells at 0 V
        keep their state. Example, a cell that gains 1 % of its conductance in each positive pulse::

          def pulse(self, pulse: PulseMap) -> None:
              up = np.broadcast_to(pulse.amplitude_v > 0, self._conductance_s.shape)
              factor = np.where(up, 1.01**pulse.count, 1.0)
              self._conductance_s = self._conductance_s * factor
        """

    def scattered_conductance_s(self, pulse: PulseMap, scatter: StepScatter) -> FloatArray | None:  # noqa: ARG002
        """Return the state after ``pulse`` with a scatter of its steps, siemens, without taking it.

        For models that compute both in one loop. Returns None for all others.
        """
        return None

    @property
    def half_select(self) -> bool:
        """Return whether the model covers any voltage, so that half-selected cells are pulsed too.

        Half-selected cells of all other models keep their state.
        """
        return False

    @property
    def volatile(self) -> bool:
        """Return whether the conductance changes with time alone."""
        return False

    def wait(self, duration_s: float) -> None:
        """Advance time by ``duration_s`` with every line at 0 V; by default nothing changes."""

    def set_conductance(self, conductance_s: FloatArray) -> None:  # noqa: ARG002 - a hook
        """Set every cell to a conductance, (..., rows, cols), siemens, or the nearest possible.

        Called by effects such as drift. Raises :class:`hwloop.errors.Unsupported` where the model
        has no state that could be set.
        """
        raise Unsupported(f"{type(self).__name__} cannot be set to a conductance")

    def take_events(self) -> list[Event]:
        """Return and clear pending log events."""
        return []


@dataclass(frozen=True)
class Divider:
    """Some cells, each behind a resistance of its own, (cells,).

    ``cells``: their indices in the flat map. In the state ``at_state`` a cell has ``voltage_v``,
    and v (1 + rise Δ)/(1 + fall Δ) in a state that lies Δ beside it.
    """

    cells: NDArray[np.intp]
    voltage_v: FloatArray
    at_state: FloatArray
    rise: FloatArray
    fall: FloatArray


class ContinuousDevice(Device):
    """Cells with a state that moves by an equation in time, so that voltages may change meanwhile.

    The emulator integrates their pulses together with the circuit of the lines.
    """

    @property
    @abstractmethod
    def state(self) -> FloatArray:
        """Return the state of every cell, (..., rows, cols)."""

    @abstractmethod
    def take_state(self, state: FloatArray) -> None:
        """Set every cell to a state that :meth:`after` has returned, or between two of them."""

    @abstractmethod
    def within(self, state: FloatArray) -> FloatArray:
        """Return the nearest states between the bounds of the model, (..., rows, cols)."""

    @abstractmethod
    def after(
        self, state: FloatArray, voltage_v: FloatArray, duration_s: float | FloatArray
    ) -> FloatArray:
        """Return the states ``duration_s`` after ``state`` at constant voltages, without taking it.

        All (..., rows, cols); ``voltage_v``: volts, row above column; cells at 0 V stay.
        ``duration_s``: one, or one for each array, (..., 1, 1).
        """

    @abstractmethod
    def speed_per_s(self, state: FloatArray, voltage_v: FloatArray) -> FloatArray:
        """Return how fast the states change at voltages, (..., rows, cols), per second."""

    @abstractmethod
    def after_behind(
        self, state: FloatArray, divider: Divider, duration_s: FloatArray
    ) -> FloatArray:
        """Return the states of the cells of a divider, (cells,), each after its duration.

        ``state``: of all cells, (..., rows, cols).
        """

    @property
    def deterministic(self) -> bool:
        """Return whether a pulse is nothing but the equation: no random walk during a pulse."""
        return True

    def begin_pulse(self, pulse: PulseMap) -> None:
        """Do what the model does once a pulse, such as a draw, before its states move."""


@dataclass(frozen=True)
class DeviceKind(Generic[S]):
    """A device model as registered in the entry point group ``hwloop.devices``.

    ``make(settings, shape, rng)``: cells of ``shape`` (..., rows, cols) in their initial state.
    """

    name: str
    summary: str
    settings: type[S]
    make: Callable[[S, tuple[int, ...], np.random.Generator], Device]

"""What a device model is: the cells of a population, their conductance, and what pulses do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from hwloop.array.operations import PulseMap
from hwloop.backend.base import Event
from hwloop.errors import Unsupported
from hwloop.settings.model import Settings
from hwloop.types import FloatArray

if TYPE_CHECKING:
    from hwloop_sim.compiled.counted_random import StepScatter

S = TypeVar("S", bound=Settings)

LARGE = 20_000
"""Cells, or currents, from which on loading the compiled loops pays."""


class Device(ABC):
    """All cells of an emulated population; vectorised over (..., rows, cols)."""

    @property
    @abstractmethod
    def conductance_s(self) -> FloatArray:
        """Conductance of every cell now, (..., rows, cols), siemens, free of read noise.

        An array that is not changed afterwards.
        """

    @abstractmethod
    def check(self, pulse: PulseMap) -> None:
        """Raise :class:`hwloop.errors.Unsupported` where the model is not valid for a pulse."""

    @abstractmethod
    def pulse(self, pulse: PulseMap) -> None:
        """Apply a pulse map of any broadcastable shape."""

    def scattered_conductance_s(self, pulse: PulseMap, scatter: StepScatter) -> FloatArray | None:  # noqa: ARG002
        """The state that :meth:`pulse` and then a scatter of the steps would leave, not yet taken.

        For models that work out both in one loop; None from all others.
        """
        return None

    def current_a(self, voltage_v: FloatArray) -> FloatArray:
        """Current at a voltage that is too short to change anything, amperes; G · V by default.

        ``voltage_v``: (..., rows, cols), volts. Positive: row above column.
        """
        return self.conductance_s * voltage_v

    @property
    def linear(self) -> bool:
        """Whether :meth:`current_a` is G · V."""
        return True

    @property
    def half_select(self) -> bool:
        """Whether the model says what any voltage does, so that half-selected cells are given it.

        Where it does not, they stay as they are.
        """
        return False

    @property
    def volatile(self) -> bool:
        """Whether the conductance changes with time alone."""
        return False

    def wait(self, duration_s: float) -> None:  # noqa: B027 - most models hold their state
        """Let time pass with every line at 0 V."""

    def set_conductance(self, conductance_s: FloatArray) -> None:  # noqa: ARG002 - a hook
        """Put every cell at a conductance, (..., rows, cols), or as near as the model has one.

        What effects such as drift do to a state. :class:`hwloop.errors.Unsupported` where the
        model has no state that could be put anywhere.
        """
        raise Unsupported(f"{type(self).__name__} cannot be put at a conductance")

    def take_events(self) -> list[Event]:
        """What happened since the last call that a person should know of."""
        return []


@dataclass(frozen=True)
class DeviceKind(Generic[S]):
    """A device model as it stands in the entry point group ``hwloop.devices``.

    ``make(settings, shape, rng)``: cells of ``shape`` (..., rows, cols) in their initial state.
    """

    name: str
    summary: str
    settings: type[S]
    make: Callable[[S, tuple[int, ...], np.random.Generator], Device]

"""What a device model is: the cells of a population, their conductance, and what pulses do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from hwloop.backend import Event
from hwloop.operations import FloatArray, PulseMap
from hwloop.settings import Settings

S = TypeVar("S", bound=Settings)


class Device(ABC):
    """All cells of an emulated population; vectorised over (..., rows, cols)."""

    @property
    @abstractmethod
    def conductance_s(self) -> FloatArray:
        """Conductance of every cell now, (..., rows, cols), siemens, free of read noise."""

    @abstractmethod
    def check(self, pulse: PulseMap) -> None:
        """Raise :class:`hwloop.errors.Unsupported` where the model is not valid for a pulse."""

    @abstractmethod
    def pulse(self, pulse: PulseMap) -> None:
        """Apply a pulse map of any broadcastable shape."""

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

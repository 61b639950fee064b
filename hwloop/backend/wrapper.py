"""Backends around backends."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

from hwloop.array.operations import Operation, PulseMap, Ramp, Reading, ReadMap, VectorBatch, Wait
from hwloop.backend.base import CrossbarBackend, Description, Event
from hwloop.types import BoolArray


class OneVerbBackend(CrossbarBackend):
    """A backend that treats all operations alike: subclasses override :meth:`perform`."""

    @abstractmethod
    def perform(self, operation: Operation) -> Reading | None:
        """Do the operation; a :class:`Reading` for reads, ramps and multiplications, else None."""

    def pulse(self, pulse: PulseMap) -> None:
        """Apply the pulses of the map."""
        self.perform(pulse)

    def read(self, read: ReadMap) -> Reading:
        """Currents of the addressed cells."""
        return _answer(self.perform(read))

    def ramp(self, ramp: Ramp) -> Reading:
        """Currents after each pulse."""
        return _answer(self.perform(ramp))

    def multiply(self, batch: VectorBatch) -> Reading:
        """Column currents for each vector."""
        return _answer(self.perform(batch))

    def wait(self, wait: Wait) -> None:
        """Let time pass."""
        self.perform(wait)


class Wrapper(OneVerbBackend):
    """A backend around a backend: guard and recorder are such."""

    def __init__(self, inner: CrossbarBackend) -> None:
        self._inner = inner

    @property
    def description(self) -> Description:
        """That of the backend inside."""
        return self._inner.description

    def now_s(self) -> float:
        """The clock of the backend inside."""
        return self._inner.now_s()

    def check(self, operation: Operation) -> None:
        """Whether the backend inside can do this."""
        self._inner.check(operation)

    def duration_s(self, operation: Operation) -> float:
        """As the backend inside expects it."""
        return self._inner.duration_s(operation)

    def groups(self) -> Iterator[BoolArray]:
        """Those of the backend inside."""
        return self._inner.groups()

    def take_events(self) -> list[Event]:
        """Those of the backend inside."""
        return self._inner.take_events()

    def make_safe(self) -> None:
        """Make the backend inside safe."""
        self._inner.make_safe()

    def close(self) -> None:
        """Close the backend inside."""
        self._inner.close()


def _answer(reading: Reading | None) -> Reading:
    if reading is None:
        raise TypeError("a read, a ramp or a multiplication must answer with a Reading")
    return reading

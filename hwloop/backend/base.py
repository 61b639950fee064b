"""The one narrow waist: what stands for an array, and how it is asked to act."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

import numpy as np

from hwloop.array.geometry import Geometry
from hwloop.array.operations import Operation, PulseMap, Ramp, Reading, ReadMap, VectorBatch, Wait
from hwloop.types import BoolArray

MultiplyMode = Literal["parallel", "superposition", "none"]


@dataclass(frozen=True)
class Event:
    """Something that goes into the record's log; a "wire" event is what went over a link."""

    level: Literal["info", "warning", "wire"]
    message: str


@dataclass(frozen=True)
class Description:
    """What a backend is.

    ``population``: the axes before (rows, cols): () for one array, (N,) for N emulated ones.
    ``multiply``: how column currents are obtained. ``identity``: who answered, and the settings
    read back from the instruments or from the emulator, as they are written into the record.
    ``units``: of what stands in ``identity``, by its path, such as ``{"smu.source_range_v": "V"}``.
    ``verify_steps``: for how many pulses ahead a :class:`hwloop.array.operations.Ramp` is
    worthwhile: 1 where single operations cost no more.
    """

    name: str
    geometry: Geometry
    population: tuple[int, ...] = ()
    multiply: MultiplyMode = "parallel"
    identity: Mapping[str, object] = field(default_factory=dict)
    verify_steps: int = 1
    units: Mapping[str, str] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """(..., rows, cols): the shape of a map over all cells."""
        return (*self.population, *self.geometry.shape)


class CrossbarBackend(ABC):
    """Stands for one array, or for an emulated population of equal ones.

    Every operation is plain data (see :mod:`hwloop.array.operations`). Maps may have the shape
    (rows, cols) or (..., rows, cols) of :attr:`Description.shape`; the former addresses every
    array of a population alike. Idle means every line at 0 V, never floating.
    """

    @property
    @abstractmethod
    def description(self) -> Description:
        """What this backend is; does not change while it is open."""

    @abstractmethod
    def pulse(self, pulse: PulseMap) -> None:
        """Apply the pulses of the map, then return every line to 0 V."""

    @abstractmethod
    def read(self, read: ReadMap) -> Reading:
        """Currents of the addressed cells, (..., rows, cols), amperes."""

    def ramp(self, ramp: Ramp) -> Reading:
        """Pulse and read each cell until it is in its window, (steps, ..., rows, cols), amperes.

        By default in single pulses and reads, of all cells that still run together.
        """
        shape = self.description.shape
        answer = ramp.blank(shape)
        running: BoolArray = np.broadcast_to(ramp.addressed, shape)
        for number in range(ramp.steps):
            if not running.any():
                break
            self.pulse(ramp.pulse(number, running) if number else ramp.first)
            reading = self.read(ramp.read(running))
            answer.current_a[number], answer.flags[number] = reading.current_a, reading.flags
            running = running & ~ramp.ended(reading)
        return answer

    @abstractmethod
    def multiply(self, batch: VectorBatch) -> Reading:
        """Column currents for each row voltage vector, (..., batch, cols), amperes."""

    @abstractmethod
    def wait(self, wait: Wait) -> None:
        """Let time pass: a bench sleeps, an emulator moves its clock."""

    @abstractmethod
    def now_s(self) -> float:
        """Seconds on the array's own clock since the backend was opened.

        Between operations it stands still: it is the end of the latest one. So a replay, which
        answers from recorded times, gives a step the very times that it saw.
        """

    @abstractmethod
    def make_safe(self) -> None:
        """Outputs off and every line at 0 V; idempotent, valid after any error."""

    @abstractmethod
    def close(self) -> None:
        """Make safe and let go of the hardware; idempotent. No operation is valid afterwards."""

    def check(self, operation: Operation) -> None:  # noqa: B027 - most backends can do everything
        """Raise :class:`hwloop.errors.Unsupported` if this operation cannot be done here."""

    def duration_s(self, operation: Operation) -> float:
        """Expected time on the array for an operation, seconds; the pulses alone by default."""
        if isinstance(operation, PulseMap):
            cells = int(operation.addressed.sum(axis=(-2, -1)).max())
            return cells * operation.count * operation.width_s
        if isinstance(operation, Ramp):
            once = (operation.first, operation.read(operation.addressed))
            return operation.steps * sum(self.duration_s(part) for part in once)
        return operation.duration_s if isinstance(operation, Wait) else 0.0

    def groups(self) -> Iterator[BoolArray]:
        """Masks (rows, cols) of cells that can be addressed without re-routing, in best order."""
        yield np.ones(self.description.geometry.shape, dtype=np.bool_)

    def take_events(self) -> list[Event]:
        """What happened since the last call that a person should know of."""
        return []

    def perform(self, operation: Operation) -> Reading | None:
        """Do any of the five operations: for code that treats them alike."""
        match operation:
            case PulseMap():
                return self.pulse(operation)
            case ReadMap():
                return self.read(operation)
            case Ramp():
                return self.ramp(operation)
            case VectorBatch():
                return self.multiply(operation)
            case Wait():
                return self.wait(operation)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

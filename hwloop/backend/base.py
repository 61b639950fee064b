"""The one interface between steps and hardware: a backend stands for an array."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

import numpy as np

from hwloop.array.biasing import DriveName
from hwloop.array.blocks import BlockBatch
from hwloop.array.geometry import Geometry
from hwloop.array.line_bounds import DriveCircuit
from hwloop.array.maps import most_addressed
from hwloop.array.operations import (
    Answer,
    Flag,
    Hold,
    Operation,
    PulseMap,
    PulsePair,
    Ramp,
    Reading,
    ReadMap,
    VectorBatch,
    Wait,
    limited,
)
from hwloop.array.read_path import ReadPath
from hwloop.backend.by_vectors import by_vectors, whole_tiles
from hwloop.backend.holding import CANNOT_HOLD, refuse_hold
from hwloop.backend.shapes import check_shape
from hwloop.errors import Unsupported
from hwloop.types import BoolArray, FlagArray

NO_PAIRS = "this backend makes no pairs of pulses"
"""The refusal of a :class:`~hwloop.array.operations.PulsePair`."""

MultiplyMode = Literal["parallel", "superposition", "none"]


@dataclass(frozen=True)
class Event:
    """An entry of the record's log; a "wire" event is a message that went over a link."""

    level: Literal["info", "warning", "wire"]
    message: str


@dataclass(frozen=True)
class Description:
    """Description of a backend: its geometry, its abilities, its identity.

    ``population``: the axes before (rows, cols): () for one array, (N,) for N emulated ones.
    ``multiply``: how column currents are obtained. ``identity``: identities and settings as
    read back from the instruments or from the emulator, for the record. ``units``: the unit of
    each value in ``identity`` by its path, such as ``{"smu.source_range_v": "V"}``.
    ``verify_steps``: for how many pulses ahead a :class:`hwloop.array.operations.Ramp` is
    worthwhile: 1 where single operations cost no more. ``drives``: the outputs on the lines, from
    which the guard bounds what half-selected cells see; None: every line has the very level of the
    biasing scheme, and all levels of a pulse come and go together. ``station``: text of the station
    file as it was read; "" where there is none. ``read_path``: the known resistors that read
    currents pass besides the cells; None without any. ``code_bits``: of the converters whose codes
    answer a multiplication by blocks; None: it is answered with currents. ``holds``: whether its
    cells can be set to conductances without a pulse (:class:`hwloop.array.operations.Hold`): no
    hardware's can.
    """

    name: str
    geometry: Geometry
    population: tuple[int, ...] = ()
    multiply: MultiplyMode = "parallel"
    identity: Mapping[str, object] = field(default_factory=dict)
    verify_steps: int = 1
    units: Mapping[str, str] = field(default_factory=dict)
    drives: Mapping[DriveName, DriveCircuit] | None = None
    station: str = ""
    read_path: ReadPath | None = None
    code_bits: int | None = None
    holds: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of a map over all cells, (..., rows, cols)."""
        return (*self.population, *self.geometry.shape)


class CrossbarBackend(ABC):
    """The interface to one array, or to an emulated population of equal ones.

    Every operation is plain data (see :mod:`hwloop.array.operations`). Maps may have the shape
    (rows, cols) or (..., rows, cols) of :attr:`Description.shape`; the former addresses every
    array of a population alike. Idle means every line at 0 V, never floating.
    """

    @property
    @abstractmethod
    def description(self) -> Description:
        """Return the geometry, abilities and identity; constant while the backend is open.

        Example::

            backend.description.shape  # (4, 4) for one 4 × 4 array, (1000, 4, 4) for 1000 of them
        """

    @abstractmethod
    def pulse(self, pulse: PulseMap) -> FlagArray:
        """Apply the pulses of the map, return every line to 0 V, and return what became of them.

        The flags, (..., rows, cols): NOT_ADDRESSED for a cell without a pulse, COMPLIANCE where a
        source was at its limit, so that not all of the pulse reached the cell, else 0. Example,
        one pulse of 1.2 V and 1 ms on cell (0, 1)::

            amplitude_v = np.zeros((4, 4))
            amplitude_v[0, 1] = 1.2
            flags = backend.pulse(PulseMap(amplitude_v, width_s=1e-3))
            flags[0, 1]  # 0: as it was asked for

        Raises :class:`hwloop.errors.Unsupported` for amplitudes or widths that it cannot make, and
        :class:`hwloop.errors.BackendError` where the hardware fails.
        """

    def pair(self, pair: PulsePair) -> FlagArray:
        """Apply the two pulses of each pair, an interval apart, and return what became of them.

        The flags are those of :meth:`pulse`: COMPLIANCE where either pulse was cut. Example, a
        positive pulse of 1 ms on cell (0, 0) and a negative one 10 ms after its end::

            first_v = np.zeros((4, 4))
            first_v[0, 0] = 1.2
            flags = backend.pair(PulsePair(first_v, -first_v, 1e-3, 1e-3, interval_s=10e-3))

        Raises :class:`hwloop.errors.Unsupported` where the backend makes no pairs, as by default.
        """
        self.check(pair)
        raise Unsupported(NO_PAIRS)

    @abstractmethod
    def read(self, read: ReadMap) -> Reading:
        """Return the currents of the addressed cells, (..., rows, cols), amperes.

        Cells that are not addressed are NaN with the flag NOT_ADDRESSED; a current beyond the range
        or at the compliance is NaN with the flag that says so. Example::

            reading = backend.read(ReadMap.every_cell((4, 4), read_v=0.1))
            conductance_s = reading.current_a / 0.1
        """

    def ramp(self, ramp: Ramp) -> Reading:
        """Pulse and read each cell until it is in its window.

        Returns currents (steps, ..., rows, cols), amperes; steps after a cell's last are flagged
        NOT_ADDRESSED. By default in single pulses and reads of all cells that have not ended.
        """
        shape = self.description.shape
        check_shape(ramp, shape)
        answer = ramp.blank(shape)
        running: BoolArray = np.broadcast_to(ramp.addressed, shape)
        for number in range(ramp.steps):
            if not running.any():
                break
            flags = self.pulse(ramp.pulse(number, running) if number else ramp.first)
            reading = self.read(ramp.read(running))
            answer.current_a[number], answer.flags[number] = reading.current_a, reading.flags
            answer.flags[number][limited(flags)] |= np.uint8(Flag.AFTER_LIMITED)
            running = running & ~ramp.ended(reading)
        return answer

    @abstractmethod
    def multiply(self, batch: VectorBatch) -> Reading:
        """Return the currents of the lines that are not driven, (..., batch, lines), amperes.

        Example, all rows of a 4 × 4 array at 0.1 V::

            reading = backend.multiply(VectorBatch(np.full((1, 4), 0.1)))
            reading.current_a.shape  # (1, 4): one vector, four columns

        Raises :class:`hwloop.errors.Unsupported` where :attr:`Description.multiply` is "none", and
        for vectors on columns where nothing measures at the rows.
        """

    def multiply_blocks(self, batch: BlockBatch) -> Reading:
        """Return the column currents of blocks, (..., vectors, columns), amperes.

        By default in :class:`VectorBatch` of whole tiles, so many vectors at a time as take little
        memory.
        """
        check_shape(batch, self.description.shape)
        return by_vectors(batch, self.description.shape, self.multiply)

    def hold(self, hold: Hold) -> None:
        """Set the addressed cells to conductances without a pulse: for emulated cells only.

        Example, every cell of a 4 × 4 array at 50 µS::

            backend.hold(Hold(np.full((4, 4), 50e-6), np.ones((4, 4), dtype=np.bool_)))

        Raises :class:`hwloop.errors.Unsupported` where :attr:`Description.holds` is False.
        """
        self.check(hold)
        raise Unsupported(CANNOT_HOLD)

    @abstractmethod
    def wait(self, wait: Wait) -> None:
        """Let time pass with every line at 0 V: a bench sleeps, an emulator moves its clock.

        Example::

            before_s = backend.now_s()
            backend.wait(Wait(60.0))
            backend.now_s() - before_s  # 60 s, or a little more on a bench
        """

    @abstractmethod
    def now_s(self) -> float:
        """Return the seconds on the array's own clock since the backend was opened.

        The clock stands still between operations, at the end of the latest one. So a replay, which
        answers from recorded times, gives a step the very times that the run saw. Example::

            backend.now_s() == backend.now_s()  # whatever the computer does in between
        """

    @abstractmethod
    def make_safe(self) -> None:
        """Switch outputs off and put every line at 0 V; idempotent, valid after any error.

        Example::

            try:
                backend.pulse(pulse)
            finally:
                backend.make_safe()

        Raises :class:`hwloop.errors.BackendError` that names what may still be on.
        """

    @abstractmethod
    def close(self) -> None:
        """Make safe and release the hardware; idempotent. No operation is valid afterwards.

        Example; the end of ``with`` closes, whatever happens in it::

            with kind.open(settings, request) as backend:
                backend.pulse(pulse)
        """

    def check(self, operation: Operation) -> None:
        """Raise :class:`hwloop.errors.Unsupported` if this operation cannot be done here.

        By default any but a :class:`~hwloop.array.operations.Hold`, and but a
        :class:`~hwloop.array.operations.PulsePair` where :meth:`pair` is not overridden.
        """
        refuse_hold(operation, holds=self.description.holds)
        if isinstance(operation, PulsePair) and type(self).pair is CrossbarBackend.pair:
            raise Unsupported(NO_PAIRS)

    def duration_s(self, operation: Operation) -> float:
        """Return the expected time for an operation, seconds; by default that of its pulses."""
        if isinstance(operation, PulseMap):
            cells = most_addressed(operation.addressed)
            return cells * (operation.count * operation.width_s + operation.rhythm_s)
        if isinstance(operation, PulsePair):
            return most_addressed(operation.addressed) * operation.duration_s
        if isinstance(operation, Ramp):
            once = (operation.first, operation.read(operation.addressed))
            return operation.steps * sum(self.duration_s(part) for part in once)
        if isinstance(operation, BlockBatch):
            return sum(map(self.duration_s, whole_tiles(operation, self.description.shape)))
        return operation.duration_s if isinstance(operation, Wait) else 0.0

    def groups(self) -> Iterator[BoolArray]:
        """Yield masks (rows, cols) of cells that need no re-routing between them, in best order."""
        yield np.ones(self.description.geometry.shape, dtype=np.bool_)

    def take_events(self) -> list[Event]:
        """Return and clear pending log events."""
        return []

    def perform(self, operation: Operation) -> Answer:
        """Perform any of the eight operations: for code that treats them alike."""
        match operation:
            case PulseMap():
                return self.pulse(operation)
            case PulsePair():
                return self.pair(operation)
            case ReadMap():
                return self.read(operation)
            case Ramp():
                return self.ramp(operation)
            case VectorBatch():
                return self.multiply(operation)
            case BlockBatch():
                return self.multiply_blocks(operation)
            case Hold():
                self.hold(operation)
                return None
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

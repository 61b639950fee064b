"""Backends that wrap another backend, such as the guard and the recorder."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

from typing_extensions import override

from hwloop.array.blocks import BlockBatch
from hwloop.array.operations import (
    Answer,
    Hold,
    Operation,
    PulseMap,
    PulsePair,
    Ramp,
    Reading,
    ReadMap,
    VectorBatch,
    Wait,
)
from hwloop.backend.base import CrossbarBackend, Description, Event
from hwloop.types import BoolArray, FlagArray


class OneVerbBackend(CrossbarBackend):
    """A backend that treats all operations alike: subclasses override :meth:`perform`."""

    @abstractmethod
    @override
    def perform(self, operation: Operation) -> Answer: ...

    @override
    def pulse(self, pulse: PulseMap) -> FlagArray:
        return _flags(self.perform(pulse))

    @override
    def pair(self, pair: PulsePair) -> FlagArray:
        return _flags(self.perform(pair))

    @override
    def read(self, read: ReadMap) -> Reading:
        return _answer(self.perform(read))

    @override
    def ramp(self, ramp: Ramp) -> Reading:
        return _answer(self.perform(ramp))

    @override
    def multiply(self, batch: VectorBatch) -> Reading:
        return _answer(self.perform(batch))

    @override
    def multiply_blocks(self, batch: BlockBatch) -> Reading:
        return _answer(self.perform(batch))

    @override
    def hold(self, hold: Hold) -> None:
        self.perform(hold)

    @override
    def wait(self, wait: Wait) -> None:
        self.perform(wait)


class Wrapper(OneVerbBackend):
    """A backend around another, to which it passes everything on; guard and recorder are such."""

    def __init__(self, inner: CrossbarBackend) -> None:
        self._inner = inner

    @property
    @override
    def description(self) -> Description:
        return self._inner.description

    @override
    def now_s(self) -> float:
        return self._inner.now_s()

    @override
    def check(self, operation: Operation) -> None:
        self._inner.check(operation)

    @override
    def duration_s(self, operation: Operation) -> float:
        return self._inner.duration_s(operation)

    @override
    def groups(self) -> Iterator[BoolArray]:
        return self._inner.groups()

    @override
    def take_events(self) -> list[Event]:
        return self._inner.take_events()

    @override
    def make_safe(self) -> None:
        self._inner.make_safe()

    @override
    def close(self) -> None:
        self._inner.close()


def _flags(flags: Answer) -> FlagArray:
    if flags is None or isinstance(flags, Reading):
        raise TypeError("a pulse or a pair must answer with flags")
    return flags


def _answer(reading: Answer) -> Reading:
    if not isinstance(reading, Reading):
        raise TypeError("a read, a ramp or a multiplication must answer with a Reading")
    return reading

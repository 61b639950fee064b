from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.array.geometry import Geometry
from hwloop.array.operations import (
    Answer,
    Flag,
    Operation,
    PulseMap,
    Reading,
    ReadMap,
    VectorBatch,
    Wait,
)
from hwloop.backend.base import CrossbarBackend, Description, Event, MultiplyMode
from hwloop.backend.guard import Guard
from hwloop.errors import BackendError, Unsupported
from hwloop.record.header import RunHeader
from hwloop.record.reader import Record
from hwloop.record.recorder import Recorder
from hwloop.record.replay import Replay
from hwloop.record.writer import RecordWriter
from hwloop.testing import check_backend
from hwloop.testing.trials import pair_of
from hwloop.types import BoolArray, FlagArray

CONDUCTANCE_S = np.array([[1e-6, 2e-6, 3e-6], [4e-6, 5e-6, 6e-6]])
PULSE = PulseMap(np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0]]), 1e-3)


def check(backend_type: type[Any], **options: Any) -> None:
    check_backend(lambda: backend_type(CONDUCTANCE_S, **options), pulse=PULSE, read_v=0.1)


@pytest.mark.parametrize("population", [(), (1,), (4,)])
def test_suite_passes_an_ideal_array(linear_array: type[Any], population: tuple[int, ...]) -> None:
    conductance_s = np.broadcast_to(CONDUCTANCE_S, (*population, 2, 3))
    check_backend(lambda: linear_array(conductance_s), pulse=PULSE, read_v=0.1)


def test_suite_passes_a_guarded_ideal_array(
    linear_array: type[Any], array_settings: Callable[..., Any]
) -> None:
    def make() -> CrossbarBackend:
        return Guard(linear_array(CONDUCTANCE_S), array_settings(2, 3))

    check_backend(make, pulse=PULSE, read_v=0.1)


def test_suite_passes_an_array_that_makes_no_pairs(linear_array: type[Any]) -> None:
    class Unpaired(linear_array):  # type: ignore[misc]
        pair = CrossbarBackend.pair

    with pytest.raises(Unsupported, match="this backend makes no pairs of pulses"):
        Unpaired(CONDUCTANCE_S).check(pair_of(PULSE))
    check(Unpaired)


def test_suite_passes_an_array_without_multiplication(linear_array: type[Any]) -> None:
    class ReadsOnly(linear_array):  # type: ignore[misc]
        def check(self, operation: Operation) -> None:
            if isinstance(operation, VectorBatch):
                raise Unsupported("no multiplication here")

    check(ReadsOnly, multiply="none")


@pytest.mark.parametrize("population", [None, 3])
def test_suite_passes_a_replay_of_itself(
    tmp_path: Path, linear_array: type[Any], tiny_procedure: Callable[..., Any], population: int
) -> None:
    """Each backend that the suite makes is recorded; then their replays answer the suite."""
    shape = (2, 2) if population is None else (population, 2, 2)
    pulse = PulseMap(np.array([[0.0, 2.0], [0.0, 0.0]]), 1e-3)
    writers: list[RecordWriter] = []

    def record() -> CrossbarBackend:
        inner = linear_array(np.broadcast_to(CONDUCTANCE_S[:, :2], shape))
        header = RunHeader("r", tiny_procedure(), 5, population, inner.description, "emulated")
        writers.append(RecordWriter(tmp_path / f"{len(writers)}.h5", header))
        return Recorder(inner, writers[-1])

    check_backend(record, pulse=pulse, read_v=0.1)
    for writer in writers:
        writer.finish("completed", pulses=np.zeros((2, 2)))
    recordings = iter(writers)
    check_backend(lambda: Replay(Record(next(recordings).path)), pulse=pulse, read_v=0.1)
    assert next(recordings, None) is None


# Each of the following breaks one rule, and the suite must say which.


def broken(base: type[Any]) -> Iterator[tuple[str, type[Any]]]:
    class Shapeless(base):  # type: ignore[misc]
        def read(self, read: ReadMap) -> Reading:
            reading = super().read(read)
            return Reading(reading.current_a[:1], reading.flags[:1])

    yield "a read must answer with (..., rows, cols)", Shapeless

    class ReadsAll(base):  # type: ignore[misc]
        def read(self, read: ReadMap) -> Reading:
            return super().read(ReadMap.every_cell((2, 3), read_v=read.read_v))  # type: ignore[no-any-return]

    yield "a cell that was not read must be NaN", ReadsAll

    class Unflagged(base):  # type: ignore[misc]
        def read(self, read: ReadMap) -> Reading:
            reading = super().read(read)
            return Reading(reading.current_a, np.zeros_like(reading.flags))

    yield "must be flagged NOT_ADDRESSED", Unflagged

    class Rectifies(base):  # type: ignore[misc]
        def read(self, read: ReadMap) -> Reading:
            reading = super().read(read)
            return Reading(np.abs(reading.current_a), reading.flags)

    yield "a negative voltage must drive a negative current", Rectifies

    class Inverts(base):  # type: ignore[misc]
        def read(self, read: ReadMap) -> Reading:
            reading = super().read(read)
            return Reading(-reading.current_a, reading.flags)

    yield "a positive voltage must drive a positive current", Inverts

    class Disturbs(base):  # type: ignore[misc]
        def read(self, read: ReadMap) -> Reading:
            self.conductance_s = self.conductance_s * 1.01
            return super().read(read)  # type: ignore[no-any-return]

    yield "a read must not change a cell", Disturbs

    class Halves(base):  # type: ignore[misc]
        def multiply(self, batch: VectorBatch) -> Reading:
            reading = super().multiply(batch)
            return Reading(reading.current_a / 2, reading.flags)

    yield "a multiplication must be the sum of the cells' currents", Halves

    class Shortens(base):  # type: ignore[misc]
        def multiply(self, batch: VectorBatch) -> Reading:
            reading = super().multiply(batch)
            return Reading(reading.current_a[:1], reading.flags[:1])

    yield "a multiplication must answer with (..., batch, cols)", Shortens

    class PulsesNothing(base):  # type: ignore[misc]
        def pulse(self, pulse: PulseMap) -> FlagArray:
            flags: FlagArray = super().pulse(pulse)
            self.conductance_s = self.conductance_s * 1.1
            return flags

    yield "a map of zeros must change nothing", PulsesNothing

    class Disturbed(base):  # type: ignore[misc]
        def pulse(self, pulse: PulseMap) -> FlagArray:
            flags: FlagArray = super().pulse(pulse)
            self.conductance_s = self.conductance_s + 1e-9 * np.abs(pulse.amplitude_v).max()
            return flags

    yield "a cell that is not addressed must not change", Disturbed

    class SaysNothingOfPulses(base):  # type: ignore[misc]
        def pulse(self, pulse: PulseMap) -> None:
            super().pulse(pulse)

    yield "perform must answer a PulseMap with flags", SaysNothingOfPulses

    class FlagsOtherCells(base):  # type: ignore[misc]
        def pulse(self, pulse: PulseMap) -> FlagArray:
            return np.zeros_like(super().pulse(pulse))

    yield "and a cell without one NOT_ADDRESSED", FlagsOtherCells

    class FlagsAll(base):  # type: ignore[misc]
        def pulse(self, pulse: PulseMap) -> FlagArray:
            return np.where(pulse.addressed, Flag.COMPLIANCE, super().pulse(pulse)).astype(np.uint8)

    yield "a pulse within all limits must be flagged 0", FlagsAll

    class RunsBack(base):  # type: ignore[misc]
        def now_s(self) -> float:
            return -float(super().now_s())

    yield "the clock must never run backwards", RunsBack

    class StandsStill(base):  # type: ignore[misc]
        def now_s(self) -> float:
            return float(len(self.done))

        def wait(self, wait: Any) -> None:
            self._begin(wait)
            self.done.pop()

    yield "a wait must let its duration pass", StandsStill

    class Ticks(base):  # type: ignore[misc]
        asked = 0

        def now_s(self) -> float:
            self.asked += 1
            return float(super().now_s()) + self.asked

    yield "the clock must stand still between operations", Ticks

    class Overlaps(base):  # type: ignore[misc]
        def groups(self) -> Iterator[BoolArray]:
            yield np.ones((2, 3), np.bool_)
            yield np.array([[True, False, False], [False, False, False]])

    yield "the groups must cover every cell exactly once", Overlaps

    class Leaves(base):  # type: ignore[misc]
        def groups(self) -> Iterator[BoolArray]:
            yield np.array([[True, True, True], [True, True, False]])

    yield "the groups must cover every cell exactly once", Leaves

    class Immortal(base):  # type: ignore[misc]
        def close(self) -> None:
            pass

    yield "a closed backend must refuse every operation", Immortal

    class ClosesOnce(base):  # type: ignore[misc]
        def close(self) -> None:
            if self._closed:
                raise BackendError("closed twice")
            super().close()

    yield "closed twice", ClosesOnce

    class Repeats(base):  # type: ignore[misc]
        def take_events(self) -> list[Event]:
            return [Event("info", "again")]

    yield "events must be handed out once", Repeats

    class Shifts(base):  # type: ignore[misc]
        @property
        def description(self) -> Description:
            self.asked = getattr(self, "asked", 0) + 1
            return Description(f"broken {self.asked}", Geometry(rows=2, cols=3))

    yield "the description of an open backend must not change", Shifts

    class SurpriseRefusal(base):  # type: ignore[misc]
        waits = 0

        def wait(self, wait: Any) -> None:
            if wait.duration_s == 0:
                raise Unsupported("cannot wait for nothing")
            super().wait(wait)

    yield "what check lets pass must not be Unsupported", SurpriseRefusal

    class EmptyThreat(base):  # type: ignore[misc]
        def check(self, operation: Operation) -> None:
            if isinstance(operation, PulseMap) and operation.amplitude_v.max() > 100:
                raise Unsupported("too high")

        def _begin(self, operation: Operation) -> None:
            self.done.append(operation)
            self._now_s += self.duration_s(operation)
            if self._closed:
                raise BackendError("closed")

    yield "what check refuses must be refused when done", EmptyThreat


def broken_around_operations(base: type[Any]) -> Iterator[tuple[str, type[Any]]]:
    class StaysOff(base):  # type: ignore[misc]
        def _begin(self, operation: Operation) -> None:
            if self.calls:
                raise BackendError("switched off")
            super()._begin(operation)

    yield "switched off", StaysOff

    class ForgetsWhenSafe(base):  # type: ignore[misc]
        def make_safe(self) -> None:
            super().make_safe()
            self.conductance_s = self.conductance_s * (1 + 1e-3 * (len(self.calls) > 2))

    yield "make_safe must not change a cell", ForgetsWhenSafe

    class TriesOut(base):  # type: ignore[misc]
        def check(self, operation: Operation) -> None:
            if isinstance(operation, PulseMap):
                self.conductance_s = self.conductance_s * 1.001

    yield "check and duration_s must not change a cell", TriesOut

    class Estimates(base):  # type: ignore[misc]
        def duration_s(self, operation: Operation) -> float:
            self._now_s += 1e-3
            return float(super().duration_s(operation))

    yield "check and duration_s must not let time pass", Estimates

    class Endless(base):  # type: ignore[misc]
        def duration_s(self, operation: Operation) -> float:
            multiplies = isinstance(operation, VectorBatch)
            return np.inf if multiplies else float(super().duration_s(operation))

    yield "an expected duration must be a finite time", Endless

    class Early(base):  # type: ignore[misc]
        def duration_s(self, operation: Operation) -> float:
            multiplies = isinstance(operation, VectorBatch)
            return -1.0 if multiplies else float(super().duration_s(operation))

    yield "an expected duration must be 0 s or more", Early

    class Hasty(base):  # type: ignore[misc]
        def duration_s(self, operation: Operation) -> float:
            return 0.1

        def wait(self, wait: Any) -> None:
            super().wait(wait)
            self._now_s += wait.duration_s

    yield "the expected duration of a wait must be its own at least", Hasty

    class Chatty(base):  # type: ignore[misc]
        def perform(self, operation: Operation) -> Answer:
            answer = super().perform(operation)
            if isinstance(operation, Wait):
                return super().read(ReadMap.every_cell((2, 3), read_v=0.1))  # type: ignore[no-any-return]
            return answer  # type: ignore[no-any-return]

    yield "perform must answer a Wait with None", Chatty

    class Silent(base):  # type: ignore[misc]
        def perform(self, operation: Operation) -> Answer:
            answer = super().perform(operation)
            return None if isinstance(operation, ReadMap) else answer  # type: ignore[no-any-return]

    yield "perform must answer a ReadMap with a Reading", Silent

    class Unexplained(base):  # type: ignore[misc]
        def multiply(self, batch: VectorBatch) -> Reading:
            reading = super().multiply(batch)
            return Reading(reading.current_a * np.nan, reading.flags)

    yield "a current that is NaN must have a flag that says why", Unexplained

    class Shuffles(base):  # type: ignore[misc]
        asked = 0

        def groups(self) -> Iterator[BoolArray]:
            self.asked += 1
            columns = np.arange(3)[None, :] == (self.asked - 1) % 3
            first = np.broadcast_to(columns, (2, 3))
            yield from (first, ~first)

    yield "the groups must be the same whenever asked for", Shuffles

    class Counts(base):  # type: ignore[misc]
        def groups(self) -> Iterator[Any]:
            yield np.ones((2, 3), dtype=int)

    yield "a group must be a mask of truth values", Counts

    class Stretches(base):  # type: ignore[misc]
        def read(self, read: ReadMap) -> Reading:
            self._begin(ReadMap.every_cell((2, 3), read_v=read.read_v))
            addressed = np.broadcast_to(read.addressed[:, :3], (2, 3))
            current_a = np.where(addressed, self.conductance_s * read.read_v, np.nan)
            return Reading(current_a, np.where(addressed, 0, Flag.NOT_ADDRESSED).astype(np.uint8))

    yield "a map of another shape must be refused", Stretches

    class LeavesOpen(base):  # type: ignore[misc]
        def __exit__(self, *_: object) -> None:
            pass

    yield "a closed backend must refuse every operation", LeavesOpen

    class StandIn(base):  # type: ignore[misc]
        def __enter__(self) -> Any:
            return type(self)(CONDUCTANCE_S)

    yield "a backend must enter a with block as itself", StandIn

    class Notes(base):  # type: ignore[misc]
        def take_events(self) -> list[Any]:
            return ["it was warm"]

    yield "an event must be an Event", Notes


def test_suite_names_the_rule_that_is_broken_around_an_operation(linear_array: type[Any]) -> None:
    names = []
    for rule, backend_type in broken_around_operations(linear_array):
        names.append(backend_type.__name__)
        with pytest.raises((AssertionError, BackendError)) as caught:
            check(backend_type)
        assert rule in str(caught.value), names[-1]
    assert len(names) == 16


def test_suite_refuses_a_way_of_multiplying_that_there_is_not(linear_array: type[Any]) -> None:
    with pytest.raises(AssertionError, match="multiply must be one of parallel, superposition, no"):
        check(linear_array, multiply="in series")


def test_suite_names_the_broken_rule_of_each_broken_backend(linear_array: type[Any]) -> None:
    names = []
    for rule, backend_type in broken(linear_array):
        names.append(backend_type.__name__)
        kind = BackendError if backend_type.__name__ == "ClosesOnce" else AssertionError
        with pytest.raises(kind) as caught:
            check(backend_type)
        assert rule in str(caught.value), names[-1]
    assert len(names) == 24


def test_suite_refuses_multiplication_that_is_said_to_be_absent(linear_array: type[Any]) -> None:
    with pytest.raises(AssertionError, match="multiply 'none' must refuse with Unsupported"):
        check(linear_array, multiply="none")


@pytest.mark.parametrize("mode", ["parallel", "superposition"])
def test_suite_allows_the_tolerance_that_the_caller_gives(
    linear_array: type[Any], mode: MultiplyMode
) -> None:
    class Imprecise(linear_array):  # type: ignore[misc]
        def multiply(self, batch: VectorBatch) -> Reading:
            reading = super().multiply(batch)
            return Reading(reading.current_a * 1.001, reading.flags)

    def make() -> CrossbarBackend:
        backend: CrossbarBackend = Imprecise(CONDUCTANCE_S, multiply=mode)
        return backend

    check_backend(make, pulse=PULSE, read_v=0.1, relative_tolerance=2e-3)
    with pytest.raises(AssertionError, match="the sum of the cells' currents"):
        check_backend(make, pulse=PULSE, read_v=0.1, relative_tolerance=5e-4)


def test_suite_refuses_an_array_whose_populations_share_their_pulses(
    linear_array: type[Any],
) -> None:
    class Shared(linear_array):  # type: ignore[misc]
        def pulse(self, pulse: PulseMap) -> FlagArray:
            amplitude_v = pulse.amplitude_v
            if amplitude_v.ndim > 2:
                amplitude_v = np.broadcast_to(amplitude_v[0], amplitude_v.shape)
            flags: FlagArray = super().pulse(PulseMap(amplitude_v, pulse.width_s))
            return flags

    with pytest.raises(AssertionError, match="must change only the arrays that it addresses"):
        check_backend(
            lambda: Shared(np.broadcast_to(CONDUCTANCE_S, (2, 2, 3))), pulse=PULSE, read_v=0.1
        )

"""A replay answers what was recorded, and stops where it is asked something else."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from hwloop.array.operations import (
    Flag,
    Operation,
    PulseMap,
    PulsePair,
    Ramp,
    ReadMap,
    VectorBatch,
    Wait,
)
from hwloop.backend.shapes import check_shape
from hwloop.errors import ConfigError, InstrumentTimeout, RecordError, ReplayMismatch
from hwloop.execution.reproduce import reproduce
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.comparison import differences
from hwloop.record.header import RunHeader
from hwloop.record.reader import Record
from hwloop.record.recorder import Recorder
from hwloop.record.replay import Replay
from hwloop.record.writer import RecordWriter
from hwloop.steps.rows import Row
from hwloop.testing import check_backend
from tests.hwloop.spy import SpyBackend

FILE = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"
AMPLITUDE_V = np.zeros((4, 4))
AMPLITUDE_V[1, 2] = 1.5
ASKED: tuple[Operation, ...] = (
    ReadMap.every_cell((4, 4), read_v=0.1),
    PulseMap(AMPLITUDE_V, 1e-3),
    VectorBatch(np.full((2, 4), 0.1)),
    Wait(5.0),
    PulseMap(AMPLITUDE_V, 1e-3, count=3, interval_s=0.1 / 3),
    PulsePair(AMPLITUDE_V, -AMPLITUDE_V / 3, 1e-3, 2e-3, interval_s=0.1 / 7),
)


def recorded(
    folder: Path, asked: tuple[Operation, ...] = ASKED, *, fail_at: int | None = None
) -> Record:
    path = folder / "spy.h5"
    spy = SpyBackend((4, 4), fail_at=fail_at, error=InstrumentTimeout("late"))
    header = RunHeader("spy", load_procedure(FILE), 1, None, spy.description, "emulated")
    writer = RecordWriter(path, header)
    recorder = Recorder(spy, writer)
    for operation in asked:
        try:
            recorder.perform(operation)
        except InstrumentTimeout:
            break
    writer.finish("completed", pulses=np.zeros((4, 4), dtype=np.int64))
    return Record(path)


def test_a_replay_gives_the_recorded_answers_and_times(tmp_path: Path) -> None:
    spy = SpyBackend((4, 4))
    replay = Replay(recorded(tmp_path))
    for operation in ASKED:
        mine, theirs = replay.perform(operation), spy.perform(operation)
        assert replay.now_s() == spy.now_s()
        assert type(mine) is type(theirs)
        if isinstance(theirs, np.ndarray):
            np.testing.assert_array_equal(mine, theirs)
        elif theirs is not None:
            assert mine.current_a.tobytes() == theirs.current_a.tobytes()
    assert replay.remaining == 0


class Limits(SpyBackend):
    """A spy whose source limits on cell (1, 2), from its second pulse on."""

    def perform(self, operation: Operation):  # type: ignore[no-untyped-def]
        answer = super().perform(operation)
        pulses = sum(isinstance(one, PulseMap) for one in self.asked)
        if isinstance(operation, PulseMap) and operation.addressed[1, 2] and pulses > 1:
            answer[1, 2] = Flag.COMPLIANCE
        return answer


def test_pulses_that_a_limit_cut_are_recorded_and_replayed_as_such(tmp_path: Path) -> None:
    path = tmp_path / "limited.h5"
    spy = Limits((4, 4))
    every = PulseMap(np.full((4, 4), 1.0), 1e-3)
    ramp = Ramp(np.full((4, 4), 1.0), np.zeros((4, 4)), 1e-3, 2, 0.1, 1.0, 2.0)
    writer = RecordWriter(
        path, RunHeader("spy", load_procedure(FILE), 1, None, spy.description, "emulated")
    )
    recorder = Recorder(spy, writer)
    answers = [recorder.perform(one) for one in (every, every, ramp)]
    writer.finish("completed", pulses=np.zeros((4, 4), dtype=np.int64))
    with Record(path) as record:
        first, second, _ = record.operations()
        assert first.limited_flags is None  # takes no room where no limit was met
        assert second.limited_flags is not None
        assert second.limited_flags.tolist() == [
            [0, 0, 0, 0], [0, 0, 2, 0], [0, 0, 0, 0], [0, 0, 0, 0]
        ]  # fmt: skip
        assert int(second.pulses.sum()) == 16  # it counts in the device's life
    replay = Replay(Record(path))
    for operation, answer in zip((every, every), answers, strict=False):
        np.testing.assert_array_equal(replay.pulse(operation), answer)
    told = replay.ramp(ramp)
    assert told.flags[:, 1, 2].tolist() == [Flag.AFTER_LIMITED, Flag.AFTER_LIMITED]
    assert np.isfinite(told.current_a[:, 1, 2]).all()
    assert (told.flags[:, 0, 0] == 0).all()
    replay.close()


@pytest.mark.parametrize(
    ("place", "operation", "words"),
    [
        (0, Wait(1.0), "operation 0: the run asks for a wait, the record has a read"),
        (
            0,
            ReadMap.every_cell((4, 4), read_v=0.11),
            "operation 0: read: read_v is 0.11, in the record 0.1",
        ),
        (
            1,
            PulseMap(AMPLITUDE_V, 1e-3, interval_s=0.5),
            "operation 1: pulse: interval_s is 0.5, in the record None",
        ),
        (
            5,
            PulsePair(AMPLITUDE_V, -AMPLITUDE_V / 3, 1e-3, 2e-3, interval_s=0.1),
            "operation 5: pair of pulses: interval_s is 0.1, in the record 0.0142857",
        ),
        (
            1,
            PulseMap(AMPLITUDE_V * (1 + 2**-52), 1e-3),
            r"operation 1: pulse: amplitude_v at \(1, 2\)",
        ),
        (
            1,
            PulseMap(AMPLITUDE_V, 1e-3, count=2),
            "operation 1: pulse: count is 2, in the record 1",
        ),
        (
            1,
            PulseMap(AMPLITUDE_V, 1e-3, gate_v=1.0),
            "operation 1: pulse: gate_v is 1.0, in the record None",
        ),
        (
            1,
            PulseMap(AMPLITUDE_V, 1e-3, gate_v=np.ones((4, 4))),
            r"operation 1: pulse: gate_v has shape \(4, 4\), in the record \(\)",
        ),
        (
            2,
            VectorBatch(np.full((3, 4), 0.1)),
            r"operation 2: multiply: voltage_v has shape \(3, 4\), in the record \(2, 4\)",
        ),
        (6, Wait(1.0), "operation 6: the run asks for a wait, but the record ends here"),
    ],
)
def test_a_replay_stops_at_the_first_operation_that_differs_and_names_it(
    place: int, operation: Operation, words: str, tmp_path: Path
) -> None:
    replay = Replay(recorded(tmp_path))
    for asked in ASKED[:place]:
        replay.perform(asked)
    with pytest.raises(ReplayMismatch, match=words):
        replay.perform(operation)


def test_an_operation_that_failed_fails_again(tmp_path: Path) -> None:
    replay = Replay(recorded(tmp_path, fail_at=2))
    replay.perform(ASKED[0])
    replay.perform(ASKED[1])
    with pytest.raises(RecordError, match=r"operation 2 \(multiply\) failed in the recording"):
        replay.perform(ASKED[2])


def test_a_record_of_another_array_is_refused(tmp_path: Path) -> None:
    run_procedure(load_procedure(FILE), RunOptions("sim", tmp_path / "a.h5"))
    procedure = load_procedure(FILE, [f"backends.replay.recording={tmp_path / 'a.h5'}"])
    with pytest.raises(
        ConfigError, match=r"was recorded on \(4, 4\); the procedure asks for \(3, 4, 4\)"
    ):
        run_procedure(procedure, RunOptions("replay", tmp_path / "b.h5", population=3))
    assert not (tmp_path / "b.h5").exists()


def test_what_a_replay_records_equals_the_original_but_for_its_source(tmp_path: Path) -> None:
    run_procedure(load_procedure(FILE), RunOptions("sim", tmp_path / "a.h5", population=3))
    procedure = load_procedure(FILE, [f"backends.replay.recording={tmp_path / 'a.h5'}"])
    run_procedure(procedure, RunOptions("replay", tmp_path / "b.h5", population=3))
    found = differences(tmp_path / "a.h5", tmp_path / "b.h5")
    assert all(
        place.startswith(
            (
                "/: attribute backend",
                "/: attribute origin",
                "instruments/",
                "procedure/",
                "log",
                "recorder/log",
            )
        )
        for place in found
    )


def test_a_record_that_was_cut_short_replays_as_far_as_it_goes(tmp_path: Path) -> None:
    source, cut = tmp_path / "a.h5", tmp_path / "cut.h5"

    class Snatch:
        def row(self, _label: str, row: Row) -> None:
            if getattr(row, "epoch", None) == 12:
                shutil.copy(source, cut)

        def step_began(self, prepared: object) -> None: ...
        def event(self, event: object) -> None: ...
        def step_ended(self, label: str, outcome: object) -> None: ...

    run_procedure(load_procedure(FILE), RunOptions("sim", source), Snatch())
    same = reproduce(cut)
    assert (same.complete, same.rows) == (False, 12)


def test_a_shorter_run_than_the_recorded_one_is_a_mismatch(tmp_path: Path) -> None:
    run_procedure(load_procedure(FILE), RunOptions("sim", tmp_path / "a.h5"))
    with pytest.raises(ReplayMismatch, match="operation "):
        reproduce(tmp_path / "a.h5", overrides=["steps.0.settings.max_updates=20"])


def test_results_that_differ_are_named_although_the_operations_agree(tmp_path: Path) -> None:
    run_procedure(load_procedure(FILE), RunOptions("sim", tmp_path / "a.h5"))
    # Another target for the held-out predictions' last digit changes no pulse here, but a word.
    with pytest.raises(ReplayMismatch, match="results/train_manhattan"):
        reproduce(tmp_path / "a.h5", overrides=["steps.0.settings.target_0=-0.8000001"])


def test_a_replay_keeps_to_the_contract_where_the_recorded_backend_did(tmp_path: Path) -> None:
    pulse = PulseMap(AMPLITUDE_V, 1e-3)
    paths: list[Path] = []

    class RecordingSpy(Recorder):
        def __init__(self) -> None:
            path = tmp_path / f"{len(paths)}.h5"
            paths.append(path)
            spy = ClosingSpy((4, 4))
            self.writer = RecordWriter(
                path,
                RunHeader(path.stem, load_procedure(FILE), 1, None, spy.description, "emulated"),
            )
            super().__init__(spy, self.writer)
            self.finished = False

        def close(self) -> None:
            super().close()
            if not self.finished:
                self.writer.finish("completed", pulses=np.zeros((4, 4), dtype=np.int64))
                self.finished = True

        def perform(self, operation: Operation):  # type: ignore[no-untyped-def]
            return self._inner.perform(operation) if self.finished else super().perform(operation)

    check_backend(RecordingSpy, pulse=pulse, read_v=0.1)
    records = iter(paths)
    check_backend(lambda: Replay(Record(next(records))), pulse=pulse, read_v=0.1)


class ClosingSpy(SpyBackend):
    def perform(self, operation: Operation):  # type: ignore[no-untyped-def]
        from hwloop.errors import BackendError

        if self.closed:
            raise BackendError("closed")
        check_shape(operation, self.description.shape)
        return super().perform(operation)


@pytest.mark.parametrize(
    ("flaw", "rule"),
    [
        ("forgets to close", "a closed backend must refuse"),
        ("reads zero for what was not read", "a cell that was not read must be NaN"),
        ("disturbs a neighbour", "a cell that is not addressed must not change"),
        ("forgets the second pulse", "a pair must do what its two pulses do one by one"),
        ("has no sign", "a negative voltage must drive a negative current"),
        ("multiplies the wrong way", "a multiplication must be the sum"),
        ("has a clock that stands", "a wait must let its duration pass"),
        ("leaves a cell out of its groups", "the groups must cover every cell"),
    ],
)
def test_the_conformance_suite_finds_a_flaw(flaw: str, rule: str) -> None:
    class Flawed(ClosingSpy):
        def perform(self, operation: Operation):  # type: ignore[no-untyped-def]
            if flaw == "forgets to close":
                check_shape(operation, self.description.shape)
                return SpyBackend.perform(self, operation)
            reading = super().perform(operation)
            if isinstance(operation, ReadMap) and reading is not None:
                if flaw == "reads zero for what was not read":
                    reading.current_a[~operation.addressed] = 0.0
                if flaw == "has no sign":
                    np.abs(reading.current_a, out=reading.current_a)
            if isinstance(operation, PulseMap) and flaw == "disturbs a neighbour":
                self.conductance_s = self.conductance_s + 1e-9 * operation.addressed.any()
            if isinstance(operation, PulsePair) and flaw == "forgets the second pulse":
                self.conductance_s = self.conductance_s - 1e-6 * operation.addressed
            if (
                isinstance(operation, VectorBatch)
                and flaw == "multiplies the wrong way"
                and reading is not None
            ):
                reading.current_a[:] = reading.current_a[:, ::-1] * 1.5
            return reading

        def now_s(self) -> float:
            return 0.0 if flaw == "has a clock that stands" else super().now_s()

        def groups(self):  # type: ignore[no-untyped-def]
            mask = np.ones((4, 4), dtype=bool)
            mask[3, 3] = flaw != "leaves a cell out of its groups"
            yield mask

    with pytest.raises(AssertionError, match=rule):
        check_backend(lambda: Flawed((4, 4)), pulse=PulseMap(AMPLITUDE_V, 1e-3), read_v=0.1)

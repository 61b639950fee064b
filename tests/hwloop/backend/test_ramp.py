"""The ramp: pulses and reads in one operation, cell by cell until each is where it should be."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hwloop.array.operations import Answer, Flag, Operation, PulseMap, Ramp, Reading
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.guard import Guard
from hwloop.errors import LimitError, ReplayMismatch
from hwloop.procedure.procedure import load_procedure
from hwloop.record.header import RunHeader
from hwloop.record.reader import Record
from hwloop.record.recorder import Recorder
from hwloop.record.replay import Replay
from hwloop.record.writer import RecordWriter
from tests.hwloop.spy import SpyBackend, array_settings

PROCEDURE = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"
SHAPE = (2, 4)


def ramp(start_v: Any = 1.0, *, shape: tuple[int, ...] = SHAPE, **changes: Any) -> Ramp:
    given = {"step_v": 0.1, "width_s": 1e-3, "steps": 4, "read_v": 0.1}
    window = {"low_a": np.inf, "high_a": np.inf}
    return Ramp(start_v=np.broadcast_to(start_v, shape), **{**given, **window, **changes})


def test_each_cell_stops_at_the_first_read_inside_its_own_window() -> None:
    backend = SpyBackend()  # 1 µS, and 1 µS more with each pulse: 0.2 µA after the first
    low_a = np.array([[0.15e-6, 0.25e-6, 0.35e-6, np.inf], [0.0, 0.35e-6, 9.0, 0.25e-6]])
    start_v = np.where(np.arange(8).reshape(SHAPE) == 4, 0.0, 1.0)
    answer = backend.ramp(ramp(start_v, low_a=low_a))
    pulses = np.array([[1, 2, 3, 4], [0, 3, 4, 2]])
    np.testing.assert_array_equal((answer.flags == 0).sum(axis=0), pulses)
    for number in range(4):
        expected = np.where(number < pulses, (number + 2) * 0.1e-6, np.nan)
        np.testing.assert_allclose(answer.current_a[number], expected)
    np.testing.assert_allclose(backend.conductance_s, (1 + pulses) * 1e-6)
    levels = [one.amplitude_v.max() for one in backend.asked if isinstance(one, PulseMap)]
    np.testing.assert_allclose(levels, [1.0, 1.1, 1.2, 1.3])


def test_a_read_that_fails_ends_the_series_of_its_cell_and_says_so() -> None:
    class AtCompliance(SpyBackend):
        def perform(self, operation: Operation) -> Answer:
            reading = super().perform(operation)
            if (
                isinstance(reading, Reading)
                and reading.current_a.ndim == 2
                and len(self.asked) == 4
            ):
                reading.current_a[0, 1] = np.nan
                reading.flags[0, 1] = Flag.COMPLIANCE
            return reading

    answer = AtCompliance().ramp(ramp(low_a=-np.inf, high_a=-1.0))
    np.testing.assert_array_equal(
        answer.flags[:, 0, 1], [0, Flag.COMPLIANCE, Flag.NOT_ADDRESSED, Flag.NOT_ADDRESSED]
    )
    assert not answer.complete
    assert (answer.flags[:, 0, 0] == 0).all()


@settings(max_examples=50, deadline=None)
@given(
    start_v=hnp.arrays(np.float64, (3, *SHAPE), elements=st.sampled_from([0.0, 0.5, -0.5, 1.0])),
    low_a=hnp.arrays(np.float64, (3, *SHAPE), elements=st.floats(0, 1e-6)),
    steps=st.integers(1, 5),
)
def test_a_ramp_leaves_an_array_as_its_own_pulses_one_cell_after_the_other_do(
    start_v: np.ndarray, low_a: np.ndarray, steps: int
) -> None:
    together, alone = (SpyBackend(population=(3,)) for _ in range(2))
    asked = ramp(start_v, shape=start_v.shape, low_a=low_a, steps=steps, step_v=0.0)
    answer = together.ramp(asked)
    for place in map(tuple, np.argwhere(start_v != 0)):
        mask = np.zeros(start_v.shape, dtype=bool)
        mask[place] = True
        for number in range(steps):
            alone.pulse(PulseMap(np.where(mask, start_v, 0.0), 1e-3))
            current_a = alone.conductance_s[place] * 0.1
            assert answer.current_a[(number, *place)] == current_a
            if current_a >= low_a[place]:
                break
    np.testing.assert_array_equal(together.conductance_s, alone.conductance_s)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"step_v": -0.4}, r"start_v at \(0, 0\) is 1 and the last pulse -0.2"),
        ({"steps": 0}, "steps 0 is below 1"),
        ({"read_v": 0.0}, "read_v 0"),
        ({"low_a": 2e-6, "high_a": 1e-6}, r"the window at \(0, 0\) is 2e-06 to 1e-06 A"),
        ({"low_a": np.nan}, "the window at"),
        ({"gate_step_v": 0.1}, "gate_step_v given without gate_v"),
        ({"step_v": np.ones((3, 4))}, r"step_v has shape \(3, 4\), start_v \(2, 4\)"),
        ({"step_v": np.inf}, r"step_v at \(0, 0\) is inf"),
        ({"width_s": 0.0}, "width_s 0"),
    ],
)
def test_a_ramp_that_makes_no_sense_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ramp(**changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"step_v": 0.5}, r"cell \(0, 0\): amplitude_v 2.5 exceeds limits.positive_v"),
        ({"read_v": 1.0}, "read_v 1 exceeds limits.read_v"),
        ({"steps": 11}, "this would be pulse 11 of its life; exceeds"),
        ({"start_v": -1.0, "step_v": -0.5}, "amplitude_v -2.5 is below limits.negative_v"),
        ({"gate_v": 1.0, "gate_step_v": 0.5}, "cell .*gate_v|gate_v"),
    ],
)
def test_the_guard_refuses_a_ramp_by_its_worst_pulse_before_anything_happens(
    changes: dict[str, Any], words: str
) -> None:
    spy = SpyBackend()
    limits = array_settings().limits.model_dump() | {"pulses_per_device": 10}
    limits |= {"positive_v": 2.0, "negative_v": -2.0, "half_select_v": 2.0, "read_v": 0.2}
    limits |= {"pulse_energy_j": 1.0}
    guard = Guard(spy, array_settings(limits=limits))
    with pytest.raises(LimitError, match=words):
        guard.ramp(ramp(**{"start_v": 1.0, **changes}))
    assert spy.asked == []
    assert guard.pulses.sum() == 0


def test_the_guard_counts_the_pulses_that_a_ramp_applied_and_all_where_it_failed() -> None:
    limits = array_settings().limits.model_dump() | {"pulses_per_device": 4}
    guard = Guard(SpyBackend(), array_settings(limits=limits))
    guard.ramp(ramp(0.5, step_v=0.0, low_a=np.where(np.eye(2, 4), 0.0, 0.35e-6)))
    np.testing.assert_array_equal(guard.pulses, [[1, 3, 3, 3], [3, 1, 3, 3]])
    broken = Guard(SpyBackend(fail_at=3, error=RuntimeError("gone")), array_settings(limits=limits))
    with pytest.raises(RuntimeError):
        broken.ramp(ramp(0.5, step_v=0.0))
    assert (broken.pulses == 4).all()


class Told:
    """A history that adds up what the guard tells it."""

    def __init__(self, before: int = 0) -> None:
        self.pulses = np.full((2, 4), before)
        self.told = np.zeros((2, 4), np.int64)
        self.energy_j = np.zeros((2, 4))

    def add(self, pulses: np.ndarray, energy_j: np.ndarray) -> None:
        self.told += pulses
        self.energy_j += energy_j


def test_the_history_is_told_of_the_pulses_of_a_ramp_and_of_their_energy() -> None:
    limits = array_settings().limits.model_dump() | {"pulses_per_device": 14}
    history = Told(before=10)
    guard = Guard(SpyBackend(), array_settings(limits=limits), history)
    asked = ramp(0.5, step_v=0.25, low_a=np.where(np.eye(2, 4), 0.0, 0.35e-6))
    guard.ramp(asked)
    np.testing.assert_array_equal(history.told, [[1, 3, 3, 3], [3, 1, 3, 3]])
    np.testing.assert_array_equal(guard.pulses, 10 + history.told)
    # Pulses of 0.5, 0.75 and 1 V at the compliance of 1 mA.
    each_j = 1e-3 * asked.width_s
    few, all_three = 0.5 * each_j, 2.25 * each_j
    np.testing.assert_allclose(
        history.energy_j,
        [[few, all_three, all_three, all_three], [all_three, few, all_three, all_three]],
    )
    broken = Told()
    failing = SpyBackend(fail_at=3, error=RuntimeError("gone"))
    with pytest.raises(RuntimeError):
        Guard(failing, array_settings(limits=limits), broken).ramp(asked)
    assert (broken.told == asked.steps).all()


def test_the_guard_refuses_what_the_history_and_this_run_exceed_together() -> None:
    limits = array_settings().limits.model_dump() | {"pulses_per_device": 10}
    guard = Guard(SpyBackend(), array_settings(limits=limits, pulses_before=2), Told(before=5))
    with pytest.raises(LimitError, match="this would be pulse 11 of its life"):
        guard.ramp(ramp(0.5, step_v=0.0))
    assert guard.pulses.max() == 7


def test_a_ramp_is_one_operation_of_a_record_and_replays_to_the_bit(tmp_path: Path) -> None:
    spy, path = SpyBackend((4, 4)), tmp_path / "a.h5"
    procedure = load_procedure(PROCEDURE)
    writer = RecordWriter(path, RunHeader("a", procedure, 1, None, spy.description, "emulated"))
    asked = ramp(shape=(4, 4), low_a=0.35e-6, gate_v=np.eye(4), gate_step_v=0.5)
    answer = Recorder(spy, writer).ramp(asked)
    writer.finish("completed", pulses=np.zeros((4, 4), dtype=np.int64))
    with Record(path) as record:
        assert record.operation_kinds == ["ramp"]
    again = Replay(Record(path)).ramp(asked)
    assert again.current_a.tobytes() == answer.current_a.tobytes()
    assert again.flags.tobytes() == answer.flags.tobytes()
    other = ramp(shape=(4, 4), low_a=0.36e-6, gate_v=np.eye(4), gate_step_v=0.5)
    with pytest.raises(ReplayMismatch, match=r"ramp: low_a at \(0, 0\) is 3.6e-07, in the record"):
        Replay(Record(path)).ramp(other)


def test_a_ramp_takes_the_time_of_its_pulses_and_reads_at_most() -> None:
    pulse, read = ramp().pulse(0), ramp().read(ramp().addressed)
    backend = SpyBackend()
    once_s = CrossbarBackend.duration_s(backend, pulse) + CrossbarBackend.duration_s(backend, read)
    assert backend.duration_s(ramp()) == pytest.approx(4 * once_s)


def test_a_killed_run_tells_the_pulses_of_its_ramps(tmp_path: Path) -> None:
    spy, path = SpyBackend((4, 4)), tmp_path / "a.h5"
    writer = RecordWriter(
        path, RunHeader("a", load_procedure(PROCEDURE), 1, None, spy.description, "emulated")
    )
    Recorder(spy, writer).ramp(ramp(shape=(4, 4), low_a=0.35e-6))
    left = shutil.copy(path, tmp_path / "left.h5")  # by a kill at this moment
    writer.finish("completed", pulses=np.zeros((4, 4), dtype=np.int64))
    with Record(left) as record:
        assert (record.pulses_given() == 3).all()

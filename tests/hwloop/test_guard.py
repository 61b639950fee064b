"""The only door to a backend."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwloop.errors import BackendError, LimitError
from hwloop.guard import Guard
from hwloop.operations import Operation, PulseMap, ReadMap, VectorBatch, Wait
from tests.hwloop.spy import SpyBackend, array_settings

CELL = np.zeros((2, 4))
CELL[1, 2] = 1.5


def guarded(**changes: object) -> tuple[Guard, SpyBackend]:
    spy = SpyBackend()
    return Guard(spy, array_settings(**changes)), spy


@pytest.mark.parametrize(
    "operation",
    [
        PulseMap(CELL * 2, 1e-3),
        PulseMap(CELL, 1.0),
        ReadMap.every_cell((2, 4), read_v=0.3),
        VectorBatch(np.full((1, 2), 0.3)),
    ],
)
def test_guard_refuses_what_exceeds_a_limit_and_nothing_reaches_the_backend(
    operation: Operation,
) -> None:
    guard, spy = guarded()
    with pytest.raises(LimitError):
        guard.perform(operation)
    assert spy.asked == []
    assert guard.pulses.sum() == 0


def test_guard_lets_pass_what_keeps_to_the_limits() -> None:
    guard, spy = guarded()
    operations = [PulseMap(CELL, 1e-3), ReadMap.every_cell((2, 4), read_v=0.2), Wait(1.0)]
    for operation in operations:
        guard.perform(operation)
    assert spy.asked == operations


def test_guard_counts_the_life_of_every_device_and_refuses_beyond_it() -> None:
    guard, spy = guarded(pulses_before=1)
    guard.pulse(PulseMap(CELL, 1e-3, count=2))
    assert guard.pulses[1, 2] == 3
    assert guard.pulses.sum() == 3 + 7
    with pytest.raises(LimitError, match=r"cell \(1, 2\): this would be pulse 4 of its life.* 3"):
        guard.pulse(PulseMap(CELL, 1e-3))
    assert len(spy.asked) == 1


def test_a_worn_device_does_not_keep_its_neighbours_from_being_pulsed() -> None:
    guard, spy = guarded()
    guard.pulse(PulseMap(CELL, 1e-3, count=3))
    other = np.zeros((2, 4))
    other[0, 0] = 1.0
    guard.pulse(PulseMap(other, 1e-3))
    assert len(spy.asked) == 2


@given(counts=st.lists(st.integers(1, 3), max_size=6))
def test_life_is_never_exceeded_and_counted_exactly(counts: list[int]) -> None:
    guard, _ = guarded()
    done = 0
    for count in counts:
        try:
            guard.pulse(PulseMap(CELL, 1e-3, count=count))
        except LimitError:
            assert done + count > 3
        else:
            done += count
    assert guard.pulses[1, 2] == done <= 3


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (
            PulseMap(np.ones((2, 3)), 1e-3),
            r"amplitude_v has shape \(2, 3\); the array has \(2, 4\)",
        ),
        (ReadMap(np.ones((4, 2), dtype=bool), 0.1), r"addressed has shape \(4, 2\)"),
        (VectorBatch(np.full((1, 3), 0.1)), "voltage_v has 3 rows; the array has 2"),
        (VectorBatch(np.full((5, 1, 2), 0.1)), r"for a population \(5,\)"),
    ],
)
def test_guard_refuses_maps_of_another_shape(operation: Operation, words: str) -> None:
    guard, spy = guarded()
    with pytest.raises(BackendError, match=words):
        guard.perform(operation)
    assert spy.asked == []


def test_a_closed_guard_refuses_every_operation() -> None:
    guard, spy = guarded()
    guard.close()
    for operation in (Wait(0.0), PulseMap(CELL, 1e-3)):
        with pytest.raises(BackendError, match="closed"):
            guard.perform(operation)
    assert spy.asked == []
    assert spy.closed == 1

"""Pulses that compliance kept from their cells are counted for the outcome of a step."""

from __future__ import annotations

import numpy as np

from hwloop.array.operations import Answer, Flag, Operation, PulseMap, Ramp, ReadMap
from hwloop.execution.limited_pulses import LimitedPulses
from hwloop.steps.rows import Outcome
from tests.hwloop.spy import SpyBackend

DONE = Outcome(True, "4 of 4 cells formed")
ROW = np.zeros((2, 4))
ROW[0] = 1.0


class Limits(SpyBackend):
    """A spy that keeps the pulses from the cell (0, 1)."""

    def perform(self, operation: Operation) -> Answer:
        answer = super().perform(operation)
        if isinstance(operation, PulseMap) and isinstance(answer, np.ndarray):
            answer[0, 1] |= np.uint8(Flag.COMPLIANCE)
        return answer


def test_an_outcome_counts_the_limited_pulses_of_its_own_step() -> None:
    backend = LimitedPulses(Limits())
    backend.pulse(PulseMap(ROW, 1e-3, count=3))
    backend.read(ReadMap(ROW != 0, 0.1))
    assert backend.told(DONE).message == (
        "4 of 4 cells formed; 3 of 12 pulses were kept from their cells by compliance"
        " (limits.current_a)"
    )
    assert backend.told(DONE).reached
    backend.begin()
    assert backend.told(DONE) == DONE


def test_pulses_of_ramps_are_counted_until_each_cell_has_ended() -> None:
    backend = LimitedPulses(Limits())
    # 1 µS more a pulse from 1 µS on, 0.1 V: above 0.25 µA with the second pulse.
    backend.ramp(Ramp(ROW, 0 * ROW, 1e-3, 5, 0.1, 0.25e-6, 1.0))
    assert "; 2 of 8 pulses were kept" in backend.told(DONE).message


def test_steps_without_a_limited_pulse_say_nothing_of_it() -> None:
    backend = LimitedPulses(SpyBackend())
    backend.pulse(PulseMap(ROW, 1e-3))
    assert backend.told(DONE) == DONE

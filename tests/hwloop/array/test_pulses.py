"""Pulses with a rhythm as plain data: what trains and pairs accept, and what limits make of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hwloop.array.limits import check_operation
from hwloop.array.operations import Flag, PulseMap, PulsePair
from hwloop.backend.guard import Guard
from hwloop.errors import LimitError
from hwloop.execution.limited_pulses import LimitedPulses
from hwloop.execution.preview import describe
from hwloop.steps.rows import Outcome
from tests.hwloop.spy import SpyBackend, array_settings

ONE = np.zeros((2, 4))
ONE[0, 0] = 1.0


def pair(first_v: float = 1.0, second_v: float = -0.5, **more: Any) -> PulsePair:
    given: dict[str, Any] = {"first_width_s": 1e-3, "second_width_s": 2e-3, "interval_s": 5e-3}
    return PulsePair(first_v * ONE, second_v * ONE, **(given | more))


def test_a_pair_is_two_pulses_on_the_same_cells_and_lasts_widths_and_interval() -> None:
    first, second = pair().pulses
    assert (first.amplitude_v[0, 0], first.width_s) == (1.0, 1e-3)
    assert (second.amplitude_v[0, 0], second.width_s) == (-0.5, 2e-3)
    assert pair().duration_s == pytest.approx(8e-3)
    assert pair().addressed.tolist() == (ONE > 0).tolist()


def test_the_rhythm_of_a_train_has_one_interval_fewer_than_pulses() -> None:
    assert PulseMap(ONE, 1e-3, 4, interval_s=2e-3).rhythm_s == pytest.approx(6e-3)
    assert PulseMap(ONE, 1e-3, 4).rhythm_s == 0.0
    assert PulseMap(ONE, 1e-3, 4, interval_s=2e-3).single().count == 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: pair(second_v=0.0), r"at \(0, 0\) first_v is 1 and second_v 0: a pair"),
        (lambda: pair(interval_s=0.0), "interval_s 0.0 is not a finite number above 0"),
        (lambda: pair(first_width_s=-1.0), "first_width_s -1.0 is not"),
        (lambda: PulsePair(ONE, np.ones((1, 2)), 1.0, 1.0, 1.0), "first_v has shape"),
        (lambda: PulseMap(ONE, 1e-3, 2, interval_s=np.nan), "interval_s nan is not a finite"),
    ],
)
def test_a_rhythm_that_is_none_is_refused_with_its_place(
    make: Callable[[], object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_both_pulses_of_a_pair_are_held_to_the_limits() -> None:
    array = array_settings()
    beyond_v = array.limits.negative_v - 0.1
    for one in (pair(second_v=beyond_v), pair(first_v=beyond_v)):
        with pytest.raises(LimitError, match=r"cell \(0, 0\): amplitude_v .* is below"):
            check_operation(one, array.limits, array.biasing)
    long_s = 2 * array.limits.pulse_width_s
    with pytest.raises(LimitError, match="width_s"):
        check_operation(pair(second_width_s=long_s), array.limits, array.biasing)


def test_a_pair_counts_two_pulses_of_a_life() -> None:
    array = array_settings()  # three pulses in a life
    guard = Guard(SpyBackend(), array)
    guard.pair(pair(0.5, -0.5))
    assert guard.pulses.tolist() == (2 * ONE).tolist()
    with pytest.raises(LimitError, match="this would be pulse 4 of its life"):
        guard.pair(pair(0.5, -0.5))


def test_a_preview_says_the_rhythm() -> None:
    array = array_settings()
    said = describe(pair(), array)
    assert said == "pair 1 of 8 cells, 1 V for 1 ms, then -500 mV for 2 ms after 5 ms"
    train = describe(PulseMap(ONE, 1e-3, 3, interval_s=2e-3), array)
    assert train == "pulse 1 of 8 cells, 1 V, 1 ms, 3 times 2 ms apart"


def test_a_limited_pair_is_two_limited_pulses_in_the_outcome() -> None:
    class Limiting(SpyBackend):
        def perform(self, operation: Any) -> Any:
            flags = np.where(operation.addressed, Flag.COMPLIANCE, Flag.NOT_ADDRESSED)
            return flags.astype(np.uint8)

    counted = LimitedPulses(Limiting())
    counted.perform(pair())
    assert "2 of 2 pulses were kept" in counted.told(Outcome(reached=True, message="x")).message

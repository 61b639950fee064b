"""Pulses as the levels of a train, which a source on the rows times by itself."""

from __future__ import annotations

from hwloop.array.operations import PulseMap, PulsePair
from hwloop_drivers.roles import TrainPoint


def pulse_train(level_v: float, pulse: PulseMap) -> list[TrainPoint]:
    """Return the pulses of a map, 0 V for their interval between them.

    Pauses of their own width where none was asked for.
    """
    pause_s = pulse.width_s if pulse.interval_s is None else pulse.interval_s
    on, off = TrainPoint(level_v, pulse.width_s), TrainPoint(0.0, pause_s)
    return [on, off] * (pulse.count - 1) + [on]


def pair_train(pair: PulsePair, *, first_v: float, second_v: float) -> list[TrainPoint]:
    """Return the two pulses of a pair, at the row's levels, with 0 V for its interval between."""
    return [
        TrainPoint(first_v, pair.first_width_s),
        TrainPoint(0.0, pair.interval_s),
        TrainPoint(second_v, pair.second_width_s),
    ]

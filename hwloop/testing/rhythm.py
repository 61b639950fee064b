"""Checks of pulses with a rhythm: trains with an interval, and pairs of pulses."""

from __future__ import annotations

import numpy as np

from hwloop.array.operations import PulseMap, PulsePair, ReadMap, unlimited
from hwloop.backend.base import CrossbarBackend
from hwloop.testing.operations import Make
from hwloop.testing.trials import pair_of, refusal_of, train_of
from hwloop.types import FloatArray


def check_rhythm(
    make: Make, *, pulse: PulseMap, read_v: float, relative_tolerance: float, instant: bool = False
) -> None:
    """Check that a train with an interval and a pair are their pulses, an interval apart.

    A backend that refuses them is left alone: instruments differ in what they can make. How long
    they last is not asked of one whose instruments are ``instant``.
    """
    cells = int(pulse.addressed.sum())
    for rhythmic in (train_of(pulse), pair_of(pulse)):
        with make() as backend:
            if refusal_of(backend, rhythmic) is not None:
                continue
            began_s = backend.now_s()
            answer = backend.perform(rhythmic)
            took_s = backend.now_s() - began_s
            seen_a = _addressed_a(backend, pulse, read_v)
            expected = unlimited(rhythmic, backend.description.shape)
        name = "a pair" if isinstance(rhythmic, PulsePair) else "a train with an interval"
        least_s = cells * (2 * pulse.width_s + (rhythmic.interval_s or 0.0))
        lasts = instant or took_s >= least_s * (1 - 1e-9)
        assert lasts, f"{name} must last as long as its pulses and rhythm"
        assert isinstance(answer, np.ndarray), f"perform must answer {name} with flags"
        assert np.array_equal(answer, expected), (
            f"{name} within all limits must be flagged 0, and a cell without one NOT_ADDRESSED"
        )
        with make() as backend:
            for _ in range(2):
                backend.pulse(PulseMap(pulse.amplitude_v, pulse.width_s, gate_v=pulse.gate_v))
            one_by_one_a = _addressed_a(backend, pulse, read_v)
        assert np.allclose(seen_a, one_by_one_a, rtol=relative_tolerance, atol=0), (
            f"{name} must do what its two pulses do one by one"
        )


def _addressed_a(backend: CrossbarBackend, pulse: PulseMap, read_v: float) -> FloatArray:
    current_a = backend.read(ReadMap(pulse.addressed, read_v)).current_a
    return current_a[np.broadcast_to(pulse.addressed, current_a.shape)]

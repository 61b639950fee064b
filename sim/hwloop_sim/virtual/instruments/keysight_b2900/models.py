"""Ranges, resolutions and power envelope of Keysight's B2900 models; data sheet 5990-7009EN.

Settling by the range of the current is that of the current source, of the user's guide, 2-20: for
the meter only the high capacitance mode has figures. The data sheet has no noise at one power line
cycle: 2 ppm of the range is assumed, which at 0.001 cycles is well within the derating that it
gives.
"""

from __future__ import annotations

from dataclasses import replace

from hwloop_sim.virtual.circuit.smu import SmuModel

NOISE_OF_RANGE = 2e-6
SETTLING_S = ((1e-7, 1e-2), (1e-6, 5e-4), (1e-4, 2.5e-4), (3.0, 8e-5))
"""Largest current range, amperes, and the time to 0.1 % of a step there, seconds."""


def _settling_s(ranges_a: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(next(t for most_a, t in SETTLING_S if r <= most_a) for r in ranges_a)


_RANGES_A = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1.5, 3.0)
_B2901A = SmuModel(
    ranges_v=(0.2, 2.0, 20.0, 200.0),
    ranges_a=_RANGES_A,
    over=1.05,
    envelope=((6.0, 3.03), (21.0, 1.515), (210.0, 0.105)),
    noise_a=tuple(NOISE_OF_RANGE * r for r in _RANGES_A),
    noise_of_v=NOISE_OF_RANGE,
    reading_steps=1e6,
    source_steps=2e5,
    settle_s=5e-5,
    settle_of_range_s=_settling_s(_RANGES_A),
    least_limit_a=1e-9,
    least_limit_v=0.02,
)
_LOW_A = (1e-8, *_RANGES_A)
_B2911A = replace(
    _B2901A,
    ranges_a=_LOW_A,
    noise_a=tuple(NOISE_OF_RANGE * r for r in _LOW_A),
    settle_of_range_s=_settling_s(_LOW_A),
    source_steps=2e6,
)
_RANGES_BL_A = tuple(range_a for range_a in _RANGES_A if range_a <= 1.5)
_B2910BL = replace(
    _B2901A,
    ranges_a=_RANGES_BL_A,
    noise_a=tuple(NOISE_OF_RANGE * r for r in _RANGES_BL_A),
    settle_of_range_s=_settling_s(_RANGES_BL_A),
    envelope=((21.0, 1.515), (210.0, 0.105)),
)
_B2901BL = replace(_B2910BL, ranges_v=(0.2, 2.0, 20.0), envelope=((21.0, 1.515),))
MODELS = {
    "B2901A": (_B2901A, 1, 2e-5),
    "B2902A": (_B2901A, 2, 2e-5),
    "B2911A": (_B2911A, 1, 1e-5),
    "B2912A": (_B2911A, 2, 1e-5),
    "B2901B": (_B2901A, 1, 2e-5),
    "B2902B": (_B2901A, 2, 2e-5),
    "B2911B": (_B2911A, 1, 1e-5),
    "B2912B": (_B2911A, 2, 1e-5),
    "B2901BL": (_B2901BL, 1, 2e-5),
    "B2910BL": (_B2910BL, 1, 2e-5),
}
"""Data of a channel, number of channels, and least trigger interval in seconds, by model.

The B models are taken to be as the A models of the same number; of the BL models no data sheet was
found, and they have what any of their family is sure to have.
"""

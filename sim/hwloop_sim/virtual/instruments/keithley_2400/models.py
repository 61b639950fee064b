"""Ranges, resolutions, compliance and noise of the 2400 family, after data sheet and user's manual.

Ranges and limits after 6-2 to 6-4 and 18-62, note 4; the 2430 as in its DC mode. Noise is that of
the 2400, as a fraction of the range.
"""

from __future__ import annotations

from dataclasses import replace

from hwloop_sim.virtual.circuit.smu import SmuModel

MODEL_2400 = SmuModel(
    ranges_v=(0.2, 2.0, 20.0, 200.0),
    ranges_a=(1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0),
    over=1.05,
    envelope=((21.0, 1.05), (210.0, 0.105)),
    noise_a=(3e-11, 3e-10, 3e-9, 3e-8, 3e-7, 3e-6, 3e-5),
    noise_of_v=1e-5,
    reading_steps=1e5,
    source_steps=4e4,
    settle_s=1e-4,
    least_limit_a=1e-9,
    least_limit_v=2e-4,
    range_limits=True,
)
"""5½ digits, 50 ppm source steps, settled in 100 µs."""


def _like(
    ranges_v: tuple[float, ...],
    ranges_a: tuple[float, ...],
    envelope: tuple[tuple[float, float], ...],
) -> SmuModel:
    return replace(
        MODEL_2400,
        ranges_v=ranges_v,
        ranges_a=ranges_a,
        envelope=envelope,
        noise_a=tuple(NOISE_OF_RANGE * full for full in ranges_a),
        least_limit_a=ranges_a[0] / 1000,
    )


NOISE_OF_RANGE = 3e-5
LOW_A = MODEL_2400.ranges_a
HIGH_A = LOW_A[1:]
_LOW_VOLTAGE = _like((0.2, 2.0, 20.0), LOW_A, ((21.0, 1.05),))
_100_V = _like((0.2, 2.0, 20.0, 100.0), (*HIGH_A, 3.0), ((21.0, 3.15), (105.0, 1.05)))
MODELS = {
    "2400": MODEL_2400,
    "2400-LV": _LOW_VOLTAGE,
    "2401": _LOW_VOLTAGE,
    "2410": _like(
        (0.2, 2.0, 20.0, 1000.0),
        (1e-6, 1e-5, 1e-4, 1e-3, 2e-2, 1e-1, 1.0),
        ((21.0, 1.05), (1100.0, 0.021)),
    ),
    "2420": _like((0.2, 2.0, 20.0, 60.0), (*HIGH_A, 3.0), ((21.0, 3.15), (63.0, 1.05))),
    "2425": _100_V,
    "2430": _100_V,
    "2440": _like((0.2, 2.0, 10.0, 40.0), (*HIGH_A, 5.0), ((10.5, 5.25), (42.0, 1.05))),
}

"""Ranges, resolutions, compliance and noise of a 2400, after its data sheet and user's manual."""

from __future__ import annotations

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

"""The same training, batched over arrays in bare NumPy: no limits, no record, no emulator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.plain_loop import BETA_PER_A, GAIN, MAX_UPDATES, OUTPUTS, PATTERNS, TARGET


def train_all(
    table_conductance_s: NDArray[np.float64], shift_conductance_s: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Train N arrays at once; ``shift_conductance_s``: (N, 4, 4), siemens.

    Whether each converged, (N,).
    """
    bits = np.array([[int(bit) for bit in pattern] for pattern in PATTERNS])
    wants_one = np.array([[bit == "1" for bit in output] for output in OUTPUTS])
    voltage_v = np.where(bits, 0.1, -0.1)
    target = np.where(wants_one, TARGET, -TARGET)
    rise_conductance_s = table_conductance_s - table_conductance_s[0]
    position = np.zeros(shift_conductance_s.shape, dtype=np.int64)
    converged = np.zeros(len(shift_conductance_s), dtype=np.bool_)
    for _ in range(MAX_UPDATES):
        column_a = voltage_v @ (GAIN * (rise_conductance_s[position] + shift_conductance_s))
        phase = BETA_PER_A * (column_a[..., 0::2] - column_a[..., 1::2])
        activation = np.tanh(phase)
        reached = np.where(wants_one, activation >= target, activation <= target)
        converged |= reached.all(axis=(1, 2))
        if converged.all():
            break
        delta = (target - activation) * BETA_PER_A / np.cosh(phase) ** 2
        update = np.einsum("npk,pr->nrk", delta, voltage_v)
        update[converged] = 0
        position[..., 0::2] += update > 0
        position[..., 1::2] += update < 0
    return converged


def draw_shifts_conductance_s(arrays: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Lognormal draws for 4×4 cells, rescaled to 10 to 100 nS in each array, (arrays, 4, 4)."""
    draws = rng.lognormal(np.log(5.5e-8), np.log(10) / 5, (arrays, 4, 4))
    low = draws.min(axis=(1, 2), keepdims=True)
    high = draws.max(axis=(1, 2), keepdims=True)
    shifts: NDArray[np.float64] = 1e-8 + (draws - low) / (high - low) * 9e-8
    return shifts

"""Current-voltage sweeps of a device model, from the equations that its pulses obey."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hwloop.array.operations import PulseMap
from hwloop.types import FloatArray
from hwloop_sim.cells.device import Device


def iv_sweep(
    device: Device, voltage_v: ArrayLike, *, step_s: float, gate_v: float | None = None
) -> FloatArray:
    """Compute the current of every cell along a waveform, (samples, ..., rows, cols), amperes.

    ``voltage_v``: (samples,), volts, the same for every cell, ``step_s`` apart. ``gate_v``: of 1T1R
    cells. Between two samples a cell is at the mean of their voltages: the error of a smooth
    waveform falls with the square of the step. The device is left in its last state. Raises
    :class:`hwloop.errors.Unsupported`, before the state changes, where the model does not cover
    pulses of these voltages.
    """
    samples_v = np.asarray(voltage_v, dtype=np.float64)
    if samples_v.ndim != 1 or samples_v.size == 0:
        raise ValueError(f"voltage_v has shape {samples_v.shape}: expected (samples,)")
    cells = np.ones(device.conductance_s.shape[-2:])
    steps = [
        PulseMap(cells * mean_v, step_s, gate_v=gate_v)
        for mean_v in (samples_v[:-1] + samples_v[1:]) / 2
    ]
    for step in steps:
        device.check(step)
    current_a = np.empty((samples_v.size, *device.conductance_s.shape))
    current_a[0] = device.current_a(samples_v[0:1])
    for index, step in enumerate(steps, start=1):
        device.pulse(step)
        current_a[index] = device.current_a(samples_v[index : index + 1])
    return current_a

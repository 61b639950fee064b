"""Pulses through wires, integrated: states and voltages of the cells follow each other."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from hwloop.array.operations import PulseMap
from hwloop.types import FloatArray
from hwloop_sim.cells.composed import NonIdealDevice
from hwloop_sim.cells.device import ContinuousDevice
from hwloop_sim.emulator.coupled_cells import CoupledCells
from hwloop_sim.emulator.lines import ArrayLines, Selection
from hwloop_sim.emulator.sub_steps import integrate_coupled


def pulse_through_wires(lines: ArrayLines, cells: NonIdealDevice, pulse: PulseMap) -> None:
    """Apply the pulses of a map, cell by cell, each in the state that the one before has left.

    The pulses of one cell are one of their summed width: nothing moves between them. Effects act
    once for each selected cell, or where lines float for each pulse. If one of them fails, or is
    interrupted, the cells are as they were before the map.
    """
    at_a_time, times = (replace(pulse, count=1), pulse.count) if lines.one_by_one else (pulse, 1)
    before = cells.state
    try:
        for selection in lines.selections(pulse):
            for _ in range(times):
                begin = lines.selected_alone(cells, at_a_time, selection)
                final_state = partial(_final_state, lines, cells, begin, at_a_time, selection)
                cells.integrate(begin, final_state)
    except BaseException:
        cells.take_state(before)
        raise


def _final_state(
    lines: ArrayLines,
    cells: NonIdealDevice,
    begin: PulseMap,
    pulse: PulseMap,
    selection: Selection,
    device: ContinuousDevice,
) -> FloatArray:
    """Return the states after the pulses of one selected cell."""
    first_state = device.state
    following_v = lines.following(cells, pulse, selection)

    def voltage_v(state: FloatArray) -> FloatArray:
        if state is first_state:
            return begin.amplitude_v
        cells.take_state(state)
        return following_v()

    numbers = np.arange(first_state.size).reshape(first_state.shape)
    selected = numbers[selection.tile.place][..., selection.row, selection.col].ravel()
    coupled = CoupledCells(device, voltage_v, selected)
    return integrate_coupled(coupled, first_state, pulse.count * pulse.width_s)

"""Pulses through wires, integrated: states and voltages of the cells follow each other."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from hwloop.array.operations import PulseMap
from hwloop.types import FloatArray
from hwloop_sim.cells.composed import NonIdealDevice
from hwloop_sim.cells.device import ContinuousDevice
from hwloop_sim.emulator.lines import ArrayLines, Selection
from hwloop_sim.emulator.sub_steps import CoupledCells, integrate_coupled


def pulse_through_wires(lines: ArrayLines, cells: NonIdealDevice, pulse: PulseMap) -> None:
    """Apply the pulses of a map, cell by cell, each in the state that the one before has left.

    The pulses of one cell are one of their summed width: nothing moves between them. Effects act
    once for each selected cell, or where lines float for each pulse.
    """
    at_a_time, times = (replace(pulse, count=1), pulse.count) if lines.one_by_one else (pulse, 1)
    for selection in lines.selections(pulse):
        for _ in range(times):
            begin = lines.selected_alone(cells, at_a_time, selection)
            cells.integrate(begin, partial(_final_state, lines, cells, begin, at_a_time, selection))


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

    def voltage_v(state: FloatArray) -> FloatArray:
        if state is first_state:
            return begin.amplitude_v
        cells.take_state(state)
        return lines.selected_alone(cells, pulse, selection).amplitude_v

    def conductance_s(state: FloatArray) -> FloatArray:
        device.take_state(state)
        return device.conductance_s

    coupled = CoupledCells(device.after, voltage_v, conductance_s, device.within)
    return integrate_coupled(coupled, first_state, pulse.count * pulse.width_s)

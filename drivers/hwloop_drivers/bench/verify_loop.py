"""A ramp of one cell as a verify loop inside the instrument, where one instrument can run it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwloop.array.operations import Ramp
from hwloop.array.settings import ArraySettings
from hwloop.errors import InstrumentFault, Unsupported
from hwloop_drivers.roles import Companion, Measured, SourceMeter, VerifyLoop
from hwloop_drivers.station.drives import GATES, HELD_ORDER, ROWS, BenchDrives

AHEAD = 50
"""Pulses ahead that are worthwhile where an instrument runs them: a round trip costs few of them,
and what has been planned further ahead is less likely to be wanted."""
_ROUNDING = 1e-6  # relative: of the digits that an instrument sends


def on_instrument_loop(
    drives: BenchDrives,
    fractions: Mapping[str, float],
    ramp: Ramp,
    place: tuple[int, int],
    *,
    read_gate_v: float | None,
) -> VerifyLoop | None:
    """Return the loop that does the ramp of one cell; None where no instrument can run it.

    ``fractions``: the bias fraction of each drive. ``place``: (row, col) of the cell.
    ``read_gate_v``: on the gate during reads. All outputs that take part belong to the instrument
    on the rows.
    """
    rows = drives.rows
    if not isinstance(rows, SourceMeter):
        return None
    first, step_v = ramp.first, float(ramp.step_v[place])
    start_v = float(first.amplitude_v[place])
    levels: dict[str, tuple[float, float, float]] = {
        key: (start_v * fractions.get(key, 0.0), step_v * fractions.get(key, 0.0), 0.0)
        for key in HELD_ORDER
    }
    gate_v = first.gate_at(place)
    if gate_v is not None:
        gate_step_v = np.broadcast_to(np.asarray(ramp.gate_step_v), ramp.start_v.shape)[place]
        levels[GATES] = (gate_v, float(gate_step_v), read_gate_v or 0.0)
    companions = []
    for key, (at_first_v, each_v, read_v) in levels.items():
        source = drives.sources.get(key)
        if source is None or not (at_first_v or each_v or read_v):
            continue
        if not isinstance(source, SourceMeter):
            return None
        companions.append(Companion(source, at_first_v, each_v, read_v))
    low_a, high_a = float(ramp.low_a[place]), float(ramp.high_a[place])
    if drives.meter_on_columns:  # what it measures is the current into it
        low_a, high_a = -high_a, -low_a
    loop = VerifyLoop(
        start_v=start_v * fractions[ROWS],
        step_v=step_v * fractions[ROWS],
        width_s=ramp.width_s,
        read_v=ramp.read_v,
        read_s=None,
        low_a=low_a,
        high_a=high_a,
        max_pulses=ramp.steps,
        companions=tuple(companions),
        meter=None if drives.meter is rows else drives.meter,
        both_polarities=ramp.both_polarities,
    )
    try:
        rows.refuse_loop(loop)
    except Unsupported:
        return None
    return loop


def refuse_broken_off(loop: VerifyLoop, readings: list[Measured]) -> None:
    """Raise :class:`InstrumentFault` where a loop ended for none of its reasons."""
    if len(readings) == loop.max_pulses:
        return
    if readings:
        last = readings[-1]
        slack_a = _ROUNDING * abs(last.current_a)
        inside = loop.low_a - slack_a <= last.current_a <= loop.high_a + slack_a
        if 0 < len(readings) < loop.max_pulses and (last.flags or inside):
            return
    raise InstrumentFault(
        f"a loop of {loop.max_pulses} pulses ended after {len(readings)} readings, outside its"
        f" window of {loop.low_a:g} to {loop.high_a:g} A"
    )


def steps_ahead(drives: BenchDrives, fractions: Mapping[str, float], array: ArraySettings) -> int:
    """Return for how many pulses ahead a ramp is worthwhile: 1 where no instrument runs it."""
    one = np.ones((1, 1))
    ramp = Ramp(
        start_v=1e-3 * one,
        step_v=0 * one,
        width_s=10e-3,  # every instrument that has loops makes this width
        steps=AHEAD,
        read_v=array.read.read_v,
        low_a=-np.inf * one,
        high_a=np.inf * one,
        both_polarities=array.read.both_polarities,
        gate_v=array.read.gate_v,
    )
    loop = on_instrument_loop(drives, fractions, ramp, (0, 0), read_gate_v=array.read.gate_v)
    return 1 if loop is None else AHEAD

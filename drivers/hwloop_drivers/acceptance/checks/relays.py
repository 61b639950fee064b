"""Relays make before they break: no line floats while it changes from ground to an output."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop_drivers.acceptance.findings import OSCILLOSCOPE, Finding, Promise
from hwloop_drivers.acceptance.oscilloscope import Oscilloscope, Shot
from hwloop_drivers.acceptance.trial import Trial
from hwloop_drivers.station.addressing import Lines
from hwloop_drivers.station.drives import COLUMNS, ROWS

SOURCE = "routes: every channel closes before any opens, so that no line floats on the way"
WINDOW_S = 50e-3  # relays move within a few milliseconds
PART = 0.3  # of the voltage at which a floating line would settle
SCREEN = 1.5


def check(trial: Trial) -> Iterator[Finding]:
    """Yield whether lines with a probe stay at 0 V while their relays move.

    The line beyond a resistor is held at the read voltage, so that a line that floats shows.
    """
    oscilloscope, place = trial.oscilloscope, trial.watched_cell()
    if oscilloscope is None or place is None:
        promise = Promise("order of relays", "every line", "from ground to its output", SOURCE, "")
        yield promise.unseen("no oscilloscope on a row and a column of the array")
        return
    if trial.output(COLUMNS) == "gnd":
        promise = Promise("order of relays", "every line", "from ground to its output", SOURCE, "")
        yield promise.unseen("one output alone cannot hold one line and take another")
        return
    row, col = place
    yield from _moved(trial, oscilloscope, (f"row{row}", ROWS), (f"col{col}", COLUMNS))
    yield from _moved(trial, oscilloscope, (f"col{col}", COLUMNS), (f"row{row}", ROWS))


def _moved(
    trial: Trial,
    oscilloscope: Oscilloscope,
    moved: tuple[str, str],
    held: tuple[str, str],
) -> Iterator[Finding]:
    """Move a line to its output and back, with the other line at the read voltage."""
    (line, key), (other, other_key) = moved, held
    holding: Lines = {other: trial.output(other_key)}
    floating_v = _floating_v(trial, line, other)
    bound_v = PART * floating_v
    shot = Shot(
        {line: (-SCREEN * trial.read_v, SCREEN * trial.read_v)},
        WINDOW_S,
        trigger=line,
        level_v=bound_v,
    )
    for condition, lines in (
        ("from ground to its output", {**holding, line: trial.output(key)}),
        ("from its output to ground", holding),
    ):
        with trial.bench.lend() as (drives, cells):
            before = (
                holding
                if condition.startswith("from ground")
                else {
                    **holding,
                    line: trial.output(key),
                }
            )
            cells.select(before)
            drives.sources[other_key].source_voltage = trial.read_v
            oscilloscope.arm(shot)
            cells.select(lines)
            traces = oscilloscope.capture(shot)
            drives.sources[other_key].source_voltage = 0.0
        seen_v = float(np.abs(traces[line].volts).max()) if traces else 0.0
        where = f"{line}, {_matrix(trial, line)}"
        yield Promise("order of relays", where, condition, SOURCE, OSCILLOSCOPE).quantity(
            expected=0.0, seen=seen_v, tolerance=bound_v, unit="V"
        )


def _floating_v(trial: Trial, line: str, other: str) -> float:
    """Return the voltage of a floating line with another one at the read voltage, volts."""
    rows_s = trial.conductance_s if line.startswith("row") else trial.conductance_s.T
    own, far = int(line[3:]), int(other[3:])
    return trial.read_v * float(rows_s[own, far] / rows_s[own].sum())


def _matrix(trial: Trial, line: str) -> str:
    """Return the matrix that the relays of a line are in."""
    for wire in trial.station.wires():
        if wire.line == line and wire.matrix is not None:
            return wire.matrix
    return "soldered"

"""A reading is settled: what it says at once after a level is what it says later."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.messages import cell_name
from hwloop.settings.units import format_quantity
from hwloop_drivers.acceptance.checks.resistors import OFFSET_V
from hwloop_drivers.acceptance.findings import METER, Finding, Promise
from hwloop_drivers.acceptance.trial import Place, Trial
from hwloop_drivers.station.addressing import cell_lines
from hwloop_drivers.station.drives import COLUMNS

AGAIN = 4  # readings at the level; the last is what it settles to
PART, LEAST_A = 0.01, 1e-9
SOURCE = "1 % of the settled reading and 1 nA; the instruments' pages: readings are settled"


def check(trial: Trial) -> Iterator[Finding]:
    """Yield the first reading against the last after steps to every decade, from below and above.

    The settled reading is held against its resistor too.
    """
    ohm = trial.resistor_ohm
    for place in (_place(trial, int(ohm.argmin())), _place(trial, int(ohm.argmax()))):
        most_v = trial.array.limits.read_v
        for level_v in trial.levels_before(place):
            for from_v in (0.0, most_v):
                if from_v != level_v:
                    yield from _stepped(trial, place, from_v, level_v)


def _place(trial: Trial, number: int) -> Place:
    row, col = np.unravel_index(number, trial.resistor_ohm.shape)
    return int(row), int(col)


def _stepped(trial: Trial, place: Place, from_v: float, level_v: float) -> Iterator[Finding]:
    levels_v = [*([from_v] if from_v else []), *([level_v] * AGAIN)]
    with trial.bench.lend() as (_, cells):
        measured = cells.measure(cell_lines(trial.station, *place), levels_v)[-AGAIN:]
    first_a, settled_a = measured[0].current_a, measured[-1].current_a
    meter = trial.output(COLUMNS) if trial.output(COLUMNS) != "gnd" else trial.output("rows")
    where = f"{meter} at {cell_name(place)}"
    condition = (
        f"{format_quantity(level_v, 'V')} on {format_quantity(trial.resistor_ohm[place], 'ohm')},"
        f" after {format_quantity(from_v, 'V')}"
    )
    yield Promise("settling", where, f"{condition}: first reading", SOURCE, METER).quantity(
        expected=settled_a,
        seen=first_a,
        tolerance=PART * abs(settled_a) + LEAST_A,
        unit="A",
    )
    seen_s = float(trial.circuit.read_conductance_s(trial.conductance_s)[place])
    line_s = float(trial.conductance_s[:, place[1]].sum())
    bound = "self_test.tolerance, and 1 mV between two outputs at 0 V"
    yield Promise("settling", where, f"{condition}: settled", bound, METER).quantity(
        expected=level_v * seen_s,
        seen=settled_a,
        tolerance=trial.tolerance * level_v * seen_s + OFFSET_V * line_s + LEAST_A,
        unit="A",
    )

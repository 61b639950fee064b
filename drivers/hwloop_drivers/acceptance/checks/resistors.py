"""Every crosspoint reads its resistor, of either polarity, without an offset."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwloop.messages import cell_name
from hwloop_drivers.acceptance.findings import METER, Finding, Promise
from hwloop_drivers.acceptance.trial import Trial
from hwloop_drivers.station.addressing import cell_lines
from hwloop_drivers.station.drives import COLUMNS, ROWS

OFFSET_V = 1e-3  # of two outputs at 0 V against each other; 2400: 0.6 mV, specifications rev. L
OFFSET_A = 2e-9
SOURCE = "self_test.tolerance of the station: resistor and instruments together"
OFFSET_SOURCE = "1 mV between two outputs at 0 V, and 2 nA of the meter"


def check(trial: Trial) -> Iterator[Finding]:
    """Yield for every cell the half difference of its two polarities, and their mean."""
    expected_a = trial.read_v * trial.circuit.read_conductance_s(trial.conductance_s)
    for place in np.ndindex(*trial.array.geometry.shape):
        row, col = place
        with trial.bench.lend() as (_, cells):
            plus, minus = cells.measure(
                cell_lines(trial.station, row, col), [trial.read_v, -trial.read_v]
            )
        outputs = f"{trial.output(ROWS)} on row{row}, {trial.output(COLUMNS)} on col{col}"
        where = f"{cell_name((row, col))}: {outputs}"
        condition = f"± {trial.read_v:g} V on {trial.resistor_ohm[place]:g} ohm"
        wanted_a = float(expected_a[place])
        yield Promise("resistor", where, condition, SOURCE, METER).quantity(
            expected=wanted_a,
            seen=(plus.current_a - minus.current_a) / 2,
            tolerance=trial.tolerance * abs(wanted_a),
            unit="A",
        )
        line_s = float(trial.conductance_s[:, col].sum())
        yield Promise("offset", where, condition, OFFSET_SOURCE, METER).quantity(
            expected=0.0,
            seen=(plus.current_a + minus.current_a) / 2,
            tolerance=OFFSET_V * line_s + OFFSET_A,
            unit="A",
        )

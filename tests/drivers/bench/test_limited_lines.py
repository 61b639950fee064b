"""Sources at their limit beside the meter: no reading is believed, and pulses are limited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from hwloop.array.biasing import Scheme
from hwloop.array.operations import Flag, Ramp, ReadMap
from hwloop_drivers.roles import Measured, Train, TrainPoint
from tests.drivers.fake_bench import CELL, SHAPE, fake_bench, one_pulse

EVERY = ReadMap.every_cell(SHAPE, read_v=0.1)


@pytest.mark.parametrize(
    ("scheme", "drive", "lines"),
    [
        ("V/2", "rows", "row1"),
        ("V/3", "other_columns", "col0, col1, col3"),
        ("V/3", "other_rows", "row0, row2"),
        ("1T1R", "gates", "gate1"),
        ("grounded", "rows", "row1"),
    ],
)
def test_a_read_is_nan_while_any_source_that_stands_is_at_its_limit_and_its_line_is_named_once(
    scheme: Scheme, drive: str, lines: str
) -> None:
    bench, instruments = fake_bench(scheme)
    bench.take_events()
    instruments["on_columns"].measure_current = lambda: Measured(-5e-5)
    assert (bench.read(EVERY).flags == 0).all()
    instruments[f"on_{drive}"].tripped = True
    cell = np.zeros(SHAPE, np.bool_)
    cell[CELL] = True
    for _ in range(3):
        reading = bench.read(ReadMap(cell, read_v=0.1))
        assert np.isnan(reading.current_a[CELL])
        assert reading.flags[CELL] == Flag.COMPLIANCE
    (event,) = bench.take_events()
    assert event.level == "warning"
    assert event.message.startswith(f"{lines}: the source on it, on_{drive}, was at its compliance")


def _limits(self: Any, points: Sequence[TrainPoint]) -> Train:
    return Train(flags=Flag.COMPLIANCE)


def test_a_pulse_whose_row_limited_inside_the_instrument_is_flagged_and_named_once() -> None:
    bench, instruments = fake_bench("V/2")
    bench.take_events()
    pulse = one_pulse("V/2")
    assert bench.pulse(pulse)[CELL] == 0
    rows = instruments["on_rows"]
    rows.apply_train = _limits.__get__(rows)
    for _ in range(2):
        flags = bench.pulse(pulse)
        assert flags[CELL] == Flag.COMPLIANCE
        assert (np.delete(flags.ravel(), 1 * SHAPE[1] + 2) == Flag.NOT_ADDRESSED).all()
    (event,) = bench.take_events()
    assert event.message == (
        "row1: the source on it, on_rows, was at its compliance during a pulse: not all of the"
        " pulse reached the cell: it is recorded as limited"
    )


@pytest.mark.parametrize(
    ("scheme", "drive", "line"),
    [("V/2", "columns", "col2"), ("V/3", "other_columns", "col0, col1, col3"),
     ("1T1R", "gates", "gate1")],
)  # fmt: skip
def test_a_pulse_beside_a_held_line_at_its_limit_is_flagged(
    scheme: Scheme, drive: str, line: str
) -> None:
    bench, instruments = fake_bench(scheme)
    bench.take_events()
    instruments[f"on_{drive}"].tripped = True
    assert bench.pulse(one_pulse(scheme))[CELL] == Flag.COMPLIANCE
    assert bench.take_events()[0].message.startswith(f"{line}: the source on it, on_{drive}, was")


def test_a_ramp_goes_on_after_a_limited_pulse_and_flags_its_read_which_stays_a_number() -> None:
    bench, instruments = fake_bench("V/2")
    instruments["on_columns"].measure_current = lambda: Measured(-5e-5)
    rows = instruments["on_rows"]
    rows.apply_train = _limits.__get__(rows)
    start_v = one_pulse("V/2").amplitude_v
    answer = bench.ramp(Ramp(start_v, 0 * start_v, 1e-3, 3, 0.1, 1.0, 2.0))
    assert answer.flags[:, CELL[0], CELL[1]].tolist() == [Flag.AFTER_LIMITED] * 3
    assert answer.current_a[:, CELL[0], CELL[1]].tolist() == [5e-5] * 3

"""Readings that the station cannot have made, and readings beside a source at its compliance."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.array.operations import Flag, Ramp, ReadMap
from hwloop.backend.kind import OpenRequest
from hwloop.errors import InstrumentFault, UnexpectedReply
from hwloop.procedure.procedure import load_procedure
from hwloop.station.station import load_station
from hwloop_drivers.bench.backend import Bench
from hwloop_drivers.bench.open import BenchSettings, open_bench
from hwloop_drivers.bench.readings import refuse_impossible
from hwloop_drivers.roles import Measured
from tests.drivers.fake_bench import CELL, SHAPE, fake_bench
from tests.drivers.running_bench import PROCEDURE, STATIONS, copy_station, running_bench

pytestmark = pytest.mark.usefixtures("no_watchdog")

READ_V, COMPLIANCE_A = 0.05, 1e-5
NEVER = np.inf * np.ones((4, 4))
EVERY = ReadMap.every_cell((4, 4), read_v=READ_V, both_polarities=True)


def _read_of(current_a: float) -> tuple[float, int]:
    bench, instruments = fake_bench("V/2")
    instruments["on_columns"].measure_current = lambda: Measured(current_a)
    mask = np.zeros(SHAPE, dtype=np.bool_)
    mask[CELL] = True
    reading = bench.read(ReadMap(mask, 0.1))
    return float(reading.current_a[CELL]), int(reading.flags[CELL])


@pytest.mark.parametrize("current_a", [147.0, -147.0, 1.2e-3, np.inf, -np.inf, np.nan, 9.91e37])
def test_a_current_that_the_compliance_does_not_let_through_is_an_error(current_a: float) -> None:
    with pytest.raises(UnexpectedReply, match=r"cell \(1, 2\): the meter reads .* 1 mA does not"):
        _read_of(current_a)


@pytest.mark.parametrize("current_a", [0.0, 9.99e-4, -1.05e-3])
def test_a_current_up_to_the_compliance_and_its_tolerance_is_read(current_a: float) -> None:
    assert _read_of(current_a) == (-current_a, 0)  # out of the meter is out of the column


def test_a_reading_that_its_flag_explains_is_no_error() -> None:
    refuse_impossible(Measured(float("nan"), Flag.COMPLIANCE), 1e-3)


def test_every_operation_that_measures_refuses_an_impossible_current() -> None:
    bench, instruments = fake_bench("V/2")
    instruments["on_columns"].measure_current = lambda: Measured(147.0)
    one = np.ones(SHAPE)
    ramp = Ramp(0.1 * one, 0 * one, 1e-3, 2, 0.1, 0 * one, one)
    with pytest.raises(UnexpectedReply, match="147 A"):
        bench.ramp(ramp)
    with pytest.raises(UnexpectedReply, match="147 A"):
        bench.current_a({}, {})


def test_a_read_is_not_believed_while_the_source_on_the_row_is_at_its_compliance() -> None:
    bench, instruments = fake_bench("V/2")
    instruments["on_columns"].measure_current = lambda: Measured(-5e-5)
    instruments["on_rows"].tripped = True
    reading = bench.read(ReadMap.every_cell(SHAPE, read_v=0.1))
    assert np.isnan(reading.current_a).all()
    assert (reading.flags == Flag.COMPLIANCE).all()


def _with_meter_on_the_rows(path: Path) -> bool:
    station = load_station(path)
    rows = station.wiring.drive.named()["rows"].partition(".")[0]
    return (
        "335" not in station.instruments[rows].kind and "811" not in station.instruments[rows].kind
    )


@contextmanager
def _dummy(template: Path, folder: Path) -> Iterator[Bench]:
    """Resistors of 10 to 18 kΩ in row 0, which draws 15.3 µA at 50 mV: each of them at most 5."""
    station = copy_station(template, folder)
    procedure = load_procedure(PROCEDURE, [f"array.limits.current_a={COMPLIANCE_A}"])
    rng = np.random.default_rng(0)
    request = OpenRequest(procedure.array, None, rng, procedure=procedure.resolved)
    with (
        running_bench(station, procedure, dummy=True),
        open_bench(BenchSettings(station=station), request) as bench,
    ):
        yield bench


@pytest.mark.parametrize(
    "template",
    [one for one in STATIONS if _with_meter_on_the_rows(one)],
    ids=lambda path: path.stem,
)
def test_a_row_that_draws_more_than_the_compliance_gives_no_numbers_on_any_station(
    template: Path, tmp_path: Path
) -> None:
    with _dummy(template, tmp_path) as bench:
        reading = bench.read(EVERY)
    assert (reading.flags[0] == Flag.COMPLIANCE).all()
    assert np.isnan(reading.current_a[0]).all()
    assert (reading.flags[1:] == 0).all()
    assert reading.current_a[1, 0] == pytest.approx(READ_V / 22e3, rel=1e-3)


def test_a_loop_inside_the_instrument_does_not_go_on_with_a_row_at_its_compliance(
    tmp_path: Path,
) -> None:
    (pair,) = (one for one in STATIONS if "2602b_707b" in one.stem)
    start_v: Any = np.zeros((4, 4))
    for place, fault in (((1, 0), False), ((0, 0), True)):
        start_v[...] = 0
        start_v[place] = READ_V
        # No current ends the series: the window lies far above every one of them.
        ramp = Ramp(start_v, 0 * start_v, 10e-3, 2, READ_V, 0 * start_v + 1.0, NEVER)
        folder = tmp_path / f"{place[0]}"
        folder.mkdir()
        with _dummy(pair, folder) as bench:
            assert bench.description.verify_steps > 1
            if fault:
                with pytest.raises(InstrumentFault, match="at its compliance during a read"):
                    bench.ramp(ramp)
            else:
                seen_a = bench.ramp(ramp).current_a[(slice(None), *place)]
                np.testing.assert_allclose(seen_a, READ_V / 22e3, rtol=1e-3)

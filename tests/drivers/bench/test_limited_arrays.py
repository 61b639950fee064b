"""Sixteen cells of 1 mS whose rows draw more than the compliance: on virtual stations and in sim.

At 50 mV a cell takes 50 µA and a row, with its other columns at 0 V, 200 µA: with 100 µA the source
on the row limits while the meter on the column sees less than its own limit. A vector of 50 mV on
all rows takes 200 µA a column and 800 µA from the one output on the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.array.operations import Flag, PulseMap, ReadMap, VectorBatch
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.kind import OpenRequest
from hwloop.errors import StepError
from hwloop.execution.open_run import RunResult
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import Procedure, from_data, load_procedure
from hwloop.record.reader import Record
from hwloop_drivers.bench.open import BenchSettings, open_bench
from hwloop_sim.emulator.backend import SIM, open_sim
from tests.drivers.running_bench import PROCEDURE, STATIONS, copy_station, running_bench

pytestmark = pytest.mark.usefixtures("no_watchdog")

METERED = [one.stem for one in STATIONS if "33500b" not in one.stem]
PLACES = ["sim", *METERED]
CELL = {
    "model": "soft_bounds",
    "min_conductance_s": "0.5 mS",
    "max_conductance_s": "2 mS",
    "initial": "1 mS",
    "up": {"amplitude_v": "2 V", "width_s": "50 ms"},
    "down": {"amplitude_v": "-2 V", "width_s": "50 ms"},
}
EVERY = ReadMap.every_cell((4, 4), read_v=0.05, both_polarities=True)


def _procedure(current_a: str, *steps: dict[str, Any], **bench: str) -> Procedure:
    whole = load_procedure(PROCEDURE).resolved
    array = whole["array"] | {"limits": whole["array"]["limits"] | {"current_a": current_a}}
    data = {"name": "limited", "seed": 1, "array": array, "steps": list(steps or whole["steps"])}
    backends = {"sim": {"device": CELL}} | ({"bench": bench} if bench else {})
    return from_data(data | {"backends": backends}, folder=PROCEDURE.parent)


@contextmanager
def _opened(place: str, procedure: Procedure, folder: Path) -> Iterator[CrossbarBackend]:
    request = OpenRequest(
        procedure.array, None, np.random.default_rng(0), procedure=procedure.resolved
    )
    if place == "sim":
        with open_sim(procedure.backend_settings(SIM), request) as array:
            yield array
        return
    station = copy_station(STATIONS[0].with_name(f"{place}.yaml"), folder)
    with (
        running_bench(station, procedure),
        open_bench(BenchSettings(station=station), request) as bench,
    ):
        yield bench


@pytest.mark.parametrize("place", PLACES)
def test_every_cell_is_nan_with_its_flag_and_every_line_is_named_once(
    place: str, tmp_path: Path
) -> None:
    with _opened(place, _procedure("100 uA"), tmp_path) as array:
        for _ in range(2):
            reading = array.read(EVERY)
            assert np.isnan(reading.current_a).all()
            assert (reading.flags == Flag.COMPLIANCE).all()
        told = [e.message for e in array.take_events() if "compliance during a read" in e.message]
    assert 1 <= len(told) <= 4
    assert sorted(name for one in told for name in one.split(": the source")[0].split(", ")) == [
        "row0", "row1", "row2", "row3"
    ]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_the_same_cells_are_read_where_the_compliance_lets_the_rows_through(
    place: str, tmp_path: Path
) -> None:
    with _opened(place, _procedure("300 uA"), tmp_path) as array:
        reading = array.read(EVERY)
    assert (reading.flags == 0).all()
    np.testing.assert_allclose(reading.current_a, 50e-6, rtol=2e-3)


@pytest.mark.parametrize("place", PLACES)
def test_a_product_beyond_the_compliance_is_no_number(place: str, tmp_path: Path) -> None:
    with _opened(place, _procedure("300 uA"), tmp_path) as array:
        reading = array.multiply(VectorBatch(np.full((1, 4), 0.1)))
    assert np.isnan(reading.current_a).all()
    assert (reading.flags == Flag.COMPLIANCE).all()


def _run(place: str, folder: Path, current_a: str, *steps: dict[str, Any]) -> RunResult:
    if place == "sim":
        return run_procedure(_procedure(current_a, *steps), RunOptions("sim", folder / "run.h5"))
    station = copy_station(STATIONS[0].with_name(f"{place}.yaml"), folder)
    procedure = _procedure(current_a, *steps, station=str(station))
    with running_bench(station, procedure):
        return run_procedure(procedure, RunOptions("bench", folder / "run.h5"))


VERIFY = {
    "step": "program_verify",
    "settings": {
        "target": {"kind": "random", "low_conductance_s": "0.6 mS", "high_conductance_s": "0.8 mS"},
        "tolerance": {"kind": "relative", "fraction": 0.05},
        "algorithm": {
            "name": "alibart",
            "up": {"amplitude": "2 V", "width_s": "50 ms"},
            "down": {"amplitude": "-2 V", "width_s": "50 ms"},
        },
    },
}
SWEEP = {
    "step": "iv_sweep",
    "settings": {"mode": "direct", "positive_v": 0.1, "negative_v": -0.1, "step_v": 0.05},
}


def _kinds_done(folder: Path) -> set[str]:
    with Record(folder / "run.h5") as record:
        return {one.kind for one in record.operations()}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("current_a", "steps"), [("100 uA", ()), ("2 uA", (SWEEP,))])
def test_a_training_and_a_sweep_end_with_cause_and_remedy_and_do_nothing_by_such_reads(
    current_a: str, steps: tuple[dict[str, Any], ...], place: str, tmp_path: Path
) -> None:
    with pytest.raises(StepError, match=r"could not be measured .*raise limits.current_a"):
        _run(place, tmp_path, current_a, *steps)
    assert _kinds_done(tmp_path) == {"read"}


@pytest.mark.parametrize("place", PLACES)
def test_a_verification_pulses_no_cell_that_it_cannot_read(place: str, tmp_path: Path) -> None:
    outcome = _run(place, tmp_path, "100 uA", VERIFY).outcomes["program_verify"]
    assert not outcome.reached
    assert "16" in outcome.message
    assert _kinds_done(tmp_path) == {"read"}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("current_a", "limited"), [("300 uA", True), ("6 mA", False)])
def test_a_pulse_is_flagged_alike_where_its_row_draws_more_than_the_compliance(
    current_a: str, limited: bool, place: str, tmp_path: Path
) -> None:
    # 2 V on cells of 1 to 2 mS: at least 2 mA in the cell, and 3 mA in the others of its row, that
    # are half-selected; the cell itself rises by half of its way of 1 mS within one pulse at most.
    amplitude_v = np.zeros((4, 4))
    amplitude_v[1, 2] = 2.0
    with _opened(place, _procedure(current_a), tmp_path) as array:
        flags = array.pulse(PulseMap(amplitude_v, 50e-3))
        told = [e.message for e in array.take_events() if "during a pulse" in e.message]
    assert flags[1, 2] == (Flag.COMPLIANCE if limited else 0)
    assert (np.delete(flags.ravel(), 6) == Flag.NOT_ADDRESSED).all()
    assert bool(told) == limited
    assert all(one.startswith(("row1: ", "col2: ")) for one in told)

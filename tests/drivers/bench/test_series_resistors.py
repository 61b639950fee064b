"""Runs on a bench with a resistor in a lead: what the conductances of its record are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.reader import Record
from hwloop.record.replay import Replay
from hwloop.steps.array import Array
from hwloop_sim.virtual.bench.bench import VirtualBench
from tests.drivers.running_bench import ROOT, STATIONS, copy_station, running_bench

pytestmark = pytest.mark.usefixtures("no_watchdog")

STATION = next(path for path in STATIONS if path.stem == "virtual_4x4")
RESOLUTION_CONDUCTANCE_S = (
    1.5 * 10e-12 / 0.05
)  # Keithley 2400, 1 µA range, and what the correction adds
TRAINING = ROOT / "procedures" / "manhattan_4x4.yaml"


def _run(folder: Path, scheme: str) -> tuple[Path, VirtualBench]:
    resistor = {"\nwitness:": "  series_ohm: {row_smu: 100 kohm}\n\nwitness:"}
    station = copy_station(STATION, folder, **resistor, **{"scheme: V/2 ": f"scheme: {scheme} "})
    overrides = [
        f"backends.bench.station={station.as_posix()}",
        f"array.biasing={scheme}",
        "array.limits.half_select_v=2",
        "steps=[{step: read_map}]",
    ]
    procedure = load_procedure(TRAINING, overrides)
    record = folder / "run.h5"
    with running_bench(station, procedure) as virtual:
        run_procedure(procedure, RunOptions("bench", record))
    return record, virtual


def test_maps_are_corrected_for_a_resistor_in_the_rows_and_currents_stay_raw(
    tmp_path: Path,
) -> None:
    path, virtual = _run(tmp_path, "V/2")
    true_s = virtual.device.conductance_s
    with Record(path) as record:
        seen_s = record.results("read_map", "")["conductance_s"][0]
        reading = record.operation(len(record) - 1).reading
        assert reading is not None
        raw_s = reading.current_a / 0.05
        log = " ".join(message for _, _, message in record.log)
        assert record.attrs["conductance_corrected"] == "whole maps"
    np.testing.assert_allclose(seen_s, true_s, rtol=0, atol=RESOLUTION_CONDUCTANCE_S)
    divider = 1 / (1 + 1e5 * true_s.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(raw_s, true_s * divider, rtol=0, atol=RESOLUTION_CONDUCTANCE_S)
    assert divider.max() < 0.95
    assert "are corrected for 100000 ohm" in log


def test_a_floating_array_says_that_it_is_not_corrected(tmp_path: Path) -> None:
    path, _ = _run(tmp_path, "floating")
    with Record(path) as record:
        log = " ".join(message for _, _, message in record.log)
        assert record.attrs["conductance_corrected"] == "none"
    assert "conductances are not corrected for 100000 ohm" in log


@pytest.mark.parametrize("scheme", ["V/2", "floating"])
def test_a_replay_gives_the_conductances_of_the_run(tmp_path: Path, scheme: str) -> None:
    path, _ = _run(tmp_path, scheme)
    with Record(path) as record:
        first_s = record.results("read_map", "")["conductance_s"][0]
    procedure = load_procedure(
        TRAINING, [f"array.biasing={scheme}", "array.limits.half_select_v=2"]
    )
    replay = Replay(Record(path))
    array = Array(replay, procedure.array, np.random.default_rng(0))
    np.testing.assert_array_equal(array.conductance_s(array.read_all()), first_s)
    replay.close()

"""What half-selected cells see behind the outputs of a bench is bounded before a run begins."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks.random_stations import draw
from benchmarks.station_circuits import Tally, try_station
from hwloop.array.operations import PulseMap
from hwloop.backend.guard import Guard
from hwloop.errors import BackendError, LimitError
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import Procedure, load_procedure
from tests.drivers.fake_bench import SHAPE, fake_array, fake_bench

pytestmark = pytest.mark.usefixtures("no_watchdog")

# Pulses of ±2 V, a compliance of 3 mA; cells of 300 µS at most; a third is 0.667 V.
OVERRIDES = ["array.biasing=V/3", "array.limits.current_a=3 mA", "array.limits.half_select_v=0.7"]
RANGE = "array.range={{low_conductance_s: 1 uS, high_conductance_s: {}}}"
PROCEDURE = Path(__file__).parents[3] / "procedures" / "manhattan_4x4.yaml"


def _procedure(folder: Path, *more: str, **series_ohm: str) -> Procedure:
    """A training under V/3 on instruments that are not there."""
    lines: dict[str, dict[str, str]] = {}
    for n in range(1, 5):
        lines[f"row{n - 1}"] = {"rows": f"1!1!{n}", "gnd": f"1!4!{n}"}
        lines[f"col{n - 1}"] = {
            "columns": f"1!2!{n + 4}",
            "others": f"1!3!{n + 4}",
            "gnd": f"1!4!{n + 4}",
        }
    names = ("rows", "columns", "others")
    smu = {"kind": "keithley_2400"}
    station: dict[str, Any] = {
        "name": "third",
        "scheme": "V/3",
        "instruments": {
            **{
                n: smu | {"address": f"TCPIP::127.0.0.1::{9 + i}::SOCKET"}
                for i, n in enumerate(names)
            },
            "matrix": {"kind": "keithley_7001", "address": "TCPIP::127.0.0.1::1::SOCKET"},
        },
        "wiring": {
            "drive": {"rows": "rows", "columns": "columns", "other_columns": "others"},
            "lines": lines,
            "series_ohm": series_ohm,
        },
    }
    path = folder / "station.yaml"
    path.write_text(yaml.safe_dump(station), encoding="utf-8")
    return load_procedure(PROCEDURE, [*OVERRIDES, f"backends.bench.station={path}", *more])


def _run(procedure: Procedure, folder: Path) -> None:
    run_procedure(procedure, RunOptions("bench", folder / "run.h5"))


def test_unbounded_current_is_refused_before_any_instrument_is_opened(tmp_path: Path) -> None:
    with pytest.raises(LimitError) as caught:
        _run(_procedure(tmp_path), tmp_path)
    message = str(caught.value)
    assert "cell (" in message
    assert "up to 2 V while half-selected (scheme V/3; " in message
    assert "array.range, which would bound its current, is not given" in message
    assert message.endswith("exceeds limits.half_select_v 0.7")
    assert not (tmp_path / "run.h5").exists()


def test_known_range_within_the_compliance_lets_a_run_reach_for_its_instruments(
    tmp_path: Path,
) -> None:
    # The other columns carry 12 cells of 300 µS at 0.667 V: 2.4 mA of 3 mA.
    with pytest.raises(BackendError):
        _run(_procedure(tmp_path, RANGE.format("300 uS")), tmp_path)
    with pytest.raises(LimitError, match="may be at its compliance of 3 mA"):
        _run(_procedure(tmp_path, RANGE.format("400 uS")), tmp_path)


def test_series_resistor_is_in_the_bound(tmp_path: Path) -> None:
    with pytest.raises(LimitError, match="other_columns is behind 10 kohm"):
        _run(_procedure(tmp_path, RANGE.format("100 uS"), others="10 kohm"), tmp_path)


def test_guard_of_a_bench_allows_a_pulse_up_to_its_bound_and_none_beyond() -> None:
    bench, _ = fake_bench("V/3")
    array = fake_array("V/3")  # no range: v itself is the bound; half_select_v is 2 V
    guard = Guard(
        bench,
        array.model_copy(update={"limits": array.limits.model_copy(update={"half_select_v": 1.0})}),
    )
    amplitude_v = np.zeros(SHAPE)
    amplitude_v[1, 2] = 1.0
    guard.pulse(PulseMap(amplitude_v, 1e-3))
    with pytest.raises(LimitError, match=r"up to 1\.01 V while half-selected"):
        guard.pulse(PulseMap(amplitude_v * 1.01, 1e-3))


def test_no_cell_of_random_stations_sees_more_than_the_guard_said() -> None:
    tally = Tally()
    for number in range(6):
        rng = random.Random(f"test-{number}")  # noqa: S311 - no secret
        try_station(rng, draw(rng), tally)
    assert tally.wrong == []
    assert tally.states > 100

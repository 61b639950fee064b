"""Program-and-verify over real drivers on the virtual bench ends as on the emulator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hwloop.backend.base import CrossbarBackend
from hwloop.backend.kind import OpenRequest
from hwloop.procedure.procedure import Procedure, from_data
from hwloop.record.reader import Record
from hwloop.steps.array import Array
from hwloop.steps.program.program_verify import PROGRAM_VERIFY
from hwloop_drivers.bench.backend import Bench
from hwloop_drivers.bench.open import BenchSettings, open_bench
from tests.characterised import results
from tests.drivers.bench.test_bench_characterisation import ARRAY
from tests.drivers.running_bench import ROOT, copy_station, run_hosted, running_bench

pytestmark = pytest.mark.usefixtures("no_watchdog")

STATION = ROOT / "stations" / "virtual_2602b_707b.yaml"
DEVICE = {
    "model": "soft_bounds",
    "min_conductance_s": 5e-7,
    "max_conductance_s": 5e-6,
    "up_pulses": 60,
    "down_pulses": 60,
    "initial": 6e-7,
    "up": {"amplitude_v": 2.0, "width_s": 5e-3},
    "down": {"amplitude_v": -2.8, "width_s": 5e-3},
}
RESOLUTION_CONDUCTANCE_S = (
    1e-10  # of a read of 0.1 V: 10 pA, several times the noise-free 2602B's digit
)
CELLS = [[0, 0], [1, 2], [3, 1]]
SETTINGS: dict[str, Any] = {
    "target": {"kind": "map", "map_conductance_s": np.full((4, 4), 3e-6).tolist()},
    "tolerance": {"kind": "relative", "fraction": 0.02},
    "algorithm": {
        "name": "alibart",
        "up": {"amplitude": 2.0, "width_s": 5e-3},
        "down": {"amplitude": -2.8, "width_s": 5e-3},
    },
    "patience": 60,
    "cells": CELLS,
}
EXACT = ("pulses_up", "pulses_down", "status")
NEAR = ("before_conductance_s", "verified_conductance_s")


def _procedure(folder: Path, station: Path, settings: dict[str, Any]) -> Procedure:
    limits = ARRAY["limits"] | {"current_a": 0.1, "pulse_energy_j": 1.0}  # type: ignore[operator]
    return from_data(
        {
            "name": "program",
            "seed": 3,
            "array": ARRAY | {"limits": limits},
            "backends": {"sim": {"device": DEVICE}, "bench": {"station": station.as_posix()}},
            "steps": [{"step": "program_verify", "settings": settings}],
        },
        folder=folder,
    )


def _ended(backend: str, settings: dict[str, Any], folder: Path) -> dict[str, NDArray[Any]]:
    path = folder / f"{backend}.h5"
    station = copy_station(STATION, folder)
    procedure = _procedure(folder, station, settings)
    run_hosted(procedure, station, backend, path).raise_unless_reached()
    with Record(path) as record:
        return {name: record.results("program_verify", "cells")[name][0] for name in EXACT + NEAR}


def test_cells_end_over_instruments_as_on_the_emulator(tmp_path: Path) -> None:
    targets = np.full((4, 4), np.nan)
    for place, target_conductance_s in zip(CELLS, (1e-6, 2e-6, 3e-6), strict=True):
        targets[tuple(place)] = target_conductance_s
    map_conductance_s = [
        [None if np.isnan(value) else float(value) for value in row] for row in targets
    ]
    settings = SETTINGS | {"target": {"kind": "map", "map_conductance_s": map_conductance_s}}
    seen, wanted = (_ended(backend, settings, tmp_path) for backend in ("bench", "sim"))
    assert wanted["pulses_up"].sum() > 60
    for name in EXACT:
        np.testing.assert_array_equal(seen[name], wanted[name], err_msg=name)
    for name in NEAR:
        cells = np.isfinite(wanted["verified_conductance_s"])
        np.testing.assert_allclose(
            seen[name][cells],
            wanted[name][cells],
            rtol=1e-3,
            atol=RESOLUTION_CONDUCTANCE_S,
            err_msg=name,
        )


def test_the_instruments_own_loop_ends_alike_in_a_tenth_of_the_round_trips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips: dict[str, int] = {}
    ended: dict[str, Any] = {}
    for how in ("in the box", "pulse by pulse"):
        folder = tmp_path / how.split()[0]
        folder.mkdir()
        station = copy_station(STATION, folder)
        procedure = _procedure(folder, station, SETTINGS)
        if how == "pulse by pulse":
            monkeypatch.setattr(Bench, "ramp", CrossbarBackend.ramp)
        rng = np.random.default_rng(0)
        request = OpenRequest(procedure.array, None, rng, procedure=procedure.resolved)
        with (
            running_bench(station, procedure),
            open_bench(BenchSettings(station=station), request, watch_lines=False) as bench,
        ):
            before = bench.round_trips
            array = Array(bench, procedure.array, rng)
            ended[how] = results(PROGRAM_VERIFY, SETTINGS, array)["cells"][0]
            trips[how] = bench.round_trips - before
    box, host = ended["in the box"], ended["pulse by pulse"]
    assert host.pulses_up.max() > 24
    assert trips["pulse by pulse"] >= 10 * trips["in the box"], trips
    for name in EXACT:
        np.testing.assert_array_equal(getattr(box, name), getattr(host, name), err_msg=name)
    np.testing.assert_allclose(
        box.verified_conductance_s,
        host.verified_conductance_s,
        rtol=1e-3,
        atol=RESOLUTION_CONDUCTANCE_S,
    )

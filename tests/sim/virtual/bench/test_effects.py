"""The cells of a virtual bench are those of the emulator, effects and all."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hwloop.array.operations import Wait
from hwloop.backend.kind import OpenRequest
from hwloop.plugins import BACKENDS, load
from hwloop.procedure.procedure import load_procedure
from hwloop.station.station import load_station
from hwloop_sim.emulator.backend import open_sim
from hwloop_sim.virtual.bench.bench import VirtualBench

ROOT = Path(__file__).parents[4]
EFFECTS = (
    "[{effect: device_to_device, sigma: 0.3}, {effect: drift, nu: 0.05, nu_sigma: 0.01},"
    " {effect: stuck, high_fraction: 0.2, high_conductance_s: 1 uS}]"
)


def test_a_virtual_bench_has_the_cells_of_the_emulator_and_they_age_as_these_do() -> None:
    file = ROOT / "procedures" / "manhattan_4x4.yaml"
    procedure = load_procedure(file, [f"backends.sim.effects={EFFECTS}"])
    settings = procedure.backend_settings(load(BACKENDS, "sim"))
    station = load_station(ROOT / "stations" / "virtual_4x4.yaml")
    bench = VirtualBench(station, procedure.array, settings, seed=5)  # type: ignore[arg-type]
    rng = np.random.default_rng(5).spawn(2)[0]
    emulator = open_sim(settings, OpenRequest(procedure.array, None, rng))  # type: ignore[arg-type]
    fresh_conductance_s = emulator._cells.conductance_s
    np.testing.assert_array_equal(bench.device.conductance_s, fresh_conductance_s)
    bench.clock.advance(1000.0)
    emulator.wait(Wait(1000.0))
    np.testing.assert_allclose(bench.device.conductance_s, emulator._cells.conductance_s, rtol=1e-9)
    assert (bench.device.conductance_s < fresh_conductance_s).any()

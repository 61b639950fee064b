"""The cells of a virtual bench are those of the emulator, effects and all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from hwloop.array.operations import Wait
from hwloop.backend.kind import OpenRequest
from hwloop.plugins import BACKENDS, load
from hwloop.procedure.procedure import load_procedure
from hwloop.station.station import Station, load_station
from hwloop_sim.emulator.backend import open_sim
from hwloop_sim.virtual.bench.bench import VirtualBench

ROOT = Path(__file__).parents[4]
EFFECTS = (
    "[{effect: device_to_device, sigma: 0.3}, {effect: drift, nu: 0.05, nu_sigma: 0.01},"
    " {effect: stuck, high_fraction: 0.2, high_conductance_s: 1 uS}]"
)
READ_V = 0.1


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


def _read_many(kind: str, effects: str, count: int) -> tuple[np.ndarray, float]:
    """Currents of ``count`` reads of a cell by an instrument without noise, and its conductance."""
    file = ROOT / "procedures" / "manhattan_4x4.yaml"
    procedure = load_procedure(file, [f"backends.sim.{effects}"])
    settings = procedure.backend_settings(load(BACKENDS, "sim"))
    text = (ROOT / "stations" / f"virtual_{kind}.yaml").read_text("utf-8")
    station = Station.parse(yaml.safe_load(text) | {"virtual": {"noise": False}})
    bench = VirtualBench(station, procedure.array, settings, seed=5)  # type: ignore[arg-type]
    drive, meter = station.wiring.drive.rows, station.wiring.drive.columns
    assert meter is not None
    bench.circuit.drive(drive, volts=READ_V)
    bench.circuit.drive(meter, volts=0.0)
    for matrix in station.matrices:
        wanted = {"row0": drive, "col0": meter}
        closed = [
            wire.channel
            for wire in station.wires()
            if wire.matrix == matrix
            and wire.output == wanted.get(wire.line, "gnd")
            and wire.channel
        ]
        bench.circuit.set_closed(matrix, frozenset(closed))
    seen = [bench.circuit.read(meter).amperes for _ in range(count)]
    return np.array(seen), float(bench.device.conductance_s[0, 0])


@pytest.mark.parametrize("kind", ["4x4", "2602b_707b"])
@pytest.mark.parametrize(
    ("effects", "spread"),
    [
        ("effects=[{effect: white_noise, fraction: 0.1}]", 0.1),
        ("effects=[{effect: white_noise, fraction: 0.03}]", 0.03),
        ("read_noise=0.1", 0.1),
        ("effects=[]", 0.0),
    ],
)
def test_readings_scatter_as_the_read_noise_of_the_cell_that_is_read(
    kind: str, effects: str, spread: float
) -> None:
    current_a, conductance_s = _read_many(kind, effects, 3000)
    relative = np.abs(current_a) / (READ_V * conductance_s)
    assert abs(relative.mean() - 1) < 4 * spread / np.sqrt(3000) + 1e-3
    assert abs(relative.std() - spread) < 4 * spread / np.sqrt(2 * 3000) + 1e-9


def test_amplifier_of_white_noise_adds_to_the_current_itself() -> None:
    noise = "effects=[{effect: white_noise, fraction: 0, amplifier_a: 10 nA}]"
    current_a, _ = _read_many("4x4", noise, 3000)
    assert abs(current_a.std() - 10e-9) < 4 * 10e-9 / np.sqrt(2 * 3000)


def test_every_reading_disturbs_the_cell_as_the_emulator_says() -> None:
    disturb = "effects=[{effect: read_disturb, rate: 1e-3, reference_v: 0.1, exponent: 1}]"
    current_a, after_conductance_s = _read_many("4x4", disturb, 101)
    assert abs(np.abs(current_a[100]) / np.abs(current_a[0]) - np.exp(0.1)) < 1e-3
    assert abs(after_conductance_s / (np.abs(current_a[100]) / READ_V) - np.exp(1e-3)) < 1e-3

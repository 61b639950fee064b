"""A floating array behind real drivers is the emulator's: reads, products and trainings."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from hwloop.array.operations import PulseMap, Reading, ReadMap, VectorBatch
from hwloop.backend.base import CrossbarBackend
from hwloop.errors import NotConverged
from hwloop.execution.execute import request_for
from hwloop.procedure.procedure import Procedure, load_procedure
from hwloop.record.reader import Record
from hwloop_drivers.bench.open import BenchSettings, open_bench
from hwloop_sim.emulator.backend import SIM
from tests.drivers.running_bench import PROCEDURE, copy_station, run_hosted, running_bench

pytestmark = pytest.mark.usefixtures("no_watchdog")

ROOT = Path(__file__).parents[3]
STATION = ROOT / "stations" / "virtual_4x4.yaml"
RESOLUTION_A = 10e-12  # Keithley 2400, 1 µA range
READ_V = 0.05
VTEAM = (
    "backends.sim.device={model: vteam}",
    "array.limits.current_a=0.1",
    "array.limits.pulse_energy_j=1",
)


def floating(*overrides: str) -> Procedure:
    return load_procedure(
        PROCEDURE, ["array.biasing=floating", "array.limits.half_select_v=2.2 V", *overrides]
    )


def station(folder: Path, **replaced: str) -> Path:
    return copy_station(STATION, folder, **{"scheme: V/2": "scheme: floating", **replaced})


def answers(array: CrossbarBackend, pulses: Sequence[PulseMap]) -> list[Reading]:
    """A read and a product before and after each of the pulses."""
    vectors = VectorBatch(np.array([[0.1, -0.1, -0.1, 0.1], [0.1] * 4, [0.0, 0.05, 0.0, 0.0]]))
    every = ReadMap.every_cell((4, 4), read_v=READ_V, both_polarities=True)
    found = [array.read(every), array.multiply(vectors)]
    for pulse in pulses:
        array.pulse(pulse)
        found += [array.read(every), array.multiply(vectors)]
    return [reading for reading in found if reading is not None]


def on_both(
    procedure: Procedure, file: Path, pulses: Sequence[PulseMap]
) -> tuple[list[Reading], list[Reading]]:
    """The same on the emulator and on a virtual bench."""
    request, _ = request_for(procedure, seed=procedure.seed)
    with SIM.open(procedure.backend_settings(SIM), request) as sim:
        emulated = answers(sim, pulses)
    request, _ = request_for(procedure, seed=procedure.seed)
    with (
        running_bench(file, procedure),
        open_bench(BenchSettings(station=file), request) as bench,
    ):
        return emulated, answers(bench, pulses)


def one(amplitude_v: float, width_s: float, *cells: tuple[int, int]) -> PulseMap:
    map_v = np.zeros((4, 4))
    for cell in cells:
        map_v[cell] = amplitude_v
    return PulseMap(map_v, width_s)


def test_reads_and_products_of_a_floating_array_have_the_sneak_paths_of_the_bench(
    tmp_path: Path,
) -> None:
    pulses = [one(2.0, 50e-3, (0, 1), (2, 3)), one(2.0, 50e-3, (2, 3))]
    emulated, seen = on_both(floating(), station(tmp_path), pulses)
    for wanted, found in zip(emulated, seen, strict=True):
        # A product of the bench is a sum of four reads.
        np.testing.assert_allclose(found.current_a, wanted.current_a, rtol=0, atol=4 * RESOLUTION_A)
    cells_a = READ_V * _cells_conductance_s()
    assert (emulated[0].current_a > 1.05 * cells_a).all()
    assert np.median(emulated[0].current_a / cells_a) > 1.5


def _cells_conductance_s() -> np.ndarray:
    procedure = load_procedure(PROCEDURE)
    request, _ = request_for(procedure, seed=procedure.seed)
    with SIM.open(procedure.backend_settings(SIM), request) as sim:
        return sim.read(ReadMap.every_cell((4, 4), read_v=1.0)).current_a


def test_cells_of_any_voltage_move_by_what_a_floating_pulse_leaves_them(tmp_path: Path) -> None:
    pulses = [one(1.0, 1e-3, (0, 1), (2, 0), (3, 3)), one(0.8, 1e-3, (2, 0), (1, 2))]
    emulated, seen = on_both(floating(*VTEAM), station(tmp_path), pulses)
    moved = emulated[-2].current_a / emulated[0].current_a - 1
    assert np.abs(moved).max() > 1e-2
    for wanted, found in zip(emulated, seen, strict=True):
        np.testing.assert_allclose(found.current_a, wanted.current_a, rtol=1e-4, atol=RESOLUTION_A)


def test_a_series_resistor_is_the_resistance_of_the_emulators_drivers(tmp_path: Path) -> None:
    procedure = floating(*VTEAM, "backends.sim.wires={driver_ohm: 20 ohm, sense_ohm: 10 ohm}")
    file = station(
        tmp_path,
        **{"  lines:": "  series_ohm: {row_smu: 20 ohm, col_smu: 10 ohm}\n  lines:"},
    )
    emulated, seen = on_both(procedure, file, [one(1.0, 1e-3, (0, 1), (2, 0))])
    for wanted, found in zip(emulated, seen, strict=True):
        np.testing.assert_allclose(found.current_a, wanted.current_a, rtol=1e-4, atol=RESOLUTION_A)


def trained(procedure: Procedure, backend: str, folder: Path) -> Record:
    path = folder / f"{backend}.h5"
    with suppress(NotConverged):
        run_hosted(procedure, folder / "station.yaml", backend, path).raise_unless_reached()
    return Record(path)


def test_five_updates_of_a_floating_training_are_the_emulators(tmp_path: Path) -> None:
    file = station(tmp_path)
    procedure = floating(
        "steps.0.settings.max_updates=5", f"backends.bench.station={file.as_posix()}"
    )
    with (
        trained(procedure, "bench", tmp_path) as bench,
        trained(procedure, "sim", tmp_path) as sim,
    ):
        seen, wanted = bench.results("train_manhattan"), sim.results("train_manhattan")
        held_out = [one.results("train_manhattan", "held_out") for one in (bench, sim)]
        pulses = [one.pulses_given() for one in (bench, sim)]
    for name in ("epoch", "pulses", "update", "converged"):
        np.testing.assert_array_equal(seen[name], wanted[name])
    np.testing.assert_array_equal(*pulses)
    assert pulses[0].sum() > 0
    np.testing.assert_allclose(
        seen["conductance_s"], wanted["conductance_s"], rtol=0, atol=RESOLUTION_A / READ_V
    )
    for name, values in held_out[0].items():
        np.testing.assert_allclose(values, held_out[1][name], rtol=1e-3, err_msg=name)

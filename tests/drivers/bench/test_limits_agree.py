"""Emulator and virtual bench mark the same currents as limited by a compliance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.array.operations import Flag, Reading, ReadMap, VectorBatch
from hwloop.backend.base import CrossbarBackend
from hwloop.execution.execute import request_for
from hwloop.procedure.procedure import load_procedure
from hwloop_drivers.bench.open import BenchSettings, open_bench
from hwloop_sim.emulator.backend import SIM
from tests.drivers.running_bench import PROCEDURE, copy_station, running_bench

pytestmark = pytest.mark.usefixtures("no_watchdog")

STATION = Path(__file__).parents[3] / "stations" / "virtual_4x4.yaml"
RESOLUTION_A = 10e-12  # Keithley 2400, 1 µA range
READ_V = 0.05
# No vector of one voltage on several rows: one output would drive them all.
VECTORS = VectorBatch(
    np.array([[0.01, -0.005, 0.01, 0.0], [0.0, 0.0, -0.2, 0.0], [-0.02, 0.2, 0, 0]])
)


def answers(array: CrossbarBackend) -> tuple[Reading, Reading]:
    every = ReadMap.every_cell((4, 4), read_v=READ_V, both_polarities=True)
    return array.read(every), array.multiply(VECTORS)


@pytest.mark.parametrize("scheme", ["V/2", "grounded", "floating"])
def test_a_row_at_its_compliance_spoils_the_same_reads_and_products_on_both(
    scheme: str, tmp_path: Path
) -> None:
    given = [f"array.biasing={scheme}", "array.limits.half_select_v=2.2 V"]
    free = load_procedure(PROCEDURE, given)
    request, _ = request_for(free, seed=22)
    with SIM.open(free.backend_settings(SIM), request) as sim:
        single_a = answers(sim)[0].current_a
    carried_a = single_a if scheme == "floating" else single_a.sum(axis=-1)
    bound_a = float(np.sort(carried_a.ravel())[carried_a.size // 2 - 1 :][:2].mean())

    procedure = load_procedure(PROCEDURE, [*given, f"array.limits.current_a={bound_a:.6e}"])
    file = copy_station(STATION, tmp_path, **{"scheme: V/2": f"scheme: {scheme}"})
    request, _ = request_for(procedure, seed=22)
    with SIM.open(procedure.backend_settings(SIM), request) as sim:
        emulated = answers(sim)
    request, _ = request_for(procedure, seed=22)
    with (
        running_bench(file, procedure),
        open_bench(BenchSettings(station=file), request) as bench,
    ):
        seen = answers(bench)
    for wanted, found in zip(emulated, seen, strict=True):
        np.testing.assert_array_equal(found.flags, wanted.flags)
        np.testing.assert_allclose(found.current_a, wanted.current_a, rtol=0, atol=3 * RESOLUTION_A)
    limited = emulated[0].flags == Flag.COMPLIANCE
    assert limited.sum() == 8
    beyond = carried_a > bound_a
    cells = beyond if scheme == "floating" else np.repeat(beyond[:, None], 4, axis=1)
    np.testing.assert_array_equal(limited, cells)
    assert (emulated[1].flags == Flag.COMPLIANCE).any()
    assert np.isfinite(emulated[1].current_a).any()

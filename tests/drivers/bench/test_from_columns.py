"""Vectors on the columns: stations whose rows measure answer as the emulator, others refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwloop.array.operations import VectorBatch
from hwloop.backend.kind import OpenRequest
from hwloop.errors import Unsupported
from hwloop.procedure.procedure import load_procedure
from hwloop_drivers.bench.open import BenchSettings, open_bench
from tests.drivers.running_bench import PROCEDURE, STATIONS, copy_station, running_bench

pytestmark = pytest.mark.usefixtures("no_watchdog")

BY_GENERATOR = "virtual_2450_33500b_3706a"
VECTORS_V = np.array([[0.1, -0.05, 0.02, 0.0], [0.1, 0.1, 0.0, 0.1]])


def _station(name: str, folder: Path) -> Path:
    return copy_station(next(one for one in STATIONS if one.stem == name), folder)


@pytest.mark.parametrize("name", [one.stem for one in STATIONS if one.stem != BY_GENERATOR])
def test_rows_that_measure_answer_as_the_emulator(name: str, tmp_path: Path) -> None:
    station, procedure = _station(name, tmp_path), load_procedure(PROCEDURE)
    request = OpenRequest(procedure.array, None, np.random.default_rng(procedure.seed))
    with (
        running_bench(station, procedure) as virtual,
        open_bench(BenchSettings.parse({"station": str(station)}), request) as bench,
    ):
        current_a = bench.multiply(VectorBatch(VECTORS_V, "cols")).current_a
        conductance_s = virtual.device.conductance_s
    np.testing.assert_allclose(current_a, VECTORS_V @ conductance_s.T, rtol=1e-3, atol=1e-9)


def test_a_generator_on_the_rows_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    station, procedure = _station(BY_GENERATOR, tmp_path), load_procedure(PROCEDURE)
    request = OpenRequest(procedure.array, None, np.random.default_rng(0))
    with (
        running_bench(station, procedure) as virtual,
        open_bench(BenchSettings.parse({"station": str(station)}), request) as bench,
    ):
        done = len(virtual.circuit.changes)
        for act in (bench.check, bench.perform):
            with pytest.raises(Unsupported, match="nothing measures at the rows here"):
                act(VectorBatch(VECTORS_V, "cols"))
        assert len(virtual.circuit.changes) == done

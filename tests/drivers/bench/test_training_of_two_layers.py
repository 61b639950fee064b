"""XOR in two layers: the emulator and a virtual bench over the network train alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hwloop.execution.reproduce import reproduce
from hwloop.procedure.procedure import Procedure, load_procedure
from hwloop.record.reader import Record
from tests.drivers.running_bench import ROOT, run_hosted

pytestmark = pytest.mark.usefixtures("no_watchdog")

LARGE = ROOT / "stations" / "networks" / "virtual_17x20.yaml"
FILE = ROOT / "procedures" / "learning" / "xor_2_4_1.yaml"


def _station(folder: Path) -> Path:
    """The station of 37 lines with the wires of the first eight rows and ten columns."""
    station = yaml.safe_load(LARGE.read_text(encoding="utf-8"))
    kept = {f"row{n}" for n in range(8)} | {f"col{n}" for n in range(10)}
    lines = station["wiring"]["lines"]
    station["wiring"]["lines"] = {name: lines[name] for name in lines if name in kept}
    station["virtual"]["procedure"] = FILE.as_posix()
    station["virtual"]["noise"] = False
    path = folder / "station.yaml"
    path.write_text(yaml.safe_dump(station), encoding="utf-8")
    return path


def _procedure(station: Path, *overrides: str) -> Procedure:
    given = [f"backends.bench.station={station.as_posix()}", "seed=4", *overrides]
    return load_procedure(FILE, given)


def test_one_array_takes_the_same_epochs_and_pulses_on_the_bench(tmp_path: Path) -> None:
    station, found = _station(tmp_path), {}
    procedure = _procedure(station)
    for backend in ("sim", "bench"):
        out = tmp_path / f"{backend}.h5"
        result = run_hosted(procedure, station, backend, out)
        assert result.outcomes["train_in_situ"].reached
        with Record(out) as record:
            pulses: list[Any] = [
                (one.operation.amplitude_v, one.operation.count)  # type: ignore[union-attr]
                for one in record.operations()
                if one.kind == "pulse"
            ]
            found[backend] = record.results("train_in_situ"), pulses
        same = reproduce(out)
        assert same.complete
    (sim, sim_pulses), (bench, bench_pulses) = found["sim"], found["bench"]
    np.testing.assert_array_equal(sim["epoch"], bench["epoch"])
    np.testing.assert_array_equal(sim["pulses"], bench["pulses"])
    assert len(sim_pulses) == len(bench_pulses) > 5
    for (sim_v, sim_count), (bench_v, bench_count) in zip(sim_pulses, bench_pulses, strict=True):
        np.testing.assert_array_equal(sim_v, bench_v)
        assert sim_count == bench_count
    np.testing.assert_allclose(sim["loss"], bench["loss"], rtol=1e-3)

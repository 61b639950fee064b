"""A station whose meter is PyMeasure's own driver trains the array as the emulator does."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from hwloop.errors import NotConverged
from hwloop.execution.runner import RunOptions, run_procedure
from hwloop.procedure.procedure import load_procedure
from hwloop.record.reader import Record
from hwloop.station.station import load_station
from hwloop_sim.emulator.backend import SIM
from hwloop_sim.virtual.bench.bench import VirtualBench
from tests.third_party.one_cell import needs

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, not ours

ROOT = Path(__file__).parents[2]
PROCEDURE = ROOT / "procedures" / "manhattan_4x4.yaml"
STATION = ROOT / "stations" / "virtual_4x4.yaml"
PAGE = ROOT / "docs" / "how-to" / "use-pymeasure-or-qcodes.md"
RESOLUTION_CONDUCTANCE_S = 10e-12 / 0.05  # of the 2400 in its 1 µA range, at 0.05 V


def _on_page() -> dict[str, object]:
    """The instrument that the page names."""
    block = re.search(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    smu: dict[str, object] = yaml.safe_load(block[1])["instruments"]["smu"]
    return smu


def _run(station: Path, out: Path, backend: str) -> Record:
    overrides = [
        f"backends.bench.station={station.as_posix()}",
        "steps.0.settings.max_updates=1",
    ]
    procedure = load_procedure(PROCEDURE, overrides)
    path = out / f"{backend}.h5"
    with pytest.raises(NotConverged):
        run_procedure(procedure, RunOptions(backend, path, seed=22)).raise_unless_reached()
    return Record(path)


@needs("pymeasure")
def test_training_with_the_meter_of_the_page_is_the_emulators(tmp_path: Path) -> None:
    procedure = load_procedure(PROCEDURE)
    bench = VirtualBench(
        load_station(STATION), procedure.array, procedure.backend_settings(SIM), seed=22
    )
    bench.start()
    try:
        text = yaml.safe_load(STATION.read_text(encoding="utf-8"))
        del text["virtual"]
        for name, entry in text["instruments"].items():
            entry["address"] = bench.addresses[name]
        text["instruments"]["col_smu"] = {**_on_page(), "address": bench.addresses["col_smu"]}
        station = tmp_path / "station.yaml"
        station.write_text(yaml.safe_dump(text), encoding="utf-8")
        with _run(station, tmp_path, "bench") as seen, _run(station, tmp_path, "sim") as wanted:
            for name in ("pulses", "update"):
                np.testing.assert_array_equal(
                    seen.results("train_manhattan", "")[name],
                    wanted.results("train_manhattan", "")[name],
                )
            np.testing.assert_allclose(
                seen.results("train_manhattan", "")["conductance_s"],
                wanted.results("train_manhattan", "")["conductance_s"],
                rtol=0,
                atol=RESOLUTION_CONDUCTANCE_S,
            )
        assert not any(bench.status()["outputs_on"].values())
    finally:
        bench.stop()

"""Every backend keeps to the contract of backends: the conformance suite on each of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import yaml

from hwloop.array.operations import PulseMap
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.guard import Guard
from hwloop.backend.kind import OpenRequest
from hwloop.procedure.procedure import Procedure, load_procedure
from hwloop.record.header import RunHeader
from hwloop.record.reader import Record
from hwloop.record.recorder import Recorder
from hwloop.record.replay import Replay
from hwloop.record.writer import RecordWriter
from hwloop.testing import check_backend
from hwloop_drivers.bench import open as opening
from hwloop_drivers.bench.backend import Bench
from hwloop_drivers.bench.open import BenchSettings, open_bench
from hwloop_sim.emulator.backend import SIM, open_sim
from tests.drivers.running_bench import (
    PROCEDURE,
    ROOT,
    STATIONS,
    NoWatchdog,
    copy_station,
    running_bench,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:(pymeasure|qcodes).*")

Make = Callable[[], CrossbarBackend]

ONE_TRANSISTOR = ROOT / "procedures" / "program_verify_1t1r_8x8.yaml"
PULSE = PulseMap(2.0 * np.eye(4), 50e-3)  # half-selected cells of this model stay where they are
GATED = PulseMap(1.5 * np.eye(8), 200e-9, gate_v=2.0)
READ_V = 0.05
RESOLUTION = 1e-4  # of a source meter's currents, relative
DROP = 1e-3  # across a generator's 50 ohm where it drives all rows at once, here 6 µS of cells
WIRES = "backends.sim.wires={row_ohm: 2 ohm, col_ohm: 2 ohm, driver_ohm: 50 ohm, sense_ohm: 50 ohm}"
CONVERTERS = (
    "backends.sim.converters={dac: {bits: 24, low_v: -1, high_v: 1},"
    " adc: {bits: 24, range: {kind: fixed, low_a: -1e-6, high_a: 1e-6}},"
    " tiles: {rows: 3, cols: 3}}"
)
EMULATORS = {
    "ideal": (PROCEDURE, (), None, 1e-9),
    "population": (PROCEDURE, (), 3, 1e-9),
    "wires": (PROCEDURE, (WIRES,), None, 1e-3),
    "wires_and_population": (PROCEDURE, (WIRES,), 3, 1e-3),
    "converters_and_tiles": (PROCEDURE, (CONVERTERS,), None, 1e-3),
    "one_transistor": (ONE_TRANSISTOR, ("backends.sim.effects=[]",), None, 1e-6),
}
METERS = {
    "pymeasure": "pymeasure.instruments.keithley.Keithley2400",
    "qcodes": "qcodes.instrument_drivers.Keithley.Keithley2400",
}
SERIAL = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")


@pytest.fixture(autouse=True)
def _no_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "Watchdog", NoWatchdog)


def _request(procedure: Procedure, population: int | None = None) -> OpenRequest:
    rng = np.random.default_rng(procedure.seed).spawn(2)[0]
    return OpenRequest(procedure.array, population, rng, procedure=procedure.resolved)


def _emulated(
    file: Path = PROCEDURE, overrides: tuple[str, ...] = (), population: int | None = None
) -> CrossbarBackend:
    procedure = load_procedure(file, overrides)
    return open_sim(procedure.backend_settings(SIM), _request(procedure, population))


@contextmanager
def _benches(
    folder: Path, station: Path, *, meter: str | None = None
) -> Iterator[Callable[[], Bench]]:
    """Make benches with arrays of their own, one at a time: each ends the one before.

    ``meter``: of another library, in the place of the driver on the columns.
    """
    procedure = load_procedure(PROCEDURE)
    with ExitStack() as stack:
        made: list[ExitStack] = []

        def make() -> Bench:
            for earlier in made:
                earlier.close()
            made.append(stack.enter_context(ExitStack()))
            place = folder / str(len(made))
            place.mkdir()
            path = copy_station(station, place)
            virtual = made[-1].enter_context(running_bench(path, procedure))
            if meter is not None:
                _replace_meter(path, meter, virtual.addresses)
            bench = open_bench(BenchSettings(station=path), _request(procedure))
            return made[-1].enter_context(bench)

        yield make


def _replace_meter(station: Path, library: str, addresses: dict[str, str]) -> None:
    data = yaml.safe_load(station.read_text(encoding="utf-8"))
    del data["virtual"]
    for name, entry in data["instruments"].items():
        entry["address"] = addresses[name]
    data["instruments"]["col_smu"] = {
        "kind": library,
        "address": addresses["col_smu"],
        "settings": {
            "class": METERS[library],
            "identity": "MODEL 2400",
            "most_v": 210,
            "least_a": "1 nA",
            "most_a": 1.05,
        },
    }
    station.write_text(yaml.safe_dump(data), encoding="utf-8")


class _Recordings:
    """Guarded recorders, and guarded replays in the order in which the recorders were made.

    Guarded, as a run's are: what an array's limits refuse never reaches a record.
    """

    def __init__(self, folder: Path, make: Make) -> None:
        self._folder, self._make = folder, make
        self._writers: list[RecordWriter] = []
        self._replayed = 0

    def record(self) -> CrossbarBackend:
        inner = self._make()
        header = RunHeader("run", load_procedure(PROCEDURE), 1, None, inner.description, "emulated")
        self._writers.append(RecordWriter(self._folder / f"{len(self._writers)}.h5", header))
        return Guard(Recorder(inner, self._writers[-1]), load_procedure(PROCEDURE).array)

    def replay(self) -> CrossbarBackend:
        writer = self._writers[self._replayed]
        if self._replayed == 0:
            for each in self._writers:
                each.finish("completed", pulses=np.zeros((4, 4), dtype=np.int64))
        self._replayed += 1
        return Guard(Replay(Record(writer.path)), load_procedure(PROCEDURE).array)


@pytest.mark.parametrize("name", EMULATORS)
def test_the_emulator_keeps_to_the_contract_of_backends(name: str) -> None:
    file, overrides, population, tolerance = EMULATORS[name]
    check_backend(
        lambda: _emulated(file, overrides, population),
        pulse=PULSE if file == PROCEDURE else GATED,
        read_v=READ_V,
        relative_tolerance=tolerance,
    )


@pytest.mark.parametrize(
    "station",
    [
        pytest.param(path, id=path.stem, marks=[SERIAL] if "serial" in path.stem else [])
        for path in STATIONS
    ],
)
def test_the_bench_of_a_station_keeps_to_the_contract_of_backends(
    tmp_path: Path, station: Path
) -> None:
    tolerance = DROP if "33500b" in station.stem else RESOLUTION
    with _benches(tmp_path, station) as make:
        check_backend(make, pulse=PULSE, read_v=READ_V, relative_tolerance=tolerance)


@pytest.mark.parametrize("library", METERS)
def test_a_bench_with_a_meter_of_another_library_keeps_to_the_contract_of_backends(
    tmp_path: Path, library: str
) -> None:
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed: pip install hwloop[third-party]")
    station = ROOT / "stations" / "virtual_4x4.yaml"
    # Found as instruments and not as a virtual bench: the run's clock is the computer's.
    with _benches(tmp_path, station, meter=library) as make:
        check_backend(make, pulse=PULSE, read_v=READ_V, relative_tolerance=RESOLUTION, instant=True)


def test_a_guarded_recorder_and_its_replay_keep_to_the_contract_of_backends(
    tmp_path: Path,
) -> None:
    recordings = _Recordings(tmp_path, _emulated)
    check_backend(recordings.record, pulse=PULSE, read_v=READ_V)
    check_backend(recordings.replay, pulse=PULSE, read_v=READ_V)


def test_a_recorded_bench_and_its_replay_keep_to_the_contract_of_backends(tmp_path: Path) -> None:
    with _benches(tmp_path, ROOT / "stations" / "virtual_2602b_707b.yaml") as make:
        recordings = _Recordings(tmp_path, make)
        check_backend(recordings.record, pulse=PULSE, read_v=READ_V, relative_tolerance=RESOLUTION)
    check_backend(recordings.replay, pulse=PULSE, read_v=READ_V, relative_tolerance=RESOLUTION)

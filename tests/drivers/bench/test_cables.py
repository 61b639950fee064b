"""Reads, pulses and relays of a bench wait until the cables are charged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwloop.array.operations import PulseMap, Ramp, ReadMap
from hwloop.backend.kind import OpenRequest
from hwloop.errors import ConfigError, Unsupported
from hwloop.procedure.procedure import Procedure, load_procedure
from hwloop.station.station import Station
from hwloop_drivers.bench.backend import Bench
from hwloop_drivers.bench.open import BenchSettings, dry_run_bench, open_bench
from hwloop_drivers.roles import Measured, Train, TrainPoint, VerifyLoop
from hwloop_drivers.station.cables import Cables
from hwloop_drivers.station.drives import BenchDrives
from hwloop_drivers.virtual_bench import HostTime
from hwloop_sim.virtual.bench.bench import VirtualBench
from tests.drivers.fake_bench import (
    AMPLITUDE_V,
    CELL,
    SHAPE,
    Matrix,
    Output,
    fake_array,
    fake_station,
    one_pulse,
)
from tests.drivers.running_bench import PROCEDURE, STATIONS, copy_station, running_bench

pytestmark = pytest.mark.usefixtures("no_watchdog")


class Told:
    """What happened on a bench, in order: levels, waits, readings, trains, relays."""

    def __init__(self) -> None:
        self.events: list[Any] = []


class TellingOutput(Output):
    def __init__(self, name: str, told: Told) -> None:
        self.__dict__.update(name=name, told=told, level_v=0.0)
        super().__init__()

    @property  # type: ignore[override]
    def source_voltage(self) -> float:
        return float(self.level_v)

    @source_voltage.setter
    def source_voltage(self, level_v: float) -> None:
        self.level_v = level_v
        self.told.events.append((self.name, level_v))

    def measure_current(self) -> Measured:
        self.told.events.append("reading")
        return Measured(0.0)

    def refuse_loop(self, loop: VerifyLoop) -> None:
        """Take every loop."""

    def verify_loop(self, loop: VerifyLoop) -> list[Measured]:
        self.told.events.append("loop")
        return [Measured(0.0)] * loop.max_pulses

    def apply_train(self, points: Sequence[TrainPoint]) -> Train:
        self.told.events.append("train")
        return Train()


class TellingMatrix(Matrix):
    def __init__(self, told: Told) -> None:
        self.told = told

    def close_channels(self, channels: Sequence[str]) -> None:
        self.told.events.append("relays")
        super().close_channels(channels)


class TellingTime(HostTime):
    def __init__(self, told: Told, settle_s: float) -> None:
        self.told, self.settle_s = told, settle_s

    def sleep(self, duration_s: float, check: Any = None) -> None:
        if duration_s != self.settle_s:  # of the relays
            self.told.events.append(("wait", pytest.approx(duration_s)))


def _told_bench() -> tuple[Bench, Told]:
    """500 nF at 1 mA: 0.5 ms a volt."""
    told, data = Told(), fake_station("V/2")
    data["wiring"]["cable_f"] = "500 nF"
    station = Station.parse(data)
    instruments: dict[str, Any] = {
        name: TellingMatrix(told) if name == "matrix" else TellingOutput(name, told)
        for name in station.instruments
    }
    bench = Bench(station, fake_array("V/2"), BenchDrives.of(station, instruments))
    bench.connect(TellingTime(told, station.settle_s), {}, [])
    told.events.clear()
    return bench, told


def test_reading_waits_for_every_step_of_its_level_and_relays_for_the_last() -> None:
    bench, told = _told_bench()
    cell = np.zeros(SHAPE, np.bool_)
    cell[CELL] = True
    bench.read(ReadMap(cell, read_v=0.1, both_polarities=True))
    assert told.events[told.events.index(("on_rows", 0.1)) :] == [
        ("on_rows", 0.1),
        ("wait", 50e-6),
        "reading",
        ("on_rows", -0.1),
        ("wait", 100e-6),  # a step of 0.2 V
        "reading",
        ("on_rows", 0.0),
        ("wait", 50e-6),
    ]


def test_pulse_waits_for_the_held_lines_and_after_it_for_the_row() -> None:
    bench, told = _told_bench()
    bench.pulse(one_pulse("V/2"))
    half = pytest.approx(AMPLITUDE_V / 2 * 0.5e-3)
    assert told.events[told.events.index(("on_columns", -AMPLITUDE_V / 2)) :] == [
        ("on_columns", -AMPLITUDE_V / 2),
        ("wait", half),
        "train",
        ("wait", half),  # the row, from its last pulse to 0 V
        ("on_columns", 0.0),
        ("wait", half),
    ]


def test_pulse_shorter_than_the_cable_allows_is_refused_by_check_with_the_figure() -> None:
    # 0.6 V on the row, 500 nF, 1 mA: 0.3 ms.
    bench, _ = _told_bench()
    amplitude_v = one_pulse("V/2").amplitude_v
    bench.check(PulseMap(amplitude_v, 0.31e-3))
    with pytest.raises(Unsupported, match=r"width_s 290 µs is below the 300 µs in which the cable"):
        bench.check(PulseMap(amplitude_v, 0.29e-3))


def test_ramp_is_not_left_to_an_instrument_that_would_not_wait_for_its_cable() -> None:
    bench, told = _told_bench()
    start_v = one_pulse("V/2").amplitude_v
    bench.ramp(Ramp(start_v, 0 * start_v, 1e-3, 2, 0.1, 1.0, 2.0))
    assert "loop" not in told.events
    read_at = [n for n, event in enumerate(told.events) if event == "reading"]
    assert [told.events[n - 1] for n in read_at] == [("wait", 50e-6)] * 2


def _procedure(**overrides: object) -> Procedure:
    return load_procedure(PROCEDURE, [f"{key}={value}" for key, value in overrides.items()])


def _request(procedure: Procedure) -> OpenRequest:
    rng = np.random.default_rng(0)
    return OpenRequest(procedure.array, None, rng, procedure=procedure.resolved)


def _station(folder: Path, stem: str, cable: str) -> Path:
    station = next(path for path in STATIONS if path.stem == stem)
    return copy_station(station, folder, **{"wiring:\n": f"wiring:\n  cable_f: {cable}\n"})


@contextmanager
def _open(station: Path, procedure: Procedure) -> Iterator[tuple[Bench, VirtualBench]]:
    with (
        running_bench(station, procedure) as virtual,
        open_bench(BenchSettings(station=station), _request(procedure), watch_lines=False) as bench,
    ):
        yield bench, virtual


@pytest.mark.parametrize("stem", ["virtual_4x4", "virtual_2602b_707b"])
@pytest.mark.parametrize("waits", [True, False])
def test_reading_on_the_box_is_right_with_the_wait_and_wrong_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stem: str, waits: bool
) -> None:
    # 15 uF by 0.15 V at 10 uA: 225 ms, more than the few readings of 20 ms of an automatic range.
    procedure = _procedure(**{"array.limits.current_a": "10 uA"})
    station = _station(tmp_path, stem, "15 uF")
    if not waits:
        monkeypatch.setattr(Cables, "wait_s", lambda *_: 0.0)
    with _open(station, procedure) as (bench, virtual):
        seen_a = bench.read(ReadMap.every_cell((4, 4), read_v=0.15)).current_a
        true_a = 0.15 * virtual.device.conductance_s
    if waits:
        np.testing.assert_allclose(seen_a, true_a, rtol=2e-3, atol=20e-12)
    else:  # the first cell: what is left on the cable then is on its way to the next
        assert abs(seen_a[0, 0]) < 0.9 * true_a[0, 0]


def test_bench_with_a_cable_runs_its_ramps_itself_so_that_every_read_waits(tmp_path: Path) -> None:
    procedure = _procedure()
    for cable, one_by_one in (("0", False), ("500 pF", True)):
        station = BenchSettings(station=_station(tmp_path, "virtual_2602b_707b", cable))
        bench = dry_run_bench(station, _request(procedure))
        assert (bench.description.verify_steps == 1) == one_by_one


def test_station_whose_cable_takes_too_long_is_refused_with_its_key(tmp_path: Path) -> None:
    # 3 V, 10 uF and 1 uA: 30 s.
    settings = BenchSettings(station=_station(tmp_path, "virtual_4x4", "10 uF"))
    request = _request(_procedure(**{"array.limits.current_a": "1 uA"}))
    with pytest.raises(ConfigError, match=r"wiring\.cable_f: the cable of the .* by 3 V in 30 s"):
        dry_run_bench(settings, request)

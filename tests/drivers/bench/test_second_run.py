"""A second run on a station that is in use, and an emergency stop during a run."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hwloop.array.operations import ReadMap
from hwloop.backend.base import CrossbarBackend
from hwloop.backend.kind import OpenRequest
from hwloop.cli.main import app
from hwloop.errors import BackendError, InstrumentInUse
from hwloop.procedure.procedure import load_procedure
from hwloop.station.station import load_station
from hwloop_drivers.bench.open import BenchSettings, open_bench
from hwloop_drivers.links.instrument_locks import Holder, hold
from hwloop_drivers.safety import by_hand
from hwloop_drivers.safety.by_hand import make_safe_by_hand
from hwloop_drivers.safety.watchdog import Watchdog
from hwloop_sim.virtual.bench.bench import VirtualBench
from tests.drivers.running_bench import PROCEDURE, ROOT, copy_station, running_bench

STATION = ROOT / "stations" / "virtual_4x4.yaml"
READ = ReadMap(np.ones((4, 4), dtype=np.bool_), 0.2)
Open = Callable[[str], CrossbarBackend]


@pytest.fixture
def station(tmp_path: Path) -> Path:
    return copy_station(STATION, tmp_path)


@pytest.fixture
def virtual(station: Path) -> Iterator[VirtualBench]:
    with running_bench(station, load_procedure(PROCEDURE)) as bench:
        yield bench


@pytest.fixture
def opens(station: Path, tmp_path: Path, virtual: VirtualBench) -> Open:
    """``opens(name)``: open the station's bench for a run of this name."""
    procedure = load_procedure(PROCEDURE)

    def open_it(name: str) -> CrossbarBackend:
        request = OpenRequest(
            procedure.array, None, np.random.default_rng(0), record=tmp_path / f"{name}.h5"
        )
        return open_bench(BenchSettings.parse({"station": str(station)}), request)

    return open_it


def test_second_run_is_refused_before_it_sends_anything_and_the_first_reads_on_alike(
    opens: Open, virtual: VirtualBench, tmp_path: Path
) -> None:
    with opens("first") as first:
        before = first.perform(READ)
        sent = dict(virtual.messages)
        for _ in range(3):
            with pytest.raises(InstrumentInUse, match=str(tmp_path / "first.h5")):
                opens("second")
        assert virtual.messages == sent
        after = first.perform(READ)
        assert before is not None
        assert after is not None
        np.testing.assert_allclose(after.current_a, before.current_a, rtol=1e-2)
    with opens("third") as third:
        assert third.perform(READ) is not None


@pytest.mark.parametrize("command", ["run", "check"])
def test_command_that_opens_a_station_is_refused_with_exit_code_4(
    opens: Open, station: Path, tmp_path: Path, command: str
) -> None:
    extra = {
        "run": ["--out", str(tmp_path / "second.h5")],
        "check": ["--touch"],
    }[command]
    arguments = [command, str(PROCEDURE), "--backend", "bench", "--station", str(station), *extra]
    with opens("first"):
        done = CliRunner().invoke(app, arguments)
    said = " ".join(f"{done.output} {done.exception}".split())
    assert "in use by a run of station" in said
    code = getattr(done.exception, "exit_code", done.exit_code)
    assert code == 4


def test_watchdog_has_the_instruments_of_its_run_until_it_has_made_them_safe(
    station: Path, virtual: VirtualBench, opens: Open
) -> None:
    loaded = load_station(station)
    locks = hold(virtual.addresses, Holder("a run", loaded.name))
    watchdog = Watchdog(loaded, virtual.addresses, locks=locks)
    locks.release()  # as when the run is killed
    with pytest.raises(InstrumentInUse, match="the watchdog of a run"):
        opens("second")
    said = watchdog.release(safe=False)
    assert "every output is off and every line grounded" in str(said)
    with opens("third"):
        pass


def test_emergency_stop_during_a_run_ends_it_and_leaves_every_output_off(
    opens: Open, station: Path, virtual: VirtualBench
) -> None:
    began = threading.Event()
    ended: list[BackendError] = []

    def run() -> None:
        try:
            with opens("first") as bench:
                while True:
                    bench.perform(READ)
                    began.set()
        except BackendError as exc:
            ended.append(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert began.wait(60)
    notes: list[str] = []
    done = make_safe_by_hand(load_station(station), virtual.addresses, note=notes.append)
    thread.join(60)
    assert [line.split(":")[0] for line in done] == ["row_smu", "col_smu", "matrix"]
    assert "in use by a run of station" in notes[0]
    assert "It is told to stop" in notes[0]
    (error,) = ended
    assert "stopped by hand" in str(error) or "gone off by itself" in str(error)
    status = virtual.status()
    assert not any(status["outputs_on"].values())
    assert set(status["lines_v"].values()) == {0.0}


def test_emergency_stop_says_when_the_run_does_not_end(
    opens: Open, station: Path, virtual: VirtualBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_hand, "END_S", 0.1)
    with opens("first"):  # computes, and sends nothing
        with pytest.raises(InstrumentInUse, match=r"not ended within .* may switch outputs on"):
            make_safe_by_hand(load_station(station), virtual.addresses, note=lambda _: None)
        assert not any(virtual.status()["outputs_on"].values())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_emergency_stop_beside_the_stopped_watchdog_of_a_dead_run_makes_safe_and_says_what_to_do(
    station: Path, virtual: VirtualBench
) -> None:
    loaded = load_station(station)
    locks = hold(virtual.addresses, Holder("a run", loaded.name))
    watchdog = Watchdog(loaded, virtual.addresses, locks=locks)
    locks.release()  # as when the run is killed
    os.kill(watchdog._process.pid, signal.SIGSTOP)
    os.waitpid(watchdog._process.pid, os.WUNTRACED)  # returns when it is
    try:
        notes: list[str] = []
        done = make_safe_by_hand(loaded, virtual.addresses, note=notes.append)
        assert [line.split(":")[0] for line in done] == ["row_smu", "col_smu", "matrix"]
        assert f"`kill -9 {watchdog._process.pid}` ends it" in notes[0]
        assert "told to stop" not in notes[0]
        assert notes[-1] == "the bench is safe, but no run can begin until that watchdog has ended"
    finally:
        watchdog.release(safe=True)

"""The watching process from inside: what it is told, when it acts, and what it says."""

from __future__ import annotations

import copy
import io
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hwloop.errors import BackendError
from hwloop.station.station import Station, load_station
from hwloop_drivers.links.instrument_locks import Holder, hold, hold_for_watchdog
from hwloop_drivers.safety import make_safe
from hwloop_drivers.safety import watchdog_process as watchdog
from hwloop_drivers.safety.watchdog import report_path

STATION = load_station(Path(__file__).parents[3] / "stations" / "virtual_4x4.yaml").model_dump(
    mode="json"
)
ADDRESSES = dict.fromkeys(("row_smu", "col_smu", "matrix"), "TCPIP::127.0.0.1::1::SOCKET")
Watch = Callable[..., int]


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """The watching process ignores signals that these tests share with their own process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Watch:
    """``watch(*lines, station=..., ...)``: watch a station until the lines end; the exit code."""

    def run(
        *lines: str,
        station: dict[str, Any] = STATION,
        report: str = "",
        control: str = "",
        locked: Sequence[str] = (),
    ) -> int:
        told = {
            "station": station,
            "addresses": ADDRESSES,
            "report": report,
            "control": control,
            "locked": locked,
            "record": "run.h5",
        }
        text = "\n".join([json.dumps(told), *lines])
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        return watchdog.main()

    return run


@pytest.fixture
def made_safe(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, str]]]:
    """The stations, with their addresses, that were made safe; each says that it was."""
    done: list[tuple[str, dict[str, str]]] = []

    def make_station_safe(
        station: Station, addresses: dict[str, str], *, note: Callable[[str], None]
    ) -> list[str]:
        done.append((station.name, addresses))
        note("relays are moved")
        return ["row_smu: safe", "matrix: safe"]

    monkeypatch.setattr(make_safe, "make_station_safe", make_station_safe)
    return done


def test_run_that_says_it_is_done_is_left_alone(
    watch: Watch, made_safe: list[Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    report = tmp_path / "run.watchdog.txt"
    assert watch("something else", " done ", report=str(report)) == 0
    assert made_safe == []
    assert capsys.readouterr() == ("watching\n", "")
    assert not report.exists()


@pytest.mark.parametrize("lines", [(), ("something else",)])
def test_input_that_ends_without_a_word_makes_the_station_safe_and_says_so_everywhere(
    watch: Watch,
    made_safe: list[Any],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    lines: tuple[str, ...],
) -> None:
    report = tmp_path / "run.watchdog.txt"
    assert watch(*lines, report=str(report)) == 0
    assert made_safe == [("virtual_4x4", ADDRESSES)]
    wanted = [
        "the run has ended without making the bench safe; doing it now",
        "relays are moved",
        "row_smu: safe",
        "matrix: safe",
        "every output is off and every line grounded",
    ]
    out, error = capsys.readouterr()
    assert out.splitlines() == ["watching", *wanted]
    assert error.splitlines() == [f"hwloop watchdog: {words}" for words in wanted]
    written = [line.split(" ", 1) for line in report.read_text(encoding="utf-8").splitlines()]
    assert [words for _, words in written] == wanted
    assert all(len(stamp) == len("2024-01-31T12:00:00+00:00") for stamp, _ in written)


def test_whatever_goes_wrong_is_its_last_word_and_its_exit_code(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    errors = (
        BackendError("NOT EVERYTHING IS SAFE: row_smu"),
        ZeroDivisionError("a bug"),
        SystemExit("from a file named serial.py"),
        KeyboardInterrupt("a key"),
    )
    for error in errors:

        def fail(*_: object, error: BaseException = error, **__: object) -> list[str]:
            raise error

        monkeypatch.setattr(make_safe, "make_station_safe", fail)
        assert watch() == 1
        assert capsys.readouterr().out.splitlines()[-1] == str(error)


def test_station_with_a_driver_that_is_not_there_is_told_before_it_watches(
    watch: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    station = copy.deepcopy(STATION)
    station["instruments"]["row_smu"]["kind"] = "keithley_0000"
    assert watch("done", station=station) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("hwloop watchdog: instruments.row_smu.kind")
    assert "keithley_0000" in error


def test_signals_of_the_run_are_ignored_from_the_first_moment(
    watch: Watch, made_safe: list[Any]
) -> None:
    assert watch("done") == 0
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_virtual_bench_is_held_by_a_connection_until_it_has_been_made_safe(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[bool] = []

        def make_station_safe(*_: object, **__: object) -> list[str]:
            connection, _ = server.accept()
            connection.setblocking(False)
            with connection, pytest.raises(BlockingIOError):  # open, and nothing said
                connection.recv(1)
            held.append(True)
            return []

        monkeypatch.setattr(make_safe, "make_station_safe", make_station_safe)
        assert watch(control=f"127.0.0.1:{server.getsockname()[1]}") == 0
        assert held == [True]


class _Pipe:
    """The input of the watching process: lines, and the seconds that pass before each."""

    def __init__(self, first: str, *lines: tuple[float, str]) -> None:
        self._first, self._lines = first, lines

    def readline(self) -> str:
        return self._first + "\n"

    def __iter__(self) -> Iterator[str]:
        for pause_s, line in self._lines:
            time.sleep(pause_s)
            yield line + "\n"


def test_watchdog_that_cannot_lock_its_instruments_does_not_watch(
    watch: Watch, made_safe: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with hold({"row_smu": "GPIB::24"}, Holder("a run")) as locks:
        paths = [str(path) for path in locks.paths]
        with hold_for_watchdog(locks.paths, "lab", ""):
            assert watch("done", locked=paths) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert "in use by the watchdog of a run of station lab" in error
    assert made_safe == []


def _told() -> str:
    told = {"station": STATION, "addresses": ADDRESSES, "report": "", "control": ""}
    return json.dumps({**told, "locked": [], "record": ""})


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LATE_S", 0.1)
    monkeypatch.setattr(watchdog, "POLL_S", 0.02)


@pytest.mark.usefixtures("quick")
def test_run_that_stands_still_while_a_level_stands_is_made_safe(
    monkeypatch: pytest.MonkeyPatch, made_safe: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", _Pipe(_told(), (0.0, "expect 0.1"), (60.0, "done")))
    assert watchdog.main() == 0
    assert [name for name, _ in made_safe] == ["virtual_4x4"]
    said = capsys.readouterr().out.splitlines()
    assert said[1] == (
        "the run did not move for 0.2 s while levels could stand; making the bench safe"
    )
    assert said[-1] == "every output is off and every line grounded"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "lines",
    [
        [(0.0, "idle"), (0.5, "done")],
        [(0.0, "expect 30"), (0.5, "done")],
        [(0.0, "expect 0.1"), (0.0, "expect 30"), (0.5, "done")],
        [(0.0, "expect 0.1"), (0.0, "idle"), (0.5, "done")],
    ],
)
def test_run_that_is_idle_or_within_its_time_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, made_safe: list[Any], lines: list[tuple[float, str]]
) -> None:
    monkeypatch.setattr("sys.stdin", _Pipe(_told(), *lines))
    assert watchdog.main() == 0
    assert made_safe == []


def test_ping_is_answered_and_nothing_else(
    watch: Watch, made_safe: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert watch("ping", "idle", "ping", "done") == 0
    assert capsys.readouterr().out.splitlines() == ["watching", "pong", "pong"]
    assert made_safe == []


@pytest.mark.usefixtures("quick")
def test_run_that_only_asks_for_answers_does_not_move(
    monkeypatch: pytest.MonkeyPatch, made_safe: list[Any]
) -> None:
    pings = [(0.01, "ping")] * 6000  # for a minute, where nothing ends it
    monkeypatch.setattr("sys.stdin", _Pipe(_told(), (0.0, "expect 0.1"), *pings, (0.0, "done")))
    assert watchdog.main() == 0
    assert [name for name, _ in made_safe] == ["virtual_4x4"]


def test_report_stands_beside_the_record_of_its_run() -> None:
    assert report_path(Path("runs/one.h5")) == Path("runs/one.watchdog.txt")

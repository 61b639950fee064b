"""The watching process from inside: what it is told, when it acts, and what it says."""

from __future__ import annotations

import io
import json
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hwloop.errors import BackendError
from hwloop.station.station import Station
from hwloop_drivers.safety import make_safe, watchdog

STATION = Path(__file__).parents[3] / "stations" / "virtual_4x4.yaml"
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
        station: Path = STATION,
        addresses: dict[str, str] = ADDRESSES,
        report: str = "",
        control: str = "",
    ) -> int:
        told = {
            "station": str(station),
            "addresses": addresses,
            "report": report,
            "control": control,
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
    for error in (BackendError("NOT EVERYTHING IS SAFE: row_smu"), ZeroDivisionError("a bug")):

        def fail(*_: object, error: Exception = error, **__: object) -> list[str]:
            raise error

        monkeypatch.setattr(make_safe, "make_station_safe", fail)
        assert watch() == 1
        assert capsys.readouterr().out.splitlines()[-1] == str(error)


def test_station_that_cannot_be_read_is_told_before_it_watches(
    watch: Watch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert watch("done", station=tmp_path / "none.yaml") == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("hwloop watchdog: ")
    assert "none.yaml" in error


def test_address_that_no_link_can_reach_is_told_before_it_watches(
    watch: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert watch("done", addresses={**ADDRESSES, "col_smu": "the second shelf"}) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert "instruments.col_smu.address" in error
    assert "the second shelf" in error


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


def test_report_stands_beside_the_record_of_its_run() -> None:
    assert watchdog.report_path(Path("runs/one.h5")) == Path("runs/one.watchdog.txt")

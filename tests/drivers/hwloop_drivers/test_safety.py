"""The most telling rows of the safety table; `make safety` has them all."""

import random
import sys
import threading
import time
from pathlib import Path

import pytest

from benchmarks.safety import incidents, row, try_station
from benchmarks.safety_case import Seen
from hwloop.errors import BackendError, ConnectionLost
from hwloop.station import load_station
from hwloop_drivers import safe
from hwloop_drivers.safe import make_all_safe
from hwloop_drivers.watchdog import Watchdog, report_path

STATION = Path(__file__).parents[3] / "stations" / "virtual_4x4.yaml"
TELLING = (
    "nothing: the run ends by itself",
    "an exception in the step",
    "SIGKILL, the virtual bench is the run's own",
    "row_smu stops in the middle of a pulse",
    "row_smu stops in the middle of a pulse and disappears",
    "matrix disappears and refuses new links",
)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_every_output_is_off_and_the_record_whole_whatever_happens(tmp_path: Path) -> None:
    every = {i.words: i for i in incidents(load_station(STATION), random.Random(1))}  # noqa: S311 - no secret
    chosen = [every[words] for words in TELLING]
    for incident, seen in try_station(
        STATION, chosen, tmp_path, timeout_s=0.5, updates=2, at_once=3
    ):
        assert isinstance(seen, Seen), f"{incident.words}: {seen}"
        assert seen.faults(incident) == [], f"{row(incident, seen)}\n{seen.words}"
        if "disappears" not in incident.words:
            assert seen.left_on == seen.not_grounded == []
        if incident.words.endswith("and disappears"):
            assert seen.left_on == ["row_smu"]
            assert "row_smu may still be ON, switch it off by hand" in seen.words
            assert "relays are moved although row_smu may still be on" in seen.words


def _station() -> safe.Station:
    return load_station(STATION)


def test_sources_do_not_wait_for_each_other_and_the_matrix_for_all() -> None:
    meet = threading.Barrier(2, timeout=10)  # passed only if both are there at once
    order: list[str] = []

    def make_one(name: str) -> str:
        if name != "matrix":
            meet.wait()
        order.append(name)
        return f"{name}: safe"

    words = make_all_safe(_station(), ["matrix", "row_smu", "col_smu"], make_one, note=order.append)
    assert words == ["row_smu: safe", "col_smu: safe", "matrix: safe"]
    assert order[-1] == "matrix"
    assert sorted(order[:2]) == ["col_smu", "row_smu"]


def test_source_that_does_not_come_back_is_named_and_the_lines_grounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(safe, "ROUND_S", 0.2)
    ended = threading.Event()
    notes: list[str] = []
    done: list[str] = []

    def make_one(name: str) -> str:
        if name == "row_smu":
            ended.wait(10)
        done.append(name)
        return f"{name}: safe"

    with pytest.raises(
        BackendError, match=r"NOT EVERYTHING IS SAFE: row_smu may still be ON.*0\.2 s"
    ):
        make_all_safe(_station(), ["row_smu", "col_smu", "matrix"], make_one, note=notes.append)
    assert done == ["col_smu", "matrix"]
    assert notes == ["relays are moved although row_smu may still be on"]
    ended.set()


def test_unexpected_error_of_one_instrument_keeps_no_other_on() -> None:
    done: list[str] = []

    def make_one(name: str) -> str:
        if name == "col_smu":
            raise ZeroDivisionError("a bug in a driver")
        done.append(name)
        return name

    with pytest.raises(BackendError, match=r"col_smu may still be ON.*a bug in a driver"):
        make_all_safe(_station(), ["row_smu", "col_smu", "matrix"], make_one, note=done.append)
    assert "row_smu" in done
    assert "matrix" in done


def test_box_with_one_socket_gets_time_to_notice_that_the_old_link_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(safe, "PAUSE_S", 0.01)
    tries: list[str] = []

    class Slot:
        name = "row_smu"

        def open(self) -> object:
            tries.append("open")
            raise ConnectionLost("refused")

    with pytest.raises(ConnectionLost, match="refused"):
        safe.make_safe_afresh(_station(), Slot())  # type: ignore[arg-type]
    assert len(tries) == 3


ADDRESSES = dict.fromkeys(("row_smu", "col_smu", "matrix"), "TCPIP::127.0.0.1::1::SOCKET")


def test_watchdog_that_is_let_go_says_and_writes_nothing(tmp_path: Path) -> None:
    watchdog = Watchdog(STATION, ADDRESSES, record=tmp_path / "r.h5")
    assert watchdog.release(safe=True) is None
    assert list(tmp_path.iterdir()) == []


def test_watchdog_that_reaches_nothing_says_so_in_a_file_beside_the_record(tmp_path: Path) -> None:
    watchdog = Watchdog(STATION, ADDRESSES, record=tmp_path / "r.h5")
    said = watchdog.release(safe=False)
    assert said is not None
    assert "NOT EVERYTHING IS SAFE" in said
    written = report_path(tmp_path / "r.h5").read_text(encoding="utf-8")
    for name in ("row_smu may still be ON", "col_smu may still be ON", "matrix may still connect"):
        assert name in said
        assert name in written


def test_watchdog_that_has_died_is_reported(tmp_path: Path) -> None:
    watchdog = Watchdog(STATION, ADDRESSES)
    watchdog._process.kill()
    watchdog._process.wait()
    assert "had ended with -9 before the run did" in str(watchdog.release(safe=True))


def test_watchdog_that_cannot_read_its_station_does_not_start(tmp_path: Path) -> None:
    began_s = time.monotonic()
    with pytest.raises(BackendError, match="did not start; without it nothing is switched on"):
        Watchdog(tmp_path / "none.yaml", ADDRESSES)
    assert time.monotonic() - began_s < 30

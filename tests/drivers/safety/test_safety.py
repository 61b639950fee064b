"""The most telling rows of the safety table; `make safety` has them all."""

import dataclasses
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.safety import incidents, try_station
from benchmarks.safety_page import row
from benchmarks.safety_seen import Seen
from hwloop.errors import BackendError, ConnectionLost, UnexpectedReply
from hwloop.station.station import load_station
from hwloop_drivers.safety import make_safe as safe
from hwloop_drivers.safety.make_safe import make_all_safe
from hwloop_drivers.safety.watchdog import Watchdog, report_path

STATION = Path(__file__).parents[3] / "stations" / "virtual_4x4.yaml"
STOPPED_S = 25.0  # the watchdog acts 12 s after the last message
TELLING = (
    "nothing: the run ends by itself",
    "an exception in the step",
    "SIGKILL, the virtual bench is the run's own",
    "the station file is deleted, then SIGKILL",
    "the station file is half saved, then SIGKILL",
    "the watchdog is killed in the middle of a pulse",
    "the watchdog is stopped in the middle of a pulse",
    "SIGSTOP in the middle of a pulse, SIGCONT after 60 s",
    "SIGKILL, the run's folder is full of traps",
    "row_smu answers a stream without end",
    "row_smu stops in the middle of a pulse",
    "row_smu stops in the middle of a pulse and disappears",
    "matrix disappears and refuses new links",
)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_every_output_is_off_and_the_record_whole_whatever_happens(tmp_path: Path) -> None:
    every = {i.words: i for i in incidents(load_station(STATION), random.Random(1))}  # noqa: S311 - no secret
    chosen = [
        dataclasses.replace(every[words], pause_s=min(every[words].pause_s, STOPPED_S))
        for words in TELLING
    ]
    for incident, seen in try_station(
        STATION, chosen, tmp_path, timeout_s=0.5, updates=4, at_once=3
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


def test_generator_lets_go_of_its_line_only_after_the_others_are_at_0_v(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order: list[str] = []

    def make_one(name: str) -> str:
        time.sleep(0.1 if name == "col_smu" else 0.0)
        order.append(name)
        return name

    names = ["row_smu", "col_smu", "matrix"]
    make_all_safe(_station(), names, make_one, note=order.append, last=["row_smu"])
    assert order == ["col_smu", "row_smu", "matrix"]
    monkeypatch.setattr(safe, "GRACE_S", 0.01)
    order.clear()
    make_all_safe(_station(), names, make_one, note=order.append, last=["row_smu"])
    assert order == ["row_smu", "col_smu", "matrix"]  # it does not wait long for one that hangs


@pytest.mark.parametrize(
    ("ends", "rests", "order"),
    [
        # the other source is off at once: the generator follows, then the matrix
        ("safe", True, ["rest", "col_smu", "row_smu", "matrix"]),
        # it fails: the generator, at 0 V, holds its line until it is grounded
        ("fails", True, ["rest", "matrix", "row_smu"]),
        ("hangs", True, ["rest", "matrix", "row_smu"]),
        # the generator cannot be brought to 0 V: it is switched off without waiting
        ("fails", False, ["rest", "row_smu", "matrix"]),
        ("hangs", False, ["rest", "row_smu", "matrix"]),
    ],
)
def test_generator_holds_its_line_at_0_v_until_it_is_grounded_where_another_source_is_lost(
    monkeypatch: pytest.MonkeyPatch, ends: str, rests: bool, order: list[str]
) -> None:
    monkeypatch.setattr(safe, "GRACE_S", 0.1)
    monkeypatch.setattr(safe, "ROUND_S", 0.3)
    ended, done = threading.Event(), list[str]()

    def make_one(name: str) -> str:
        if name == "col_smu" and ends != "safe":
            ended.wait(10 if ends == "hangs" else 0)
            raise BackendError("lost")
        done.append(name)
        return f"{name}: safe"

    def rest(name: str) -> bool:
        assert name == "row_smu"
        done.append("rest")
        return rests

    def make() -> list[str]:
        return make_all_safe(
            _station(),
            ["row_smu", "col_smu", "matrix"],
            make_one,
            note=lambda _: None,
            last=["row_smu"],
            rest=rest,
        )

    if ends == "safe":
        assert sorted(make()) == ["col_smu: safe", "matrix: safe", "row_smu: safe"]
        assert sorted(done[:2]) == ["col_smu", "rest"]
        assert done[2:] == order[2:]
    else:
        with pytest.raises(BackendError, match=r"SAFE: col_smu may still be ON") as caught:
            make()
        assert "row_smu may" not in str(caught.value)
        assert "row_smu: safe" in str(caught.value)
        assert done == order
    ended.set()


def test_generator_that_held_its_line_and_cannot_be_switched_off_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(safe, "GRACE_S", 0.1)

    def make_one(name: str) -> str:
        if name != "matrix":
            raise BackendError("lost")
        return "matrix: safe"

    with pytest.raises(
        BackendError, match=r"col_smu may still be ON.*row_smu may still be ON.*Done: matrix: safe"
    ):
        make_all_safe(
            _station(),
            ["row_smu", "col_smu", "matrix"],
            make_one,
            note=lambda _: None,
            last=["row_smu"],
            rest=lambda _: True,
        )


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


@pytest.mark.parametrize(
    "ends", [SystemExit, SystemExit(0), KeyboardInterrupt("Ctrl-C"), GeneratorExit, MemoryError]
)
@pytest.mark.parametrize("ended", ["row_smu", "col_smu", "matrix"])
def test_instrument_whose_thread_ended_in_any_way_without_an_answer_is_not_safe(
    ends: BaseException, ended: str
) -> None:
    done: list[str] = []

    def make_one(name: str) -> str:
        if name == ended:
            raise ends
        done.append(name)
        return f"{name}: safe"

    with pytest.raises(BackendError, match=f"NOT EVERYTHING IS SAFE: {ended} may still"):
        make_all_safe(_station(), ["row_smu", "col_smu", "matrix"], make_one, note=done.append)
    assert {"row_smu", "col_smu", "matrix"} - {ended} <= set(done)


def test_program_that_exits_in_every_thread_leaves_every_instrument_named() -> None:
    with pytest.raises(BackendError) as caught:
        make_all_safe(
            _station(), ["row_smu", "col_smu", "matrix"], lambda _: sys.exit(), note=print
        )
    for name in ("row_smu may still be ON", "col_smu may still be ON", "matrix may still connect"):
        assert name in str(caught.value)


@pytest.mark.parametrize("last", [[], ["row_smu"]])
def test_instrument_whose_thread_cannot_start_is_not_safe_and_the_others_are(
    monkeypatch: pytest.MonkeyPatch, last: list[str]
) -> None:
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name == "safe row_smu":
            raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    done: list[str] = []

    def make_one(name: str) -> str:
        done.append(name)
        return name

    with pytest.raises(BackendError, match=r"row_smu may still be ON.*can't start new thread"):
        make_all_safe(
            _station(), ["row_smu", "col_smu", "matrix"], make_one, note=lambda _: None, last=last
        )
    assert done == ["col_smu", "matrix"]


def test_thread_that_never_ran_confirms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "run", lambda _: None)
    with pytest.raises(BackendError, match=r"row_smu may still be ON.*not confirmed.*matrix"):
        make_all_safe(_station(), ["row_smu", "matrix"], lambda name: name, note=print)


def test_box_with_one_socket_gets_time_to_notice_that_the_old_link_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(safe, "PAUSE_S", 0.01)
    tries: list[str] = []

    class ConfiguredInstrument:
        name = "row_smu"

        def open(self) -> object:
            tries.append("open")
            raise ConnectionLost("refused")

    with pytest.raises(ConnectionLost, match="refused"):
        safe.reconnect_and_make_safe(_station(), ConfiguredInstrument())  # type: ignore[arg-type]
    assert len(tries) == 3


class _Box:
    """An instrument that was found at its address again."""

    def __init__(self, identity: str) -> None:
        self.id = identity
        self.link = SimpleNamespace(close=lambda: None)
        self.safe = False

    def safe_state(self) -> None:
        self.safe = True


class _Configured:
    name, address = "row_smu", "ASRL7::INSTR"

    def __init__(self, *found: _Box | Exception) -> None:
        self._found = list(found)

    def open(self) -> _Box:
        found = self._found.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


def test_answer_that_was_still_on_its_way_does_not_keep_an_output_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(safe, "PAUSE_S", 0.01)
    box = _Box("KEITHLEY 1")
    slot = _Configured(UnexpectedReply("expected a 2400, found '1.5E-6'"), box)
    words = safe.reconnect_and_make_safe(_station(), slot, identity="KEITHLEY 1")  # type: ignore[arg-type]
    assert words == "row_smu: safe (KEITHLEY 1)"
    assert box.safe


def test_port_that_is_another_instruments_by_now_is_left_alone() -> None:
    other = _Box("KEITHLEY 2")
    with pytest.raises(UnexpectedReply, match="'KEITHLEY 1' was there, now 'KEITHLEY 2' is"):
        safe.reconnect_and_make_safe(_station(), _Configured(other), identity="KEITHLEY 1")  # type: ignore[arg-type]
    assert not other.safe


def test_order_of_safety_is_every_source_before_any_matrix() -> None:
    for names in (["matrix", "row_smu", "col_smu"], ["row_smu", "matrix", "col_smu"]):
        assert safe.sources_first(_station(), names) == ["row_smu", "col_smu", "matrix"]


ADDRESSES = dict.fromkeys(("row_smu", "col_smu", "matrix"), "TCPIP::127.0.0.1::1::SOCKET")


def test_watchdog_that_is_let_go_says_and_writes_nothing(tmp_path: Path) -> None:
    watchdog = Watchdog(_station(), ADDRESSES, record=tmp_path / "r.h5")
    assert watchdog.release(safe=True) is None
    assert list(tmp_path.iterdir()) == []


def test_watchdog_that_reaches_nothing_says_so_in_a_file_beside_the_record(tmp_path: Path) -> None:
    watchdog = Watchdog(_station(), ADDRESSES, record=tmp_path / "r.h5")
    said = watchdog.release(safe=False)
    assert said is not None
    assert "NOT EVERYTHING IS SAFE" in said
    written = report_path(tmp_path / "r.h5").read_text(encoding="utf-8")
    for name in ("row_smu may still be ON", "col_smu may still be ON", "matrix may still connect"):
        assert name in said
        assert name in written


def test_watchdog_that_has_died_is_reported(tmp_path: Path) -> None:
    watchdog = Watchdog(_station(), ADDRESSES)
    watchdog._process.kill()
    watchdog._process.wait()
    assert "had ended with -9 before the run did" in str(watchdog.release(safe=True))


def test_watchdog_whose_station_names_no_driver_does_not_start() -> None:
    station = _station()
    entry = station.instruments["row_smu"].model_copy(update={"kind": "keithley_0000"})
    bad = station.model_copy(update={"instruments": {**station.instruments, "row_smu": entry}})
    began_s = time.monotonic()
    with pytest.raises(BackendError, match="did not start; without it nothing is switched on"):
        Watchdog(bad, ADDRESSES)
    assert time.monotonic() - began_s < 30


POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX sessions and signals")


@POSIX
def test_watchdog_is_out_of_reach_of_what_is_sent_to_the_session_of_the_run() -> None:
    watchdog = Watchdog(_station(), ADDRESSES)
    try:
        process = watchdog._process.pid
        assert os.getsid(process) == process != os.getsid(0)
        assert os.getpgid(process) == process != os.getpgid(0)
    finally:
        watchdog.release(safe=True)


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_that_is_meant_for_the_run_does_not_end_the_watchdog(
    number: signal.Signals, tmp_path: Path
) -> None:
    watchdog = Watchdog(_station(), ADDRESSES, record=tmp_path / "r.h5")
    os.kill(watchdog._process.pid, number)
    said = watchdog.release(safe=False)  # it has its turn all the same, and reaches nothing
    assert watchdog._process.returncode == 1
    assert "the run has ended without making the bench safe" in str(said)
    assert "NOT EVERYTHING IS SAFE" in report_path(tmp_path / "r.h5").read_text(encoding="utf-8")

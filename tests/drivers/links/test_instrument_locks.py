"""Locks on instruments: who is refused, what he is told, and when he is let in again."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hwloop.errors import BackendError, ConfigError, InstrumentInUse
from hwloop_drivers.links import instrument_locks as locks
from hwloop_drivers.links.instrument_locks import (
    HeldByWatchdog,
    Holder,
    hold,
    hold_for_watchdog,
    refuse_one_instrument_twice,
    request_stop,
)

SMU, MATRIX = "GPIB0::24::INSTR", "GPIB0::7::INSTR"
RUN = Holder("a run", "lab", "/records/first.h5")
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    chosen = tmp_path / "locks"
    monkeypatch.setenv(locks.FOLDER_VARIABLE, str(chosen))
    return chosen


@contextmanager
def _process(call: str, *, user: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """A process that has done ``call``, said "done" or an error's first line, and waits."""
    code = f"""
import os, sys
from hwloop_drivers.links.instrument_locks import *
identities("GPIB::1")  # imports all that is needed: another user may not read this installation
Holder("").of_this_process()
if {user or 0}: os.setuid({user or 0})
try:
    kept = {call}
    print("done", flush=True)
except Exception as exc:
    print(type(exc).__name__, exc, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-P", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _stop(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)  # returns when it is


def test_second_user_of_an_instrument_is_refused_and_told_of_the_first() -> None:
    with hold({"smu": SMU}, RUN), pytest.raises(InstrumentInUse) as refused:
        hold({"meter": "gpib::24"}, Holder("a check"))
    assert refused.value.exit_code == 4
    message = str(refused.value)
    assert message.startswith("meter at gpib::24: in use by a run of station lab (process ")
    for part in (f"process {os.getpid()} of ", " on ", ", since 2", "record /records/first.h5"):
        assert part in message
    with hold({"smu": SMU}, RUN):  # free again
        pass


def test_instruments_are_locked_all_or_none() -> None:
    with hold({"matrix": MATRIX}, RUN):
        with pytest.raises(InstrumentInUse, match=r"^matrix at "):
            hold({"smu": SMU, "matrix": MATRIX}, RUN)
        with hold({"smu": SMU}, RUN):
            pass


def test_two_names_of_one_instrument_in_a_station_do_not_refuse_each_other() -> None:
    with hold({"a": SMU, "b": "GPIB::24"}, RUN) as held:
        assert len(held.paths) == 1


def test_files_of_a_lock_are_removed_with_it(folder: Path) -> None:
    with hold({"smu": SMU, "matrix": MATRIX}, RUN) as held, hold_for_watchdog(held.paths, "", ""):
        assert len(list(folder.iterdir())) == 4
    assert list(folder.iterdir()) == []


def test_killed_process_leaves_no_lock(folder: Path) -> None:
    with _process(f"hold({{'smu': {SMU!r}}}, Holder('a run', 'lab'))") as other:
        assert _said(other) == "done"
        with pytest.raises(InstrumentInUse, match=rf"process {other.pid} of "):
            hold({"smu": SMU}, RUN)
        other.kill()
        other.wait()
        assert len(list(folder.iterdir())) == 1  # its file is left, the lock is not
        with hold({"smu": SMU}, RUN) as held:
            assert json.loads(held.paths[0].read_bytes())["pid"] == os.getpid()


@posix
def test_stopped_process_keeps_its_lock() -> None:
    with _process(f"hold({{'smu': {SMU!r}}}, Holder('a run', 'lab'))") as other:
        assert _said(other) == "done"
        os.kill(other.pid, signal.SIGSTOP)
        with pytest.raises(InstrumentInUse, match=rf"process {other.pid} of "):
            hold({"smu": SMU}, RUN)


def test_instruments_of_a_dead_run_are_in_use_until_its_watchdog_has_ended() -> None:
    held = hold({"smu": SMU}, RUN)
    watchdog = hold_for_watchdog(held.paths, "lab", "/records/first.h5")
    held.release()  # as the operating system does when the run is killed
    told = r"^smu at .*: in use by the watchdog of a run of station lab .*try again in a minute"
    with pytest.raises(InstrumentInUse, match=told):
        hold({"smu": SMU}, RUN)
    watchdog.release()
    with hold({"smu": SMU}, RUN):
        pass


@linux
def test_message_tells_of_a_watchdog_or_run_that_is_stopped_and_of_what_to_do() -> None:
    with _process(f"hold({{'smu': {SMU!r}}}, Holder('the watchdog of a run'))") as other:
        assert _said(other) == "done"
        told = f"`kill -9 {other.pid}` and `hwloop safe`"
        with pytest.raises(HeldByWatchdog, match=told) as refused:
            hold({"smu": SMU}, RUN)
        assert not refused.value.is_stopped
        _stop(other)
        told = (
            "it is stopped, so that it makes nothing safe: `kill -CONT {0}` lets it go on,"
            " `kill -9 {0}` ends it; then `hwloop safe`$"
        )
        with pytest.raises(HeldByWatchdog, match=told.format(other.pid)) as refused:
            hold({"smu": SMU}, RUN)
        assert refused.value.is_stopped
    with _process(f"hold({{'smu': {SMU!r}}}, Holder('a run'))") as other:
        assert _said(other) == "done"
        _stop(other)
        with pytest.raises(InstrumentInUse, match=f"it is stopped: `kill -CONT {other.pid}`"):
            hold({"smu": SMU}, RUN)


def test_emergency_stop_is_let_in_beside_a_watchdog_but_not_beside_a_run() -> None:
    held = hold({"smu": SMU}, RUN)
    with hold_for_watchdog(held.paths, "lab", ""):
        with pytest.raises(InstrumentInUse, match="in use by a run"):
            hold({"smu": SMU}, RUN, beside_watchdog=True)
        held.release()
        with hold({"smu": SMU}, RUN, beside_watchdog=True):
            pass


def test_run_on_one_instrument_is_told_before_the_watchdog_of_another() -> None:
    dead = hold({"smu": SMU}, RUN)
    with hold_for_watchdog(dead.paths, "lab", ""):
        dead.release()
        with (
            hold({"matrix": MATRIX}, RUN),
            pytest.raises(InstrumentInUse, match="in use by a run"),
        ):
            hold({"smu": SMU, "matrix": MATRIX}, RUN)


def test_refused_run_takes_nothing_from_a_watchdog_at_work() -> None:
    held = hold({"smu": SMU}, RUN)
    with hold_for_watchdog(held.paths, "lab", "") as watchdog:
        held.release()
        for _ in range(3):
            with pytest.raises(InstrumentInUse, match="watchdog"):
                hold({"smu": SMU}, RUN)
        assert watchdog.paths[0].exists()


def test_request_to_stop_reaches_whoever_holds_the_instrument_and_nobody_later() -> None:
    with hold({"smu": SMU}, RUN) as held:
        held.refuse_stopped()
        request_stop(["GPIB::24::INSTR"])
        held._looked_s = float("-inf")
        for _ in range(2):
            with pytest.raises(BackendError, match="stopped by hand"):
                held.refuse_stopped()
    request_stop([SMU])  # left by one who asked too late
    with hold({"smu": SMU}, RUN) as later:
        later._looked_s = float("-inf")
        later.refuse_stopped()


@posix
@pytest.mark.parametrize("made", ["link", "dangling link", "fifo", "folder"])
def test_lock_file_that_is_something_else_is_refused_and_what_it_leads_to_untouched(
    folder: Path, tmp_path: Path, made: str
) -> None:
    with hold({"smu": SMU}, RUN) as held:
        (path,) = held.paths
    other = tmp_path / "another file"
    match made:
        case "link":
            other.write_text("precious")
            path.symlink_to(other)
        case "dangling link":
            path.symlink_to(other)
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
    with pytest.raises(BackendError, match=f"^{re.escape(str(path))}: cannot be used for the lock"):
        hold({"smu": SMU}, RUN)
    assert (other.read_text() == "precious") if made == "link" else not other.exists()


@posix
@pytest.mark.parametrize("made", ["link", "file"])
def test_folder_of_locks_that_is_a_link_or_a_file_is_refused(
    folder: Path, tmp_path: Path, made: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    if made == "link":
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        folder.touch()
    with pytest.raises(BackendError, match="HWLOOP_LOCKS names another folder"):
        hold({"smu": SMU}, RUN)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_stands_in_the_file_of_a_holder_is_not_believed_to_be_short_or_right() -> None:
    with hold({"smu": SMU}, RUN) as held:
        for text in (
            b"",
            b"{",
            b"[1]",
            b'{"pid": 1}',
            b'{"what": "", "x": 1}',
            b"x" * 10**6,
            b'"\xff"',
        ):
            held.paths[0].write_bytes(text)
            with pytest.raises(InstrumentInUse) as refused:
                hold({"smu": SMU}, RUN)
            assert "another process, which has not yet written who it is" in str(refused.value)
            assert len(str(refused.value)) < 1000


@posix
@root
def test_user_is_refused_by_another_user_and_let_in_after_that_one_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as shared:  # pytest's own are for one user
        Path(shared).chmod(0o755)
        (Path(shared) / "locks").mkdir(mode=0o700)
        (Path(shared) / "locks").chmod(0o1777)
        monkeypatch.setenv(locks.FOLDER_VARIABLE, f"{shared}/locks")
        call = f"hold({{'smu': {SMU!r}}}, Holder('a run', 'lab'))"
        with hold({"smu": SMU}, RUN), _process(call, user=65534) as nobody:
            said = _said(nobody)
            assert said.startswith("InstrumentInUse smu at ")
            assert f"process {os.getpid()} of " in said
        with _process(call) as ours:
            assert _said(ours) == "done"
            ours.kill()  # its file stays behind, and belongs to root
        with _process(call, user=65534) as nobody:
            assert _said(nobody) == "done"
            with pytest.raises(InstrumentInUse, match=rf"process {nobody.pid} of nobody on "):
                hold({"smu": SMU}, RUN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("TCPIP::127.0.0.1::5555::SOCKET", "TCPIP0::127.0.0.1::5555::SOCKET"),
        ("TCPIP::127.0.0.1::5555::SOCKET", "TCPIP::localhost::5555::SOCKET"),
        ("TCPIP::192.0.2.7::5025::SOCKET", "TCPIP::192.0.2.7::inst0::INSTR"),
        ("GPIB::24::INSTR", "GPIB0::24::INSTR"),
        ("USB::0x05E6::0x2450::1::INSTR", "USB0::1510::9296::1::INSTR"),
    ],
)
def test_two_addresses_of_one_instrument_are_refused_with_both_names(one: str, other: str) -> None:
    with pytest.raises(ConfigError) as raised:
        refuse_one_instrument_twice({"row_smu": one, "matrix": MATRIX, "col_smu": other})
    assert f"row_smu at {one} and col_smu at {other} are one instrument" in str(raised.value)


def test_two_ports_of_this_computer_are_two_instruments() -> None:
    refuse_one_instrument_twice(
        {"a": "TCPIP::localhost::5555::SOCKET", "b": "TCPIP::localhost::5556::SOCKET", "c": SMU}
    )

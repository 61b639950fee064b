"""The run's handle on its watchdog: what it announces, and when it must not go on."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hwloop.array.operations import PulseMap, ReadMap, Wait
from hwloop.backend.kind import OpenRequest
from hwloop.errors import BackendError
from hwloop.execution.execute import request_for
from hwloop.procedure.procedure import load_procedure
from hwloop.station.station import load_station
from hwloop_drivers.bench.backend import Bench
from hwloop_drivers.bench.open import BenchSettings, open_bench
from hwloop_drivers.process_state import is_stopped
from hwloop_drivers.safety import watchdog as handle
from hwloop_drivers.safety.watchdog import Watchdog
from tests.drivers.running_bench import PROCEDURE, copy_station, running_bench

STATION = Path(__file__).parents[3] / "stations" / "virtual_4x4.yaml"
NOWHERE = dict.fromkeys(("row_smu", "col_smu", "matrix"), "TCPIP::127.0.0.1::1::SOCKET")

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    made = Watchdog(load_station(STATION), NOWHERE)
    yield made
    made.release(safe=True)


def _wait_until(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.01)


class _Heard:
    """What a run hears of its watchdog, and why."""

    def __init__(self, watchdog: Watchdog) -> None:
        self.event, self.reason = threading.Event(), ""
        watchdog.on_end(self._hear)

    def _hear(self, reason: str) -> None:
        self.reason = reason
        self.event.set()


def test_run_hears_of_the_end_of_its_watchdog_and_may_not_go_on(watchdog: Watchdog) -> None:
    watchdog.begin()
    watchdog.expect(1.0)
    heard = _Heard(watchdog)
    watchdog._process.kill()
    assert heard.event.wait(60)
    assert heard.reason == "the watchdog has ended before the run did: it does not watch any more"
    for go_on in (watchdog.check, watchdog.begin, watchdog.idle, lambda: watchdog.expect(1.0)):
        with pytest.raises(BackendError, match="does not watch any more"):
            go_on()
    watchdog.making_safe()  # what makes the bench safe goes on all the same
    watchdog.safe()
    assert "had ended with -9" in str(watchdog.release(safe=True))


def test_end_that_came_before_anyone_asked_is_told_at_once(watchdog: Watchdog) -> None:
    watchdog._process.kill()
    _wait_until(watchdog._ended.is_set)
    assert _Heard(watchdog).event.is_set()


def test_release_is_no_end_that_the_run_has_to_hear_of() -> None:
    made = Watchdog(load_station(STATION), NOWHERE)
    heard = _Heard(made)
    assert made.release(safe=True) is None
    assert not heard.event.is_set()


def test_run_that_stood_still_for_longer_than_announced_may_not_go_on(
    watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(handle, "now_s", lambda: clock[0])
    watchdog.begin()
    watchdog.expect(5.0)
    clock[0] += 5.0 + handle.MARGIN_S
    watchdog.check()
    clock[0] += 0.001
    for go_on in (watchdog.check, watchdog.idle, lambda: watchdog.expect(5.0)):
        with pytest.raises(BackendError, match="the run stood still for longer"):
            go_on()


def test_announcement_covers_every_message_and_is_renewed_only_where_it_must(
    watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, said = [0.0], list[str]()
    monkeypatch.setattr(handle, "now_s", lambda: clock[0])
    monkeypatch.setattr(watchdog, "_say", said.append)
    watchdog.expect(5.0)
    assert said == []  # between two operations nothing stands
    watchdog.begin()
    for _ in range(100):
        watchdog.expect(1.0)
    assert said == ["expect 11.0"]
    clock[0] = 5.5
    watchdog.expect(1.0)  # 5 s of the margin have gone
    watchdog.expect(60.0)  # a long train
    assert said[1:] == ["expect 11.0", "expect 70.0"]
    watchdog.idle()
    watchdog.idle()
    assert said[3:] == ["idle"]
    clock[0] += 3600.0
    watchdog.check()


def _stopped() -> tuple[Watchdog, _Heard]:
    """Return a watchdog that is stopped, and what its run has heard of that."""
    made = Watchdog(load_station(STATION), NOWHERE)
    heard = _Heard(made)
    os.kill(made._process.pid, signal.SIGSTOP)
    assert heard.event.wait(60)
    return made, heard


@linux
def test_run_hears_that_its_watchdog_is_stopped_and_may_not_go_on() -> None:
    made, heard = _stopped()
    stopped = f"the watchdog, process {made._process.pid}, is stopped: it does not watch any more"
    assert heard.reason == stopped
    with pytest.raises(BackendError, match=f"^{stopped}; without it nothing stays switched on$"):
        made.begin()
    made.making_safe()
    made.safe()
    assert made.release(safe=True) == f"{stopped}; it was ended when the bench was safe"
    assert made._process.returncode == -signal.SIGKILL


@linux
def test_stopped_watchdog_goes_on_where_it_has_to_make_the_bench_safe() -> None:
    made, _ = _stopped()
    assert "row_smu may still be ON" in str(made.release(safe=False))


@linux
def test_watchdog_that_is_stopped_at_the_end_of_its_run_ends_with_it() -> None:
    made = Watchdog(load_station(STATION), NOWHERE)
    os.kill(made._process.pid, signal.SIGSTOP)
    _wait_until(lambda: is_stopped(made._process.pid))
    made.release(safe=True)
    assert made._process.returncode is not None


def test_watchdog_that_gives_no_answer_is_lost_and_one_that_answers_late_is_not(
    monkeypatch: pytest.MonkeyPatch, watchdog: Watchdog
) -> None:
    monkeypatch.setattr(handle, "is_stopped", lambda _: False)
    os.kill(watchdog._process.pid, signal.SIGSTOP)
    try:
        time.sleep(4 * handle.PING_S)
        watchdog.check()  # within the time for an answer
        os.kill(watchdog._process.pid, signal.SIGCONT)
        _wait_until(watchdog._answered.is_set)
        watchdog.check()
        os.kill(watchdog._process.pid, signal.SIGSTOP)
        heard = _Heard(watchdog)
        assert heard.event.wait(60)
        assert "has not answered for 3 s: it does not watch any more" in heard.reason
    finally:
        os.kill(watchdog._process.pid, signal.SIGCONT)


def test_watchdog_that_reads_nothing_does_not_hold_up_the_run(watchdog: Watchdog) -> None:
    os.kill(watchdog._process.pid, signal.SIGSTOP)
    try:
        watchdog.begin()

        def announce() -> None:
            for n in range(100_000):
                watchdog.expect(10.0 + 10.0 * n)

        with pytest.raises(BackendError, match="does not watch any more"):
            announce()
    finally:
        os.kill(watchdog._process.pid, signal.SIGCONT)
        watchdog._process.kill()


def test_watchdog_acts_on_the_station_that_it_was_given(tmp_path: Path) -> None:
    path = copy_station(STATION, tmp_path)
    made = Watchdog(load_station(path), NOWHERE, record=tmp_path / "r.h5")
    path.write_text("name: [half saved", encoding="utf-8")
    said = str(made.release(safe=False))
    for name in ("row_smu may still be ON", "col_smu may still be ON", "matrix may still connect"):
        assert name in said


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    procedure = load_procedure(PROCEDURE)
    station = copy_station(STATION, tmp_path)
    request: OpenRequest = request_for(procedure, seed=1, record=tmp_path / "r.h5")[0]
    with running_bench(station, procedure):
        made = open_bench(BenchSettings(station=station), request)
        try:
            yield made
        finally:
            made.close()


def _outputs_on(bench: Bench) -> bool:
    return any(source.source_enabled for source in bench._drives.sources.values())


def test_bench_between_two_operations_is_made_safe_when_its_watchdog_ends(bench: Bench) -> None:
    read = ReadMap.every_cell((4, 4), read_v=0.05)
    assert bench.read(read).current_a.shape == (4, 4)
    assert _outputs_on(bench)
    assert bench._watchdog is not None
    bench._watchdog._process.kill()
    _wait_until(lambda: not bench._outputs_on)
    with bench._lock:  # it has finished
        assert not _outputs_on(bench)
    with pytest.raises(BackendError, match="does not watch any more"):
        bench.read(read)
    said = [event.message for event in bench.take_events()]
    assert any(
        "the watchdog has ended before the run did: it does not watch any more" in message
        for message in said
    )


@linux
def test_bench_whose_watchdog_is_stopped_is_made_safe_and_its_run_may_not_go_on(
    bench: Bench,
) -> None:
    read = ReadMap.every_cell((4, 4), read_v=0.05)
    bench.read(read)
    assert _outputs_on(bench)
    assert bench._watchdog is not None
    os.kill(bench._watchdog._process.pid, signal.SIGSTOP)
    _wait_until(lambda: not bench._outputs_on)
    with bench._lock:  # it has finished
        assert not _outputs_on(bench)
    with pytest.raises(BackendError, match="is stopped: it does not watch any more"):
        bench.read(read)
    bench.close()
    said = [event.message for event in bench.take_events()]
    assert any("it was ended when the bench was safe" in message for message in said)


def test_wait_ends_when_the_watchdog_does(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from hwloop_drivers.virtual_bench import HostTime

    monkeypatch.setattr(bench, "_time", HostTime())
    assert bench._watchdog is not None
    threading.Timer(0.5, bench._watchdog._process.kill).start()
    began_s = time.monotonic()
    with pytest.raises(BackendError, match="does not watch any more"):
        bench.wait(Wait(600.0))
    assert time.monotonic() - began_s < 60  # a bound, not a speed
    bench.make_safe()
    assert not _outputs_on(bench)


def test_operation_after_a_standstill_is_refused_and_the_bench_safe(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    assert bench._watchdog is not None
    real_s, skipped_s = handle.now_s, [0.0]
    monkeypatch.setattr(handle, "now_s", lambda: real_s() + skipped_s[0])
    rows = bench._drives.rows
    real = type(rows).apply_train

    def stopped(self: object, points: object) -> object:
        skipped_s[0] = 3600.0  # a suspended laptop
        return real(self, points)  # type: ignore[arg-type]

    monkeypatch.setattr(type(rows), "apply_train", stopped)
    amplitude_v = np.zeros((4, 4))
    amplitude_v[1, 2] = 0.6
    with pytest.raises(BackendError, match=r"cell \(1, 2\): the run stood still for longer"):
        bench.pulse(PulseMap(amplitude_v, width_s=1e-3))
    bench.make_safe()
    assert not _outputs_on(bench)

"""Children that never answer are not waited for without end, and are not left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from hwloop.errors import BackendError
from hwloop.station.station import load_station
from hwloop_drivers import virtual_bench
from hwloop_drivers.child_process import end, first_line
from hwloop_drivers.safety import watchdog

SILENT = "import sys; sys.stderr.write('stuck\\n'); sys.stderr.flush(); sys.stdin.read()"
ROOT = Path(__file__).parents[2]
STATION = ROOT / "stations" / "virtual_4x4.yaml"

Instead = Callable[[ModuleType, str], list[subprocess.Popen[str]]]


def _child(code: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture
def instead(monkeypatch: pytest.MonkeyPatch) -> Instead:
    """``instead(module, code)``: the children that the module starts run this code."""

    def patch(module: ModuleType, code: str) -> list[subprocess.Popen[str]]:
        started: list[subprocess.Popen[str]] = []
        real = subprocess.Popen

        def start(_: object, **options: object) -> subprocess.Popen[str]:
            started.append(real([sys.executable, "-c", code], **options))  # type: ignore[call-overload]
            return started[-1]

        monkeypatch.setattr(module.subprocess, "Popen", start)
        return started

    return patch


def test_first_line_of_a_child_is_what_it_wrote_first() -> None:
    child = _child("print('watching'); print('more')")
    assert first_line(child, within_s=60) == "watching\n"
    end(child)


def test_child_that_ends_without_a_line_is_told_from_one_that_is_silent() -> None:
    ended, silent = _child("raise SystemExit"), _child(SILENT)
    assert first_line(ended, within_s=60) == ""
    assert first_line(silent, within_s=0.1) is None
    assert silent.poll() is None, "it still runs"
    end(silent)
    assert silent.poll() is not None
    end(ended)


def test_ending_a_child_gives_what_it_said_of_its_trouble_and_can_be_done_twice() -> None:
    child = _child("import sys; sys.exit('no such station')")
    assert first_line(child, within_s=60) == ""
    assert end(child) == "no such station"
    assert end(child) == "no such station"
    assert all(pipe is not None and pipe.closed for pipe in (child.stdin, child.stdout))


def test_child_that_ignores_a_request_to_terminate_is_ended_all_the_same() -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)"
    child = _child(f"{deaf}; import sys; sys.stdin.read()")
    assert first_line(child, within_s=60) == "deaf\n"
    child.terminate()
    end(child)
    if sys.platform != "win32":
        assert child.returncode == -signal.SIGKILL


def test_watchdog_that_never_answers_is_ended_and_nothing_is_switched_on(
    instead: Instead, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = instead(watchdog, SILENT)
    monkeypatch.setattr(watchdog, "START_S", 0.2)
    words = r"did not start within 0\.2 s; without it nothing is switched on"
    with pytest.raises(BackendError, match=words):
        watchdog.Watchdog(load_station(STATION), {})
    assert [child.poll() is not None for child in started] == [True]


def test_watchdog_that_answers_something_else_is_ended(instead: Instead) -> None:
    started = instead(watchdog, "print('hello', flush=True); import sys; sys.stdin.read()")
    with pytest.raises(BackendError, match=r"did not start; without it"):
        watchdog.Watchdog(load_station(STATION), {})
    assert [child.poll() is not None for child in started] == [True]


def test_virtual_bench_that_never_answers_is_ended(
    instead: Instead, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = instead(virtual_bench, "import sys; sys.stdin.read()")
    monkeypatch.setattr(virtual_bench, "START_S", 0.2)
    with pytest.raises(BackendError, match=r"did not start: no answer within 0\.2 s"):
        virtual_bench.start(STATION, {}, seed=0)
    assert [child.poll() is not None for child in started] == [True]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hello", "its first line is 'hello'"),
        (json.dumps({"addresses": {}}), "its first line is .*'control'"),
        (json.dumps({"addresses": {}, "control": "127.0.0.1:1"}), "its first line is .*127"),
    ],
)
def test_virtual_bench_that_does_not_say_where_it_is_is_ended(
    instead: Instead, line: str, words: str
) -> None:
    started = instead(virtual_bench, f"print({line!r}, flush=True); import sys; sys.stdin.read()")
    with pytest.raises(BackendError, match=words):
        virtual_bench.start(STATION, {}, seed=0)
    assert [child.poll() is not None for child in started] == [True]


def test_virtual_bench_that_says_what_is_wrong_is_quoted(instead: Instead) -> None:
    instead(virtual_bench, "import sys; sys.exit('lupa is not installed')")
    with pytest.raises(BackendError, match=r"did not start: lupa is not installed"):
        virtual_bench.start(STATION, {}, seed=0)


class _DeafLink(virtual_bench.VirtualBenchLink):
    """A link to a bench that acknowledges that it is to stop, and does not."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._unmodelled_before = None

    def ask(self, ask: str, **_: object) -> dict[str, object]:
        return {}


def test_virtual_bench_that_does_not_stop_when_told_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(virtual_bench, "STOP_S", 0.2)
    child = _child("import sys; sys.stdin.read()")
    _DeafLink(child)._stop(child)
    assert child.poll() is not None

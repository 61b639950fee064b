"""Requests to stop: which of them raise, and where."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from hwloop.array.operations import Wait
from hwloop.errors import Stopped
from hwloop.execution.stopping import Interruptible, StopRequest, stop_on_signal
from tests.hwloop.spy import SpyBackend

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


def test_second_request_waits_until_it_can_be_borne_and_the_third_is_ignored() -> None:
    stop, spy = StopRequest(), SpyBackend()
    inside = Interruptible(spy, stop, may_raise=True)
    for _ in range(2):
        stop.ask("SIGINT")
    with pytest.raises(KeyboardInterrupt, match="SIGINT"):
        inside.perform(Wait(1.0))
    assert spy.asked == []  # not even begun
    stop.may_raise = True
    stop.ask("SIGINT")
    inside.perform(Wait(1.0))
    assert stop.may_raise
    assert len(spy.asked) == 1


def test_shield_within_code_that_may_be_interrupted_holds_a_second_request_back() -> None:
    stop = StopRequest()

    class _Asking(SpyBackend):
        def perform(self, operation: object) -> None:
            stop.ask("SIGTERM")
            stop.ask("SIGTERM")

    stop.may_raise = True
    Interruptible(_Asking(), stop, may_raise=False).perform(Wait(1.0))
    assert stop.may_raise
    with pytest.raises(KeyboardInterrupt):
        stop.refuse_second()
    stop.refuse_second()  # once


def test_run_that_has_begun_to_stop_hears_no_more_requests() -> None:
    stop = StopRequest()
    stop.check()
    stop.ask("SIGINT")
    with pytest.raises(Stopped, match="SIGINT"):
        stop.check()
    stop.may_raise = True
    stop.ask("SIGINT")


def test_second_hangup_of_a_closing_terminal_does_not_break_off() -> None:
    stop = StopRequest()
    stop.may_raise = True
    stop.ask("SIGHUP")
    stop.ask("SIGHUP")
    with pytest.raises(KeyboardInterrupt):
        stop.ask("SIGINT")


def test_signals_are_handled_as_before_when_the_run_has_ended() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signal() as stop:
        signal.raise_signal(signal.SIGINT)
    assert stop.reason == "SIGINT"
    assert signal.getsignal(signal.SIGINT) == before


@posix
@pytest.mark.parametrize(("first", "exit_code"), [("True", 7), ("False", -signal.SIGTERM)])
def test_process_that_ends_because_it_was_asked_to_ignores_later_signals(
    first: str, exit_code: int
) -> None:
    code = f"""
import signal, sys
from hwloop.execution.stopping import stop_on_signal
with stop_on_signal(ends_process=True) as stop:
    if {first}: signal.raise_signal(signal.SIGTERM)
signal.raise_signal(signal.SIGTERM)
sys.exit(7)
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=120, capture_output=True)
    assert (done.returncode, done.stderr) == (exit_code, b"")

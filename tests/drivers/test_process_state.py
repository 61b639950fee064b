"""The state of a process as the operating system tells it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from hwloop_drivers.process_state import how_to_end_stopped, is_stopped

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")


def test_process_is_stopped_between_sigstop_and_sigcont() -> None:
    with subprocess.Popen(["sleep", "600"]) as process:  # noqa: S607 - any program
        try:
            assert not is_stopped(process.pid)
            for number, stopped in ((signal.SIGSTOP, True), (signal.SIGCONT, False)):
                os.kill(process.pid, number)
                end_s = time.monotonic() + 60
                while is_stopped(process.pid) is not stopped:
                    assert time.monotonic() < end_s
                    time.sleep(0.01)
        finally:
            process.kill()
    assert not is_stopped(process.pid)  # it has ended


def test_name_with_brackets_and_states_is_not_taken_for_a_state() -> None:
    name = "a) T 1 ("
    code = f"open('/proc/self/comm', 'w').write({name!r}); print(flush=True); input()"
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert not is_stopped(process.pid)
        process.kill()


def test_advice_names_both_ways_out() -> None:
    assert how_to_end_stopped(7) == "`kill -CONT 7` lets it go on, `kill -9 7` ends it"

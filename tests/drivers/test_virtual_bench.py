"""The control link of a virtual bench: every answer is that to its own question."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hwloop.errors import ConnectionLost
from hwloop.procedure.procedure import load_procedure
from hwloop_drivers import virtual_bench
from hwloop_drivers.virtual_bench import VirtualBenchLink, find
from tests.drivers.running_bench import PROCEDURE, ROOT, copy_station, running_bench


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualBenchLink]:
    folder = tmp_path_factory.mktemp("bench")
    station = copy_station(ROOT / "stations" / "virtual_4x4.yaml", folder)
    with running_bench(station, load_procedure(PROCEDURE)):
        found = find(station)
        assert found is not None
        yield found
        found.close()


class _Interrupted:
    """A socket on which Ctrl-C is pressed before, after, or in the middle of a question."""

    def __init__(self, inner: socket.socket, part: float) -> None:
        self._inner, self._part = inner, part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def sendall(self, data: bytes) -> None:
        self._inner.sendall(data[: round(len(data) * self._part)])
        raise KeyboardInterrupt


@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_question_that_was_broken_off_anywhere_spoils_no_later_answer(
    link: VirtualBenchLink, part: float
) -> None:
    before_s = link.now_s()
    link._socket = _Interrupted(link._socket, part)  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        link.ask("who")
    for _ in range(3):
        assert set(link.ask("status")) >= {"outputs_on", "unmodelled"}
        assert link.now_s() == before_s


def test_question_that_was_given_up_in_its_answer_spoils_no_later_one(
    link: VirtualBenchLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:

        def interrupted(*_: object) -> bool:
            raise KeyboardInterrupt

        patched.setattr(virtual_bench, "await_readable", interrupted)
        with pytest.raises(KeyboardInterrupt):
            link.ask("who")
    assert "unmodelled" in link.ask("status")
    with monkeypatch.context() as patched:
        patched.setattr(virtual_bench, "await_readable", lambda *_: False)
        with pytest.raises(ConnectionLost, match="no answer within 5 s"):
            link.ask("who", timeout_s=5)
    assert "unmodelled" in link.ask("status")


def test_bench_that_answers_no_more_is_ended_without_waiting_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bounds_s = []

    def waited(_: socket.socket, timeout_s: float, check: Callable[[], None]) -> bool:
        bounds_s.append(timeout_s)
        return False  # nothing came

    monkeypatch.setattr(virtual_bench, "await_readable", waited)
    child = subprocess.Popen([sys.executable], stdin=subprocess.PIPE, text=True)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        VirtualBenchLink({}, f"127.0.0.1:{mute.getsockname()[1]}", child).close()
    assert child.returncode == -signal.SIGTERM
    assert 0 < max(bounds_s) <= 2.0

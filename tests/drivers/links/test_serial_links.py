"""Serial links, pyserial's and VISA's, against pseudo-terminals that misbehave."""

import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from hwloop.errors import ConnectionLost, InstrumentTimeout
from hwloop_drivers.links.link import Link, LinkSettings
from hwloop_drivers.links.opening import open_link, open_serial

if sys.platform == "win32":
    pytest.skip("pseudo-terminals are POSIX", allow_module_level=True)

Opener = Callable[[str, LinkSettings], Link]
OPENERS: dict[str, Opener] = {
    "pyserial": open_serial,
    "visa": lambda path, settings: open_link(f"ASRL{path}::INSTR", settings),
}


class Port:
    """The far end of a pseudo-terminal: answers a line by ``answers``, echo without."""

    def __init__(self) -> None:
        import pty
        import tty

        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.path = os.ttyname(self.slave)
        self.answers: dict[bytes, bytes] = {}
        self.received = b""
        self.is_open = True
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def say(self, what: bytes) -> None:
        os.write(self.master, what)

    def hang_up(self) -> None:
        if self.is_open:
            self.is_open = False
            if threading.current_thread() is not self._thread:
                self._thread.join()  # else it may read from the next port of this number
            os.close(self.slave)
            os.close(self.master)

    def _serve(self) -> None:
        try:
            while self.is_open:
                if not select.select([self.master], [], [], 0.02)[0]:
                    continue
                self.received += os.read(self.master, 4096)
                *lines, self.received = self.received.replace(b"\r", b"\n").split(b"\n")
                for line in filter(None, lines):
                    if line == b"hang up":
                        self.hang_up()
                        return
                    if line != b"silent?":
                        self.say(self.answers.get(line, line + b"\n"))
        except OSError:
            pass


@pytest.fixture
def port() -> Iterator[Port]:
    made = Port()
    yield made
    made.hang_up()


@pytest.fixture(params=list(OPENERS))
def opener(request: pytest.FixtureRequest) -> Opener:
    return OPENERS[request.param]


def test_port_that_does_not_exist_is_a_lost_connection(opener: Opener) -> None:
    with pytest.raises(ConnectionLost, match=r"/dev/no_such_port.*cannot be opened"):
        opener("/dev/no_such_port", LinkSettings())


def test_serial_ports_protect_no_bytes_whatever_opens_them(port: Port, opener: Opener) -> None:
    link = opener(port.path, LinkSettings())
    assert not link.protects_bytes
    link.close()


def test_silence_is_a_timeout_within_its_bound_and_poisons_the_link(
    port: Port, opener: Opener
) -> None:
    link = opener(port.path, LinkSettings(timeout_s=5))
    assert link.query("one?") == "one?"
    began_s = time.monotonic()
    with pytest.raises(InstrumentTimeout, match=r"no answer to 'silent\?' within 0\.2 s"):
        link.query("silent?", timeout_s=0.2)
    assert time.monotonic() - began_s < 4  # a bound, not a speed
    with pytest.raises(InstrumentTimeout, match="must be recovered"):
        link.query("two?")
    with pytest.raises(InstrumentTimeout, match="must be recovered"):
        link.write("two")
    link.recover(lambda: None)
    assert link.query("three?") == "three?"
    assert link.query("four?", timeout_s=1) == "four?"
    link.close()
    link.close()


def test_late_answer_is_thrown_away_before_the_next_question(port: Port, opener: Opener) -> None:
    link = opener(port.path, LinkSettings(timeout_s=0.3))
    with pytest.raises(InstrumentTimeout):
        link.query("silent?")
    port.say(b"the late answer\n")
    link.recover(lambda: None)
    assert link.query("next?") == "next?"
    link.close()


def test_half_a_line_is_no_answer(port: Port, opener: Opener) -> None:
    port.answers[b"half?"] = b"OK ho"
    link = opener(port.path, LinkSettings(timeout_s=0.2))
    with pytest.raises(InstrumentTimeout):
        link.query("half?")
    link.close()


def test_garbage_arrives_as_it_was_sent_for_the_driver_to_judge(port: Port) -> None:
    port.answers[b"what?"] = b"\x00\xff#?~!\n"
    link = open_serial(port.path, LinkSettings())
    assert link.query("what?") == "\x00\xff#?~!"
    link.close()


def test_port_that_vanishes_is_lost_not_late(port: Port, opener: Opener) -> None:
    link = opener(port.path, LinkSettings(timeout_s=10))
    began_s = time.monotonic()
    with pytest.raises(ConnectionLost):
        link.query("hang up")
    with pytest.raises((ConnectionLost, InstrumentTimeout)):
        link.query("one?")
    with pytest.raises(ConnectionLost):
        link.recover(lambda: None)
    link.close()
    assert time.monotonic() - began_s < 9  # a bound, not a speed


def test_instrument_that_never_falls_silent_cannot_be_recovered(port: Port) -> None:
    link = open_serial(port.path, LinkSettings(timeout_s=0.2))
    ended = threading.Event()

    def chatter() -> None:
        while not ended.wait(0.01):
            port.say(b"x")

    talking = threading.Thread(target=chatter)
    talking.start()
    try:
        with pytest.raises(InstrumentTimeout, match="does not stop talking"):
            link.recover(lambda: None)
        with pytest.raises(InstrumentTimeout, match="must be recovered"):
            link.query("one?")
    finally:
        ended.set()
        talking.join()
    link.close()


def test_answer_without_end_is_given_up_within_its_bound(port: Port, opener: Opener) -> None:
    link = opener(port.path, LinkSettings(timeout_s=0.2))
    ended = threading.Event()

    def chatter() -> None:
        while not ended.wait(0.02):
            port.say(b"x")

    talking = threading.Thread(target=chatter)
    talking.start()
    began_s = time.monotonic()
    try:
        with pytest.raises(InstrumentTimeout):
            link.query("silent?")
    finally:
        ended.set()
        talking.join()
    assert time.monotonic() - began_s < 5  # a bound, not a speed
    link.close()


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_terminators_are_those_of_the_settings(port: Port, opener: Opener, end: str) -> None:
    port.answers[b"id?"] = b"a board" + end.encode()
    settings = LinkSettings(read_termination=end, write_termination=end, timeout_s=2)
    link = opener(port.path, settings)
    assert link.query("id?") == "a board"
    assert link.query("id?") == "a board"
    link.close()


def test_closed_serial_link_says_so_and_its_wire_log_has_both_directions(port: Port) -> None:
    log: list[tuple[str, str, str]] = []
    link = open_serial(
        port.path,
        LinkSettings(),
        wire_log=lambda address, way, text: log.append((address, way, text)),
    )
    link.query("one?")
    link.close()
    assert log == [(port.path, ">", "one?"), (port.path, "<", "one?")]
    with pytest.raises(ConnectionLost):
        link.query("two?")


def test_threads_that_share_a_serial_link_get_their_own_answers(port: Port, opener: Opener) -> None:
    link = opener(port.path, LinkSettings())
    wrong: list[str] = []

    def ask(name: str) -> None:
        for n in range(50):
            if link.query(f"{name}{n}") != f"{name}{n}":
                wrong.append(f"{name}{n}")

    threads = [threading.Thread(target=ask, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    link.close()

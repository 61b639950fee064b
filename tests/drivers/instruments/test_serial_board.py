"""The serial board: its page, its driver, its virtual board, in one process and over a port."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwloop.errors import (
    ConfigError,
    ConnectionLost,
    InstrumentFault,
    InstrumentTimeout,
    UnexpectedReply,
    Unsupported,
)
from hwloop_drivers.instruments.serial_board import SerialBoard, SerialBoardSettings, framed
from hwloop_sim.virtual.circuit.instrument import VirtualInstrument
from hwloop_sim.virtual.instruments.serial_board import SerialBoard as VirtualSerialBoard
from tests.matrix_box import LockedLink, MatrixBox

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "serial-board.md"
SETTINGS = {"buses": 3, "lines": 4, "ground_bus": 3}
LINES = {
    "row0": {"smu": "r1c1", "gnd": "r3c1"},
    "row1": {"smu": "r1c2", "gnd": "r3c2"},
    "col0": {"smu2": "r2c3", "gnd": "r3c3"},
    "col1": {"smu2": "r2c4", "gnd": "r3c4"},
}
GROUNDED = frozenset({"r3c1", "r3c2", "r3c3", "r3c4"})
CHANNELS = [f"r{bus}c{line}" for bus in (1, 2, 3) for line in (1, 2, 3, 4)]


class Link(LockedLink):
    """Gives ``replies`` instead of the board's own; says when it is closed."""

    def __init__(self, instrument: VirtualInstrument) -> None:
        super().__init__(instrument)
        self.replies: list[str] = []
        self.closed = False

    def query(self, text: str, *, timeout_s: float | None = None) -> str:
        if self.closed:
            raise ConnectionLost("virtual: the link is closed")
        reply = super().query(text)
        return self.replies.pop(0) if self.replies else reply

    def close(self) -> None:
        self.closed = True


class Bench:
    """A board whose host clock is moved by hand, and a driver on it."""

    def __init__(self, watchdog_s: float = 10.0, *, senses: bool = False, lines: int = 4) -> None:
        self.host_s = 0.0
        self.box = MatrixBox(
            VirtualSerialBoard,
            LINES,
            settings={**SETTINGS, "lines": lines},
            kwargs={"host_s": lambda: self.host_s, "senses": senses},
        )
        self.virtual = self.box.instrument
        self.link = Link(self.virtual)
        self.board = self.driver(watchdog_s, lines=lines)

    def driver(self, watchdog_s: float = 10.0, **given: int) -> SerialBoard:
        return SerialBoard(
            self.link, SerialBoardSettings.parse({**SETTINGS, **given, "watchdog_s": watchdog_s})
        )

    def silence(self, duration_s: float) -> None:
        with self.link.lock:
            self.host_s += duration_s
            self.virtual.poll()
            self.virtual.poll()

    def closed(self) -> frozenset[str]:
        return self.box.closed()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.link.close()


def test_every_check_on_the_protocol_page_is_right() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert (
        framed("123456789") == "123456789 29B1"
    )  # the catalogue's check value of CRC-16/CCITT-FALSE
    vectors = re.findall(r"^\| `([^`]+)` \| `([0-9A-F]{4})` \|$", text, re.MULTILINE)
    spoken = re.findall(r"^(?:host  |board )(\d.*) ([0-9A-F]{4})$", text, re.MULTILINE)
    assert len(vectors) == 5
    assert len(spoken) == 18
    for line, check in vectors + spoken:
        assert framed(line) == f"{line} {check}"


def test_virtual_board_answers_the_exchange_on_the_protocol_page() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("## An exchange")[2]
    bench = Bench()
    asked = ""
    for line in re.findall(r"^(host  .*|board .*|\s+\(600 ms.*)$", text, re.MULTILINE):
        if line.startswith("host"):
            asked = line[6:]
        elif line.startswith("board"):
            answered = bench.virtual.receive(asked)
            wanted = line[6:].replace(
                "board=acme-x8 serial=7 firmware=1.2", "board=hwloop-virtual serial=0 firmware=1.0"
            )
            assert (answered or "").rpartition(" ")[0] == wanted.rpartition(" ")[0]
        else:
            bench.silence(0.6)


def test_wire_of_a_reset_and_a_change(bench: Bench) -> None:
    bench.board.verify_identity()
    bench.board.reset()
    bench.board.open_all()
    bench.board.close_channels(["r3c2", "r1c1"])
    assert [text.split(" ", 1)[1].rpartition(" ")[0] for text in bench.link.sent] == [
        "ID?",
        "OPEN",
        "WD 10000",
        "SET -",
        "SET r1c1,r3c2",
    ]


@given(st.lists(st.tuples(st.sets(st.sampled_from(CHANNELS)), st.sets(st.sampled_from(CHANNELS)))))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_closed_is_exactly_what_was_asked(
    changes: list[tuple[set[str], set[str]]],
) -> None:
    bench = Bench()
    bench.board.reset()
    wanted = set(GROUNDED)
    for close, open_ in changes:
        bench.board.change(close=sorted(close), open_=sorted(open_))
        wanted = (wanted | close) - open_
        assert bench.board.closed == wanted
        assert bench.closed() == wanted & bench.box.wired
    bench.board.safe_state()
    assert bench.board.closed == GROUNDED
    bench.link.close()


def test_line_is_never_floating_while_routes_change(bench: Bench) -> None:
    bench.board.reset()
    bench.box.circuit.changes.clear()
    began_s = bench.box.clock.now_s
    bench.board.change(close=["r1c1", "r2c3"], open_=["r3c1", "r3c3"])
    bench.board.change(close=["r3c1", "r3c3"], open_=["r1c1", "r2c3"])
    for change in bench.box.circuit.changes:
        for line in "1234":
            assert any(channel.endswith(f"c{line}") for channel in change.closed)
    assert bench.box.clock.now_s - began_s == pytest.approx(4 * 5e-3)  # relays settle


@pytest.mark.parametrize("channel", ["r0c1", "r4c1", "r1c5", "r01c1", "1!1!1", "", "r1c1,r1c2"])
def test_channel_that_the_board_has_not_is_refused_unsent(bench: Bench, channel: str) -> None:
    with pytest.raises(Unsupported, match="r1c1 to r3c4"):
        bench.board.close_channels([channel])
    assert bench.link.sent == []


def test_set_too_long_for_a_line_is_refused_unsent() -> None:
    bench = Bench(lines=120)
    bench.board.reset()
    assert max(map(len, bench.link.sent)) < 1023
    sent = len(bench.link.sent)
    with pytest.raises(Unsupported, match="a board takes 1023"):
        bench.board.close_channels([f"r1c{n}" for n in range(1, 121)])
    assert len(bench.link.sent) == sent
    assert bench.board._keeper is not None  # the board is still held
    bench.link.close()


def test_ground_bus_beyond_the_buses_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match="ground_bus 4 is none of the 3 buses"):
        SerialBoardSettings.parse({"buses": 3, "lines": 4, "ground_bus": 4})


def test_board_of_another_size_is_refused(bench: Bench) -> None:
    other = bench.driver(lines=8)
    with pytest.raises(UnexpectedReply, match=r"lines=8, found .*lines=4"):
        other.verify_identity()


def test_watchdog_grounds_every_line_and_the_old_routes_are_never_believed(bench: Bench) -> None:
    bench.board.reset()
    bench.board.change(close=["r1c1"], open_=["r3c1"])
    bench.silence(10.1)
    assert bench.closed() == GROUNDED
    with pytest.raises(InstrumentFault, match=r"heard nothing for too long.*ERR watchdog latched"):
        bench.board.close_channels(["r2c3"])
    bench.board.close_channels(["r2c3"])  # begins anew, from the grounded lines
    assert bench.board.closed == GROUNDED | {"r2c3"}


def test_silence_within_the_watchdogs_time_changes_nothing(bench: Bench) -> None:
    bench.board.reset()
    bench.board.change(close=["r1c1"], open_=["r3c1"])
    bench.silence(9.9)
    assert bench.board.closed == {"r1c1", "r3c2", "r3c3", "r3c4"}


def test_asking_what_is_closed_after_a_reset_of_the_board_is_a_fault(bench: Bench) -> None:
    bench.board.reset()
    assert isinstance(bench.virtual, VirtualSerialBoard)
    bench.virtual.power_cycle()
    with pytest.raises(InstrumentFault, match="switched on or reset"):
        _ = bench.board.closed
    assert bench.board.closed == GROUNDED


def test_new_driver_finds_the_routes_of_the_old_one_and_can_make_them_safe(bench: Bench) -> None:
    bench.board.reset()
    bench.board.change(close=["r1c1"], open_=["r3c1"])
    fresh = bench.driver()
    assert fresh.closed == {"r1c1", "r3c2", "r3c3", "r3c4"}
    fresh.safe_state()
    assert bench.closed() == GROUNDED


@pytest.mark.parametrize(
    ("reply", "match"),
    [
        ("\x00#?~!", "garbled"),
        ("1 OK host r3c1 0000", "garbled"),
        (framed("1 OK"), "garbled"),
        (framed("1 OK dreaming r3c1"), "garbled"),
        (framed("200 OK host r3c1"), "late reply"),
        (framed("0 ERR host crc"), "could not read STAT.: crc; nothing moved"),
    ],
)
def test_reply_that_is_not_the_answer_is_never_believed(
    bench: Bench, reply: str, match: str
) -> None:
    bench.link.replies = [reply]
    with pytest.raises(UnexpectedReply, match=match):
        _ = bench.board.closed


@given(st.integers(0, 200), st.characters(max_codepoint=255))
@settings(max_examples=100, deadline=None)
def test_character_changed_on_the_way_is_noticed_at_either_end(place: int, other: str) -> None:
    bench = Bench()
    good = framed("1 OK power r3c1,r3c2,r3c3,r3c4 wd_ms=500")
    bench.link.replies = [_changed(good, place, other)]
    if bench.link.replies == [good]:
        assert bench.board.closed == GROUNDED
    else:
        with pytest.raises(UnexpectedReply, match="garbled"):
            _ = bench.board.closed
    bench.virtual.receive(framed("1 OPEN"))
    request = framed("2 SET r1c1,r2c3")
    garbled = _changed(request, place, other)
    if garbled != request:
        assert bench.virtual.receive(garbled) == framed("0 ERR host crc")
        assert bench.closed() == GROUNDED


def _changed(text: str, place: int, other: str) -> str:
    n = place % len(text)
    return text[:n] + other + text[n + 1 :]


def test_relay_that_sticks_is_named_by_a_board_that_senses_and_every_line_grounded() -> None:
    bench = Bench(senses=True)
    bench.board.reset()
    bench.box.circuit.stick("box", "r1c1", closed=False)
    with pytest.raises(InstrumentFault, match=r"a relay did not move.*ERR fault relay r1c1\)"):
        bench.board.change(close=["r1c1"], open_=["r3c1"])
    assert bench.closed() == GROUNDED
    bench.board.change(close=["r2c3"], open_=[])  # OPEN leads out of it, while the ground obeys
    bench.box.circuit.stick("box", "r2c4", closed=True)
    with pytest.raises(InstrumentFault, match=r"r2c4 did not become what was asked"):
        _ = bench.board.closed
    with pytest.raises(InstrumentFault, match=r"OPEN: ERR fault relay r2c4"):
        bench.board.safe_state()
    assert bench.virtual.receive(framed("1 SET r1c2")) == framed("1 ERR fault latched")
    bench.link.close()


def test_relay_that_reads_back_otherwise_is_named(bench: Bench) -> None:
    bench.board.reset()
    number = int(bench.link.sent[-1].split()[0]) + 1
    bench.link.replies = [framed(f"{number} OK host r3c1,r3c2")]
    with pytest.raises(InstrumentFault, match=r"r1c1 did not become what was asked"):
        bench.board.change(close=["r1c1"], open_=["r3c3", "r3c4"])


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ("1 STAT? 0000", "0 ERR power crc"),
        ("STAT?", "0 ERR power crc"),
        (framed("0 STAT?"), "0 ERR power form"),
        (framed("256 STAT?"), "0 ERR power form"),
        (framed("7"), "0 ERR power form"),
        (framed("7 JUMP"), "7 ERR power command JUMP"),
        (framed("7 SET r1c9"), "7 ERR power argument r1c9"),
        (framed("7 SET"), "7 ERR power argument -"),
        (framed("7 SET r1c1 r1c2"), "7 ERR power argument r1c2"),
        (framed("7 SET r1c1,"), "7 ERR power argument -"),
        (framed("7 SET r1c1"), "7 ERR power latched"),
        (framed("7 OPEN now"), "7 ERR power argument now"),
        (framed("7 WD 99"), "7 ERR power argument 99"),
        (framed("7 WD 10001"), "7 ERR power argument 10001"),
        (framed("7 WD 100"), "7 OK power 100"),
        ("x" * 1024, "0 ERR power length"),
        (framed("7 STAT?"), "7 OK power r3c1,r3c2,r3c3,r3c4 wd_ms=500"),
    ],
)
def test_virtual_board_answers_as_its_page_says(bench: Bench, sent: str, answer: str) -> None:
    assert bench.virtual.receive(sent) == framed(answer)


@given(st.text(st.characters(max_codepoint=255), max_size=60))
@settings(max_examples=100, deadline=None)
def test_noise_on_the_line_moves_nothing(noise: str) -> None:
    bench = Bench()
    bench.virtual.receive(noise)
    assert bench.closed() == GROUNDED


def test_board_is_kept_alive_and_what_went_wrong_meanwhile_is_raised_next() -> None:
    bench = Bench(watchdog_s=0.1)
    bench.board.reset()
    asked = len(bench.link.sent)
    _wait_until(lambda: len(bench.link.sent) >= asked + 3)
    bench.link.replies = ["noise"]
    _wait_until(lambda: not bench.link.replies)
    _wait_until(lambda: bench.board._keeper is None or bench.board._keeper.error is not None)
    asked = len(bench.link.sent)
    with pytest.raises(UnexpectedReply, match="garbled"):
        bench.board.check_errors()
    bench.board.check_errors()
    time.sleep(0.1)
    assert len(bench.link.sent) == asked  # nobody feeds a board that is not held
    bench.link.close()


def test_keeping_alive_ends_when_the_link_is_closed() -> None:
    bench = Bench(watchdog_s=0.1)
    bench.board.reset()
    keeper = bench.board._keeper
    assert keeper is not None
    bench.link.close()
    _wait_until(lambda: keeper.error is not None)
    assert isinstance(keeper.error, ConnectionLost)
    _wait_until(lambda: not keeper.is_running)


def test_link_that_timed_out_is_poisoned_and_that_is_raised_not_hidden(bench: Bench) -> None:
    bench.board.reset()

    def fail(text: str, *, timeout_s: float | None = None) -> str:
        raise InstrumentTimeout("virtual: no answer")

    answer, bench.link.query = bench.link.query, fail  # type: ignore[method-assign]
    with pytest.raises(InstrumentTimeout):
        bench.board.close_channels(["r1c1"])
    bench.link.query = answer  # type: ignore[method-assign]
    assert bench.board.closed == GROUNDED


def _wait_until(holds: object, *, at_most_s: float = 20) -> None:
    end_s = time.monotonic() + at_most_s
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end_s, "did not come about"
        time.sleep(0.005)

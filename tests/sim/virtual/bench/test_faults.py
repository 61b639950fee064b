"""Every way in which a virtual instrument can misbehave, as a link to it sees it."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hwloop.errors import (
    BackendError,
    ConfigError,
    ConnectionLost,
    InstrumentTimeout,
    UnexpectedReply,
)
from hwloop.plugins import BACKENDS, load
from hwloop.procedure.procedure import load_procedure
from hwloop.station.station import load_station
from hwloop_drivers.instruments.keithley_7001 import Keithley7001, Keithley7001Settings
from hwloop_drivers.links.link import Link, LinkSettings
from hwloop_drivers.links.opening import open_link, open_serial
from hwloop_sim.virtual.bench.bench import VirtualBench
from hwloop_sim.virtual.bench.faults import Fault, FaultKind
from hwloop_sim.virtual.bench.servers import Hangup, serve_serial

ROOT = Path(__file__).parents[4]
IDENTITY = "KEITHLEY INSTRUMENTS INC.,MODEL 2400"
Strike = Callable[..., None]


@pytest.fixture
def bench() -> Iterator[VirtualBench]:
    procedure = load_procedure(ROOT / "procedures" / "manhattan_4x4.yaml")
    settings = procedure.backend_settings(load(BACKENDS, "sim"))
    station = load_station(ROOT / "stations" / "virtual_4x4.yaml")
    made = VirtualBench(station, procedure.array, settings, seed=1)  # type: ignore[arg-type]
    made.start()
    yield made
    made.stop()


@pytest.fixture
def strike(bench: VirtualBench) -> Strike:
    def add(kind: FaultKind, instrument: str = "row_smu", **more: object) -> None:
        bench.add_fault(Fault.parse({"instrument": instrument, "kind": kind, **more}))

    return add


@pytest.fixture
def link(bench: VirtualBench) -> Iterator[Link]:
    made = open_link(bench.addresses["row_smu"], LinkSettings(timeout_s=0.3))
    yield made
    made.close()


def _new(bench: VirtualBench) -> Link:
    return open_link(bench.addresses["row_smu"], LinkSettings(timeout_s=0.3))


def _answers(link: Link) -> bool:
    return link.query("*IDN?").startswith(IDENTITY)


def test_dropped_link_can_be_made_again(bench: VirtualBench, link: Link, strike: Strike) -> None:
    strike("drop", after=1, count=1)
    assert _answers(link)
    with pytest.raises(ConnectionLost, match="closed the link"):
        link.query("*IDN?")
    again = _new(bench)
    assert _answers(again)
    again.close()


def test_late_answer_comes_after_its_delay_once(link: Link, strike: Strike) -> None:
    strike("late", delay_s=0.1, count=1)
    link.write(":SOUR:VOLT 0")  # is not answered, so that it cannot be answered late
    began_s = time.monotonic()
    assert _answers(link)
    assert time.monotonic() - began_s >= 0.1
    assert _answers(link)


def test_stream_without_end_ends_with_the_link_and_a_new_one_is_answered(
    link: Link, strike: Strike
) -> None:
    strike("stream", count=1)
    with pytest.raises((InstrumentTimeout, UnexpectedReply), match=r"no answer|without an end"):
        link.query("*IDN?")
    link.recover(lambda: None)
    assert "KEITHLEY" in link.query("*IDN?").upper()


def test_garbage_is_one_line_that_is_no_answer(link: Link, strike: Strike) -> None:
    strike("garbage", count=1)
    assert link.query("*IDN?") == "\x00#?~!"
    assert _answers(link)


def test_silent_instrument_obeys_without_an_answer(
    bench: VirtualBench, link: Link, strike: Strike
) -> None:
    strike("silent", count=1)
    with pytest.raises(InstrumentTimeout):
        link.query(":OUTP ON;*OPC?")
    assert bench.status()["outputs_on"]["row_smu"]


def test_ignored_command_is_not_obeyed_and_others_are(
    bench: VirtualBench, link: Link, strike: Strike
) -> None:
    strike("ignore", text=":outp on")
    link.write(":OUTP ON")
    assert link.query(":OUTP?") == "0"
    assert not bench.status()["outputs_on"]["row_smu"]


def test_hung_instrument_answers_only_on_a_new_link(
    bench: VirtualBench, link: Link, strike: Strike
) -> None:
    strike("hang", count=1, text=":outp?")
    assert _answers(link)
    with pytest.raises(InstrumentTimeout):
        link.query(":OUTP?")
    link.recover(lambda: None)
    assert _answers(link)
    assert link.query(":OUTP?") == "0"


def test_stalled_instrument_stays_at_the_level_of_its_pulse_until_it_is_told_otherwise(
    bench: VirtualBench, link: Link, strike: Strike
) -> None:
    for name in ("row_smu", "matrix"):
        strike("stall", name, count=1)
    matrix = open_link(bench.addresses["matrix"], LinkSettings())
    matrix.query(":CLOS (@1!1!1,1!3!5);*OPC?")  # no pulse: it does not stall
    matrix.close()
    link.query(":SOUR:VOLT:RANG 2;:SENS:CURR:PROT 1e-2;:OUTP ON;*OPC?")
    link.query(":SOUR:VOLT 0.1;:READ?;*OPC?")  # below what pulses a cell
    link.write(":SOUR:LIST:VOLT 2,0;:SOUR:DEL 5e-2;:TRIG:COUN 2;:SOUR:VOLT:MODE LIST")
    with pytest.raises(InstrumentTimeout):
        link.query(":READ?")
    assert bench.status()["outputs_v"]["row_smu"] == 2
    link.recover(lambda: None)
    assert link.query(":SOUR:VOLT 0;:OUTP OFF;:OUTP?") == "0"
    assert bench.status()["outputs_v"]["row_smu"] is None


def test_instrument_that_is_gone_refuses_new_links(
    bench: VirtualBench, link: Link, strike: Strike
) -> None:
    strike("gone", count=1)
    with pytest.raises(ConnectionLost, match="closed the link"):
        link.query("*IDN?")
    with pytest.raises(ConnectionLost, match="nothing answers at"):
        _new(bench)


@pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")
def test_serial_port_that_is_gone_becomes_nobody_elses() -> None:
    class Gone:
        def answer(self, message: str) -> bytes | None:
            raise Hangup

        def device_clear(self) -> None:
            pass

        def connected(self, change: int) -> None:
            pass

    path, stop = serve_serial(Gone())
    link = open_serial(path, LinkSettings(timeout_s=2))
    with pytest.raises(BackendError):
        link.query("any?")
    link.close()
    with pytest.raises(ConnectionLost, match="cannot be opened"):
        open_serial(path, LinkSettings())
    others = [serve_serial(Gone()) for _ in range(3)]
    assert path not in [other for other, _ in others]
    for _, end in [*others, (path, stop)]:
        end()


@pytest.mark.parametrize("kind", ["stick_open", "stick_closed"])
def test_stuck_relay_joins_what_it_says_in_the_circuit(
    bench: VirtualBench, strike: Strike, kind: FaultKind
) -> None:
    strike(kind, "matrix", channel="1!1!1")
    matrix = Keithley7001(
        open_link(bench.addresses["matrix"], LinkSettings()), Keithley7001Settings()
    )
    matrix.close_channels(["1!1!1"])
    matrix.open_all()
    # The 7001 tells what it has driven, not where the contact is: only the circuit knows.
    assert matrix.closed == frozenset()
    closed = "matrix:1!1!1" in bench.status()["closed"]
    assert closed == (kind == "stick_closed")
    matrix.link.close()


def test_fault_of_an_unknown_instrument_is_refused(bench: VirtualBench) -> None:
    with pytest.raises(ConfigError, match="there is no instrument 'smu'"):
        bench.add_fault(Fault.parse({"instrument": "smu", "kind": "drop"}))


def test_history_knows_what_floats_and_what_an_off_output_holds(
    bench: VirtualBench, link: Link
) -> None:
    matrix = open_link(bench.addresses["matrix"], LinkSettings())
    matrix.query(":CLOS (@1!1!1);*OPC?")
    link.query(":OUTP:SMOD HIMP;*OPC?")
    assert "row0" in bench.status()["floating"]
    link.query(":OUTP:SMOD ZERO;*OPC?")  # off, but held at 0 V
    assert "row0" not in bench.status()["floating"]
    assert bench.status()["outputs_v"]["row_smu"] is None
    last = bench.circuit.changes[-1]
    assert "row0" not in last.floating
    assert "row1" in last.floating
    matrix.close()

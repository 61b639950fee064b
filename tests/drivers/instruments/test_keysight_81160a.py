"""What goes over the wire to an 81160A."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from hwloop.errors import InstrumentFault, UnexpectedReply, Unsupported
from hwloop_drivers.instruments.families.burst_output import BurstOutput
from hwloop_drivers.instruments.keysight_81160a import Keysight81160A, Keysight81160ASettings
from tests.scpi_wire import ScpiWire

AFTER_RESET = {
    f":{header}": value
    for n in (1, 2)
    for header, value in (
        (f"VOLT{n}:HIGH", "0.1"),
        (f"VOLT{n}:LOW", "-0.1"),
        (f"OUTP{n}:POL", "NORM"),
    )
}


def _generator(**given: str) -> tuple[Keysight81160A, ScpiWire]:
    wire = ScpiWire(AFTER_RESET, given)
    return Keysight81160A(wire, Keysight81160ASettings()), wire


def _output(generator: Keysight81160A, name: str = "1") -> BurstOutput:
    output = generator.outputs()[name]
    assert isinstance(output, BurstOutput)
    return output


def test_set_up_and_train_in_the_words_of_an_81160a() -> None:
    generator, wire = _generator()
    output = _output(generator)
    output.set_up(range_v=1.2)
    output.source_enabled = True
    output.apply_pulses(level_v=1.2, width_s=1e-7, count=5)
    assert [text for text in wire.sent if "?" not in text] == [
        ":VOLT1:LIM:STAT 0",
        ":OUTP1:LOAD 1000000",
        ":ARM:SOUR1 EXT",
        ":FUNC1 PULS",
        ":PULS:TRAN1 MIN",
        ":TRIG1:COUN 1",
        ":VOLT1:HIGH 0.1;:VOLT1:LOW 0",
        ":VOLT1:LIM:HIGH 1.3",
        ":VOLT1:LIM:LOW -1.3",
        ":VOLT1:LIM:STAT 1",
        ":PULS:WIDT1 MIN;:PULS:PER1 2e-07;:PULS:WIDT1 1e-07;:TRIG1:COUN 5",
        ":VOLT1:LOW 0;:VOLT1:HIGH 1.2",
        ":ARM:SOUR1 MAN",
        ":ARM:SOUR1 EXT;:TRIG1:COUN 1",
        ":VOLT1:LOW 0;:VOLT1:HIGH 0.1",
    ]
    assert wire.sent.count("*TRG;*OPC?") == 1
    assert ":OUTP1 1;*OPC?" in wire.sent


def test_second_output_has_headers_of_its_own() -> None:
    generator, wire = _generator()
    _output(generator, "2").set_up(range_v=1)
    assert all("1:" not in text.replace("1;", "") for text in wire.sent)
    assert ":VOLT2:LIM:STAT 1" in wire.sent


def test_safe_state_rests_at_zero_then_switches_every_output_off() -> None:
    generator, wire = _generator()
    for name in ("1", "2"):
        _output(generator, name).set_up(range_v=1)
    wire.sent.clear()
    generator.safe_state()
    assert wire.sent.index(":VOLT2:LOW 0;:VOLT2:HIGH 0.1") < wire.sent.index(":OUTP2 0")
    assert ":OUTP1 0" in wire.sent
    assert wire.sent[-2:] == [":OUTP1?", ":OUTP2?"]


def test_identity_of_another_box_is_refused() -> None:
    generator, _ = _generator(**{"*IDN?": "Agilent Technologies,81150A,MY0,1.0"})
    with pytest.raises(UnexpectedReply, match="expected 81160A, found"):
        generator.verify_identity()


def test_load_that_reads_back_otherwise_is_a_fault() -> None:
    generator, _ = _generator(**{":OUTP1:LOAD?": "50"})
    with pytest.raises(InstrumentFault, match="set to 1000000 but reads back 50"):
        _output(generator).set_up(range_v=1)


@pytest.mark.parametrize(
    ("header", "becomes", "message"),
    [
        (":VOLT1:LIM:HIGH", "5", r"LIM:HIGH was set to 1\.1 but reads back 5"),
        (":OUTP1:LOAD", "50", "LOAD was set to 1000000 but reads back 50"),
        (":ARM:SOUR1", "IMM", "SOUR1 was set to EXT but reads back 'IMM'"),
        (":FUNC1", "SIN", "FUNC1 was set to PULS but reads back 'SIN'"),
    ],
)
def test_setting_that_a_later_one_changes_is_a_fault(
    header: str, becomes: str, message: str
) -> None:
    # What the box has after all settings counts, not what it had after each.
    class Changes(ScpiWire):
        @override
        def query(self, text: str, *, timeout_s: float | None = None) -> str:
            reply = super().query(text, timeout_s=timeout_s)
            if text == ":VOLT1:LIM:STAT?":  # asked after the last setting
                self.values[header] = becomes
            return reply

    wire = Changes(AFTER_RESET, {})
    output = _output(Keysight81160A(wire, Keysight81160ASettings()))
    with pytest.raises(InstrumentFault, match=message):
        output.set_up(range_v=1.0)


@given(level_v=st.floats(-6, 6), width_s=st.floats(-10, -6).map(lambda e: 10.0**e))
def test_level_and_width_arrive_with_nine_digits_or_are_refused(
    level_v: float, width_s: float
) -> None:
    generator, wire = _generator()
    output = _output(generator)
    output.set_up(range_v=4.9)
    wire.sent.clear()
    try:
        output.refuse_pulses(level_v=level_v, width_s=width_s, count=1)
    except Unsupported:
        steps = width_s / 1e-11
        assert (
            not 0.1 <= abs(level_v) <= 4.9
            or width_s < 1.5e-9
            or abs(steps - round(steps)) > 1e-6 * steps
        )
        return
    output.apply_pulses(level_v=level_v, width_s=width_s)
    side = "HIGH" if level_v > 0 else "LOW"
    sent = [u for text in wire.sent for u in text.split(";") if u.startswith(f":VOLT1:{side} ")]
    assert any(float(u.split()[1]) == pytest.approx(level_v, rel=1e-8) for u in sent)
    assert float(wire.values[":PULS:WIDT1"]) == pytest.approx(width_s, rel=1e-8)
